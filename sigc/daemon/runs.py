"""Runs under way: each is recorded, begun in a thread, followed, and ended with a verdict.

    live = await runs.begin(order, runner)     durable before it begins
    live = runs.complete(order, runner, asked) a run that decided and was left open
    async for status in live.follow(): ... each change as it comes, the end last
    runs.cancel(live.order.id)

Everything here runs in the event loop except `_Watch`, which a run calls from its thread, and `_work`, that thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from sigc import metrics as m
from sigc.clock import Clock
from sigc.daemon.ledger_threads import LedgerThreads
from sigc.daemon.live_run import LiveRun as LiveRun
from sigc.daemon.live_run import Slot
from sigc.daemon.runner import RunEnd, Runner, RunOrder
from sigc.errors import Diagnostic, SigcError, placed
from sigc.host.logs import of_run
from sigc.rpc.messages.requests import RunStatus
from sigc.store.ledger import jobs
from sigc.store.ledger.jobs import OrderedRun
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import Outcome, Run, RunKind
from sigc.store.ledger.waiting_orders import WaitingOrders

_KEPT = 20  # ended runs kept with their results; the ledger has every run, without results
_TOLD_EVERY_S = 0.1
_LOOK_EVERY_S = 0.2
_MOST_WAITING = 512  # runs whose orders wait for the open, at a time
_MOST_LEFT = 64  # runs that an earlier life left, completed at a time
log = logging.getLogger("sigc.runs")


class Runs:
    """The runs of one daemon. most: runs at a time. ended: called in the loop after each end is durable."""

    def __init__(
        self, books: LedgerThreads, metrics: m.DaemonMetrics, clock: Clock, most: int, ended: Callable[[LiveRun], None]
    ) -> None:
        self._books, self._metrics, self._clock, self._ended = books, metrics, clock, ended
        self._slots = asyncio.Semaphore(most)
        # Far more than slots: a run whose orders wait for the open has given its slot back, and keeps its thread.
        self._threads = ThreadPoolExecutor(most + _MOST_WAITING, "sigc-run")
        # Not those of new runs, which would wait for the slices of the old ones, nor the old ones for each other's.
        self._left_threads = ThreadPoolExecutor(_MOST_LEFT, "sigc-left")
        self._live: dict[str, LiveRun] = {}
        self._past: dict[str, RunStatus] = {}
        self._tasks: dict[asyncio.Task[None], LiveRun] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def begin(self, order: RunOrder, runner: Runner) -> LiveRun:
        """Record the order, then begin the run or queue it. Raise E310 if it can't be recorded: then nothing began."""
        live = LiveRun(order, runner, self._clock.now())
        # Entered before the write: a trade that is being recorded already keeps the reconcile loop off its book.
        self._live[order.id] = live
        try:
            await self._books.write(lambda tx: jobs.ask(tx, ordered(live)))
        except BaseException:
            del self._live[order.id]
            raise
        self._set_out(live)
        return live

    def complete(self, order: RunOrder, runner: Runner, asked: datetime, why: str) -> LiveRun:
        """Complete a run that decided and was left open. Until it ends no new trade of its strategy may begin.

        why: it was left open.
        """
        live = LiveRun(order, runner, asked, left=why)
        self._live[order.id] = live
        self._set_out(live)
        return live

    def refuse_while_completing(self, order: RunOrder) -> None:
        """Raise E901 for a trade while a run of its strategy that was left open is being completed."""
        left = [live.order.id for live in self.under_way(order.strategy) if live.left]
        if left and order.kind == RunKind.TRADE:
            message = f"the run {left[0]} of '{order.strategy}', left open, is still being completed"
            raise SigcError(Diagnostic("E901", message, hint=f"wait for it, or end it by `sigc runs cancel {left[0]}`"))

    def _set_out(self, live: LiveRun) -> None:
        self._metrics.put(m.RUNS_ACTIVE, len(self._live))
        task = asyncio.get_running_loop().create_task(self._follow_through(live))
        self._tasks[task] = live
        task.add_done_callback(self._tasks.pop)

    def under_way(self, strategy: str = "") -> tuple[LiveRun, ...]:
        """Return the runs that are not over, oldest first, of one strategy or of all."""
        return tuple(live for live in self._live.values() if strategy in ("", live.order.strategy))

    def find(self, id: str) -> LiveRun | None:
        """Return a run under way, None if there is none."""
        return self._live.get(id)

    def is_going(self, id: str) -> bool:
        """Return True if a run is under way."""
        return id in self._live

    async def known(self, id: str) -> RunStatus | None:
        """Return any run: under way, ended lately with its result, or from the ledger without one. None if unknown."""
        live = self._live.get(id)
        if live is not None:
            return live.status()
        past = self._past.get(id)
        if past is not None:
            is_early = past.waiting is not None and self._clock.now() < past.waiting.at
            return past if is_early else replace(past, waiting=None)
        order = await self._books.read(partial(jobs.find, id=id))
        return None if order is None else past_status(order)

    @contextlib.asynccontextmanager
    async def between(self, strategy: str) -> AsyncIterator[bool]:
        """Hold a strategy's book while no trade of it runs; new trades wait. Yield False if a trade is under way."""
        turn = self._turns.setdefault(strategy, asyncio.Lock())
        # There is no await between this check and the lock, so no trade can begin in between.
        if turn.locked() or any(live.order.kind == RunKind.TRADE for live in self.under_way(strategy)):
            yield False
            return
        async with turn:
            yield True

    def mended(self, id: str) -> None:
        """Forget the cached end of a run: the ledger has a new verdict."""
        self._past.pop(id, None)

    def cancel(self, id: str) -> bool:
        """Tell a run to end as soon as it can. Return True if it was under way."""
        live = self._live.get(id)
        if live is None:
            return False
        live.cancelled.set()
        log.info("cancelled", extra={"of": id})
        return True

    async def finish(self, timeout_s: float) -> bool:
        """Wait for all runs, but not for orders that wait for the open. Return True if all ended within the time."""
        end = time.monotonic() + timeout_s
        while busy := {task for task, live in self._tasks.items() if live.waiting is None}:
            left = end - time.monotonic()
            if left <= 0:
                break
            await asyncio.wait(busy, timeout=min(left, _LOOK_EVERY_S), return_when=asyncio.FIRST_COMPLETED)
        return not self._tasks

    def close(self) -> None:
        """Begin no more runs. A thread that does not end is left to the end of the process."""
        for threads in (self._threads, self._left_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _follow_through(self, live: LiveRun) -> None:
        watch = _Watch(live, asyncio.get_running_loop(), self._metrics)
        order = live.order
        # The turn is taken before a thread of the pool: a trade that waits holds no thread.
        threads = self._left_threads if live.left else self._threads
        async with self._turn_of(live), self._slot_of(live):
            work = _followed(live, partial(self._work, live, watch))
            end = await asyncio.get_running_loop().run_in_executor(threads, work)
        watch.end_stage()
        try:
            done = (end.outcome, end.message, end.session, end.as_of, end.is_before_trading)
            await self._books.write(lambda tx: _record_end(tx, live, done))
        except SigcError:
            log.exception("can't record the end of a run; it gets its verdict later")
        seconds = max(0.0, (self._clock.now() - live.asked).total_seconds())
        self._metrics.observe(m.RUN_SECONDS, seconds, strategy=order.strategy)
        self._metrics.add(m.RUNS, strategy=order.strategy, outcome=str(end.outcome))
        has_failed = end.outcome is Outcome.FAILED and live.stage in ("load", "compute")
        self._metrics.add(m.COMPUTATION_ERRORS, float(has_failed), strategy=order.strategy)
        # Set after the write: whoever sees the end finds it in the ledger too.
        live.end, live.state, live.finished = end, "ended", self._clock.now()
        del self._live[order.id]
        self._metrics.put(m.RUNS_ACTIVE, len(self._live))
        self._past[order.id] = live.status()
        while len(self._past) > _KEPT:
            del self._past[next(iter(self._past))]
        with of_run(order.id):
            level = logging.INFO if end.outcome.is_success else logging.WARNING
            said = {"strategy": order.strategy, "kind": order.kind, "outcome": str(end.outcome), "why": end.message}
            log.log(level, "run ended", extra={**said, "seconds": round(seconds, 3)})
        live.tell()
        live.over.set()
        self._ended(live)

    def _turn_of(self, live: LiveRun) -> AbstractAsyncContextManager[object]:
        """Return the lock of the strategy's book for a trade; every other run only reads.

        A run that was left has its turn: new trades are refused until it ends, and several that were left must not wait
        for each other's slices.
        """
        if live.order.kind != RunKind.TRADE or live.left:
            return contextlib.nullcontext()
        return self._turns.setdefault(live.order.strategy, asyncio.Lock())

    @contextlib.asynccontextmanager
    async def _slot_of(self, live: LiveRun) -> AsyncIterator[None]:
        """Hold one of the slots, until the run ends or its orders wait for the open; a run that was left needs none."""
        if live.left:
            yield
            return
        await self._slots.acquire()
        live.slot = Slot(self._slots)
        try:
            yield
        finally:
            live.slot.give_back()

    def _work(self, live: LiveRun, watch: _Watch) -> RunEnd:
        """Do the run, in its thread. Every exception becomes the run's end."""
        order = live.order
        with of_run(order.id):
            if live.cancelled.is_set() and not live.left:
                return RunEnd(Outcome.CANCELLED, "cancelled before it began", is_before_trading=True)
            watch.begin()
            what = "run is completed" if live.left else "run begins"
            log.info(what, extra={"strategy": order.strategy, "kind": order.kind, "who": order.who})
            try:
                if live.left:
                    return live.runner.complete(order.id, live.left, watch)
                return live.runner.run(order, watch)
            except SigcError as error:
                # E8xx: a check or a limit refused the run, so nothing is broken.
                refused = error.diagnostics[0].code.startswith("E8")
                outcome = Outcome.REFUSED if refused else Outcome.FAILED
                before = order.kind != "trade"
                return RunEnd(
                    outcome,
                    "; ".join(map(placed, error.diagnostics)),
                    findings=error.diagnostics,
                    is_before_trading=before,
                )
            # Anything may have happened before this: a trade counts as maybe sent until recovery has asked the broker.
            except Exception as error:
                log.exception("run failed")
                message = f"{type(error).__name__}: {error}"
                return RunEnd(Outcome.FAILED, message, is_before_trading=order.kind != "trade")


def _followed(live: LiveRun, work: Callable[[], RunEnd]) -> Callable[[], RunEnd]:
    """Return the work with a record of what it reads. A context of its own: threads are used again."""
    context = contextvars.copy_context()
    context.run(live.reads.follow)
    return partial(context.run, work)


class _Watch:
    """The handle that a run calls from its thread; it wakes the loop at most every `_TOLD_EVERY_S` seconds."""

    def __init__(self, live: LiveRun, loop: asyncio.AbstractEventLoop, metrics: m.DaemonMetrics) -> None:
        self._live, self._loop, self._metrics = live, loop, metrics
        self._told_at = 0.0

    @property
    def cancelled(self) -> threading.Event:
        return self._live.cancelled

    def begin(self) -> None:
        self._set(state="running")

    def stage(self, name: str) -> None:
        self.end_stage()
        self._live.stage_began = time.monotonic()
        if name == "compute":
            self._metrics.add(m.COMPUTATIONS, strategy=self._live.order.strategy)
        self._set(stage=name, done=0, total=0, text="")

    def progress(self, done: int, total: int, text: str = "") -> None:
        now = time.monotonic()
        if now - self._told_at >= _TOLD_EVERY_S or done == total:
            self._told_at = now
            self._set(done=done, total=total, text=text)

    def waiting(self, why: str, until: datetime | None) -> None:
        live = self._live
        if (live.text, live.waits_until) != (why, until):
            self._set(text=why, waits_until=until)

    def opening(self, orders: WaitingOrders | None) -> None:
        live = self._live
        if live.waiting == orders:
            return
        self._set(waiting=orders)
        if orders is not None and live.slot is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(live.slot.give_back)

    def end_stage(self) -> None:
        """Add the seconds of the current stage."""
        live = self._live
        if not live.stage or live.stage_began == 0.0:
            return
        seconds, strategy = time.monotonic() - live.stage_began, live.order.strategy
        live.stage_began = 0.0
        live.stages[live.stage] = live.stages.get(live.stage, 0.0) + seconds
        self._metrics.observe(m.STAGE_SECONDS, seconds, strategy=strategy, stage=live.stage)
        if live.stage == "compute":
            self._metrics.observe(m.COMPUTATION_SECONDS, seconds, strategy=strategy)

    def _set(self, **fields: object) -> None:
        # Set from the run's thread, read in the loop without a lock: each assignment is atomic.
        for name, value in fields.items():
            setattr(self._live, name, value)
        with contextlib.suppress(RuntimeError):  # a forced stop has closed the loop before the run has ended
            self._loop.call_soon_threadsafe(self._live.tell)


def _record_end(tx: Transaction, live: LiveRun, done: tuple[Outcome, str, str, str, bool]) -> None:
    # A run that was left by a process without a daemon has no order here.
    if not live.left or jobs.find(tx.connection, live.order.id) is not None:
        jobs.end(tx, ordered(live), *done)


def left_order(run: Run, order: OrderedRun | None) -> RunOrder:
    """Return the order of a run that an earlier life left open. order: as it was recorded, if it was."""
    key = run.key
    if order is None:
        return RunOrder(run.id, key.strategy, Path(), key.portfolio, str(key.kind), slot=key.slot, who=run.who)
    return RunOrder(
        *(order.id, order.strategy, Path(order.file), order.portfolio, order.kind, order.date),
        slot=order.slot,
        reason=order.reason,
        who=order.who,
        job=order.job,
        fire=order.fire,
    )


def ordered(live: LiveRun) -> OrderedRun:
    """Return the order as the ledger keeps it."""
    order = live.order
    return OrderedRun(
        id=order.id,
        strategy=order.strategy,
        kind=order.kind,
        portfolio=order.portfolio,
        file=str(order.file),
        date=order.date,
        slot=order.slot,
        job=order.job,
        fire=order.fire,
        who=order.who,
        reason=order.reason,
        asked=live.asked,
    )


def past_status(order: OrderedRun) -> RunStatus:
    """Return an order of the ledger as it goes over the wire."""
    return RunStatus(
        order.id,
        order.strategy,
        order.kind,
        "ended" if order.finished is not None else "interrupted",
        order.asked,
        finished=order.finished,
        outcome=str(order.outcome),
        message=order.message,
        session=order.session,
        as_of=order.as_of,
        who=order.who,
        job=order.job,
        reason=order.reason,
    )
