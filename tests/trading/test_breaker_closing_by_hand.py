"""Whose positions tripped breakers close, and when that is done, on a ledger written row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.config.breaker_settings import BreakerSettings
from sigc.store.ledger import books, breakers, control, orders, price_marks, runs
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import ZERO, BookKey, Fill, Intent, IntentState, Outcome, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.stopping.breaker_closing import close_by_breakers
from sigc_pipelines.stopping.closing_out import SLOT
from tests.trading.script import D1, D2, D3
from tests.trading.test_close_out_by_hand import Desk, opened

ONE, SIDE, TWO = BookKey("one", "main"), BookKey("one", "side"), BookKey("two", "main")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The evening of D2: a hundred of A in each of three books, and all of them at the broker."""
    with opened(tmp_path) as found:
        for key in (ONE, SIDE, TWO):
            bought(found, key, 100)
        found.broker.positions = lambda: {"A": Decimal(300)}  # type: ignore[method-assign]
        yield found


def run_of(desk: Desk, id: str, key: BookKey, session: str, slot: str = "") -> Run:
    return Run(id, RunKey(key.strategy, key.portfolio, session, slot=slot), D1, 0, desk.trading.clock.now(), "ann")


def bought(desk: Desk, key: BookKey, quantity: int) -> None:
    """A book holds a quantity of A, bought at 100 by a run for D2."""
    run = run_of(desk, f"of {key}", key, D2)
    with desk.trading.ledger.transaction("plan") as tx:
        books.open_book(tx, key, Decimal(100_000), desk.begun, D1)
        runs.open_run(tx, run, {})
        side = Side.BUY if quantity > 0 else Side.SELL
        orders.plan(tx, [Intent(run.id, run.id, run.key, 0, "A", side, Decimal(abs(quantity)), Decimal(100))])
        one = Fill(run.id, run.id, "A", side, Decimal(abs(quantity)), Decimal(100), ZERO, desk.begun)
        books.take_in(tx, (one,), (), "")
        runs.mark_decided(tx, run)
        price_marks.put_marks(tx, run.id, {"A": Mark(Decimal(100))})
        runs.close_run(tx, run, desk.begun, Outcome.DONE, "")


def ordered(desk: Desk, key: BookKey, quantity: int) -> str:
    """A book has an open order for A at the broker. Return its id."""
    run = run_of(desk, f"buys for {key}", key, D3)
    order = OrderRequest(run.id, "A", Side.BUY, Decimal(quantity))
    answer = desk.broker.submit(order)
    with desk.trading.ledger.transaction("plan") as tx:
        runs.open_run(tx, run, {})
        runs.mark_decided(tx, run)
        intent = Intent(run.id, run.id, run.key, 0, "A", Side.BUY, order.quantity, Decimal(100))
        orders.plan(tx, [intent])
        orders.sending(tx, intent, desk.trading.clock.now())
        orders.acknowledged(tx, intent, answer.broker_order_id)
        runs.close_run(tx, run, desk.trading.clock.now(), Outcome.DONE, "")
    return run.id


def trips(desk: Desk, book: BookKey | None, **how: Any) -> None:
    said = {"name": "big", "type": "loss", "threshold": 0.02, "action": "flatten"} | how
    with desk.trading.ledger.transaction("fills") as tx:
        breakers.trip(tx, BreakerSettings.model_validate(said), book, 0.03, D2, "it lost 3 %")


def later(desk: Desk) -> None:
    clock = desk.trading.clock
    assert isinstance(clock, HandClock)
    clock.turn(clock.now() + MINUTE)


def closed(desk: Desk) -> list[tuple[str, int]]:
    """The books that are closed now, each with the signed quantity of its orders."""
    found = close_by_breakers(desk.trading)
    return [
        (f"{one.key.strategy}/{one.key.portfolio}", sum(int(i.side.sign * i.quantity) for i in one.orders))
        for one in found
    ]


