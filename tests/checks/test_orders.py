"""Pre-trade checks at their boundaries, to the cent; what can't be measured; the way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sigc.config.settings import SafetySettings
from sigc.errors import Severity
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import Intent, IntentState
from sigc_pipelines.checks.exposure import Exposure
from sigc_pipelines.checks.orders import CHECKS, SOUND, judge, only_reduces
from tests.checks.orders import CUT_OFF, NOW, book, denied, fill, limits, order

# Of each limit: the setting, the book, and the order that is one unit below it, at it, one above it. A unit is a share of
# 100, or the last digit of a price.
_In = tuple[dict[str, Any], Callable[[], Exposure], Callable[[int], Intent]]


def _flat() -> Exposure:
    return book()


def _with(*orders: Intent, **more: Any) -> Callable[[], Exposure]:
    def made() -> Exposure:
        at = book(**more)
        for one in orders:
            at.add(one)
        return at

    return made


def _filled(at: Exposure, one: Intent) -> Exposure:
    at.add(one)
    at.fill(fill("f", one, one.quantity))
    return at


BOUNDARIES: dict[str, _In] = {
    "order_value": (
        {"max_order_value": 1000.0},
        _flat,
        lambda d: order("1", "buy", 10, reference=Decimal(100) + Decimal(d) / 1000),
    ),
    "order_value of a limit": (
        {"max_order_value": 1000.0},
        _flat,
        lambda d: order("1", "buy", 10, reference=90, limit=Decimal(100) + Decimal(d) / 1000),
    ),
    "order_shares": ({"max_order_shares": 10.0}, _flat, lambda d: order("1", "sell", Decimal(10) + Decimal(d) / 1000)),
    "position of a purchase": ({"max_position": 0.1}, _with(positions={"A": 2}), lambda d: order("1", "buy", 8 + d)),
    "position of a sale": ({"max_position": 0.1}, _with(positions={"A": 2}), lambda d: order("1", "sell", 12 + d)),
    "position in flight": (
        {"max_position": 0.1},
        _with(order("1", "buy", 5), order("2", "sell", 9), positions={"A": 2}),
        lambda d: order("3", "buy", 3 + d, parent="p"),
    ),
    "change": (
        {"max_change": 0.1},
        lambda: _filled(book(positions={"A": 50}), order("0", "buy", 4)),
        lambda d: order("1", "buy", 6 + d),
    ),
    "change back": (
        {"max_change": 0.1},
        lambda: _filled(book(positions={"A": -10}), order("0", "buy", 4)),
        lambda d: order("1", "sell", 14 + d),
    ),
    "gross_in_flight": (
        {"max_gross_in_flight": 0.5},
        _with(order("1", "sell", 10, "B"), positions={"C": -20}),
        lambda d: order("2", "buy", 20 + d),
    ),
    "gross_in_flight across zero": (
        {"max_gross_in_flight": 0.5},
        _with(order("1", "buy", 10, "B"), positions={"A": 20}),
        lambda d: order("2", "sell", 60 + d),
    ),
    "net_in_flight upwards": (
        {"max_net_in_flight": 0.3},
        _with(order("1", "sell", 90, "B"), positions={"C": 10}),
        lambda d: order("2", "buy", 20 + d),
    ),
    "net_in_flight downwards": (
        {"max_net_in_flight": 0.3},
        _with(order("1", "buy", 90, "B"), positions={"C": -10}),
        lambda d: order("2", "sell", 20 + d),
    ),
    "sector_in_flight": (
        {"max_sector_in_flight": 0.3},
        _with(order("1", "buy", 15, "B"), positions={"C": 5, "A": 500}),
        lambda d: order("2", "buy", 10 + d, "C"),
    ),
    "turnover": (
        {"max_turnover": 0.5},
        lambda: _filled(_with(order("1", "sell", 10, "B"))(), order("0", "buy", 10, "C")),
        lambda d: order("2", "buy", 30 + d),
    ),
    "cash": (
        {"min_cash": 0.1},
        _with(order("1", "sell", 10, "B"), order("2", "buy", 50, "C")),
        lambda d: order("3", "buy", 50 + d),
    ),
    "cash_in_flight": (
        {"min_cash_in_flight": -0.1},
        _with(order("1", "sell", 10, "B"), order("2", "buy", 50, "C")),
        lambda d: order("3", "buy", 60 + d),
    ),
    "short": (
        {"allow_short": False},
        _with(order("1", "buy", 5), positions={"A": 10}),
        lambda d: order("2", "sell", 10 + d),
    ),
}

# Of the order one unit above: the value that is told, and the limit. A share at 100 is 0.01 of the book.
ABOVE = {
    "order_value": (1000.01, 1000.0),
    "order_shares": (10.001, 10.0),
    "position": (0.11, 0.1),
    "change": (0.11, 0.1),
    "gross_in_flight": (0.51, 0.5),
    "net_in_flight": (0.31, 0.3),
    "sector_in_flight": (0.31, 0.3),
    "turnover": (0.51, 0.5),
    "cash": (0.09, 0.1),
    "cash_in_flight": (-0.11, -0.1),
    "short": (-1.0, 0.0),
}


@pytest.mark.parametrize("name", BOUNDARIES)
def test_a_limit_may_be_met_and_not_exceeded(name: str) -> None:
    narrowed, made, one = BOUNDARIES[name]
    check = name.split(" ")[0]
    assert check not in denied(made(), one(-1), **narrowed)
    assert check not in denied(made(), one(0), **narrowed)
    assert check in denied(made(), one(+1), **narrowed)
    (found,) = [f for f in judge(one(+1), made(), limits(**narrowed), NOW, CUT_OFF) if f.check == check]
    assert found.severity is Severity.DENIAL
    assert found.assets == (one(0).asset,)
    assert (found.value, found.limit) == ABOVE[check]


@pytest.mark.parametrize("name", BOUNDARIES)
def test_an_order_is_judged_by_what_it_may_still_fill_once(name: str) -> None:
    """Counted already, or filled for a part that the book holds: the same is left, and the same is said."""
    narrowed, made, one = BOUNDARIES[name]
    for unit in (0, +1):
        fresh = one(unit)
        partly = replace(fresh, quantity=fresh.quantity + 7, filled=Decimal(7))
        expected = denied(made(), fresh, **narrowed)
        for each in (fresh,) if name.startswith("order_") else (fresh, partly):  # those are of the whole order
            counted = made()
            counted.add(each)
            assert denied(counted, each, **narrowed) == expected
            assert denied(made(), each, **narrowed) == expected


@pytest.mark.parametrize("bad", ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "0"])
@pytest.mark.parametrize("what", ["quantity", "price", "limit"])
def test_what_is_no_number_is_denied(bad: str, what: str) -> None:
    made = {
        "quantity": order("1", "sell", bad),
        "price": order("1", "sell", 1, reference=bad),
        "limit": order("1", "sell", 1, limit=Decimal(bad)),
    }
    expected = "quantity" if what == "quantity" else "price"
    (found,) = judge(made[what], book(positions={"A": 5}), limits(), NOW, CUT_OFF)
    assert found.check == expected
    assert found.value == (float(bad) if Decimal(bad).is_finite() else None)
    assert bad in found.message


@pytest.mark.parametrize("nav", ["0", "-1", "NaN", "Infinity"])
def test_shares_of_a_book_without_worth_can_not_be_evaluated(nav: str) -> None:
    adding = denied(book(nav=nav), order("1", "buy", 1))
    assert set(adding) == {
        "position",
        "change",
        "gross_in_flight",
        "net_in_flight",
        "turnover",
        "cash",
        "cash_in_flight",
    }
    assert denied(book(nav=nav, positions={"A": 5}), order("1", "sell", 5)) == ()
    assert denied(book(nav=nav, positions={"A": -5}), order("1", "buy", 5)) == ()
    assert denied(book(nav=nav, positions={"A": 5}), order("1", "sell", 6)) != ()
    assert denied(book(nav="0.5"), order("1", "buy", "0.001")) == ()  # little, and it is worth something


@pytest.mark.parametrize("price", [None, Decimal("NaN"), Decimal("Infinity"), Decimal(0), Decimal(-1)])
def test_what_has_no_price_can_not_be_added_to(price: Decimal | None) -> None:
    at = book(positions={"A": 5}, prices={"A": price})
    assert {"position", "change", "gross_in_flight", "net_in_flight"} <= set(denied(at, order("1", "buy", 1)))
    assert denied(at, order("1", "sell", 5)) == ()
    # It blocks nobody else's orders, and takes no part in sums.
    other = book(positions={"A": 5, "B": 5}, prices={"A": price})
    narrow = {"max_gross_in_flight": 0.1, "max_net_in_flight": 0.1, "max_sector_in_flight": 0.1}
    assert denied(other, order("1", "buy", 5, "B"), **narrow) == ()
    assert set(denied(other, order("1", "buy", 6, "B"), **narrow)) == {
        "gross_in_flight",
        "net_in_flight",
        "sector_in_flight",
    }
    assert denied(other, order("1", "sell", 5, "B")) == ()


def test_the_sector_must_be_known_where_it_is_limited() -> None:
    at = Exposure.of(Decimal(100), Decimal(100), {}, {"A": Mark(Decimal(1))})
    assert denied(at, order("1", "buy", 1, reference=1), max_sector_in_flight=1.0) == ("sector_in_flight",)
    assert denied(at, order("1", "buy", 1, reference=1)) == ()


def test_counts() -> None:
    at = book()
    for number, run in enumerate(("run-1", "run-1", "run-2")):
        at.add(order(str(number), "buy", 1, run=run, asset=f"{'ABC'[number]}"))
    fourth = order("4", "sell", 1)
    assert denied(at, fourth, max_orders_per_run=3) == ()
    assert denied(at, fourth, max_orders_per_run=2) == ("orders_per_run",)
    assert denied(at, fourth, max_orders_per_session=4) == ()
    assert denied(at, fourth, max_orders_per_session=3) == ("orders_per_session",)
    again = order("0", "buy", 1)  # counted already: it is one of the three
    assert denied(at, again, max_orders_per_session=3, max_orders_per_run=2) == ()
    at.close("1")
    assert denied(at, fourth, max_orders_per_session=3) == ("orders_per_session",)
    assert denied(book(), fourth, max_orders_per_session=0) == ("orders_per_session",)


def test_the_restricted_are_not_traded_even_to_get_out() -> None:
    assert denied(book(positions={"A": 5}), order("1", "sell", 5), restricted=("A",)) == ("restricted",)
    assert denied(book(), order("1", "buy", 5, "B"), restricted=("A",)) == ()


def test_nothing_is_sent_from_the_cut_off_on() -> None:
    second = timedelta(microseconds=1)

    def checks(one: Intent, now: Any, cut_off: Any = CUT_OFF) -> list[str]:
        return [f.check for f in judge(one, book(), limits(), now, cut_off)]

    assert checks(order("1", "buy", 1), CUT_OFF - second) == []
    assert checks(order("1", "buy", 1), CUT_OFF) == ["cut_off"]
    assert checks(order("1", "buy", 1), CUT_OFF + second) == ["cut_off"]
    assert checks(order("1", "buy", 1), NOW, None) == ["cut_off"]
    assert checks(order("1", "buy", 1), NOW.replace(tzinfo=None)) == ["cut_off"]  # no instant at all
    assert checks(order("1", "buy", 1, not_before=CUT_OFF), NOW) == ["cut_off"]
    assert checks(order("1", "buy", 1, not_before=CUT_OFF - second), NOW) == []


def test_one_order_a_side_but_for_slices_of_a_parent() -> None:
    at = book(parents={"p": Decimal(10), "q": Decimal(10)})
    at.add(order("1", "buy", 4, parent="p", slice=1))
    assert denied(at, order("2", "buy", 4, parent="p", slice=2)) == ()
    assert denied(at, order("2", "buy", 4, parent="q", slice=1)) == ("duplicate",)
    assert denied(at, order("2", "buy", 4)) == ("duplicate",)
    assert denied(at, order("2", "sell", 4)) == ()
    assert denied(at, order("2", "buy", 4, "B")) == ()
    assert denied(at, order("1", "buy", 4, parent="p", slice=1)) == ()  # itself
    for side, verb in (("buy", "bought"), ("sell", "sold")):
        at.add(order("3", side, 1, "C"))
        (found,) = judge(order("4", side, 1, "C"), at, limits(), NOW, CUT_OFF)
        assert found.message == f"C is being {verb} already, by 3"
        at.close("3")
    at.close("1")
    assert denied(at, order("2", "buy", 4)) == ()


def test_slices_come_to_no_more_than_their_parent() -> None:
    at = book(parents={"p": Decimal(10)})
    first, second = order("1", "buy", 4, parent="p"), order("2", "buy", 3, parent="p")
    at.add(first)
    at.add(second)
    assert denied(at, order("3", "buy", 2, parent="p")) == ()
    assert denied(at, order("3", "buy", 3, parent="p")) == ()
    assert denied(at, order("3", "buy", 4, parent="p")) == ("children",)
    at.fill(fill("f", first, Decimal(1)))
    at.close("1")  # three of its four go back to the parent
    assert denied(at, order("3", "buy", 6, parent="p")) == ()
    assert denied(at, order("3", "buy", 7, parent="p")) == ("children",)
    assert denied(at, order("3", "buy", 1, parent="unheard of")) == ("duplicate", "children")


WAYS_OUT: list[tuple[dict[str, Any], dict[str, int], Intent]] = [
    ({"max_position": 0.1}, {"A": 50}, order("1", "sell", 1)),
    ({"max_position": 0.1}, {"A": 50}, order("1", "sell", 50)),
    ({"max_position": 0.1}, {"A": 50}, order("1", "sell", 99)),  # short by 49: less than it was
    ({"max_position": 0.1}, {"A": -50}, order("1", "buy", 1)),
    ({"max_position": 0.1}, {"A": -50}, order("1", "buy", 99)),
    ({"max_gross_in_flight": 0.1}, {"A": 50}, order("1", "sell", 1)),
    ({"max_gross_in_flight": 0.1}, {"A": -50, "B": 9}, order("1", "buy", 50)),
    ({"max_net_in_flight": 0.1}, {"A": 50}, order("1", "sell", 1)),
    ({"max_net_in_flight": 0.1}, {"A": -50}, order("1", "buy", 99)),
    ({"max_sector_in_flight": 0.1}, {"B": 50}, order("1", "sell", 1, "B")),
    ({"max_sector_in_flight": 0.1}, {"B": 50}, order("1", "sell", 20, "C")),
    ({"min_cash": 2.0, "min_cash_in_flight": 2.0}, {"A": 50}, order("1", "sell", 1)),
    ({"allow_short": False}, {"A": -50}, order("1", "buy", 1)),
]


@pytest.mark.parametrize(("narrowed", "positions", "way_out"), WAYS_OUT)
def test_what_reduces_an_exposure_beyond_its_limit_is_not_denied(
    narrowed: dict[str, Any], positions: dict[str, int], way_out: Intent
) -> None:
    assert denied(book(positions=positions), way_out, **narrowed) == ()


@pytest.mark.parametrize(("side", "back"), [("buy", "sell"), ("sell", "buy")])
def test_a_change_beyond_its_limit_may_be_taken_back(side: str, back: str) -> None:
    at = _filled(book(), order("0", side, 40))
    assert denied(at, order("1", back, 79), max_change=0.1) == ()  # 39 on the other side: less than it was
    assert denied(at, order("1", back, 80), max_change=0.1) == ("change",)


@pytest.mark.parametrize(
    ("narrowed", "positions", "more"),
    [
        ({"max_position": 0.1}, {"A": 50}, order("1", "buy", 1)),
        ({"max_position": 0.1}, {"A": 50}, order("1", "sell", 100)),  # as much, on the other side
        ({"max_gross_in_flight": 0.1}, {"A": 50}, order("1", "sell", 101)),
        ({"max_net_in_flight": 0.1}, {"A": 50}, order("1", "sell", 100)),
        ({"max_net_in_flight": 0.1}, {"A": 50}, order("1", "buy", 1, "B")),
    ],
)
def test_what_does_not_reduce_it_is(narrowed: dict[str, Any], positions: dict[str, int], more: Intent) -> None:
    assert len(denied(book(positions=positions), more, **narrowed)) == 1


def test_an_order_in_flight_is_judged_against_the_others() -> None:
    at = book(cash=1000)
    one = order("1", "buy", 10)
    narrowed = {"min_cash_in_flight": 0.0, "max_position": 0.1, "max_turnover": 0.1, "max_gross_in_flight": 0.1}
    assert denied(at, one, **narrowed) == ()
    at.add(one)
    assert denied(at, one, **narrowed) == ()
    at.add(one)  # again: not twice
    assert denied(at, one, **narrowed) == ()
    assert at.in_flight("1") == 10
    other = order("2", "buy", 1, "B", state=IntentState.PLANNED)
    assert set(denied(at, other, **narrowed)) == {"gross_in_flight", "turnover", "cash_in_flight"}


def test_every_check_is_declared() -> None:
    names = [c.name for c in (*SOUND, *CHECKS)]
    assert len(set(names)) == len(names)
    for each in CHECKS:
        assert each.text.endswith(".")
        assert not each.setting or each.default == SafetySettings.model_fields[each.setting].default


@pytest.mark.parametrize(
    ("held", "open_", "side", "quantity", "is_so"),
    [
        (10, None, "sell", 10, True),
        (10, None, "sell", Decimal("10.001"), False),
        (10, ("sell", 4), "sell", 6, True),
        (10, ("sell", 4), "sell", 7, False),
        (10, ("buy", 4), "sell", 11, False),  # the purchase may never be filled
        (10, None, "buy", 1, False),
        (-10, None, "buy", 10, True),
        (-10, None, "buy", 11, False),
        (-10, ("buy", 4), "buy", 7, False),
        (-10, None, "sell", 1, False),
        (0, None, "sell", 1, False),
        (0, None, "buy", 1, False),
    ],
)
def test_an_order_that_only_reduces(
    held: int, open_: tuple[str, int] | None, side: str, quantity: int | Decimal, is_so: bool
) -> None:
    """Whatever else is filled, and counted already or not."""
    made = _with(*([order("0", *open_)] if open_ else []), positions={"A": held})
    one = order("1", side, quantity)
    assert only_reduces(one, made()) is is_so
    assert only_reduces(one, _with(*([order("0", *open_)] if open_ else []), one, positions={"A": held})()) is is_so


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("narrow", "passes"),
    [
        ({}, False),  # within all limits: the other side of a hedge may have to wait, so the net is bounded
        ({"max_position": 0.6}, False),  # met, not exceeded
        ({"max_position": 0.59}, True),
        ({"max_gross_in_flight": 1.2}, False),
        ({"max_gross_in_flight": 1.19}, True),
    ],
)
def test_what_is_held_beyond_a_limit_may_be_reduced_though_the_net_grows(
    sign: int, narrow: dict[str, float], passes: bool
) -> None:
    """A book of 10,000 that is long 60 of A and short 60 of C, at 100: gross 1.2, net 0. Either leg is closed first."""
    at = book(positions={"A": 60 * sign, "C": -60 * sign})
    limit = {"max_net_in_flight": 0.5, "max_sector_in_flight": 0.0}
    out = [order("1", "sell" if sign > 0 else "buy", 60), order("2", "buy" if sign > 0 else "sell", 60, "C")]
    for one in out:
        assert denied(at, one, **limit, **narrow) == (() if passes else ("net_in_flight",))
    # B and C are one sector, A another.
    at = book(positions={"B": 60 * sign, "C": -60 * sign})
    limit = {"max_sector_in_flight": 0.5}
    for asset, side in (("B", sign), ("C", -sign)):
        one = order("3", "sell" if side > 0 else "buy", 60, asset)
        assert denied(at, one, **limit, **narrow) == (() if passes else ("sector_in_flight",))


def test_what_is_held_beyond_a_limit_is_no_leave_to_add_elsewhere() -> None:
    at = book(positions={"A": 60, "B": 60})
    found = denied(at, order("1", "buy", 1, "C"), max_position=0.5, max_net_in_flight=0.5, max_sector_in_flight=0.5)
    assert found == ("net_in_flight", "sector_in_flight")


def test_neither_a_sale_nor_a_way_out_needs_cash() -> None:
    """No cash is left: shares may be sold short, and a short position bought back; what adds may not be bought."""
    dry, least = book(cash=0, positions={"B": -5}), {"min_cash": 0.0, "min_cash_in_flight": 0.0}
    assert denied(dry, order("1", "sell", 5), allow_short=True, **least) == ()
    assert denied(dry, order("2", "buy", 5, "B"), **least) == ()
    assert denied(dry, order("3", "buy", 6, "B"), **least) == ("cash", "cash_in_flight")
