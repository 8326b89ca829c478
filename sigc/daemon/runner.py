"""The interface between the daemon and what it runs: orders go in, ends come out.

    runner = make_runner(config, strategies, services)
    runner.check()                       every strategy file, before anything of this configuration is in force
    runner.put_in_force()                the texts that were checked are those that run from now on
    runner.keep("", watch)               once, before anything is scheduled: what was left gets its verdict at once
    runner.complete(run, why, watch)     beside it, in a thread for each run that decided and was left open
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
from sigc.errors import Diagnostic, placed
from sigc.rpc.messages.books import ReconcileReply
from sigc.rpc.messages.kill import KillReply
from sigc.rpc.messages.requests import CancelledOrderCounts, WorkerStatus
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.adjustments import Adjustment
from sigc.store.ledger.book_moves import BookMove
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Outcome
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc.words import local_time

if TYPE_CHECKING:
    from sigc.config.settings import Config
    from sigc.daemon.page import PageOrder
    from sigc.metrics import DaemonMetrics


@dataclass(frozen=True, slots=True)
class StrategyEntry:
    """A configured strategy: its name, file (resolved), the portfolio that trades, capital and parameters."""

    name: str
    file: Path
    portfolio: str = ""
    enabled: bool = True
    capital: float | None = None
    params: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunOrder:
    """An order for one run.

    kind: trade, dry, compute, or another kind of job the runner knows. date: an ISO date, '' for the newest data.
    slot: the scheduled fire of an intraday job. is_forced: run although paused, or although the session was traded.
    accepts_differences: go on although ledger and broker differ; `reason` is then required. who: the caller's token and
    name, or a job. capital: of the book when it is opened; None: as the settings say. is_scheduled: from a fire of the
    schedule, which trades on rebalance rows only; a run by hand (of a job too) always trades. takes_file: a dry run
    of the strategy's file as it is now, loaded or not.
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
    takes_file: bool = False


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a run. stages: seconds by stage. session: the day it traded for; as_of: the newest row it read.

    is_before_trading: no order was sent, for certain. result: plain data for the caller (weights, orders). waiting: its
    orders that are at the broker and wait for the open. is_scratch: it traded a scratch account, so it changed nothing.
    """

    outcome: Outcome
    message: str = ""
    stages: Mapping[str, float] = field(default_factory=dict)
    session: str = ""
    as_of: str = ""
    is_before_trading: bool = False
    findings: tuple[Diagnostic, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    waiting: WaitingOrders | None = None
    is_scratch: bool = False


class RunHandle(Protocol):
    """The handle by which a run is followed and cancelled. Safe to call from any thread."""

    @property
    def cancelled(self) -> threading.Event:
        """Return the event that is set when the run must end as soon as it can."""
        ...

    def stage(self, name: str) -> None:
        """Tell that a stage begins now."""
        ...

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Tell the progress of the stage."""
        ...

    def waiting(self, why: str, until: datetime | None) -> None:
        """Tell what the run waits for ('' when it goes on), and until when; None: for an answer, soon."""
        ...

    def opening(self, orders: WaitingOrders | None) -> None:
        """Tell that its orders wait for the open of their session, or (None) that none do any more."""
        ...


@dataclass(frozen=True, slots=True)
class CheckedStrategy:
    """The result of checking a strategy file: the digest of its text, the portfolio that would trade, its problems.

    off: messages about limits that can't be judged with the data it loads.
    """

    strategy: str
    digest: str = ""
    portfolio: str = ""
    problems: tuple[Diagnostic, ...] = ()
    off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EditedText:
    """A file of a strategy that is not what was loaded. at: when it was written; problem: why it does not compile.

    zone: of the time in its text.
    """

    file: Path
    at: datetime | None = None
    problem: Diagnostic | None = None
    zone: str = "UTC"

    @property
    def text(self) -> str:
        """Return what is to be known of it, as a sentence."""
        at = "" if self.at is None else f" at {local_time(self.at, self.zone)}"
        if self.problem is None:
            return f"{self.file.name} was edited{at} and is not loaded"
        return f"{self.file.name} was edited{at} and can't be loaded: {placed(self.problem)}, `sigc check {self.file}`"


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """The verdict on a run that was left open, or whose orders were."""

    run: str
    outcome: Outcome
    message: str


@dataclass(frozen=True, slots=True)
class BookUpkeep:
    """The result of the upkeep of one book. left: work still to do, in words; the upkeep is then tried again soon.

    problems: errors an operator must hear of; a later try may succeed.
    """

    verdicts: tuple[RunVerdict, ...] = ()
    left: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopting:
    """The person who takes what the broker holds into the ledger, and why. book: the owner of what differs, if said."""

    who: str
    reason: str
    book: BookKey | None = None


