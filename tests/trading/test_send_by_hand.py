"""Sending called directly, on a ledger and a venue that a test writes down: each request, wait and word, by the second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.errors import Severity
from sigc.failpoint import arm
from sigc.host import kill_file
from sigc.host.kill_file import FileHalt
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import books, control, orders, runs
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import ZERO, BookKey, Fill, Finding, Intent, IntentState, Run, RunKey, Side
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc_pipelines.brokers.protocol import (
    Activities,
    BrokerOrder,
    Capabilities,
    NotSentError,
    OrderRequest,
    OrderStatus,
    OutcomeUnknownError,
    RejectedError,
    UnreachableError,
)
from sigc_pipelines.live.order_window import SendingEnd
from sigc_pipelines.live.run_watch import Pulse, RunWatch
from sigc_pipelines.live.send_orders import Desk, Executed, Execution
from sigc_pipelines.live.slice_times import Window, window_record
from tests.trading.script import free

AT = datetime(2016, 1, 5, 15, tzinfo=UTC)
KEY = RunKey("one", "main", "2016-01-05")
RUN = Run("run-1", KEY, "2016-01-04", 0, AT, "ann")
S = IntentState
LOST = OutcomeUnknownError("no answer")
LATER = "account_opposite"  # the check of an order that is only too early
Hook = Callable[[], object]


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


class Scripted(HandClock):
    """A clock at whose instants, in seconds since the begin, something is done by others."""

    def __init__(self) -> None:
        super().__init__(AT)
        self.script: list[tuple[float, Hook]] = []
        self.looks = 0

    @property
    def passed(self) -> float:
        return (self.now() - AT).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.looks += 1
        assert self.looks < 5_000, "it waits for nothing"
        super().sleep(seconds)
        while self.script and self.script[0][0] <= self.passed:
            self.script.pop(0)[1]()


@dataclass
class Venue:
    """A broker that answers each submit as a test says, in turn; `takes` seconds pass in a request of an order."""

    clock: Scripted
    answers: dict[str, list[Exception | OrderStatus]] = field(default_factory=dict)
    listed: dict[str, OrderRequest] = field(default_factory=dict)  # found by a look-up
    calls: list[tuple[str, str, float]] = field(default_factory=list)
    takes: dict[str, float] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)  # reads that are not answered
    fills: list[Fill] = field(default_factory=list)
    is_simulated = False

    def capabilities(self) -> Capabilities:
        return Capabilities("venue", is_live=False, simulated=self.is_simulated)

    def submit(self, request: OrderRequest) -> BrokerOrder:
        id = request.client_order_id
        self._called("submit", id)
        answer = self.answers[id].pop(0) if self.answers.get(id) else OrderStatus.NEW
        if isinstance(answer, Exception):
            raise answer
        return BrokerOrder(request, f"b-{id}", answer, ZERO, AT, "as it says")

    def order(self, id: str) -> BrokerOrder | None:
        self._called("order", id)
        request = self.listed.get(id)
        return None if request is None else BrokerOrder(request, f"b-{id}", OrderStatus.NEW, ZERO, AT)

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:  # noqa: ARG002  # nothing but what `order` finds
        return ()

    def activities(self, cursor: str) -> Activities:  # noqa: ARG002  # all of them each time
        self._called("sweep", "")
        return Activities(tuple(self.fills), (), "")

    def _called(self, what: str, id: str) -> None:
        self.calls.append((what, id, self.clock.passed))
        if id in self.takes and what != "sweep":
            self.clock.sleep(self.takes[id])
        if id in self.hooks:
            self.hooks.pop(id)()
        if what in self.silent:
            raise UnreachableError("it is silent")

    def at(self, what: str, id: str = "") -> list[float]:
        """When it was asked that."""
        return [when for name, of, when in self.calls if name == what and of == id]

    @property
    def sent(self) -> list[tuple[str, float]]:
        return [(id, when) for name, id, when in self.calls if name == "submit"]


class Simulation(Venue):
    """One that fills at its marks only."""

    is_simulated = True
    mark = act = announce = deposit = write_off = staticmethod(lambda *_: None)


class Beats(Pulse):
    """A pulse that is counted."""

    count = 0

    def beat(self) -> None:
        type(self).count += 1


@dataclass
class Sender:
    """A ledger with one run, its venue, and what the run has told."""

    ledger: Ledger
    clock: Scripted
    venue: Venue
    told: list[tuple[str, float | None]] = field(default_factory=list)
    opening: list[WaitingOrders | None] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    verdicts: dict[str, list[tuple[Finding, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.watch = RunWatch(waiting=self._waits, opening=self.opening.append)

    def _waits(self, why: str, until: datetime | None) -> None:
        self.told.append((why, None if until is None else (until - AT).total_seconds()))

    def plan(self, *ids: str, decision: Mapping[str, object] | None = None, **how: Any) -> None:
        """Orders of ten, each for the asset of its id; decision: of the run, with the first of them."""
        with self.ledger.transaction("plan") as tx:
            if decision is not None:
                tx.audit(AuditEvent("run.decided", decision, RUN.id, "one", "main"))
            first = len(orders.of_run(tx.connection, RUN.id))
            orders.plan(
                tx,
                [
                    replace(Intent(id, RUN.id, KEY, place, id.upper(), Side.BUY, Decimal(10), Decimal(50)), **how)
                    for place, id in enumerate(ids, first)
                ],
            )

    def slices(self, window_s: float, *due: float) -> None:
        """Slices of one order `p`, with their window from the begin on."""
        said = window_record(Window(AT, after(window_s)))
        for number, seconds in enumerate(due, 1):
            how = {"parent": "p", "slice": number, "not_before": after(seconds)}
            self.plan(f"s{number}", decision=said if number == 1 else None, **how)

    def left(self, id: str, state: IntentState) -> None:
        """An order as a process that died has left it."""
        self.plan(id)
        with self.ledger.transaction("send") as tx:
            orders.sending(tx, self.of(id), AT)
            if state is not S.SENDING:
                orders.moved(tx, self.of(id), state)

    def of(self, id: str) -> Intent:
        with self.ledger.reading() as connection:
            found = orders.get(connection, id)
        assert found is not None
        return found

    def puts(self, name: str, scope: str = "one", reason: str = "enough") -> Hook:
        """A person's decision, as something to be done."""

        def put() -> None:
            with self.ledger.transaction("control") as tx:
                control.put(tx, name, scope, "by hand", "ann", reason)

        return put

    def drops(self, name: str, scope: str = "one") -> Hook:
        def drop() -> None:
            with self.ledger.transaction("control") as tx:
                control.drop(tx, name, scope)

        return drop

    def judge(self, _: Transaction, intent: Intent) -> tuple[Finding, ...]:
        self.judged.append(intent.client_order_id)
        waiting = self.verdicts.get(intent.client_order_id)
        return waiting.pop(0) if waiting else ()

    def run(
        self, ends: float = 60.0, *, opens: float | None = None, passes_halt: bool | None = None, **settings: Any
    ) -> Executed:
        """Execute to the end. The grace of a look-up is 7 s, its first wait one."""
        given = {"lookup_backoff_s": 1.0, "lookup_grace_s": 7.0, "fill_wait_s": 0.0} | settings
        desk = Desk(self.ledger, self.venue, self.clock, free(execution=given).execution)  # type: ignore[arg-type]
        how: dict[str, Any] = {} if passes_halt is None else {"passes_halt": passes_halt}
        end = SendingEnd(after(ends), "it is too late", "late")
        at = None if opens is None else after(opens)
        return Execution(desk, RUN, self.judge, end, self.watch, opens=at, **how).run()

    def states(self) -> dict[str, IntentState]:
        with self.ledger.reading() as connection:
            return {i.client_order_id: i.state for i in orders.of_run(connection, RUN.id)}

    def events(self, name: str) -> int:
        with self.ledger.reading() as connection:
            (count,) = connection.execute("SELECT count(*) FROM audit WHERE event = ?", (name,)).fetchone()
        return int(count)


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    clock = Scripted()
    with Ledger.open(tmp_path, clock, durable=False) as ledger:
        with ledger.transaction("plan") as tx:
            books.open_book(tx, BookKey("one", "main"), Decimal(1_000), AT)
            runs.open_run(tx, RUN, {})
            runs.mark_decided(tx, RUN)
        yield Sender(ledger, clock, Venue(clock))


