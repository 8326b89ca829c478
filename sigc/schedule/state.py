"""The state of one job, what happens to it, and what is to be done: the vocabulary of `step.py`.

In three parts: `JobState` with its phases; the events, which the controller sees; the actions, which it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sigc.schedule.job import Condition, Fire, Job
from sigc.schedule.misfire import Miss, Reason


@dataclass(frozen=True, slots=True)
class Pending:
    """A fire that is to run, and what it needs of other jobs: their names and the fires that must have finished."""

    fire: Fire
    needed: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not started: something is not there yet."""

    pending: Pending


@dataclass(frozen=True, slots=True)
class Starting:
    """A run was asked for; which one is not known yet. Attempts count from 1."""

    pending: Pending
    attempt: int


@dataclass(frozen=True, slots=True)
class Running:
    """A run goes on."""

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
    """How the newest fire of a job ended."""

    job: str
    planned: datetime
    ok: bool


@dataclass(frozen=True, slots=True)
class JobState:
    """A job and what is going on with it. `others` are runs of it that the schedule did not start."""

    job: Job
    enabled: bool = True
    paused: bool = False
    phase: Phase | None = None
    queue: tuple[Pending, ...] = ()
    others: frozenset[str] = frozenset()
    finished: tuple[FireResult, ...] = ()  # of the jobs it depends on, by name
    chained: datetime | None = None  # the last fire that dependencies alone gave
    alarmed: datetime | None = None  # the fire whose deadline was told of

    @property
    def busy(self) -> bool:
        """Whether a new fire would meet an old one."""
        return self.phase is not None or bool(self.others)

    def result(self, job: str) -> FireResult | None:
        """How the newest fire of the job depended on ended, None when none has."""
        return next((result for result in self.finished if result.job == job), None)


def fresh(job: Job) -> JobState:
    """The state of a job that nothing has happened to."""
    return JobState(job, job.enabled)


# Events: what the controller saw.


@dataclass(frozen=True, slots=True)
class FireDue:
    """A fire's time has come; `met` are the job's conditions that hold."""

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
    """A run began: the one asked for when `planned` is its fire, else one from elsewhere."""

    run: str
    now: datetime
    planned: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunRefused:
    """The run that was asked for can't begin (its session was traded already, the daemon stops)."""

    planned: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run ended. `before_trading`: it is certain that it sent no order."""

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


# Actions: what the controller is to do.


@dataclass(frozen=True, slots=True)
class StartRun:
    """Begin a run, and answer with RunStarted or RunRefused."""

    fire: Fire
    attempt: int


@dataclass(frozen=True, slots=True)
class QueueFire:
    """Nothing to do: the fire waits behind the run that goes on."""

    fire: Fire


@dataclass(frozen=True, slots=True)
class CancelRun:
    """End this run; RunFinished follows."""

    run: str


@dataclass(frozen=True, slots=True)
class RecordMiss:
    """Write down that the fire will not run."""

    miss: Miss


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Nothing to do before `at`, when a Tick starts the attempt."""

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
