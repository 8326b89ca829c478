"""What recovery says of each run that was left, of which strategy, and what it leaves alone."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sigc.store.ledger import control, orders, runs
from sigc.store.ledger.records import IntentState, Outcome, Run, RunKey, RunKind, StageName
from sigc_pipelines.brokers.faulty import Faults
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.live.recover import RecoveryVerdict, complete, recover, recover_at_start
from sigc_pipelines.live.trading import RunWatch
from sigc_pipelines.records.artifacts import folder_of
from tests.trading.floor import Floor
from tests.trading.script import D1, D3, D4, D5, KilledError, Scene, before_cut_off, free, scene, written
from tests.trading.test_holding import carried

S = IntentState


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, dict.fromkeys("ABC", 0.1))


def left(floor: Floor, at: datetime | None = None, *, is_silent: bool = False) -> AbstractContextManager[Scene]:
    """The next process, before it recovers."""
    return scene(floor, D1, at=at, is_recovering=False, is_silent=is_silent)


def dying(floor: Floor, at: int = 2) -> None:
    """A process that dies as it sends the order of that number."""

    def hook(number: int, _: OrderRequest) -> None:
        if number == at:
            raise KilledError

    with scene(floor, D1, hook=hook) as desk, pytest.raises(KilledError):
        desk.run("one")


def opened(floor: Floor, kind: RunKind = RunKind.TRADE) -> None:
    """A process that ends just after it began a run."""
    with left(floor) as desk, desk.trading.ledger.transaction("run-open") as tx:
        key = RunKey("scripted", "main", "2016-01-05", kind)
        runs.open_run(tx, Run(kind.value, key, "2016-01-04", 0, desk.clock.now(), "ann"), {})


def account(desk: Scene, run: str) -> object:
    """The verdict that people read."""
    path = folder_of(desk.trading.ledger.directory, run) / "account.json"
    return json.loads(path.read_text("utf-8"))["run"]["outcome"]


@pytest.mark.parametrize(("strategy", "why"), [("", "the process ended"), ("scripted", "it failed")])
def test_a_decided_run_is_brought_to_its_end_and_told(floor: Floor, strategy: str, why: str) -> None:
    dying(floor)
    told: list[RecoveryVerdict] = []
    with left(floor) as desk:
        found = recover(desk.trading, told.append, strategy)
        assert [(v.run, v.outcome) for v in found] == [("one", Outcome.DONE)]
        assert found[0].message.startswith(f"resumed after {why}: ")
        assert tuple(told) == found
        assert desk.record("one").message == found[0].message
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
        assert account(desk, "one") == "done"
        with desk.trading.ledger.reading() as connection:
            last = runs.stages_of(connection, "one")[-1]
        assert (last.name, last.outcome) == (StageName.EXECUTE, "resumed")


@pytest.mark.parametrize(("strategy", "why"), [("", "the process ended"), ("scripted", "it failed")])
def test_a_run_that_decided_nothing_is_interrupted_and_told(floor: Floor, strategy: str, why: str) -> None:
    opened(floor)
    told: list[RecoveryVerdict] = []
    with left(floor) as desk:
        verdict = RecoveryVerdict("trade", Outcome.INTERRUPTED, f"{why} before anything was decided")
        assert recover(desk.trading, told.append, strategy) == (verdict,)
        assert told == [verdict]
        assert account(desk, "trade") == "interrupted"
        assert desk.booked() == []


def test_runs_of_another_strategy_and_dry_ones_are_left_alone(floor: Floor) -> None:
    dying(floor)
    with left(floor) as desk:
        assert recover(desk.trading, strategy="another") == ()
        assert desk.record("one").outcome is Outcome.OPEN
        assert sorted(desk.states().values()) == [S.ACKNOWLEDGED, S.PLANNED, S.SENDING]
        recover(desk.trading)
    opened(floor, RunKind.DRY)
    with left(floor) as desk:
        assert recover(desk.trading, strategy="another") == ()
        assert recover(desk.trading, strategy="scripted") == ()
        assert desk.record("dry").outcome is Outcome.OPEN
        assert [(v.run, v.outcome) for v in recover(desk.trading)] == [("dry", Outcome.INTERRUPTED)]


def unresolved(floor: Floor) -> None:
    """A run of which nothing is known at its cut-off."""
    with scene(floor, D1, at=before_cut_off(floor, D1, 90.0), rates=Faults(unknown=1.0)) as desk:
        desk.broker.hook = lambda _number, _request: setattr(desk.broker, "is_silent", True)
        assert desk.run("one").run.outcome is Outcome.UNRESOLVED


@pytest.mark.parametrize("strategy", ["", "scripted"])
def test_a_closed_run_whose_orders_are_unknown_is_told_with_its_verdict(floor: Floor, strategy: str) -> None:
    unresolved(floor)
    told: list[RecoveryVerdict] = []
    with left(floor, before_cut_off(floor, D1, -200.0)) as desk:
        assert recover(desk.trading, told.append, "another") == ()
        assert set(desk.states().values()) == {S.UNKNOWN}
        found = recover(desk.trading, told.append, strategy)
        assert [(v.run, v.outcome) for v in found] == [("one", Outcome.UNRESOLVED)]
        assert tuple(told) == found
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
        assert recover(desk.trading) == ()


def test_the_files_of_a_run_of_last_week_are_told_too(floor: Floor) -> None:
    """Two sessions were traded since: its account says where its orders stand all the same."""
    unresolved(floor)
    with left(floor, before_cut_off(floor, D5, -200.0)) as desk:
        for day in (D3, D4):
            run = Run(day, RunKey("scripted", "main", day), day, 0, desk.clock.now(), "ann")
            with desk.trading.ledger.transaction("run-open") as tx:
                runs.open_run(tx, run, {})
                runs.close_run(tx, run, desk.clock.now(), Outcome.UNCHANGED, "")
        recover(desk.trading)
        path = folder_of(desk.trading.ledger.directory, "one") / "account.json"
        assert {i["state"] for i in json.loads(path.read_text("utf-8"))["intents"]} == {
            str(s) for s in desk.states().values()
        }
        assert S.UNKNOWN not in desk.states().values()


def test_a_cancel_is_known_as_long_as_something_of_its_run_may_be_sent(floor: Floor) -> None:
    """Of a closed run with an unknown order; it is forgotten with the doubt, and at once for a run without orders."""
    unresolved(floor)
    with left(floor, before_cut_off(floor, D1, -200.0), is_silent=True) as desk:
        for run in ("one", "gone"):
            with desk.trading.ledger.transaction("control") as tx:
                control.put(tx, control.CANCELLED, run, "", "ann", "not today")
        recover(desk.trading)
        assert set(desk.states().values()) == {S.UNKNOWN}
        with desk.trading.ledger.reading() as connection:
            assert [c.scope for c in control.every(connection, control.CANCELLED)] == ["one"]
    with left(floor, before_cut_off(floor, D1, -200.0)) as desk:
        recover(desk.trading)
        with desk.trading.ledger.reading() as connection:
            assert control.every(connection, control.CANCELLED) == ()
        assert [d["payload"]["name"] for d in desk.audit("control.dropped")].count("cancelled") == 2


def test_runs_are_completed_side_by_side(tmp_path: Path) -> None:
    """Three books of slices over the same hour, killed one after the other: none waits for another one's window."""
    twap = free(execution={"style": "twap", "slices": 4, "window_minutes": 60.0})
    floors = [written(tmp_path, {"A": 0.1, "B": -0.1}, config=twap, name=name) for name in ("one", "two", "three")]
    opens = before_cut_off(floors[0], D1, 0.0) - timedelta(hours=6, minutes=25)

    def hook(number: int, _: OrderRequest) -> None:
        if number == 3:  # the second slice of the first asset
            raise KilledError

    for floor in floors:
        with scene(floors[0], D1, at=opens, hook=hook, is_recovering=False) as desk, pytest.raises(KilledError):
            floor.run(desk.trading, floor.strategy.name)
    with scene(floors[0], D1, at=opens + timedelta(minutes=40), is_recovering=False) as desk:
        told = recover(desk.trading)
        assert sorted((v.run, v.outcome) for v in told) == [(n, Outcome.DONE) for n in ("one", "three", "two")]
        with desk.trading.ledger.reading() as connection:
            found = orders.recent(connection, 100)
        by: dict[str, list[float]] = {}
        for one in found:
            assert one.sent_at is not None
            if one.asset == "A":
                by.setdefault(one.run, []).append(round((one.sent_at - opens).total_seconds() / 60, 1))
        # Three slices are left for twenty minutes: the same in each book.
        times = (0.0, 40.0, 46.7, 53.3)
        assert {run: tuple(sorted(found)) for run, found in by.items()} == dict.fromkeys(("one", "two", "three"), times)
        assert len({i.client_order_id for i in found}) == len(desk.booked()) == 24


