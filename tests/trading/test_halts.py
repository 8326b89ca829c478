"""A halt in the ledger or the kill file ends what is planned: at once, for good, and right before a request too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sigc.daemon.kill_file_halts import lift, take_in
from sigc.errors import SigcError
from sigc.failpoint import arm
from sigc.host.kill_file import FILE, FileHalt, add_halt, lift_halt
from sigc.store.ledger import control, halting
from sigc.store.ledger.records import IntentState, Outcome
from tests.trading.floor import Floor
from tests.trading.script import D1, KilledError, Scene, free, scene, written

S = IntentState
Halting = Callable[[Scene, str], None]


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, dict.fromkeys("ABCDE", 0.1))


@pytest.fixture
def sliced(tmp_path: Path) -> Floor:
    twap = {"style": "twap", "slices": 4, "window_minutes": 60.0}
    return written(tmp_path, {"A": 0.1, "B": 0.1}, config=free(execution=twap))


def by_ledger(desk: Scene, scope: str = "") -> None:
    with desk.trading.ledger.transaction("control") as tx:
        halting.halt_by_hand(tx, scope, "ann", "enough")


def by_file(desk: Scene, scope: str = "") -> None:
    add_halt(desk.trading.ledger.directory, FileHalt(scope, "ann", "enough", "2016-01-04T12:00:00+00:00"))


def by_garbage(desk: Scene, _: str = "") -> None:
    (desk.trading.ledger.directory / FILE).mkdir()


WAYS = pytest.mark.parametrize("halt", [by_ledger, by_file, by_garbage])


def lifted(desk: Scene, scope: str = "") -> bool:
    with desk.trading.ledger.transaction("control") as tx:
        return lift(tx, desk.trading.ledger.directory, scope, "ann", "over").seen()


@WAYS
def test_what_waits_is_denied_and_what_was_sent_stays(floor: Floor, halt: Halting) -> None:
    with scene(floor, D1) as desk:
        desk.broker.hook = lambda number, _: halt(desk, "scripted") if number == 2 else None
        ended = desk.run("one")
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED, S.ACKNOWLEDGED, S.DENIED, S.DENIED, S.DENIED]
        assert ended.run.outcome is Outcome.PARTIAL
        assert " is halted by " in ended.run.message
        assert len(desk.booked()) == 2


@WAYS
def test_a_process_that_was_frozen_between_mark_and_request_sends_nothing(floor: Floor, halt: Halting) -> None:
    """The mark is on disk, the request not out: the halt comes there, as it does to a process that SIGSTOP held."""
    passed = []

    def frozen(name: str) -> None:
        passed.append(name)
        if passed.count("post:before") == 2 and name == "post:before":
            halt(desk, "")

    with scene(floor, D1) as desk:
        arm(frozen)
        try:
            ended = desk.run("one")
        finally:
            arm(None)
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED, S.DENIED, S.DENIED, S.DENIED, S.DENIED]
        assert [o.request.asset for o in desk.booked()] == ["A"]
        assert desk.broker.submits == 1


def test_the_cut_off_is_looked_at_again_too(floor: Floor) -> None:
    def frozen(name: str) -> None:
        if name == "post:before":
            desk.clock.sleep(86_400.0)

    with scene(floor, D1) as desk:
        arm(frozen)
        try:
            ended = desk.run("one")
        finally:
            arm(None)
        assert {i.state for i in ended.orders} == {S.EXPIRED}
        assert desk.booked() == []


@WAYS
def test_slices_that_are_due_later_end_within_a_second(sliced: Floor, halt: Halting) -> None:
    with scene(sliced, D1) as desk:
        halted_at = []

        def on_second_slice(number: int, _: object) -> None:
            if number == 4:
                halted_at.append(desk.clock.now())
                halt(desk, "")

        desk.broker.hook = on_second_slice
        ended = desk.run("one")
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED] * 4 + [S.DENIED] * 4
        assert (desk.clock.now() - halted_at[0]).total_seconds() <= 1.0


def test_a_halt_that_is_lifted_at_once_revives_nothing(sliced: Floor) -> None:
    with scene(sliced, D1) as desk:

        def for_a_moment(number: int, _: object) -> None:
            if number == 2:
                by_ledger(desk)
                assert lifted(desk)

        desk.broker.hook = for_a_moment
        ended = desk.run("one")
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED] * 2 + [S.DENIED] * 6
        assert len(desk.booked()) == 2
        assert ended.run.outcome is Outcome.PARTIAL


def test_a_strategy_of_two_is_halted(tmp_path: Path) -> None:
    floors = [written(tmp_path / name, {"A": 0.1, "B": 0.1}, name=name) for name in ("one", "two")]
    for at, floor in enumerate(floors):
        with scene(floor, D1) as desk:
            by_file(desk, "two")
            if at == 0:
                assert desk.run("r").run.outcome is Outcome.DONE
            else:
                with pytest.raises(SigcError, match="two is halted since .* by ann: enough") as refused:
                    desk.run("r")
                assert refused.value.diagnostics[0].code == "E802"


def test_a_kill_file_is_taken_into_the_ledger_once_and_lifted_from_both(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        ledger = desk.trading.ledger
        by_file(desk, "scripted")
        for expected in (("scripted",), ()):
            with ledger.transaction("control") as tx:
                assert take_in(tx, ledger.directory) == expected
        (held,) = desk.audit("control.set")
        assert (held["who"], held["payload"]["value"]) == ("ann", halting.BY_FILE)
        assert held["payload"]["reason"] == "enough (kill file of 2016-01-04 12:00:00 UTC)"
        assert lift_halt(ledger.directory, "scripted")  # the file alone: the ledger holds on
        with pytest.raises(SigcError, match="scripted is halted since"):
            desk.run("one")
        by_file(desk, "scripted")
        assert lifted(desk, "scripted")
        assert not lifted(desk, "scripted")
        assert desk.run("two").run.outcome is Outcome.DONE


def test_a_rules_halt_gives_way_to_the_kill_file(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, control.HALTED, "scripted", "unresolved", "sigc", "1 order")
        with pytest.raises(SigcError, match="halted by a rule"):
            lifted(desk, "scripted")
        by_file(desk, "scripted")
        with desk.trading.ledger.transaction("control") as tx:
            assert take_in(tx, desk.trading.ledger.directory) == ("scripted",)
        assert lifted(desk, "scripted")


@WAYS
def test_recovery_sends_nothing_of_what_was_halted_meanwhile(floor: Floor, halt: Halting) -> None:
    def dies(number: int, _: object) -> None:
        if number == 2:
            raise KilledError

    with scene(floor, D1, hook=dies) as desk, pytest.raises(KilledError):
        desk.run("one")
    with scene(floor, D1, is_recovering=False) as desk:
        halt(desk, "")
    with scene(floor, D1) as desk:
        states = desk.states("one")
        assert (states["A"], {states[name] for name in "BCDE"}) == (S.ACKNOWLEDGED, {S.DENIED})
        assert [o.request.asset for o in desk.booked()] == ["A"]
        assert desk.record("one").outcome is Outcome.PARTIAL


def test_nor_does_it_in_the_turn_that_has_read_the_orders_already(floor: Floor) -> None:
    """All five are due at once: three are denied after the turn has read them, and the halt is gone when it gets there."""
    with scene(floor, D1) as desk:

        def for_a_moment(number: int, _: object) -> None:
            if number == 2:
                by_ledger(desk)
                assert lifted(desk)

        desk.broker.hook = for_a_moment
        ended = desk.run("one")
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED] * 2 + [S.DENIED] * 3
        assert (desk.broker.submits, ended.run.outcome) == (2, Outcome.PARTIAL)
