"""Jobs and their fires: the time, the conditions, and the policies for late, overlapping and failed runs.

Read `Job`, then `fires`: trigger, holidays, market hours and jitter together. Neighbours: `triggers.py` computes
instants, `job_entries.py` reads jobs from a configuration, `misfire.py` decides which fires run now and which were
missed, `step.py` handles a fire after that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sigc.calendar.sessions import Calendar
from sigc.schedule.triggers import Relative, Trigger, fires_between, first_of, sessions_near


class JobKind(StrEnum):
    """The work of a job. rebalance is compute and execute in one."""

    COMPUTE = "compute"
    EXECUTE = "execute"
    REBALANCE = "rebalance"
    DATA_REFRESH = "data_refresh"
    RECONCILE = "reconcile"
    REPORT = "report"
    SCRIPT = "script"


_OPEN, _CLOSE = Relative("open"), Relative("close")
_TICK = timedelta(microseconds=1)
TRADING = frozenset({JobKind.EXECUTE, JobKind.REBALANCE})


class Misfire(StrEnum):
    """The policy for missed fires: run none, the newest, or each in order."""

    SKIP = "skip"
    LATEST = "latest"
    ALL = "all"


class Overlap(StrEnum):
    """The policy for a fire while an earlier run goes on: miss it, queue it, or cancel that run."""

    SKIP = "skip"
    QUEUE = "queue"
    CANCEL_OLD = "cancel_old"


class Condition(StrEnum):
    """A condition for the start of a run. A closed market ends the fire; data may still become fresh."""

    MARKET_OPEN = "market_open"
    DATA_FRESH = "data_fresh"


@dataclass(frozen=True, slots=True)
class MarketWindow:
    """The market hours of a job: it fires from `start` on and before `end` of a session only."""

    start: Relative = _OPEN
    end: Relative = _CLOSE


@dataclass(frozen=True, slots=True)
class Job:
    """One entry of the schedule.

    Without a trigger it fires when all it depends on have finished on one day. `skip_holidays` drops the fires of
    days on which the exchange has no session. `misfire` None means skip for kinds that trade, else latest. A fire
    more than `grace_s` late counts as missed, and runs by `misfire` while younger than `misfire_window_s`. A
    failed run is tried again up to `retries` times after backoff_s, 2 backoff_s, 4 backoff_s..., never once it
    may have traded. A job not finished `deadline_s` after its fire raises an alert. `command` is what a
    script runs: a program and its arguments, no shell.
    """

    name: str
    kind: JobKind = JobKind.COMPUTE
    trigger: Trigger | None = None
    zone: str = "America/New_York"
    calendar: str = "nyse"
    skip_holidays: bool = True
    window: MarketWindow | None = None
    conditions: frozenset[Condition] = frozenset()
    depends_on: tuple[str, ...] = ()
    retries: int = 0
    backoff_s: float = 30.0
    deadline_s: float | None = None
    jitter_s: float = 0.0
    misfire: Misfire | None = None
    misfire_window_s: float = 86_400.0
    grace_s: float = 60.0
    overlap: Overlap = Overlap.SKIP
    enabled: bool = True
    strategy: str = ""
    command: tuple[str, ...] = ()

    @property
    def misfire_policy(self) -> Misfire:
        """Return `misfire`, or the default of the kind."""
        return self.misfire or (Misfire.SKIP if self.kind in TRADING else Misfire.LATEST)

    @property
    def needs_calendar(self) -> bool:
        """Return True if its fires depend on the sessions of an exchange."""
        return self.skip_holidays or self.window is not None or isinstance(self.trigger, Relative)


@dataclass(frozen=True, slots=True, order=True)
class Fire:
    """One planned time of a job. `planned` identifies it; the run starts at `at`, later by the jitter."""

    planned: datetime
    at: datetime
    job: str
    by_hand: bool = False


def fires(job: Job, after: datetime, until: datetime, calendar: Calendar | None) -> tuple[Fire, ...]:
    """Return the fires of `job` planned in (after, until], ascending; none without a trigger.

    `calendar` is the job's. Raise SigcError (E402) if it is needed and does not cover the days.
    """
    if job.trigger is None or until <= after:
        return ()
    if not job.needs_calendar:
        return tuple(fire(job, at) for at in fires_between(job.trigger, after, until))
    if calendar is None:
        raise ValueError(f"job '{job.name}' needs a calendar")
    return tuple(fire(job, at) for at in _instants(job, job.trigger, after, until, calendar))


def next_job_fires(job: Job, after: datetime, n: int, calendar: Calendar | None) -> tuple[Fire, ...]:
    """Return the next `n` fires planned later than `after`; fewer at the calendar's end."""
    if job.trigger is None:
        return ()
    last = calendar if job.needs_calendar else None
    return first_of(lambda low, high: fires(job, low, high, calendar), after, n, last)


def fire(job: Job, planned: datetime) -> Fire:
    """Return the fire of `job` at that instant. Its jitter depends only on the job's name and the instant."""
    planned = planned.astimezone(UTC)
    # Hashed, not random: a restart finds the same fires, and two daemons with one configuration fire together.
    digest = hashlib.sha256(f"{job.name} {planned.isoformat()}".encode()).digest()
    share = int.from_bytes(digest[:6]) / (1 << 48)
    return Fire(planned, planned + timedelta(seconds=round(job.jitter_s * share, 3)), job.name)


def _instants(job: Job, trigger: Trigger, after: datetime, until: datetime, calendar: Calendar) -> Iterable[datetime]:
    near = sessions_near(calendar, after, until)
    if isinstance(trigger, Relative):
        found = fires_between(trigger, after, until, calendar)
    elif job.window is not None:
        # Only market hours are searched: a job of every minute costs nothing over a weekend.
        # A tick before the start, since `fires_between` excludes its lower bound and the window includes it.
        spans = ((max(after, job.window.start.of(s) - _TICK), min(until, job.window.end.of(s))) for s in near)
        found = tuple(sorted({at for low, high in spans for at in fires_between(trigger, low, high)}))
    else:
        found = fires_between(trigger, after, until)
    zone = ZoneInfo(calendar.zone)
    days = {s.day for s in near}
    for at in found:
        if job.window is not None and not any(job.window.start.of(s) <= at < job.window.end.of(s) for s in near):
            continue
        # The exchange's day counts, not the job's: in Tokyo New York's Friday closes on Saturday.
        traded = at.astimezone(zone).date() in days or any(s.open <= at < s.close for s in near)
        if traded or not job.skip_holidays:
            yield at
