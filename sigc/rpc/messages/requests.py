"""The messages of the daemon's verbs, in the order of `verbs/`.

Plain values, so that the thin client reads them without the daemon's libraries. Those of `sigc status` and of runs have
a module of their own: each dataclass takes time to create, and a command pays only for what it prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated

from sigc.errors import Diagnostic
from sigc.rpc.messages.status import Details as Details
from sigc.rpc.messages.status import RunStatus as RunStatus
from sigc.rpc.messages.status import StatusReply as StatusReply
from sigc.rpc.messages.status import StrategyStatus as StrategyStatus
from sigc.rpc.messages.status import WorkerStatus as WorkerStatus
from sigc.rpc.schema import Bounds, Match, Name

RunId = Annotated[str, Match(r"[A-Za-z0-9._-]{1,80}")]
Text = Annotated[str, Match(r"[^\x00]{0,1000}")]
Path = Annotated[str, Match(r"[^\x00]{0,4096}")]
Count = Annotated[int, Bounds(1, 1000)]


# Status.


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """A request for the status. is_detailed: with workers, tasks, cache, queue, connections, checks and versions."""

    is_detailed: bool = False


# Pause, resume, reload, stop.


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """A pause, halt or its end. strategy: None for all."""

    strategy: Name | None = None
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class HoldReply:
    """The strategies paused now ('' is everything). is_changed: the call changed something."""

    is_changed: bool
    paused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReloadRequest:
    """A reload. is_plan: return the differences, change nothing."""

    is_plan: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A difference of two configurations. kind: added, removed or changed; needs_restart: reload can't apply it."""

    what: str
    kind: str
    before: str = ""
    after: str = ""
    needs_restart: bool = False


@dataclass(frozen=True, slots=True)
class ReloadReply:
    """The differences. is_applied: they are in force."""

    changes: tuple[Change, ...]
    is_applied: bool
    findings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class StopRequest:
    """A stop or restart. timeout_seconds: time for runs to finish; None: as configured. is_forced: no time."""

    is_forced: bool = False
    timeout_seconds: Annotated[float, Bounds(0, 86_400)] | None = None


@dataclass(frozen=True, slots=True)
class StopReply:
    """The process that will end, and the time that may take."""

    pid: int
    identity: str
    timeout_seconds: float
    runs: int


# Runs.


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run of a configured strategy, or of a file (an absolute path). date: None for the newest data."""

    strategy: Name | None = None
    file: Path = ""
    portfolio: Annotated[str, Match(r"[A-Za-z0-9_-]{0,64}")] = ""
    date: date | None = None
    is_dry: bool = False
    params: Mapping[str, float] = field(default_factory=dict)
    slot: Annotated[str, Match(r"[A-Za-z0-9_.:-]{0,64}")] = ""
    is_forced: bool = False
    accepts_differences: bool = False
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class OneRun:
    """A run by its id."""

    id: RunId


@dataclass(frozen=True, slots=True)
class RunsRequest:
    """The newest runs, of one strategy or of all."""

    strategy: Name | None = None
    most: Count = 50


@dataclass(frozen=True, slots=True)
class RunsReply:
    """Runs, newest first."""

    runs: tuple[RunStatus, ...]


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A run by its id, and the reason for cancelling it."""

    id: RunId
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class CancelledOrderCounts:
    """The orders of a cancelled run. sent: had gone out; of these taken_back: cancelled at the broker, filled: before
    that, partly: filled in part, open: cancelled, but the broker has yet to say so. unsent: never sent, nor will be.
    """

    sent: int = 0
    unsent: int = 0
    taken_back: int = 0
    filled: int = 0
    partly: int = 0
    open: int = 0


@dataclass(frozen=True, slots=True)
class CancelReply:
    """The cancelled run. was_going: it was under way and ends as soon as it can. left: open orders not cancelled.

    stage: it was in, '' before the first one. outcome: of a run that had ended. orders: None for a run without any.
    """

    was_going: bool
    left: int = 0
    strategy: str = ""
    kind: str = ""
    stage: str = ""
    outcome: str = ""
    orders: CancelledOrderCounts | None = None


@dataclass(frozen=True, slots=True)
class LogsRequest:
    """A request for the last log lines of a run."""

    id: RunId
    most: Count = 200


@dataclass(frozen=True, slots=True)
class LogsReply:
    """Lines as they are in the log."""

    lines: tuple[str, ...]


# Schedule.


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job. phase: idle, waiting, starting, running or retrying."""

    name: str
    kind: str
    trigger: str
    zone: str
    strategy: str
    is_enabled: bool
    is_paused: bool
    phase: str
    next_fire: datetime | None = None
    last_fire: datetime | None = None
    last_status: str = ""
    depends_on: tuple[str, ...] = ()
    run: str = ""


@dataclass(frozen=True, slots=True)
class JobsReply:
    """Every job, by name."""

    jobs: tuple[JobStatus, ...]
    zone: str


@dataclass(frozen=True, slots=True)
class NextRequest:
    """A request for the next fires, at most `most`."""

    most: Count = 10


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A planned fire. at: its time with jitter."""

    job: str
    strategy: str
    planned: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class NextReply:
    """Fires in order."""

    fires: tuple[Upcoming, ...]
    zone: str


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job by its name."""

    job: Name
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class SwitchReply:
    """The job's state. is_changed: the call changed it."""

    is_changed: bool
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class JobRunRequest:
    """A run of a job now. is_dry: compute, trade nothing. is_forced: although it is paused."""

    job: Name
    is_dry: bool = False
    is_forced: bool = False
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class JobRunReply:
    """The run that began; '' if the fire waits behind another. message: a warning for the operator."""

    run: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """The newest fires of a job."""

    job: Name
    most: Count = 50


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A fire that ran (run, outcome) or did not (outcome missed, with the reason as message).

    kind: of the run (trade, dry, script, ...), '' without one.
    """

    at: datetime
    planned: datetime | None
    outcome: str
    run: str = ""
    message: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class HistoryReply:
    """Fires, newest first."""

    entries: tuple[HistoryEntry, ...]
    zone: str
