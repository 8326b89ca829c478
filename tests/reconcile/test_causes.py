"""Causes of differences in cash, and of what has no clear one, from evidence written by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from sigc.actions import Action, ActionKind
from sigc.store.ledger.adjustments import GapCause
from sigc_pipelines.reconcile.causes import Evidence, ForeignTrade, OrderGap, explain
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
        (-100, -60, GapCause.RECALL),
        (-100, 0, GapCause.RECALL),
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
