"""The reconcile loop: brings each strategy's book up to date after a failed run, after each session and at start.

    a run that decided and failed        complete it as a run under way: at once, and again until all is known
    the end of a session                 apply fills of day orders, value the book, mirror and anchor the audit
    no data of that session yet          try again soon, until there are

By the daemon's clock. A book is never reconciled while a trade of its strategy is under way; a trade that begins
meanwhile waits. A problem is reported once, in the log and the audit, and tried again with growing waits. Nothing is
remembered over a restart: reconciling is idempotent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from sigc.alerts.rules import ABOUT_BOOKS
from sigc.calendar.sessions import Calendar
from sigc.daemon.lifecycle.phase import RUNNING
from sigc.daemon.ordering import status_text
from sigc.daemon.runner import BookUpkeep, RunVerdict
from sigc.errors import SigcError
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import books, jobs, runs
from sigc.store.ledger.jobs import OrderedRun
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.orders import filled_of
from sigc.store.ledger.records import Filled, Outcome, RunKind
from sigc.store.ledger.waiting import waiting_of
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc.store.outbox import alert_query as looking

if TYPE_CHECKING:
    import sqlite3

    from sigc.daemon.controller import Controller
    from sigc.daemon.runs import LiveRun

AFTER_CLOSE = timedelta(minutes=1)
_FIRST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(minutes=15)
_LOOK_EVERY_S = 1.0  # between two looks at the clock
_AT_A_TIME = 4
_GOOD_BYE_S = 2.0
_MOST_ALERTS = 1000
NOT_KEPT = "book.not_kept"
log = logging.getLogger("sigc.daemon")


class UnwatchedRun:
    """A run handle that nobody watches."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def stage(self, name: str) -> None:
        """Do nothing."""

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Do nothing."""

    def waiting(self, why: str, until: datetime | None) -> None:
        """Do nothing."""

    def opening(self, orders: WaitingOrders | None) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class BookState:
    """The upkeep of one book. due: its next turn; tries: failures in a row; told: the last problem reported."""

    due: datetime
    tries: int = 0
    told: str = ""


def after_success(now: datetime, calendar: Calendar | None) -> BookState:
    """Return the state of an up-to-date book: next due after the close of the session not yet over."""
    if calendar is None:
        return BookState(now + _LONGEST_WAIT)
    try:
        # AFTER_CLOSE earlier: a session whose upkeep is not due yet still counts as the current one.
        return BookState(calendar.current_or_next(now - AFTER_CLOSE).close + AFTER_CLOSE)
    except SigcError:  # the calendar ends there, and is opened again each day
        return BookState(now + _LONGEST_WAIT)


def after_trouble(before: BookState, now: datetime, told: str) -> BookState:
    """Return the state after a failure: due again after a wait that doubles, up to 15 minutes.

    >>> from datetime import UTC
    >>> noon = datetime(2024, 1, 2, 12, tzinfo=UTC)
    >>> [after_trouble(BookState(noon, tries), noon, "").due.strftime("%H:%M:%S") for tries in (0, 1, 2, 30)]
    ['12:00:01', '12:00:02', '12:00:04', '12:15:00']
    """
    return BookState(now + min(_FIRST_WAIT * 2 ** min(before.tries, 20), _LONGEST_WAIT), before.tries + 1, told)


def write_verdict(order: OrderedRun, tx: Transaction) -> None:
    """Record the end of a run that was cut off: the outcome the ledger knows of its trading, else INTERRUPTED."""
    outcome, message, session, as_of, before = Outcome.INTERRUPTED, "the daemon ended while it ran", "", "", True
    if order.kind == RunKind.TRADE:
        with contextlib.suppress(SigcError):
            run = runs.find(tx.connection, order.id)
            before = not runs.is_decided(tx.connection, order.id)
            session, as_of = run.key.session, run.as_of
            if run.outcome is not Outcome.OPEN:
                outcome, message = run.outcome, run.message
    jobs.end(tx, order, outcome, message, session, as_of, before)


class ReconcileLoop:
    """The reconcile loop of one daemon."""

    def __init__(self, daemon: Controller) -> None:
        self._daemon = daemon
        self._care: dict[str, BookState] = {}
        self._going: dict[str, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(_AT_A_TIME, "sigc-tend")

    def run_ended(self, live: LiveRun) -> None:
        """Make a book due at once if a trade on it did not succeed."""
        order, end = live.order, live.end
        if order.kind != RunKind.TRADE or end is None or end.outcome.is_success:
            return
        now = self._daemon.clock.now()
        care = BookState(now)
        # It is completed again, after a wait that grows.
        if live.left and end.outcome in (Outcome.FAILED, Outcome.UNRESOLVED):
            care = after_trouble(self._care.get(order.strategy, care), now, end.message)
        self._care[order.strategy] = care

    async def turn(self) -> None:
        """Look at the clock for ever and begin the upkeep of each book that is due."""
        daemon = self._daemon
        for book in await daemon.books.read(books.books):
            self._care.setdefault(book.key.strategy, BookState(daemon.clock.now()))
        while True:
            now = daemon.clock.now()
            for entry in daemon.configured.strategies:
                self._care.setdefault(entry.name, BookState(now))
            for strategy, care in list(self._care.items()):
                if care.due <= now and strategy not in self._going:
                    self._going[strategy] = asyncio.get_running_loop().create_task(self._tend(strategy))
            await self._follow_fills()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _follow_fills(self) -> None:
        """Read how much of each strategy's newest run is filled or waits, until none of its orders is open."""
        daemon = self._daemon
        open_ = {
            one.id: strategy
            for strategy, one in daemon.last.items()
            if one.filled in (None, Filled.OPEN) and one.status != RUNNING
        }
        if not open_:
            return
        with contextlib.suppress(SigcError):  # whoever writes to the ledger reports its failure
            found = await daemon.books.read(partial(filled_of, runs=tuple(open_)))
            waiting = await daemon.books.read(partial(waiting_of, ids=tuple(open_), now=daemon.clock.now()))
            for run, strategy in open_.items():
                last = daemon.last[strategy]
                now = replace(last, filled=str(found.get(run, "")), waiting=waiting.get(run))
                if last.id == run and last != now:
                    daemon.last[strategy] = now
                    daemon.changed.set()

    async def end(self) -> bool:
        """Begin no more. Return True if nothing is under way; what still is gets its verdict at the next start."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._going:
            await asyncio.wait(self._going.values(), timeout=_GOOD_BYE_S)
        return not self._going

    async def _tend(self, strategy: str) -> None:
        try:
            async with self._daemon.runs.between(strategy) as is_ours:
                if is_ours:
                    await self._tend_now(strategy)
        except Exception:
            log.exception("can't reconcile a book", extra={"strategy": strategy})
            self._care[strategy] = after_trouble(self._care[strategy], self._daemon.clock.now(), "")
        finally:
            del self._going[strategy]

    async def _tend_now(self, strategy: str) -> None:
        daemon, before = self._daemon, self._care[strategy]
        left = await daemon.books.read(partial(runs.open_trades, strategy=strategy))
        if left:  # as runs under way, that are shown and can be cancelled; the book is due again when they are over
            for run in left:
                await daemon.complete(run, "it failed")
            return
        begun = daemon.clock.now()  # before the work: a session that ends meanwhile is due again
        with daemon.using() as used:
            try:
                loop = asyncio.get_running_loop()
                kept = await loop.run_in_executor(self._threads, used.runner.keep, strategy, UnwatchedRun())
            except SigcError as error:
                kept = BookUpkeep(problems=(str(error),))
            except Exception as mistake:
                log.exception("internal error while a book is reconciled", extra={"strategy": strategy})
                kept = BookUpkeep(problems=(f"{type(mistake).__name__}: {mistake}",))
        await self._write_verdicts(strategy, kept.verdicts)
        told = "; ".join((*kept.problems, *kept.left))
        if not told:
            self._care[strategy] = after_success(begun, self._calendar())
            log.debug("the book is up to date", extra={"strategy": strategy})
            await self._tell_kept(strategy)
            return
        self._care[strategy] = after_trouble(before, daemon.clock.now(), told)
        if told != before.told:
            await self._tell(strategy, told, is_wrong=bool(kept.problems))

    def _calendar(self) -> Calendar | None:
        return self._daemon.calendars.get(self._daemon.configured.loaded.config.schedule.calendar)

    async def _write_verdicts(self, strategy: str, verdicts: Iterable[RunVerdict]) -> None:
        daemon = self._daemon
        for found in verdicts:
            log.warning("resolved: %s: %s, %s", found.run, found.outcome, found.message, extra={"strategy": strategy})
        orders = await daemon.books.read(partial(jobs.unlike_their_runs, strategy=strategy))
        for order in orders:
            if daemon.runs.find(order.id) is None:
                # A run still under way writes its own end; only orders that nobody follows are closed here.
                await daemon.books.write(partial(write_verdict, order))
                daemon.runs.mended(order.id)
        last = daemon.last.get(strategy)
        if last is not None and any(order.id == last.id for order in orders):
            found_order = await daemon.books.read(partial(jobs.find, id=last.id))
            if found_order is not None:
                daemon.last[strategy] = replace(last, status=status_text(found_order.outcome), filled=None)
                daemon.changed.set()

    async def _tell_kept(self, strategy: str) -> None:
        """End the alerts that this book is not up to date, so that the next problem is reported again."""

        def is_alerted(connection: sqlite3.Connection) -> bool:
            open_ = looking.listed(connection, _MOST_ALERTS)
            return any(alert.rule in ABOUT_BOOKS and alert.key == strategy for alert in open_)

        with contextlib.suppress(SigcError):
            if await self._daemon.books.read(is_alerted):
                await self._daemon.books.audit(AuditEvent("book.kept", {}, strategy=strategy))

    async def _tell(self, strategy: str, told: str, *, is_wrong: bool) -> None:
        log.log(
            logging.ERROR if is_wrong else logging.INFO,
            "a book is not up to date yet",
            extra={"strategy": strategy, "why": told},
        )
        if is_wrong:
            self._daemon.alert(NOT_KEPT, is_critical=True)
            with contextlib.suppress(SigcError):
                await self._daemon.books.audit(AuditEvent(NOT_KEPT, {"why": told}, strategy=strategy))