def refusal(check: str, message: str = "no") -> tuple[Finding, ...]:
    return (Finding(check, Severity.DENIAL, message, ("A",)),)


def checks(done: Executed) -> list[tuple[str, Severity, str, tuple[str, ...]]]:
    return [(f.check, f.severity, f.message, f.assets) for f in done.findings]


# One request


def test_orders_are_marked_sent_once_and_acknowledged(sender: Sender) -> None:
    sender.plan("a", "b", "c")
    seen: dict[str, Mapping[str, IntentState]] = {}
    sender.venue.hooks = {
        "a": lambda: seen.update(a=sender.states()),
        "b": lambda: seen.update(b=sender.states()),
        "c": lambda: seen.update(c=sender.states()),
    }
    assert sender.run() == Executed((), ())
    assert sender.venue.sent == [("a", 0.0), ("b", 0.0), ("c", 0.0)]
    assert seen == {  # the answer to one is written with the mark of the next
        "a": {"a": S.SENDING, "b": S.PLANNED, "c": S.PLANNED},
        "b": {"a": S.ACKNOWLEDGED, "b": S.SENDING, "c": S.PLANNED},
        "c": {"a": S.ACKNOWLEDGED, "b": S.ACKNOWLEDGED, "c": S.SENDING},
    }
    assert sender.states() == dict.fromkeys("abc", S.ACKNOWLEDGED)
    assert [sender.of(id).broker_order_id for id in "abc"] == ["b-a", "b-b", "b-c"]
    assert (sender.of("a").sent_at, sender.of("a").attempts) == (AT, 1)
    assert sender.judged == ["a", "b", "c"]
    assert (sender.events("order.sending"), sender.events("order.acknowledged")) == (3, 3)
    assert (sender.venue.at("sweep"), sender.told, sender.opening) == ([0.0], [("", None)], [None])
    assert sender.clock.passed == 0.0


