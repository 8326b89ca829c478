"""Cancels of open orders called directly: which are open, who is asked how often, and what is told of each at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.store.ledger import books, control, orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, BookKey, Fill, Intent, IntentState, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import (
    Activities,
    BrokerOrder,
    OrderRequest,
    OrderStatus,
    RejectedError,
    UnreachableError,
)
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.stopping.cancel_open import CancelledOrders, ask_to_cancel, cancel_open, open_orders
from tests.trading.floor import weekdays
from tests.trading.script import free

AT = datetime(2016, 1, 5, 15, tzinfo=UTC)
S = IntentState


@dataclass
class Book:
    """A broker's book that cancels what is not `kept`; `meanwhile` is done at each sweep, by its number from 1."""

    clock: HandClock
    kept: dict[str, Exception | None] = field(default_factory=dict)
    statuses: dict[str, OrderStatus] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)  # id, and seconds since the begin
    sweeps: int = 0
    fills: list[Fill] = field(default_factory=list)
    meanwhile: Callable[[int], object] = lambda _: None

    def cancel(self, id: str) -> None:
        self.asked.append((id, (self.clock.now() - AT).total_seconds()))
        if id not in self.kept:
            self.statuses[id] = OrderStatus.CANCELLED
        elif (answer := self.kept[id]) is not None:
            raise answer

    def activities(self, cursor: str) -> Activities:  # noqa: ARG002  # all of them each time
        self.sweeps += 1
        self.meanwhile(self.sweeps)
        return Activities(tuple(self.fills), (), "")

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:  # noqa: ARG002  # all are of today
        filled = {id: sum((f.quantity for f in self.fills if f.client_order_id == id), ZERO) for id in self.statuses}
        return tuple(
            BrokerOrder(OrderRequest(id, "A", Side.BUY, Decimal(10)), f"b-{id}", status, filled[id], AT, "gone")
            for id, status in self.statuses.items()
        )


@pytest.fixture
def trading(tmp_path: Path) -> Iterator[Trading]:
    """A ledger without orders. Between two looks at the broker it waits half a second."""
    clock = HandClock(AT)
    config = free(execution={"lookup_backoff_s": 0.5})
    with Ledger.open(tmp_path, clock, durable=False) as ledger:
        yield Trading(ledger, Book(clock), clock, weekdays(), config)  # type: ignore[arg-type]


def book_of(trading: Trading) -> Book:
    assert isinstance(trading.broker, Book)
    return trading.broker


def order(trading: Trading, id: str, state: IntentState, strategy: str = "one", portfolio: str = "main") -> Intent:
    """An order of ten, of a run of its own, in a state."""
    key = RunKey(strategy, portfolio, "2016-01-05", slot=id)
    run = Run(f"run-{id}", key, "2016-01-04", 0, AT, "ann")
    intent = Intent(id, run.id, key, 0, "A", Side.BUY, Decimal(10), Decimal(50))
    with trading.ledger.transaction("plan") as tx:
        if books.book(tx.connection, BookKey(strategy, portfolio)) is None:
            books.open_book(tx, BookKey(strategy, portfolio), Decimal(1_000), AT)
        runs.open_run(tx, run, {})
        runs.mark_decided(tx, run)
        orders.plan(tx, [intent])
        if state is not S.PLANNED:
            orders.sending(tx, intent, AT)
        if state in (S.UNKNOWN, S.REJECTED):
            orders.moved(tx, intent, state)
        if state is S.ACKNOWLEDGED:
            orders.acknowledged(tx, intent, f"b-{id}")
    return intent


def filled(id: str, quantity: int) -> Fill:
    return Fill(f"{id}-{quantity}", id, "A", Side.BUY, Decimal(quantity), Decimal(50), ZERO, AT)


def ids(found: tuple[Intent, ...]) -> str:
    return " ".join(i.client_order_id for i in found)


def told(found: CancelledOrders) -> dict[str, list[tuple[str, int, str]]]:
    """Cancelled, filled and left: id, what was filled meanwhile, and the state."""
    return {
        name: [(i.client_order_id, int(new), i.state.value) for i, new in getattr(found, name)]
        for name in ("cancelled", "filled", "left")
    }


@pytest.mark.parametrize(
    ("strategy", "portfolio", "found"),
    [
        ("", "", "a b c d e"),
        ("one", "", "a b d e"),
        ("one", "main", "a d e"),
        ("one", "side", "b"),
        ("two", "", "c"),
        ("two", "side", ""),
        ("three", "", ""),
    ],
)
def test_open_orders_are_those_that_the_broker_may_have(
    trading: Trading, strategy: str, portfolio: str, found: str
) -> None:
    order(trading, "a", S.ACKNOWLEDGED)
    order(trading, "b", S.ACKNOWLEDGED, portfolio="side")
    order(trading, "c", S.ACKNOWLEDGED, "two")
    order(trading, "d", S.UNKNOWN)
    order(trading, "e", S.SENDING)
    order(trading, "planned", S.PLANNED)
    order(trading, "ended", S.REJECTED)
    assert ids(open_orders(trading.ledger, strategy, portfolio)) == found


def test_a_run_is_asked_to_end_once_whatever_the_number_of_its_orders(trading: Trading) -> None:
    first, second = order(trading, "a", S.ACKNOWLEDGED), order(trading, "b", S.ACKNOWLEDGED)
    order(trading, "c", S.ACKNOWLEDGED)
    ask_to_cancel(trading, [first, first, second], "bob", "enough")
    assert [id for id, _ in book_of(trading).asked] == ["a", "b"]
    with trading.ledger.reading() as connection:
        marks = [(c.scope, c.who, c.reason) for c in control.every(connection, control.CANCELLED)]
    assert marks == [("run-a", "bob", "enough"), ("run-b", "bob", "enough")]


