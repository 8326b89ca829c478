"""Ask the audit records: by event, strategy, asset, time, and a filter over their fields."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from sigc.errors import Diagnostic, SigcError
from sigc.store.history.filter import Test, compile_filter

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])")
_ASSET_FIELDS = ("asset", "assets", "ticker", "symbol")


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to look for; what is left empty matches all.

    types: event names, or their beginnings (`order` matches `order.sent`), or patterns (`*.refused`). asset: of the
    payload. after: from then on; before: until then, not including it. expression: see `filter.py`. most: only the
    newest so many, 0 for all.
    """

    types: tuple[str, ...] = ()
    strategy: str = ""
    asset: str = ""
    run: str = ""
    who: str = ""
    after: datetime | None = None
    before: datetime | None = None
    expression: str = ""
    most: int = 0


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A record of the chain, told."""

    seq: int
    at: datetime
    event: str
    run: str
    strategy: str
    portfolio: str
    who: str
    payload: Mapping[str, Any]
    record: str
    digest: str
    signature: str


def query(connection: sqlite3.Connection, what: AuditQuery) -> Iterator[AuditEntry]:
    """The records that match, oldest first. Raises E001 for a filter that is none, E810 for a record that is none."""
    test = compile_filter(what.expression) if what.expression else None
    found = (entry for entry in _entries(connection, what) if _matches(entry, what, test))
    return iter(deque(found, maxlen=what.most)) if what.most else found


def span_of_time(text: str) -> timedelta:
    """A length of time: 90s, 30m, 24h, 7d, 2w. Raises E500.

    >>> span_of_time("1.5h")
    datetime.timedelta(seconds=5400)
    """
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        raise SigcError(Diagnostic("E500", f"'{text}' is no length of time", hint="write 90s, 30m, 24h, 7d or 2w"))
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def _entries(connection: sqlite3.Connection, what: AuditQuery) -> Iterator[AuditEntry]:
    """What SQLite can tell apart: a superset of what matches."""
    conditions = {
        "at >= ?": _text(what.after),
        "at < ?": _text(what.before),
        "run = ? AND run <> ''": what.run,  # the words of their indices
        "strategy = ? AND strategy <> ''": what.strategy,
        "instr(record, ?)": json.dumps(what.asset, ensure_ascii=False) if what.asset else "",
    }
    given = {c: value for c, value in conditions.items() if value}
    where = f" WHERE {' AND '.join(given)}" if given else ""
    # What an index finds is sorted (the plus); else all are read in their order. Of an asset there is no index.
    order = "+seq" if len(given) > ("instr(record, ?)" in given) else "seq"
    rows = connection.execute(
        f"SELECT seq, record, digest, signature FROM audit{where} ORDER BY {order}",  # noqa: S608
        tuple(given.values()),
    )
    for seq, record, digest, signature in rows:
        yield _entry(seq, record, digest, signature)


def _entry(seq: int, record: str, digest: str, signature: str) -> AuditEntry:
    try:
        told = json.loads(record)
        return AuditEntry(
            seq,
            datetime.fromisoformat(told["at"]),
            told["event"],
            told["run"],
            told["strategy"],
            told["portfolio"],
            told["who"],
            told["payload"],
            record,
            digest,
            signature,
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        hint = "`sigc audit verify` looks at all of them"
        raise SigcError(Diagnostic("E810", f"audit record {seq} is no record", hint=hint)) from None


def _matches(entry: AuditEntry, what: AuditQuery, test: Test | None) -> bool:
    return (
        (not what.types or any(_is_of(entry.event, wanted) for wanted in what.types))
        and (not what.who or entry.who == what.who)
        and (not what.asset or _is_about(entry.payload, what.asset))
        and (test is None or test(_fields(entry)))
    )


def _is_of(event: str, wanted: str) -> bool:
    return event == wanted or event.startswith(f"{wanted}.") or fnmatchcase(event, wanted)


def _is_about(value: Any, asset: str) -> bool:
    """Whether an asset is named in a payload: as a field of that name, at any depth."""
    match value:
        case Mapping():
            named = (value[name] for name in _ASSET_FIELDS if name in value)
            return any(asset == n or (isinstance(n, (list, Mapping)) and asset in n) for n in named) or any(
                _is_about(inner, asset) for inner in value.values()
            )
        case list():
            return any(_is_about(inner, asset) for inner in value)
    return False


def _fields(entry: AuditEntry) -> Mapping[str, Any]:
    record = {
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "event": entry.event,
        "run": entry.run,
        "strategy": entry.strategy,
        "portfolio": entry.portfolio,
        "who": entry.who,
    }
    return record | dict(entry.payload)


def _text(at: datetime | None) -> str:
    """As records have it: instants in UTC, whose texts sort as they do."""
    return "" if at is None else at.astimezone(UTC).isoformat()