def test_a_refusal_by_the_broker_is_told_and_the_rest_goes_on(sender: Sender) -> None:
    sender.plan("a", "b", "c")
    sender.venue.answers = {"b": [RejectedError("no such asset")], "c": [OrderStatus.REJECTED]}
    done = sender.run()
    assert sender.states() == {"a": S.ACKNOWLEDGED, "b": S.REJECTED, "c": S.REJECTED}
    assert (sender.of("b").message, sender.of("c").message) == ("no such asset", "as it says")
    assert checks(done) == [("rejected", Severity.WARNING, "the broker refused: no such asset", ("B",))]
    assert sender.events("order.acknowledged") == 1
    assert sender.venue.sent == [("a", 0.0), ("b", 0.0), ("c", 0.0)]


@pytest.mark.parametrize(("asked", "again"), [(0.0, 0.001), (5.0, 5.0), (100.0, 30.0)])
def test_what_was_not_sent_is_sent_again_when_the_broker_says_within_half_a_minute(
    sender: Sender, asked: float, again: float
) -> None:
    sender.plan("a")
    sender.venue.answers = {"a": [NotSentError("slow down", asked)]}
    assert sender.run() == Executed((), ())
    assert sender.venue.sent == [("a", 0.0), ("a", again)]
    assert (sender.states(), sender.of("a").attempts) == ({"a": S.ACKNOWLEDGED}, 2)
    assert sender.events("order.absent") == 1


def test_a_denial_is_written_and_its_order_not_sent(sender: Sender) -> None:
    sender.plan("a", "b")
    sender.verdicts = {"a": [(*refusal("size", "too large"), *refusal("count", "too many"))]}
    done = sender.run()
    assert sender.states() == {"a": S.DENIED, "b": S.ACKNOWLEDGED}
    assert sender.of("a").message == "too large; too many"
    assert [f.check for f in done.findings] == ["size", "count"]
    assert sender.venue.sent == [("b", 0.0)]
    assert sender.venue.at("sweep") == [0.0]


def test_what_is_only_too_early_is_judged_again_after_two_seconds_and_a_sweep(sender: Sender) -> None:
    sender.plan("a", "b")
    sender.verdicts = {"a": [refusal(LATER), refusal(LATER)]}
    assert sender.run() == Executed((), ())
    assert sender.venue.sent == [("b", 0.0), ("a", 4.0)]
    assert sender.venue.at("sweep") == [0.0, 2.0, 4.0]
    assert sender.judged == ["a", "b", "a", "a"]


def test_a_sweep_that_is_not_answered_keeps_nobody_who_is_too_early(sender: Sender) -> None:
    sender.plan("a")
    sender.verdicts = {"a": [refusal(LATER)]}
    sender.venue.silent = {"sweep"}
    done = sender.run()
    assert sender.venue.sent == [("a", 2.0)]
    assert checks(done) == [("broker", Severity.WARNING, "the broker did not say what was filled: it is silent", ())]


def test_an_answer_is_written_once_whatever_is_written_after_it(sender: Sender) -> None:
    """A's no with the word that B is absent, at 7; C's with the mark of D, at 20; E's at the end of its turn, at 30."""
    sender.plan("a", not_before=after(7.0))
    sender.plan("b")
    for ids, due in (("cd", 20.0), ("e", 30.0), ("f", 40.0)):
        sender.plan(*ids, not_before=after(due))
    no = OrderStatus.REJECTED
    sender.venue.answers = {"a": [no], "b": [LOST], "c": [no], "e": [no]}
    assert sender.run() == Executed((), ())
    times = [("b", 0.0), ("a", 7.0), ("b", 7.0), ("c", 20.0), ("d", 20.0), ("e", 30.0), ("f", 40.0)]
    assert sender.venue.sent == times
    assert sender.states() == dict.fromkeys("ace", S.REJECTED) | dict.fromkeys("bdf", S.ACKNOWLEDGED)
    assert sender.events("order.rejected") == 3


