"""One run of one portfolio of a strategy: load -> compute -> validate -> execute -> audit.

    load      data up to the as-of date; what the broker filled since, until ledger and broker agree; NAVs
    compute   wanted weights of the as-of row
    validate  data, then the target book within its constraints, against every limit
    execute   orders sized, written down, sent (`execute.py`)
              a scheduled run on no rebalance row skips these two, and ends unchanged (`turn.py`)
    audit     the verdict; the run's files; the audit mirrored and anchored

The same for live, paper, dry run and replay: they differ in the broker and the clock. A dry run stops before anything
is written down, and shows the orders that would go out.

The instant at which a run *decides* is one transaction: its orders, the prices they are judged by, and that its key is
used up. Before it, a run that dies is as if it had never been; after it, `recover.py` brings it to its end.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import numpy as np

from sigc.errors import Diagnostic, SigcError
from sigc.lang.semantics.rebalance import EVERY_ROW
from sigc.panel import Floats
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import books, control, orders, price_marks, runs
from sigc.store.ledger.control import accepted_by_hand
from sigc.store.ledger.records import (
    ZERO,
    BookKey,
    Finding,
    Intent,
    Outcome,
    Run,
    RunKey,
    RunKind,
    RunStage,
    StageName,
    Weight,
)
from sigc_pipelines.backtest.backtest import pick
from sigc_pipelines.compute import Loaded
from sigc_pipelines.live import broker_diff as compare
from sigc_pipelines.live import waiting
from sigc_pipelines.live.decision import Decision, Known, bounds, decide, finite, within_size
from sigc_pipelines.live.finish import finish
from sigc_pipelines.live.judging import bounds_record
from sigc_pipelines.live.publish import publish
from sigc_pipelines.live.roll_forward import followed
from sigc_pipelines.live.session import Moment, moment
from sigc_pipelines.live.sizing import decimal, lot_of, size, write_down
from sigc_pipelines.live.trading import Ended, Request, RunWatch, TargetFeed, Trading
from sigc_pipelines.live.valuing import BookValue, newest_prices, standing
from sigc_pipelines.portfolio.rebalance_turn import RebalanceTurn, turn_of
from sigc_pipelines.prices import restated_prices as restating
from sigc_pipelines.prices.as_traded import refuse_adjusted, told_of_actions
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.prices.units import in_session
from sigc_pipelines.records.artifacts import read_weights, refresh, write_account, write_weights
from sigc_pipelines.records.decision_record import Sized
from sigc_pipelines.records.recording import (
    decided_record,
    record_computing,
    record_decision,
    record_target,
    source_changes,
)
from sigc_pipelines.targets import Targets, TargetSnapshot


class CancelledError(Exception):
    """Somebody asked for the run to end."""


def carry_out(trading: Trading, request: Request, feed: TargetFeed, watch: RunWatch | None = None) -> Ended:
    """Run it. Raises SigcError when it can't begin (E800, E802) or the ledger fails (E310); all else is its outcome."""
    return _Pass(trading, request, feed, watch or RunWatch()).carry_out()


