"""Searches of the audit records: by event, strategy, asset, time, and a filter over their fields."""

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
    """A search of the audit records; an empty field matches all.

    types: event names, or their prefixes (`order` matches `order.sent`), or patterns (`*.refused`). asset: of the
    payload. after: inclusive; before: exclusive. expression: see `filter.py`. most: only the newest so many, 0 for all.
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
    """A parsed record of the chain."""

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
    """Yield the matching records, oldest first. Raise E001 for an invalid filter, E810 for a damaged record."""
    test = compile_filter(what.expression) if what.expression else None
    found = (entry for entry in _entries(connection, what) if _matches(entry, what, test))
    return iter(deque(found, maxlen=what.most)) if what.most else found


def span_of_time(text: str) -> timedelta:
    """Return a length of time: 90s, 30m, 24h, 7d, 2w. Raise E500.

    >>> span_of_time("1.5h")
    datetime.timedelta(seconds=5400)
    """
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        raise SigcError(Diagnostic("E500", f"invalid length of time '{text}'", hint="write 90s, 30m, 24h, 7d or 2w"))
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def _entries(connection: sqlite3.Connection, what: AuditQuery) -> Iterator[AuditEntry]:
    """Yield the records that SQLite can select: a superset of the matches."""
    conditions = {
        "at >= ?": _text(what.after),
        "at < ?": _text(what.before),
        "run = ? AND run <> ''": what.run,  # exactly as in their indices
        "strategy = ? AND strategy <> ''": what.strategy,
        "instr(record, ?)": json.dumps(what.asset, ensure_ascii=False) if what.asset else "",
    }
    given = {c: value for c, value in conditions.items() if value}
    where = f" WHERE {' AND '.join(given)}" if given else ""
    # The plus sorts what an index finds; without an index all records are read in order. There is no index by asset.
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
        hint = "`sigc audit verify` checks all of them"
        raise SigcError(Diagnostic("E810", f"audit record {seq} is damaged", hint=hint)) from None


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
    """Return True if a payload names an asset: in a field for assets, at any depth."""
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
    """Return an instant as records store it: in UTC, so that texts sort like instants."""
    return "" if at is None else at.astimezone(UTC).isoformat()
