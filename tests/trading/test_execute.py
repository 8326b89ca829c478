"""The protocol, one failure at a time: a paper broker behind faults that a test chooses, under a hand-turned clock."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from sigc.errors import Severity, SigcError
from sigc.store.ledger import control
from sigc.store.ledger.records import IntentState, Outcome
from sigc_pipelines.brokers.faulty import Fault, Faults
from sigc_pipelines.brokers.protocol import OrderRequest, OrderStatus
from sigc_pipelines.reconcile.differences import differences
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, Scene, before_cut_off, free, scene, written

S = IntentState
TAKEN_NO_ANSWER = Faults(unknown=1.0)


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    """Ten per cent of a million in each of three assets at 100: a thousand shares of each."""
    return written(tmp_path, {"A": 0.1, "B": 0.1, "C": -0.1})


def assert_filled_once(floor: Floor) -> None:
    """A later process finds each order once in the book, filled, and the ledger agrees."""
    with scene(floor, D2) as later:
        assert later.run("next").run.outcome is Outcome.UNCHANGED
        assert later.held() == {"A": Decimal(1000), "B": Decimal(1000), "C": Decimal(-1000)}
        assert len(later.booked()) == 3
        assert differences(later.trading.ledger, later.broker) == ()


def test_acknowledged(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        assert (ended.run.outcome, ended.run.message) == (Outcome.DONE, "3 orders: 3 acknowledged")
        # Sales first, then by asset.
        assert [(i.asset, i.side.value, int(i.quantity), i.attempts) for i in ended.orders] == [
            ("C", "sell", 1000, 1),
            ("A", "buy", 1000, 1),
            ("B", "buy", 1000, 1),
        ]
        assert all(i.broker_order_id for i in ended.orders)
        assert {o.request.client_order_id for o in desk.booked()} == {i.client_order_id for i in ended.orders}
    assert_filled_once(floor)


def test_rejected(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1, "C": -0.1}, config=free({"shorting": False}))
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        assert desk.states() == {"A": S.ACKNOWLEDGED, "C": S.REJECTED}
        assert ended.run.outcome is Outcome.PARTIAL
        assert "shorting is off" in desk.intents()["C"].message
        assert [f.check for s in ended.stages for f in s.findings if f.check not in ("off", "actions")] == ["rejected"]
        assert len(desk.audit("order.rejected")) == 1
        assert len(desk.booked()) == 1


def test_throttled_then_sent(floor: Floor) -> None:
    with scene(floor, D1, rates=Faults(retry_after_s=7.0)) as desk:
        desk.broker.fail_next(Fault.THROTTLED, Fault.REFUSED, Fault.THROTTLED)
        begun = desk.clock.now()
        ended = desk.run("one")
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
        assert ended.run.outcome is Outcome.DONE
        # Each waited for as long as the broker asked, and was sent again under its id.
        assert {i.attempts for i in ended.orders} == {2}
        assert 7.0 <= (desk.clock.now() - begun).total_seconds() < 8.0
    assert_filled_once(floor)


def test_no_answer_and_found(floor: Floor) -> None:
    with scene(floor, D1, rates=Faults(lag_s=2.0)) as desk:
        desk.broker.fail_next(Fault.UNKNOWN)
        ended = desk.run("one")
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
        assert ended.orders[0].attempts == 1  # found, and not sent again
        assert [r["payload"]["was"] for r in desk.audit("order.unknown")] == ["sending"]
    assert_filled_once(floor)


def test_no_answer_and_absent_is_sent_again_under_its_id(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.broker.fail_next(Fault.LOST)
        begun = desk.clock.now()
        ended = desk.run("one")
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
        assert [i.attempts for i in ended.orders] == [2, 1, 1]
        assert len(desk.audit("order.absent")) == 1
        # Not before the grace: the broker may show it late.
        assert (desk.clock.now() - begun).total_seconds() >= floor.config.execution.lookup_grace_s
        assert desk.broker.submits == 4
    assert_filled_once(floor)


def test_an_order_that_arrives_after_it_was_found_absent_is_still_one(floor: Floor) -> None:
    """It takes 20 s to arrive; after 2 s it is sent again, and the broker takes the id once."""
    with scene(floor, D1) as desk:
        desk.broker.fail_next(Fault.LATE)
        desk.run("one")
        assert desk.intents()["C"].attempts == 2
        desk.clock.sleep(30.0)
        desk.broker.deliver()
        assert len(desk.booked()) == 3
    assert_filled_once(floor)


def test_both_attempts_are_late(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.broker.fail_next(Fault.LATE, Fault.LATE, Fault.LATE, Fault.LATE)
        desk.run("one")
        desk.clock.sleep(60.0)
        desk.broker.deliver()
        assert len(desk.booked()) == 3
    assert_filled_once(floor)


def test_lookups_that_are_not_answered_are_asked_again(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.broker.hook = lambda number, _: desk.broker.fail_next(*[Fault.UNREACHABLE] * (9 if number == 1 else 0))
        desk.broker.fail_next(Fault.UNKNOWN)
        ended = desk.run("one")
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
        assert ended.orders[0].attempts == 1
    assert_filled_once(floor)


def test_a_read_that_failed_is_no_read(floor: Floor) -> None:
    """An order is absent when two different reads say so; silence says nothing, however long the grace is over."""
    with scene(floor, D1) as desk:

        def hook(number: int, _: OrderRequest) -> None:
            if number == 1:
                desk.broker.fail_next(*[Fault.UNREACHABLE] * 12)  # far beyond the grace of two seconds

        desk.broker.hook = hook
        desk.broker.fail_next(Fault.UNKNOWN)
        desk.run("one")
        assert desk.audit("order.absent") == []
        assert desk.broker.submits == 3


def unresolved(floor: Floor) -> None:
    """A run of which, by its cut-off, nothing is known: each order was taken, and no read was answered since."""
    at = before_cut_off(floor, D1, 90.0)
    with scene(floor, D1, at=at, rates=TAKEN_NO_ANSWER) as desk:
        desk.broker.hook = lambda _number, _request: setattr(desk.broker, "is_silent", True)
        ended = desk.run("one")
        assert (ended.run.outcome, set(desk.states().values())) == (Outcome.UNRESOLVED, {S.UNKNOWN})
        assert ended.run.cut_off is not None
        assert desk.clock.now() > ended.run.cut_off
        (alert,) = desk.audit("alert")
        assert alert["payload"]["severity"] == "critical"
        assert alert["payload"]["assets"] == ["A", "B", "C"]
        why = "3 orders without a known outcome at the cut-off, 2016-01-05 20:55:00 UTC"
        told = [(f.severity, f.message, f.assets) for s in ended.stages for f in s.findings if f.check == "unresolved"]
        assert told == [(Severity.ERROR, why, ("A", "B", "C"))]
        with desk.trading.ledger.reading() as connection:
            held = control.holds(connection, control.HALTED, "scripted")
        assert held is not None
        assert held.who == "sigc"


def test_still_unknown_at_the_cut_off_halts_the_strategy(floor: Floor) -> None:
    unresolved(floor)
    after = before_cut_off(floor, D1, -200.0)
    with scene(floor, D1, at=after, is_silent=True) as silent:  # a start that finds the broker silent changes nothing
        with pytest.raises(SigcError) as refused:
            silent.run("two")
        assert refused.value.diagnostics[0].code == "E802"
        assert "without a known outcome" in refused.value.diagnostics[0].message


def test_the_next_start_resolves_and_lifts_the_halt(floor: Floor) -> None:
    unresolved(floor)
    with scene(floor, D1, at=before_cut_off(floor, D1, -200.0)) as desk:
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
        assert desk.record("one").outcome is Outcome.UNRESOLVED  # a verdict stands
        (dropped,) = desk.audit("control.dropped")
        assert dropped["payload"]["name"] == "halted"
    assert_filled_once(floor)


def test_a_persons_halt_is_not_lifted_with_the_doubt(floor: Floor) -> None:
    """Whichever came first: the person's word, or the doubt."""
    with scene(floor, D1) as desk:
        halt(desk, "scripted")
    with scene(floor, D1, at=before_cut_off(floor, D1, 90.0)) as desk:
        with pytest.raises(SigcError, match="halted since"):
            desk.run("zero")
        drop_halt(desk, "scripted")
    unresolved(floor)
    with scene(floor, D1, at=before_cut_off(floor, D1, -200.0), is_silent=True) as desk:
        halt(desk, "scripted")
    with scene(floor, D1, at=before_cut_off(floor, D1, -3000.0)) as desk:
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
        with desk.trading.ledger.reading() as connection:
            held = control.holds(connection, control.HALTED, "scripted")
        assert held is not None
        assert held.who == "ann"


