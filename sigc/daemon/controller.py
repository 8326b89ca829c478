"""The daemon's state and its life cycle: starting, running, stopping.

    boot      ledger, strategies, recovery, cluster, schedule; then ready
    order     start a run, unless a pause or another run forbids it; complete: one left open
    hold      pause and resume
    stop      refuse, finish, flush, close

One object, owned by one event loop: verbs call it, `serve` drives it. Parts: `runs.py`, `timetable.py`,
`ledger_threads.py`; `lifecycle/reload.py` replaces the configuration in force, `status.py` reports the state.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sigc import metrics as m
from sigc.calendar.sessions import Calendar
from sigc.clock import Clock
from sigc.daemon.activity import ActivityTrace
from sigc.daemon.book_history import BookHistory
from sigc.daemon.cache_summary import CacheLook
from sigc.daemon.configured.configured import Configured
from sigc.daemon.configured.due_sessions import session_at
from sigc.daemon.decisions import ScheduleDecisions, decisions_of
from sigc.daemon.health import Health
from sigc.daemon.ledger_threads import LedgerThreads
from sigc.daemon.lifecycle.phase import RUNNING, Ending, LastRun, Phase
from sigc.daemon.lifecycle.start import AccessSettings, Start
from sigc.daemon.live_run import note_last
from sigc.daemon.ordering import check_order, order_of, refusal
from sigc.daemon.runner import CheckedStrategy, Cluster, DaemonParts, EditedText, Runner, RunOrder, Services
from sigc.daemon.runs import LiveRun, Runs, left_order
from sigc.daemon.timetable import Duties, Timetable
from sigc.errors import SigcError
from sigc.host.cgroup import ControlGroup
from sigc.host.systemd import Notifier
from sigc.host.usage import Usage, collect
from sigc.rpc.messages.requests import WorkerStatus
from sigc.schedule.job import TRADING, Fire, Job
from sigc.schedule.state import DidNotRun, JobState, RunFinished
from sigc.schedule.triggers import parse_relative
from sigc.store.ledger import control, jobs
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import Outcome, Run, RunKind

if TYPE_CHECKING:
    from sigc.daemon.alerting.alerting import Alerting

_SWITCHED_OFF = "disabled"  # jobs, in the ledger's control state
DID_NOT_RUN = "job.did_not_run"
RUN_FAILED = "run.failed"
log = logging.getLogger("sigc.daemon")
T = TypeVar("T")


@dataclass(eq=False)
class InForce:
    """A configuration in force, its runner, and the number of runs that use it."""

    configured: Configured
    runner: Runner
    checked: tuple[CheckedStrategy, ...]
    users: int = 0
    # A retired configuration was replaced by a reload; its runner closes when `users` falls to 0.
    is_retired: bool = False


@dataclass(eq=False)
class Controller:
    """The state of one daemon. Parts that boot opens later are None or empty until then."""

    start: Start
    doors: AccessSettings
    parts: DaemonParts
    clock: Clock
    metrics: m.DaemonMetrics
    usage: Usage
    scratch: Path
    notifier: Notifier = field(default_factory=lambda: Notifier(""))
    phase: Phase = Phase.STARTING
    why: str = "starting"  # why the daemon is not ready; '' when it is
    began: float = field(default_factory=time.monotonic)
    life: str = field(default_factory=lambda: secrets.token_hex(8))
    ports: dict[str, int] = field(default_factory=dict)
    trace: ActivityTrace = field(default_factory=ActivityTrace)
    cache_seen: Mapping[str, object] = field(default_factory=dict)
    look_again_at: float = 0.0  # monotonic time of the next look at the cache
    health: Health = field(default_factory=lambda: Health({}))
    lag_s: float = 0.0
    cluster: Cluster | None = None
    quota: ControlGroup | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    decided: ScheduleDecisions = field(default_factory=ScheduleDecisions)
    last: dict[str, LastRun] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    stop_asked: asyncio.Event = field(default_factory=asyncio.Event)
    ending: Ending | None = None
    cut_off: asyncio.Event = field(default_factory=asyncio.Event)  # set: runs get no more time to finish
    reloading: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Event = field(default_factory=asyncio.Event)  # set: state.json is out of date
    asked: dict[Fire, RunOrder] = field(default_factory=dict)  # orders of jobs run by hand, until they begin
    cache_look: CacheLook = field(default_factory=CacheLook)
    tracks: BookHistory = field(default_factory=BookHistory)  # used only in the reading thread of `ledger_threads`
    on_end: Callable[[LiveRun], None] = lambda _: None  # called for each run that has ended
    alerting: Alerting | None = None
    edited: Mapping[str, EditedText] = field(default_factory=dict)  # strategy files that are not what was loaded
    _retired: list[InForce] = field(default_factory=list)
    _books: LedgerThreads | None = None
    _runs: Runs | None = None
    _timetable: Timetable | None = None
    _in_force: InForce | None = None

    # Parts that exist only after a step of the boot; reading one earlier raises E901.

    @property
    def books(self) -> LedgerThreads:
        """Return the ledger."""
        return self._there(self._books)

    @property
    def has_ledger(self) -> bool:
        """Return True once the ledger is open."""
        return self._books is not None

    @property
    def runs(self) -> Runs:
        """Return the runs under way."""
        return self._there(self._runs)

    @property
    def timetable(self) -> Timetable:
        """Return the schedule."""
        return self._there(self._timetable)

    @property
    def in_force(self) -> InForce:
        """Return the configuration in force, with its runner."""
        return self._there(self._in_force)

    @property
    def checked(self) -> tuple[CheckedStrategy, ...]:
        """Return the checked strategy files in force; none while the daemon starts."""
        return () if self._in_force is None else self._in_force.checked

    @property
    def configured(self) -> Configured:
        """Return the configuration in force; during the start, the one about to be."""
        return self.start.configured if self._in_force is None else self._in_force.configured

    @property
    def is_ready(self) -> bool:
        """Return True if the daemon accepts new work."""
        return self.phase is Phase.RUNNING and not self.why

    def under_way(self, strategy: str = "") -> tuple[LiveRun, ...]:
        """Return the runs that have not ended, of one strategy or ('') of all."""
        return () if self._runs is None else self._runs.under_way(strategy)

    def job_states(self) -> Mapping[str, JobState]:
        """Return the state of each job; empty while the daemon starts."""
        return {} if self._timetable is None else self._timetable.states

    def next_fire(self, job: str) -> Fire | None:
        """Return the next fire of a job, None if it is not known."""
        return None if self._timetable is None else self._timetable.upcoming.get(job)

    def has_books(self, books: LedgerThreads) -> None:
        """Take the open ledger: from now on changes are audited and runs are recorded."""
        self._books = books
        books.ledger.hide, books.ledger.zone = self.doors.secrets.hide, self.start.config.schedule.timezone
        self._runs = known = Runs(books, self.metrics, self.clock, self.start.config.daemon.max_runs, self._run_ended)
        duties = Duties(self._begin_fire, known.cancel, self._is_fresh, self._alert, self.session_at, known.is_going)
        self._timetable = Timetable(books, self.metrics, self.clock, duties)

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Return the status of the cluster's workers."""
        return () if self.cluster is None else self.cluster.workers()

    def free_memory(self) -> None:
        """Drop caches that can be rebuilt. Blocks: call it in a thread."""
        if self._in_force is not None:
            self._in_force.runner.free()
        collect()

    def closings(self) -> Iterator[tuple[str, Awaitable[object]]]:
        """Yield the parts to close at the end, in order, each with its name."""
        # Order matters: runs write to the ledger and use runner and cluster, so the ledger is closed last.
        if self._runs is not None:
            self._runs.close()
        if self._in_force is not None:
            yield "the runner", asyncio.to_thread(self._in_force.runner.close)
        if self.cluster is not None:
            yield "the cluster", asyncio.to_thread(self.cluster.close)
        if self._books is not None:
            yield "the ledger", self._books.close()

    def services(self) -> Services:
        """Return the services lent to a runner."""
        ledger = self.books.ledger
        return Services(
            ledger, self.metrics, self.clock, self.scratch, self.cluster, self.usage.spent, self.quota is not None
        )

    def put_in_force(self, new: InForce) -> None:
        """Put a configuration in force. The old runner is closed when its last run has ended."""
        old, self._in_force, self.edited = self._in_force, new, {}
        self.books.ledger.zone = new.configured.loaded.config.schedule.timezone
        if old is not None:
            names = {s.name for s in new.configured.strategies}
            # Else the metrics of a removed strategy would show its last values for ever.
            for gone in sorted({s.name for s in old.configured.strategies} - names):
                self.metrics.forget(gone)
            old.is_retired = True
            self._released(old, users=0)

    def _there(self, part: T | None) -> T:
        if part is None:
            raise refusal(f"the daemon is {self.phase}: {self.why}")
        return part

    # Runs.

    async def order(self, order: RunOrder) -> LiveRun:
        """Begin a run that somebody asked for. Raise E901 if a pause, the configuration or another run forbids it."""
        if not self.is_ready:
            raise refusal(f"the daemon is {self.phase}: {self.why}")
        # Dry runs trade nothing: they neither block a run nor are blocked by one.
        going = [live.order.id for live in self.under_way(order.strategy) if live.order.kind != RunKind.DRY]
        check_order(order, self.configured, self.decided, going)
        live = await self._begin(order)
        if order.kind != RunKind.DRY:
            self.timetable.began(order.id, order.strategy)
        return live

    async def order_of_job(self, order: RunOrder, one: Fire) -> bool:
        """Run a job by hand. Return True if the run has begun; one that waits in the job's queue keeps its order."""
        # Before the request: the timetable may begin the run at once, and it takes the order from here.
        self.asked[one] = order
        await self.timetable.request(one, order.is_forced)
        if await self.runs.known(order.id) is not None:
            return True
        # Neither begun nor queued: the request was refused, and nobody will take the order.
        if all(pending.fire != one for pending in self.timetable.states[one.job].queue):
            self.asked.pop(one, None)
        return False

    def new_id(self) -> str:
        """Return a new run id: the date and random digits."""
        return f"r{self.clock.now():%Y%m%d}-{secrets.token_hex(8)}"

    async def complete(self, run: Run, why: str) -> LiveRun:
        """Complete a run that decided and was left open, and why; it is under way from now on."""
        recorded = await self.books.read(lambda connection: jobs.find(connection, run.id))
        used = self.in_force
        used.users += 1
        asked = recorded.asked if recorded else run.started
        live = self.runs.complete(left_order(run, recorded), used.runner, asked, why)
        self.last[run.key.strategy] = LastRun(run.id, live.asked, RUNNING)
        self.changed.set()
        return live

    async def _begin(self, order: RunOrder) -> LiveRun:
        self.runs.refuse_while_completing(order)
        used = self.in_force
        used.users += 1
        try:
            live = await self.runs.begin(order, used.runner)
        except BaseException:
            self._released(used)
            raise
        if order.kind != RunKind.DRY:
            live.earlier = self.last.get(order.strategy)
            self.last[order.strategy] = LastRun(order.id, live.asked, RUNNING)
        self.changed.set()
        return live

    async def _begin_fire(self, job: Job, one: Fire) -> tuple[str, str]:
        """Begin a run for a fire of the schedule. Return its id, or '' and the reason why none began."""
        order = self.order_of(job, one)
        try:
            # A fire by hand carries its own order (force, reason, caller) in place of the configured one.
            order = self.asked.pop(one, order)
            if self.phase is not Phase.RUNNING:
                return "", f"the daemon is {self.phase}"
            entry = self.configured.strategy(job.strategy)
            if job.strategy and entry is None:
                return "", f"strategy '{job.strategy}' is not configured"
            await self._begin(order)
        except SigcError as error:
            return "", str(error)
        return order.id, ""

    def order_of(self, job: Job, one: Fire) -> RunOrder:
        """Return the order that a fire of a job stands for."""
        return order_of(self.configured, job, one, self.new_id(), self.calendars.get(job.calendar))

    def _run_ended(self, live: LiveRun) -> None:
        order, end = live.order, live.end
        # A reload may have replaced the configuration meanwhile: the one the run was begun with is released.
        for used in (self._in_force, *self._retired):
            if used is not None and used.runner is live.runner:
                self._released(used)
                break
        if end is None:
            return
        if end.outcome in (Outcome.FAILED, Outcome.UNRESOLVED):
            self.alert(RUN_FAILED, is_critical=order.kind == RunKind.TRADE)
        if order.kind != RunKind.DRY:
            note_last(self.last, live, end)
            is_done, is_cancelled = end.outcome.is_success, end.outcome is Outcome.CANCELLED
            event = RunFinished(order.id, is_done, self.clock.now(), end.is_before_trading, is_cancelled)
            self.timetable.ended(order.job, order.strategy, event)
        self.changed.set()
        self.on_end(live)

    @contextmanager
    def using(self) -> Iterator[InForce]:
        """Yield the configuration in force. A reload does not close its runner while the body runs."""
        (used := self.in_force).users += 1
        try:
            yield used
        finally:
            self._released(used)

    def _released(self, used: InForce, users: int = 1) -> None:
        used.users -= users
        if not used.is_retired:
            return
        if used.users > 0:
            if used not in self._retired:
                self._retired.append(used)
            return
        if used in self._retired:
            self._retired.remove(used)
        # Closing waits for connections, so it must not hold the loop.
        threading.Thread(target=used.runner.close, name="sigc-close").start()

    async def _is_fresh(self, strategy: str) -> bool:
        return await asyncio.to_thread(self.in_force.runner.is_fresh, strategy)

    def session_at(self, at: datetime) -> str:
        """Return the session that a run begun at an instant trades for, '' if unknown."""
        config = self.configured.loaded.config
        calendar = self.calendars.get(config.schedule.calendar)
        with contextlib.suppress(SigcError):
            if calendar is not None:
                return str(session_at(calendar, parse_relative(config.execution.cut_off), at))
        return ""

    def _alert(self, job: Job, found: DidNotRun) -> None:
        self.alert(DID_NOT_RUN, is_critical=job.kind in TRADING)
        said = {"job": job.name, "planned": found.fire.planned.isoformat(), "why": str(found.reason)}
        log.error("job did not run", extra=said)

    def alert(self, event: str, *, is_critical: bool = False) -> None:
        """Count an event that an operator must hear of."""
        self.metrics.add(m.ALERTS, event=event, severity="critical" if is_critical else "warning")

    # Decisions of operators.

    async def hold(self, strategy: str, is_held: bool, who: str, reason: str) -> bool:
        """Pause a strategy ('' for all) or resume it. Return True if that changed anything. Durable on return."""

        def decide(tx: Transaction) -> bool:
            if not is_held:
                return control.drop(tx, control.PAUSED, strategy, who, reason)
            # Read inside the transaction, so that of two callers only one changes it.
            if control.get(tx.connection, control.PAUSED, strategy) is not None:
                return False
            control.put(tx, control.PAUSED, strategy, "true", who, reason)
            return True

        is_changed = await self.books.write(decide)
        await self.read_decisions()
        self.timetable.hold(self.decided.held)
        self.changed.set()
        return is_changed

    async def switch(self, job: str, is_enabled: bool, who: str, reason: str) -> bool:
        """Enable or disable a job. Return True if that changed anything."""
        before = self.timetable.states[job].enabled

        def decide(tx: Transaction) -> None:
            if is_enabled:
                control.drop(tx, _SWITCHED_OFF, job, who, reason)
            else:
                control.put(tx, _SWITCHED_OFF, job, "true", who, reason)

        if before == is_enabled:
            return False
        await self.books.write(decide)
        await self.read_decisions()
        await self.timetable.switch(job, is_enabled)
        return True

    async def read_decisions(self) -> None:
        """Read from the ledger which strategies are paused or halted and which jobs are disabled."""
        self.decided = await self.books.read(lambda c: decisions_of(c, _SWITCHED_OFF))

    def stop(self, ending: Ending) -> None:
        """Begin to end. Asked again, the shorter time counts, and a plain stop cancels a restart."""
        before = self.ending
        is_restart = ending.is_restart and (before is None or before.is_restart)
        self.ending = Ending(
            ending.timeout_s, ending.is_forced or (before is not None and before.is_forced), is_restart
        )
        # Earlier timers stay: the first to fire cuts the runs off.
        asyncio.get_running_loop().call_later(0.0 if ending.is_forced else ending.timeout_s, self.cut_off.set)
        self.stop_asked.set()
