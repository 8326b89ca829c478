"""Run orders of the daemon and their outcomes, the states of its jobs, and missed fires.

A run order is written before its run begins and closed with its outcome. Recovery closes those that a crash left open
(`left_open`). `runs.py` holds the trading run itself, under the same id.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sigc.store.audit.chain import AuditEvent
from sigc.store.history.conditions import conditions
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import Outcome

_COLUMNS = (
    *("id", "strategy", "kind", "portfolio", "file", "date", "slot", "job", "fire", "who", "reason", "asked"),
    *("finished", "outcome", "message", "session", "as_of", "before_trading"),
)


_MOST_MISSES = 100_000
_SLACK = timedelta(days=30)  # a miss may be recorded this long after its planned time


# A trade that came to a session, but not to the ledger, traded a scratch account.
_SCRATCH = "(kind = 'trade' AND session <> '' AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = run_orders.id))"


@dataclass(frozen=True, slots=True)
class OrderedRun:
    """One run order. fire: the planned instant of its job's fire; None for one requested by hand."""

    id: str
    strategy: str
    kind: str
    portfolio: str
    file: str
    date: str
    slot: str
    job: str
    fire: datetime | None
    who: str
    reason: str
    asked: datetime
    finished: datetime | None = None
    outcome: Outcome = Outcome.OPEN
    message: str = ""
    session: str = ""
    as_of: str = ""
    is_before_trading: bool = False


@dataclass(frozen=True, slots=True)
class Missed:
    """A fire that did not run. planned: its planned instant; at: the instant of the record."""

    job: str
    planned: datetime
    reason: str
    at: datetime


def ask(tx: Transaction, order: OrderedRun) -> None:
    """Insert a run order, before anything of it is done."""
    tx.connection.execute(
        "INSERT INTO run_orders (id, strategy, kind, portfolio, file, date, slot, job, fire, who, reason, asked)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(order.id, order.strategy, order.kind, order.portfolio, order.file, order.date, order.slot, order.job),
            *(order.fire.isoformat() if order.fire else "", order.who, order.reason, order.asked.isoformat()),
        ),
    )
    said = {"kind": order.kind, "file": order.file, "date": order.date, "job": order.job, "reason": order.reason}
    tx.audit(_event("run.ordered", order, {**said, "fire": order.fire}))


def end(
    tx: Transaction, order: OrderedRun, outcome: Outcome, message: str, session: str, as_of: str, before: bool
) -> None:
    """Store the outcome of a run order. before: it is certain that no order was sent."""
    tx.connection.execute(
        "UPDATE run_orders SET finished = ?, outcome = ?, message = ?, session = ?, as_of = ?, before_trading = ?"
        " WHERE id = ?",
        (tx.at.isoformat(), outcome, tx.hide(message), session, as_of, int(before), order.id),
    )
    said = {"outcome": outcome, "message": message, "session": session, "as_of": as_of}
    tx.audit(_event("run.ended", order, said))


def find(connection: sqlite3.Connection, id: str) -> OrderedRun | None:
    """Return the run order of that id, None without one."""
    return next(iter(_many(connection, "id = ?", id)), None)


def left_open(connection: sqlite3.Connection) -> tuple[OrderedRun, ...]:
    """Return the run orders without an outcome, oldest first."""
    return _many(connection, "outcome = 'open' ORDER BY number")


def unlike_their_runs(connection: sqlite3.Connection, strategy: str) -> tuple[OrderedRun, ...]:
    """Return a strategy's trades whose run order and run disagree: ended before the run, or open though the run
    ended.
    """
    where = (
        "strategy = ? AND kind = 'trade' AND outcome IN ('open', 'unresolved', 'failed') AND EXISTS (SELECT 1 FROM runs"
        " WHERE runs.id = run_orders.id AND runs.outcome <> 'open' AND runs.outcome <> run_orders.outcome)"
        " ORDER BY number"
    )
    return _many(connection, where, strategy)


def recent(connection: sqlite3.Connection, most: int = 50, strategy: str = "", job: str = "") -> tuple[OrderedRun, ...]:
    """Return the newest run orders, newest first, of a strategy or a job if given."""
    where, values = conditions({"strategy = ?": strategy, "job = ? AND job <> ''": job})
    return _many(connection, f"1{where} ORDER BY number DESC LIMIT ?", *values, most)


def last_of(connection: sqlite3.Connection, strategy: str) -> OrderedRun | None:
    """Return the newest run order of a strategy that was neither a dry run nor traded a scratch account."""
    where = f"strategy = ? AND kind <> 'dry' AND NOT {_SCRATCH} ORDER BY number DESC LIMIT 1"
    return next(iter(_many(connection, where, strategy)), None)


def last_of_job(connection: sqlite3.Connection, job: str) -> OrderedRun | None:
    """Return the newest run order of a job that was not a dry run, None without one."""
    found = _many(connection, "job = ? AND job <> '' AND kind <> 'dry' ORDER BY number DESC LIMIT 1", job)
    return next(iter(found), None)


