"""What a run decides, by hand: money, targets under each policy, what is kept, and by what its orders are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from sigc.actions import Action, ActionKind
from sigc.config.settings import Config, SafetySettings
from sigc.errors import Severity, SigcError
from sigc.store.ledger.books import Book
from sigc.store.ledger.records import BookKey, Finding, Side
from sigc_pipelines.checks.exposure import Bound
from sigc_pipelines.checks.view import SourceView
from sigc_pipelines.live.decision import Basis, Decision, Known, basis, bounds, decide, finite, off_limits, within_size
from sigc_pipelines.live.sizing import Order
from sigc_pipelines.live.valuing import BookValue
from sigc_pipelines.targets import TargetSnapshot

D, NAN = Decimal, float("nan")
NAMES = ("A", "B", "C", "E")
DAY = "2024-03-08"
PRICES = {"A": D(100), "B": D(50)}
HELD = {"A": D(10), "B": D(-20)}
CALM: dict[str, Any] = {
    "max_missing_pct": 1.0,
    "max_position": 9.0,
    "max_change": 9.0,
    "max_turnover": 9.0,
    "max_anomalies_pct": 1.0,
}
CALM |= {"max_universe_change": 1.0, "max_coverage_drop": 0.3}


SOLD = np.full(4, 1000.0)


def standing(worth: str, held: Mapping[str, Decimal] = HELD, prices: Mapping[str, Decimal] = PRICES) -> BookValue:
    """A book of so much worth that was given 4,000."""
    book = Book(BookKey("s", "main"), D(4000), D(worth), datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02")
    return BookValue(book, D(worth), held, prices)


def sight(wanted: list[float], prices: list[float] | None = None, **more: Any) -> TargetSnapshot:
    """A row of four assets; constraints leave what is wanted, an undefined weight as none."""
    of, at = np.array(wanted), np.array([100.0, 50.0, 20.0, 10.0] if prices is None else prices)
    left = np.where(np.isnan(of), 0.0, of)
    given: dict[str, Any] = {
        "as_of": DAY,
        "rows": 9,
        "names": NAMES,
        "wanted": of,
        "prices": at,
        "previous": at,
        "volumes": SOLD,
    }
    given |= {"mean_volumes": SOLD, "sectors": None, "within": lambda _: left, "digest": "d", "raw": at}
    return TargetSnapshot(**(given | more))


@pytest.mark.parametrize(
    ("worth", "sizing", "money", "held", "is_ruined"),
    [
        ("2500", "nav", 2500, [0.4, -0.4, 0, 0], False),
        ("2500", "capital", 4000, [0.25, -0.25, 0, 0], False),
        ("0.5", "nav", 0.5, [2000, -2000, 0, 0], False),
        ("0", "nav", 2000, [0.5, -0.5, 0, 0], True),
        ("-7", "capital", 2000, [0.5, -0.5, 0, 0], True),
    ],
)
def test_the_money_that_weights_are_shares_of(
    worth: str, sizing: str, money: float, held: list[float], is_ruined: bool
) -> None:
    found = basis(sight([0.0] * 4), standing(worth), sizing)
    assert (found.money, found.held.tolist(), found.is_ruined) == (D(str(money)), held, is_ruined)


def test_a_book_that_is_worth_nothing_and_holds_nothing_can_not_trade() -> None:
    for held in ({}, {"C": D(5)}):  # of C no price is known
        with pytest.raises(SigcError, match="the book is worth 0: there is nothing to trade with"):
            basis(sight([0.0] * 4), standing("0", held), "nav")


LAST = np.array([0.11, 0.12, 0.13, 0.14]), Finding("cache", Severity.WARNING, "the last target")


def decided(
    of: TargetSnapshot, worth: str = "2500", known: Known | None = None, actions: tuple[Action, ...] = (), **safety: Any
) -> Decision:
    config = Config.model_validate({"safety": {**CALM, "max_adv_pct": 0.0, **safety}, "execution": {"sizing": "nav"}})
    return decide(of, standing(worth), DAY, config, known or Known(), actions, lambda: LAST)


def told(made: Decision) -> list[tuple[str, str]]:
    return [(f.check, str(f.severity)) for f in made.findings]


def test_what_constraints_leave_is_the_target_and_nothing_is_kept() -> None:
    made = decided(sight([0.3, -0.2, NAN, 0.0]))
    assert made.target.tolist() == [0.3, -0.2, 0.0, 0.0]
    assert (made.kept, made.odd, made.off, told(made)) == (frozenset(), frozenset(), (), [])
    assert made.basis.held.tolist() == [0.4, -0.4, 0.0, 0.0]


GONE = [100.0, NAN, NAN, NAN]  # B is held; C is wanted; of E nothing is wanted, or it is not known
WITHOUT_A_PRICE: list[tuple[str, list[float], list[str]]] = [
    ("hold", [0.3, -0.4, 0.0, 0.0], ["B", "C"]),
    ("exclude", [0.3, 0.0, 0.0, 0.0], []),
    ("alert", [0.3, -0.2, 0.1, 0.0], []),
]


@pytest.mark.parametrize("nothing", [0.0, NAN])
@pytest.mark.parametrize(("policy", "target", "kept"), WITHOUT_A_PRICE)
def test_assets_without_a_price(policy: str, target: list[float], kept: list[str], nothing: float) -> None:
    of = sight([0.3, -0.2, 0.1, nothing], GONE, previous=np.array([100.0, 50, 20, 10]))
    made = decided(of, on_missing_symbol=policy, on_data_error="alert")
    assert (made.target.tolist(), sorted(made.kept)) == (target, kept)
    (missing,) = [f for f in made.findings if f.check == "missing"]
    assert missing.assets == ("B", "C")


def test_a_price_that_is_not_accepted_waits() -> None:
    of = sight([0.3, -0.2, 0.1, 0.0], [100.0, NAN, 20.0, 10.0], raw=np.array([100.0, 500.0, 20.0, 10.0]))
    made = decided(replace(of, previous=np.array([100.0, 50, 20, 10]), before=np.array([100.0, 50, 20, 10])))
    assert (made.target.tolist(), list(made.odd), list(made.kept)) == ([0.3, -0.4, 0.1, 0.0], ["B"], ["B"])


def test_bad_data_are_traded_by_the_last_target_where_that_is_asked_for() -> None:
    made = decided(sight([0.3, -0.2, 0.1, 0.0]), on_data_error="use_cache", min_rows=10)
    assert made.target.tolist() == LAST[0].tolist()
    assert told(made) == [("rows", "warning"), ("cache", "warning")]


@pytest.mark.parametrize(
    ("wanted", "prices", "target"),
    [
        ([0.1, 0.1, 0.3, 0.0], None, [0.5, 0.0, 0.0, 0.0]),  # the same side is kept, the other is left
        ([0.0, -0.1, 0.3, 0.0], None, [0.0, -0.5, 0.0, 0.0]),
        ([NAN, -0.1, NAN, NAN], None, [0.5, -0.5, 0.0, 0.0]),  # an unknown weight is no wish
        ([0.0, -0.1, 0.0, 0.0], [NAN, 50.0, 20.0, 10.0], [0.5, -0.5, 0.0, 0.0]),  # without a price it can't be left
    ],
)
def test_a_ruined_book_only_reduces(wanted: list[float], prices: list[float] | None, target: list[float]) -> None:
    made = decided(sight(wanted, prices), worth="-7", on_missing_symbol="alert", on_anomaly="alert")
    assert made.target.tolist() == target
    assert ("worth", "warning") in told(made)


def test_between_rebalances_only_what_waited_is_traded() -> None:
    made = decided(sight([0.3, -0.2, 0.1, 0.0]), known=Known(ready={"C": 0.2}))
    assert made.target.tolist() == [0.4, -0.4, 0.2, 0.0]
    assert made.kept == {"A", "B", "E"}


def test_a_row_without_weights_is_an_error() -> None:
    assert told(decided(sight([NAN] * 4))) == [("undefined", "error")]


def test_an_asset_that_ended_is_not_missed() -> None:
    names, prices = tuple("ABCEFGHIJK"), [10.0] * 10
    of = sight([0.1] * 9 + [0.0], [*prices[:9], NAN], names=names, previous=np.array(prices), volumes=None)
    acts = [Action(date(2024, 3, day), "K", kind) for day, kind in ((9, ActionKind.DELIST), (8, ActionKind.DIVIDEND))]
    limits: dict[str, Any] = {"max_universe_change": 0.0, "on_data_error": "alert"}
    assert "universe" in [c for c, _ in told(decided(of, actions=tuple(acts), **limits))]
    ended = Action(date(2024, 3, 8), "K", ActionKind.RENAME, into="X")
    assert "universe" not in [c for c, _ in told(decided(of, actions=(ended,), **limits))]


def _source(**of: Any) -> SourceView:
    given: dict[str, Any] = {
        "name": "score",
        "is_read": True,
        "is_static": False,
        "assets": 9,
        "values": 9,
        "mean": 9.0,
    }
    return SourceView(**(given | {"newest": DAY, "is_late": False} | of))


@pytest.mark.parametrize(
    ("source", "before", "is_told"),
    [
        (_source(), {"score": 9}, False),
        (_source(values=4, mean=4.0), {"score": 9}, True),  # written anew without half of its columns
        (_source(values=4, mean=4.0), {"other": 9}, False),
        (_source(values=4, mean=9.0), {"score": 4}, True),  # the rows before tell more than the last run
        (_source(values=0, mean=0.0), {"score": 9}, False),  # no session of its own
        (_source(values=0, mean=0.0, is_static=True), {"score": 9}, True),
        (_source(values=0, mean=9.0), {"score": 9}, True),
    ],
)
def test_a_source_beside_what_it_had_at_the_last_run(source: SourceView, before: dict[str, int], is_told: bool) -> None:
    made = decided(sight([0.1] * 4, sources=(source,)), known=Known(coverage=before), on_stale_data="alert")
    assert ("covered" in [c for c, _ in told(made)]) is is_told


def test_turnover_beside_that_of_runs_before_is_judged() -> None:
    calm = decided(sight([0.4, -0.4, 0.1, 0.0]), known=Known((0.1, 0.1)), max_deviation=2.0, min_history=2)
    wild = decided(sight([0.4, -0.4, 0.9, 0.0]), known=Known((0.1, 0.1)), max_deviation=2.0, min_history=2)
    assert (len(told(calm)), len(told(wild))) == (0, 1)


@pytest.mark.parametrize(
    ("limits", "sources", "off"),
    [
        (SafetySettings(), {"prices"}, ("max_adv_pct",)),
        (SafetySettings(), {"prices", "volume"}, ()),
        (SafetySettings(max_adv_pct=0.05), {"prices"}, ()),
        (SafetySettings.model_construct({"max_order_value"}, max_adv_pct=0.0), {"prices"}, ()),
        (SafetySettings.model_construct({"max_order_value"}, max_adv_pct=0.5), {"prices"}, ("max_adv_pct",)),
    ],
)
def test_limits_that_nothing_is_known_to_judge_by(
    limits: SafetySettings, sources: set[str], off: tuple[str, ...]
) -> None:
    assert off_limits(limits, sources) == off


def test_a_limit_that_is_off_is_told() -> None:
    made = decide(sight([0.1] * 4), standing("2500"), DAY, Config(), Known(), (), lambda: LAST)
    assert made.off == ("max_adv_pct",)
    assert Finding("off", Severity.INFO, "max_adv_pct is off: the strategy loads no source 'volume'") in made.findings
    assert decide(sight([0.1] * 4, sources=(_source(name="volume"),)), standing("2500"), DAY, Config(), Known(), (), lambda: LAST).off == ()  # fmt: skip


@pytest.mark.parametrize(
    ("count", "named"),
    [(1, "A$"), (5, "A, B, C, D, E$"), (6, "A, B, C, D, E and 1 more$"), (7, "A, B, C, D, E and 2 more$")],
)
def test_infinite_weights_are_named(count: int, named: str) -> None:
    wanted = np.array([*[np.inf, -np.inf, np.inf, -np.inf, np.inf, -np.inf, np.inf][:count], NAN, 0.5])
    names = (*"ABCDEFG"[:count], "Y", "Z")
    with pytest.raises(SigcError, match=f"weights are infinite: {named}"):
        finite(replace(sight([0.0] * 4), names=names, wanted=wanted))
    finite(sight([NAN, 0.5, -0.5, 0.0]))


def order(asset: str, side: Side, quantity: int, price: float) -> Order:
    return Order(asset, side, D(quantity), D(str(price)))


def test_by_what_orders_are_measured() -> None:
    """A: 0.6 of 1,000 at 100, where 2 are held and 1 is on its way: 300 are missing. B: to nothing, from -4."""
    of = sight([0.0] * 4, before=np.array([120.0, 0.75, NAN, 9.0]), adv=np.array([5000.0, NAN, 0.0, 1.0]))
    made = Decision(
        Basis(D(1000), np.zeros(4), False), np.array([0.6, 0.0, 0.1, 0.0]), frozenset(), frozenset(), (), ()
    )
    orders = [order("A", Side.BUY, 3, 100), order("B", Side.BUY, 4, 0.5), order("C", Side.SELL, 5, 20)]
    found = bounds(of, made, standing("0", {"A": D(2), "B": D(-4), "C": D(10)}), {"A": D(1)}, orders, D("0.5"))
    assert found == {
        "A": Bound(D(300), D(50), D(120), D(5000)),
        "B": Bound(D(2), D("0.25"), D("0.75"), None),
        "C": Bound(D(100), D(10), D(20), D(0)),
    }
    bare = bounds(replace(of, before=None, adv=None), made, standing("0", {}), {}, orders[:1], D(1))
    assert bare == {"A": Bound(D(600), D(100), D(100), None)}


MOST: dict[str, Any] = {"max_order_value": 0.0, "max_order_shares": 0.0, "max_adv_pct": 0.0}


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({}, 90),
        ({"max_order_value": 3000.0}, 25),  # at 120, the dearer of two prices
        ({"max_order_shares": 31.0}, 31),
        ({"max_adv_pct": 0.5}, 20),  # of 5,000 a session
        ({"max_order_value": 3000.0, "max_order_shares": 31.0, "max_adv_pct": 0.5}, 20),
        ({"max_order_value": 1.0}, 90),  # not one lot may be sent: the order is left, and denied
    ],
)
def test_reductions_are_cut_to_the_size_of_an_order(limits: dict[str, float], left: int) -> None:
    of = {"A": Bound(D(9000), D(100), D(120), D(5000)), "B": Bound(D(5), D(1), None, None)}
    orders = (order("A", Side.SELL, 90, 100), order("B", Side.BUY, 4, 50))
    safety = SafetySettings.model_validate(MOST | limits)
    made, said = within_size(orders, of, {"A": D(100), "B": D(0)}, safety, D(1))
    assert made == (replace(orders[0], quantity=D(left)), orders[1])
    assert [(f.check, f.severity, f.assets) for f in said] == (
        [] if left == 90 else [("cut", Severity.WARNING, ("A",))]
    )
    assert within_size(orders, of, {}, safety, D(1)) == (orders, ())  # what adds is never cut


def test_a_limit_without_a_mean_volume_cuts_nothing() -> None:
    of = {"B": Bound(D(5), D(1), None, None)}
    orders = (order("B", Side.SELL, 40, 50),)
    for limits, left in (({"max_adv_pct": 0.5}, 40), ({"max_order_value": 500.0}, 10)):
        made, _ = within_size(orders, of, {"B": D(50)}, SafetySettings.model_validate(MOST | limits), D(1))
        assert made[0].quantity == left


@pytest.mark.parametrize(("limits", "left"), [({"max_order_value": 0.9}, "0.018"), ({"max_order_shares": 0.5}, "0.5")])
def test_limits_may_be_below_one(limits: dict[str, float], left: str) -> None:
    """Of what trades in thousandths, at 50."""
    orders, safety = (order("B", Side.SELL, 40, 50),), SafetySettings.model_validate(MOST | limits)
    made, _ = within_size(orders, {"B": Bound(D(5), D(1), None, None)}, {"B": D(50)}, safety, D("0.001"))
    assert made[0].quantity == D(left)
