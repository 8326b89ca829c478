"""The detail of a fire that did not run: more than its reason, from what the ledger knows at that moment.

detail_of(connection, state, found, now)     'fetch failed 2017-03-01 09:00:01 EST: the script ended with code 3'
"""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from sigc.alerts.words import instant, moment, span
from sigc.schedule.job import Condition
from sigc.schedule.misfire import Reason
from sigc.schedule.state import DidNotRun, JobState, Running, Waiting
from sigc.schedule.step import deadline
from sigc.store.ledger import jobs, meta

_LATE = frozenset({Reason.LATE, Reason.TOO_OLD, Reason.NEWER})


def detail_of(connection: sqlite3.Connection, state: JobState, found: DidNotRun, now: datetime) -> str:
    """Return what is known beyond the reason, '' for nothing. state: the job's state before the fire was given up."""
    if found.reason in _LATE:
        return _missed(connection, state, found.fire.planned, now)
    if found.reason is Reason.DEPENDENCY:
        return _unfinished(connection, state.job.depends_on, state.job.zone)
    if found.reason is not Reason.DEADLINE:
        return ""
    ends, waited = deadline(state.job, found.fire), _waited(connection, state)
    return "; ".join(filter(None, [f"it was {moment(ends, state.job.zone)}" if ends is not None else "", waited]))


def _waited(connection: sqlite3.Connection, state: JobState) -> str:
    match state.phase:
        case Running(run=run):
            return f"its run {run} goes on"
        case Waiting(pending=pending) if pending.needed:
            names = tuple(name for name, _ in pending.needed)
            return f"it waited for {', '.join(names)}: {_unfinished(connection, names, state.job.zone)}"
        case Waiting() if Condition.DATA_FRESH in state.job.conditions:
            return "it waited for fresh data in vain"
        case _:
            return ""


def _missed(connection: sqlite3.Connection, state: JobState, planned: datetime, now: datetime) -> str:
    """Return whether a daemon was running when the fire was due."""
    row = connection.execute(
        "SELECT record FROM audit WHERE event = ? ORDER BY seq DESC LIMIT 1", (meta.STARTED,)
    ).fetchone()
    record = json.loads(row[0]) if row is not None else {}
    back, zone = instant(record.get("at")), state.job.zone
    if back is None or back <= planned:
        late = span((now - planned).total_seconds())
        return f"the daemon ran, and came to it {late} late: it was held up, the machine slept, or its clock was set"
    alive = instant(record.get("payload", {}).get("alive"))
    seen = f"; the one before was last alive {moment(alive, zone)}" if alive is not None else ""
    return f"no daemon was running at the time: it was started {moment(back, zone)}{seen}"


def _unfinished(connection: sqlite3.Connection, names: tuple[str, ...], zone: str) -> str:
    """Return the jobs that did not finish, each with the run that shows the reason."""
    told = []
    for name in names:
        order = next(iter(jobs.recent(connection, 1, job=name)), None)
        miss = next(iter(jobs.misses(connection, name, 1)), None)
        if miss is not None and (order is None or order.asked < miss.planned):
            told.append(f"{name} did not run ({miss.reason}), planned {moment(miss.planned, zone)}")
        elif order is None:
            told.append(f"{name} has not run")
        elif not order.outcome.is_success:
            message = f": {order.message}" if order.message else ""
            ended = moment(order.finished or order.asked, zone)
            told.append(f"{name} {order.outcome} {ended}{message} (sigc runs show {order.id})")
    return "; ".join(told)
