"""The audit chain: every record holds the digest of the one before, so that any change, gap or swap is found.

    canonical   the record as JSON: sorted keys, no spaces; exactly the text that is hashed, stored and mirrored
    digest      sha256 of the previous digest and the canonical text

`append` adds records, within the transaction of the change that they describe.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sigc.errors import Diagnostic, SigcError

GENESIS = "0" * 64
Sign = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event: its name (`order.sent`), its run and book, its author, and its payload."""

    name: str
    payload: Mapping[str, Any]
    run: str = ""
    strategy: str = ""
    portfolio: str = ""
    who: str = ""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One link of the chain. record: the canonical text that the digest is of."""

    seq: int
    record: str
    digest: str
    signature: str


def canonical(value: Mapping[str, Any]) -> str:
    """Return the canonical text of a record. Raise ValueError for NaN and infinity.

    >>> canonical({"b": Decimal("1.50"), "a": [1, None]})
    '{"a":[1,null],"b":"1.50"}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
        case tuple() | frozenset() | set():
            return sorted(value) if not isinstance(value, tuple) else list(value)
    raise TypeError(f"an audit record can't hold a {type(value).__name__}")


def digest_of(previous: str, record: str) -> str:
    """Return the digest of a record after `previous`: sha256, in hex."""
    return hashlib.sha256(f"{previous}\n{record}".encode()).hexdigest()


def head(connection: sqlite3.Connection) -> tuple[int, str]:
    """Return (number, digest) of the newest record; 0 and GENESIS before the first."""
    row = connection.execute("SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return (0, GENESIS) if row is None else (int(row[0]), str(row[1]))


def ledger_id(connection: sqlite3.Connection) -> str:
    """Return the ledger's id, by which anchors identify it. Raise E310 if it can't be read."""
    try:
        row = connection.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite's own message may be damaged, too
        hint = "restore the newest copy of the ledger, and keep the broken file for its audit records"
        raise SigcError(Diagnostic("E310", f"the ledger is damaged: {error}", hint=hint)) from error
    if row is None:
        raise SigcError(Diagnostic("E310", "the ledger has no id: it was not created by sigc, or it is damaged"))
    return str(row[0])


def append(connection: sqlite3.Connection, at: datetime, event: AuditEvent, sign: Sign | None = None) -> AuditRecord:
    """Append a record to the chain, in the open transaction."""
    # BEGIN IMMEDIATE makes this the only writer, so the head can't move before the insert.
    seq, previous = head(connection)
    seq += 1
    record = canonical(
        {
            "seq": seq,
            "at": at,
            "event": event.name,
            "run": event.run,
            "strategy": event.strategy,
            "portfolio": event.portfolio,
            "who": event.who,
            "payload": event.payload,
        }
    )
    digest = digest_of(previous, record)
    signature = "" if sign is None else sign(digest.encode())
    connection.execute(
        "INSERT INTO audit (seq, at, event, run, strategy, record, digest, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (seq, at.isoformat(), event.name, event.run, event.strategy, record, digest, signature),
    )
    return AuditRecord(seq, record, digest, signature)
