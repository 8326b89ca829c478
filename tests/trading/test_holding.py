"""What holds the orders of a run under way, and what becomes of slices that nothing sent at their time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sigc.store.ledger import control, orders
from sigc.store.ledger.records import Intent, IntentState, Outcome, RunKind
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.live.apply_fills import cancel
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.trading import Ended, Request, RunWatch, Trading
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, KilledError, Scene, before_cut_off, free, scene, written
from tests.trading.test_waits import Alarm

S = IntentState
HOUR = {"style": "twap", "slices": 4, "window_minutes": 60.0}


def at_the_open(floor: Floor) -> datetime:
    return before_cut_off(floor, D1, 0.0) - timedelta(hours=6, minutes=25)


def twap(folder: Path, **execution: object) -> Floor:
    return written(folder, {"A": 0.1, "B": -0.1}, config=free(execution=HOUR | execution))


def minute(floor: Floor, at: datetime | None) -> float:
    assert at is not None
    return round((at - at_the_open(floor)).total_seconds() / 60, 1)


def of(desk: Scene, asset: str) -> list[Intent]:
    with desk.trading.ledger.reading() as connection:
        return [i for i in orders.recent(connection, 1_000)[::-1] if i.asset == asset]


def sent(desk: Scene, asset: str = "A") -> list[float]:
    """The minutes after the open at which slices were sent."""
    return [minute(desk.floor, i.sent_at) for i in of(desk, asset) if i.sent_at is not None]


def pause(desk: Scene, scope: str = "scripted", reason: str = "lunch") -> None:
    with desk.trading.ledger.transaction("control") as tx:
        control.put(tx, control.PAUSED, scope, "true", "ann", reason)


def paused_after(desk: Scene, which: int, number: int) -> None:
    """Pause while the order of that number is on its way."""
    if number == which:
        desk.clock.sleep(1.0)
        pause(desk)


def resume(desk: Scene, scope: str = "scripted") -> None:
    with desk.trading.ledger.transaction("control") as tx:
        control.drop(tx, control.PAUSED, scope, "ann")


def carried(desk: Scene, *acts: tuple[float, Callable[[], object]], watch: RunWatch | None = None) -> Ended:
    """A run, with things done at their minutes after its beginning."""
    clock = Alarm(desk.clock, *((60.0 * at, act) for at, act in acts))
    told = desk.trading
    trading = Trading(told.ledger, told.broker, clock, told.calendar, told.config)
    request = Request("one", "scripted", "main", RunKind.TRADE, "tester", digests={"strategy": "s"})
    return carry_out(trading, request, desk.floor.feed(), watch)


@pytest.mark.parametrize("scope", ["", "scripted"])
def test_slices_are_held_and_spread_when_it_is_resumed(tmp_path: Path, scope: str) -> None:
    """Due at 0, 15, 30 and 45; paused from 20 to 40: two are left for twenty minutes."""
    floor, told = twap(tmp_path), list[str]()
    watch = RunWatch(waiting=lambda why, _: told.append(why))
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        ended = carried(desk, (20, lambda: pause(desk, scope)), (40, lambda: resume(desk, scope)), watch=watch)
        assert sent(desk, "A") == sent(desk, "B") == [0, 15, 40, 50]
        assert ended.run.outcome is Outcome.DONE
        assert "held: paused by ann: lunch" in told
        moved = [(r["payload"]["asset"], r["payload"]["slice"]) for r in desk.audit("order.rescheduled")]
        assert sorted(moved) == [("A", 3), ("A", 4), ("B", 3), ("B", 4)]
        for one in of(desk, "A"):
            assert one.not_before is not None
            assert one.sent_at is not None
            assert one.not_before <= one.sent_at
        assert [r["payload"]["not_before"] for r in desk.audit("order.rescheduled")] == [
            i.not_before.isoformat() for a in "AB" for i in of(desk, a)[2:] if i.not_before
        ]


def test_a_pause_that_is_short_changes_no_time(tmp_path: Path) -> None:
    floor = twap(tmp_path)
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        carried(desk, (16, lambda: pause(desk)), (29, lambda: resume(desk)))
        assert sent(desk) == [0, 15, 30, 45]
        assert desk.audit("order.rescheduled") == []


def test_held_slices_end_unsent_with_their_window(tmp_path: Path) -> None:
    """Nobody resumes: the run ends when its window does, hours before the cut-off."""
    floor = twap(tmp_path)
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        ended = carried(desk, (20, lambda: pause(desk)))
        assert [i.state for i in of(desk, "A")] == [S.ACKNOWLEDGED, S.ACKNOWLEDGED, S.EXPIRED, S.EXPIRED]
        assert ended.run.outcome is Outcome.PARTIAL
        assert "nothing was sent at its time" in ended.run.message
        assert minute(floor, desk.clock.now()) == 60
        resume(desk)
        assert len(desk.booked()) == 4
    with scene(floor, D1, at=at_the_open(floor) + timedelta(minutes=70)) as later:  # and never are
        assert len(later.booked()) == 4


def test_orders_at_once_are_held_too_and_go_when_it_is_resumed(tmp_path: Path) -> None:
    floor = written(tmp_path, dict.fromkeys("ABCD", 0.1))
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        desk.broker.hook = lambda number, _: paused_after(desk, 2, number)
        ended = carried(desk, (30, lambda: resume(desk)))
        times = [minute(floor, i.sent_at) for i in ended.orders]
        assert times == [0, 0, 30, 30]
        assert ended.run.outcome is Outcome.DONE


def test_what_is_held_at_the_cut_off_ends_unsent_and_says_why(tmp_path: Path) -> None:
    floor = written(tmp_path, dict.fromkeys("ABCD", 0.1))
    with scene(floor, D1, at=before_cut_off(floor, D1, 600.0)) as desk:
        desk.broker.hook = lambda number, _: paused_after(desk, 2, number)
        ended = carried(desk)
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED, S.ACKNOWLEDGED, S.EXPIRED, S.EXPIRED]
        assert ended.orders[3].message.endswith("it was held, paused by ann: lunch")
        assert desk.clock.now() == ended.run.cut_off


def test_another_strategys_pause_holds_nothing(tmp_path: Path) -> None:
    floor = twap(tmp_path)
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        carried(desk, (20, lambda: pause(desk, "other")))
        assert sent(desk) == [0, 15, 30, 45]


def test_a_run_that_was_forced_is_not_held_by_the_pause_it_passed(tmp_path: Path) -> None:
    """A pause that comes later holds it all the same."""
    floor = twap(tmp_path)
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        pause(desk)
        desk.clock.sleep(1.0)
        desk.run("one", is_forced=True, reason="this once")
        assert sent(desk) == [0, 15, 30, 45]
    other = twap(tmp_path / "other")
    with scene(other, D1, at=at_the_open(other)) as desk:
        pause(desk)
        desk.clock.sleep(1.0)
        desk.broker.hook = lambda number, _: pause(desk, "", "again") if number == 4 else None
        desk.run("two", is_forced=True, reason="this once")
        assert sent(desk) == [0, 15]


def test_a_held_run_can_be_cancelled(tmp_path: Path) -> None:
    floor = twap(tmp_path)

    def ends() -> None:
        cancel(desk.trading.ledger, desk.broker, desk.record("one"), "bob", "enough")
        watch.stop.set()

    watch = RunWatch()
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        ended = carried(desk, (20, lambda: pause(desk)), (25, ends), watch=watch)
        assert [i.state for i in of(desk, "A")] == [S.CANCELLED] * 4  # two at the broker, two never sent
        assert minute(floor, desk.clock.now()) < 26
        assert ended.run.outcome is Outcome.PARTIAL


def test_a_cancel_between_the_look_and_the_mark_is_no_mistake(tmp_path: Path) -> None:
    """In another thread, while the order before is on its way."""
    floor = written(tmp_path, dict.fromkeys("ABC", 0.1))

    def hook(number: int, _: OrderRequest) -> None:
        if number == 1:
            cancel(desk.trading.ledger, desk.paper, desk.record("one"), "bob", "enough")

    with scene(floor, D1, hook=hook) as desk:
        ended = desk.run("one")
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED, S.CANCELLED, S.CANCELLED]


def test_a_process_that_was_frozen_does_not_bunch(tmp_path: Path) -> None:
    """Stopped for 35 minutes as it sends A's second slice: that one is late, and all others are spread."""
    floor = twap(tmp_path)
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        desk.broker.hook = lambda number, _: desk.clock.sleep(2100.0) if number == 4 else None
        desk.run("one")
        # Two are left for ten minutes; A's leave at least a quarter of a gap after its second one.
        assert sent(desk, "B") == [0, 15, 50, 55]
        assert sent(desk, "A") == [0, 15, 53.8, 57.5]
        assert {i.state for i in (*of(desk, "A"), *of(desk, "B"))} == {S.ACKNOWLEDGED}