# Without an outcome


def test_an_order_without_an_answer_is_looked_up_and_found(sender: Sender) -> None:
    sender.plan("a", "b")
    sender.venue.answers = {"a": [LOST]}
    sender.venue.listed = {"a": OrderRequest("a", "A", Side.BUY, Decimal(10))}
    seen: list[IntentState] = []
    sender.venue.hooks["b"] = lambda: seen.append(sender.states()["a"])
    assert sender.run() == Executed((), ())
    assert seen == [S.UNKNOWN]
    assert sender.venue.at("order", "a") == [1.0]
    assert (sender.venue.sent, sender.states()["a"]) == ([("a", 0.0), ("b", 0.0)], S.ACKNOWLEDGED)
    assert sender.of("a").broker_order_id == "b-a"
    assert sender.told == [("1 order has no outcome and is looked up", None), ("", None)]


def test_an_order_that_is_absent_after_the_grace_is_sent_again_under_its_id(sender: Sender) -> None:
    """Looked up after 1, 2 and 4 seconds more: at 7, when the grace is just over."""
    sender.plan("a")
    sender.venue.answers = {"a": [LOST]}
    assert sender.run() == Executed((), ())
    assert sender.venue.at("order", "a") == [1.0, 3.0, 7.0]
    assert (sender.venue.sent, sender.states()) == ([("a", 0.0), ("a", 7.0)], {"a": S.ACKNOWLEDGED})
    assert (sender.of("a").attempts, sender.events("order.absent")) == (2, 1)


def test_a_look_up_that_is_not_answered_is_no_absence(sender: Sender) -> None:
    """Silent to the end of sending, a minute, and a grace of 37 s more: then the strategy is halted."""
    sender.plan("a", "b")
    sender.venue.answers = {"a": [LOST]}
    sender.venue.silent = {"order"}
    done = sender.run()
    assert sender.venue.at("order", "a") == [1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0]
    assert sender.venue.sent == [("a", 0.0), ("b", 0.0)]
    assert (sender.clock.passed, sender.states()["a"]) == (97.0, S.UNKNOWN)
    assert [i.client_order_id for i in done.doubtful] == ["a"]
    why = "1 order without a known outcome at the cut-off"
    assert checks(done) == [("unresolved", Severity.ERROR, why, ("A",))]
    with sender.ledger.reading() as connection:
        held = control.get(connection, control.HALTED, "one")
    assert held is not None
    assert (held.value, held.reason) == ("unresolved", why)


def test_the_second_doubt_of_an_order_waits_as_the_first(sender: Sender) -> None:
    sender.plan("a")
    sender.venue.answers = {"a": [LOST, LOST]}
    assert sender.run() == Executed((), ())
    assert sender.venue.at("order", "a") == [1.0, 3.0, 7.0, 8.0, 10.0, 14.0]
    assert sender.venue.sent == [("a", 0.0), ("a", 7.0), ("a", 14.0)]


@pytest.mark.parametrize("state", [S.SENDING, S.UNKNOWN])
def test_what_a_process_left_in_doubt_is_looked_up_at_once_even_after_the_end(
    sender: Sender, state: IntentState
) -> None:
    """At 100, 40 s after the end: the same grace of 37 s counts from now."""
    sender.left("a", state)
    sender.clock.turn(after(100.0))
    sender.venue.silent = {"order"}
    done = sender.run()
    assert sender.venue.at("order", "a") == [100.0, 102.0, 106.0, 114.0, 130.0]
    assert (sender.clock.passed, len(done.doubtful)) == (137.0, 1)


def test_an_absence_that_is_known_after_all_is_over_ends_the_order(sender: Sender) -> None:
    """The look-up that began at 7 takes two minutes: nothing is sent any more, and nothing is in doubt."""
    sender.plan("a")
    sender.venue.answers = {"a": [LOST]}
    sender.clock.script = [(6.0, lambda: sender.venue.takes.update(a=120.0))]
    done = sender.run()
    assert (sender.states(), sender.venue.sent) == ({"a": S.EXPIRED}, [("a", 0.0)])
    assert checks(done) == [("late", Severity.WARNING, "it is too late", ("A",))]
    assert done.doubtful == ()


# What ends orders that wait


