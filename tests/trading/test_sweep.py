"""The sweep of a broker's books by single answers: which are taken in, which wait, and which change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.connection import connect_reader
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, BookKey, Charge, Fill, Intent, IntentState, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import Activities, BrokerOrder, OrderRequest, OrderStatus
from sigc_pipelines.live.apply_fills import settle

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

    def activities(self, cursor: str) -> Activities:  # noqa: ARG002  # the next part, whatever was asked for
        return self.activity

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        self.asked.append(since)
        return tuple(o for o in self.book if o.status.is_open or (o.submitted is not None and o.submitted >= since))

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
