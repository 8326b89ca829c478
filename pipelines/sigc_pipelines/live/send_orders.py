"""Exactly-once sending of orders to a broker, by a write-ahead intent log.

    planned --[commit: sending]--> POST once --> acknowledged | rejected | not sent | no answer
    no answer: look it up, with growing waits
        found                                              acknowledged (or whatever the book says)
        absent in two different reads, after the grace     planned again: the same id is sent again
        neither by the cut-off                             the strategy is halted, a person is alerted
    halted                                             planned orders are denied, nothing more leaves (`halts.py`)

An order is written before it is sent, so it is never lost: the next process that opens the ledger knows that it may be
in the book. It is sent under one id, so it is never doubled: a broker takes an id once. Execution can be interrupted at
any instruction and called again (`recover.py` does so at start).

The loop handles everything that is due in one turn (`_turn`), then waits. Acknowledgements are committed together with
the next order's mark: one transaction an order. While the strategy is paused nothing is sent: orders are held, and
slices that this or anything else made late are spread again (`slice_times.py`).

Neighbours: `apply_fills.py` applies the broker's report, `checks/` judges each order, `sizing.py` creates the intents.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sigc.clock import Clock
from sigc.config.settings import ExecutionSettings
from sigc.errors import Severity
from sigc.failpoint import failpoint
from sigc.host import kill_file
from sigc.store.ledger import control, orders, runs
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import UNRESOLVED, WORKING, Finding, Intent, IntentState, Run
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc.words import counted
from sigc_pipelines.brokers.protocol import (
    Broker,
    BrokerOrder,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    UnreachableError,
    simulation,
)
from sigc_pipelines.checks.account import is_later
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.judging import denial
from sigc_pipelines.live.order_answers import look_up, record_answer, request_of
from sigc_pipelines.live.order_window import SendingEnd
from sigc_pipelines.live.reversals import FillGate
from sigc_pipelines.live.run_watch import RunWatch, planned_text
from sigc_pipelines.live.slice_times import SliceTimes
from sigc_pipelines.live.unresolved import Doubt, halt_unresolved
from sigc_pipelines.stopping.halts import halt_in_force

_LONGEST_WAIT_S = 30.0  # cap of the lookup backoff and of retry_after_s
_LATER = timedelta(seconds=2.0)  # until an order that waits for others of the account is judged again
_LOOK_EVERY_S = 0.5  # between two looks at what is paused or halted, while it waits
Judge = Callable[[Transaction, Intent], tuple[Finding, ...]]  # called in the transaction that marks the order


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """The parts that trading needs."""

    ledger: Ledger
    broker: Broker
    clock: Clock
    settings: ExecutionSettings


@dataclass(frozen=True, slots=True)
class Executed:
    """The result of an execution. doubtful: orders without a known outcome."""

    findings: tuple[Finding, ...]
    doubtful: tuple[Intent, ...]


class Execution:
    """Execution of one run: brings each intent to a final or working state. Call `run`, once, or drive `steps`.

    end: nothing is sent after it. watch: told what it waits for; its `stop` is set from outside to send nothing more.
    opens: the open of the session, for which orders may wait. passes_halt: for orders that close positions under a halt
    or a pause (`closing_out.py`), and no others.
    """

    def __init__(
        self,
        desk: Desk,
        run: Run,
        judge: Judge,
        end: SendingEnd,
        watch: RunWatch | None = None,
        times: SliceTimes | None = None,
        opens: datetime | None = None,
        *,
        passes_halt: bool = False,
    ) -> None:
        self._desk, self._run, self._judge, self._end, self._ends = desk, run, judge, end, end.at
        self._watch, self._opens = watch or RunWatch(), opens
        self._stop, self._pulse = self._watch.stop, self._watch.pulse
        self._pulse.ends = self._ends
        self._times = times or SliceTimes(desk, run)
        self._passes_halt, self._gate = passes_halt, FillGate(desk, self._commit_answers)
        self._doubts: dict[str, Doubt] = {}
        self._not_before: dict[str, datetime] = {}  # by order id: the broker asked to wait until then
        self._answers: list[tuple[Intent, BrokerOrder]] = []  # acknowledged, not committed yet
        self._findings: list[Finding] = []
        self._paused: control.Control | None = None  # as this turn found it
        self._stops_seen: tuple[object, ...] = ()  # pause, halt and cancel, as it found them
        self._seen: tuple[object, ...] = ()  # what the ledger and the kill file looked like then
        with desk.ledger.reading() as connection:
            self._begun = runs.opened_at(connection, run)

    def run(self) -> Executed:
        """Send planned orders, look up unknown ones, wait for fills as long as the settings say."""
        for until in self.steps():
            self.sleep(until)
        return self.executed()

    def executed(self) -> Executed:
        """Return the result, once it is over."""
        doubtful = tuple(i for i in self._intents() if i.state in UNRESOLVED)
        return Executed(tuple(self._findings), doubtful)

    def steps(self) -> Iterator[datetime]:
        """Do what is due, then yield the instant until which there is nothing to do; repeat until all is over."""
        # Lookups go on after the cut-off: a last lookup may be a full backoff wait away when the grace ends.
        grace = timedelta(seconds=self._desk.settings.lookup_grace_s + _LONGEST_WAIT_S)
        gives_up = max(self._ends, self._desk.clock.now()) + grace
        while wakes := self._turn():  # no wakes: each order is final or works at the broker
            now = self._desk.clock.now()
            if now >= gives_up:
                self._drop_what_may_not_go()
                if left := [i for i in self._intents() if i.state in UNRESOLVED]:
                    self._findings.append(halt_unresolved(self._desk.ledger, self._run, left))
                break
            # Wake at the cut-off too: planned orders expire then, not when they would have been due.
            until = min(*wakes, gives_up, self._ends if now < self._ends else gives_up)
            self._tell(until)
            yield until
        self._watch.opening(None)
        yield from self._await_fills()
        self._watch.waiting("", None)

    def sleep(self, until: datetime) -> None:
        """Wait until an instant; a stopped run wakes up within a second, and one that is paused, resumed or halted."""
        while (left := (until - self._desk.clock.now()).total_seconds()) > 0 and not self._stop.is_set():
            self._pulse.beat()
            self._desk.clock.sleep(min(left, _LOOK_EVERY_S))
            if self._has_changed():
                return
        if left > 0:  # stopped: look up unknown orders soon, but not in a busy loop
            self._desk.clock.sleep(min(left, self._desk.settings.lookup_backoff_s))

    def _has_changed(self) -> bool:
        """Return True if a pause, halt or cancel has begun or ended since the last look."""
        before, self._seen = self._seen, self._stamp()
        # Where nothing was written, nothing is read: a hand-turned clock passes hours in many looks.
        return before != self._seen and (self._pause(), self._halted(), self._asked_to_end()) != self._stops_seen

    def _stamp(self) -> tuple[object, ...]:
        """Return a value that changes with every write of the ledger, and with the kill file."""
        return self._desk.ledger.changes, kill_file.stamp_of(self._desk.ledger.directory)

    def _tell(self, until: datetime) -> None:
        """Tell what it waits for."""
        found, watch = self._intents(), self._watch
        planned = [i for i in found if i.state is IntentState.PLANNED]
        doubtful = sum(i.state in UNRESOLVED for i in found)
        due = min((self._due(i) for i in planned), default=until)
        # Orders that are due before the open, and still there, are kept off by the broker.
        waits = (
            bool(planned) and not doubtful and self._opens is not None and self._desk.clock.now() < self._opens <= due
        )
        watch.opening(WaitingOrders(len(planned), sum(i.state in WORKING for i in found), due) if waits else None)
        if self._paused is not None and not doubtful:
            watch.waiting(f"held: paused {self._paused.by}", self._ends)
        elif doubtful:
            lacks = "has no outcome and is" if doubtful == 1 else "have no outcome and are"
            watch.waiting(f"{counted(doubtful, 'order')} {lacks} looked up", None)
        else:
            watch.waiting(planned_text(len(planned), due, until, self._desk.ledger.zone, for_open=waits), until)

    def _turn(self) -> list[datetime]:
        """Do everything that is due now. Return the instants at which the rest is due."""
        self._drop_what_may_not_go()
        self._seen = self._stamp()
        self._paused, *_ = self._stops_seen = (self._pause(), self._halted(), self._asked_to_end())
        self._findings += self._times.replan(self._intents(), is_held=self._paused is not None)
        wakes, behind = [], set[str]()
        # States are read anew each turn: a cancel by hand or a sweep in another thread may have moved an order.
        for intent in self._intents():
            self._pulse.beat()
            match intent.state:
                case IntentState.PLANNED:
                    due = self._due(intent)
                    # A slice may have become late while others were sent: the next turn spreads it and those behind it.
                    if self._times.is_late(intent):
                        behind.add(intent.parent)
                    is_ready = due <= self._desk.clock.now() and intent.parent not in behind
                    if is_ready and self._paused is None and self._may_send() and not self._gate.why_held(intent):
                        self._send(intent)
                        wakes += self._next(intent)
                    else:
                        wakes.append(due if self._paused is None else self._held_until(due))
                # SENDING here is an order whose process died between the mark and the answer: the same as UNKNOWN.
                # An answered one is still SENDING in the ledger only until the next commit.
                case IntentState.SENDING | IntentState.UNKNOWN if not self._is_answered(intent):
                    if self._doubt(intent).at <= self._desk.clock.now():
                        self._look_up(intent)
                    wakes += self._next(intent)
        self._commit_answers()
        return wakes

    def _pause(self) -> control.Control | None:
        """Return the pause that holds the orders of this run, None without one."""
        with self._desk.ledger.reading() as connection:
            return self._pause_in(connection)

    def _pause_in(self, connection: sqlite3.Connection) -> control.Control | None:
        return None if self._passes_halt else control.pause_of(connection, self._run.key.strategy, self._begun)

    def _held_until(self, due: datetime) -> datetime:
        """Return when a paused run looks at an order again: `sleep` wakes it when it is resumed."""
        window, now = self._times.window, self._desk.clock.now()
        return max(due, self._ends if window is None or window.ends <= now else min(window.ends, self._ends))

    def _intents(self) -> tuple[Intent, ...]:
        with self._desk.ledger.reading() as connection:
            return orders.of_run(connection, self._run.id)

    def _due(self, intent: Intent) -> datetime:
        asked = self._not_before.get(intent.client_order_id)
        times = [intent.not_before, asked, self._times.earliest(intent), self._gate.held_until(intent)]
        return max((t for t in times if t is not None), default=self._run.started)

    def _next(self, intent: Intent) -> list[datetime]:
        """Return the instant at which an order is due again, or nothing."""
        if self._is_answered(intent):
            return []
        with self._desk.ledger.reading() as connection:
            state = orders.state_of(connection, intent.client_order_id)
        if state is IntentState.PLANNED:
            return [self._due(intent)]
        return [self._doubt(intent).at] if state in UNRESOLVED else []

    def _is_answered(self, intent: Intent) -> bool:
        return any(one.client_order_id == intent.client_order_id for one, _ in self._answers)

    # Sending

    def _may_send(self) -> bool:
        is_ended = self._stop.is_set() or self._asked_to_end() is not None
        return self._desk.clock.now() < self._ends and not is_ended and not self._halted()

    def _halted(self) -> str:
        """Return why the strategy may send nothing, by ledger or kill file; '' if it may."""
        return "" if self._passes_halt else halt_in_force(self._desk.ledger, self._run.key.strategy)

    def _asked_to_end(self) -> control.Control | None:
        with self._desk.ledger.reading() as connection:
            names = (control.CANCELLED, control.REVOKED)
            return next((c for n in names if (c := control.get(connection, n, self._run.id)) is not None), None)

    def _drop_what_may_not_go(self) -> None:
        """Deny, cancel or expire planned orders that may not be sent any more."""
        if self._may_send():
            return
        is_over, halted = self._desk.clock.now() >= self._ends, self._halted()
        if not any(i.state is IntentState.PLANNED for i in self._intents()):
            return
        to, name, why = IntentState.CANCELLED, "cancel", "the run was cancelled before this order was sent"
        check, weight = "cancelled", Severity.WARNING
        if (asked := self._asked_to_end()) is not None:
            why = f"{why}, {asked.by}"
        elif halted and not self._stop.is_set():
            to, why, check, weight = IntentState.DENIED, halted, "halted", Severity.DENIAL
        if is_over:
            to, name, weight = IntentState.EXPIRED, "expire", Severity.WARNING
            why, check = self._end.why, self._end.check
            if self._paused is not None:
                why = f"{why}: it was held, paused {self._paused.by}"
        with self._desk.ledger.transaction(name) as tx:
            # Read in the transaction: a halt or cancel in another thread may have ended them meanwhile.
            planned = [i for i in orders.of_run(tx.connection, self._run.id) if i.state is IntentState.PLANNED]
            for intent in planned:
                orders.moved(tx, intent, to, why)
        self._findings.append(Finding(check, weight, why, tuple(sorted({i.asset for i in planned}))))

    def _send(self, intent: Intent) -> None:
        # Invariant: the mark (state SENDING) is durable before the request leaves; `submit` is called once per mark.
        if not self._mark(intent):
            return
        failpoint("post:before")
        # Again, since the mark: the process may have been frozen in between. The next turn ends the order.
        if not self._may_send() or self._pause() is not None:
            self._record("resolve", intent, IntentState.PLANNED, "not sent: it was stopped right before its request")
            return
        try:
            answer = self._desk.broker.submit(request_of(intent))
        except RejectedError as no:
            failpoint("post:after")
            self._record("acknowledge", intent, IntentState.REJECTED, str(no))
            self._findings.append(Finding("rejected", Severity.WARNING, f"the broker refused: {no}", (intent.asset,)))
        except NotSentError as later:  # known not to be in the book: safe to plan again under the same id
            failpoint("post:after")
            wait = min(_LONGEST_WAIT_S, max(0.001, later.retry_after_s))
            self._not_before[intent.client_order_id] = self._desk.clock.now() + timedelta(seconds=wait)
            self._record("resolve", intent, IntentState.PLANNED, f"not sent: {later}")
        except OutcomeUnknownError as lost:  # may be in the book: never sent again before a lookup says it is not
            failpoint("post:after")
            self._times.left(intent)
            self._record("acknowledge", intent, IntentState.UNKNOWN, str(lost))
            self._begin_doubt(intent)
        else:
            failpoint("post:after")
            # Committed with the next mark. A crash before that leaves SENDING, which a lookup resolves to the same.
            self._answers.append((intent, answer))
            self._times.left(intent)

    def _mark(self, intent: Intent) -> bool:
        """Judge an order and mark it as sending, in one transaction. Return True if it may be sent."""
        with self._desk.ledger.transaction("send") as tx:
            self._write_answers(tx)
            # All in the transaction that marks: no verdict is old, and no cancel of another thread is missed.
            is_planned = orders.state_of(tx.connection, intent.client_order_id) is IntentState.PLANNED
            may_go = is_planned and self._pause_in(tx.connection) is None
            found = self._judge(tx, intent) if may_go else ()
            waits = is_later(found)  # for others of the account: nothing is wrong with it
            if waits:
                self._not_before[intent.client_order_id] = self._desk.clock.now() + _LATER
            elif found:
                orders.moved(tx, intent, IntentState.DENIED, denial(found))
            elif may_go:
                orders.sending(tx, intent, self._desk.clock.now())
        self._answers.clear()  # only after the commit
        if waits:
            with suppress(UnreachableError):
                settle(self._desk.ledger, self._desk.broker)
        else:
            self._findings += found
        return may_go and not found

    def _record(self, name: str, intent: Intent, to: IntentState, message: str) -> None:
        with self._desk.ledger.transaction(name) as tx:
            self._write_answers(tx)
            orders.moved(tx, intent, to, message)
        self._answers.clear()

    def _write_answers(self, tx: Transaction) -> None:
        for intent, answer in self._answers:
            record_answer(tx, intent, answer)

    def _commit_answers(self) -> None:
        if self._answers:
            with self._desk.ledger.transaction("acknowledge") as tx:
                self._write_answers(tx)
            self._answers.clear()

    # Looking up

    def _begin_doubt(self, intent: Intent) -> Doubt:
        wait, now = self._desk.settings.lookup_backoff_s, self._desk.clock.now()
        doubt = Doubt(now, now + timedelta(seconds=wait), wait)
        self._doubts[intent.client_order_id] = doubt
        return doubt

    def _doubt(self, intent: Intent) -> Doubt:
        """Return the doubt about an order. One that a crash left is looked up at once."""
        known = self._doubts.get(intent.client_order_id)
        if known is None:
            known = self._begin_doubt(intent)
            known.at = known.since
        return known

    def _look_up(self, intent: Intent) -> None:
        # The time is taken before the reads: they must have begun after the grace for an absence to count.
        doubt, asked = self._doubt(intent), self._desk.clock.now()
        is_certain = asked >= doubt.since + timedelta(seconds=self._desk.settings.lookup_grace_s)
        failpoint("lookup:before")
        try:
            found = look_up(self._desk.broker, intent, self._run.started)
        except UnreachableError:  # no answer is not an absence
            found, is_certain = None, False
        failpoint("lookup:after")
        if found is not None:
            with self._desk.ledger.transaction("resolve") as tx:
                record_answer(tx, intent, found)
            self._doubts.pop(intent.client_order_id)
        elif is_certain:
            self._record("resolve", intent, IntentState.PLANNED, "the broker does not have it")
            self._times.came_back(intent)
            self._doubts.pop(intent.client_order_id)
        else:
            doubt.wait_s = min(_LONGEST_WAIT_S, 2 * doubt.wait_s)
            doubt.at = self._desk.clock.now() + timedelta(seconds=doubt.wait_s)

    def _await_fills(self) -> Iterator[datetime]:
        """Apply fills until no order works or the time is up. A simulation fills at its marks only: no wait."""
        waits = 0.0 if simulation(self._desk.broker) else self._desk.settings.fill_wait_s
        until = min(self._ends, self._desk.clock.now() + timedelta(seconds=waits))
        pause = self._desk.settings.lookup_backoff_s
        while True:  # at least one sweep, even after the cut-off
            try:
                settle(self._desk.ledger, self._desk.broker)
            except UnreachableError as silent:
                if self._desk.clock.now() >= until:
                    message = f"the broker did not say what was filled: {silent}"
                    self._findings.append(Finding("broker", Severity.WARNING, message))
            now = self._desk.clock.now()
            if now >= until or self._stop.is_set() or not any(i.state in WORKING for i in self._intents()):
                return
            self._watch.waiting("fills are awaited", until)
            yield min(now + timedelta(seconds=pause), until)
