"""Closing out under a halt: exactly the positions, never beyond zero, within the limits of an order, once over deaths."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.errors import SigcError
from sigc.failpoint import arm
from sigc.rpc.messages.kill import KillReply
from sigc.store.ledger import control, orders
from sigc.store.ledger.records import BookKey, Intent, IntentState, Outcome
from sigc_pipelines.brokers.protocol import OrderStatus
from sigc_pipelines.live.recover import recover
from sigc_pipelines.live.roll_forward import keep
from sigc_pipelines.stopping.kill_switch import kill
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, D4, KilledError, Scene, free, scene, written

S = IntentState
KEY = BookKey("scripted", "main")
WEIGHTS = {"A": 0.2, "B": -0.1, "C": 0.1}  # of a million, at 100: 2,000, -1,000 and 1,000 shares
HELD = {"A": Decimal(2000), "B": Decimal(-1000), "C": Decimal(1000)}


def traded(folder: Path, **sections: Any) -> Floor:
    """A floor whose book holds `HELD` as of D2."""
    floor = written(folder, WEIGHTS, config=free(**sections))
    with scene(floor, D1) as desk:
        desk.run("one")
    with scene(floor, D2) as desk:
        assert desk.run("two").run.outcome is Outcome.UNCHANGED
        assert desk.held() == HELD
    return floor


def flatten(desk: Scene, strategy: str = "") -> KillReply:
    return kill(desk.trading, strategy, "ann", "enough", is_flatten=True, is_alone=True)


def moved_on(desk: Scene) -> dict[str, Decimal]:
    """The book after the last session: fills are taken in."""
    keep(desk.trading, desk.floor.feed(), KEY)
    return desk.held()


def closing(desk: Scene) -> dict[str, Decimal]:
    """The signed quantity of all closing orders in the broker's book, by asset."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    ours = {i.client_order_id for i in all_intents(desk) if i.key.slot == "flatten"}
    for order in desk.booked():
        if order.request.client_order_id in ours:
            wanted = order.request.quantity if order.status is not OrderStatus.CANCELLED else order.filled
            found[order.request.asset] += order.request.side.sign * wanted
    return dict(found)


def all_intents(desk: Scene) -> tuple[Intent, ...]:
    with desk.trading.ledger.reading() as connection:
        return orders.recent(connection, 100_000)


def test_longs_and_shorts_are_closed_at_the_next_price_and_nothing_else_is_sent(tmp_path: Path) -> None:
    floor = traded(tmp_path)
    with scene(floor, D2) as desk:
        reply = flatten(desk)
        assert [(o.side, o.asset, o.quantity, o.state) for o in reply.closing] == [
            ("sell", "A", "2000", "acknowledged"),
            ("sell", "C", "1000", "acknowledged"),
            ("buy", "B", "1000", "acknowledged"),
        ]
        assert reply.is_done
        assert (reply.session.session, reply.session.is_open) == (D3, False) if reply.session else False
        assert control_of(desk) == "by hand"
        with pytest.raises(SigcError, match="is halted since"):
            desk.run("more")
        with pytest.raises(SigcError, match="is halted since"):
            desk.run("more", slot="flatten")  # the name of its slot is no way past a halt
    with scene(floor, D3) as desk:
        assert moved_on(desk) == {}
        assert desk.paper.positions() == {}
        again = flatten(desk)
        assert (again.closing, again.cancelled, again.is_done) == ((), (), True)
        (decided,) = [r for r in desk.audit("run.decided") if r["payload"].get("closes")]
        assert (decided["who"], decided["payload"]["reason"]) == ("ann", "enough")


def control_of(desk: Scene) -> str:
    with desk.trading.ledger.reading() as connection:
        (held,) = control.every(connection, control.HALTED)
    return held.value


def test_open_orders_are_cancelled_first_and_do_not_count_twice(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": [0.2, 0.2, 0.1], "C": [0.1, 0.1, 0.3]})
    for day in (D1, D2):
        with scene(floor, day) as desk:
            desk.run(day)
    with scene(floor, D3) as desk:
        desk.run("third")  # half of A is for sale, more of C is wanted
        reply = flatten(desk)
        assert {(o.asset, o.state) for o in reply.cancelled} == {("A", "cancelled"), ("C", "cancelled")}
        assert closing(desk) == {"A": Decimal(-2000), "C": Decimal(-1000)}
    with scene(floor, D4) as desk:
        assert moved_on(desk) == {}


def test_slices_keep_within_the_limits_of_an_order(tmp_path: Path) -> None:
    floor = traded(tmp_path)
    tight = free(safety={"max_order_value": 70_050.0, "max_order_shares": 900.0, "max_orders_per_run": 1})
    with scene(replace(floor, config=tight), D2) as desk:
        reply = flatten(desk)
        parts = defaultdict(list)
        for order in reply.closing:
            assert order.state == "acknowledged", order.message
            parts[order.asset].append(int(order.quantity))
        assert parts == {"A": [700, 700, 600], "B": [700, 300], "C": [700, 300]}
        assert closing(desk) == {a: -q for a, q in HELD.items()}
        assert len({i.parent for i in all_intents(desk) if i.key.slot == "flatten"}) == 3


def test_what_is_beyond_a_session_s_volume_is_kept_and_closed_in_the_next_one(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.2}, volumes={"A": 12_000.0}, config=free(paper={"max_volume_pct": 1.0}))
    for day in (D1, D2):
        with scene(floor, day) as desk:
            desk.run(day)
    bound = free(paper={"max_volume_pct": 1.0}, safety={"max_adv_pct": 0.1})
    tight = replace(floor, config=bound)
    with scene(tight, D2) as desk:
        reply = flatten(desk)
        assert closing(desk) == {"A": Decimal(-1200)}
        (kept,) = reply.kept
        assert (kept.asset, kept.quantity) == ("A", "800")
        assert "max_adv_pct" in kept.why
        assert not reply.is_done
    with scene(tight, D3) as desk:
        assert moved_on(desk) == {"A": Decimal(800)}
        assert flatten(desk).is_done
    with scene(tight, D4) as desk:
        assert moved_on(desk) == {}


