"""Deadlines that act: reads, computations and requests that hang for real are given up, and never come back to the ledger."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.data.being_read import being_read
from sigc.errors import SigcError
from sigc.host.hung import BROKER, DATA, hung, told
from sigc.store.ledger import control
from sigc.store.ledger.fenced import Fence, FencedLedger, GivenUpError
from sigc.store.ledger.records import IntentState, Outcome, RunKind, StageName
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.compute import Loaded
from sigc_pipelines.live import stage_thread
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.recover import complete
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.run_watch import Pulse, RunWatch
from sigc_pipelines.live.stage_thread import StageWork, within
from sigc_pipelines.live.trading import Ended, Request
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.target_feeds import FreshFeed
from sigc_pipelines.targets import Targets
from tests.alerts.test_rules import alerts
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, Scene, before_cut_off, free, scene, written
from tests.why.scenes import NEW_YORK, answer, plan

S = IntentState


def until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def written_to(desk: Scene) -> int:
    with desk.trading.ledger.reading() as connection:
        return connection.total_changes


def test_a_read_that_hangs_is_given_up_and_its_thread_has_no_way_back(tmp_path: Path) -> None:
    """A source that is a named pipe without a writer: open() does not return."""
    floor = written(tmp_path, {"A": 0.1}, config=free(execution={"load_deadline_s": 0.5}))
    pipe, text = tmp_path / "sectors.csv", (tmp_path / "sectors.csv").read_text()
    pipe.unlink()
    os.mkfifo(pipe)
    with scene(floor, D1) as desk:
        begun = time.monotonic()
        ended = desk.run("one")
        assert time.monotonic() - begun < 20  # a hang has no end
        assert (ended.run.outcome, [d.code for d in ended.problems]) == (Outcome.REFUSED, ["E803"])
        assert (ended.stages[-1].name, ended.stages[-1].outcome) == (StageName.LOAD, "late")
        # Which source it was reading depends on how fast the others are read; see the test below.
        assert "the stage load of scripted took longer than its deadline of 0.5 s, reading " in ended.run.message
        assert told(DATA).startswith("the stage load of scripted hangs reading ")
        assert ", given up at 2016-01-04 21:01:00 UTC" in told(DATA)
        assert told(BROKER) == "ok"
        (thread,) = [one.thread for one in hung(DATA)]
        before = written_to(desk)
        with pipe.open("w") as writer:  # it returns, and finds a file when it opens it again
            pipe.unlink()
            pipe.write_text(text)
            writer.write(text)
        until(lambda: not thread.is_alive())
        assert told(DATA) == "ok"
        assert written_to(desk) == before
        assert desk.record("one").outcome is Outcome.REFUSED
    with scene(replace(floor, config=free()), D1) as desk:  # its session is free
        assert desk.run("two").run.outcome is Outcome.DONE


def test_what_was_being_read_at_the_deadline_is_named(floor: Floor) -> None:
    over = threading.Event()

    def work() -> None:
        with being_read("prices", "data/prices.parquet"):
            over.wait()

    with scene(floor, D1) as desk:
        stage = StageWork("a load", lambda: DATA, work, Fence(), desk.trading.ledger, desk.clock)
        try:
            with pytest.raises(SigcError) as late:
                within(stage, 0.2)
            told_late = "a load took longer than its deadline of 0.2 s, reading prices (prices.parquet)"
            told_late += ", given up at 2016-01-04 21:01:00 UTC"
            assert [(d.code, d.message) for d in late.value.diagnostics] == [("E803", told_late)]
            assert told(DATA).startswith("a load hangs reading prices (prices.parquet), given up at 2016-01-04")
            (thread,) = [one.thread for one in hung(DATA)]
        finally:
            over.set()
        thread.join(20.0)
        assert told(DATA) == "ok"


@dataclass(frozen=True, slots=True, eq=False)
class Stuck(FreshFeed):
    """A feed that does not come back from one of its calls until it is let go."""

    where: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    returned: threading.Event = field(default_factory=threading.Event)
    calls: list[str] = field(default_factory=list)

    def accepting(self, by_hand: frozenset[tuple[str, str]]) -> Stuck:  # noqa: ARG002
        """The same."""
        return self

    def look(self, loaded: Loaded, portfolio: str) -> Targets:
        """Stuck, or not."""
        self._may_hang("look")
        return FreshFeed.look(self, loaded, portfolio)

    def closes(self, loaded: Loaded, since: str) -> Closes:
        """Stuck, or not: the first call is of load, the second of validate."""
        self.calls.append(since)
        self._may_hang(f"closes {len(self.calls)}")
        return FreshFeed.closes(self, loaded, since)

    def _may_hang(self, where: str) -> None:
        if where == self.where:
            with being_read("sectors", "data/pipe.csv"):
                self.released.wait(60)
            self.returned.set()


def stuck(floor: Floor, where: str) -> Stuck:
    feed = floor.feed()
    return Stuck(feed.strategy, feed.workspace, feed.capital, where)


def run_of(desk: Scene, feed: FreshFeed, watch: RunWatch | None = None) -> Ended:
    return carry_out(desk.trading, Request("one", "scripted", "main", RunKind.TRADE, "tester"), feed, watch)


@pytest.mark.parametrize(("where", "name"), [("look", StageName.COMPUTE), ("closes 1", StageName.LOAD)])
def test_computing_that_hangs_is_given_up(tmp_path: Path, where: str, name: StageName) -> None:
    floor = written(tmp_path, {"A": 0.1}, config=free(execution={f"{name}_deadline_s": 0.5}))
    feed = stuck(floor, where)
    with scene(floor, D1) as desk:
        ended = run_of(desk, feed)
        assert (ended.run.outcome, ended.stages[-1].name, ended.stages[-1].outcome) == (Outcome.REFUSED, name, "late")
        assert [one.what for one in hung(DATA)] == [f"the stage {name} of scripted"]
        (thread,) = [one.thread for one in hung(DATA)]
        before = written_to(desk)
        feed.released.set()
        until(lambda: not thread.is_alive())
        assert feed.returned.is_set()
        assert written_to(desk) == before
        assert not (floor.work_dir / "runs" / "one" / "weights.json").exists()
    with scene(replace(floor, config=free()), D1) as desk:
        assert desk.run("two").run.outcome is Outcome.DONE


def test_the_alert_and_why_name_the_source_that_was_read_at_the_deadline(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1}, config=free(execution={"load_deadline_s": 0.5}))
    feed = stuck(floor, "closes 1")
    with scene(floor, D1) as desk:
        desk.trading.ledger.zone = NEW_YORK
        run_of(desk, feed)
        (alert,) = alerts(desk.trading.ledger)
        found = answer(floor.work_dir, plan(D2, desk.clock.now()))
        feed.released.set()
        until(lambda: told(DATA) == "ok")
    late = "the stage load of scripted took longer than its deadline of 0.5 s, reading sectors (pipe.csv)"
    late += ", given up at 2016-01-04 16:01:00 EST"
    assert (alert.rule, alert.title) == ("run_refused", "scripted: run refused")
    assert alert.text.splitlines()[0] == f"Session 2016-01-05. {late}"
    assert (found.stopped_by, found.verdict) == ("deadline", f"ran: refused, {late}")


def test_a_read_that_hangs_ends_soon_after_it_was_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_thread, "_LAST_WORDS_S", 0.2)
    floor = written(tmp_path, {"A": 0.1})
    feed, watch = stuck(floor, "look"), RunWatch()
    with scene(floor, D1) as desk:
        threading.Timer(0.3, watch.stop.set).start()
        assert run_of(desk, feed, watch).run.outcome is Outcome.CANCELLED
        feed.released.set()
        until(lambda: told(DATA) == "ok")
        assert desk.run("two").run.outcome is Outcome.DONE


class Hangs:
    """A request that does not return; when it hangs, the deadline of execute is over."""

    def __init__(self, clock: Callable[[], HandClock], seconds: float, number: int) -> None:
        self.clock, self.seconds, self.number = clock, seconds, number
        self.released = threading.Event()

    def __call__(self, number: int, _: OrderRequest) -> None:
        if number == self.number:
            self.clock().sleep(self.seconds)
            self.released.wait(60)


def hangs_at(desk: Scene, number: int) -> Hangs:
    desk.broker.hook = hook = Hangs(lambda: desk.clock, 700.0, number)
    return hook


def at_the_open(floor: Floor) -> datetime:
    return before_cut_off(floor, D1, 0.0) - timedelta(hours=6, minutes=25)


def given_up(desk: Scene) -> None:
    """A run of three orders whose second request hangs beyond the deadline."""
    ended = run_of(desk, desk.floor.feed(), RunWatch(pulse=Pulse(patience_s=0.3)))
    assert ended.run.outcome is Outcome.OPEN
    assert [d.code for d in ended.problems] == ["E803"]
    assert "the stage execute of scripted hangs since" in str(ended.problems[0].message)
    assert told(BROKER).startswith("the stage execute of scripted hangs")
    assert sorted(desk.states().values()) == [S.ACKNOWLEDGED, S.PLANNED, S.SENDING] or sorted(
        desk.states().values()
    ) == [S.PLANNED, S.SENDING, S.SENDING]  # the first answer is written with the next mark
    with desk.trading.ledger.reading() as connection:
        assert [c.scope for c in control.every(connection, control.REVOKED)] == ["one"]
        assert [(c.scope, c.value) for c in control.every(connection, control.HALTED)] == [("scripted", "unresolved")]


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, dict.fromkeys("ABC", 0.1), config=free(execution={"execute_deadline_s": 600.0}))


def test_a_request_that_hangs_is_looked_up_and_nothing_more_is_sent(floor: Floor) -> None:
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        hook = hangs_at(desk, 2)
        given_up(desk)
        (thread,) = [one.thread for one in hung(BROKER)]
        before = written_to(desk)
        hook.released.set()  # the request reaches the broker after all, and its answer comes back
        until(lambda: not thread.is_alive())
        assert written_to(desk) == before
        assert len(desk.booked()) == 2
        verdict = complete(desk.trading, desk.record("one"), why="it failed")
        assert verdict.outcome is Outcome.PARTIAL
        assert "execute took longer than its deadline of 600 s" in verdict.message
        assert desk.states() == {"A": S.ACKNOWLEDGED, "B": S.ACKNOWLEDGED, "C": S.EXPIRED}
        assert len(desk.booked()) == 2
        with desk.trading.ledger.reading() as connection:
            assert control.every(connection, control.REVOKED) == control.every(connection, control.HALTED) == ()


def test_a_request_that_arrives_after_it_was_looked_up_in_vain_is_known(floor: Floor) -> None:
    """Absent in two reads: given up. It arrives later, and the next sweep takes it in."""
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        hook = hangs_at(desk, 2)
        given_up(desk)
        (thread,) = [one.thread for one in hung(BROKER)]
        assert complete(desk.trading, desk.record("one"), why="it failed").outcome is Outcome.PARTIAL
        assert desk.states() == {"A": S.ACKNOWLEDGED, "B": S.EXPIRED, "C": S.EXPIRED}
        hook.released.set()
        until(lambda: not thread.is_alive())
        settle(desk.trading.ledger, desk.broker)
        assert desk.states() == {"A": S.ACKNOWLEDGED, "B": S.ACKNOWLEDGED, "C": S.EXPIRED}
        assert len(desk.booked()) == 2


def test_a_completion_that_hangs_is_given_up_too(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        hook = hangs_at(desk, 2)
        given_up(desk)
        stops = threading.Event()
        monkeypatch.setattr(desk.broker, "order", lambda _id: stops.wait(60) and None)
        with pytest.raises(SigcError, match="hangs since"):
            complete(desk.trading, desk.record("one"), RunWatch(pulse=Pulse(patience_s=0.3)), "it failed")
        monkeypatch.undo()
        assert desk.record("one").outcome is Outcome.OPEN
        hook.released.set()
        stops.set()
        until(lambda: told(BROKER) == "ok")
        assert complete(desk.trading, desk.record("one"), why="it failed").outcome is Outcome.PARTIAL


def test_a_revoked_run_sends_nothing_whatever_the_clock_says(floor: Floor) -> None:
    """Another process completes it with a clock that is set back."""
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        hook = hangs_at(desk, 2)
        given_up(desk)
        hook.released.set()
        until(lambda: told(BROKER) == "ok")
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        assert desk.states()["C"] is S.CANCELLED
        assert len(desk.booked()) == 2


def test_a_slow_request_within_the_deadline_is_not_given_up(floor: Floor) -> None:
    with scene(floor, D1, at=at_the_open(floor)) as desk:
        desk.broker.hook = lambda _number, _request: time.sleep(0.5)
        ended = run_of(desk, floor.feed(), RunWatch(pulse=Pulse(patience_s=0.1)))
        assert ended.run.outcome is Outcome.DONE


def test_a_fence_ends_every_way_to_the_ledger(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        fence, real = Fence(), desk.trading.ledger
        fenced = FencedLedger(real, fence)
        with fenced.transaction("control") as tx:
            control.put(tx, "disabled", "a", "true", "ann", "")
        fence.close(real)
        for way in (lambda: fenced.transaction("control"), fenced.reading):
            with pytest.raises(GivenUpError), way():
                raise AssertionError("inside")
        with pytest.raises(GivenUpError):
            fenced.reader()
        fenced.close()
        with real.transaction("control") as tx:
            assert control.drop(tx, "disabled", "a")


def test_a_fence_is_closed_between_transactions_only(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        fence, real = Fence(), desk.trading.ledger
        fenced, inside, go_on = FencedLedger(real, fence), threading.Event(), threading.Event()

        def writes() -> None:
            with fenced.transaction("control") as tx:
                inside.set()
                go_on.wait(20)
                control.put(tx, "disabled", "a", "true", "ann", "")

        writer = threading.Thread(target=writes)
        writer.start()
        inside.wait(20)
        closer = threading.Thread(target=lambda: fence.close(real))
        closer.start()
        go_on.set()
        writer.join(20)
        closer.join(20)
        with real.reading() as connection:
            assert control.get(connection, "disabled", "a") is not None
        with pytest.raises(GivenUpError), fenced.reading():
            raise AssertionError("inside")


def test_work_that_hangs_is_not_tried_without_end(floor: Floor) -> None:
    released = threading.Event()
    with scene(floor, D1) as desk:
        ledger, clock = desk.trading.ledger, desk.clock
        work = StageWork("the work", lambda: DATA, lambda: released.wait(60), Fence(), ledger, clock)
        for _ in range(3):
            with pytest.raises(SigcError, match="longer than its deadline"):
                within(work, 0.01)
        before = threading.active_count()
        with pytest.raises(SigcError, match="the work hangs since .*, 3 times: it is not tried again"):
            within(work, 0.01)
        assert threading.active_count() == before
        assert within(replace(work, what="other work", work=lambda: True, fence=Fence()), 5.0)
        released.set()
        until(lambda: told(DATA) == "ok")
        assert within(work, 5.0)