def asked_between(
    connection: sqlite3.Connection, strategy: str, start: datetime, end: datetime, most: int = 200
) -> tuple[OrderedRun, ...]:
    """Return the run orders of a strategy requested in [start, end), oldest first, at most `most`."""
    where = "strategy = ? AND asked >= ? AND asked < ? ORDER BY asked, id LIMIT ?"
    return _many(connection, where, strategy, start.isoformat(), end.isoformat(), most)


def of_job_since(connection: sqlite3.Connection, job: str, start: datetime) -> tuple[OrderedRun, ...]:
    """Return the newest run orders of a job (at most 50) requested at or after an instant, without dry runs."""
    return tuple(order for order in recent(connection, 50, job=job) if order.asked >= start and order.kind != "dry")


def of_fires(connection: sqlite3.Connection, job: str, most: int = 50) -> dict[datetime, str]:
    """Return the newest run ids of a job by their fire."""
    found = _many(connection, "job = ? AND job <> '' AND fire <> '' ORDER BY number DESC LIMIT ?", job, most)
    return {order.fire: order.id for order in reversed(found) if order.fire is not None}


def save_state(tx: Transaction, job: str, record: Mapping[str, Any]) -> None:
    """Store the state of a job."""
    tx.connection.execute(
        "INSERT INTO job_states (job, record, at) VALUES (?, ?, ?)"
        " ON CONFLICT (job) DO UPDATE SET record = excluded.record, at = excluded.at",
        (job, json.dumps(record, sort_keys=True), tx.at.isoformat()),
    )


def states(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """Return the states of all jobs, by name."""
    return {str(job): json.loads(text) for job, text in connection.execute("SELECT job, record FROM job_states")}


def miss(tx: Transaction, job: str, planned: datetime, reason: str, strategy: str = "") -> None:
    """Record a fire that will not run."""
    tx.connection.execute(
        "INSERT INTO misses (job, planned, reason, at) VALUES (?, ?, ?, ?)",
        (job, planned.isoformat(), reason, tx.at.isoformat()),
    )
    tx.audit(AuditEvent("job.missed", {"job": job, "planned": planned, "reason": reason}, strategy=strategy))


def did_not_run(
    tx: Transaction,
    job: str,
    planned: datetime,
    reason: str,
    strategy: str,
    *,
    is_trading: bool,
    more: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Record that an expected fire did not run, or not by its deadline.

    more: zone (of the job), session (for which it would have traded), detail (of the reason), each if known.
    """
    said = {"job": job, "planned": planned, "reason": reason, "trades": is_trading, **more}
    tx.audit(AuditEvent("job.did_not_run", said, strategy=strategy))


def misses(connection: sqlite3.Connection, job: str, most: int = 50) -> tuple[Missed, ...]:
    """Return the newest misses of a job, newest first."""
    rows = connection.execute(
        "SELECT job, planned, reason, at FROM misses WHERE job = ? ORDER BY number DESC LIMIT ?", (job, most)
    )
    return tuple(Missed(j, datetime.fromisoformat(p), r, datetime.fromisoformat(at)) for j, p, r, at in rows)


def misses_between(connection: sqlite3.Connection, job: str, start: datetime, end: datetime) -> tuple[Missed, ...]:
    """Return the misses of a job's fires planned in [start, end), oldest first.

    Misses are recorded roughly in planned order, so the scan stops 30 days before `start`.
    """
    rows = connection.execute(
        "SELECT job, planned, reason, at FROM misses WHERE job = ? ORDER BY number DESC LIMIT ?", (job, _MOST_MISSES)
    )
    found: list[Missed] = []
    for name, text, reason, at in rows:
        planned = datetime.fromisoformat(text)
        # A miss may be recorded late (after a restart), so that one row outside the days is not the end of them.
        if planned < start - _SLACK:
            break
        if start <= planned < end:
            found.append(Missed(name, planned, reason, datetime.fromisoformat(at)))
    return tuple(sorted(found, key=lambda one: one.planned))


def _event(name: str, order: OrderedRun, said: Mapping[str, Any]) -> AuditEvent:
    return AuditEvent(name, said, run=order.id, strategy=order.strategy, portfolio=order.portfolio, who=order.who)


def _many(connection: sqlite3.Connection, where: str, *values: object) -> tuple[OrderedRun, ...]:
    rows = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM run_orders WHERE {where}", values)  # noqa: S608
    return tuple(_order(row) for row in rows)


def _order(row: tuple[Any, ...]) -> OrderedRun:
    found = dict(zip(_COLUMNS, row, strict=True))
    fire, asked, finished = (found.pop(name) for name in ("fire", "asked", "finished"))
    outcome, before = Outcome(found.pop("outcome")), bool(found.pop("before_trading"))
    return OrderedRun(
        **found,
        fire=datetime.fromisoformat(fire) if fire else None,
        asked=datetime.fromisoformat(asked),
        finished=datetime.fromisoformat(finished) if finished else None,
        outcome=outcome,
        is_before_trading=before,
    )
