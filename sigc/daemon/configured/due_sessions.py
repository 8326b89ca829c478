"""The session a run at an instant trades for, and what was due in it: the plan that `sigc.why` judges by.

    plan = plan_of(found, calendars, "momentum", now, day)

A run that begins at t trades for the first session whose close and cut-off lie after t (`sigc_pipelines.live.session`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sigc.calendar.sessions import Calendar, Session
from sigc.daemon.configured.configured import Configured
from sigc.errors import Diagnostic, SigcError
from sigc.schedule.job import TRADING, Condition, Job, fires, next_job_fires
from sigc.schedule.triggers import Relative, parse_relative, trigger_text
from sigc.store.ledger import jobs, runs
from sigc.why.session_plan import PlannedJob, SessionPlan

Calendars = Mapping[str, Calendar]
_LOOK_BACK = (timedelta(days=7), timedelta(days=40), timedelta(days=400))
_DAY = timedelta(days=1)
_BEYOND = (SigcError, OverflowError)  # a day outside the calendar, or outside Python's dates


@dataclass(frozen=True, slots=True)
class NewestRuns:
    """The sessions of a strategy's newest trade, and of its newest run of any kind; ISO dates, '' for none."""

    traded: str = ""
    tried: str = ""


NO_RUN = NewestRuns()


def plan_of(
    found: Configured,
    calendars: Calendars,
    strategy: str,
    now: datetime,
    day: date | None = None,
    last: NewestRuns = NO_RUN,
) -> SessionPlan:
    """Return the plan of a strategy for a session: that of `day`, else the last one that was due.

    last: the sessions of its newest runs in the ledger. A trade counts beside what was due; a dry run only where
    nothing was due and nothing traded.
    """
    config = found.loaded.config
    calendar, cut_off = calendars[config.schedule.calendar], parse_relative(config.execution.cut_off)
    entry = found.strategy(strategy)
    own = tuple(job for job in found.jobs if job.strategy == strategy and job.kind in TRADING)
    by_name = {job.name: job for job in found.jobs}
    wanted = day or _last_due(own, by_name, calendars, calendar, cut_off, now, last)
    window = window_of(calendar, cut_off, wanted)
    start, end = window if window is not None else (None, None)
    return SessionPlan(
        strategy,
        str(wanted),
        now,
        config.schedule.timezone,
        config.schedule.calendar,
        _before(calendar, wanted),
        start,
        end,
        _is_session(calendar, wanted),
        _after(calendar, wanted),
        tuple(sorted(s.name for s in found.strategies)),
        entry is not None,
        entry is None or entry.enabled,
        "" if entry is None else str(entry.file),
        "" if entry is None else entry.portfolio,
        tuple(_planned(job, by_name, calendars, window, now) for job in own),
        meant=by_name[strategy].strategy if entry is None and strategy in by_name else "",
    )


def session_at(calendar: Calendar, cut_off: Relative, at: datetime) -> date:
    """Return the session that a run begun at an instant trades for. Raise E402 outside the calendar."""
    session = calendar.after(calendar.last_complete(at).day)
    return session.day if cut_off.of(session) > at else calendar.after(session.day).day


def session_wanted(
    connection: sqlite3.Connection, configured: Configured, calendars: Calendars, strategy: str, run: str
) -> tuple[date | None, NewestRuns]:
    """Return the session of a run (None if no run is named), and the sessions of the strategy's newest runs.

    A run that ended before it had a session counts for the one it would have traded for. Raise E312.
    """
    last = NewestRuns(
        runs.last_session_of(connection, strategy), runs.last_session_of(connection, strategy, with_dry=True)
    )
    if not run:
        return None, last
    try:
        return date.fromisoformat(runs.find(connection, run).key.session), last
    except SigcError:
        order = jobs.find(connection, run)
    if order is None:
        raise SigcError(Diagnostic("E312", f"there is no run '{run}'", hint="see `sigc runs list`"))
    return _session_of(configured, calendars, order.session, order.asked), last


