"""Orders that would cross zero, in two parts: against a replay, one fill after the other, that knows nothing of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from sigc.config.settings import ExecutionSettings
from sigc.store.ledger.records import Intent, Run, RunKey, Side
from sigc_pipelines.live.reversals import split_reversals
from sigc_pipelines.live.sizing import Order, write_down

D = Decimal
NOW = datetime(2024, 1, 2, 15, tzinfo=UTC)
KEY = RunKey("s", "main", "2024-01-02")
RUN = Run("r", KEY, "2023-12-29", 0, NOW, "ann", cut_off=NOW + timedelta(hours=5))


def parts(
    orders: Sequence[Order], held: Mapping[str, Decimal], lot: str = "1", slices: int = 0
) -> tuple[tuple[Intent, ...], tuple[Intent, ...]]:
    """The intents as they are written down, and in parts."""
    settings = ExecutionSettings(style="twap", slices=slices) if slices else ExecutionSettings()
    whole = write_down(orders, RUN, "ledger", settings, D(lot), NOW)
    return whole, split_reversals(whole, RUN, "ledger", held, D(1))


def order(asset: str, change: Decimal | int | str) -> Order:
    return Order(asset, Side.BUY if D(change) > 0 else Side.SELL, abs(D(change)), D(10))


def test_two_equal_parts_are_two_orders() -> None:
    """Sixty are sold to close, sixty to open: all that tells them apart is the number of the part."""
    (whole,), (close, opening) = parts([order("A", -120)], {"A": D(60)})
    assert (close.quantity, opening.quantity) == (D(60), D(60))
    assert (close.slice, opening.slice) == (1, 2)
    assert close.parent == opening.parent == whole.client_order_id
    assert len({whole.client_order_id, close.client_order_id, opening.client_order_id}) == 3


def test_what_does_not_cross_zero_is_as_it_was() -> None:
    for held in ({}, {"A": D(5)}, {"A": D(-12)}, {"B": D(-3)}):
        whole, same = parts([order("A", 12), order("B", 4 if "B" not in held else 3)], held)
        assert same == whole


def test_a_short_part_is_whole_and_may_be_none() -> None:
    _, made = parts([order("A", "-5.5"), order("B", "-3.2")], {"A": D("2.25"), "B": D(3)}, lot="0.05")
    assert [(i.asset, i.quantity) for i in made] == [("A", D("2.25")), ("A", D(3)), ("B", D(3))]


@given(
    held=st.integers(-300, 300),
    change=st.integers(-400, 400).filter(bool),
    slices=st.sampled_from([0, 1, 3, 7]),
    beside=st.integers(-50, 50).filter(bool),
)
def test_no_part_crosses_zero_and_all_add_up(held: int, change: int, slices: int, beside: int) -> None:
    whole, made = parts([order("A", change), order("B", beside)], {"A": D(held), "B": D(0)}, slices=slices)
    mine = sorted((i for i in made if i.asset == "A"), key=lambda i: i.slice)
    position = D(held)
    for one in mine:
        after = position + one.side.sign * one.quantity
        assert position * after >= 0, "an order turns long into short"
        position = after
    assert position == held + change
    assert len(mine) - len([i for i in whole if i.asset == "A"]) in (0, 1)
    assert [i.place for i in made] == list(range(len(made)))
    assert len({i.client_order_id for i in made}) == len(made)
    due = [i.not_before for i in mine if i.not_before is not None]
    assert due == sorted(due)
    if len(mine) > 1:
        assert {i.parent for i in mine} == {mine[0].parent}
        assert [i.slice for i in mine] == list(range(1, len(mine) + 1))
    assert [i for i in made if i.asset == "B"] == [
        i for i in made if i.asset == "B" and i.client_order_id in {w.client_order_id for w in whole}
    ]
