"""Causes of differences in cash, and of what has no clear one, from evidence written by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from sigc.actions import Action, ActionKind
from sigc.store.ledger.adjustments import GapCause
from sigc_pipelines.reconcile.causes import Evidence, ExplainedDifference, ForeignTrade, OrderGap, explain
from sigc_pipelines.reconcile.differences import CASH, BrokerDifference

D = Decimal
DIVIDEND = Action(date(2024, 3, 1), "A", ActionKind.DIVIDEND, cash=0.35)


def causes(
    *found: BrokerDifference, is_cash_compared: bool = True, **evidence: object
) -> dict[str, tuple[str, Decimal]]:
    """The cause of each, and the cash of its parts."""
    told = explain(found, Evidence(**evidence), is_cash_compared=is_cash_compared)  # type: ignore[arg-type]
    return {e.difference.asset: (e.cause, sum((p.cash for p in e.parts), D(0))) for e in told}


def differs(asset: str, ledger: int, broker: int) -> BrokerDifference:
    return BrokerDifference(asset, D(ledger), D(broker))


@pytest.mark.parametrize(
    ("cash", "held", "cause"),
    [
        (-1, D(1000), GapCause.FEE),
        (-1000, D(1000), GapCause.FEE),  # a thousandth of a million
        (-1001, D(1000), GapCause.TRANSFER),
        (5000, D(1000), GapCause.TRANSFER),
        (350, D(1000), GapCause.DIVIDEND),
        (350, D(0), GapCause.TRANSFER),
        (-350, D(-1000), GapCause.DIVIDEND),
        (700, D(1000), GapCause.TRANSFER),
    ],
)
def test_cash_alone(cash: int, held: Decimal, cause: GapCause) -> None:
    found = causes(differs(CASH, 100, 100 + cash), worth=D(1_000_000), actions=(DIVIDEND,), held={"A": held})
    assert found == {CASH: (cause, D(cash))}


def test_a_trade_has_its_own_cash_and_the_rest_is_told_apart() -> None:
    trade = ForeignTrade("x", "A", D(10), D(-1003))
    assert causes(differs("A", 5, 15), differs(CASH, 0, -1003), trades=(trade,)) == {"A": (GapCause.TRADE, D(-1003))}
    found = causes(differs("A", 5, 15), differs(CASH, 0, -3), trades=(trade,), worth=D(10))
    assert found == {"A": (GapCause.TRADE, D(-1003)), CASH: (GapCause.TRANSFER, D(1000))}
    assert causes(differs("A", 5, 15), trades=(trade,))[CASH] == (GapCause.TRANSFER, D(1003))  # it cost nothing
    assert CASH not in causes(differs("A", 5, 15), trades=(trade,), is_cash_compared=False)


def test_an_estimate_takes_the_cash_that_is_left() -> None:
    """Ten at a reference of 100, and the account paid 987."""
    gap = OrderGap("sigc-1", "A", D(10), D(100))
    assert causes(differs("A", 0, 10), differs(CASH, 0, -987), gaps=(gap,)) == {"A": (GapCause.FILL_MISSING, D(-987))}
    assert causes(differs("A", 0, 10), gaps=(gap,), is_cash_compared=False) == {
        "A": (GapCause.FILL_MISSING, D(-1000)),
    }


@pytest.mark.parametrize(
    ("ledger", "broker", "cause"),
    [
        (100, 200, GapCause.SPLIT),
        (100, 150, GapCause.TRANSFER),
        (101, 50, GapCause.SPLIT),  # half a share was paid
        (100, 51, GapCause.TRANSFER),
        (1, 101, GapCause.TRANSFER),  # no such split
        (-100, -400, GapCause.SPLIT),
        (-100, 100, GapCause.TRANSFER),
        (1, 100, GapCause.SPLIT),
        (100, 1, GapCause.SPLIT),
        (-10, -15, GapCause.TRANSFER),
        (3, 7, GapCause.TRANSFER),  # a share more than twice as many
        (0, -5, GapCause.TRANSFER),
        (5, -5, GapCause.TRANSFER),
        (-100, -60, GapCause.RECALL),
        (-100, 0, GapCause.RECALL),
        (-100, 1, GapCause.TRANSFER),
        (-100, -50, GapCause.SPLIT),
        (100, 0, GapCause.DELISTING),
        (0, 100, GapCause.TRANSFER),
    ],
)
def test_the_shape_of_a_position(ledger: int, broker: int, cause: GapCause) -> None:
    assert causes(differs("A", ledger, broker), is_cash_compared=False) == {"A": (cause, D(0))}


def test_two_assets_that_could_each_be_the_new_name_are_not_guessed() -> None:
    found = causes(differs("A", 10, 0), differs("B", 0, 10), differs("C", 0, 10), is_cash_compared=False)
    assert {asset: cause for asset, (cause, _) in found.items()} == {
        "A": GapCause.DELISTING,
        "B": GapCause.TRANSFER,
        "C": GapCause.TRANSFER,
    }


@pytest.mark.parametrize(
    ("ledger", "broker", "cause"),
    [
        ("0.5", "1.5", GapCause.SPLIT),  # in fractions, exactly three for one
        ("0.3", "0.7", GapCause.TRANSFER),  # near two for one, as anything near one share is
        ("1.5", "3.2", GapCause.TRANSFER),
        ("1.5", "5", GapCause.SPLIT),  # whole shares: half of one was rounded up
        ("1.5", "4", GapCause.SPLIT),  # or paid
    ],
)
def test_a_broker_that_holds_fractions_splits_exactly(ledger: str, broker: str, cause: GapCause) -> None:
    found = causes(BrokerDifference("A", D(ledger), D(broker)), is_cash_compared=False)
    assert found["A"][0] is cause


DAY = date(2024, 3, 1)


def told(*found: BrokerDifference, is_cash_compared: bool = False, **evidence: Any) -> dict[str, ExplainedDifference]:
    return {e.difference.asset: e for e in explain(found, Evidence(**evidence), is_cash_compared=is_cash_compared)}


@pytest.mark.parametrize(
    ("action", "found", "expected"),
    [
        # Three for two, which no shape tells; a position in fractions of a ratio that has none.
        (
            Action(DAY, "A", ActionKind.SPLIT, Fraction(3, 2)),
            [differs("A", 100, 150)],
            {"A": (GapCause.SPLIT, "", D(50), D(0), None)},
        ),
        (Action(DAY, "A", ActionKind.SPLIT, Fraction(3, 2)), [differs("A", 100, 151)], None),
        (Action(DAY, "B", ActionKind.SPLIT, Fraction(3, 2)), [differs("A", 100, 150)], None),
        (
            Action(DAY, "A", ActionKind.SPINOFF, Fraction(1, 4), into="B"),
            [differs("B", 0, 25)],
            {"B": (GapCause.SPIN_OFF, "A", D(25), D(0), None)},
        ),
        # Not all of B is the new name's: the data list it, and what is there disagrees.
        (Action(DAY, "A", ActionKind.RENAME, into="B"), [differs("A", 10, 0), differs("B", 5, 15)], None),
        (
            Action(DAY, "A", ActionKind.RENAME, into="B"),
            [differs("A", 10, 0), differs("B", 0, 10), differs("C", 0, 10)],
            {"A": (GapCause.RENAME, "B", D(-10), D(0), None), "B": (GapCause.RENAME, "A", D(10), D(0), None)},
        ),
        # 10 at 1.255 a share are 12.55; the shares are gone at that price.
        (
            Action(DAY, "A", ActionKind.DELIST, value=1.255),
            [differs("A", 10, 0)],
            {"A": (GapCause.DELISTING, "", D(-10), D("12.55"), D("1.255"))},
        ),
        (
            Action(DAY, "A", ActionKind.DELIST),
            [differs("A", 10, 0)],
            {"A": (GapCause.DELISTING, "", D(-10), D(0), D(0))},
        ),
        (Action(DAY, "A", ActionKind.DELIST, value=1.0), [differs("A", 10, 3)], None),
        # 10 shares of A become 5 of B and 20 of cash: B carries no cash.
        (
            Action(DAY, "A", ActionKind.MERGE, Fraction(1, 2), cash=2.0, into="B"),
            [differs("A", 10, 0), differs("B", 1, 6)],
            {"A": (GapCause.MERGER, "B", D(-10), D(20), D(0)), "B": (GapCause.MERGER, "A", D(5), D(0), None)},
        ),
        (
            Action(DAY, "A", ActionKind.MERGE, cash=2.0),
            [differs("A", -10, 0)],
            {"A": (GapCause.MERGER, "", D(10), D(-20), D(0))},
        ),
    ],
)
def test_a_listed_action_explains_its_assets_with_their_cash(
    action: Action, found: list[BrokerDifference], expected: dict[str, tuple[Any, ...]] | None
) -> None:
    """Beside an earlier action that explains nothing."""
    other = Action(DAY, found[0].asset, ActionKind.DIVIDEND, cash=1.0)
    for actions in ([action], [other, action]):
        explained = told(*found, actions=actions)
        own = {asset: one for asset, one in explained.items() if one.action is not None}
        assert {
            asset: (one.cause, one.other, *(getattr(one.parts[0], of) for of in ("change", "cash", "price")))
            for asset, one in own.items()
        } == (expected or {})
        assert all(one.action == action and len(one.parts) == 1 for one in own.values())
        assert set(explained) == {one.asset for one in found}


def test_what_a_delisting_paid_is_estimated_where_no_value_is_listed() -> None:
    for value, paid, rest in ((None, D(7), None), (1.0, D(10), D(-3))):
        action = Action(DAY, "A", ActionKind.DELIST, value=value)
        found = told(differs("A", 10, 0), differs(CASH, 0, 7), actions=[action], is_cash_compared=True)
        assert found["A"].parts[0].cash == paid
        assert (found[CASH].parts[0].cash if CASH in found else None) == rest


@pytest.mark.parametrize(
    ("ledger", "broker", "gaps", "cause"),
    [
        (10, 15, [5], GapCause.FILL_MISSING),
        (10, 4, [-6], GapCause.FILL_TWICE),  # a purchase of which the broker knows less
        (-10, -4, [6], GapCause.FILL_TWICE),
        (10, 15, [2, 3], GapCause.FILL_MISSING),
        (10, 4, [-2, -4], GapCause.FILL_TWICE),
        (10, 4, [-8, 2], GapCause.FILL_MISSING),  # both ways: not all of it is twice
        (0, 5, [5], GapCause.FILL_MISSING),
        (0, -5, [-5], GapCause.FILL_MISSING),  # a sale that was not told: nothing was held to take from
        (-10, -15, [-5], GapCause.FILL_MISSING),
    ],
)
def test_orders_of_ours_of_which_the_two_know_different_fills(
    ledger: int, broker: int, gaps: list[int], cause: GapCause
) -> None:
    found = [OrderGap(f"sigc-{n}", "A", D(quantity), D(100)) for n, quantity in enumerate(gaps)]
    one = told(differs("A", ledger, broker), gaps=[*found, OrderGap("sigc-9", "B", D(1), D(1))])["A"]
    assert one.cause is cause
    assert [(p.change, p.cash, p.price, p.client_order_id, p.is_estimate) for p in one.parts] == [
        (D(q), D(-100 * q), D(100), f"sigc-{n}", True) for n, q in enumerate(gaps)
    ]
    # A gap that explains a part alone explains nothing; nor without a gap.
    assert told(differs("A", ledger, broker + 1), gaps=found)["A"].cause is not cause


def test_trades_of_others_alone_and_beside_fills_of_ours() -> None:
    """10 bought by hand for 1,005, and 3 sold for 330; an order of ours has 5 more."""
    trades = [ForeignTrade("x", "A", D(10), D(-1005)), ForeignTrade("", "A", D(-3), D(330))]
    alone = told(differs("A", 0, 7), trades=[*trades, ForeignTrade("y", "B", D(1), D(-1))])["A"]
    assert alone.cause is GapCause.TRADE
    assert [(p.change, p.cash, p.price, p.client_order_id) for p in alone.parts] == [
        (D(10), D(-1005), D("100.5"), "x"),
        (D(-3), D(330), D(110), ""),
    ]
    assert "(x, without an id)" in alone.text
    gap = OrderGap("sigc-1", "A", D(5), D(100))
    both = told(differs("A", 0, 12), trades=trades, gaps=[gap])["A"]
    assert both.cause is GapCause.TRADE
    assert [(p.change, p.is_estimate) for p in both.parts] == [(D(5), True), (D(10), False), (D(-3), False)]
    assert told(differs("A", 0, 13), trades=trades, gaps=[gap])["A"].cause is GapCause.TRANSFER
    ours = replace(trades[0], client_order_id="sigc-7", is_ours=True)
    assert told(differs("A", 0, 7), trades=[ours, trades[1]])["A"].cause is GapCause.RESTORED


def test_the_names_of_three_orders_are_enough() -> None:
    gaps = [OrderGap(f"sigc-{n}", "A", D(1), D(1)) for n in range(4)]
    trades = [ForeignTrade(f"x-{n}", "A", D(1), D(-1)) for n in range(4)]
    for found, end in (
        (told(differs("A", 0, 4), gaps=gaps), "sigc-0, sigc-1, sigc-2 "),
        (told(differs("A", 4, 0), gaps=[replace(g, quantity=-g.quantity) for g in gaps]), "sigc-0, sigc-1, sigc-2 "),
        (told(differs("A", 0, 4), trades=trades), "(x-0, x-1, x-2)"),
    ):
        assert end in found["A"].text


def test_one_share_under_another_name_is_a_new_name_too() -> None:
    both = told(differs("A", 1, 0), differs("B", 0, 1))
    assert {asset: (one.cause, one.other) for asset, one in both.items()} == {
        "A": (GapCause.RENAME, "B"),
        "B": (GapCause.RENAME, "A"),
    }


def test_an_action_explains_its_own_assets_alone() -> None:
    """Three for two of B, which differs too; of all of A gone, half a share of it, no split is left."""
    split = [Action(DAY, "B", ActionKind.SPLIT, Fraction(3, 2))]
    found = told(differs("A", 10, 13), differs("B", 100, 150), actions=split)
    assert {asset: one.cause for asset, one in found.items()} == {"A": GapCause.TRANSFER, "B": GapCause.SPLIT}
    assert told(BrokerDifference("B", D("0.5"), D(0)), actions=split)["B"].cause is GapCause.DELISTING


def test_all_of_it_under_another_name_is_a_new_name_in_either_order() -> None:
    for found in ([differs("A", 10, 0), differs("B", 0, 10)], [differs("B", 0, 10), differs("A", 10, 0)]):
        both = told(*found, differs("C", 1, 2))
        assert {asset: (one.cause, one.other) for asset, one in both.items()} == {
            "A": (GapCause.RENAME, "B"),
            "B": (GapCause.RENAME, "A"),
            "C": (GapCause.SPLIT, ""),
        }
    # Two that could each have had the name before: neither is guessed.
    two = told(differs("A", 10, 0), differs("B", 10, 0), differs("C", 0, 10))
    assert {one.cause for one in two.values()} == {GapCause.DELISTING, GapCause.TRANSFER}


@pytest.mark.parametrize(
    ("found", "is_other"),
    [
        ([(10, 0), (-5, 0)], True),
        ([(1, 0), (-5, 0)], True),
        ([(10, 0)], False),  # one that is gone is an end of it
        ([(10, 0), (5, 1)], False),
        ([(10, 0), (5, 0), (0, 3)], False),  # there is something else
        ([(0, 3), (0, 4)], False),
    ],
)
def test_an_account_of_which_nothing_is_left_is_another_one(found: list[tuple[int, int]], is_other: bool) -> None:
    all = told(*(differs(f"A{n}", ledger, broker) for n, (ledger, broker) in enumerate(found)))
    assert ({one.cause for one in all.values()} == {GapCause.ACCOUNT}) is is_other


def test_orders_that_only_one_of_them_knows_have_no_shares() -> None:
    found = told(BrokerDifference("sigc-1", D(5), D(0)), BrokerDifference("sigc-2", D(0), D(5)), differs("A", 1, 0))
    assert {asset: (one.cause, len(one.parts)) for asset, one in found.items()} == {
        "sigc-1": (GapCause.ORDER_GONE, 0),
        "sigc-2": (GapCause.ORDER_UNKNOWN, 0),
        "A": (GapCause.DELISTING, 1),
    }


def test_the_first_estimate_takes_the_cash_that_is_left_and_the_order_of_differences_stays() -> None:
    """Two fills at references of 100: 20 more were paid than that."""
    gaps = [OrderGap("sigc-1", "B", D(1), D(100)), OrderGap("sigc-2", "A", D(1), D(100))]
    trade = ForeignTrade("x", "C", D(1), D(-50))
    found = told(
        *(differs("C", 0, 1), differs("B", 0, 1), differs(CASH, 1000, 730), differs("A", 0, 1)),
        gaps=gaps,
        trades=[trade],
        is_cash_compared=True,
    )
    assert [(asset, one.parts[0].cash) for asset, one in found.items()] == [
        ("C", D(-50)),
        ("B", D(-120)),
        ("A", D(-100)),
    ]


@pytest.mark.parametrize(
    ("cash", "cause"), [("35.01", "dividend"), ("34.99", "dividend"), ("35.02", "transfer"), ("34.98", "transfer")]
)
def test_a_dividend_is_paid_to_the_cent(cash: str, cause: str) -> None:
    listed = [Action(DAY, "A", ActionKind.SPLIT, Fraction(2), cash=0.35), DIVIDEND]
    found = told(
        BrokerDifference(CASH, D(0), D(cash)), actions=listed, held={"A": D(100)}, worth=D(-5), is_cash_compared=True
    )
    assert (found[CASH].cause, found[CASH].other) == (cause, "A" if cause == "dividend" else "")
    assert found[CASH].difference.excess == D(cash)
    # Of an account that is worth nothing, nothing is small enough for a fee.
    less = told(BrokerDifference(CASH, D(0), D("-0.01")), worth=D(-50), is_cash_compared=True)
    assert less[CASH].cause is GapCause.TRANSFER
    assert "taken out" in less[CASH].text


def test_half_a_unit_that_came_is_no_fee_and_half_a_share_may_be_told_twice() -> None:
    came = told(BrokerDifference(CASH, D(0), D("0.5")), worth=D(10**6), is_cash_compared=True)[CASH]
    assert (came.cause, came.text) == (GapCause.TRANSFER, "money was paid in")
    assert str(came) == f"{CASH}: ledger 0, broker 0.5: money was paid in"
    gap = OrderGap("sigc-1", "A", D("-0.5"), D(100))
    assert told(BrokerDifference("A", D(1), D("0.5")), gaps=[gap])["A"].cause is GapCause.FILL_TWICE
