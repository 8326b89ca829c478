"""How long the work of a stage is waited for, by a time that the test turns: no thread runs, and nothing is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.errors import SigcError
from sigc.host.hung import BROKER, told
from sigc.store.ledger.fenced import Fence, GivenUpError
from sigc.store.ledger.ledger import Ledger
from sigc_pipelines.live import stage_thread
from sigc_pipelines.live.run_watch import Pulse
from sigc_pipelines.live.stage_thread import CancelledError, FencedFeed, HungError, StageWork, to_end, within

NOON = datetime(2016, 1, 4, 12, tzinfo=UTC)


@dataclass
class Machine:
    """The time and the threads of a process. ends_at: when the work of its only thread does; late_s: of each wait.

    breaks_at: the wait at which a person presses Ctrl-C.
    """

    ends_at: float = 1e9
    late_s: float = 0.0
    breaks_at: int = 0
    now: float = 0.0
    waits: list[float] = field(default_factory=list)
    is_daemon: bool = False
    is_begun: bool = False
    is_over: bool = False
    is_set: bool = False  # the event that the work sets at its end
    work: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        """The machine's own time."""
        return self.now

    def is_alive(self) -> bool:
        """Of its thread."""
        return not self.is_over

    def begin(self, target: Callable[..., object], args: tuple[Any, ...], daemon: bool, **_: object) -> SimpleNamespace:
        """Its thread, which works only once its time has come."""
        self.work, self.is_daemon = (lambda: target(*args)), daemon
        return SimpleNamespace(start=lambda: setattr(self, "is_begun", True), is_alive=self.is_alive)

    def wait(self, seconds: float) -> bool:
        """So long, or until the work has ended."""
        self.waits.append(seconds)
        assert len(self.waits) < 100, "it waits without end"
        if len(self.waits) == self.breaks_at:
            raise KeyboardInterrupt
        until = self.now + seconds + self.late_s
        self.now = min(max(self.now, self.ends_at), until)
        if self.is_begun and self.now >= self.ends_at and not self.is_over:
            self.is_over = True
            self.work()
        self.now = self.now if self.is_set else until
        return self.is_set


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, HandClock(NOON), durable=False) as opened:
        yield opened


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine()
    event = SimpleNamespace(wait=made.wait, set=lambda: setattr(made, "is_set", True))
    threads = SimpleNamespace(Event=lambda: event, Thread=made.begin)
    monkeypatch.setattr(stage_thread, "time", made)
    monkeypatch.setattr(stage_thread, "threading", threads)
    yield made
    made.is_over = True  # nothing hangs any more


def stage(ledger: Ledger, *, answer: str = "found") -> StageWork[str]:
    return StageWork(
        "the work", lambda: BROKER, lambda: answer, Fence(), ledger, HandClock(NOON), stop=threading.Event()
    )


def is_given_up(work: StageWork[str]) -> bool:
    """Its thread finds no ledger any more, and the health check tells that it hangs."""
    assert told(BROKER) in ("ok", "the work hangs, given up at 2016-01-04 12:00:00 UTC")
    try:
        work.fence.check()
    except GivenUpError:
        assert told(BROKER) != "ok"
        return True
    assert told(BROKER) == "ok"
    return False


def test_work_is_looked_at_each_fifth_of_a_second_until_its_deadline(ledger: Ledger, machine: Machine) -> None:
    work = stage(ledger)
    with pytest.raises(SigcError, match=r"the work took longer than its deadline of 0\.5 s"):
        within(work, 0.5)
    assert machine.waits == pytest.approx([0.2, 0.2, 0.1])
    assert is_given_up(work)
    assert machine.is_daemon  # the end of the process waits for no thread that hangs


def test_work_is_late_at_its_deadline_and_not_a_look_after_it(ledger: Ledger, machine: Machine) -> None:
    with pytest.raises(SigcError, match=r"deadline of 0\.4 s"):
        within(stage(ledger), 0.4)
    assert machine.waits == [0.2, 0.2]


def test_work_that_ends_in_time_gives_what_it_found(ledger: Ledger, machine: Machine) -> None:
    machine.ends_at = 0.125
    work = stage(ledger)
    assert within(work, 0.125) == "found"  # just in time
    assert not is_given_up(work)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_work_that_ended_late_is_late_unless_somebody_cancelled_it(
    ledger: Ledger, machine: Machine, is_stopped: bool
) -> None:
    """A busy machine looks half a second late: the work ended, but after its deadline."""
    machine.ends_at, machine.late_s = 0.3, 0.5
    work = stage(ledger)
    if is_stopped:
        work.stop.set()
        assert within(work, 0.25) == "found"
    else:
        with pytest.raises(SigcError, match=r"deadline of 0\.25 s"):
            within(work, 0.25)
    assert not is_given_up(work)


