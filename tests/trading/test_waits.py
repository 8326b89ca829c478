"""How long an execution waits, to the second: for reads, for what the broker keeps off, for fills, for nothing more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.errors import Severity
from sigc.store.ledger import control
from sigc.store.ledger.records import IntentState, Outcome, RunKind
from sigc_pipelines.brokers.faulty import Fault, Faults
from sigc_pipelines.brokers.protocol import (
    Account,
    Activities,
    Broker,
    BrokerOrder,
    Capabilities,
    OrderRequest,
    OrderStatus,
)
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.trading import Ended, Request, RunWatch
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, KilledError, Scene, before_cut_off, free, scene, written

S = IntentState


class Alarm(HandClock):
    """Hands shared with another clock; it does things at their time, in seconds from the start."""

    def __init__(self, inner: HandClock, *acts: tuple[float, Callable[[], object]]) -> None:
        self.inner, self.begun, self.acts = inner, inner.now(), sorted(acts, key=lambda act: act[0])

    def now(self) -> datetime:
        return self.inner.now()

    def sleep(self, seconds: float) -> None:
        self.inner.sleep(seconds)
        while self.acts and self.acts[0][0] <= self.passed():
            self.acts.pop(0)[1]()

    def passed(self) -> float:
        return (self.now() - self.begun).total_seconds()


class Real:
    """A broker that trades, and is told no market: what is behind it is filled when the test marks it."""

    def __init__(self, inner: Broker) -> None:
        self.inner = inner

    def capabilities(self) -> Capabilities:
        return replace(self.inner.capabilities(), simulated=False)

    def account(self) -> Account:
        return self.inner.account()

    def positions(self) -> dict[str, Decimal]:
        return self.inner.positions()

    def submit(self, request: OrderRequest) -> BrokerOrder:
        return self.inner.submit(request)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self.inner.order(client_order_id)

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        return self.inner.orders(since)

    def cancel(self, client_order_id: str) -> None:
        self.inner.cancel(client_order_id)

    def activities(self, cursor: str) -> Activities:
        return self.inner.activities(cursor)


def one_asset(folder: Path, **execution: Any) -> Floor:
    return written(folder, {"A": 0.1}, config=free(execution={"lookup_backoff_s": 1.0} | execution))


def asked(desk: Scene, operation: str, since: datetime) -> list[float]:
    """When a read was asked for, in seconds."""
    return [(at - since).total_seconds() for name, at in desk.broker.calls if name == operation and at >= since]


def test_reads_are_spaced_by_doubled_waits_until_it_is_given_up(tmp_path: Path) -> None:
    """Silence from the send on, 90 s before the cut-off: 1, 2, 4, 8, 16 and 30 s between, and 32 s more than it."""
    floor = one_asset(tmp_path)
    with scene(floor, D1, at=before_cut_off(floor, D1, 90.0), rates=Faults(unknown=1.0)) as desk:
        desk.broker.hook = lambda _number, _request: setattr(desk.broker, "is_silent", True)
        begun = desk.clock.now()
        assert desk.run("one").run.outcome is Outcome.UNRESOLVED
        assert asked(desk, "order", begun) == [1, 3, 7, 15, 31, 61, 91, 121]
        assert (desk.clock.now() - begun).total_seconds() == 122


def test_what_a_crash_left_is_asked_for_at_once_and_as_long_after_the_cut_off(tmp_path: Path) -> None:
    floor = one_asset(tmp_path)

    def die(_number: int, _request: OrderRequest) -> None:
        raise KilledError

    with scene(floor, D1, at=before_cut_off(floor, D1, 90.0), hook=die) as desk, pytest.raises(KilledError):
        desk.run("one")
    begun = before_cut_off(floor, D1, -200.0)
    with scene(floor, D1, at=begun, is_silent=True) as later:
        assert asked(later, "order", begun) == [0, 2, 6, 14, 30]
        assert (later.clock.now() - begun).total_seconds() == 32
        assert later.states() == {"A": S.SENDING}


def test_an_order_that_the_list_shows_and_its_id_does_not_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled in the book meanwhile, it is in the list of what was sent since, not among the open ones."""
    with scene(one_asset(tmp_path), D1) as desk:
        desk.broker.fail_next(Fault.UNKNOWN)
        monkeypatch.setattr(desk.broker, "order", lambda _: None)
        begun = desk.clock.now()
        clock = Alarm(desk.clock, (0.5, lambda: desk.paper.cancel(desk.booked()[0].request.client_order_id)))
        ended = carried(desk, RunWatch(), clock)
        assert [(i.state, i.attempts) for i in ended.orders] == [(S.CANCELLED, 1)]
        assert 1.0 in asked(desk, "orders", begun)


