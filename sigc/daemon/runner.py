"""The border between the daemon and what it runs: orders go in, ends come out; how the work is done is not known here.

    runner = make_runner(config, strategies, services)
    runner.check()                       every strategy file, before anything of this configuration is in force
    runner.keep("", watch)               once, before anything is scheduled: each run left open gets its verdict
    runner.run(order, watch)             one run, blocking, in a thread; several at a time
    runner.keep("momentum", watch)       after a run that failed, after a session's end: verdicts, fills, NAV, audit
    runner.close()

A new configuration gets a new runner; the old one is closed when the last of its runs has ended. The real one is built
in `sigc_cli.assembly.daemon`; `runs.py` calls it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sigc.clock import Clock
from sigc.errors import Diagnostic
from sigc.rpc.messages.requests import WorkerStatus
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Outcome

if TYPE_CHECKING:
    from sigc.config.settings import Config
    from sigc.daemon.page import PageOrder
    from sigc.metrics import DaemonMetrics


@dataclass(frozen=True, slots=True)
class StrategyEntry:
    """A strategy as configured: its name, its file (resolved), which portfolio trades, with how much money."""

    name: str
    file: Path
    portfolio: str = ""
    enabled: bool = True
    capital: float | None = None
    params: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What is to be run.

    kind: trade, dry, compute, or another kind of job the runner knows. date: an ISO date, '' for the newest data.
    slot: the scheduled fire of an intraday job. is_forced: against a pause, or again for a session that was traded;
    accepts_differences: between ledger and broker; then `reason` says why. who: the caller's token and name, or a job.
    capital: of its book when it is opened; None: as the settings say. is_scheduled: by a fire of the schedule, it
    trades on rebalance rows only; a run by hand (of a job too) always trades.
    """

    id: str
    strategy: str
    file: Path
    portfolio: str = ""
    kind: str = "dry"
    date: str = ""
    params: Mapping[str, float] = field(default_factory=dict)
    slot: str = ""
    is_forced: bool = False
    accepts_differences: bool = False
    reason: str = ""
    who: str = ""
    capital: float | None = None
    job: str = ""
    fire: datetime | None = None
    command: tuple[str, ...] = ()
    is_scheduled: bool = False


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended. stages: seconds by stage. session: the day it traded for; as_of: the newest row it read.

    is_before_trading: it is certain that no order was sent. result: plain data for whoever asked (weights, orders).
    """

    outcome: Outcome
    message: str = ""
    stages: Mapping[str, float] = field(default_factory=dict)
    session: str = ""
    as_of: str = ""
    is_before_trading: bool = False
    findings: tuple[Diagnostic, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)


class RunHandle(Protocol):
    """How a run is followed and ended from outside. Safe to call from any thread."""

    @property
    def cancelled(self) -> threading.Event:
        """Set when the run is to end as soon as it can."""
        ...

    def stage(self, name: str) -> None:
        """The stage that begins now."""
        ...

    def progress(self, done: int, total: int, text: str = "") -> None:
        """How far the stage is."""
        ...


@dataclass(frozen=True, slots=True)
class CheckedStrategy:
    """A strategy file that was looked at: the digest of its text, the portfolio that would trade, what is wrong.

    off: what is told of limits that nothing it loads can be judged by.
    """

    strategy: str
    digest: str = ""
    portfolio: str = ""
    problems: tuple[Diagnostic, ...] = ()
    off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """What became of a run that was left open, or of one whose orders were."""

    run: str
    outcome: Outcome
    message: str


@dataclass(frozen=True, slots=True)
class BookUpkeep:
    """A strategy's book, looked after. left: what is still to be done, in words; then it is wanted again before long.

    problems: what an operator must hear of, and that a second look may mend.
    """

    verdicts: tuple[RunVerdict, ...] = ()
    left: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Runner(Protocol):
    """What does the work of one configuration."""

    def check(self) -> tuple[CheckedStrategy, ...]:
        """Look at every strategy file; no data are opened."""
        ...

    def run(self, order: RunOrder, watch: RunHandle) -> RunEnd:
        """Do one run. What goes wrong with it is its end, or a SigcError."""
        ...

    def cancel(self, run: str, who: str, reason: str) -> int:
        """Send nothing more of a run, and take its open orders back; how many could not be reached."""
        ...

    def rename_asset(self, book: BookKey, old: str, new: str, who: str, reason: str) -> tuple[ActionEntry, ...]:
        """Rename an asset in every book that holds it, `book` among them; what was moved. Raises SigcError."""
        ...

    def keep(self, strategy: str, watch: RunHandle) -> BookUpkeep:
        """Give runs that were left open their verdicts; take in what the broker did, value the book, publish the audit.

        strategy: '' for all that a crash left, before anything runs, and nothing is valued then; else no trade of that
        strategy is under way. Again: nothing new. Raises SigcError.
        """
        ...

    def is_fresh(self, strategy: str) -> bool:
        """Whether the strategy's data are those of the session that is to be traded; it may take a while."""
        ...

    def awaited(self, strategy: str) -> str:
        """Say which row of which source is awaited, and which is the newest; '' where the data are fresh.

        Raises SigcError where the data can't be read.
        """
        ...

    def free(self) -> None:
        """Drop what is kept in memory only to be fast."""
        ...

    def checks(self) -> Mapping[str, str]:
        """How its connections are: `ok`, or what is wrong, by name (data_connection, broker_connection)."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class Cluster(Protocol):
    """The daemon's long-lived workers, as a runner and the status see them. Safe to use from several threads."""

    @property
    def is_held(self) -> bool:
        """Whether it must be there all along."""
        ...

    def open(self) -> object:
        """Open it, or find that it answers. Raises SigcError."""
        ...

    def rest(self) -> bool:
        """Close it when it had no work for a while; whether that was so."""
        ...

    def executor(self, cache: Path) -> AbstractContextManager[Any]:
        """A `sigc.engine.core.drive.Executor` on it, opened if need be; workers share the cache there."""
        ...

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Its workers as they are; none while it is closed."""
        ...

    def check(self) -> str:
        """`ok`, or what is wrong with it; a cluster that is not open because nothing needs it is ok."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...

    def link(self) -> str:
        """Where Dask's own dashboard is, '' while it is closed."""
        ...

    def targets(self) -> tuple[str, ...]:
        """Addresses (HOST:PORT) where scheduler and workers serve Dask's metrics."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What the daemon lends a runner. cluster: None when the configuration has none. scratch: for temporary files.

    spent: processor seconds of the daemon and its workers so far. has_quota: the kernel keeps them to their share.
    """

    ledger: Ledger
    metrics: DaemonMetrics
    clock: Clock
    scratch: Path
    cluster: Cluster | None = None
    spent: Callable[[], float] = time.process_time
    has_quota: bool = False


MakeRunner = Callable[["Config", tuple[StrategyEntry, ...], Services], Runner]


@dataclass(frozen=True, slots=True)
class DaemonParts:
    """What the daemon is handed by who puts it together; each is called in a thread and may import what is heavy.

    make_runner: builds the runner of a configuration. open_ledger: opens the ledger of a work dir. kinds: the kinds of
    runs that its runners can do. page_command: what starts the status page, called in the loop; None: there is none.
    """

    make_runner: MakeRunner
    open_ledger: Callable[[Config, Path, Clock], Ledger]
    kinds: frozenset[str]
    page_command: Callable[[PageOrder], Sequence[str]] | None = None
