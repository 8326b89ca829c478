"""The runner of a daemon: the whole pipeline over one cache, one ledger and one broker, in threads or on its cluster.

trade, dry     load, compute, validate, execute, audit (`sigc_pipelines.live.run.carry_out`)
compute        load and compute: what the next trade needs is stored by then
data_refresh   the sources, looked at again
report         the reports of books that are traded, as files
script         a program
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sigc.calendar.sessions import Calendar
from sigc.clock import Clock, HandClock
from sigc.config.settings import Config
from sigc.daemon.runner import (
    Adopting,
    BookUpkeep,
    CheckedStrategy,
    EditedText,
    RunEnd,
    RunHandle,
    RunOrder,
    RunVerdict,
    Services,
    StrategyEntry,
)
from sigc.errors import Diagnostic, SigcError
from sigc.rpc.messages.books import ReconcileReply
from sigc.rpc.messages.kill import KillReply
from sigc.rpc.messages.requests import CancelledOrderCounts
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.adjustments import Adjustment
from sigc.store.ledger.book_moves import BookMove
from sigc.store.ledger.records import UNRESOLVED, BookKey, Outcome, RunKind, StageName
from sigc.words import counted
from sigc_pipelines.assembly.trading import calendar_of, digests, with_capital
from sigc_pipelines.backtest.backtest import pick_of
from sigc_pipelines.brokers.protocol import Broker
from sigc_pipelines.brokers.registry import close_broker, open_broker
from sigc_pipelines.compute import load
from sigc_pipelines.live.move_books import move_books
from sigc_pipelines.live.publish import publish
from sigc_pipelines.live.recover import complete, recover, recover_at_start
from sigc_pipelines.live.rename_asset import rename_asset
from sigc_pipelines.live.run import CancelledError, carry_out
from sigc_pipelines.live.scratch import in_its_time
from sigc_pipelines.live.session import instant_of, moment
from sigc_pipelines.live.stage_thread import HungError
from sigc_pipelines.live.trading import Ended, Request, Trading
from sigc_pipelines.live.trading import RunWatch as Followed
from sigc_pipelines.records.artifacts import Render
from sigc_pipelines.records.recording import write_plan
from sigc_pipelines.service.bounded import BoundedReads, kept_within
from sigc_pipelines.service.metrics_feed import count_from_here, tell_book, tell_doubts
from sigc_pipelines.service.reconciled import reconcile_job, reconciled
from sigc_pipelines.service.reports import DrawReport, write_reports
from sigc_pipelines.service.run_ends import run_end
from sigc_pipelines.service.runner_checks import broker_check, data_check
from sigc_pipelines.service.scripts import keep_said, run_script
from sigc_pipelines.service.strategy_texts import StrategyTexts
from sigc_pipelines.service.workspaces import Workspaces, alive
from sigc_pipelines.stopping.breaker_closing import close_by_breakers
from sigc_pipelines.stopping.cancel_run import UnknownRunError, cancel_run
from sigc_pipelines.stopping.close_book import close_book
from sigc_pipelines.stopping.kill_switch import kill
from sigc_pipelines.stopping.live_start import halt_before_live
from sigc_pipelines.target_feeds import FreshFeed


@dataclass(frozen=True, slots=True)
class RunOutput:
    """The look of what runs leave, given by the program that shows it.

    run_page: the HTML page of a run. run_result: a run as plain data, for the caller who waits for it. report: the HTML
    report of a traded book.
    """

    run_page: Render
    run_result: Callable[[Ended], Mapping[str, object]]
    report: DrawReport


class DaemonRunner:
    """Runs the strategies of one configuration. Safe to use from several threads."""

    def __init__(
        self, config: Config, strategies: tuple[StrategyEntry, ...], services: Services, output: RunOutput
    ) -> None:
        self._config, self._strategies, self._services, self._output = config, strategies, services, output
        self._spaces = Workspaces(config, services)
        self._texts = StrategyTexts(strategies, services.ledger.directory, config.schedule.timezone)
        self._turn = threading.Lock()
        self._resolving = threading.Lock()
        self._calendar: Calendar | None = None
        self._opened_on = ""
        self._work_dir = services.ledger.directory
        self._broker = self._opened_broker(services.clock)
        halt_before_live(services.ledger, self._broker)

    def check(self, *, goes_on: bool = False) -> tuple[CheckedStrategy, ...]:
        """Load and check every strategy file. Return its errors and warnings."""
        return self._texts.load(self._config.safety, goes_on=goes_on)

    def put_in_force(self) -> None:
        """Write down which texts are in force."""
        self._texts.put_in_force()

    def edited(self) -> Mapping[str, EditedText]:
        """Return, by strategy, files that are not what was loaded."""
        return self._texts.edited()

    def run(self, order: RunOrder, watch: RunHandle) -> RunEnd:
        """Carry out one run of any kind this version knows."""
        ledger = self._services.ledger
        try:
            match order.kind:
                case "script":
                    return keep_said(ledger, order.id, run_script(order, watch), "output")
                case "data_refresh":
                    return keep_said(ledger, order.id, self._refresh(order, watch), "sources")
                case "compute":
                    return self._compute(order, watch)
                case "report":
                    return keep_said(ledger, order.id, self._report(order, watch), "reports")
                case "reconcile":
                    trading, by = self._trading(self._services.clock), f"job {order.job}" if order.job else order.who
                    done = reconcile_job(trading, by, self._config.safety.on_mismatch)
                    return keep_said(ledger, order.id, done, "differences")
                case "dry" | "trade":
                    return self._carry_out(order, watch)
                case other:
                    return RunEnd(Outcome.REFUSED, f"runs of kind '{other}' are not known", is_before_trading=True)
        except CancelledError:
            return RunEnd(Outcome.CANCELLED, "cancelled", is_before_trading=not self._is_decided(order.id))
        finally:
            self._spaces.flush()

    def cancel(self, run: str, who: str, reason: str) -> tuple[CancelledOrderCounts, int]:
        """Take the open orders of a run from the broker's book; none for a run that never came to the ledger."""
        with contextlib.suppress(UnknownRunError):
            return cancel_run(self._services.ledger, self._broker, run, who, reason)
        return CancelledOrderCounts(), 0

    def kill(self, strategy: str, who: str, reason: str, is_flatten: bool) -> KillReply:
        """Halt a strategy, '' for all, cancel its open orders, and with is_flatten close its positions."""
        with self._resolving:
            return kill(self._trading(self._services.clock), strategy, who, reason, is_flatten=is_flatten)

    def rename_asset(self, book: BookKey, old: str, new: str, who: str, reason: str) -> tuple[ActionEntry, ...]:
        """Rename an asset in every book that holds it, and in a paper broker's book."""
        return rename_asset(self._trading(self._services.clock), book, old, new, who, reason)

    def move_books(self, what: BookMove, who: str, reason: str) -> tuple[Adjustment, ...]:
        """Move shares or money of a book as a person says, at a paper broker too."""
        return move_books(self._trading(self._services.clock), what, who, reason)

    def close_book(self, book: BookKey, who: str, reason: str) -> KillReply:
        """Cancel the open orders of a book, and close its positions."""
        with self._resolving:
            known = {strategy.name for strategy in self._strategies}
            return close_book(self._trading(self._services.clock), book, known, who, reason)

    def reconcile(self, adopting: Adopting | None = None) -> ReconcileReply:
        """Compare ledger and broker, and adopt what differs if asked to."""
        return reconciled(self._trading(self._services.clock), adopting)

    def keep(self, strategy: str, watch: RunHandle) -> BookUpkeep:
        """Resolve open runs and orders without an outcome, then maintain the book."""
        trading = self._trading(self._services.clock)
        if not strategy:
            # First: what runs that are completed meanwhile add is counted.
            count_from_here(self._services.metrics, self._services.ledger)
        # A closing run is no run of the daemon's: recovery must not take it for one that was left.
        with self._resolving if strategy else contextlib.nullcontext():
            found = recover(trading, strategy=strategy, leaves_waiting=True) if strategy else recover_at_start(trading)
        verdicts = tuple(RunVerdict(verdict.run, verdict.outcome, verdict.message) for verdict in found)
        if not strategy:
            return BookUpkeep(verdicts)
        try:
            left, problems = self._kept(trading, strategy, watch)
        finally:  # whatever is wrong with the data of one book: a breaker may want positions closed
            with self._resolving:
                close_by_breakers(trading)
        return BookUpkeep(verdicts, (*self._doubts(strategy), *left), problems)

    def complete(self, run: str, why: str, watch: RunHandle) -> RunEnd:
        """Bring a run that decided and was left open to its end."""
        ledger, trading = self._services.ledger, self._trading(self._services.clock)
        with ledger.reading() as connection:
            found = runs.find(connection, run)
        watch.stage(str(StageName.EXECUTE))
        followed = Followed(stop=watch.cancelled, waiting=watch.waiting, opening=watch.opening)
        try:
            verdict = complete(trading, found, followed, why)
        except HungError as hung:
            return RunEnd(Outcome.UNRESOLVED, str(hung), session=found.key.session, as_of=found.as_of)
        key = BookKey(found.key.strategy, found.key.portfolio)
        tell_doubts(self._services.metrics, ledger, run, key.strategy)
        tell_book(self._services.metrics, ledger, key)
        return RunEnd(verdict.outcome, verdict.message, session=found.key.session, as_of=found.as_of)

    def is_fresh(self, strategy: str) -> bool:
        """Return True if the strategy's data reach the last complete session."""
        found = self._newest(strategy)
        return found is not None and found[1] == found[2]

    def awaited(self, strategy: str) -> str:
        """Say which row is awaited of the source that is traded, and which is its newest."""
        found = self._newest(strategy)
        if found is None or found[1] == found[2]:
            return ""
        source, newest, as_of = found
        has = f"the newest row of '{source}' is of {newest}" if newest else f"'{source}' has no row"
        return f"{has}, the row of {as_of} is awaited"

    def _newest(self, strategy: str) -> tuple[str, str, str] | None:
        """Return the traded source, its newest day ('' without rows), and the expected one; None: no such strategy."""
        entry = next((s for s in self._strategies if s.name == strategy), None)
        if entry is None:
            return None
        as_of = self._as_of()
        compiled = self._texts.compiled(strategy, entry.params).strategy
        reading = partial(load, compiled, self._spaces.workspace(None, strategy), as_of)
        found = self._bounded(strategy).ask("load", self._config.execution.load_deadline_s, reading)
        dates = found.grid.dates
        return compiled.traded, str(dates[-1].astype("datetime64[D]")) if len(dates) else "", as_of

    def free(self) -> None:
        """Drop the blocks that are kept in memory."""
        self._spaces.free()

    def checks(self) -> Mapping[str, str]:
        """Check the data sources that are files, and the broker's account."""
        directory = Path(self._config.data.directory).expanduser()
        return {
            "data_connection": data_check(directory),
            "broker_connection": broker_check(self._broker, self._services.ledger, self._services.clock),
        }

    def close(self) -> None:
        """Let go of the broker."""
        close_broker(self._broker)

    # Trading.

    def _carry_out(self, order: RunOrder, watch: RunHandle) -> RunEnd:
        compiled = self._texts.of(order)
        config = with_capital(self._config, order.capital)
        portfolio = pick_of(compiled.strategy, order.portfolio).name
        request = Request(
            id=order.id,
            strategy=order.strategy,
            portfolio=portfolio,
            kind=RunKind(order.kind),
            who=order.who,
            reason=order.reason,
            slot=order.slot,
            is_forced=order.is_forced,
            accepts_differences=order.accepts_differences,
            is_scheduled=order.is_scheduled,
            configured=frozenset(strategy.name for strategy in self._strategies),
            digests=digests(compiled.strategy, config),
        )
        feed = FreshFeed(compiled.strategy, self._spaces.workspace(watch, order.strategy), config.execution.capital)
        followed = Followed(lambda stage: watch.stage(str(stage)), watch.cancelled, watch.waiting, watch.opening)
        with self._desk(order, config) as desk, in_its_time(desk, request) as account:
            ended = account.told(carry_out(account.trading, request, feed, followed))
        if order.kind == RunKind.TRADE and not ended.scratch:
            tell_doubts(self._services.metrics, self._services.ledger, ended.run.id, order.strategy)
            tell_book(self._services.metrics, self._services.ledger, BookKey(order.strategy, portfolio))
        is_decided = self._is_decided(ended.run.id)
        return run_end(ended, compiled, self._output.run_result(ended), is_before_trading=not is_decided)

    @contextmanager
    def _desk(self, order: RunOrder, config: Config) -> Iterator[Trading]:
        """Yield the broker and clock of a run: the daemon's own, or for an earlier date ones set back to it."""
        clock = self._clock_of(order.date)
        if not isinstance(clock, HandClock) or clock is self._services.clock:
            yield replace(self._trading(clock), config=config)
            return
        if self._broker.capabilities().is_live and order.kind == RunKind.TRADE:
            message = f"a live broker can't trade as of {order.date}"
            raise SigcError(Diagnostic("E802", message, hint="--dry-run shows what would have been ordered"))
        broker = self._opened_broker(clock)
        try:
            yield Trading(self._services.ledger, broker, clock, self._sessions(), config, self._output.run_page)
        finally:
            close_broker(broker)

    def _opened_broker(self, clock: Clock) -> Broker:
        ways, execution = self._config.daemon.connections, self._config.execution
        return open_broker(self._config.broker, self._work_dir, clock, connections=ways, execution=execution)

    def _clock_of(self, date: str) -> Clock:
        """Return the daemon's clock, or one set to just after the close of an as-of date other than the current one."""
        if not date:
            return self._services.clock
        calendar, at = self._sessions(), instant_of(self._sessions(), date)
        is_current = calendar.last_complete(self._services.clock.now()) == calendar.last_complete(at)
        return self._services.clock if is_current else HandClock(at)

    def _trading(self, clock: Clock) -> Trading:
        ledger, page = self._services.ledger, self._output.run_page
        return Trading(ledger, self._broker, clock, self._sessions(), self._config, page)

    def _kept(self, trading: Trading, strategy: str, watch: RunHandle) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the work left on a strategy's book, and its problems; a book of no configured strategy is left
        alone.
        """
        entry = next((s for s in self._strategies if s.name == strategy), None)
        with self._services.ledger.reading() as connection:
            is_traded = any(book.key.strategy == strategy for book in books.books(connection))
        if entry is None or not is_traded:
            return (), tuple(f.message for f in publish(self._services.ledger, self._config.audit))
        compiled = self._texts.compiled(strategy, entry.params)
        config = with_capital(self._config, entry.capital)
        key = BookKey(strategy, pick_of(compiled.strategy, entry.portfolio).name)
        feed = FreshFeed(compiled.strategy, self._spaces.workspace(watch, strategy), config.execution.capital)
        try:
            kept = kept_within(replace(trading, config=config), feed, key)
        finally:
            tell_book(self._services.metrics, self._services.ledger, key)
        left = () if kept.is_current else (f"the last session has no data yet; valued to {kept.valued or 'none'}",)
        return left, tuple(f.message for f in kept.findings)

    def _doubts(self, strategy: str) -> tuple[str, ...]:
        with self._services.ledger.reading() as connection:
            doubtful = [i for i in orders.in_flight(connection) if i.key.strategy == strategy and i.state in UNRESOLVED]
        return (f"{counted(len(doubtful), 'order')} without a known outcome",) if doubtful else ()

    def _is_decided(self, run: str) -> bool:
        with self._services.ledger.reading() as connection:
            return runs.is_decided(connection, run)

    # Computing.

    def _compute(self, order: RunOrder, watch: RunHandle) -> RunEnd:
        compiled = self._texts.of(order)
        space = self._spaces.workspace(watch, order.strategy)
        feed = FreshFeed(compiled.strategy, space, self._config.execution.capital)
        watch.stage("load")
        as_of, bounded = self._as_of(), self._bounded(order.strategy, watch)
        loaded = bounded.ask("load", self._config.execution.load_deadline_s, lambda: feed.load(as_of))
        alive(watch)
        watch.stage("compute")
        deadline_s = self._config.execution.compute_deadline_s
        outlook = bounded.ask("compute", deadline_s, lambda: feed.look(loaded, order.portfolio))
        with contextlib.suppress(OSError):  # nice to look at; what was computed is in the cache
            write_plan(self._work_dir, order.id, outlook)
        sight = outlook.at(as_of)
        wanted = sum(1 for weight in sight.wanted.tolist() if weight != 0.0 and weight == weight)
        message, findings = f"{wanted} of {len(sight.names)} assets", (*compiled.warnings, *loaded.findings)
        result = {"as_of": as_of, "digest": sight.digest}
        return RunEnd(Outcome.DONE, message, {}, "", as_of, True, findings, result)

    def _refresh(self, order: RunOrder, watch: RunHandle) -> RunEnd:
        """Look at every source again, behind URLs too, and keep what has changed."""
        watch.stage("load")
        wanted = [s for s in self._strategies if order.strategy in ("", s.name)]
        newest, said = "", list[str]()
        for number, entry in enumerate(wanted, 1):
            alive(watch)
            space = replace(self._spaces.workspace(watch, entry.name), ttl_hours=0.0)
            compiled = self._texts.compiled(entry.name, entry.params).strategy
            bounded = self._bounded(entry.name, watch)
            loaded = bounded.ask("load", self._config.execution.load_deadline_s, partial(load, compiled, space))
            last = str(loaded.grid.dates[-1].astype("datetime64[D]")) if len(loaded.grid.dates) else ""
            newest = max(newest, last)
            said.append(f"{entry.name}: newest row {last or 'none'}")
            said += [f"  {found.message}" for found in loaded.findings]
            watch.progress(number, len(wanted), entry.name)
        message, result = f"data of {counted(len(wanted), 'strategy', 'strategies')}", {"sources": said}
        return RunEnd(Outcome.DONE, message, as_of=newest, is_before_trading=True, result=result)

    def _report(self, order: RunOrder, watch: RunHandle) -> RunEnd:
        """Write the report of every book that is traded, or of one strategy's."""
        watch.stage("report")
        wanted = [s for s in self._strategies if order.strategy in ("", s.name)]
        written, sizing = list[str](), self._config.execution.sizing
        with contextlib.closing(self._services.ledger.reader()) as connection:
            for number, entry in enumerate(wanted, 1):
                alive(watch)
                params = dict(self._texts.compiled(entry.name, entry.params).strategy.params)
                files = write_reports(connection, self._work_dir, entry.name, params, sizing, self._output.report)
                written += [str(path.relative_to(self._work_dir)) for path in files]
                watch.progress(number, len(wanted), entry.name)
        message = ", ".join(written) or "nothing has been traded yet"
        return RunEnd(Outcome.DONE, message, is_before_trading=True, result={"reports": written})

    def _bounded(self, strategy: str, watch: RunHandle | None = None) -> BoundedReads:
        stop = threading.Event() if watch is None else watch.cancelled
        return BoundedReads(self._services.ledger, self._services.clock, strategy, stop)

    def _as_of(self) -> str:
        now, cut_off = self._services.clock.now(), self._config.execution.cut_off
        return str(moment(self._sessions(), now, cut_off).as_of.day)

    def _sessions(self) -> Calendar:
        """Return the trading calendar, reopened each day so that it does not run out."""
        now = self._services.clock.now()
        with self._turn:
            if self._calendar is None or self._opened_on != str(now.date()):
                self._calendar, self._opened_on = calendar_of(self._config, self._work_dir, now), str(now.date())
            return self._calendar