def test_what_is_due_at_the_end_of_sending_expires_then(sender: Sender) -> None:
    sender.plan("a")
    sender.plan("b", not_before=after(59.5))
    sender.plan("c", not_before=after(60.0))
    sender.plan("d", not_before=after(400.0))
    done = sender.run()
    assert sender.venue.sent == [("a", 0.0), ("b", 59.5)]
    assert sender.states() == {"a": S.ACKNOWLEDGED, "b": S.ACKNOWLEDGED, "c": S.EXPIRED, "d": S.EXPIRED}
    assert checks(done) == [("late", Severity.WARNING, "it is too late", ("C", "D"))]
    assert (sender.of("c").message, sender.clock.passed) == ("it is too late", 60.0)


def test_the_end_of_sending_is_not_slept_over(sender: Sender) -> None:
    """Nothing is due before it."""
    sender.plan("a", not_before=after(400.0))
    sender.run()
    assert (sender.states(), sender.clock.passed) == ({"a": S.EXPIRED}, 60.0)


CANCELLED = "the run was cancelled before this order was sent"


@pytest.mark.parametrize(
    ("name", "scope", "state", "check", "why"),
    [
        (control.HALTED, "one", S.DENIED, "halted", "one is halted by ann: enough"),
        (control.HALTED, "", S.DENIED, "halted", "everything is halted by ann: enough"),
        (control.CANCELLED, RUN.id, S.CANCELLED, "cancelled", f"{CANCELLED}, by ann: enough"),
        (control.REVOKED, RUN.id, S.CANCELLED, "cancelled", f"{CANCELLED}, by ann: enough"),
        ("stop", "", S.CANCELLED, "cancelled", CANCELLED),
        ("stop and halt", "one", S.CANCELLED, "cancelled", CANCELLED),
        ("file", "", S.DENIED, "halted", "everything is halted by bob: smoke"),
    ],
)
def test_a_stop_of_any_kind_is_noticed_within_half_a_second(
    sender: Sender, name: str, scope: str, state: IntentState, check: str, why: str
) -> None:
    sender.plan("a")
    sender.plan("b", "c", not_before=after(20.0))

    def stops() -> None:
        if name.startswith("stop"):
            sender.watch.stop.set()
        if name == "file":
            kill_file.add_halt(sender.ledger.directory, FileHalt("", "bob", "smoke", AT.isoformat()))
        elif name != "stop":
            sender.puts(control.HALTED if name == "stop and halt" else name, scope)()

    sender.clock.script = [(3.2, stops)]
    done = sender.run()
    assert sender.states() == {"a": S.ACKNOWLEDGED, "b": state, "c": state}
    severity = Severity.DENIAL if check == "halted" else Severity.WARNING
    assert checks(done) == [(check, severity, why, ("B", "C"))]
    assert [sender.of(id).message for id in "bc"] == [why, why]
    # A stop that is not written down is seen before the next look, and a look-up's second later.
    assert sender.clock.passed == (4.5 if name == "stop" else 3.5)


def test_a_run_that_is_stopped_from_the_begin_ends_its_orders_and_looks_the_others_up(sender: Sender) -> None:
    sender.left("a", S.UNKNOWN)
    sender.plan("b")
    sender.watch.stop.set()
    sender.venue.listed = {"a": OrderRequest("a", "A", Side.BUY, Decimal(10))}
    sender.run()
    assert sender.states() == {"a": S.ACKNOWLEDGED, "b": S.CANCELLED}
    assert (sender.venue.at("order", "a"), sender.venue.sent) == ([0.0], [])


def test_a_stop_that_finds_nothing_planned_says_nothing(sender: Sender) -> None:
    sender.left("a", S.UNKNOWN)
    sender.puts(control.HALTED)()
    sender.venue.listed = {"a": OrderRequest("a", "A", Side.BUY, Decimal(10))}
    assert sender.run() == Executed((), ())
    assert sender.states() == {"a": S.ACKNOWLEDGED}


def test_what_others_write_wakes_nobody(sender: Sender) -> None:
    sender.plan("a", not_before=after(20.0))
    sender.clock.script = [(3.2, sender.puts(control.HALTED, "two")), (4.2, sender.puts(control.PAUSED, "two"))]
    assert sender.run() == Executed((), ())
    assert sender.venue.sent == [("a", 20.0)]
    assert sender.told == [("1 order waits, the next until 2016-01-05 15:00:20 UTC", 20.0), ("", None)]


def test_each_look_and_each_order_is_a_sign_of_life(sender: Sender) -> None:
    """Two orders in each of two turns, and four looks in the two seconds between."""
    sender.watch = replace(sender.watch, pulse=Beats())
    sender.plan("a", "b", not_before=after(2.0))
    before = Beats.count
    sender.run()
    assert Beats.count - before == 8
    assert sender.watch.pulse.ends == after(60.0)


