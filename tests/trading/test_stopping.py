"""What ends a run before its orders are all sent: a halt, the cut-off, the stage's deadline, a cancel, a stop."""

from __future__ import annotations

from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc.rpc.messages.requests import CancelledOrderCounts
from sigc.store.ledger import control, runs
from sigc.store.ledger.records import IntentState, Outcome, RunKind, StageName
from sigc_pipelines.brokers.faulty import Fault, Faults
from sigc_pipelines.brokers.protocol import OrderRequest, OrderStatus
from sigc_pipelines.live.apply_fills import cancel, settle
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.trading import Request, RunWatch
from sigc_pipelines.stopping.cancel_run import UnknownRunError, cancel_run
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, KilledError, Scene, before_cut_off, free, scene, written

S = IntentState


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, dict.fromkeys("ABCDE", 0.1))


def halt(desk: Scene, scope: str = "") -> None:
    with desk.trading.ledger.transaction("control") as tx:
        control.put(tx, control.HALTED, scope, "by hand", "ann", "enough")


def lift(desk: Scene, scope: str = "") -> None:
    with desk.trading.ledger.transaction("control") as tx:
        control.drop(tx, control.HALTED, scope, "ann", "again")


@pytest.mark.parametrize("scope", ["", "scripted"])
def test_a_halt_in_the_middle_stops_the_rest_and_stays(floor: Floor, scope: str) -> None:
    with scene(floor, D1) as desk:
        desk.broker.hook = lambda number, _: halt(desk, scope) if number == 2 else None
        ended = desk.run("one")
        # The second was on its way when the halt came.
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED, S.ACKNOWLEDGED, S.DENIED, S.DENIED, S.DENIED]
        assert "halted by ann: enough" in desk.intents()["C"].message
        assert [r["payload"]["asset"] for r in desk.audit("order.denied")] == ["C", "D", "E"]
    with scene(floor, D2) as later:  # recovery lifts nothing that a person said
        with pytest.raises(SigcError, match="by ann: enough") as refused:
            later.run("two")
        assert refused.value.diagnostics[0].code == "E802"
        with pytest.raises(SigcError, match="by ann: enough"):
            later.run("three", is_forced=True)
        lift(later, scope)
        assert later.run("four").run.outcome is Outcome.DONE


def test_a_halt_of_another_strategy_is_none(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        halt(desk, "other")
        assert set(desk.run("one").run.message.split(": ")[1].split()) == {"5", "acknowledged"}


def test_paused_is_refused_unless_it_is_forced(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, control.PAUSED, "scripted", "by hand", "ann", "on holiday")
        with pytest.raises(SigcError, match="paused since .* by ann: on holiday") as refused:
            desk.run("one")
        assert refused.value.diagnostics[0].code == "E802"
        assert desk.run("two", is_forced=True, reason="but this once").run.outcome is Outcome.DONE
        opened = [r for r in desk.audit("run.opened") if r["run"] == "two"]
        assert (opened[0]["who"], opened[0]["payload"]["reason"]) == ("tester", "but this once")


def test_the_cut_off_passes_while_orders_are_sent(floor: Floor) -> None:
    """A broker that takes 30 s for an order, 75 s before the cut-off: what was not sent has expired."""
    with scene(floor, D1, at=before_cut_off(floor, D1, 75.0)) as desk:
        desk.broker.hook = lambda _number, _request: desk.clock.sleep(30.0)
        ended = desk.run("one")
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED] * 3 + [S.EXPIRED] * 2
        assert [f.check for s in ended.stages for f in s.findings if f.check != "actions"] == ["cut_off"]
        assert len(desk.booked()) == 3
        for order in ended.orders[:3]:
            assert order.sent_at is not None
            assert ended.run.cut_off is not None
            assert order.sent_at < ended.run.cut_off


def test_the_deadline_of_the_stage_is_one_too(tmp_path: Path) -> None:
    floor = written(tmp_path, dict.fromkeys("ABCDE", 0.1), config=free(execution={"execute_deadline_s": 75.0}))
    with scene(floor, D1) as desk:
        desk.broker.hook = lambda _number, _request: desk.clock.sleep(30.0)
        assert [i.state for i in desk.run("one").orders] == [S.ACKNOWLEDGED] * 3 + [S.EXPIRED] * 2


