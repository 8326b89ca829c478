"""Pages of audit records, newest first, by event, strategy or run; `query.py` searches all of them.

A page reads only as many records as it shows: each event is looked up in an index, in order, and the results merged.
"""

from __future__ import annotations

import heapq
import itertools
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sigc.store.history.conditions import conditions

_LONGEST_PAYLOAD = 700  # characters: a page of 200 records stays below a megabyte


@dataclass(frozen=True, slots=True)
class Record:
    """An audit record in a line. payload: JSON, truncated if long."""

    seq: int
    at: datetime
    event: str
    run: str
    strategy: str
    who: str
    payload: str


@dataclass(frozen=True, slots=True)
class RecordsWanted:
    """A selection of audit records: '' for any. event: `order` includes `order.sent` etc.; before: a number, 0 for
    none.
    """

    event: str = ""
    strategy: str = ""
    run: str = ""
    before: int = 0
    most: int = 100


def records_page(connection: sqlite3.Connection, wanted: RecordsWanted) -> tuple[Record, ...]:
    """Return audit records, newest first."""
    before = wanted.before or 1 << 62
    if wanted.run or (not wanted.event and not wanted.strategy):
        where, values = conditions({"run = ? AND run <> ''": wanted.run, "strategy = ?": wanted.strategy})
        if wanted.event:
            where += " AND (event = ? OR (event >= ? AND event < ?))"
            values += (wanted.event, f"{wanted.event}.", f"{wanted.event}/")
        return tuple(_records(connection, where, (*values, before), wanted.most))
    named = [e for e in _events(connection, wanted.strategy) if _is_of(e, wanted.event)]
    where = " AND strategy = ? AND strategy <> '' AND event = ?" if wanted.strategy else " AND event = ?"
    own = (wanted.strategy,) if wanted.strategy else ()
    found = [_records(connection, where, (*own, event, before), wanted.most) for event in named]
    merged = heapq.merge(*found, key=lambda record: record.seq, reverse=True)
    return tuple(itertools.islice(merged, wanted.most))


def _is_of(event: str, wanted: str) -> bool:
    return not wanted or event == wanted or event.startswith(f"{wanted}.")


def _events(connection: sqlite3.Connection, strategy: str) -> list[str]:
    """Return all event names, by a loose index scan: one seek per name."""
    own = "strategy = :strategy AND strategy <> '' AND " if strategy else ""
    rows = connection.execute(
        f"WITH RECURSIVE e(name) AS (SELECT min(event) FROM audit WHERE {own}1"  # noqa: S608
        f" UNION ALL SELECT (SELECT min(event) FROM audit WHERE {own}event > e.name) FROM e WHERE e.name IS NOT NULL)"
        " SELECT name FROM e WHERE name IS NOT NULL",
        {"strategy": strategy},
    )
    return [name for (name,) in rows]


def _records(connection: sqlite3.Connection, where: str, values: Sequence[object], most: int) -> list[Record]:
    rows = connection.execute(
        f"SELECT seq, at, event, run, strategy, record FROM audit WHERE 1{where} AND seq < ?"  # noqa: S608
        " ORDER BY seq DESC LIMIT ?",
        (*values, most),
    )
    return [_record(*row) for row in rows]


def _record(seq: int, at: str, event: str, run: str, strategy: str, record: str) -> Record:
    try:
        told: dict[str, Any] = json.loads(record)
        who, payload = str(told["who"]), json.dumps(told["payload"], ensure_ascii=False)
    except (ValueError, KeyError, TypeError, RecursionError):  # shown as it is; `sigc audit verify` gives the reason
        who, payload = "", record
    cut = payload if len(payload) <= _LONGEST_PAYLOAD else f"{payload[:_LONGEST_PAYLOAD]}..."
    return Record(seq, datetime.fromisoformat(at), event, run, strategy, who, cut)