# Between look, mark and request


def test_an_order_that_ended_since_the_look_is_neither_judged_nor_sent(sender: Sender) -> None:
    sender.plan("a", "b", "c")

    def cancels() -> None:
        with sender.ledger.transaction("cancel") as tx:
            orders.moved(tx, sender.of("b"), S.CANCELLED, "by hand")

    sender.venue.hooks["a"] = cancels
    assert sender.run() == Executed((), ())
    assert (sender.judged, sender.venue.sent) == (["a", "c"], [("a", 0.0), ("c", 0.0)])
    assert (sender.states()["b"], sender.of("b").message) == (S.CANCELLED, "by hand")


BEGUN = 0.5  # s: a pause holds a run that began before it


def test_a_pause_since_the_look_holds_what_is_next(sender: Sender) -> None:
    sender.plan("a", "b")
    sender.clock.turn(after(BEGUN))
    sender.venue.hooks["a"] = sender.puts(control.PAUSED, reason="look")
    sender.clock.script = [(8.2, sender.drops(control.PAUSED))]
    assert sender.run() == Executed((), ())
    assert (sender.judged, sender.venue.sent) == (["a", "b"], [("a", BEGUN), ("b", 8.5)])


@pytest.mark.parametrize("name", [control.HALTED, control.CANCELLED])
def test_a_stop_since_the_look_keeps_the_next_order_from_its_mark(sender: Sender, name: str) -> None:
    sender.plan("a", "b")
    sender.venue.hooks["a"] = sender.puts(name, "one" if name == control.HALTED else RUN.id)
    sender.run()
    assert (sender.judged, sender.venue.sent) == (["a"], [("a", 0.0)])
    assert sender.states()["b"] is (S.DENIED if name == control.HALTED else S.CANCELLED)
    assert sender.of("b").attempts == 0


@pytest.mark.parametrize("name", [control.HALTED, control.PAUSED, control.CANCELLED])
def test_a_stop_between_mark_and_request_sends_nothing(sender: Sender, name: str) -> None:
    sender.plan("a")
    sender.clock.turn(after(BEGUN))
    stops = [sender.puts(name, RUN.id if name == control.CANCELLED else "one", reason="look")]
    sender.clock.script = [(9.2, sender.drops(control.PAUSED))] if name == control.PAUSED else []

    def passed(point: str) -> None:
        if point == "post:before" and stops:
            assert sender.states() == {"a": S.SENDING}
            stops.pop()()

    arm(passed)
    try:
        sender.run()
    finally:
        arm(None)
    if name == control.PAUSED:
        assert (sender.venue.sent, sender.states()) == ([("a", 9.5)], {"a": S.ACKNOWLEDGED})
        assert sender.of("a").attempts == 2
    else:
        assert sender.venue.sent == []
        assert sender.states() == {"a": S.DENIED if name == control.HALTED else S.CANCELLED}
    assert sender.events("order.absent") == 1


# Paused


def test_orders_are_held_until_the_run_is_resumed(sender: Sender) -> None:
    sender.plan("a", not_before=after(10.0))
    sender.clock.script = [(3.2, sender.puts(control.PAUSED, reason="look")), (20.2, sender.drops(control.PAUSED))]
    assert sender.run() == Executed((), ())
    assert sender.venue.sent == [("a", 20.5)]
    assert sender.told == [
        ("1 order waits, the next until 2016-01-05 15:00:10 UTC", 10.0),
        ("held: paused by ann: look", 60.0),
        ("", None),
    ]


def test_what_is_held_to_the_end_expires_and_says_so(sender: Sender) -> None:
    sender.plan("a", not_before=after(10.0))
    sender.clock.script = [(3.2, sender.puts(control.PAUSED, reason="look"))]
    done = sender.run()
    why = "it is too late: it was held, paused by ann: look"
    assert checks(done) == [("late", Severity.WARNING, why, ("A",))]
    assert (sender.states(), sender.of("a").message, sender.clock.passed) == ({"a": S.EXPIRED}, why, 60.0)


def test_a_pause_from_before_the_run_does_not_hold_it(sender: Sender) -> None:
    """It was forced."""
    sender.puts(control.PAUSED)()
    sender.plan("a")
    assert sender.run() == Executed((), ())
    assert sender.venue.sent == [("a", 0.0)]


@pytest.mark.parametrize("name", [control.HALTED, control.PAUSED])
@pytest.mark.parametrize("is_closing", [True, False])
def test_orders_that_close_positions_pass_a_halt_and_a_pause(sender: Sender, name: str, *, is_closing: bool) -> None:
    sender.plan("a")
    sender.clock.turn(after(1.0))
    sender.puts(name)()
    sender.run(passes_halt=is_closing)
    assert sender.venue.sent == ([("a", 1.0)] if is_closing else [])


