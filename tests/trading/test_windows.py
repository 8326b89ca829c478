"""When orders leave: at a broker that queues at once, at another with the open; what waits, and what ends the wait."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sigc.daemon.runner import RunEnd
from sigc.errors import SigcError
from sigc.store.ledger import control, orders, runs
from sigc.store.ledger.halting import halt_by_hand
from sigc.store.ledger.records import Intent, IntentState, Outcome, RunKind
from sigc.store.ledger.waiting import waiting_of
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc_pipelines.brokers.protocol import BrokerOrder, OrderRequest
from sigc_pipelines.live.apply_fills import cancel
from sigc_pipelines.live.recover import complete, recover
from sigc_pipelines.live.run_watch import RunWatch
from sigc_pipelines.service.reconciled import reconcile_job
from tests.killing import Tally, child
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, Scene, before_cut_off, free, scene, written
from tests.trading.test_holding import carried, pause, resume

S = IntentState
NO_QUEUE = {"queues": False}
HOUR = {"style": "twap", "slices": 4, "window_minutes": 60.0}


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, dict.fromkeys("ABC", 0.1))


def open_of(floor: Floor, day: str = D1) -> datetime:
    """The open of the session after a day."""
    return before_cut_off(floor, day, 0.0) - timedelta(hours=6, minutes=25)


@contextmanager
def strict(floor: Floor, day: str = D1, *, at: datetime | None = None, **how: Any) -> Iterator[Scene]:
    """A process at a broker that takes nothing while its market is closed; an hour before the open, or at an instant."""
    with scene(floor, day, at=at or open_of(floor) - timedelta(hours=1), can=NO_QUEUE, **how) as desk:
        submit = desk.paper.submit

        def is_taken(request: OrderRequest) -> BrokerOrder:
            assert floor.calendar.is_open(desk.clock.now()), "an order before the open"
            return submit(request)

        desk.paper.submit = is_taken  # type: ignore[method-assign]
        yield desk


def minutes(desk: Scene) -> float:
    """Minutes from now to the open of the session after D1."""
    return (open_of(desk.floor) - desk.clock.now()).total_seconds() / 60


def all_of(desk: Scene) -> list[Intent]:
    with desk.trading.ledger.reading() as connection:
        return list(orders.recent(connection, 1_000)[::-1])


def test_orders_wait_for_the_open_of_a_broker_that_does_not_queue(floor: Floor) -> None:
    told: list[WaitingOrders | None] = []
    with strict(floor) as desk:
        ended = carried(desk, watch=RunWatch(opening=told.append))
        assert [i.not_before for i in ended.orders] == [open_of(floor)] * 3
        assert [i.sent_at for i in ended.orders] == [open_of(floor)] * 3
        assert ended.run.outcome is Outcome.DONE
        assert ended.waiting is None
        assert {r["payload"]["not_before"] for r in desk.audit("order.planned")} == {open_of(floor).isoformat()}
    assert told == [WaitingOrders(3, 0, open_of(floor)), None]


def test_a_broker_that_queues_has_them_at_once_and_they_wait_there(floor: Floor) -> None:
    told: list[WaitingOrders | None] = []
    with scene(floor, D1) as desk:
        begun = desk.clock.now()
        ended = carried(desk, watch=RunWatch(opening=told.append))
        assert [(i.not_before, i.sent_at) for i in ended.orders] == [(None, begun)] * 3
        assert (ended.run.outcome, ended.waiting) == (Outcome.DONE, WaitingOrders(0, 3, open_of(floor)))
        assert told == [None]
        with desk.trading.ledger.reading() as connection:
            before, after = (open_of(floor) + timedelta(seconds=s) for s in (-1, 0))
            assert waiting_of(connection, ["one"], before) == {"one": WaitingOrders(0, 3, open_of(floor))}
            assert waiting_of(connection, ["one", "none"], after) == {}


def test_a_run_within_the_session_waits_for_nothing(floor: Floor) -> None:
    with strict(floor, at=open_of(floor) + timedelta(hours=1)) as desk:
        ended = desk.run("one")
        assert [(i.not_before, i.sent_at) for i in ended.orders] == [(None, ended.run.started)] * 3
        assert ended.waiting is None


def test_the_wait_is_no_part_of_the_deadline_of_execute(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1}, config=free(execution={"execute_deadline_s": 60.0}))
    with strict(floor) as desk:
        assert desk.run("one").run.outcome is Outcome.DONE
    other = written(tmp_path / "other", {"A": 0.1}, config=free(execution={"execute_deadline_s": 60.0}))
    with strict(other) as desk:
        ended = carried(desk, (minutes(desk) - 5, lambda: pause(desk)), (minutes(desk) + 5, lambda: resume(desk)))
        assert ended.run.outcome is Outcome.NOTHING_TRADED
        assert "execute took longer than its deadline of 60 s" in ended.run.message


@pytest.mark.parametrize("can", [{}, NO_QUEUE])
def test_slices_begin_with_the_session_at_any_broker(tmp_path: Path, can: dict[str, Any]) -> None:
    floor, told = written(tmp_path, {"A": 0.1}, config=free(execution=HOUR)), list[WaitingOrders | None]()
    with scene(floor, D1, at=open_of(floor) - timedelta(hours=1), can=can) as desk:
        ended = carried(desk, watch=RunWatch(opening=told.append))
        due = [open_of(floor) + timedelta(minutes=15 * n) for n in range(4)]
        assert [i.sent_at for i in ended.orders] == [i.not_before for i in ended.orders] == due
    assert told[0] == WaitingOrders(4, 0, due[0])
    assert set(told[1:]) == {None}


def test_orders_for_the_open_wait_for_the_close_before_at_a_broker_that_queues(tmp_path: Path) -> None:
    """Cut-off before the open: in the session before, a run is for the next one already; its row is not the newest."""
    floor = written(tmp_path, {"A": 0.1}, config=free(execution={"cut_off": "open-30m"}))
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        assert ended.run.outcome is Outcome.DONE
        assert ended.waiting == WaitingOrders(0, 1, open_of(floor))


def test_a_pause_that_ends_before_the_open_changes_nothing(floor: Floor) -> None:
    with strict(floor) as desk:
        ended = carried(desk, (10, lambda: pause(desk)), (20, lambda: resume(desk)))
        assert [i.sent_at for i in ended.orders] == [open_of(floor)] * 3


def test_a_pause_over_the_open_holds_them_until_it_is_resumed(floor: Floor) -> None:
    with strict(floor) as desk:
        over = minutes(desk)
        ended = carried(desk, (10, lambda: pause(desk)), (over + 30, lambda: resume(desk)))
        assert [i.sent_at for i in ended.orders] == [open_of(floor) + timedelta(minutes=30)] * 3
        assert ended.run.outcome is Outcome.DONE


def halts(desk: Scene) -> None:
    with desk.trading.ledger.transaction("control") as tx:
        halt_by_hand(tx, "scripted", "ann", "enough")


def cancels(desk: Scene) -> None:
    with desk.trading.ledger.reading() as connection:
        run = runs.find(connection, "one")
    assert cancel(desk.trading.ledger, desk.broker, run, "ann", "no") == ()


@pytest.mark.parametrize(
    ("act", "state", "outcome"),
    [(halts, S.DENIED, Outcome.NOTHING_TRADED), (cancels, S.CANCELLED, Outcome.CANCELLED)],
)
def test_what_ends_planned_orders_ends_the_wait(
    floor: Floor, act: Callable[[Scene], None], state: IntentState, outcome: Outcome
) -> None:
    with strict(floor) as desk:
        begun = desk.clock.now()
        ended = carried(desk, (10, lambda: act(desk)))
        assert {i.state for i in ended.orders} == {state}
        assert ended.run.outcome is outcome
        assert desk.clock.now() - begun < timedelta(minutes=11)
        assert desk.booked() == []
    with strict(floor) as desk:  # nothing left: its session is free, once the halt is over
        with desk.trading.ledger.transaction("control") as tx:
            control.drop(tx, control.HALTED, "scripted", "ann")
        assert desk.run("two").run.outcome is Outcome.DONE
        assert len(desk.booked()) == 3


@pytest.mark.parametrize("can", [{}, NO_QUEUE])
def test_a_run_between_the_cut_off_and_the_close_is_refused_and_one_after_the_close_is_for_the_next_session(
    floor: Floor, can: dict[str, Any]
) -> None:
    """Three minutes before the close of D2 it knows D1 and is for D3: before an order for D3 may leave, D2 is complete."""
    with scene(floor, D1, at=before_cut_off(floor, D1, -120.0), can=can) as desk:
        for kind in (RunKind.DRY, RunKind.TRADE):
            begun = desk.clock.now()
            ended = desk.run(f"one-{kind}", kind=kind)
            assert (ended.run.as_of, ended.run.key.session) == (D1, D3)
            assert desk.clock.now() == begun
            assert ended.run.outcome is Outcome.REFUSED
            assert f"when the session {D2} is complete, and what is decided now does not know it" in ended.run.message
            assert f"the cut-off of {D2}, {D2} 20:55:00 UTC, has passed: run it after the close" in str(
                ended.problems[0].hint
            )
        assert (desk.booked(), all_of(desk)) == ([], [])
    with scene(floor, D2, can=can) as desk:
        ended = desk.run("two")
        assert (ended.run.as_of, ended.run.key.session, ended.run.outcome) == (D2, D3, Outcome.DONE)
    with scene(floor, D3, can=can) as desk:  # and the fills are those of the session it was for
        assert desk.run("three").run.outcome is Outcome.UNCHANGED
        with desk.trading.ledger.reading() as connection:
            days = {str(row[0])[:10] for row in connection.execute("SELECT at FROM fills")}
        assert days == {D3}


@pytest.mark.parametrize(("early", "told"), [(1.5, Outcome.DONE), (0.5, Outcome.UNCHANGED)])
def test_ledger_and_broker_are_compared_while_a_run_waits_for_the_open(
    floor: Floor, early: float, told: Outcome
) -> None:
    """And not once its orders are about to leave. early: before the open, in times of the longest comparison."""
    found: list[RunEnd] = []
    with strict(floor) as desk:
        at = minutes(desk) - early * desk.trading.config.execution.lookup_grace_s / 60
        carried(desk, (at, lambda: found.append(reconcile_job(desk.trading, "job compare", "adopt"))))
    assert found[0].outcome is told
    words = {Outcome.DONE: "the run one waits: nothing is adopted; ledger and broker agree"}
    assert found[0].message == words.get(told, "not compared: the run one is under way")


def killed_while_it_waits(floor: Floor) -> None:
    """A process that is killed by SIGKILL half an hour before the open."""

    def work() -> int:
        with strict(floor) as desk:
            carried(desk, (minutes(desk) - 30, lambda: os.kill(os.getpid(), signal.SIGKILL)))
        return 1

    assert child(work, None, Tally()) == -signal.SIGKILL


def test_a_killed_wait_goes_on_in_the_next_process(floor: Floor) -> None:
    killed_while_it_waits(floor)
    told: list[WaitingOrders | None] = []
    with strict(floor, at=open_of(floor) - timedelta(minutes=20), is_recovering=False) as desk:
        assert recover(desk.trading, leaves_waiting=True) == ()  # nobody is held up by it
        assert set(desk.states().values()) == {S.PLANNED}
        with pytest.raises(SigcError, match="already"):
            desk.run("again")
        verdict = complete(desk.trading, desk.record("one"), RunWatch(opening=told.append))
        assert verdict.outcome is Outcome.DONE
        assert {i.sent_at for i in all_of(desk)} == {open_of(floor)}
        assert len(desk.booked()) == 3
    assert told == [WaitingOrders(3, 0, open_of(floor)), None]


def test_a_killed_wait_that_is_over_is_sent_by_recovery_and_after_the_cut_off_it_ends(floor: Floor) -> None:
    killed_while_it_waits(floor)
    with strict(floor, at=open_of(floor) + timedelta(minutes=7)) as desk:
        assert desk.record("one").outcome is Outcome.DONE
        assert {i.sent_at for i in all_of(desk)} == {open_of(floor) + timedelta(minutes=7)}
    with strict(floor, at=before_cut_off(floor, D1, -1.0)) as desk:
        assert len(desk.booked()) == 3


def test_a_wait_that_nobody_resumed_ends_unsent(floor: Floor) -> None:
    killed_while_it_waits(floor)
    with strict(floor, at=before_cut_off(floor, D1, -1.0)) as desk:
        assert desk.record("one").outcome is Outcome.NOTHING_TRADED
        assert set(desk.states().values()) == {S.EXPIRED}
        assert desk.booked() == []


def test_a_halt_after_the_kill_counts(floor: Floor) -> None:
    killed_while_it_waits(floor)
    with strict(floor, at=open_of(floor) - timedelta(minutes=20), is_recovering=False) as desk:
        halts(desk)
        assert set(desk.states().values()) == {S.DENIED}
    with strict(floor, at=open_of(floor) + timedelta(minutes=1)) as desk:
        assert desk.record("one").outcome is Outcome.NOTHING_TRADED
        assert desk.booked() == []


def test_what_a_broker_keeps_off_before_the_open_waits_for_nothing_else(tmp_path: Path) -> None:
    """It is told as an order that waits for the broker: the open is not what it waits for."""
    from sigc_pipelines.brokers.faulty import Fault

    floor, told = written(tmp_path, {"A": 0.1}), list[WaitingOrders | None]()
    with scene(floor, D1) as desk:
        desk.broker.fail_next(Fault.THROTTLED)
        ended = carried(desk, watch=RunWatch(opening=told.append))
        assert ended.run.outcome is Outcome.DONE
    assert set(told) == {None}


@pytest.mark.parametrize("seconds", [39, 40, 41])
def test_a_plan_that_cannot_leave_at_the_brokers_rate_is_refused_with_the_arithmetic(
    tmp_path: Path, seconds: int
) -> None:
    """Three orders at three a minute: at 0, 20 and 40 s. With 40 s to the cut-off the last one would be too late."""
    floor = written(tmp_path, dict.fromkeys("ABC", 0.1))
    with scene(floor, D1, at=before_cut_off(floor, D1, seconds), can={"orders_per_minute": 3}) as desk:
        ended = desk.run("one")
        if seconds > 40:
            assert ended.run.outcome is Outcome.DONE
            return
        assert (ended.run.outcome, [d.code for d in ended.problems]) == (Outcome.REFUSED, ["E806"])
        assert "3 orders at 3 a minute, the most that the broker takes, need 1.0 minutes" in ended.run.message
        assert f"there are {seconds / 60:.1f} minutes" in ended.run.message
        assert all_of(desk) == []
        assert desk.audit("run.decided") == []
        assert "need 1.0 minutes" in desk.run("dry", kind=RunKind.DRY).run.message
    with scene(floor, D1, at=before_cut_off(floor, D1, seconds - 1)) as desk:  # its session is not used up
        assert desk.run("two").run.outcome is Outcome.DONE


def test_the_time_to_the_open_is_no_time_to_send(tmp_path: Path) -> None:
    """Three orders at one an hour: six hours and 25 minutes from the open; 400 do not fit, whenever it is asked."""
    floor = written(tmp_path, {f"A{n:03d}": 0.001 for n in range(400)}, config=free(safety={"max_order_pct": 0.5}))
    with strict(floor) as desk:
        desk.broker.can = NO_QUEUE | {"orders_per_minute": 1}
        ended = desk.run("one")
        assert [d.code for d in ended.problems] == ["E806"]
        assert "400 orders at 1 a minute" in ended.run.message
        assert "there are 385.0 minutes" in ended.run.message
        assert f"{open_of(floor) + timedelta(minutes=399):%Y-%m-%d %H:%M:%S} UTC" in ended.run.message


def test_slices_fit_by_the_time_of_the_last_of_them(tmp_path: Path) -> None:
    """Two assets, four slices over the last hour, due 15 minutes before the end: eight a minute fit, one an hour not."""
    for number, (per_minute, fits) in enumerate([(1, True), (8, True)]):
        floor = written(tmp_path / str(number), {"A": 0.1, "B": 0.1}, config=free(execution=HOUR))
        at = before_cut_off(floor, D1, 3600.0)
        with scene(floor, D1, at=at, can={"orders_per_minute": per_minute}) as desk:
            assert (desk.run("one").run.outcome is Outcome.DONE) is fits


def test_a_cut_off_before_the_open_leaves_no_time_at_a_broker_that_does_not_queue(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1}, config=free(execution={"cut_off": "open-10m"}))
    with strict(floor) as desk:
        ended = desk.run("one")
        assert [d.code for d in ended.problems] == ["E806"]
        opens, ends = (f"{open_of(floor) - timedelta(minutes=m):%H:%M:%S} UTC" for m in (0, 10))
        assert f"takes orders from {D2} {opens} on, and nothing is sent after {D2} {ends}" in ended.run.message