def test_what_is_cancelled_filled_and_left_is_told_with_what_was_filled_meanwhile(trading: Trading) -> None:
    """Before it began 1 of `part` and 4 of `late` were filled; 2 and 6 more are by its first sweep."""
    for id in ("plain", "part", "late", "deaf", "stubborn"):
        order(trading, id, S.ACKNOWLEDGED)
    order(trading, "lost", S.UNKNOWN)
    earlier = (filled("part", 1), filled("late", 4))
    with trading.ledger.transaction("fills") as tx:
        books.take_in(tx, earlier, (), "")
    before = open_orders(trading.ledger, "one")
    broker = book_of(trading)
    broker.kept = {"late": None, "deaf": UnreachableError("?"), "stubborn": RejectedError("no")}
    broker.fills = [*earlier, filled("part", 2), filled("late", 6)]
    assert told(cancel_open(trading, before, "one", "bob", "enough", rounds=2)) == {
        "cancelled": [("plain", 0, "cancelled"), ("part", 2, "cancelled")],
        "filled": [("late", 6, "filled")],
        "left": [("deaf", 0, "acknowledged"), ("stubborn", 0, "acknowledged"), ("lost", 0, "unknown")],
    }
    # Once as the run is ended, then in each round; one whose outcome is not known is never asked for.
    assert [id for id, _ in broker.asked].count("deaf") == 3
    # `late` was filled by the sweep that follows the first cancel.
    assert {id for id, _ in broker.asked} == {"plain", "part", "deaf", "stubborn"}


def test_who_does_not_answer_is_asked_for_half_a_minute(trading: Trading) -> None:
    """Once at the begin, then sixty times half a second apart."""
    order(trading, "a", S.ACKNOWLEDGED)
    broker = book_of(trading)
    broker.kept = {"a": UnreachableError("?")}
    assert told(cancel_open(trading, (), "", "bob", "enough"))["left"] == [("a", 0, "acknowledged")]
    assert broker.asked == [("a", 0.0), *(("a", number * 0.5) for number in range(60))]
    assert trading.clock.now() - AT == timedelta(seconds=30)


def test_what_comes_through_in_a_later_round_ends_the_wait(trading: Trading) -> None:
    order(trading, "a", S.ACKNOWLEDGED)
    broker = book_of(trading)
    broker.kept = {"a": UnreachableError("?")}
    broker.meanwhile = lambda number: broker.kept.clear() if number == 2 else None
    assert told(cancel_open(trading, (), "", "bob", "enough")) == {
        "cancelled": [("a", 0, "cancelled")],
        "filled": [],
        "left": [],
    }
    # At the begin and in the first round it is not heard; the second cancels it, and nothing is waited for after that.
    assert broker.asked == [("a", 0.0), ("a", 0.0), ("a", 0.5)]
    assert (broker.sweeps, trading.clock.now() - AT) == (3, timedelta(seconds=0.5))


def test_a_sweep_that_is_not_answered_is_done_again(trading: Trading) -> None:
    order(trading, "a", S.ACKNOWLEDGED)
    broker = book_of(trading)

    def silent(number: int) -> None:
        if number < 3:
            raise UnreachableError("?")

    broker.meanwhile = silent
    assert told(cancel_open(trading, (), "", "bob", "enough"))["cancelled"] == [("a", 0, "cancelled")]
    assert broker.sweeps == 3


def test_where_nothing_is_open_nobody_is_asked(trading: Trading) -> None:
    order(trading, "planned", S.PLANNED)
    gone = order(trading, "gone", S.REJECTED)
    assert told(cancel_open(trading, [gone], "", "bob", "enough")) == {
        "cancelled": [("gone", 0, "rejected")],  # it ended between the look and the cancel
        "filled": [],
        "left": [],
    }
    assert (book_of(trading).asked, book_of(trading).sweeps, trading.clock.now()) == ([], 0, AT)


def test_an_order_that_appears_meanwhile_is_cancelled_and_told(trading: Trading) -> None:
    """The request of a run under way was on its way: it is found after the first look."""
    order(trading, "a", S.ACKNOWLEDGED)
    broker = book_of(trading)
    broker.kept = {"a": RejectedError("not yet")}

    def arrives(number: int) -> None:
        if number == 1:
            order(trading, "b", S.ACKNOWLEDGED)
        if number == 2:
            broker.kept.clear()

    broker.meanwhile = arrives
    assert told(cancel_open(trading, (), "", "bob", "enough"))["cancelled"] == [
        ("a", 0, "cancelled"),
        ("b", 0, "cancelled"),
    ]


@pytest.mark.parametrize(("portfolio", "cancelled"), [("main", ["a"]), ("side", ["b"]), ("", ["a", "b"])])
def test_a_portfolio_is_cancelled_alone(trading: Trading, portfolio: str, cancelled: list[str]) -> None:
    order(trading, "a", S.ACKNOWLEDGED)
    order(trading, "b", S.ACKNOWLEDGED, portfolio="side")
    done = told(cancel_open(trading, (), "one", "bob", "enough", portfolio=portfolio))
    assert [id for id, _, _ in done["cancelled"]] == cancelled
    assert {id for id, _ in book_of(trading).asked} == set(cancelled)
