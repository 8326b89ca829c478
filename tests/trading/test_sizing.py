"""Sizing is exact: what is ordered brings the book to within a lot of what is wanted, and slices add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.config.settings import ExecutionSettings
from sigc.store.ledger.records import ZERO, Run, RunKey, Side
from sigc_pipelines.live.sizing import Order, client_order_id, cut, decimal, limit_of, lot_of, size, write_down

NOW = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
LOTS = st.sampled_from([Decimal(1), Decimal(10), Decimal("0.001")])
PRICES = st.decimals("0.01", 5000, places=2)
WEIGHTS = st.floats(-2, 2, allow_nan=False).map(decimal)


def run(**key: str) -> Run:
    session = key.pop("session", "2024-01-02")
    return Run("r", RunKey("s", "main", session, **key), "2023-12-29", 0, NOW, "ann", cut_off=NOW + timedelta(hours=6))  # type: ignore[arg-type]


@given(
    st.dictionaries(
        st.sampled_from("ABCDEF"), st.tuples(WEIGHTS, PRICES, st.integers(-500, 500), st.integers(-50, 50))
    ),
    LOTS,
    st.decimals(1000, 10**7, places=2),
)
def test_orders_bring_the_book_to_the_target(
    world: dict[str, tuple[Decimal, Decimal, int, int]], lot: Decimal, money: Decimal
) -> None:
    weights = {a: w for a, (w, _, _, _) in world.items()}
    prices = {a: p for a, (_, p, _, _) in world.items()}
    held = {a: h * lot for a, (_, _, h, _) in world.items()}
    flying = {a: f * lot for a, (_, _, _, f) in world.items()}
    orders = size(weights, held, flying, prices, money, lot)
    after = {a: held[a] + flying[a] for a in world}
    for order in orders:
        assert order.quantity > 0
        assert order.quantity % lot == 0
        after[order.asset] += order.side.sign * order.quantity
    for asset, weight in weights.items():
        exact = weight * money / prices[asset]
        assert abs(after[asset]) <= abs(exact) + Decimal("1e-15") * abs(exact)  # towards zero, never beyond
        assert abs(after[asset] - exact) < lot
        assert after[asset] == (exact / lot).to_integral_value(ROUND_DOWN) * lot
    assert [o.side for o in orders] == sorted((o.side for o in orders), key=lambda s: s is Side.BUY)
    assert len({o.asset for o in orders}) == len(orders)


@given(
    st.decimals("0.001", 10_000, places=3),
    st.integers(1, 40),
    st.floats(1, 600),
    st.sampled_from(["", "1", "7"]),
    st.floats(0, 6 * 60, exclude_max=True),
)
def test_slices_add_up_and_are_in_time(quantity: Decimal, slices: int, minutes: float, lot: str, late: float) -> None:
    settings = ExecutionSettings(style="twap", slices=slices, window_minutes=minutes, lot=lot)
    now = NOW + timedelta(minutes=late)
    found = write_down(
        [Order("A", Side.SELL, quantity, Decimal(10)), Order("B", Side.BUY, quantity, Decimal(10))],
        run(),
        "ledger",
        settings,
        Decimal("0.001"),
        now,
    )
    assert [i.place for i in found] == list(range(len(found)))
    for asset in "AB":
        mine = [i for i in found if i.asset == asset]
        assert sum((i.quantity for i in mine), ZERO) == quantity
        assert 1 <= len(mine) <= slices
        assert len({i.client_order_id for i in mine}) == len(mine)
        assert [i.slice for i in mine] == list(range(1, len(mine) + 1))
        step = Decimal(lot) if lot else Decimal("0.001")
        assert all(i.quantity % step == 0 for i in mine[1:])
        times = [i.not_before for i in mine if i.not_before is not None]
        assert times == sorted(times)
        assert times[0] == now
        # The end itself may be reached where the window is shorter than a microsecond.
        assert all(t <= min(now + timedelta(minutes=minutes), NOW + timedelta(hours=6)) for t in times)


def test_a_name_is_of_all_that_makes_the_order() -> None:
    order = Order("A", Side.BUY, Decimal(10), Decimal(5))
    base = client_order_id("ledger", run(), order)
    others = {
        client_order_id("ledger2", run(), order),
        client_order_id("ledger", run(session="2024-01-03"), order),
        client_order_id("ledger", run(slot="10:00"), order),
        client_order_id("ledger", run(), Order("B", Side.BUY, Decimal(10), Decimal(5))),
        client_order_id("ledger", run(), Order("A", Side.SELL, Decimal(10), Decimal(5))),
        client_order_id("ledger", run(), Order("A", Side.BUY, Decimal(11), Decimal(5))),
        client_order_id("ledger", run(), order, 1),
    }
    assert base not in others
    assert len(others) == 7
    assert client_order_id("ledger", run(), Order("A", Side.BUY, Decimal("10.000"), Decimal(9))) == base
    assert len(base) <= 48  # what brokers take


@given(PRICES, st.floats(0, 500), st.sampled_from(Side))
def test_a_limit_lies_beyond_the_price_on_the_grid(price: Decimal, bps: float, side: Side) -> None:
    limit = limit_of(Order("A", side, Decimal(1), price), bps)
    exact = price * (1 + side.sign * decimal(bps) / 10_000)
    tick = Decimal("0.01") if exact >= 1 else Decimal("0.0001")
    assert limit % tick == 0
    assert abs(limit - exact) <= tick / 2


ORDER = Order("A", Side.BUY, Decimal(10), Decimal(50))


@pytest.mark.parametrize(
    ("weight", "held", "expected"),
    [
        ("0.11", "0", 11),
        ("0.10", "0", 10),  # worth the least that is ordered
        ("0.09", "0", 0),
        ("-0.09", "0", 0),
        ("-0.10", "0", -10),
        ("0.10", "19", 0),
        ("0.10", "20", -10),
        ("0.01", "3", 0),  # kept, as some of it is wanted
        ("0", "3", -3),  # however small, what is wanted no more is closed
        ("0", "-3", 3),
        ("0.001", "3", -3),  # less than a lot is nothing
        ("0", "0", 0),
    ],
)
def test_small_orders_are_left_out_unless_they_close(weight: str, held: str, expected: int) -> None:
    """Of 10,000 at a price of 100: a share is a hundredth. Orders are worth 1,000 at least."""
    weights, prices = {"A": Decimal(weight)}, {"A": Decimal(100)}
    found = size(weights, {"A": Decimal(held)}, {}, prices, Decimal(10_000), Decimal(1), Decimal(1_000))
    assert [o.side.sign * o.quantity for o in found] == ([expected] if expected else [])
    assert sum(o.value for o in found) == abs(expected) * 100


def test_what_has_no_price_is_left_alone() -> None:
    prices = {"B": ZERO, "C": Decimal(-5), "D": Decimal("0.5")}
    found = size(dict.fromkeys("ABCD", Decimal("0.1")), {}, {}, prices, Decimal(100), Decimal(1))
    assert [(o.asset, o.quantity) for o in found] == [("D", Decimal(20))]


@pytest.mark.parametrize(("lot", "step", "expected"), [("", "1", "1"), ("10", "1", "10"), ("0.1", "1", "1")])
def test_a_lot_is_no_finer_than_the_broker_allows(lot: str, step: str, expected: str) -> None:
    assert lot_of(ExecutionSettings(lot=lot), Decimal(step)) == Decimal(expected)


@pytest.mark.parametrize(
    ("side", "reference", "bps", "expected"),
    [
        (Side.BUY, "50", 10, "50.05"),
        (Side.SELL, "50", 10, "49.95"),
        (Side.BUY, "1", 0, "1.00"),  # from 1 on in cents
        (Side.BUY, "1.005", 0, "1.00"),  # halves to even
        (Side.BUY, "1.015", 0, "1.02"),
        (Side.SELL, "1", 1, "0.9999"),
        (Side.SELL, "0.99", 10, "0.9890"),
    ],
)
def test_limits_by_hand(side: Side, reference: str, bps: float, expected: str) -> None:
    assert str(limit_of(Order("A", side, Decimal(1), Decimal(reference)), bps)) == expected


@pytest.mark.parametrize(
    ("quantity", "lot", "window", "parts", "minutes"),
    [
        ("10.5", "1", 60.0, ["3.5", "3", "2", "2"], [0, 15, 30, 45]),  # a part of a share goes with the first
        ("8", "1", 480.0, ["2", "2", "2", "2"], [0, 90, 180, 270]),  # the cut-off, six hours on, ends the window
        ("3", "1", 60.0, ["1", "1", "1"], [0, 20, 40]),
        ("0.5", "1", 60.0, ["0.5"], [0]),
        ("10", "2", 60.0, ["4", "2", "2", "2"], [0, 15, 30, 45]),
        ("1", "0.5", 60.0, ["0.5", "0.5"], [0, 30]),
    ],
)
def test_slices_by_hand(quantity: str, lot: str, window: float, parts: list[str], minutes: list[int]) -> None:
    settings = ExecutionSettings(style="twap", slices=4, window_minutes=window, lot=lot)
    whole = replace(ORDER, quantity=Decimal(quantity))
    found = write_down([whole], run(), "ledger", settings, Decimal("0.5"), NOW)
    assert [i.quantity for i in found] == [Decimal(p) for p in parts]
    assert [i.not_before for i in found] == [NOW + timedelta(minutes=m) for m in minutes]
    assert {i.parent for i in found} == {client_order_id("ledger", run(), whole)}
    part = replace(whole, quantity=found[0].quantity)
    assert found[0].client_order_id == client_order_id("ledger", run(), part, 1)


def test_slices_of_a_time_keep_the_order_of_the_whole() -> None:
    settings = ExecutionSettings(style="twap", slices=2, lot="1")
    both = [replace(ORDER, asset="B", side=Side.SELL), ORDER]
    found = write_down(both, replace(run(), cut_off=None), "ledger", settings, Decimal(1), NOW)
    assert [(i.asset, i.slice, i.place) for i in found] == [("B", 1, 0), ("A", 1, 1), ("B", 2, 2), ("A", 2, 3)]


def test_an_order_as_it_is_written_down() -> None:
    sold = Order("B", Side.SELL, Decimal(4), Decimal(20))
    plain, limited = ExecutionSettings(), ExecutionSettings(order_type="limit", limit_offset_bps=100)
    found = write_down([sold, ORDER], run(), "ledger", plain, Decimal(1), NOW)
    assert [(i.place, i.asset, i.side, i.quantity, i.reference) for i in found] == [
        (0, "B", Side.SELL, Decimal(4), Decimal(20)),
        (1, "A", Side.BUY, Decimal(10), Decimal(50)),
    ]
    for one in found:
        assert (one.order_type, one.limit, one.slice, one.parent, one.not_before) == ("market", None, 0, "", None)
        assert one.client_order_id.startswith("sigc-")
    beside = write_down([sold, ORDER], run(), "ledger", limited, Decimal(1), NOW)
    assert [(i.order_type, i.limit) for i in beside] == [("limit", Decimal("19.80")), ("limit", Decimal("50.50"))]
    again = write_down([ORDER], replace(run(), revision=1), "ledger", plain, Decimal(1), NOW)
    assert again[0].client_order_id != found[1].client_order_id


@pytest.mark.parametrize(
    ("change", "held", "most", "lot", "left"),
    [
        ("-70", "100", "25.5", "1", "25"),
        ("-70", "70", "25.5", "1", "25"),  # closes it
        ("-70", "69", "25.5", "1", "70"),  # goes beyond zero: none that only reduces
        ("-70", "0", "25.5", "1", "70"),
        ("-70", "-100", "25.5", "1", "70"),  # adds
        ("70", "100", "25.5", "1", "70"),
        ("70", "-100", "25.5", "10", "20"),
        ("-70", "100", "1.5", "1", "1"),
        ("-70", "100", "5", "10", "70"),  # less than a lot: nothing could ever be closed
        ("-25.5", "100", "25.5", "1", "25.5"),  # an odd lot that may go in one goes whole
        ("-0.4", "-0.5", "0.25", "0.05", "0.4"),
        ("-70", "100", None, "1", "70"),
    ],
)
def test_a_reduction_goes_in_whole_lots_of_what_is_allowed(
    change: str, held: str, most: str | None, lot: str, left: str
) -> None:
    side = Side.BUY if Decimal(change) > 0 else Side.SELL
    order = Order("A", side, abs(Decimal(change)), Decimal(10))
    allowed = None if most is None else Decimal(most)
    assert cut(order, Decimal(held), allowed, Decimal(lot)) == replace(order, quantity=Decimal(left))


def test_short_positions_have_a_lot_of_their_own() -> None:
    """A third of a hundred at ten: 3.3 shares in tenths; short, whole ones."""
    third, price, money = Decimal(1) / 3, Decimal(10), Decimal(100)
    made = size({"A": third, "B": -third}, {}, {}, {"A": price, "B": price}, money, Decimal("0.1"), ZERO, Decimal(1))
    assert {o.asset: o.quantity for o in made} == {"A": Decimal("3.3"), "B": Decimal(3)}
    made = size({"B": -third}, {}, {}, {"B": price}, money, Decimal("0.1"))
    assert [o.quantity for o in made] == [Decimal("3.3")]
