"""The messages of the status of daemon, strategies, workers and runs; the others are in `requests.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sigc.errors import Diagnostic
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc.words import counted

# The words shown beside an outcome whose orders ended before all was filled.
UNFILLED = MappingProxyType({"part": "filled in part", "none": "nothing filled"})

_WENT_WRONG = frozenset(
    {"partial", "nothing_traded", "refused", "failed", "interrupted", "cancelled", "unresolved"}
)  # outcomes, also as the status of a strategy


def unfilled(filled: str) -> str:
    """Return the words to add to an outcome whose orders were not all filled, else ''.

    >>> "success" + unfilled("part"), "success" + unfilled("all")
    ('success, filled in part', 'success')
    """
    return f", {UNFILLED[filled]}" if filled in UNFILLED else ""


def has_no_money(broker: str) -> bool:
    """Return True if a broker, as a status names it, is known to trade no real money.

    >>> [has_no_money(name) for name in ("paper", "alpaca paper", "alpaca live", "mine")]
    [True, True, False, False]
    """
    return broker.split(" ")[-1] == "paper"


def told_as(outcome: str, waiting: WaitingOrders | None) -> str:
    """Return the word for a run whose outcome is that, '' while it goes on: `waiting` if its orders wait for the open.

    A run that went wrong says so, whatever of it waits.

    >>> orders = WaitingOrders(0, 3, datetime(2024, 1, 16))
    >>> told_as("done", None), told_as("done", orders), told_as("success", orders), told_as("partial", orders)
    ('done', 'waiting', 'waiting', 'partial')
    """
    return "waiting" if waiting is not None and outcome not in _WENT_WRONG else outcome


def waits(found: WaitingOrders, at: str) -> str:
    """Return how many orders wait for the open, and until when. at: that time as it is shown.

    >>> from datetime import UTC
    >>> opens = datetime(2024, 1, 16, 14, 30, tzinfo=UTC)
    >>> waits(WaitingOrders(12, 0, opens), "09:30:00"), waits(WaitingOrders(0, 3, opens), "09:30:00")
    ('12 orders leave at 09:30:00', '3 orders are at the broker, and may be filled from 09:30:00')
    """
    sent = f"{counted(found.sent, 'order')} {'is' if found.sent == 1 else 'are'} at the broker"
    if not found.planned:
        return f"{sent}, and may be filled from {at}"
    leave = f"{counted(found.planned, 'order')} leave{'s' if found.planned == 1 else ''} at {at}"
    return leave + (f", {sent}" if found.sent else "")


@dataclass(frozen=True, slots=True)
class StrategyStatus:
    """A strategy: active, paused, disabled or halted; its last run and how it ended; when it is due next.

    filled: open, all, part or none of the last run's orders that the broker took; '' if it took none. waiting: its
    orders that wait for the open; its status is `waiting` then. edited: that its file is not what was loaded, '' if it
    is.
    """

    name: str
    state: str
    last_run: datetime | None = None
    next_run: datetime | None = None
    status: str = "never run"
    run: str = ""
    filled: str = ""
    waiting: WaitingOrders | None = None
    edited: str = ""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker of the cluster. refused: why it does not compute, '' if it does; one that has left is listed too."""

    address: str
    memory_bytes: int
    memory_limit_bytes: int
    tasks: int
    threads: int = 0
    cpu_pct: float = 0.0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class ReadTold:
    """A source that is being read, `prices (prices.parquet)`, and for how long."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run: waiting, running or ended; once ended with outcome, findings and `result`.

    filled: open, all, part or none of the orders that the broker took; '' if it took none. waiting: its orders that
    wait for the open, whether it is running or has ended. reads: what it is reading.
    """

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
    filled: str = ""
    message: str = ""
    session: str = ""
    as_of: str = ""
    who: str = ""
    job: str = ""
    reason: str = ""
    stages: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Diagnostic, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    waiting: WaitingOrders | None = None
    reads: tuple[ReadTold, ...] = ()


@dataclass(frozen=True, slots=True)
class Details:
    """The additions of `status --detailed`. workers: of the cluster; queue: runs under way and waiting.

    cpu_limit: how the processor limit is enforced. limits_off: by strategy, limits that can't be judged with the data
    it
    loads. missed: newest fires that did not run, of jobs that have not run since, with the reason.
    """

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
    cpu_limit: str = ""
    limits_off: Mapping[str, str] = field(default_factory=dict)
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusReply:
    """The status of a daemon: starting, running or stopping. zone: of the times shown. identity: of the process.

    life: of this start; a restart keeps the process and changes it. broker: where orders go, see `has_no_money`.
    page: the address of the status page, '' without one. alerts: open ones by severity. breakers: tripped ones.
    reads: sources that it is reading, for runs and for the upkeep of books.
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
    alerts: Mapping[str, int] = field(default_factory=dict)
    breakers: tuple[str, ...] = ()
    reads: tuple[ReadTold, ...] = ()