def test_what_needs_no_waiting_is_done_at_the_start_and_the_rest_beside(tmp_path: Path) -> None:
    """A run that decided is left to `complete`; one that decided nothing is interrupted at once."""
    floor = written(tmp_path, dict.fromkeys("ABC", 0.1))
    dying(floor)
    opened(floor, RunKind.DRY)
    with left(floor) as desk:
        assert [(v.run, v.outcome) for v in recover_at_start(desk.trading)] == [("dry", Outcome.INTERRUPTED)]
        assert desk.record("one").outcome is Outcome.OPEN
        told: list[str] = []
        verdict = complete(desk.trading, desk.record("one"), RunWatch(waiting=lambda why, _: told.append(why)))
        assert (verdict.outcome, desk.record("one").outcome) == (Outcome.DONE, Outcome.DONE)
        assert told[-1] == ""
        assert account(desk, "one") == "done"
        assert recover_at_start(desk.trading) == ()


@pytest.mark.parametrize(("strategy", "is_told"), [("", True), ("scripted", True), ("another", False)])
def test_the_files_of_a_book_are_written_again(floor: Floor, strategy: str, is_told: bool) -> None:
    """Others' are looked after by themselves, maybe at this moment."""
    with scene(floor, D1) as desk:
        desk.run("one")
        (folder_of(desk.trading.ledger.directory, "one") / "account.json").unlink()
    with left(floor) as desk:
        recover(desk.trading, strategy=strategy)
        assert (folder_of(desk.trading.ledger.directory, "one") / "account.json").exists() is is_told