def test_a_persons_halt_during_the_doubt_is_not_overwritten_by_ours(floor: Floor) -> None:
    at = before_cut_off(floor, D1, 90.0)
    with scene(floor, D1, at=at, rates=TAKEN_NO_ANSWER) as desk:

        def hook(number: int, _: OrderRequest) -> None:
            desk.broker.is_silent = True
            if number == 3:
                halt(desk, "scripted")

        desk.broker.hook = hook
        assert desk.run("one").run.outcome is Outcome.UNRESOLVED
    with scene(floor, D1, at=before_cut_off(floor, D1, -200.0)) as later:
        assert set(later.states().values()) == {S.ACKNOWLEDGED}
        with later.trading.ledger.reading() as connection:
            held = control.holds(connection, control.HALTED, "scripted")
        assert held is not None, "a person's halt went with the doubt"
        assert held.who == "ann"


def test_an_answer_for_another_order_is_told(floor: Floor) -> None:
    """Somebody used our id for something else: the order is not ours, and is not sent again."""
    with scene(floor, D1) as desk:

        def hook(number: int, request: OrderRequest) -> None:
            if number == 1:
                foreign = OrderRequest(request.client_order_id, request.asset, request.side, Decimal(7))
                desk.paper.submit(foreign)

        desk.broker.hook = hook
        desk.broker.fail_next(Fault.LOST)
        desk.run("one")
        (told,) = desk.audit("order.mismatch")
        assert "sell 7" in told["payload"]["message"]
        assert [o.request.quantity for o in desk.booked() if o.request.asset == "C"] == [Decimal(7)]