class Runner(Protocol):
    """Does the work of one configuration."""

    def check(self, *, goes_on: bool = False) -> tuple[CheckedStrategy, ...]:
        """Load and check every strategy file without opening data; runs use what was loaded, see `edited`.

        goes_on: the texts in force when the daemon was cut off are taken, not the files.
        """
        ...

    def put_in_force(self) -> None:
        """Write down which texts are in force from now on. Raise E300."""
        ...

    def edited(self) -> Mapping[str, EditedText]:
        """Return, by strategy, files that are not what was loaded."""
        ...

    def run(self, order: RunOrder, watch: RunHandle) -> RunEnd:
        """Do one run. A failure is its end, or raises SigcError."""
        ...

    def cancel(self, run: str, who: str, reason: str) -> tuple[CancelledOrderCounts, int]:
        """Send no more orders of a run and cancel its open ones. Return its orders, and how many were not cancelled."""
        ...

    def kill(self, strategy: str, who: str, reason: str, is_flatten: bool) -> KillReply:
        """Halt a strategy, '' for all, cancel its open orders, and with is_flatten close its positions.

        Return when the broker has said what became of each order, or after half a minute. Raise SigcError.
        """
        ...

    def rename_asset(self, book: BookKey, old: str, new: str, who: str, reason: str) -> tuple[ActionEntry, ...]:
        """Rename an asset in every book that holds it, `book` among them. Return the entries moved. Raise SigcError."""
        ...

    def move_books(self, what: BookMove, who: str, reason: str) -> tuple[Adjustment, ...]:
        """Move shares or money of a book as a person says. Return the entries made. Raise SigcError."""
        ...

    def close_book(self, book: BookKey, who: str, reason: str) -> KillReply:
        """Cancel the open orders of a book, and close its positions.

        Raise SigcError, E804 if a configured strategy that is not halted trades it.
        """
        ...

    def reconcile(self, adopting: Adopting | None = None) -> ReconcileReply:
        """Compare ledger and broker, and adopt what differs if asked to. Raise SigcError."""
        ...

    def keep(self, strategy: str, watch: RunHandle) -> BookUpkeep:
        """Give verdicts to runs left open; apply what the broker did, value the book, publish the audit. Idempotent.

        strategy: '' for everything a crash left, except runs for `complete`, called before anything else runs, and then
        nothing is valued; else a name, called while no trade of that strategy is under way. Raise SigcError.
        """
        ...

    def complete(self, run: str, why: str, watch: RunHandle) -> RunEnd:
        """Bring a run that decided and was left open to its end, as long as its slices last. Raise SigcError.

        why: it was left open, for the record.
        """
        ...

    def is_fresh(self, strategy: str) -> bool:
        """Return True if the strategy's data are those of the session to be traded. May take a while."""
        ...

    def awaited(self, strategy: str) -> str:
        """Return which row of which source is awaited, and the newest one; '' if the data are fresh.

        Raise SigcError if the data can't be read.
        """
        ...

    def free(self) -> None:
        """Drop caches in memory."""
        ...

    def checks(self) -> Mapping[str, str]:
        """Return the state of its connections: `ok` or what is wrong, by name (data_connection, broker_connection)."""
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


class Cluster(Protocol):
    """The daemon's long-lived workers, as a runner and the status see them. Safe to use from several threads."""

    @property
    def is_held(self) -> bool:
        """Return True if the cluster must be there all along."""
        ...

    def open(self) -> object:
        """Open the cluster, or check that it answers. Raise SigcError."""
        ...

    def rest(self) -> bool:
        """Close the cluster if it has been idle for long enough. Return True if it was closed."""
        ...

    def executor(self, cache: Path) -> AbstractContextManager[Any]:
        """Return a `sigc.engine.core.drive.Executor` on the cluster, opened if needed; its workers share that cache."""
        ...

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Return the status of the workers; none while the cluster is closed."""
        ...

    def check(self) -> str:
        """Return `ok` or what is wrong; a cluster that is closed because nothing needs it is ok."""
        ...

    def close(self) -> None:
        """Close the cluster."""
        ...

    def link(self) -> str:
        """Return the address of Dask's own dashboard, '' while the cluster is closed."""
        ...

    def targets(self) -> tuple[str, ...]:
        """Return the addresses (HOST:PORT) where scheduler and workers serve Dask's metrics."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The services that the daemon lends a runner. cluster: None without one. scratch: the folder for temporary files.

    spent: processor seconds of the daemon and its workers so far. has_quota: the kernel enforces their processor share.
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
    """The parts that the application hands to the daemon. Each is called in a thread and may import heavy libraries.

    make_runner: builds the runner of a configuration. open_ledger: opens the ledger of a work dir.
    page_command: starts the status page, called in the loop; None: there is no page.
    """

    make_runner: MakeRunner
    open_ledger: Callable[[Config, Path, Clock], Ledger]
    page_command: Callable[[PageOrder], Sequence[str]] | None = None