def test_the_deadline_runs_from_the_first_slice_on(tmp_path: Path) -> None:
    """Which is due at the open, hours after the run began; the third of four, half an hour later, is too late."""
    twap = {"style": "twap", "slices": 4, "window_minutes": 60.0, "execute_deadline_s": 1200.0}
    with scene(written(tmp_path, {"A": 0.1}, config=free(execution=twap)), D1) as desk:
        assert [i.state for i in desk.run("one").orders] == [S.ACKNOWLEDGED] * 2 + [S.EXPIRED] * 2


def test_a_run_that_wants_nothing_says_so(tmp_path: Path) -> None:
    with scene(written(tmp_path, {"A": 0.0}), D1) as desk:
        ended = desk.run("one").run
        assert (ended.outcome, ended.message) == (Outcome.UNCHANGED, "nothing had to change")


def test_what_the_broker_keeps_off_until_the_cut_off_expires(floor: Floor) -> None:
    with scene(floor, D1, at=before_cut_off(floor, D1, 60.0), rates=Faults(throttled=1.0, retry_after_s=5.0)) as desk:
        ended = desk.run("one")
        assert {i.state for i in ended.orders} == {S.EXPIRED}
        assert ended.run.outcome is Outcome.NOTHING_TRADED
        assert desk.booked() == []
        assert desk.clock.now() == ended.run.cut_off


def test_a_stop_in_the_middle_sends_nothing_more(floor: Floor) -> None:
    watch = RunWatch()
    with scene(floor, D1) as desk:
        desk.broker.hook = lambda number, _: watch.stop.set() if number == 2 else None
        ended = carry_out(desk.trading, asked("one"), floor.feed(), watch)
        assert [i.state for i in ended.orders] == [
            S.ACKNOWLEDGED,
            S.ACKNOWLEDGED,
            S.CANCELLED,
            S.CANCELLED,
            S.CANCELLED,
        ]
        assert ended.run.outcome is Outcome.PARTIAL
        assert len(desk.booked()) == 2
    with scene(floor, D1) as later:
        assert len(later.booked()) == 2


def test_a_stop_while_an_order_is_unknown_waits_for_its_outcome_only(floor: Floor) -> None:
    watch = RunWatch()

    def hook(number: int, _: OrderRequest) -> None:
        if number == 1:
            desk.broker.fail_next(*[Fault.UNREACHABLE] * 6)
            watch.stop.set()

    with scene(floor, D1) as desk:
        desk.broker.hook = hook
        desk.broker.fail_next(Fault.UNKNOWN)
        begun = desk.clock.now()
        ended = carry_out(desk.trading, asked("one"), floor.feed(), watch)
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED] + [S.CANCELLED] * 4
        assert (desk.clock.now() - begun).total_seconds() < 60.0


@pytest.mark.parametrize("stage", [StageName.LOAD, StageName.COMPUTE, StageName.VALIDATE, StageName.EXECUTE])
def test_a_stop_before_the_decision_leaves_nothing(floor: Floor, stage: StageName) -> None:
    watch = RunWatch(lambda name: watch.stop.set() if name is before[stage] else None)
    before = dict(zip(StageName, [None, *StageName], strict=False))
    if before[stage] is None:
        watch.stop.set()
    with scene(floor, D1) as desk:
        ended = carry_out(desk.trading, asked("one"), floor.feed(), watch)
        assert (ended.run.outcome, ended.orders) == (Outcome.CANCELLED, ())
        assert [s.name for s in ended.stages] == list(StageName)[: list(StageName).index(stage)]
        assert desk.booked() == []
        assert desk.run("two").run.outcome is Outcome.DONE  # the key was not used up


def asked(id: str) -> Request:
    return Request(id, "scripted", "main", RunKind.TRADE, "tester")


def dying(floor: Floor, at: int = 3) -> None:
    """A process that dies as it sends its third order: two are in the book, one is in doubt, two are planned."""

    def hook(number: int, _: OrderRequest) -> None:
        if number == at:
            raise KilledError

    with scene(floor, D1, hook=hook) as desk, pytest.raises(KilledError):
        desk.run("one")


def states(desk: Scene) -> list[IntentState]:
    return list(dict(sorted(desk.states("one").items())).values())


