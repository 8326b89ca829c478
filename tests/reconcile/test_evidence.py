"""What is gathered of an account that differs: by hand, on a ledger alone, beside a broker that trades."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from sigc.actions import Action, ActionKind
from sigc.clock import HandClock
from sigc.store.ledger import action_rows, books, orders, runs
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.adjustments import Adjustment, GapCause, adjust
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Fill, Intent, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import BrokerOrder, OrderStatus
from sigc_pipelines.live.order_answers import request_of
from sigc_pipelines.reconcile.causes import ForeignTrade, OrderGap
from sigc_pipelines.reconcile.differences import BrokerDifference
from sigc_pipelines.reconcile.evidence import gathered
from tests.reconcile.street import Street

NOW = datetime(2024, 1, 10, 21, tzinfo=UTC)
WEEK = timedelta(days=7)
ONE, TWO = BookKey("one", "main"), BookKey("two", "main")
RUN = Run("run", RunKey("one", "main", "2024-01-10"), "2024-01-09", 0, NOW, "ann")
D = Decimal
DIFFER = [BrokerDifference("A", D(1), D(2)), BrokerDifference("B", D(3), D(4))]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, HandClock(NOW), durable=False) as opened:
        with opened.transaction("fills") as tx:
            for key in (ONE, TWO):
                books.open_book(tx, key, D(100_000), NOW)
            runs.open_run(tx, RUN, {})
        yield opened


@pytest.fixture
def street(ledger: Ledger) -> Street:
    made = Street(5_000)
    made.clock = ledger.clock
    return made


def fill(id: str, order: str, asset: str, side: Side, quantity: int, price: int, commission: int = 0) -> Fill:
    return Fill(id, order, asset, side, D(quantity), D(price), D(commission), NOW)


def sent(ledger: Ledger, street: Street, id: str, order: tuple[str, Side, int, int], ours: int, theirs: int) -> None:
    """An order of which the ledger knows so many filled, and the broker so many; it was sent a week ago."""
    asset, side, quantity, price = order
    intent = Intent(id, "run", RUN.key, len(street.book), asset, side, D(quantity), D(price))
    with ledger.transaction("intents") as tx:
        orders.plan(tx, [intent])
        orders.sending(tx, intent, NOW - WEEK)
        if ours:
            books.take_in(tx, (fill(f"x-{id}", id, asset, side, ours, price),), (), "")
    street.book[id] = BrokerOrder(request_of(intent), f"b-{id}", OrderStatus.FILLED, D(theirs), NOW - WEEK)


def adopted(ledger: Ledger, order: str, asset: str, change: int, cash: int, book: BookKey = ONE) -> None:
    """A person has adopted that much for an order."""
    said = Adjustment(
        *(book, asset, D(change), D(cash), GapCause.TRADE, D(100), "2024-01-10", NOW, "ann", "seen"), order
    )
    with ledger.transaction("adopt") as tx:
        adjust(tx, [said])


def test_orders_of_which_both_know_other_fills_are_gaps_of_the_assets_that_differ(
    ledger: Ledger, street: Street
) -> None:
    sent(ledger, street, "more", ("A", Side.BUY, 10, 100), ours=4, theirs=10)
    sent(ledger, street, "less", ("B", Side.SELL, 20, 50), ours=20, theirs=5)
    sent(ledger, street, "same", ("A", Side.BUY, 10, 100), ours=10, theirs=10)
    sent(ledger, street, "elsewhere", ("C", Side.BUY, 10, 100), ours=0, theirs=10)
    assert gathered(ledger, street, DIFFER).gaps == (
        OrderGap("more", "A", D(6), D(100)),
        OrderGap("less", "B", D(15), D(50)),  # fifteen were not sold
    )


def test_an_order_of_more_than_a_week_ago_is_not_looked_for(ledger: Ledger, street: Street) -> None:
    sent(ledger, street, "old", ("A", Side.BUY, 10, 100), ours=4, theirs=10)
    one = street.book["old"]
    street.book["old"] = BrokerOrder(
        one.request, one.broker_order_id, one.status, one.filled, NOW - WEEK - timedelta(seconds=1)
    )
    assert gathered(ledger, street, DIFFER).gaps == ()


def test_a_gap_that_was_adopted_in_full_is_none_any_more(ledger: Ledger, street: Street) -> None:
    for id in ("whole", "part"):
        sent(ledger, street, id, ("A", Side.BUY, 10, 100), ours=0, theirs=7)
    adopted(ledger, "whole", "A", 3, -300)
    adopted(ledger, "whole", "A", 4, -400)
    adopted(ledger, "part", "A", 3, -300)
    assert gathered(ledger, street, DIFFER).gaps == (OrderGap("part", "A", D(7), D(100)),)


def test_trades_of_others_are_summed_by_order_less_what_was_adopted(ledger: Ledger, street: Street) -> None:
    """By phone: 10 at 100 and 5 at 110 with a commission of 1 cost 1,551; 6 of them were adopted for 600."""
    ours = "sigc-" + "0" * 32
    with ledger.transaction("fills") as tx:
        told = (
            fill("1", "by phone", "A", Side.BUY, 10, 100),
            fill("2", "by phone", "A", Side.BUY, 5, 110, commission=1),
            fill("3", ours, "B", Side.SELL, 7, 50),
            fill("4", "elsewhere", "C", Side.BUY, 9, 100),
            fill("5", "done", "A", Side.BUY, 3, 100),
        )
        books.take_in(tx, told, (), "")
    adopted(ledger, "by phone", "A", 6, -600)
    adopted(ledger, "by phone", "B", 2, -10)
    adopted(ledger, "done", "A", 3, -300)
    assert gathered(ledger, street, DIFFER).trades == (
        ForeignTrade("by phone", "A", D(9), D(-951)),
        ForeignTrade(ours, "B", D(-7), D(350), is_ours=True),
    )


def test_what_all_books_hold_is_summed_and_the_account_has_its_worth(ledger: Ledger, street: Street) -> None:
    adopted(ledger, "", "A", 30, 0)
    adopted(ledger, "", "A", 12, 0, TWO)
    adopted(ledger, "", "B", -5, 0, TWO)
    street.held["A"] = D(2)  # at 100
    found = gathered(ledger, street, DIFFER)
    assert (found.held, found.worth) == ({"A": D(42), "B": D(-5)}, D(5_200))


def test_actions_of_a_week_before_and_of_four_days_after_are_there(ledger: Ledger, street: Street) -> None:
    with ledger.transaction("actions") as tx:
        for day in (3, 4, 14, 15):
            split = Action(date(2024, 1, day), "A", ActionKind.SPLIT, ratio=Fraction(2))
            session = f"2024-01-{day:02}"
            action_rows.put_action(tx, DueAction(split, session, NOW, session), "")
    assert [str(a.ex_date) for a in gathered(ledger, street, DIFFER).actions] == ["2024-01-04", "2024-01-14"]


def test_nothing_is_found_where_nothing_happened(ledger: Ledger, street: Street) -> None:
    found = gathered(ledger, street, DIFFER)
    assert (found.gaps, found.trades, found.actions, found.held) == ((), (), (), {})
    assert found.worth == D(5_000)