def _session_of(configured: Configured, calendars: Calendars, session: str, asked: datetime) -> date:
    if session:
        return date.fromisoformat(session)
    config = configured.loaded.config
    try:
        return session_at(calendars[config.schedule.calendar], parse_relative(config.execution.cut_off), asked)
    except SigcError:
        return asked.date()


def _last_due(
    own: tuple[Job, ...],
    by_name: Mapping[str, Job],
    calendars: Calendars,
    calendar: Calendar,
    cut_off: Relative,
    now: datetime,
    last: NewestRuns,
) -> date:
    """Return the session of the newest past fire or of a later trade; else of the newest run; else today's."""
    timed = [one for job in own for one in _triggered(job, by_name)]
    # Short spans first: listing the fires of 400 days of a minute job is slow.
    for back in _LOOK_BACK:
        past = [at for job in timed for at in _fires(job, now - back, now, calendars)]
        if past:
            with suppress(SigcError):
                newest = str(session_at(calendar, cut_off, max(past)))
                return date.fromisoformat(max(newest, last.traded))
    if last.traded or last.tried:
        return date.fromisoformat(last.traded or last.tried)
    try:
        return session_at(calendar, cut_off, now)
    except SigcError:
        return now.date()


def _triggered(job: Job, by_name: Mapping[str, Job]) -> tuple[Job, ...]:
    """Return the job itself or, if it has no trigger, the jobs with triggers that it follows."""
    if job.trigger is not None:
        return (job,)
    return tuple(one for name in job.depends_on if name in by_name for one in _triggered(by_name[name], by_name))


def _fires(job: Job, start: datetime, end: datetime, calendars: Calendars) -> tuple[datetime, ...]:
    with suppress(SigcError):
        return tuple(one.planned for one in fires(job, start, end, calendars.get(job.calendar)))
    return ()


def _planned(
    job: Job,
    by_name: Mapping[str, Job],
    calendars: Calendars,
    window: tuple[datetime, datetime] | None,
    now: datetime,
) -> PlannedJob:
    timed = _triggered(job, by_name)
    # `fires` takes (start, end]; the window is [start, end).
    tick = timedelta(microseconds=1)
    due = [at for one in timed for at in _fires(one, window[0] - tick, window[1] - tick, calendars)] if window else []
    following: list[datetime] = []
    problem = ""
    for one in timed:
        try:
            following += [fire.planned for fire in next_job_fires(one, now, 1, calendars.get(one.calendar))]
        except SigcError as beyond:
            problem = str(beyond)
    return PlannedJob(
        job.name,
        trigger_text(job.trigger),
        job.depends_on,
        tuple(sorted(due)),
        min(following, default=None),
        job.enabled,
        Condition.DATA_FRESH in job.conditions,
        job.grace_s,
        problem,
    )


def window_of(calendar: Calendar, cut_off: Relative, day: date) -> tuple[datetime, datetime] | None:
    """Return when a run must begin to trade for a session; for a day without one, the span between its neighbours."""
    try:
        session = calendar.session_on(day)
        if session is None:
            before, after = calendar.before_or_on(day), calendar.after(day)
            return _end(before, cut_off), _end(after, cut_off)
        return _end(calendar.before_or_on(day - _DAY), cut_off), _end(session, cut_off)
    except _BEYOND:
        return None


def _end(session: Session, cut_off: Relative) -> datetime:
    return min(session.close, cut_off.of(session))


def _is_session(calendar: Calendar, day: date) -> bool:
    try:
        return calendar.session_on(day) is not None
    except _BEYOND:
        return True  # nothing is known of that day


def _before(calendar: Calendar, day: date) -> str:
    with suppress(*_BEYOND):
        return str(calendar.before_or_on(day - _DAY).day)
    return ""


def _after(calendar: Calendar, day: date) -> str:
    with suppress(*_BEYOND):
        return str(calendar.after(day).day)
    return ""
