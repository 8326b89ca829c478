"""Dependencies between jobs: the fires a fire waits for, and the jobs to tell when one has finished.

A job with a trigger needs, of each job it depends on, the newest fire planned at or before its own: signals fire at
08:30 and trading at 09:35, so on Tuesday trading needs Tuesday's signals, however late they finish. A job without a
trigger fires itself when all it depends on have finished (`step.py`), and counts here by their fires.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sigc.calendar.sessions import Calendar
from sigc.schedule.job import Job, fires
from sigc.schedule.state import Action, DependencyFinished, FireFinished, FireResult, RecordMiss

_FARTHEST = timedelta(days=366)


def needed(
    job: Job, planned: datetime, jobs: Mapping[str, Job], calendars: Mapping[str, Calendar]
) -> tuple[tuple[str, datetime], ...]:
    """Return, for each job that `job` depends on, the fire that must have finished before the fire `planned` starts.

    A dependency that was not planned to run within a year before is not waited for.
    """
    found = ((name, _newest(jobs[name], planned, jobs, calendars)) for name in job.depends_on if name in jobs)
    return tuple((name, at) for name, at in found if at is not None)


def told(actions: Iterable[Action], now: datetime) -> tuple[DependencyFinished, ...]:
    """Return the events that dependent jobs get from the actions of a job.

    A run by hand makes up for a failed one, but its own failure takes nothing back.
    """
    events = []
    for action in actions:
        match action:
            case FireFinished(fire=one, ok=ok) if ok or not one.by_hand:
                events.append(DependencyFinished(FireResult(one.job, one.planned, ok), now))
            case RecordMiss(miss=miss) if not miss.fire.by_hand:
                events.append(DependencyFinished(FireResult(miss.fire.job, miss.fire.planned, ok=False), now))
            case _:
                pass
    return tuple(events)


def dependents(jobs: Iterable[Job]) -> dict[str, tuple[str, ...]]:
    """Return for every job the names of the jobs that depend on it directly, sorted.

    >>> dependents([Job("trade", depends_on=("signals",)), Job("signals")])
    {'signals': ('trade',), 'trade': ()}
    """
    table = sorted(jobs, key=lambda job: job.name)
    return {job.name: tuple(other.name for other in table if job.name in other.depends_on) for job in table}


def _newest(job: Job, planned: datetime, jobs: Mapping[str, Job], calendars: Mapping[str, Calendar]) -> datetime | None:
    if job.trigger is None:
        return max((at for _, at in needed(job, planned, jobs, calendars)), default=None)
    high, width = planned, timedelta(days=1)
    calendar = calendars.get(job.calendar)
    # Backwards in windows that double: most dependencies fired within the last day, a yearly one within a few steps.
    while high > planned - _FARTHEST:
        low = high - width
        found = fires(job, low, high, calendar)
        if found:
            return found[-1].planned
        high, width = low, width * 2
    return None