@pytest.mark.parametrize(
    ("book", "names"),
    [(ONE, ["one/main"]), (SIDE, ["one/side"]), (TWO, ["two/main"]), (None, ["one/main", "one/side", "two/main"])],
)
def test_a_breaker_closes_its_book_or_all(desk: Desk, book: BookKey | None, names: list[str]) -> None:
    trips(desk, book)
    assert closed(desk) == [(name, -100) for name in names]


@pytest.mark.parametrize("action", ["halt_trading", "pause_30min", "reduce_exposure", "alert_only"])
def test_a_breaker_of_another_action_closes_nothing(desk: Desk, action: str) -> None:
    trips(desk, None, action=action)
    assert close_by_breakers(desk.trading) == ()


def test_without_a_breaker_nothing_is_closed(desk: Desk) -> None:
    assert close_by_breakers(desk.trading) == ()


def test_a_book_without_positions_is_not_closed(desk: Desk) -> None:
    empty = BookKey("one", "empty")
    with desk.trading.ledger.transaction("control") as tx:
        books.open_book(tx, empty, Decimal(1_000), desk.begun, D1)
    trips(desk, empty)
    assert closed(desk) == []


@pytest.mark.parametrize(
    ("theirs", "quantities"),
    [(300, [-100, -100, -100]), (250, [-100, -100, -50]), (100, [-100, 0, 0])],
)
def test_what_one_book_closes_another_can_not(desk: Desk, theirs: int, quantities: list[int]) -> None:
    desk.broker.positions = lambda: {"A": Decimal(theirs)}  # type: ignore[method-assign]
    trips(desk, None)
    assert [quantity for _, quantity in closed(desk)] == quantities


def test_open_orders_are_cancelled_first_by_the_breaker_s_name(desk: Desk) -> None:
    mine, other = ordered(desk, ONE, 30), ordered(desk, TWO, 40)
    trips(desk, ONE)
    assert closed(desk) == [("one/main", -100)]
    with desk.trading.ledger.reading() as connection:
        states = {id: orders.state_of(connection, id) for id in (mine, other)}
        mark = control.get(connection, control.CANCELLED, mine)
    assert states == {mine: IntentState.CANCELLED, other: IntentState.ACKNOWLEDGED}
    assert mark is not None
    assert mark.by == "by the breaker big: it lost 3 %"
    (run,) = [r for r in history(desk, ONE) if r.key.slot == SLOT]
    assert (run.who, run.reason) == ("the breaker big", "it lost 3 %")


def history(desk: Desk, key: BookKey) -> tuple[Run, ...]:
    with desk.trading.ledger.reading() as connection:
        return runs.of_session(connection, key.strategy, D3)


def test_it_is_done_once_for_a_session_beside_other_runs_of_it(desk: Desk) -> None:
    ordered(desk, ONE, 30)
    trips(desk, ONE)
    assert closed(desk) == [("one/main", -100)]  # at the instant at which it tripped
    assert close_by_breakers(desk.trading) == ()
    later(desk)
    assert close_by_breakers(desk.trading) == ()


def test_an_earlier_closing_run_of_the_session_is_not_that_of_the_breaker(desk: Desk) -> None:
    """A hundred were closed by one that was reset; a minute later the book is long again, and it trips again."""
    trips(desk, ONE)
    assert closed(desk) == [("one/main", -100)]
    later(desk)
    trips(desk, ONE)
    assert closed(desk) == [("one/main", -100)]  # those orders were open, and are cancelled
    assert [r.revision for r in history(desk, ONE) if r.key.slot == SLOT] == [0, 1]


def test_a_run_that_begins_later_is_no_closing_run(desk: Desk) -> None:
    trips(desk, ONE)
    later(desk)
    ordered(desk, ONE, 30)
    assert closed(desk) == [("one/main", -100)]


def test_fills_of_closing_orders_are_not_waited_for(desk: Desk) -> None:
    desk.broker.can = {"simulated": False}
    trips(desk, ONE)
    before = desk.trading.clock.now()
    assert closed(desk) == [("one/main", -100)]
    assert desk.trading.clock.now() == before