@pytest.mark.parametrize("attempt", [1, 2])
def test_what_waits_for_its_slice_and_for_the_broker_waits_for_the_later(tmp_path: Path, attempt: int) -> None:
    """Slices at 0 and 30 minutes; the broker asks for 7 s at the first, or at the second."""
    floor = one_asset(tmp_path, style="twap", slices=2, window_minutes=60.0)
    opens = before_cut_off(floor, D1, 0.0) - timedelta(hours=6, minutes=25)
    with scene(floor, D1, at=opens, rates=Faults(retry_after_s=7.0)) as desk:
        desk.broker.hook = lambda number, _: desk.broker.fail_next(*[Fault.THROTTLED] * (number == attempt))
        desk.run("one")
        assert asked(desk, "submit", opens) == ([0, 7, 1800] if attempt == 1 else [0, 1800, 1807])


def refusing(desk: Scene, asset: str) -> None:
    """The broker takes the orders of an asset, and answers that they are rejected."""
    plain = desk.broker.submit

    def submit(request: OrderRequest) -> BrokerOrder:
        answer = plain(request)
        return replace(answer, status=OrderStatus.REJECTED) if request.asset == asset else answer

    desk.broker.submit = submit  # type: ignore[method-assign]


def test_an_answer_is_written_once_whatever_is_written_after_it(tmp_path: Path) -> None:
    """A's no is written with the mark of B; with what a look finds of B, at 7 s to the second; with the second slice."""
    two = {"A": 0.1, "B": 0.1}
    with scene(written(tmp_path / "mark", two), D1) as desk:
        refusing(desk, "A")
        assert [(i.asset, i.state) for i in desk.run("one").orders] == [("A", S.REJECTED), ("B", S.ACKNOWLEDGED)]
        assert len(desk.audit("order.rejected")) == 1
    config = free(execution={"lookup_backoff_s": 1.0, "lookup_grace_s": 7.0})
    with scene(written(tmp_path / "look", two, config=config), D1, rates=Faults(retry_after_s=7.0)) as desk:
        refusing(desk, "A")
        desk.broker.fail_next(Fault.THROTTLED, Fault.LOST)
        begun = desk.clock.now()
        assert [(i.asset, i.state) for i in desk.run("one").orders] == [("A", S.REJECTED), ("B", S.ACKNOWLEDGED)]
        assert asked(desk, "submit", begun) == [0, 0, 7, 7]
    floor = one_asset(tmp_path / "slice", style="twap", slices=2, window_minutes=60.0)
    opens = before_cut_off(floor, D1, 0.0) - timedelta(hours=6, minutes=25)
    with scene(floor, D1, at=opens) as desk:
        refusing(desk, "A")
        assert [i.state for i in desk.run("one").orders] == [S.REJECTED, S.REJECTED]


@pytest.mark.parametrize(("wants", "waits"), [(0.0, 0.001), (7.0, 7.0), (100.0, 30.0)])
def test_what_the_broker_keeps_off_is_sent_again_within_half_a_minute(
    tmp_path: Path, wants: float, waits: float
) -> None:
    with scene(one_asset(tmp_path), D1, rates=Faults(retry_after_s=wants)) as desk:
        desk.broker.fail_next(Fault.THROTTLED)
        begun = desk.clock.now()
        assert desk.run("one").orders[0].attempts == 2
        assert (desk.clock.now() - begun).total_seconds() == waits


