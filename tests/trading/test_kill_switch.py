"""The kill switch cancels what is open whatever an earlier process left, and says what it could not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.failpoint import arm
from sigc.rpc.messages.kill import KilledOrder
from sigc.store.ledger.records import IntentState, Outcome
from sigc_cli.text.kill_text import kill_text
from sigc_pipelines.brokers.faulty import Faults
from sigc_pipelines.brokers.protocol import OrderStatus, UnreachableError
from sigc_pipelines.stopping.kill_switch import kill
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, KilledError, Scene, before_cut_off, scene, written

S = IntentState


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, dict.fromkeys("ABC", 0.1))


def died(floor: Floor, point: str, number: int) -> None:
    """A process that dies as it passes a point for that time."""
    passed: list[str] = []

    def dies(name: str) -> None:
        passed.append(name)
        if name == point and passed.count(point) == number:
            raise KilledError

    with scene(floor, D1) as desk:
        arm(dies)
        try:
            with pytest.raises(KilledError):
                desk.run("one")
        finally:
            arm(None)


def assets(found: tuple[KilledOrder, ...]) -> list[str]:
    return sorted(one.asset for one in found)


def statuses(desk: Scene) -> dict[str, OrderStatus]:
    return {o.request.asset: o.status for o in desk.booked()}


@pytest.mark.parametrize(("point", "booked"), [("post:after", "AB"), ("post:before", "A")])
def test_an_order_without_a_known_outcome_is_looked_up_and_cancelled(floor: Floor, point: str, booked: str) -> None:
    died(floor, point, 2)
    with scene(floor, D1, is_recovering=False) as desk:
        assert desk.states()["B"] is S.SENDING
        reply = kill(desk.trading, "", "ann", "enough", is_alone=True)
        assert reply.is_done
        assert statuses(desk) == dict.fromkeys(booked, OrderStatus.CANCELLED)
        assert set(booked) <= set(assets(reply.cancelled))
        states = desk.states()
        assert (states["B"], states["C"]) == (S.CANCELLED, S.DENIED)
        assert desk.record("one").outcome is not Outcome.OPEN
        assert desk.broker.submits == 0  # nothing was sent


def test_a_cancel_that_does_not_come_through_is_asked_for_again(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        whole, asked = desk.broker.cancel, []

        def deaf(id: str) -> None:
            asked.append(id)
            if asked.count(id) < 3:
                raise UnreachableError("no answer")
            whole(id)

        desk.broker.cancel = deaf  # type: ignore[assignment,method-assign]
        reply = kill(desk.trading, "", "ann", "enough")
        assert (assets(reply.cancelled), reply.left, reply.is_done) == (["A", "B", "C"], (), True)
        assert set(statuses(desk).values()) == {OrderStatus.CANCELLED}


def test_what_the_broker_never_answers_is_left_and_told(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        begun = desk.clock.now()

        def deaf(_: str) -> None:
            raise UnreachableError("no answer")

        desk.broker.cancel = deaf  # type: ignore[assignment,method-assign]
        reply = kill(desk.trading, "", "ann", "enough")
        assert (assets(reply.left), reply.cancelled, reply.is_done) == (["A", "B", "C"], (), False)
        assert "3 orders LEFT" in kill_text(reply, "UTC")
        assert desk.clock.now() - begun < timedelta(minutes=2)


def test_what_is_filled_before_the_cancel_comes_is_told(floor: Floor) -> None:
    with scene(floor, D1, rates=Faults()) as desk:
        desk.run("one")
        whole = desk.broker.cancel

        def late(id: str) -> None:
            desk.clock.sleep(1.0)
            desk.paper.mark(D2, desk.clock.now(), {"A": Decimal(100)}, {"A": Decimal(10**6)})
            whole(id)

        desk.broker.cancel = late  # type: ignore[assignment,method-assign]
        reply = kill(desk.trading, "", "ann", "enough")
        (filled,) = reply.filled
        assert (filled.asset, filled.state, filled.new_fill) == ("A", "filled", "1000")
        assert assets(reply.cancelled) == ["B", "C"]
        assert "1 order filled before the cancel came" in kill_text(reply, "UTC")
        assert desk.held() == {"A": Decimal(1000)}


def test_positions_stay_unless_a_person_asks_to_close_them(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
    with scene(floor, D2) as desk:
        desk.run("two")
        reply = kill(desk.trading, "", "ann", "enough")
        assert (reply.closing, reply.session) == ((), None)
        assert desk.broker.submits == 0
        assert desk.held() == dict.fromkeys("ABC", Decimal(1_000))


def test_a_run_that_is_under_way_beside_is_left_to_itself(floor: Floor) -> None:
    """It ends by the halt; only a process that is alone resolves what was left."""
    died(floor, "post:after", 2)
    with scene(floor, D1, is_recovering=False) as desk:
        reply = kill(desk.trading, "", "ann", "enough")
        assert desk.record("one").outcome is Outcome.OPEN
        assert (assets(reply.left), desk.states()["B"]) == (["B"], S.SENDING)


def two_books(folder: Path, mine: float, other: float) -> Floor:
    """Two strategies that hold A, ten thousand shares for each hundred per cent; the floor of the first."""
    floors = [written(folder, {"A": weight}, name=name) for name, weight in (("one", mine), ("two", other))]
    for day in (D1, D2):
        with scene(floors[0], day) as desk:
            for floor in floors:
                floor.run(desk.trading, f"{floor.strategy.name} {day}")
    return floors[0]


@pytest.mark.parametrize(("sign", "side"), [(1, "sell"), (-1, "buy")])
def test_what_one_book_closes_another_does_not_close_again(tmp_path: Path, sign: int, side: str) -> None:
    """A thousand each in the ledger, 1,500 at the broker: the second book can close 500, and 500 are kept."""
    floor = two_books(tmp_path, 0.1 * sign, 0.1 * sign)
    with scene(floor, D2) as desk:
        desk.broker.positions = lambda: {"A": Decimal(1500 * sign)}  # type: ignore[method-assign]
        reply = kill(desk.trading, "", "ann", "enough", is_flatten=True)
        assert [(o.strategy, o.side, o.quantity) for o in reply.closing] == [
            ("one", side, "1000"),
            ("two", side, "500"),
        ]
        assert [(k.strategy, k.asset, k.quantity) for k in reply.kept] == [("two", "A", str(500 * sign))]


def test_fills_of_closing_orders_are_not_waited_for(floor: Floor) -> None:
    """Within the session, at a broker that trades: a run would wait for them as long as it is told to."""
    with scene(floor, D1) as desk:
        desk.run("one")
    within = before_cut_off(floor, D2, 3_600.0)
    with scene(floor, D2) as desk:
        desk.run("two")
    with scene(floor, D2, at=within, can={"simulated": False}) as desk:
        assert [o.state for o in kill(desk.trading, "", "ann", "enough", is_flatten=True).closing] == [
            "acknowledged"
        ] * 3
        assert desk.clock.now() == within
