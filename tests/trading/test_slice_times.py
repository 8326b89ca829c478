"""Times of slices that are in the ledger, on an hour of four: who is late, what is spread, what ends, and who is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.config.settings import ExecutionSettings
from sigc.errors import Severity
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Intent, IntentState, Run, RunKey, Side
from sigc_pipelines.live.send_orders import Desk
from sigc_pipelines.live.slice_times import SliceTimes, Window, window_of, window_record

OPEN = datetime(2024, 1, 2, 15, tzinfo=UTC)
KEY = RunKey("s", "main", "2024-01-02")
RUN = Run("r", KEY, "2023-12-29", 0, OPEN, "ann")
S = IntentState


def at(minutes: float) -> datetime:
    return OPEN + timedelta(minutes=minutes)


HOUR = Window(OPEN, at(60))


class World:
    """A ledger with a run, and no broker: none is asked for the time."""

    def __init__(self, ledger: Ledger, clock: HandClock) -> None:
        self.ledger, self.clock = ledger, clock
        self.desk = Desk(ledger, None, clock, ExecutionSettings(window_minutes=60.0))  # type: ignore[arg-type]

    def planned(self, *intents: Intent, window: Window | None = HOUR, run: Run = RUN) -> None:
        """Have a run of these; window: as it was decided, None by an older sigc."""
        with self.ledger.transaction("plan") as tx:
            runs.open_run(tx, run, {})
            orders.plan(tx, [replace(one, place=place) for place, one in enumerate(intents)])
            tx.audit(runs.event("run.decided", run, {} if window is None else window_record(window)))

    def all(self) -> dict[str, Intent]:
        with self.ledger.reading() as connection:
            return {i.client_order_id: i for i in orders.of_run(connection, "r")}

    def sent(self, id: str, minutes: float) -> None:
        with self.ledger.transaction("send") as tx:
            orders.sending(tx, self.all()[id], at(minutes))

    def due(self) -> dict[str, float]:
        """Minutes after the open at which those that wait are due."""
        waiting = {id: i.not_before for id, i in self.all().items() if i.state is S.PLANNED}
        return {id: (due - OPEN) / timedelta(minutes=1) for id, due in waiting.items() if due is not None}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = HandClock(OPEN)
    with Ledger.open(tmp_path, clock, durable=False) as ledger:
        with ledger.transaction("plan") as tx:
            books.open_book(tx, BookKey("s", "main"), Decimal(1_000), OPEN)
        yield World(ledger, clock)


def slice_of(parent: str, number: int, minutes: float, asset: str = "A") -> Intent:
    id = f"{parent}{number}"
    order = Intent(id, "r", KEY, 0, asset, Side.BUY, Decimal(1), Decimal(10), not_before=at(minutes))
    return replace(order, parent=parent, slice=number)


FOUR = tuple(slice_of("p", n, 15.0 * n) for n in range(4))
WHOLE = Intent("whole", "r", KEY, 0, "B", Side.BUY, Decimal(1), Decimal(10), not_before=OPEN)


def test_a_run_has_the_window_that_it_decided(world: World) -> None:
    world.planned(WHOLE, *FOUR, window=Window(at(-5), at(70)))
    assert window_of(world.desk, RUN) == Window(at(-5), at(70))


@pytest.mark.parametrize(("cut_off", "ends"), [(None, 65), (80, 65), (50, 50)])
def test_of_an_older_sigc_it_is_the_windows_length_from_the_first_slice_to_the_cut_off(
    world: World, cut_off: float | None, ends: float
) -> None:
    run = replace(RUN, cut_off=None if cut_off is None else at(cut_off))
    world.planned(WHOLE, *(replace(one, not_before=at(5 + 15 * n)) for n, one in enumerate(FOUR)), window=None, run=run)
    assert window_of(world.desk, run) == Window(at(5), at(ends))


def test_orders_without_slices_have_no_window_and_are_never_late(world: World) -> None:
    world.planned(WHOLE)
    times = SliceTimes(world.desk, RUN)
    assert times.window is None
    world.clock.turn(at(59))
    assert times.replan([*world.all().values()]) == ()
    assert not times.is_late(WHOLE)
    assert times.earliest(WHOLE) is None


def test_what_missed_its_time_is_spread_over_the_rest_of_the_hour(world: World) -> None:
    """The first left in time; nothing went for 40 minutes; three go into the last twenty, as far apart as can be."""
    world.planned(WHOLE, *FOUR[::-1], slice_of("q", 0, 45, "C"), slice_of("q", 1, 52, "C"))
    times = SliceTimes(world.desk, RUN)
    assert times.replan([*world.all().values()]) == ()
    world.sent("p0", 0)
    world.clock.turn(at(40))
    (found,) = times.replan([*world.all().values()])
    assert (found.check, found.severity, found.assets) == ("slices", Severity.INFO, ("A",))
    assert found.message == "nothing was sent at the time of some slices: 3 are spread until 2024-01-02 16:00:00 UTC"
    assert world.due() == pytest.approx(
        {"whole": 0, "p1": 40, "p2": 46.667, "p3": 53.333, "q0": 45, "q1": 52}, abs=0.01
    )
    assert times.replan([*world.all().values()]) == ()  # as it is


def test_two_slices_are_a_quarter_of_the_gap_apart_also_from_one_that_may_have_left(world: World) -> None:
    world.planned(*FOUR)
    times = SliceTimes(world.desk, RUN)
    times.replan([*world.all().values()])
    one, two, three, _ = world.all().values()
    assert times.earliest(one) is None
    world.clock.turn(at(2))
    times.left(one)
    assert times.earliest(one) is None  # itself sent again
    assert times.earliest(two) == at(2 + 15 / 4)
    times.came_back(one)
    times.came_back(three)  # never left
    assert times.earliest(two) is None
    world.sent("p0", 3)
    times.replan([*world.all().values()])
    assert times.earliest(two) == at(3 + 15 / 4)
    world.clock.turn(at(16))
    times.left(two)
    assert times.earliest(three) == at(16 + 15 / 4)  # the last of them counts
    times.came_back(two)
    with world.ledger.transaction("resolve") as tx:  # it did not reach the broker
        orders.moved(tx, world.all()["p0"], S.PLANNED)
    times.replan([*world.all().values()])
    assert times.earliest(two) is None


@pytest.mark.parametrize(("minutes", "is_late"), [(0, False), (7.5, False), (7.6, True)])
def test_a_slice_is_late_by_more_than_half_its_gap(world: World, minutes: float, is_late: bool) -> None:
    world.planned(*FOUR)
    times = SliceTimes(world.desk, RUN)
    assert not times.is_late(FOUR[0])  # nothing is known yet
    times.replan([*world.all().values()])
    world.clock.turn(at(minutes))
    assert times.is_late(FOUR[0]) is is_late
    assert not times.is_late(replace(FOUR[0], not_before=None))
    assert not times.is_late(replace(FOUR[0], parent="another"))


def test_what_the_window_has_no_room_for_ends_and_its_owner_is_told(world: World) -> None:
    """A minute is left: one fits, and three, of one asset, end unsent."""
    world.planned(*FOUR)
    times = SliceTimes(world.desk, RUN)
    world.clock.turn(at(59))
    spread, ended = times.replan([*world.all().values()])
    assert (spread.severity, ended.severity) == (Severity.INFO, Severity.WARNING)
    assert ended.message.startswith("3 slices ended unsent")
    assert world.due() == {"p0": 59}
    over = [i for i in world.all().values() if i.state is S.EXPIRED]
    assert len(over) == 3
    assert {i.message for i in over} == {
        "its window (to 2024-01-02 16:00:00 UTC) had no room left for it: nothing was sent at its time"
    }


@pytest.mark.parametrize(("minutes", "ends"), [(59.9, False), (60, True), (61, True)])
def test_what_is_held_is_not_spread_and_ends_with_its_window(world: World, minutes: float, ends: bool) -> None:
    world.planned(*FOUR)
    times = SliceTimes(world.desk, RUN)
    world.clock.turn(at(minutes))
    found = times.replan([*world.all().values()], is_held=True)
    assert [f.severity for f in found] == ([Severity.WARNING] if ends else [])
    assert world.due() == ({} if ends else {"p0": 0, "p1": 15, "p2": 30, "p3": 45})


def test_what_a_person_cancelled_meanwhile_stays_cancelled(world: World) -> None:
    world.planned(*FOUR)
    before = [*world.all().values()]
    with world.ledger.transaction("cancel") as tx:
        for id in ("p0", "p3"):
            orders.moved(tx, world.all()[id], S.CANCELLED, "by hand")
    times = SliceTimes(world.desk, RUN)
    world.clock.turn(at(50))  # of what is read before: three are spread, the last one ends
    times.replan(before)
    assert [world.all()[f"p{n}"].message for n in (0, 3)] == ["by hand"] * 2
    assert {id: i.state for id, i in world.all().items()}["p1"] is S.PLANNED
