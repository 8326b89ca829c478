"""Misfires: the decision which fires of a job run now and which were missed.

`due` is called again and again with the time; between two calls it sees every fire exactly once. A fire not more
than `grace_s` late is on time and runs. Later ones were missed (the daemon was down, the machine slept):

    skip     none of them runs
    latest   the newest runs, if none is on time and it is younger than misfire_window_s
    all      each younger than misfire_window_s runs, in order

Every missed fire that does not run becomes a `Miss`, to be recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate, takewhile

from sigc.calendar.sessions import Calendar
from sigc.schedule.job import Fire, Job, Misfire, fires

MOST_FIRES = 1000  # considered after a downtime; a job of every minute has half a million a year


class Reason(StrEnum):
    """The reason why a fire did not run, for the record and as a label of metrics."""

    LATE = "missed"
    TOO_OLD = "missed too long ago"
    NEWER = "a newer fire took its place"
    OVERLAP = "an earlier run was going on"
    QUEUE_FULL = "too many fires were waiting"
    PAUSED = "paused"
    DISABLED = "disabled"
    DEPENDENCY = "a job it depends on did not finish"
    MARKET_CLOSED = "the market was closed"
    DEADLINE = "the deadline passed"
    REFUSED = "the run was refused"


@dataclass(frozen=True, slots=True)
class Miss:
    """A fire that did not run."""

    fire: Fire
    reason: Reason


@dataclass(frozen=True, slots=True)
class DueFires:
    """The fires to run, in order; the misses; the next `last_handled`; `more`: True if older fires were left out."""

    runs: tuple[Fire, ...]
    misses: tuple[Miss, ...]
    handled: datetime
    more: bool


def due(job: Job, last_handled: datetime, now: datetime, calendar: Calendar | None) -> DueFires:
    """Return what has become due after the fire (or instant) `last_handled`, at `now`.

    A fire delayed by its jitter is due later, and so are those planned after it: none overtakes another.
    Of more than 1,000 fires only the newest 1,000 are returned.
    """
    planned, more = _newest(job, last_handled, now, calendar)
    ripe = list(takewhile(lambda one: one.at <= now, planned))
    waits = len(ripe) < len(planned)
    # A fire held back by its jitter stays unhandled, and with it all later ones.
    handled = [one.planned for one in ripe][-1:] if waits else [now]
    runs, misses = _sorted_out(job, ripe, now)
    return DueFires(runs, misses, max([last_handled, *handled]), more)


def _sorted_out(job: Job, ripe: list[Fire], now: datetime) -> tuple[tuple[Fire, ...], tuple[Miss, ...]]:
    grace, window = timedelta(seconds=job.grace_s), timedelta(seconds=job.misfire_window_s)
    # A fire that waited for another's jitter is late only when that one is: lateness never rises along `ripe`.
    late_by = [now - at for at in accumulate((one.at for one in ripe), max)]
    late = [one for one, by in zip(ripe, late_by, strict=True) if by > grace]
    young = [one for one, by in zip(late, late_by, strict=False) if by <= window]
    punctual = ripe[len(late) :]
    match job.misfire_policy:
        case Misfire.SKIP:
            made_up: list[Fire] = []
        case Misfire.LATEST:
            made_up = [] if punctual else young[-1:]
        case Misfire.ALL:
            made_up = young
    # Of the late ones the last are made up for and the first are too old.
    missed = late[: len(late) - len(made_up)]
    reasons = (Reason.TOO_OLD if place < len(late) - len(young) else Reason.LATE for place in range(len(missed)))
    misses = (Miss(one, reason) for one, reason in zip(missed, reasons, strict=True))
    return (*made_up, *punctual), tuple(misses)


def _newest(job: Job, after: datetime, until: datetime, calendar: Calendar | None) -> tuple[list[Fire], bool]:
    """Return the newest fires planned in (after, until], ascending, and True if there may be more before them."""
    found: list[Fire] = []
    high, width = until, timedelta(days=1)
    # Backwards in windows that double: only as many fires as needed are computed.
    while high > after and len(found) < MOST_FIRES:
        low = max(after, high - width)
        found = [*fires(job, low, high, calendar), *found]
        high, width = low, width * 2
    kept = found[-MOST_FIRES:]
    return kept, high > after or len(kept) < len(found)