def test_work_that_was_cancelled_has_five_seconds_to_end(
    ledger: Ledger, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_thread, "_LOOK_EVERY_S", 0.25)  # sums of it are exact
    work = stage(ledger)
    work.stop.set()
    with pytest.raises(CancelledError):
        within(work, 60.0)
    assert machine.now == 5.25  # seen at the first look
    assert is_given_up(work)


def test_work_that_ends_soon_after_it_was_cancelled_is_not_given_up(ledger: Ledger, machine: Machine) -> None:
    machine.ends_at = 4.0
    work = stage(ledger)
    work.stop.set()
    assert within(work, 60.0) == "found"
    assert not is_given_up(work)


def test_a_person_who_interrupts_gives_it_up(ledger: Ledger, machine: Machine) -> None:
    machine.breaks_at = 2
    work = stage(ledger)
    with pytest.raises(KeyboardInterrupt):
        within(work, 60.0)
    assert is_given_up(work)


def test_a_person_who_interrupts_gives_up_the_sending_too(ledger: Ledger, machine: Machine) -> None:
    machine.breaks_at = 2
    work = stage(ledger)
    with pytest.raises(KeyboardInterrupt):
        to_end(work, Pulse(), lambda _: None)
    assert is_given_up(work)


@pytest.mark.parametrize(("early_s", "patience_s"), [(0.0, -1.0), (1.0, -1.0), (0.0, 3600.0)])
def test_sending_is_given_up_at_its_end_once_it_is_silent(
    ledger: Ledger, machine: Machine, early_s: float, patience_s: float
) -> None:
    """patience_s -1: no sign of life is young enough."""
    machine.ends_at = 3.0
    work, heard = stage(ledger, answer="sent"), list[tuple[str, bool]]()

    def on_hung(why: str) -> None:
        heard.append((why, is_given_up(work)))

    pulse = Pulse(ends=NOON + timedelta(seconds=early_s), patience_s=patience_s)
    if (early_s, patience_s) == (0.0, -1.0):
        with pytest.raises(HungError, match="the work hangs since"):
            to_end(work, pulse, on_hung)
        assert machine.waits == [0.2]
        assert [is_closed for _, is_closed in heard] == [True]
    else:
        assert to_end(work, pulse, on_hung) == "sent"
        assert heard == []


def test_work_that_hangs_three_times_is_not_tried_again_but_other_work_is(ledger: Ledger, machine: Machine) -> None:
    for _ in range(3):
        with pytest.raises(SigcError, match="longer than its deadline"):
            within(stage(ledger), 0.2)
    with pytest.raises(HungError, match="the work hangs since 2016-01-04 12:00:00 UTC, 3 times: it is not tried again"):
        within(stage(ledger), 0.2)
    assert machine.waits == [0.2, 0.2, 0.2]
    with pytest.raises(SigcError, match="other work took longer"):
        within(replace(stage(ledger), what="other work"), 0.2)


@dataclass
class Inner:
    """A feed that tells what it was asked, and may have its thread given up meanwhile."""

    is_kept: bool
    act: Callable[[], None] = lambda: None
    accepted: frozenset[tuple[str, str]] = frozenset()

    def accepting(self, by_hand: frozenset[tuple[str, str]]) -> Inner:
        """The same, with those prices."""
        return Inner(self.is_kept, self.act, by_hand)

    def load(self, until: str) -> Any:
        """What is accepted, and the day."""
        self.act()
        return until, self.accepted

    def closes(self, loaded: Any, since: str) -> Any:
        """What was given."""
        self.act()
        return loaded, since

    def look(self, loaded: Any, portfolio: str) -> Any:
        """What was given."""
        self.act()
        return loaded, portfolio


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_fenced_feed_answers_as_the_one_within(is_kept: bool) -> None:
    """is_kept decides whether prices are restated as they were traded: a wrong answer trades adjusted ones."""
    fence = Fence()
    feed: Any = FencedFeed(Inner(is_kept), fence)
    assert (feed.is_kept, feed.is_busy) == (is_kept, False)
    assert feed.load("2016-01-04") == ("2016-01-04", frozenset())
    by_hand = frozenset({("A", "2016-01-04")})
    other = feed.accepting(by_hand)
    assert other.load("2016-01-05") == ("2016-01-05", by_hand)
    assert (other.fence is fence, other.going is feed.going, other.is_kept) == (True, True, is_kept)
    assert other.closes("loaded", "2016-01-01") == ("loaded", "2016-01-01")
    assert other.look("loaded", "main") == ("loaded", "main")


@pytest.mark.parametrize("call", ["load", "closes", "look"])
def test_an_answer_that_comes_after_the_stage_was_given_up_reaches_nobody(ledger: Ledger, call: str) -> None:
    fence, seen = Fence(), list[bool]()

    def act() -> None:
        seen.append(feed.is_busy)
        fence.close(ledger)

    feed: Any = FencedFeed(Inner(True, act), fence)
    given = ("2016-01-04",) if call == "load" else ("loaded", "main")
    with pytest.raises(GivenUpError):
        getattr(feed, call)(*given)
    assert (seen, feed.is_busy) == ([True], False)