def test_an_order_in_doubt_is_looked_up_while_its_run_is_paused(sender: Sender) -> None:
    sender.plan("a")
    sender.plan("b", not_before=after(30.0))
    sender.venue.answers = {"a": [LOST]}
    sender.venue.silent = {"order"}
    sender.clock.script = [
        (2.2, sender.puts(control.PAUSED, reason="look")),
        (10.2, sender.venue.silent.clear),
        (20.2, sender.drops(control.PAUSED)),
    ]
    sender.venue.listed = {"a": OrderRequest("a", "A", Side.BUY, Decimal(10))}
    assert sender.run() == Executed((), ())
    assert sender.venue.at("order", "a") == [1.0, 3.0, 7.0, 15.0]
    in_doubt = ("1 order has no outcome and is looked up", None)
    held = ("held: paused by ann: look", 60.0)
    assert sender.told == [
        *[in_doubt] * 5,
        held,
        ("1 order waits, the next until 2016-01-05 15:00:30 UTC", 30.0),
        ("", None),
    ]


# Before the open


def test_orders_that_wait_for_the_open_are_told_with_those_that_are_sent(sender: Sender) -> None:
    sender.plan("a", "b", "e")
    sender.plan("c", not_before=after(10.0))
    sender.plan("d", not_before=after(20.0))
    sender.run(opens=10.0)
    assert sender.opening == [WaitingOrders(2, 3, after(10.0)), None, None]
    assert sender.told == [
        ("2 orders wait for the open, until 2016-01-05 15:00:10 UTC", 10.0),
        ("1 order waits, the next until 2016-01-05 15:00:20 UTC", 20.0),
        ("", None),
    ]


def test_what_the_broker_keeps_off_before_the_open_does_not_wait_for_it(sender: Sender) -> None:
    sender.plan("a")
    sender.venue.answers = {"a": [NotSentError("slow down", 5.0)]}
    sender.run(opens=10.0)
    assert sender.told == [("1 order waits, the next until 2016-01-05 15:00:05 UTC", 5.0), ("", None)]
    assert sender.opening == [None, None]


def test_an_order_in_doubt_is_told_before_those_that_wait_for_the_open(sender: Sender) -> None:
    sender.plan("a")
    sender.plan("b", not_before=after(10.0))
    sender.venue.answers = {"a": [LOST]}
    sender.venue.listed = {"a": OrderRequest("a", "A", Side.BUY, Decimal(10))}
    sender.run(opens=10.0)
    assert sender.opening == [None, WaitingOrders(1, 1, after(10.0)), None]
    assert [why for why, _ in sender.told] == [
        "1 order has no outcome and is looked up",
        "1 order waits for the open, until 2016-01-05 15:00:10 UTC",
        "",
    ]


# Slices


def test_slices_leave_at_their_times(sender: Sender) -> None:
    sender.slices(60.0, 0.0, 20.0, 40.0)
    assert sender.run() == Executed((), ())
    assert sender.venue.sent == [("s1", 0.0), ("s2", 20.0), ("s3", 40.0)]


@pytest.mark.parametrize("answer", [OrderStatus.NEW, LOST])
def test_a_slow_request_keeps_the_next_slice_away(sender: Sender, answer: Exception | OrderStatus) -> None:
    """The first is over after 18 s, planned 20 s apart: the second follows it by a quarter of that at least."""
    sender.slices(60.0, 0.0, 20.0, 40.0)
    sender.venue.hooks["s1"] = lambda: sender.clock.sleep(18.0)
    sender.venue.answers = {"s1": [answer]}
    sender.venue.listed = {"s1": OrderRequest("s1", "S1", Side.BUY, Decimal(10))}
    sender.run()
    assert sender.venue.sent == [("s1", 0.0), ("s2", 23.0), ("s3", 40.0)]


def test_a_slice_that_did_not_reach_the_broker_is_followed_at_once(sender: Sender) -> None:
    """Lost after 18 s and absent at 19: sent again then. The rest, 41 s, is shared by three, 13 2/3 s apart."""
    sender.slices(60.0, 0.0, 20.0, 40.0)
    sender.venue.hooks["s1"] = lambda: sender.clock.sleep(18.0)
    sender.venue.answers = {"s1": [LOST]}
    sender.run(lookup_grace_s=0.5)
    assert [(id, round(when, 3)) for id, when in sender.venue.sent] == [
        ("s1", 0.0),
        ("s1", 19.0),
        ("s2", 32.667),
        ("s3", 46.333),
    ]