def test_a_cancel_of_a_run_that_died(floor: Floor) -> None:
    """Planned ones are never sent, open ones leave the book; the one in doubt is told, and not sent again either."""
    dying(floor)
    with without_recovery(floor) as desk:
        counts, left = cancel_run(desk.trading.ledger, desk.broker, "one", "ann", "not today")
        assert (counts, left) == (CancelledOrderCounts(sent=3, unsent=2, taken_back=2), 1)
        assert states(desk) == [S.CANCELLED, S.CANCELLED, S.SENDING, S.CANCELLED, S.CANCELLED]
        (told,) = desk.audit("run.cancel")
        said = {i.message for i in desk.intents("one").values() if i.state is S.CANCELLED}
        assert "cancelled before it was sent, by ann: not today" in said
        assert told["payload"] == {"by": "ann", "reason": "not today"}
    with scene(floor, D1) as later:
        assert states(later) == [S.CANCELLED] * 5
        assert [o.status for o in later.booked()] == [OrderStatus.CANCELLED] * 2
        assert later.record("one").outcome is Outcome.PARTIAL
        with later.trading.ledger.reading() as connection:
            assert control.every(connection, control.CANCELLED) == ()
    with scene(floor, D2) as next:
        assert len(next.run("two").orders) == 5  # nothing was filled, all of it is ordered again


def test_a_run_that_never_came_to_the_ledger_is_not_cancelled(floor: Floor) -> None:
    with scene(floor, D1) as desk, pytest.raises(UnknownRunError):
        cancel_run(desk.trading.ledger, desk.broker, "none", "ann", "no")


def test_a_cancel_reaches_the_order_that_was_in_doubt(floor: Floor) -> None:
    """It had arrived: recovery finds it, and the person who asks again takes it from the book."""

    def hook(number: int, request: OrderRequest) -> None:
        if number == 3:
            desk.paper.submit(request)
            raise KilledError

    with scene(floor, D1) as desk:
        desk.broker.hook = hook
        with pytest.raises(KilledError):
            desk.run("one")
    with without_recovery(floor) as desk:
        assert len(cancel(desk.trading.ledger, desk.broker, desk.record("one"), "ann", "not today")) == 1
    with scene(floor, D1) as later:
        assert states(later) == [S.CANCELLED, S.CANCELLED, S.ACKNOWLEDGED, S.CANCELLED, S.CANCELLED]
        assert cancel(later.trading.ledger, later.broker, later.record("one"), "ann", "that one too") == ()
        assert states(later) == [S.CANCELLED] * 5


def test_a_cancel_that_is_not_answered_is_told(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        desk.broker.fail_next(*[Fault.UNREACHABLE] * 3)
        left = cancel(desk.trading.ledger, desk.broker, ended.run, "ann", "no")
        assert [i.asset for i in left] == ["A", "B", "C"]
        assert cancel(desk.trading.ledger, desk.broker, ended.run, "ann", "no, again") == ()
        assert states(desk) == [S.CANCELLED] * 5


def test_a_cancel_of_what_the_broker_does_not_know_is_told(floor: Floor) -> None:
    """Its book was put away: the order is open in the ledger, and no such order is there."""
    with scene(floor, D1) as desk:
        desk.run("one")
    (floor.work_dir / "paper.sqlite").unlink()
    with scene(floor, D1) as desk:
        left = cancel(desk.trading.ledger, desk.broker, desk.record("one"), "ann", "no")
        assert len(left) == 5


def test_a_partly_filled_order_keeps_what_was_filled(tmp_path: Path) -> None:
    """Two slots of a session; only the first is cancelled; fills that came before stay."""
    floor = written(tmp_path, {"A": 0.1}, volumes={"A": 400.0}, config=free({"max_volume_pct": 1.0}))
    with scene(floor, D1) as desk:
        desk.run("one")
    with scene(floor, D2) as desk:
        ended = desk.run("two")
        settle(desk.trading.ledger, desk.broker)
        assert desk.intents("one")["A"].filled == Decimal(400)
        assert desk.states("one") == {"A": S.EXPIRED}
        told = cancel_run(desk.trading.ledger, desk.broker, ended.run.id, "ann", "no")
        assert told == (CancelledOrderCounts(sent=1, taken_back=1), 0)
        before = cancel_run(desk.trading.ledger, desk.broker, "one", "ann", "no")
        assert before == (CancelledOrderCounts(sent=1, partly=1), 0)
        assert desk.held() == {"A": Decimal(400)}
        assert desk.states("two") == {"A": S.CANCELLED}
    with without_recovery(floor) as desk, desk.trading.ledger.reading() as connection:
        assert runs.left_open(connection) == ()


def without_recovery(floor: Floor) -> AbstractContextManager[Scene]:
    return scene(floor, D1, is_recovering=False)
