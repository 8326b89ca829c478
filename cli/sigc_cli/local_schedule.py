"""The schedule without a daemon: jobs as configured, their states, fires and misses from the ledger."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from sigc.daemon.configured.calendars import open_calendars
from sigc.daemon.configured.configured import Configured, configured, instead_of_job
from sigc.daemon.ordering import status_text
from sigc.errors import Diagnostic, SigcError
from sigc.rpc.messages.requests import HistoryEntry, HistoryReply, JobsReply, JobStatus, NextReply, Upcoming
from sigc.schedule.job import Fire, Job, next_job_fires
from sigc.schedule.triggers import trigger_text
from sigc.store.ledger import control, jobs
from sigc_cli.daemon_or_ledger import Target, ledger_of

if TYPE_CHECKING:
    import sqlite3

    from sigc.daemon.configured.due_sessions import Calendars

T = TypeVar("T")
_OFF = "disabled"  # jobs, in the control state


@dataclass(frozen=True, slots=True)
class LocalSchedule:
    """The configuration's jobs, their calendars, a connection to the ledger."""

    found: Configured
    calendars: Calendars
    connection: sqlite3.Connection
    now: datetime

    @property
    def zone(self) -> str:
        """Of the schedule."""
        return self.found.loaded.config.schedule.timezone


def here(target: Target, look: Callable[[LocalSchedule], T]) -> T:
    """Yield the schedule of a configuration with its ledger. Raises E310."""
    with ledger_of(target, None) as (connection, place, loaded):
        found, now = configured(loaded), datetime.now(UTC)
        return look(LocalSchedule(found, open_calendars(found, place, now), connection, now))


def listed(at: LocalSchedule) -> JobsReply:
    """Return every job, by name."""
    states = jobs.states(at.connection)
    off = {one.scope for one in control.every(at.connection, _OFF)}
    held = {one.scope for one in control.every(at.connection, control.PAUSED)}
    found = []
    for job in sorted(at.found.jobs, key=lambda one: one.name):
        last = jobs.last_of_job(at.connection, job.name)
        phase = (states.get(job.name, {}).get("state") or {}).get("phase") or {}
        is_on = job.enabled and job.name not in off
        following = next(iter(_next(at, job, 1)), None) if is_on else None
        found.append(
            JobStatus(
                *(job.name, str(job.kind), trigger_text(job.trigger), job.zone, job.strategy),
                is_on,
                "" in held or job.strategy in held,
                str(phase.get("name", "idle")),
                None if following is None else following.at,
                None if last is None else last.asked,
                "" if last is None else status_text(last.outcome),
                job.depends_on,
                "" if last is None else last.id,
            )
        )
    return JobsReply(tuple(found), at.zone)


def following(at: LocalSchedule, most: int) -> NextReply:
    """Return the next fires of all enabled jobs, in order."""
    off = {one.scope for one in control.every(at.connection, _OFF)}
    on = [job for job in at.found.jobs if job.enabled and job.name not in off]
    found = [(job, one) for job in on for one in _next(at, job, most)]
    ordered = sorted(found, key=lambda pair: (pair[1].at, pair[0].name))[:most]
    return NextReply(tuple(Upcoming(job.name, job.strategy, one.planned, one.at) for job, one in ordered), at.zone)


def history(at: LocalSchedule, job: str, most: int) -> HistoryReply:
    """Return the newest fires of a job. Raises E901 for an unknown one."""
    ran, missed = jobs.recent(at.connection, most, job=job), jobs.misses(at.connection, job, most)
    known = [one.name for one in at.found.jobs]
    if not ran and not missed and job not in known:
        raise SigcError(Diagnostic("E901", f"there is no job '{job}'", hint=instead_of_job(job, at.found.jobs)))
    entries = [HistoryEntry(o.asked, o.fire, status_text(o.outcome), o.id, o.message, o.kind) for o in ran]
    entries += [HistoryEntry(miss.at, miss.planned, "missed", "", miss.reason) for miss in missed]
    newest = sorted(entries, key=lambda entry: entry.at, reverse=True)[:most]
    return HistoryReply(tuple(newest), at.zone)


def _next(at: LocalSchedule, job: Job, most: int) -> tuple[Fire, ...]:
    with suppress(SigcError):  # beyond the calendar's end nothing is known
        return next_job_fires(job, at.now, most, at.calendars.get(job.calendar))
    return ()