def test_nothing_is_slept_for_beyond_the_cut_off(tmp_path: Path) -> None:
    floor = one_asset(tmp_path)
    with scene(floor, D1, at=before_cut_off(floor, D1, 10.0), rates=Faults(throttled=1.0, retry_after_s=7.0)) as desk:
        ended = desk.run("one")
        assert desk.clock.now() == ended.run.cut_off
        assert desk.broker.submits == 2
        (found,) = [f for s in ended.stages for f in s.findings if f.check == "cut_off"]
        assert (found.severity, found.assets) == (Severity.WARNING, ("A",))
        assert found.message == "the cut-off, 2016-01-05 20:55:00 UTC, passed before this order was sent"


def test_a_stop_is_noticed_within_a_second(tmp_path: Path) -> None:
    """Slices are a quarter of an hour apart; who stops it in between does not wait for the next."""
    floor = one_asset(tmp_path, style="twap", slices=4, window_minutes=60.0, lookup_backoff_s=0.25)
    opens = before_cut_off(floor, D1, 0.0) - timedelta(hours=6, minutes=25)
    with scene(floor, D1, at=opens) as desk:
        watch = RunWatch()
        clock = Alarm(desk.clock, (100.5, watch.stop.set))
        ended = carried(desk, watch, clock)
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED] + [S.CANCELLED] * 3
        assert clock.passed() == 100.75
        (found,) = [f for s in ended.stages for f in s.findings if f.check == "cancelled"]
        assert (found.severity, found.assets) == (Severity.WARNING, ("A",))
        assert found.message == "the run was cancelled before this order was sent"


def test_a_cancel_in_the_ledger_is_noticed_at_once(tmp_path: Path) -> None:
    floor = one_asset(tmp_path, style="twap", slices=4, window_minutes=60.0)
    opens = before_cut_off(floor, D1, 0.0) - timedelta(hours=6, minutes=25)
    with scene(floor, D1, at=opens) as desk:

        def cancel() -> None:
            with desk.trading.ledger.transaction("control") as tx:
                control.put(tx, control.CANCELLED, "one", "", "ann", "not today")

        clock = Alarm(desk.clock, (100.5, cancel))
        ended = carried(desk, RunWatch(), clock)
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED] + [S.CANCELLED] * 3
        why = "the run was cancelled before this order was sent, by ann: not today"
        assert [i.message for i in ended.orders[1:]] == [why] * 3
        assert clock.passed() == 100.5


def carried(desk: Scene, watch: RunWatch, clock: HandClock, broker: Broker | None = None) -> Ended:
    if broker is not None:
        desk.paper.deposit("capital", Decimal(1_000_000))
        day = desk.floor.calendar.before_or_on(desk.clock.now().date())
        desk.paper.mark(str(day.day), day.close, dict.fromkeys("AB", Decimal(100)), dict.fromkeys("AB", Decimal(10**6)))
    trading = replace(desk.trading, clock=clock, broker=broker or desk.broker)
    return carry_out(trading, Request("one", "scripted", "main", RunKind.TRADE, "ann"), desk.floor.feed(), watch)


def filling(desk: Scene) -> None:
    """The next session's price is here, early."""
    session = desk.floor.calendar.after(desk.floor.calendar.before_or_on(desk.clock.now().date()).day)
    desk.paper.mark(str(session.day), desk.clock.now(), {"A": Decimal(100)}, {"A": Decimal(10**6)})


@pytest.mark.parametrize(("wait", "expected"), [(5.0, [0, 2, 4, 5]), (4.0, [0, 2, 4]), (0.0, [0])])
def test_fills_of_a_real_broker_are_waited_for(tmp_path: Path, wait: float, expected: list[float]) -> None:
    floor = one_asset(tmp_path, lookup_backoff_s=2.0, fill_wait_s=wait)
    with scene(floor, D1) as desk:
        clock = Alarm(desk.clock)
        ended = carried(desk, RunWatch(), clock, Real(desk.broker))
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED]
        assert fills_asked(desk, clock) == expected
        assert clock.passed() == expected[-1]