class _Pass:
    """One pass through the stages."""

    def __init__(self, trading: Trading, request: Request, feed: TargetFeed, watch: RunWatch) -> None:
        self.trading, self.request, self.watch = trading, request, watch
        self.ledger = trading.ledger
        with self.ledger.reading() as connection:
            self.feed = feed.accepting(accepted_by_hand(connection))
        self.book = BookKey(request.strategy, request.portfolio)
        self.stages: list[RunStage] = []
        self.sight: TargetSnapshot | None = None
        self.target: Floats | None = None
        self.held: Floats | None = None
        self.turn: RebalanceTurn | None = None
        self.orders: tuple[Intent, ...] = ()
        self.doubts: tuple[Finding, ...] = ()  # what would keep a trade from going on, where this run is dry
        self.told = restating.Told({})
        self.waiting: dict[str, float] = {}  # weights that the last decision wanted, of assets without a price then
        self.ready: dict[str, float] = {}  # those of them that this run makes up for, and trades alone

    @property
    def is_dry(self) -> bool:
        return self.request.kind is not RunKind.TRADE

    def carry_out(self) -> Ended:
        at = moment(self.trading.calendar, self.trading.clock.now(), self.trading.config.execution.cut_off)
        try:
            self.run = self._opened(at)
        except SigcError as no:
            self._audit_refusal(at, no)
            raise
        problems: tuple[Diagnostic, ...] = ()
        outcome, message = Outcome.FAILED, "it ended by a mistake of ours"
        try:
            outcome, message = self._stages(at)
        except SigcError as error:
            if error.diagnostics[0].code in ("E310", "E311"):
                raise  # the ledger itself: nothing can be written, and the next start gives the verdict
            problems = error.diagnostics
            is_refusal = error.diagnostics[0].code.startswith("E8")
            outcome = Outcome.REFUSED if is_refusal else Outcome.FAILED
            message = error.diagnostics[0].message
        except CancelledError:
            outcome, message = Outcome.CANCELLED, "cancelled before anything was decided"
        finally:
            if not self._is_left_open(outcome):
                self._close(outcome, message)
        return Ended(self.run, tuple(self.stages), self.orders, self.sight, self.target, problems, self.turn, self.held)

    def _is_left_open(self, outcome: Outcome) -> bool:
        """A run that failed after it decided is not over: its orders are resolved by `recover.py`."""
        with self.ledger.reading() as connection:
            return outcome is Outcome.FAILED and runs.is_decided(connection, self.run.id)

    def _close(self, outcome: Outcome, message: str) -> None:
        now = self.trading.clock.now()
        with self.ledger.transaction("run-close") as tx:
            runs.close_run(tx, self.run, now, outcome, message)
            self.run = runs.find(tx.connection, self.run.id)
        if not self.is_dry and self.trading.has_files:
            write_account(self.ledger, self.run.id, self.trading.render)
        publish(self.ledger, self.trading.config.audit)  # what went wrong was told in the stage audit

    # Opening

    def _opened(self, at: Moment) -> Run:
        request, now = self.request, self.trading.clock.now()
        key = RunKey(request.strategy, request.portfolio, str(at.session.day), request.kind, request.slot)
        limits = self.trading.config.safety.model_dump(mode="json")
        with self.ledger.transaction("run-open") as tx:
            revision = 0
            if not self.is_dry:
                self._refuse_held(tx.connection)
                revision = self._revision(tx.connection, key)
                capital = decimal(self.trading.config.execution.capital)
                books.open_book(tx, self.book, capital, now, str(at.as_of.day))
            run = Run(
                id=request.id,
                key=key,
                as_of=str(at.as_of.day),
                revision=revision,
                started=now,
                who=request.who,
                reason=request.reason,
                broker=self.trading.broker.capabilities().name,
                cut_off=at.cut_off,
                digests=dict(request.digests),
            )
            runs.open_run(tx, run, limits)
        return run

    def _audit_refusal(self, at: Moment, no: SigcError) -> None:
        """A run that may not begin leaves no run, but its record; a ledger that fails leaves nothing."""
        found, request = no.diagnostics[0], self.request
        if not found.code.startswith("E8"):
            return
        said = {"id": request.id, "session": str(at.session.day), "slot": request.slot, "reason": request.reason}
        said |= {"code": found.code, "message": found.message}
        with self.ledger.transaction("run-open") as tx:
            tx.audit(AuditEvent("run.refused", said, "", request.strategy, request.portfolio, request.who))

    def _refuse_held(self, connection: sqlite3.Connection) -> None:
        for name in (control.HALTED, control.PAUSED):
            held = control.holds(connection, name, self.request.strategy)
            if held is not None and not (name == control.PAUSED and self.request.is_forced):
                what = f"{held.scope or 'everything'} is {name} since {held.at.isoformat(timespec='seconds')}"
                raise SigcError(Diagnostic("E802", f"{what} by {held.who}: {held.reason or held.value}"))

    def _revision(self, connection: sqlite3.Connection, key: RunKey) -> int:
        """0 for the first run of a key; the next one for a repeat that is wanted, or of a run that sent nothing."""
        latest = runs.latest_revision(connection, key)
        last = runs.last_session(connection, key.strategy, key.portfolio)
        if last > key.session:
            message = f"{key.strategy} ({key.portfolio}) has traded for the session {last} already"
            raise SigcError(Diagnostic("E800", f"{message}; {key.session} is past", hint="--dry-run looks back"))
        if latest is None:
            return 0
        if runs.is_used(connection, key) and not self.request.is_forced:
            message = f"{key.strategy} ({key.portfolio}) was traded for the session {key.session} already"
            raise SigcError(Diagnostic("E800", message, hint="trade it again on purpose: --force --reason '...'"))
        return latest + 1

    # Stages

    @contextmanager
    def _stage(self, name: StageName, deadline_s: float = 0.0) -> Iterator[list[Finding]]:
        """Time a stage, record how it went, refuse to go on when it came too late or somebody wants it to end."""
        if self.watch.stop.is_set() and name is not StageName.AUDIT:
            raise CancelledError
        self.watch.stage(name)
        started, begun = self.trading.clock.now(), time.perf_counter()
        findings: list[Finding] = []
        outcome = "failed"
        try:
            yield findings
            outcome = "failed" if any(f.weight is Weight.ERROR for f in findings) else "done"
            if deadline_s and time.perf_counter() - begun > deadline_s:
                outcome = "late"
        except SigcError as error:
            said = tuple(Finding(d.code, Weight.ERROR, d.message) for d in error.diagnostics)
            findings += [f for f in said if f.message not in {g.message for g in findings}]
            raise
        finally:
            stage = RunStage(self.run.id, name, started, time.perf_counter() - begun, outcome, tuple(findings))
            self.stages.append(stage)
            with self.ledger.transaction("stage") as tx:
                runs.add_stage(tx, self.run, stage)
        if outcome == "late":
            raise SigcError(Diagnostic("E803", f"the stage {name} took longer than its deadline of {deadline_s:g} s"))

    def _stages(self, at: Moment) -> tuple[Outcome, str]:
        execution = self.trading.config.execution
        with self._stage(StageName.LOAD, execution.load_deadline_s) as findings:
            loaded = self.feed.load(self.run.as_of)
            findings += [Finding(d.code, Weight.WARNING, d.message) for d in loaded.findings]
            findings += told_of_actions(loaded)
            if self.feed.is_kept and not self.is_dry:
                refuse_adjusted(loaded)
            now = self._standing(loaded, at)
            if self.is_dry:
                self.doubts = compare.glance(self.ledger, self.trading.broker, self.run.key)
                findings += self.doubts
        with self._stage(StageName.COMPUTE, execution.compute_deadline_s) as findings:
            outlook = self.feed.look(loaded, self.request.portfolio)
            sight = self.sight = outlook.at(self.run.as_of, at.session.day)
            finite(sight)
            changed = source_changes(self.ledger, self.run, loaded, self.feed)
            self._note({"weights": sight.digest} | {f"data:{n}": d for n, d in outlook.digests.items()} | changed)
            findings += record_computing(self.ledger, self.run, loaded, outlook, sight, self.feed)
            turn = self.turn = self._turn(loaded, outlook)
            self.ready = self._waited(sight) if self._is_idle(turn) else {}
            if self._is_idle(turn) and sight.as_of < self.run.as_of:
                findings.append(Finding("fresh", Weight.WARNING, f"the newest row is of {sight.as_of}"))
        if self._is_idle(turn):
            outcome, message = Outcome.UNCHANGED, f"no rebalance row ({turn.rule or 'no new row'})"
        else:
            outcome, message = self._traded(at, now, sight, loaded, execution.validate_deadline_s)
        with self._stage(StageName.AUDIT) as findings:
            if not self.is_dry and self.trading.has_files:
                refresh(self.ledger, self.book, self.trading.render)
            findings += publish(self.ledger, self.trading.config.audit)
        return outcome, message + turn.told(self.run.as_of)

    def _turn(self, loaded: Loaded, outlook: Targets) -> RebalanceTurn:
        settings = pick(loaded, self.request.portfolio).backtest
        rebalance = EVERY_ROW if settings is None else settings.rebalance
        with self.ledger.reading() as connection:
            return turn_of(connection, self.book, rebalance, outlook.row_days, self.run.as_of)

    def _is_idle(self, turn: RebalanceTurn) -> bool:
        """Return True for a scheduled run that has nothing to trade: no rebalance, and no change that waited."""
        return self.request.is_scheduled and not self.is_dry and not turn.due and not self.ready

    def _waited(self, sight: TargetSnapshot) -> dict[str, float]:
        with self.ledger.reading() as connection:
            self.waiting = runs.pending(connection, self.book.strategy, self.book.portfolio)
        return waiting.ready(self.waiting, sight)

    def _traded(
        self, at: Moment, now: BookValue, sight: TargetSnapshot, loaded: Loaded, validate_s: float
    ) -> tuple[Outcome, str]:
        with self._stage(StageName.VALIDATE, validate_s) as findings:
            made = self._decided(sight, loaded, now, findings)
            self.target, self.held = made.target, made.basis.held
            if self.is_dry or any(f.weight is Weight.ERROR for f in findings):
                record_target(self.ledger, self.run, sight, made, self.feed)
            self._refuse(findings)
        with self._stage(StageName.EXECUTE) as findings:
            return self._execute(at, now, sight, loaded, made, findings)

    def _note(self, digests: dict[str, str]) -> None:
        with self.ledger.transaction("stage") as tx:
            runs.add_digests(tx, self.run.id, digests)
        self.run = replace(self.run, digests=dict(self.run.digests) | digests)

    def _standing(self, loaded: Loaded, at: Moment) -> BookValue:
        """The book as of the last complete session, in the units of the one that is traded.

        A dry run looks at it, and changes nothing.
        """
        trading, capital = self.trading, decimal(self.trading.config.execution.capital)

        def closes_since(day: str) -> Closes:
            return self.feed.closes(loaded, day)

        if self.is_dry:
            prices = newest_prices(self.ledger, trading.calendar, self.book, at.as_of, closes_since)
        else:
            accepted = (self.request.who, self.request.reason) if self.request.accepts_differences else None
            prices = followed(trading, self.book, at, closes_since, accepted, loaded.actions)
        with self.ledger.reading() as connection:
            if books.book(connection, self.book) is None:
                fresh = books.Book(self.book, capital, capital, self.run.started, self.run.as_of)
                now, known = BookValue(fresh, capital, {}, prices), str(at.as_of.day)
            else:
                now, valued = standing(connection, self.book, prices), books.last_nav(connection, self.book)
                known = str(at.as_of.day) if valued is None else valued.session
        step = trading.broker.capabilities().quantity_step
        return in_session(now, loaded.actions, trading.calendar, (known, str(at.as_of.day), str(at.session.day)), step)

    def _decided(self, sight: TargetSnapshot, loaded: Loaded, now: BookValue, findings: list[Finding]) -> Decision:
        """The weights to trade to, judged. Raises E801."""
        with self.ledger.reading() as connection:
            past = runs.past_turnovers(connection, self.book.strategy, self.book.portfolio)
            last = runs.last_decided(connection, self.book.strategy, self.book.portfolio)
            before = runs.decision_of(connection, last)
            by_hand = accepted_by_hand(connection)
        self.told = restating.look(self.feed, loaded, before.get("shown", {}), by_hand)
        known = Known(past, before.get("coverage", {}), self.ready, self.told.those)
        made = decide(
            *(sight, now, self.run.as_of, self.trading.config, known, loaded.actions),
            lambda: self._last_target(sight, last),
        )
        findings += made.findings
        return made

    def _pending(self, sight: TargetSnapshot, made: Decision) -> dict[str, float]:
        """What waits after this decision."""
        if self.ready:
            return {n: w for n, w in self.waiting.items() if n not in self.ready or n in made.odd}
        return waiting.pending(sight, made.target, made.odd)

    def _last_target(self, sight: TargetSnapshot, last: str) -> tuple[Floats, Finding]:
        """What the book's last run traded to; an error without one."""
        known = read_weights(self.ledger.directory, last) if last else {}
        told = Finding("use_cache", Weight.WARNING, f"the target is that of the run {last}")
        if not known:
            told = Finding("use_cache", Weight.ERROR, "there is no earlier run whose target could be used")
        return np.array([known[n]["target"] if n in known else 0.0 for n in sight.names]), told

    def _refuse(self, findings: list[Finding]) -> None:
        errors = [f for f in findings if f.weight is Weight.ERROR]
        if errors:
            raise SigcError(*(Diagnostic("E801", f.message) for f in errors))

    def _execute(
        self, at: Moment, now: BookValue, sight: TargetSnapshot, loaded: Loaded, made: Decision, findings: list[Finding]
    ) -> tuple[Outcome, str]:
        settings, broker, clock = self.trading.config.execution, self.trading.broker, self.trading.clock
        step = broker.capabilities().quantity_step
        with self.ledger.reading() as connection:
            flying = orders.in_flight(connection, self.book)
        in_flight: dict[str, Decimal] = {}
        for one in flying:
            in_flight[one.asset] = in_flight.get(one.asset, ZERO) + one.side.sign * one.remaining
        lot = lot_of(settings, step)
        changes, least = self._changes(sight, made, in_flight), decimal(settings.min_order_value)
        whole = size(changes, now.positions, in_flight, now.prices, made.basis.money, lot, least)
        measured = bounds(sight, made, now, in_flight, whole, lot)
        sized, small = within_size(whole, measured, now.positions, self.trading.config.safety, lot)
        findings += small
        kept = Sized(whole, sized, changes, in_flight, lot)
        record_decision(self.ledger, self.run, sight, made, now, kept, self.feed)
        opens = max(clock.now(), at.session.open) if at.session.open < at.cut_off else clock.now()
        intents = write_down(sized, self.run, self.ledger.id, settings, step, opens)
        marks = self._marks(sight, now, {o.asset for o in sized})
        if self.is_dry:
            self.orders = intents
            return Outcome.DONE, "; ".join([f"{len(intents)} orders would go out", *(f.message for f in self.doubts)])
        write_weights(self.ledger.directory, self.run.id, sight.names, sight.wanted, made.target, made.basis.held)
        with self.ledger.transaction("intents") as tx:
            runs.mark_decided(tx, self.run)
            price_marks.put_marks(tx, self.run.id, marks)
            orders.plan(tx, intents)
            more: dict[str, object] = {"rebalance": "" if self.turn is None else self.turn.due}
            more |= {"pending": self._pending(sight, made), "coverage": {s.name: s.values for s in sight.sources}}
            more |= {"shown": self.told.record(self.feed, loaded, marks)}
            more |= bounds_record(measured, made.off)
            tx.audit(runs.event("run.decided", self.run, decided_record(sight, made.target, intents) | more))
        outcome, message, found = finish(self.trading, self.run, self.watch.stop)
        findings += found
        with self.ledger.reading() as connection:
            self.orders = orders.of_run(connection, self.run.id)
        return outcome, message

    def _changes(self, sight: TargetSnapshot, made: Decision, in_flight: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """The target weight of every asset that is not kept as it is. Positions outside the universe are kept.

        A target that equals what is held, to the bit, is a wish to keep it: rounding to shares must not trade it.
        """
        return {
            name: decimal(t)
            for name, t, h in zip(sight.names, made.target.tolist(), made.basis.held.tolist(), strict=True)
            if name not in made.kept and (t != h or name in in_flight)
        }

    def _marks(self, sight: TargetSnapshot, now: BookValue, ordered: set[str]) -> dict[str, price_marks.Mark]:
        sectors = dict(zip(sight.names, sight.sectors, strict=True)) if sight.sectors else {}
        return {n: price_marks.Mark(now.prices.get(n), sectors.get(n, "")) for n in sorted({*now.positions, *ordered})}