def test_never_more_than_the_broker_holds(tmp_path: Path) -> None:
    """The broker's book is another than ours: 500 of A are not there, and B is not short at all."""
    floor = traded(tmp_path)
    with scene(floor, D2) as desk:
        theirs = {"A": Decimal(1500), "B": Decimal(7), "C": Decimal(1000)}
        desk.broker.positions = lambda: dict(theirs)  # type: ignore[method-assign]
        reply = flatten(desk)
        assert closing(desk) == {"A": Decimal(-1500), "C": Decimal(-1000)}
        assert {(k.asset, k.quantity) for k in reply.kept} == {("A", "500"), ("B", "-1000")}
        assert all("the broker holds" in k.why for k in reply.kept)


def test_what_is_restricted_is_denied_and_told(tmp_path: Path) -> None:
    floor = traded(tmp_path)
    closed = free(safety={"restricted": ["C"]})
    with scene(replace(floor, config=closed), D2) as desk:
        reply = flatten(desk)
        states = {o.asset: (o.state, o.message) for o in reply.closing}
        assert states["C"] == ("denied", "C is restricted (safety.restricted)")
        assert (states["A"][0], states["B"][0], reply.is_done) == ("acknowledged", "acknowledged", False)


def test_another_halt_ends_closing_orders_that_wait(tmp_path: Path) -> None:
    floor = traded(tmp_path)

    def once_more(number: int, _: object) -> None:
        if number == 1:
            kill(desk.trading, "", "bob", "stop that too")

    with scene(floor, D2) as desk:
        desk.broker.hook = once_more
        reply = flatten(desk)
        assert [o.state for o in reply.closing][1:] == ["denied", "denied"]


def points(tmp_path: Path) -> list[str]:
    """Every fail point that a flattening passes, in order."""
    passed: list[str] = []
    floor = traded(tmp_path)
    with scene(floor, D2) as desk:
        arm(passed.append)
        try:
            flatten(desk)
        finally:
            arm(None)
    return passed


@pytest.mark.parametrize("how", ["recovered", "again"])
def test_a_death_at_any_point_closes_each_position_exactly_once(tmp_path: Path, how: str) -> None:
    """The process dies at each point that it passes; then recovery ends it, or a person asks once more."""
    all_ = points(tmp_path / "calm")
    assert {"intents:committed", "post:before", "post:after"} <= set(all_)
    before = traded(tmp_path / "before")
    for at in range(len(all_)):
        folder = tmp_path / str(at)
        shutil.copytree(before.work_dir, folder)
        floor = replace(before, work_dir=folder)
        left = at

        def dies(name: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                arm(None)
                raise KilledError(name)

        with scene(floor, D2, is_recovering=False) as desk:
            arm(dies)
            try:
                with pytest.raises(KilledError):
                    flatten(desk)
            finally:
                arm(None)
        with scene(floor, D2, is_recovering=False) as desk:
            recover(desk.trading)
            began = bool(closing(desk))
            if how == "again" or not began:
                flatten(desk)
            assert closing(desk) == {a: -q for a, q in HELD.items()}, all_[at]
            flying = [i.state for i in all_intents(desk) if i.state in (S.PLANNED, S.SENDING, S.UNKNOWN)]
            assert flying == []
        with scene(floor, D3) as desk:
            assert (moved_on(desk), desk.paper.positions()) == ({}, {}), all_[at]


def test_a_pause_does_not_hold_what_closes_positions(tmp_path: Path) -> None:
    """Paused first, flattened then: one can always get out."""
    floor = traded(tmp_path)
    with scene(floor, D2) as desk:
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, control.PAUSED, "", "by hand", "ann", "lunch")
        assert {(o.asset, o.state) for o in flatten(desk).closing} == {(a, "acknowledged") for a in HELD}