def fills_asked(desk: Scene, clock: Alarm) -> list[float]:
    """When fills were asked for after the order went out."""
    sent = max(n for n, (name, _) in enumerate(desk.broker.calls) if name == "submit")
    return [(at - clock.begun).total_seconds() for name, at in desk.broker.calls[sent:] if name == "activities"]


def test_nobody_waits_when_all_is_filled(tmp_path: Path) -> None:
    with scene(one_asset(tmp_path, lookup_backoff_s=2.0, fill_wait_s=60.0), D1) as desk:
        clock = Alarm(desk.clock, (3.0, lambda: filling(desk)))
        ended = carried(desk, RunWatch(), clock, Real(desk.broker))
        assert [(i.state, i.filled) for i in ended.orders] == [(S.FILLED, Decimal(1000))]
        assert fills_asked(desk, clock) == [0, 2, 4]


def test_fills_are_waited_for_while_one_order_works(tmp_path: Path) -> None:
    config = free(execution={"lookup_backoff_s": 2.0, "fill_wait_s": 5.0})
    with scene(written(tmp_path, {"A": 0.1, "B": 0.1}, config=config), D1) as desk:
        clock = Alarm(desk.clock, (1.0, lambda: filling(desk)))
        ended = carried(desk, RunWatch(), clock, Real(desk.broker))
        assert [(i.asset, i.state) for i in ended.orders] == [("A", S.FILLED), ("B", S.ACKNOWLEDGED)]
        assert fills_asked(desk, clock) == [0, 2, 4, 5]


def test_fills_are_not_waited_for_beyond_the_cut_off(tmp_path: Path) -> None:
    floor = one_asset(tmp_path, lookup_backoff_s=2.0, fill_wait_s=60.0)
    with scene(floor, D1, at=before_cut_off(floor, D1, 3.0)) as desk:
        clock = Alarm(desk.clock)
        ended = carried(desk, RunWatch(), clock, Real(desk.broker))
        assert fills_asked(desk, clock) == [0, 2, 3]
        assert clock.now() == ended.run.cut_off


def test_a_stop_ends_the_wait_for_fills(tmp_path: Path) -> None:
    with scene(one_asset(tmp_path, lookup_backoff_s=2.0, fill_wait_s=60.0), D1) as desk:
        watch = RunWatch()
        clock = Alarm(desk.clock, (1.0, watch.stop.set))
        carried(desk, watch, clock, Real(desk.broker))
        assert fills_asked(desk, clock) == [0, 2]


@pytest.mark.parametrize("silence", [1, 100])
def test_a_broker_that_does_not_say_what_was_filled_is_told_of_once(tmp_path: Path, silence: int) -> None:
    """Silence for a while is none; silence until the time is up is a warning."""
    floor = one_asset(tmp_path, lookup_backoff_s=2.0, fill_wait_s=5.0)
    with scene(floor, D1) as desk:
        desk.broker.hook = lambda _number, _request: desk.broker.fail_next(*[Fault.UNREACHABLE] * silence)
        clock = Alarm(desk.clock)
        ended = carried(desk, RunWatch(), clock, Real(desk.broker))
        found = [f.message for s in ended.stages for f in s.findings if f.check == "broker"]
        assert found == ["the broker did not say what was filled: activities had no answer"] * (silence > 1)
        assert fills_asked(desk, clock) == [0, 2, 4, 5]
        assert ended.run.outcome is Outcome.DONE


def test_a_simulation_is_not_waited_for(tmp_path: Path) -> None:
    with scene(one_asset(tmp_path, fill_wait_s=60.0), D1) as desk:
        begun = desk.clock.now()
        desk.run("one")
        assert desk.clock.now() == begun
        assert len(asked(desk, "activities", begun)) >= 2
    with scene(desk.floor, D2) as later:
        later.run("two")
        assert later.states("one") == {"A": S.FILLED}
