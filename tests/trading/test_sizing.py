"""Sizing is exact: what is ordered brings the book to within a lot of what is wanted, and slices add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from hypothesis import given
from hypothesis import strategies as st

from sigc.config import ExecutionSettings
from sigc.store.records import ZERO, Run, RunKey, Side
from sigc_pipelines.sizing import Order, client_order_id, decimal, limit_of, size, write_down

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
