"""The sweep of a broker's books by single answers: which are taken in, which wait, and which change nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.store.ledger import books, control, orders, runs
from sigc.store.ledger.connection import connect_reader
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, BookKey, Charge, Fill, Intent, IntentState, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import (
    Activities,
    BrokerOrder,
    OrderRequest,
    OrderStatus,
    RejectedError,
    UnreachableError,
)
from sigc_pipelines.live.apply_fills import cancel, settle

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)
RUN = Run("run-1", RunKey("one", "main", "2024-01-02"), "2023-12-29", 0, AT, "ann")
DAY = timedelta(days=1)
S, At = IntentState, OrderStatus


@dataclass
class Told:
    """A broker that says what a test has it say, and lists what was submitted at or after an instant, by its own clock."""

    activity: Activities = field(default_factory=lambda: Activities((), (), ""))
    book: list[BrokerOrder] = field(default_factory=list)
    asked: list[datetime] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None  # done while it lists its orders
    cancels: dict[str, Exception | None] = field(default_factory=dict)  # what each cancel is answered

    def activities(self, cursor: str) -> Activities:  # noqa: ARG002  # the next part, whatever was asked for
        return self.activity

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        self.asked.append(since)
        self.meanwhile()
        return tuple(o for o in self.book if o.status.is_open or (o.submitted is not None and o.submitted >= since))

    def cancel(self, id: str) -> None:
        answer = self.cancels.setdefault(id, None)
        if answer is not None:
            raise answer

    def has(self, id: str, status: OrderStatus, filled: int = 0, submitted: datetime = AT, message: str = "") -> None:
        request = OrderRequest(id, "A", Side.BUY, Decimal(10))
        self.book = [o for o in self.book if o.request.client_order_id != id]
        self.book.append(BrokerOrder(request, f"b-{id}", status, Decimal(filled), submitted, message))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with a run whose order `x` of ten is at the broker."""
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as opened:
        with opened.transaction("plan") as tx:
            books.open_book(tx, BookKey("one", "main"), Decimal(1_000), AT)
            runs.open_run(tx, RUN, {})
            orders.plan(tx, [Intent("x", RUN.id, RUN.key, 0, "A", Side.BUY, Decimal(10), Decimal(50))])
        with opened.transaction("send") as tx:
            orders.sending(tx, of(opened), AT)
            orders.acknowledged(tx, of(opened), "b-x")
        yield opened


def of(ledger: Ledger) -> Intent:
    with ledger.reading() as connection:
        found = orders.get(connection, "x")
    assert found is not None
    return found


def sweep(ledger: Ledger, broker: Any) -> tuple[Fill, ...]:
    return settle(ledger, broker)


def filled(quantity: int) -> Fill:
    return Fill(f"e{quantity}", "x", "A", Side.BUY, Decimal(quantity), Decimal(50), ZERO, AT)


def test_a_cursor_alone_is_kept(ledger: Ledger) -> None:
    assert sweep(ledger, Told(Activities((), (), "7"))) == ()
    with ledger.reading() as connection:
        assert books.cursor(connection) == "7"


def test_charges_alone_are_taken_in(ledger: Ledger) -> None:
    sweep(ledger, Told(Activities((), (Charge("c", "fee", "", Decimal(-3), AT),), "")))
    with ledger.reading() as connection:
        assert books.charged(connection, BookKey("one", "main")) == -3


def test_nothing_new_writes_nothing(ledger: Ledger) -> None:
    broker = Told()
    broker.has("x", At.NEW)
    with closing(connect_reader(ledger.path)) as other:
        (before,) = other.execute("PRAGMA data_version").fetchone()
        assert sweep(ledger, broker) == ()
        assert other.execute("PRAGMA data_version").fetchone() == (before,)  # nothing was committed


def test_fills_are_taken_in_whatever_the_cursor(ledger: Ledger) -> None:
    """Of a broker whose cursor is coarser than its fills."""
    assert sweep(ledger, Told(Activities((filled(4),), (), ""))) == (filled(4),)
    assert of(ledger).filled == 4


@pytest.mark.parametrize(
    ("status", "at_broker", "known", "state"),
    [
        (At.CANCELLED, 0, 0, S.CANCELLED),
        (At.EXPIRED, 0, 0, S.EXPIRED),
        (At.REJECTED, 0, 0, S.REJECTED),
        (At.CANCELLED, 4, 4, S.CANCELLED),
        (At.CANCELLED, 4, 0, S.ACKNOWLEDGED),  # its fill is on its way: the end waits for it
        (At.EXPIRED, 4, 3, S.PARTIALLY_FILLED),
        (At.NEW, 0, 0, S.ACKNOWLEDGED),
        (At.PARTIALLY_FILLED, 4, 4, S.PARTIALLY_FILLED),
        (At.FILLED, 10, 0, S.ACKNOWLEDGED),  # by its fills alone it is filled
        (At.FILLED, 10, 10, S.FILLED),
    ],
)
def test_an_end_is_taken_in_after_its_fills(
    ledger: Ledger, status: OrderStatus, at_broker: int, known: int, state: IntentState
) -> None:
    broker = Told(Activities((filled(known),) if known else (), (), "1"))
    broker.has("x", status, at_broker, message="so it was")
    assert sweep(ledger, broker) == ((filled(known),) if known else ())
    found = of(ledger)
    assert (found.state, found.filled) == (state, Decimal(known))
    assert found.message == ("so it was" if state in (S.CANCELLED, S.EXPIRED, S.REJECTED) else "")