@pytest.mark.parametrize(("place", "down"), [(n, (25, 40, 58)[n % 3]) for n in range(1, 9)] + [(1, 10), (2, 58)])
def test_a_process_that_was_down_does_not_bunch(tmp_path: Path, place: int, down: int) -> None:
    """Whichever send it died in, and however long it was down: no two of an asset together, each at most once."""
    floor = twap(tmp_path)

    def hook(number: int, _: OrderRequest) -> None:
        if number == place:
            raise KilledError

    with scene(floor, D1, at=at_the_open(floor), hook=hook) as desk, pytest.raises(KilledError):
        desk.run("one")
    begins = desk.clock.now() + timedelta(minutes=down)
    with scene(floor, D1, at=begins) as later:
        for asset in "AB":
            # One that was in doubt goes when it is known to be absent, maybe behind the next one.
            times = sorted(i.sent_at for i in of(later, asset) if i.state is S.ACKNOWLEDGED and i.sent_at)
            gaps = [b - a for a, b in pairwise(times)]
            assert all(gap >= timedelta(minutes=3.75) for gap in gaps), (asset, gaps)
            assert {i.state for i in of(later, asset)} <= {S.ACKNOWLEDGED, S.EXPIRED}
        assert all(0 <= at < 60 + 7.5 for at in (*sent(later, "A"), *sent(later, "B")))
        booked = [o.request.client_order_id for o in later.booked()]
        assert len(booked) == len(set(booked))
        unsent = [i for a in "AB" for i in of(later, a) if i.state is S.EXPIRED]
        assert len(booked) + len(unsent) == 8
        assert later.record("one").outcome is (Outcome.PARTIAL if unsent else Outcome.DONE)
        assert not unsent or begins > at_the_open(floor) + timedelta(minutes=45)
    with scene(floor, D2) as last:
        assert len(last.booked()) == len(booked)
