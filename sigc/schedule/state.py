"""The vocabulary of `step.py`: a job's state, the events that happen to it, the actions to do.

In three parts: `JobState` with its phases; the events, reported by the controller; the actions, done by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sigc.schedule.job import Condition, Fire, Job
from sigc.schedule.misfire import Miss, Reason


@dataclass(frozen=True, slots=True)
class Pending:
    """A fire to run, and what it needs of other jobs: their names and the fires that must have finished."""

    fire: Fire
    needed: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """The fire has not started: a dependency, a condition or its jitter is open."""

    pending: Pending


@dataclass(frozen=True, slots=True)
class Starting:
    """A run was requested; its id is not known yet. Attempts count from 1."""

    pending: Pending
    attempt: int


@dataclass(frozen=True, slots=True)
class Running:
    """A run is under way."""

    pending: Pending
    attempt: int
    run: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """A run failed; attempt `attempt` begins at `at`."""

    pending: Pending
    attempt: int
    at: datetime


Phase: TypeAlias = Waiting | Starting | Running | Retrying


@dataclass(frozen=True, slots=True)
class FireResult:
    """The end of a job's newest fire."""

    job: str
    planned: datetime
    ok: bool


@dataclass(frozen=True, slots=True)
class JobState:
    """A job and its current phase. `others` are runs of it that the schedule did not start."""

    job: Job
    enabled: bool = True
    paused: bool = False
    phase: Phase | None = None
    queue: tuple[Pending, ...] = ()
    others: frozenset[str] = frozenset()
    finished: tuple[FireResult, ...] = ()  # results of the jobs it depends on, sorted by name
    chained: datetime | None = None  # the last fire made by dependencies alone
    alarmed: datetime | None = None  # the fire whose deadline was alerted

    @property
    def busy(self) -> bool:
        """Return True if a new fire would overlap an old one."""
        return self.phase is not None or bool(self.others)

    def result(self, job: str) -> FireResult | None:
        """Return the result of the newest fire of a dependency, None if none has ended."""
        return next((result for result in self.finished if result.job == job), None)


def fresh(job: Job) -> JobState:
    """Return the state of a new job."""
    return JobState(job, job.enabled)


# Events: reported by the controller.


@dataclass(frozen=True, slots=True)
class FireDue:
    """The time of a fire has come; `met` are the job's conditions that hold."""

    fire: Fire
    now: datetime
    needed: tuple[tuple[str, datetime], ...] = ()
    met: frozenset[Condition] = frozenset()


@dataclass(frozen=True, slots=True)
class FireMissed:
    """A fire was found missed."""

    miss: Miss


@dataclass(frozen=True, slots=True)
class Requested:
    """Someone wants a run now: it waits for nothing. Only `force` runs a paused job."""

    fire: Fire
    now: datetime
    force: bool = False


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run began: the requested one if `planned` is its fire, else one from elsewhere."""

    run: str
    now: datetime
    planned: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunRefused:
    """The requested run can't begin (its session was traded already, the daemon stops)."""

    planned: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run ended. `before_trading`: it sent no order, for certain."""

    run: str
    ok: bool
    now: datetime
    before_trading: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class DependencyFinished:
    """A fire of another job ended, for good."""

    result: FireResult
    now: datetime


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `met` are the job's conditions that hold."""

    now: datetime
    met: frozenset[Condition] = frozenset()


@dataclass(frozen=True, slots=True)
class Switched:
    """The job was enabled or disabled."""

    enabled: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class PauseChanged:
    """The job's strategy, or everything, was paused or resumed."""

    paused: bool
    now: datetime


Event: TypeAlias = (
    FireDue
    | FireMissed
    | Requested
    | RunStarted
    | RunRefused
    | RunFinished
    | DependencyFinished
    | Tick
    | Switched
    | PauseChanged
)


# Actions: done by the controller.


@dataclass(frozen=True, slots=True)
class StartRun:
    """Begin a run; RunStarted or RunRefused follows."""

    fire: Fire
    attempt: int


@dataclass(frozen=True, slots=True)
class QueueFire:
    """Do nothing: the fire waits behind the run under way."""

    fire: Fire


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Cancel this run; RunFinished follows."""

    run: str


@dataclass(frozen=True, slots=True)
class RecordMiss:
    """Record that the fire will not run."""

    miss: Miss


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Do nothing before `at`, when a Tick starts the attempt."""

    fire: Fire
    attempt: int
    at: datetime


@dataclass(frozen=True, slots=True)
class FireFinished:
    """The fire is over: its run succeeded, or failed for good."""

    fire: Fire
    ok: bool


@dataclass(frozen=True, slots=True)
class DidNotRun:
    """Alert: the job did not run, or not in time."""

    fire: Fire
    reason: Reason


Action: TypeAlias = StartRun | QueueFire | CancelRun | RecordMiss | RetryAt | FireFinished | DidNotRun
Step: TypeAlias = tuple[JobState, tuple[Action, ...]]