def test_a_fill_that_comes_after_the_end_was_seen_comes_first(ledger: Ledger) -> None:
    broker = Told()
    broker.has("x", At.CANCELLED, 4)
    sweep(ledger, broker)
    assert of(ledger).state is S.ACKNOWLEDGED
    broker.activity = Activities((filled(4),), (), "1")
    sweep(ledger, broker)
    assert (of(ledger).state, of(ledger).filled) == (S.CANCELLED, Decimal(4))


def test_a_broker_whose_clock_is_behind_is_listed_from_an_hour_before(ledger: Ledger) -> None:
    for behind, state in ((timedelta(hours=1, seconds=1), S.ACKNOWLEDGED), (timedelta(hours=1), S.CANCELLED)):
        broker = Told()
        broker.has("x", At.CANCELLED, submitted=AT - behind)
        sweep(ledger, broker)
        assert of(ledger).state is state
    assert broker.asked == [AT - timedelta(hours=1)]


def given_up(ledger: Ledger) -> None:
    """The order is sent, not found, and not sent again."""
    with ledger.transaction("send") as tx:
        tx.connection.execute("UPDATE intents SET broker_order_id = ''")
        orders.moved(tx, of(ledger), S.EXPIRED)


@pytest.mark.parametrize("status", [At.NEW, At.PARTIALLY_FILLED])
@pytest.mark.parametrize(("late", "state"), [(5 * 86_400, S.ACKNOWLEDGED), (5 * 86_400 + 1, S.EXPIRED)])
def test_an_order_that_was_given_up_may_arrive_for_five_days(
    ledger: Ledger, status: OrderStatus, late: int, state: IntentState
) -> None:
    given_up(ledger)
    assert isinstance(ledger.clock, HandClock)
    ledger.clock.turn(AT + timedelta(seconds=late))
    broker = Told()
    broker.has("x", status, submitted=AT + timedelta(days=5))
    sweep(ledger, broker)
    assert of(ledger).state is state
    assert of(ledger).broker_order_id == ("b-x" if state is S.ACKNOWLEDGED else "")


def test_an_order_that_was_given_up_and_has_ended_is_left(ledger: Ledger) -> None:
    given_up(ledger)
    broker = Told()
    broker.has("x", At.CANCELLED)
    sweep(ledger, broker)
    assert of(ledger).state is S.EXPIRED


def test_orders_are_listed_from_the_oldest_on(ledger: Ledger) -> None:
    """One is at the broker, one was given up; whichever was sent first."""
    with ledger.transaction("plan") as tx:
        orders.plan(tx, [Intent("y", RUN.id, RUN.key, 1, "B", Side.BUY, Decimal(10), Decimal(50))])
        found = orders.get(tx.connection, "y")
        assert found is not None
        orders.sending(tx, found, AT - timedelta(hours=4))
        orders.moved(tx, found, S.EXPIRED)
    broker = Told()
    sweep(ledger, broker)
    with ledger.transaction("plan") as tx:
        tx.connection.execute("UPDATE intents SET sent_at = ? WHERE client_order_id = 'y'", ((AT + DAY).isoformat(),))
    sweep(ledger, broker)
    assert broker.asked == [AT - timedelta(hours=5), AT - timedelta(hours=1)]


