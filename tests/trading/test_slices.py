"""How orders are worked: twap slices and when they are due, limits, time in force, partial fills over days."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from sigc.store.ledger import orders
from sigc.store.ledger.records import Intent, IntentState, OrderType, Outcome, TimeInForce
from sigc_pipelines.brokers.faulty import Fault
from sigc_pipelines.brokers.protocol import OrderRequest
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, D4, KilledError, Scene, before_cut_off, free, scene, written

S = IntentState
TWAP = {"style": "twap", "slices": 4, "window_minutes": 60.0}


def twap(folder: Path, weight: float = 0.1, **execution: object) -> Floor:
    return written(folder, {"A": weight, "B": -weight}, config=free(execution=TWAP | execution))


def slices(desk: Scene, asset: str) -> list[Intent]:
    with desk.trading.ledger.reading() as connection:
        return [i for i in orders.recent(connection, 1_000)[::-1] if i.asset == asset]


def test_slices_are_equal_and_due_over_the_window(tmp_path: Path) -> None:
    floor = twap(tmp_path, 0.10021)  # 1002 shares
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        opens = floor.calendar.after(floor.calendar.before_or_on(ended.run.started.date()).day).open
        of_a = slices(desk, "A")
        assert [i.quantity for i in of_a] == [251, 251, 250, 250]
        assert [i.not_before for i in of_a] == [opens + timedelta(minutes=15 * n) for n in range(4)]
        assert len({i.parent for i in of_a}) == 1
        assert len({i.client_order_id for i in ended.orders}) == 8
        for one in ended.orders:
            assert one.not_before is not None
            assert one.sent_at is not None
            assert timedelta(0) <= one.sent_at - one.not_before < timedelta(seconds=1)
        # By the time they are due; of a time, sales first.
        assert [i.asset for i in ended.orders] == ["B", "A"] * 4
        assert {i.state for i in ended.orders} == {S.ACKNOWLEDGED}
    with scene(floor, D2) as later:
        later.run("two")
        assert later.held() == {"A": Decimal(1002), "B": Decimal(-1002)}


def test_the_window_ends_at_the_cut_off(tmp_path: Path) -> None:
    floor = twap(tmp_path)
    with scene(floor, D1, at=before_cut_off(floor, D1, 20 * 60.0)) as desk:
        ended = desk.run("one")
        assert ended.run.cut_off is not None
        due = [i.not_before for i in slices(desk, "A")]
        assert [ended.run.cut_off - at for at in due if at is not None] == [
            timedelta(minutes=m) for m in (20, 15, 10, 5)
        ]
        assert {i.state for i in ended.orders} == {S.ACKNOWLEDGED}


def test_a_cut_off_before_the_open_is_sliced_until_then(tmp_path: Path) -> None:
    """Orders for the open: the window lies before it, and all of it is sent."""
    floor = twap(tmp_path, cut_off="open-30m")
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        assert {i.state for i in ended.orders} == {S.ACKNOWLEDGED}
        assert ended.run.cut_off is not None
        assert all(i.sent_at is not None and i.sent_at < ended.run.cut_off for i in ended.orders)


def test_no_slice_goes_after_the_cut_off(tmp_path: Path) -> None:
    """The second slice is kept off by the broker for so long that the cut-off passes."""
    floor = twap(tmp_path)
    with scene(floor, D1, at=before_cut_off(floor, D1, 20 * 60.0)) as desk:
        desk.broker.hook = lambda number, _: desk.clock.sleep(17 * 60.0) if number == 3 else None
        ended = desk.run("one")
        assert ended.run.cut_off is not None
        sent = [i for i in ended.orders if i.state is S.ACKNOWLEDGED]
        assert all(i.sent_at is not None and i.sent_at < ended.run.cut_off for i in sent)
        assert [i.state for i in slices(desk, "B")] == [S.ACKNOWLEDGED, S.ACKNOWLEDGED, S.EXPIRED, S.EXPIRED]
        assert [i.state for i in slices(desk, "A")] == [S.ACKNOWLEDGED, S.EXPIRED, S.EXPIRED, S.EXPIRED]
        assert ended.run.outcome is Outcome.PARTIAL


def test_fewer_lots_than_slices(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.0003, "B": 0.0001}, config=free(execution=TWAP))
    with scene(floor, D1) as desk:
        desk.run("one")
        assert [i.quantity for i in slices(desk, "A")] == [1, 1, 1]
        assert [i.quantity for i in slices(desk, "B")] == [1]


@pytest.mark.parametrize("place", [1, 3, 4, 8])
def test_recovery_in_the_middle_continues_with_the_rest(tmp_path: Path, place: int) -> None:
    """Each slice once, none before it is due, whichever send the process died in."""
    floor = twap(tmp_path)

    def hook(number: int, request: OrderRequest) -> None:
        if number == place:
            died.append(request)
            raise KilledError

    died: list[OrderRequest] = []
    with scene(floor, D1, hook=hook) as desk, pytest.raises(KilledError):
        desk.run("one")
    with scene(floor, D1, at=desk.clock.now() + timedelta(seconds=30)) as later:
        assert [i.quantity for i in slices(later, "A")] == [250] * 4
        assert set(later.states().values()) == {S.ACKNOWLEDGED}
        assert len(later.booked()) == 8
        for one in (*slices(later, "A"), *slices(later, "B")):
            assert one.not_before is not None
            assert one.sent_at is not None
            assert one.sent_at >= one.not_before
        # Those that were not due yet when it died kept to their times.
        gaps = [b.sent_at - a.sent_at for a, b in pairwise(slices(later, "A")) if a.sent_at and b.sent_at]
        assert sum(gap >= timedelta(minutes=14) for gap in gaps) >= 2
        assert later.record("one").outcome is Outcome.DONE
        assert len(died) == 1


def test_a_slice_in_doubt_does_not_hold_up_the_others(tmp_path: Path) -> None:
    floor = twap(tmp_path)
    with scene(floor, D1) as desk:
        desk.broker.fail_next(Fault.LOST)
        ended = desk.run("one")
        assert {i.state for i in ended.orders} == {S.ACKNOWLEDGED}
        assert ended.orders[0].attempts == 2
        assert all(i.sent_at and i.not_before and i.sent_at - i.not_before < timedelta(minutes=1) for i in ended.orders)


def test_day_orders_expire_and_the_next_run_orders_the_rest(tmp_path: Path) -> None:
    """A tenth of 4,000 shares a day may be ours: a thousand take three days."""
    floor = written(tmp_path, {"A": 0.1}, volumes={"A": 4_000.0}, config=free({"max_volume_pct": 0.1}))
    for day, held, ordered in ((D1, 0, 1000), (D2, 400, 600), (D3, 800, 200)):
        with scene(floor, day) as desk:
            assert [i.quantity for i in desk.run(day).orders] == [Decimal(ordered)]
            assert desk.held() == ({"A": Decimal(held)} if held else {})
    with scene(floor, D4) as desk:
        desk.run("last")
        assert desk.held() == {"A": Decimal(1000)}
        with desk.trading.ledger.reading() as connection:
            found = orders.recent(connection, 100)[::-1]
        assert [(i.quantity, i.filled, i.state) for i in found] == [
            (Decimal(1000), Decimal(400), S.EXPIRED),
            (Decimal(600), Decimal(400), S.EXPIRED),
            (Decimal(200), Decimal(200), S.FILLED),
        ]
        assert len(desk.audit("fill")) == 3


def test_limits_are_kept(tmp_path: Path) -> None:
    """A purchase at 100 plus 100 bps is filled while the close is not above 101, a sale while it is not below 99."""
    floor = written(
        tmp_path,
        {"A": 0.1, "B": 0.1, "C": -0.1, "D": -0.1},
        prices={"A": [100, 101], "B": [100, 101.5], "C": [100, 99], "D": [100, 98.5]},
        config=free(execution={"order_type": "limit", "limit_offset_bps": 100.0}),
    )
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        assert {i.asset: i.limit for i in ended.orders} == {
            "A": Decimal("101.00"),
            "B": Decimal("101.00"),
            "C": Decimal("99.00"),
            "D": Decimal("99.00"),
        }
        assert {i.order_type for i in ended.orders} == {OrderType.LIMIT}
    with scene(floor, D2) as later:
        later.run("two")
        assert later.held() == {"A": Decimal(1000), "C": Decimal(-1000)}
        assert later.states("one") == {"A": S.FILLED, "B": S.EXPIRED, "C": S.FILLED, "D": S.EXPIRED}


def test_at_once_or_not_at_all(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1}, config=free(execution={"time_in_force": "ioc"}))
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        assert {i.time_in_force for i in ended.orders} == {TimeInForce.IOC}
        assert [o.request.time_in_force for o in desk.booked()] == [TimeInForce.IOC]
    with scene(floor, D2) as later:
        later.run("two")
        assert later.states("one") == {"A": S.FILLED}


def test_lots_and_least_values(tmp_path: Path) -> None:
    """Lots of 10 at 100 and 37.5; an order below 2,000 is not sent, unless it closes the position."""
    floor = written(
        tmp_path,
        {"A": [0.1009, 0.1027, 0.0], "B": [0.00195, 0.00195, 0.00195]},
        config=free(execution={"lot": "10", "min_order_value": 2_000.0}),
        prices={"A": 37.5, "B": 100.0},
    )
    with scene(floor, D1) as desk:
        assert {a: i.quantity for a, i in desk.intents(desk.run("one").run.id).items()} == {"A": Decimal(2690)}
    with scene(floor, D2) as desk:
        assert desk.run("two").orders == ()  # 40 more of A would be 1,500
    with scene(floor, D3) as desk:
        assert {a: i.quantity for a, i in desk.intents(desk.run("three").run.id).items()} == {"A": Decimal(2690)}
    with scene(floor, D4) as desk:
        assert desk.run("four").orders == ()
        assert desk.held() == {}


def test_fractional_steps(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.0333}, prices={"A": 70.0}, config=free({"quantity_step": "0.001"}))
    with scene(floor, D1) as desk:
        assert [i.quantity for i in desk.run("one").orders] == [Decimal("475.714")]
    with scene(floor, D2) as desk:
        desk.run("two")
        assert desk.held() == {"A": Decimal("475.714")}


@pytest.mark.parametrize(("sizing", "more"), [("capital", 555), ("nav", 277)])
def test_sizing_by_capital_or_by_worth(tmp_path: Path, sizing: str, more: int) -> None:
    """5,000 shares are held at 90. Half of the capital are 5,555 of them; half of the worth, 950,000, are 5,277."""
    floor = written(tmp_path, {"A": 0.5}, prices={"A": [100, 100, 90]}, config=free(execution={"sizing": sizing}))
    with scene(floor, D1) as desk:
        assert [i.quantity for i in desk.run("one").orders] == [Decimal(5000)]
    with scene(floor, D2) as desk:
        assert desk.run("two").orders == ()
    with scene(floor, D3) as desk:
        assert [i.quantity for i in desk.run("three").orders] == [Decimal(more)]