def test_at_the_start_a_closed_run_whose_orders_are_unknown_is_told_and_its_halt_is_lifted(floor: Floor) -> None:
    unresolved(floor)
    told: list[RecoveryVerdict] = []
    with left(floor, before_cut_off(floor, D1, -200.0)) as desk:
        with desk.trading.ledger.reading() as connection:
            assert [c.scope for c in control.every(connection, control.HALTED)] == ["scripted"]
        found = recover_at_start(desk.trading, told.append)
        assert [(v.run, v.outcome) for v in found] == [("one", Outcome.UNRESOLVED)]
        assert tuple(told) == found
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
        with desk.trading.ledger.reading() as connection:
            assert control.every(connection, control.HALTED) == ()


def test_runs_that_wait_for_the_open_are_left_to_a_later_process_if_that_is_asked_for(floor: Floor) -> None:
    """The process dies an hour before the open, at a broker that takes nothing before it."""
    opens = before_cut_off(floor, D1, 0.0) - timedelta(hours=6, minutes=25)
    no_queue = {"queues": False}

    def dies() -> None:
        raise KilledError

    with scene(floor, D1, at=opens - timedelta(hours=2), can=no_queue) as desk, pytest.raises(KilledError):
        carried(desk, (60, dies))
    with scene(floor, D1, at=opens - timedelta(minutes=30), can=no_queue, is_recovering=False) as desk:
        assert recover(desk.trading, leaves_waiting=True) == ()
        assert (set(desk.states().values()), desk.booked()) == ({S.PLANNED}, [])
        assert [(v.run, v.outcome) for v in recover(desk.trading)] == [("one", Outcome.DONE)]
        assert {order.submitted for order in desk.booked()} == {opens}


def test_runs_that_do_not_wait_are_completed_when_waiting_ones_are_left(floor: Floor) -> None:
    dying(floor)
    with left(floor) as desk:
        assert [v.run for v in recover(desk.trading, leaves_waiting=True)] == ["one"]


def test_completing_a_run_shows_life_from_its_beginning_and_ends_what_is_over(floor: Floor) -> None:
    """Whatever its pulse was before; the mark of a cancelled run that has nothing left is dropped."""
    dying(floor)
    watch, silences = RunWatch(), list[float]()
    watch.pulse.last -= 1_000_000.0
    with left(floor) as desk:
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, control.CANCELLED, "gone", "", "ann", "not today")
        can = desk.broker.capabilities
        desk.broker.capabilities = lambda: silences.append(watch.pulse.silent_s) or can()  # type: ignore[func-returns-value,method-assign]
        assert complete(desk.trading, desk.record("one"), watch).outcome is Outcome.DONE
        assert silences[0] < 1_000.0
        with desk.trading.ledger.reading() as connection:
            assert control.every(connection, control.CANCELLED) == ()