def test_without_orders_nothing_is_listed(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as empty:
        broker = Told()
        sweep(empty, broker)
        assert broker.asked == []


ASKED, OTHERWISE = "cancelled by ann: enough", "the broker reports it as {} without a reason"


@pytest.mark.parametrize(
    ("is_asked", "status", "says"),
    [
        (True, At.CANCELLED, ASKED),
        (False, At.CANCELLED, OTHERWISE.format("cancelled")),
        (True, At.EXPIRED, OTHERWISE.format("expired")),
        (False, At.REJECTED, OTHERWISE.format("rejected")),
    ],
)
def test_an_end_without_a_reason_has_the_one_that_the_ledger_knows(
    ledger: Ledger, status: OrderStatus, says: str, *, is_asked: bool
) -> None:
    if is_asked:
        with ledger.transaction("control") as tx:
            control.put(tx, control.CANCELLED, RUN.id, "by hand", "ann", "enough")
    broker = Told()
    broker.has("x", status)
    sweep(ledger, broker)
    assert of(ledger).message == says


def swept_meanwhile(ledger: Ledger, status: OrderStatus, event: str) -> list[str]:
    """The messages of an event after two sweeps saw the same, the second while the first one listed."""
    first, second = Told(), Told()
    first.has("x", status, message="seen first")
    second.has("x", status, message="seen second")
    first.meanwhile = lambda: sweep(ledger, second)
    sweep(ledger, first)
    with ledger.reading() as connection:
        rows = connection.execute("SELECT record FROM audit WHERE event = ?", (event,)).fetchall()
    return [json.loads(record)["payload"].get("message", "") for (record,) in rows]


def test_an_end_that_another_sweep_has_taken_in_is_taken_in_once(ledger: Ledger) -> None:
    assert swept_meanwhile(ledger, At.CANCELLED, "order.cancelled") == ["seen second"]
    assert of(ledger).message == "seen second"


def test_an_arrival_that_another_sweep_has_taken_in_is_taken_in_once(ledger: Ledger) -> None:
    given_up(ledger)
    assert swept_meanwhile(ledger, At.NEW, "order.arrived") == [""]
    assert of(ledger).state is S.ACKNOWLEDGED


def added(ledger: Ledger, id: str, state: IntentState) -> None:
    """Another order of the run, in that state."""
    with ledger.transaction("plan") as tx:
        count = len(orders.of_run(tx.connection, RUN.id))
        intent = Intent(id, RUN.id, RUN.key, count, id.upper(), Side.BUY, Decimal(10), Decimal(50))
        orders.plan(tx, [intent])
        if state is not S.PLANNED:
            orders.sending(tx, intent, AT)
        if state in (S.UNKNOWN, S.REJECTED):
            orders.moved(tx, intent, state, "as it was")
        if state in (S.ACKNOWLEDGED, S.PARTIALLY_FILLED):
            orders.acknowledged(tx, intent, f"b-{id}")
        if state is S.PARTIALLY_FILLED:
            books.take_in(tx, (Fill("e", id, id.upper(), Side.BUY, Decimal(4), Decimal(50), ZERO, AT),), (), "1")


def test_a_cancel_ends_what_is_planned_asks_for_what_works_and_returns_what_it_could_not(ledger: Ledger) -> None:
    """Six orders beside `x`: each is told by its state alone, and by what the broker answers."""
    for id, state in (("plan", S.PLANNED), ("mark", S.SENDING), ("lost", S.UNKNOWN), ("gone", S.REJECTED)):
        added(ledger, id, state)
    added(ledger, "deaf", S.ACKNOWLEDGED)
    added(ledger, "part", S.PARTIALLY_FILLED)
    broker = Told(Activities((), (), "1"), cancels={"deaf": UnreachableError("?"), "part": RejectedError("no")})
    broker.has("x", At.CANCELLED)
    left = cancel(ledger, broker, RUN, "bob", "enough")  # type: ignore[arg-type]
    assert [i.client_order_id for i in left] == ["mark", "lost", "deaf", "part"]
    assert sorted(broker.cancels) == ["deaf", "part", "x"]
    with ledger.reading() as connection:
        found = {i.client_order_id: (i.state, i.message) for i in orders.of_run(connection, RUN.id)}
    assert found == {
        "x": (S.CANCELLED, "cancelled by bob: enough"),  # by the sweep at its end
        "plan": (S.CANCELLED, "cancelled before it was sent, by bob: enough"),
        "mark": (S.SENDING, ""),
        "lost": (S.UNKNOWN, "as it was"),
        "gone": (S.REJECTED, "as it was"),
        "deaf": (S.ACKNOWLEDGED, ""),
        "part": (S.PARTIALLY_FILLED, ""),
    }


def test_a_cancel_is_written_down_before_the_broker_is_asked_and_needs_no_answer_to_its_sweep(ledger: Ledger) -> None:
    seen: list[str] = []

    class Silent(Told):
        def activities(self, cursor: str) -> Activities:
            raise UnreachableError(cursor)

        def cancel(self, id: str) -> None:
            with ledger.reading() as connection:
                mark = control.get(connection, control.CANCELLED, RUN.id)
                rows = connection.execute("SELECT record FROM audit WHERE event = 'run.cancel'").fetchall()
            assert mark is not None
            seen.extend([id, mark.by, *(str(json.loads(r)["payload"]["reason"]) for (r,) in rows)])

    assert cancel(ledger, Silent(), RUN, "bob", "enough") == ()  # type: ignore[arg-type]
    assert seen == ["x", "by bob: enough", "enough"]
    assert of(ledger).state is S.ACKNOWLEDGED
