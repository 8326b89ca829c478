"""The size of an order: at the dearer of two prices, against what was wanted and what is traded; both sides of each limit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sigc.store.ledger.records import Intent
from sigc_pipelines.checks.exposure import Bound, Exposure
from tests.checks.orders import book, denied, order


def at(positions: dict[str, int] | None = None, **bound: Any) -> Exposure:
    """A book in which 1,000 of A is wanted, a lot is worth 100, and 50,000 are traded in a session."""
    given = {"wanted": Decimal(1000), "lot": Decimal(100), "high": Decimal(100), "volume": Decimal(50_000)} | bound
    return book(positions=positions, bounds={"A": Bound(**given)})


def test_a_price_that_is_too_low_makes_no_order_small() -> None:
    one = order("1", "buy", 10, reference=1)  # at a thousandth of what it was
    assert denied(at(high=Decimal(100)), one, max_order_value=1000.0) == ()
    assert denied(at(high=Decimal("100.01")), one, max_order_value=1000.0) == ("order_value",)
    assert denied(at(high=None), one, max_order_value=10.0) == ()


@pytest.mark.parametrize(
    ("wanted", "lot", "quantity", "is_denied"),
    [
        (1000, 100, 11, False),  # ten per cent more
        (1000, 100, 12, True),
        (1000, 300, 13, False),  # a lot more
        (1000, 300, 14, True),
        (0, 100, 1, False),
        (0, 100, 2, True),
    ],
)
def test_an_order_is_of_the_change_that_was_wanted(wanted: int, lot: int, quantity: int, is_denied: bool) -> None:
    here = at(wanted=Decimal(wanted), lot=Decimal(lot))
    assert ("order_pct" in denied(here, order("1", "buy", quantity), max_order_pct=0.1)) is is_denied
    assert denied(here, order("1", "buy", quantity), max_order_pct=0.0) == ()


def test_slices_count_together() -> None:
    def slices(*quantities: int) -> list[Intent]:
        return [order(str(n), "buy", q, parent="p") for n, q in enumerate(quantities)]

    def found(parent: int, **limits: Any) -> set[str]:
        bounds = {"A": Bound(Decimal(1000), Decimal(100), Decimal(100), Decimal(50_000))}
        here = book(parents={"p": Decimal(parent)}, bounds=bounds)
        return {check for one in slices(5, 5) for check in denied(here, one, **limits)}

    assert found(11, max_order_pct=0.1) == set()
    assert found(12, max_order_pct=0.1) == {"order_pct"}
    assert found(50, max_adv_pct=0.1) == set()
    assert found(51, max_adv_pct=0.1) == {"adv_pct"}


@pytest.mark.parametrize(("quantity", "is_denied"), [(50, False), (51, True)])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_order_is_a_share_of_what_is_traded(side: str, quantity: int, is_denied: bool) -> None:
    one = order("1", side, quantity)
    assert (denied(at(), one, max_adv_pct=0.1) == ("adv_pct",)) is is_denied
    assert denied(at(), one, max_adv_pct=0.0) == ()
    assert denied(at(high=Decimal(101)), order("1", side, 50), max_adv_pct=0.1) == ("adv_pct",)


def test_an_unknown_volume_lets_out_and_not_in() -> None:
    for here in (at({"A": 10}, volume=None), book(positions={"A": 10})):
        assert denied(here, order("1", "buy", 1), max_adv_pct=0.1) == ("adv_pct",)
        assert denied(here, order("1", "sell", 10), max_adv_pct=0.1) == ()
    assert denied(book(), order("1", "buy", 1), max_order_pct=0.1) == ("order_pct",)
