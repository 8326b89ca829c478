"""A calendar, instants, and steps of one job's state, as all tests of the schedule use them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from sigc.calendar.calendar import open_calendar
from sigc.calendar.sessions import Calendar
from sigc.schedule.job import Condition, Fire, Job, fire
from sigc.schedule.misfire import Reason
from sigc.schedule.state import Action, Event, JobState, RecordMiss
from sigc.schedule.step import step

NEW_YORK = ZoneInfo("America/New_York")
T = datetime(2024, 3, 4, 14, tzinfo=UTC)
S = timedelta(seconds=1)
BOTH = frozenset(Condition)


@cache
def nyse() -> Calendar:
    """The NYSE to 2027-03-02."""
    return open_calendar("nyse", None, today=date(2026, 3, 2))


def after(seconds: float) -> datetime:
    """An instant so long after `T`."""
    return T + seconds * S


def one(job: Job, seconds: float = 0) -> Fire:
    """The job's fire so long after `T`."""
    return fire(job, after(seconds))


def walk(state: JobState, *events: Event) -> tuple[JobState, list[Action]]:
    """The state after the events, and the actions of the last of them."""
    actions: tuple[Action, ...] = ()
    for event in events:
        state, actions = step(state, event)
    return state, list(actions)


def misses(actions: Iterable[Action]) -> list[tuple[Fire, Reason]]:
    """The misses that are to be recorded."""
    return [(a.miss.fire, a.miss.reason) for a in actions if isinstance(a, RecordMiss)]