def test_slices_that_became_late_while_another_order_was_sent_are_spread_and_never_bunched(sender: Sender) -> None:
    """The request before them takes 25 s of a minute: three slices share the rest, 35 s, at eleven and two thirds."""
    sender.plan("x")
    sender.slices(60.0, 0.0, 20.0, 40.0)
    sender.venue.takes = {"x": 25.0}
    done = sender.run(ends=120.0)
    assert sender.venue.sent[0] == ("x", 0.0)
    assert [(id, round(when, 3)) for id, when in sender.venue.sent[1:]] == [
        ("s1", 25.0),
        ("s2", 36.667),
        ("s3", 48.333),
    ]
    text = "nothing was sent at the time of some slices: 3 are spread until 2016-01-05 15:01:00 UTC"
    assert checks(done) == [("slices", Severity.INFO, text, ("S1", "S2", "S3"))]


def test_held_slices_end_with_their_window_and_whole_orders_with_the_run(sender: Sender) -> None:
    sender.slices(30.0, 10.0, 20.0)
    sender.plan("whole", not_before=after(5.0))
    sender.clock.script = [(3.2, sender.puts(control.PAUSED, reason="look"))]
    ended: list[Mapping[str, IntentState]] = []
    sender.clock.script += [
        (30.4, lambda: ended.append(sender.states())),
        (59.0, lambda: ended.append(sender.states())),
    ]
    done = sender.run()
    gone = {"s1": S.EXPIRED, "s2": S.EXPIRED, "whole": S.PLANNED}
    assert ended == [gone, gone]
    assert (sender.states()["whole"], sender.clock.passed) == (S.EXPIRED, 60.0)
    assert [(f.check, f.assets) for f in done.findings] == [("slices", ("S1", "S2")), ("late", ("WHOLE",))]


# Fills


def filled(id: str) -> Fill:
    return Fill(f"f-{id}", id, id.upper(), Side.BUY, Decimal(10), Decimal(50), ZERO, AT)


def test_fills_are_awaited_by_sweeps_as_long_as_the_settings_say(sender: Sender) -> None:
    sender.plan("a", "b")
    sender.venue.fills = [filled("b")]
    assert sender.run(fill_wait_s=3.5) == Executed((), ())
    assert sender.venue.at("sweep") == [0.0, 1.0, 2.0, 3.0, 3.5]
    assert sender.states() == {"a": S.ACKNOWLEDGED, "b": S.FILLED}
    assert sender.told == [*[("fills are awaited", 3.5)] * 4, ("", None)]


def test_when_all_is_filled_nobody_waits(sender: Sender) -> None:
    sender.plan("a")
    sender.clock.script = [(2.2, lambda: sender.venue.fills.append(filled("a")))]
    sender.run(fill_wait_s=30.0)
    assert (sender.venue.at("sweep"), sender.states()) == ([0.0, 1.0, 2.0, 3.0], {"a": S.FILLED})


def test_fills_are_not_awaited_beyond_the_end(sender: Sender) -> None:
    sender.plan("a")
    sender.run(ends=2.0, fill_wait_s=30.0)
    assert sender.venue.at("sweep") == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(("stop_at", "ends_at"), [(2.2, 3.0), (2.7, 3.0)])
def test_a_stop_ends_the_wait_for_fills_after_one_more_sweep(sender: Sender, stop_at: float, ends_at: float) -> None:
    sender.plan("a")
    sender.clock.script = [(stop_at, sender.watch.stop.set)]
    sender.run(fill_wait_s=30.0)
    assert sender.venue.at("sweep") == [0.0, 1.0, 2.0, ends_at]
    assert sender.clock.passed == ends_at


def test_a_simulation_is_asked_once(sender: Sender) -> None:
    sender.venue = Simulation(sender.clock)
    sender.plan("a")
    sender.run(fill_wait_s=30.0)
    assert (sender.venue.at("sweep"), sender.clock.passed) == ([0.0], 0.0)


@pytest.mark.parametrize(("answers_at", "is_told"), [(1.5, False), (99.0, True)])
def test_a_broker_that_does_not_say_what_was_filled_is_told_of_at_the_end(
    sender: Sender, answers_at: float, *, is_told: bool
) -> None:
    sender.plan("a")
    sender.venue.silent = {"sweep"}
    sender.clock.script = [(answers_at, sender.venue.silent.clear)]
    done = sender.run(fill_wait_s=2.0)
    assert sender.venue.at("sweep") == [0.0, 1.0, 2.0]
    why = "the broker did not say what was filled: it is silent"
    assert checks(done) == ([("broker", Severity.WARNING, why, ())] if is_told else [])
