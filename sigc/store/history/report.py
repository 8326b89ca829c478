"""The report of a day: events, trades, refusals, and actions by person."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal

from sigc.store.history.query import AuditEntry, AuditQuery, query
from sigc.store.ledger.records import ZERO

_REFUSALS = frozenset({"refused", "denied", "rejected"})


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """A run of the day in a line."""

    id: str
    strategy: str
    portfolio: str
    session: str
    kind: str
    outcome: str
    message: str


@dataclass(frozen=True, slots=True)
class ReportedRefusal:
    """An event that refused something."""

    seq: int
    at: datetime
    event: str
    strategy: str
    who: str
    message: str


@dataclass(frozen=True, slots=True)
class TradedTotals:
    """The fills of the day; bought, sold and commission in money."""

    fills: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    commission: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class DayReport:
    """The report of a day. first, last: numbers of its audit records, 0 without; events, deeds: counts, largest
    first.
    """

    day: date
    zone: str
    records: int
    first: int
    last: int
    events: dict[str, int]
    runs: tuple[ReportedRun, ...]
    orders: dict[str, int]
    traded: TradedTotals
    refusals: tuple[ReportedRefusal, ...]
    deeds: dict[str, dict[str, int]]


def report(connection: sqlite3.Connection, day: date, zone: tzinfo = UTC) -> DayReport:
    """Return the report of a day in a time zone. Orders are those of the day's runs, in their current state."""
    start = datetime.combine(day, time(), zone)
    stop = datetime.combine(day + timedelta(days=1), time(), zone)
    events: Counter[str] = Counter()
    deeds: dict[str, Counter[str]] = {}
    refusals = []
    first = last = 0
    for entry in query(connection, AuditQuery(after=start, before=stop)):
        first, last = first or entry.seq, entry.seq
        events[entry.event] += 1
        if entry.who:
            deeds.setdefault(entry.who, Counter())[entry.event] += 1
        if entry.event.rpartition(".")[2] in _REFUSALS:
            refusals.append(_refusal(entry))
    between = (start.astimezone(UTC).isoformat(), stop.astimezone(UTC).isoformat())
    return DayReport(
        day,
        str(zone),
        events.total(),
        first,
        last,
        _by_number(events),
        _runs(connection, between),
        _orders(connection, between),
        _traded(connection, between),
        tuple(refusals),
        {who: _by_number(done) for who, done in sorted(deeds.items())},
    )


def _by_number(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda c: (-c[1], c[0])))


def _refusal(entry: AuditEntry) -> ReportedRefusal:
    told = entry.payload
    message = str(told.get("message") or told.get("reason") or "")
    return ReportedRefusal(entry.seq, entry.at, entry.event, entry.strategy, entry.who, message)


def _runs(connection: sqlite3.Connection, between: tuple[str, str]) -> tuple[ReportedRun, ...]:
    rows = connection.execute(
        "SELECT id, strategy, portfolio, session, kind, outcome, message FROM runs "
        "WHERE started >= ? AND started < ? ORDER BY number",
        between,
    )
    return tuple(ReportedRun(*row) for row in rows)


def _orders(connection: sqlite3.Connection, between: tuple[str, str]) -> dict[str, int]:
    rows = connection.execute(
        "SELECT state, count(*) FROM intents WHERE run IN (SELECT id FROM runs WHERE started >= ? AND started < ?) "
        "GROUP BY state ORDER BY state",
        between,
    )
    return {str(state): int(number) for state, number in rows}


def _traded(connection: sqlite3.Connection, between: tuple[str, str]) -> TradedTotals:
    done = TradedTotals()
    rows = connection.execute(
        "SELECT side, quantity, price, commission FROM fills WHERE at >= ? AND at < ? ORDER BY number", between
    )
    for side, quantity, price, commission in rows:
        value = Decimal(quantity) * Decimal(price)
        bought, sold = (value, ZERO) if side == "buy" else (ZERO, value)
        fee = done.commission + Decimal(commission)
        done = TradedTotals(done.fills + 1, done.bought + bought, done.sold + sold, fee)
    return done