def test_absent_at_the_cut_off_is_over(floor: Floor) -> None:
    """What never arrived and may not be sent any more has expired; the strategy is not halted for it."""
    with scene(floor, D1, at=before_cut_off(floor, D1, 1.0)) as desk:
        desk.broker.fail_next(Fault.LOST, Fault.LOST, Fault.LOST)
        ended = desk.run("one")
        assert set(desk.states().values()) == {S.EXPIRED}
        assert ended.run.outcome is Outcome.NOTHING_TRADED
        assert desk.booked() == []
        with desk.trading.ledger.reading() as connection:
            assert control.holds(connection, control.HALTED, "scripted") is None


def test_a_late_order_that_was_given_up_is_taken_in_when_it_comes(floor: Floor) -> None:
    """Absent at the cut-off, it arrives after all: from then on it is in flight again, and counted."""
    with scene(floor, D1, at=before_cut_off(floor, D1, 1.0)) as desk:
        desk.broker.fail_next(Fault.LATE)
        desk.run("one", slot="1")
        assert desk.states() == {"A": S.ACKNOWLEDGED, "B": S.ACKNOWLEDGED, "C": S.EXPIRED}
        desk.clock.sleep(30.0)
    with scene(floor, D1, at=before_cut_off(floor, D1, -60.0)) as later:
        assert later.states()["C"] is S.ACKNOWLEDGED
        assert [o.status for o in later.booked()] == [OrderStatus.NEW] * 3
    assert_filled_once(floor)


def halt(desk: Scene, scope: str) -> None:
    with desk.trading.ledger.transaction("control") as tx:
        control.put(tx, control.HALTED, scope, "by hand", "ann", "I don't like it")


def drop_halt(desk: Scene, scope: str) -> None:
    with desk.trading.ledger.transaction("control") as tx:
        control.drop(tx, control.HALTED, scope, "ann", "better now")
