"""Positions, prices and money in the units of the session that is to be traded, by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from sigc.actions import Action, ActionKind
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.action_rows import restated
from sigc.store.ledger.books import Book
from sigc.store.ledger.records import BookKey, Fill, Side
from sigc_pipelines.live.valuing import BookValue
from sigc_pipelines.prices.units import acting_between, in_session, owed_at, restated_positions, restated_price
from tests.trading.floor import weekdays

D = Decimal
THU, FRI, SAT, MON, TUE = "2016-03-03", "2016-03-04", "2016-03-05", "2016-03-07", "2016-03-08"


def act(day: str, asset: str, kind: ActionKind, ratio: str = "1", cash: float = 0.0, into: str = "") -> Action:
    return Action(date.fromisoformat(day), asset, kind, Fraction(ratio), cash, into)


def split(day: str, ratio: str, asset: str = "A") -> Action:
    return act(day, asset, ActionKind.SPLIT, ratio)


def dividend(day: str, cash: float, asset: str = "A") -> Action:
    return act(day, asset, ActionKind.DIVIDEND, cash=cash)


@pytest.mark.parametrize(
    ("after", "until", "days"),
    [
        (THU, FRI, [FRI]),
        (THU, MON, [FRI, SAT, MON]),
        (FRI, MON, [SAT, MON]),  # what falls on a week-end acts on Monday
        (FRI, FRI, []),
        (MON, TUE, [TUE]),
        (THU, SAT, [FRI]),
    ],
)
def test_actions_between_two_sessions(after: str, until: str, days: list[str]) -> None:
    every = [split(day, "2") for day in (THU, FRI, SAT, MON, TUE)]
    assert [str(a.ex_date) for a in acting_between(every, weekdays(), after, until)] == days


def test_what_is_held_is_restated_in_the_order_of_actions() -> None:
    """5 shares, 3:2, are 7.5: seven, and half a share in cash; a spin-off and a sale of all leave nothing behind."""
    held = {"A": D(5), "B": D(4), "S": D(2), "C": D(1)}
    acts = [
        split(FRI, "3/2"),
        act(FRI, "B", ActionKind.SPINOFF, "1/2", into="S"),
        act(MON, "C", ActionKind.RENAME, into="B"),
    ]
    assert restated_positions(held, acts, MON) == {"A": 7, "B": 5, "S": 4}
    assert restated_positions(held, acts, MON, step=D("0.5")) == {"A": D("7.5"), "B": 5, "S": 4}
    assert restated_positions(held, acts, FRI) == {"A": 7, "B": 4, "S": 4, "C": 1}
    assert restated_positions({"A": D(0), "B": D(4)}, [], MON) == {"B": 4}
    assert restated_positions({"Z": D(3)}, acts, MON) == {"Z": 3}


def test_what_is_owed_is_cash_and_what_is_left_of_shares() -> None:
    held = {"A": D(5), "B": D(-4)}
    acts = [split(FRI, "3/2"), dividend(FRI, 0.5), dividend(FRI, 1.0, "B")]
    # Half a share of A at 90 / 1.5, 0.50 on the seven that are left, and 4 for what B's lender lacks.
    assert owed_at(held, acts, FRI, {"A": D(90)}) == 30 + D("3.5") - 4
    off = act(FRI, "B", ActionKind.SPINOFF, "1/2", into="S")
    assert owed_at({"B": D(5)}, [off], FRI, {"S": D(8), "B": D(100)}) == 4  # half a share of S
    assert owed_at(held, [dividend(FRI, 1.0, "B")], FRI) == -4
    assert owed_at(held, acts, THU) == 0


def test_a_price_is_divided_by_splits_and_less_what_is_paid() -> None:
    assert restated_price(D(90), [split(FRI, "3/2"), dividend(FRI, 0.5)], FRI) == D("59.5")
    assert restated_price(D(90), [split(FRI, "3/2"), dividend(MON, 0.5)], FRI) == 60
    assert restated_price(D(90), [split(FRI, "3/2")], THU) == 90
    assert restated_price(D(90), [], THU) == 90


def standing(positions: dict[str, Decimal], prices: dict[str, Decimal]) -> BookValue:
    book = Book(BookKey("s", "m"), D(5000), D(1000), datetime(2016, 1, 4, tzinfo=UTC), "2016-01-04", D(50))
    return BookValue(book, D(0), positions, prices)


def test_a_book_before_the_session_is_worth_what_it_is_worth_after() -> None:
    held = standing({"A": D(100), "B": D(-10)}, {"A": D(90), "B": D(20), "Z": D(7)})
    acts = [split(MON, "2"), dividend(MON, 1.5), dividend(MON, 2.0, "B"), split(TUE, "9")]
    now = in_session(held, acts, weekdays(), (FRI, FRI, MON))
    assert now.positions == {"A": 200, "B": -10}
    assert now.prices == {"A": D("43.5"), "B": 18, "Z": 7}
    assert now.worth == 1000 + 50 + 200 * D("43.5") + 200 * D("1.5") - 10 * 18 - 10 * 2
    assert in_session(held, acts, weekdays(), (MON, MON, MON)) is held
    assert in_session(held, [], weekdays(), (FRI, FRI, MON)) is held


def test_of_a_dry_run_the_ledger_may_be_behind_the_prices() -> None:
    """Prices are those of Monday, on which A has split; the ledger is of Friday. B splits on Tuesday."""
    held = standing({"A": D(100), "B": D(30)}, {"A": D(45), "B": D(100)})
    now = in_session(held, [split(MON, "2"), split(TUE, "3", "B")], weekdays(), (FRI, MON, TUE))
    assert now.positions == {"A": 200, "B": 90}
    assert now.prices == {"A": 45, "B": D("33.333333")}
    assert now.worth == 1050 + 9000 + 90 * D("33.333333")


def test_a_new_name_goes_on_at_the_price_of_the_old_one() -> None:
    held = standing({"A": D(100)}, {"A": D(45)})
    now = in_session(held, [act(MON, "A", ActionKind.RENAME, into="N")], weekdays(), (FRI, FRI, MON))
    assert (dict(now.positions), now.prices["N"], now.worth) == ({"N": D(100)}, D(45), D(5550))
    known = standing({"A": D(100)}, {"A": D(45), "N": D(46)})
    assert (
        in_session(known, [act(MON, "A", ActionKind.RENAME, into="N")], weekdays(), (FRI, FRI, MON)).prices["N"] == 46
    )
    bare = standing({"A": D(100)}, {})
    now = in_session(
        bare, [act(MON, "A", ActionKind.RENAME, into="N"), split(MON, "2", "Y")], weekdays(), (FRI, FRI, MON)
    )
    assert (dict(now.positions), dict(now.prices), now.worth) == ({"N": D(100)}, {}, D(1050))


def test_names_that_change_at_once_take_their_prices_with_them() -> None:
    """A and B swap names, C becomes D, which was another and becomes E; N is known by its new name already."""
    of = {"A": 10, "B": 40, "C": 7, "D": 3, "M": 6, "N": 9}
    prices = {name: D(price) for name, price in of.items()}
    swaps = [("A", "B"), ("B", "A"), ("C", "D"), ("D", "E"), ("M", "N")]
    acts = [act(MON, old, ActionKind.RENAME, into=new) for old, new in swaps]
    held = standing({"A": D(100), "B": D(50), "C": D(1), "D": D(2)}, prices)
    now = in_session(held, acts, weekdays(), (FRI, FRI, MON))
    assert now.positions == {"B": 100, "A": 50, "D": 1, "E": 2}
    assert now.prices == {"A": 40, "B": 10, "C": 7, "D": 7, "E": 3, "M": 6, "N": 9}
    assert now.worth == 1050 + 100 * 10 + 50 * 40 + 7 + 2 * 3
    # Of Monday's own closes each has its new name already, but for E, which the data lack.
    later = in_session(held, acts, weekdays(), (FRI, MON, MON))
    assert later.prices == prices | {"E": D(3)}
    # The same of the marks that orders are judged by.
    dues = [DueAction(a, MON, datetime(2016, 3, 4, 21, tzinfo=UTC), MON) for a in acts]
    assert restated(prices, dues) == now.prices


def test_a_name_that_another_gave_up_has_no_price_of_its_own_yet() -> None:
    acts = [act(MON, "A", ActionKind.RENAME, into="B"), act(MON, "B", ActionKind.RENAME, into="C")]
    now = in_session(standing({"A": D(5)}, {"B": D(40)}), acts, weekdays(), (FRI, FRI, MON))
    assert now.positions == {"B": 5}
    assert now.prices == {"C": 40}


def test_what_was_traded_in_the_session_is_in_its_units_already() -> None:
    """100 A at 90 and 40 B at 10; 4:1 and a dividend of 1 on Monday, on which 80 A, 20 B were bought, and 10 A sold."""
    at = datetime(2016, 3, 7, 15, tzinfo=UTC)
    fills = [
        Fill("1", "x", "A", Side.BUY, D(80), D(22), D(0), at),
        Fill("2", "y", "A", Side.SELL, D(10), D(22), D(0), at),
        Fill("3", "z", "B", Side.BUY, D(20), D(9), D(0), at),
    ]
    book = Book(BookKey("s", "main"), D(0), D(1000), at, FRI)
    now = BookValue(book, D(0), {"A": D(170), "B": D(60)}, {"A": D(88), "B": D(10)})
    acts = [split(MON, "4"), dividend(MON, 1.0, "B")]
    found = in_session(now, acts, weekdays(), (FRI, FRI, MON), D(1), fills)
    assert found.positions == {"A": 470, "B": 60}
    assert found.prices == {"A": 22, "B": 9}
    assert found.worth == 1000 + 40 + 470 * 22 + 60 * 9  # the dividend is that of Friday's forty
    assert in_session(now, acts, weekdays(), (FRI, FRI, MON), D(1)).positions == {"A": 680, "B": 60}
