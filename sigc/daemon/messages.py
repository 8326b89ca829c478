"""What goes over the wire: the requests and replies of the daemon's verbs, in the order of `*_verbs.py`.

Values alone, so that the thin client reads them without the daemon's libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any

from sigc.daemon.typed import Bounds, Match, Name
from sigc.errors import Diagnostic

RunId = Annotated[str, Match(r"[A-Za-z0-9._-]{1,80}")]
Text = Annotated[str, Match(r"[^\x00]{0,1000}")]
Path = Annotated[str, Match(r"[^\x00]{0,4096}")]
Count = Annotated[int, Bounds(1, 1000)]


# Status.


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """is_detailed: workers, tasks, cache, queue, connections, checks and versions too."""

    is_detailed: bool = False


@dataclass(frozen=True, slots=True)
class StrategyStatus:
    """A strategy: active, paused, disabled or halted; its last run and how it ended; when it is due next."""

    name: str
    state: str
    last_run: datetime | None = None
    next_run: datetime | None = None
    status: str = "never run"
    run: str = ""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker of the cluster."""

    address: str
    memory_bytes: int
    memory_limit_bytes: int
    tasks: int
    threads: int = 0
    cpu_pct: float = 0.0


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run: waiting, running or ended; then with its outcome, findings and what it found (`result`)."""

    id: str
    strategy: str
    kind: str
    state: str
    asked: datetime
    stage: str = ""
    done: int = 0
    total: int = 0
    text: str = ""
    finished: datetime | None = None
    outcome: str = ""
    message: str = ""
    session: str = ""
    as_of: str = ""
    who: str = ""
    job: str = ""
    reason: str = ""
    stages: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Diagnostic, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Details:
    """What `status --detailed` adds. workers: of the cluster; queue: runs under way and waiting."""

    cluster: str = ""
    cluster_dashboard: str = ""
    workers: tuple[WorkerStatus, ...] = ()
    cache: Mapping[str, Any] = field(default_factory=dict)
    queue: tuple[RunStatus, ...] = ()
    connections: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    loop_lag_ms: float = 0.0
    jobs: int = 0


@dataclass(frozen=True, slots=True)
class StatusReply:
    """status: starting, running or stopping. zone: of the times people are shown. identity: of the process.

    life: of this start; a restart keeps the process and has another. broker: where orders go, `paper` or a name.
    page: where the status page is, '' without one.
    """

    name: str
    status: str
    pid: int
    identity: str
    version: str
    uptime_seconds: float
    memory_bytes: int
    memory_limit_bytes: int
    cpu_pct: float
    zone: str
    is_ready: bool
    is_paused: bool
    life: str
    reason: str = ""
    broker: str = "paper"
    is_halted: bool = False
    page: str = ""
    strategies: tuple[StrategyStatus, ...] = ()
    detailed: Details | None = None


# Pause, resume, reload, stop.


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """strategy: none for all."""

    strategy: Name | None = None
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class HoldReply:
    """Whether anything changed; what is paused now ('' is everything)."""

    is_changed: bool
    paused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReloadRequest:
    """is_plan: tell the difference, change nothing."""

    is_plan: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two configurations. kind: added, removed or changed; needs_restart: not by a reload."""

    what: str
    kind: str
    before: str = ""
    after: str = ""
    needs_restart: bool = False


@dataclass(frozen=True, slots=True)
class ReloadReply:
    """The difference, and whether it is in force."""

    changes: tuple[Change, ...]
    is_applied: bool
    findings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class StopRequest:
    """timeout_seconds: how long runs may take to finish; none: as configured. is_forced: not at all."""

    is_forced: bool = False
    timeout_seconds: Annotated[float, Bounds(0, 86_400)] | None = None


@dataclass(frozen=True, slots=True)
class StopReply:
    """The process that is going to end, and how long that may take."""

    pid: int
    identity: str
    timeout_seconds: float
    runs: int


# Runs.


@dataclass(frozen=True, slots=True)
class RunRequest:
    """strategy: a configured one, or file: an absolute path. date: none for the newest data."""

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
    """Runs, the newest first."""

    runs: tuple[RunStatus, ...]


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A run by its id, and why it is to end."""

    id: RunId
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class CancelReply:
    """was_going: whether the run was under way; it ends as soon as it can. left: open orders that were not reached."""

    was_going: bool
    left: int = 0


@dataclass(frozen=True, slots=True)
class LogsRequest:
    """The last lines of the log that belong to a run."""

    id: RunId
    most: Count = 200


@dataclass(frozen=True, slots=True)
class LogsReply:
    """Lines as they stand in the log."""

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
    """How many of the next fires."""

    most: Count = 10


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A fire that is planned, and when it comes with its jitter."""

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
    """Whether anything changed, and how it is now."""

    is_changed: bool
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class JobRunRequest:
    """Run a job now. is_dry: compute, trade nothing. is_forced: though it is paused."""

    job: Name
    is_dry: bool = False
    is_forced: bool = False
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class JobRunReply:
    """The run that began; none when the fire waits behind another."""

    run: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """The newest fires of a job."""

    job: Name
    most: Count = 50


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A fire that ran (run, outcome) or did not (outcome missed, with the reason as message)."""

    at: datetime
    planned: datetime | None
    outcome: str
    run: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class HistoryReply:
    """Fires, the newest first."""

    entries: tuple[HistoryEntry, ...]
    zone: str
