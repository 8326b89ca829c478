"""Deadlines that act: the work of a stage in a thread of its own, which is given up when its time is over.

    within     load, compute, validate: given up at the deadline of the stage
    to_end     execute: never before its end of sending, and only when nothing moves in it any more

A thread cannot be ended from outside. One that is given up goes on hanging, behind a closed fence
(`sigc.store.ledger.fenced`): should it ever return, it finds neither ledger nor data, and ends. Until then the health
check of what hangs fails (`hung.py`).
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sigc.clock import Clock
from sigc.data.being_read import SourceReads
from sigc.errors import Diagnostic, SigcError
from sigc.host.hung import HungThread, hung, note
from sigc.store.ledger.fenced import Fence, GivenUpError
from sigc.store.ledger.ledger import Ledger
from sigc.words import local_time
from sigc_pipelines.compute import Loaded
from sigc_pipelines.live.run_watch import Pulse
from sigc_pipelines.live.trading import TargetFeed
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.targets import Targets

T = TypeVar("T")
_LOOK_EVERY_S = 0.2
_MOST_HUNG = 3  # threads that hang in the same work, before it is not tried any more
_LAST_WORDS_S = 5.0  # longest time that work may take to end after it was cancelled


class CancelledError(Exception):
    """The run was cancelled by a person."""


class HungError(SigcError):
    """Work hangs and was given up. Of execute nothing more is sent; the outcome of its last request is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class FencedFeed:
    """A feed whose answers do not reach a thread that was given up."""

    inner: TargetFeed
    fence: Fence
    going: list[str] = field(default_factory=list)  # the calls under way

    @property
    def is_busy(self) -> bool:
        """True while a call is under way, or hangs."""
        return bool(self.going)

    @property
    def is_kept(self) -> bool:
        """As the inner one."""
        return self.inner.is_kept

    def accepting(self, by_hand: frozenset[tuple[str, str]]) -> FencedFeed:
        """Return the same with prices that a person has accepted."""
        return FencedFeed(self.inner.accepting(by_hand), self.fence, self.going)

    def load(self, until: str) -> Loaded:
        """Load the sources. Raise GivenUpError."""
        return self._asked(lambda: self.inner.load(until))

    def closes(self, loaded: Loaded, since: str) -> Closes:
        """Return closing prices. Raise GivenUpError."""
        return self._asked(lambda: self.inner.closes(loaded, since))

    def look(self, loaded: Loaded, portfolio: str) -> Targets:
        """Return the wanted weights. Raise GivenUpError."""
        return self._asked(lambda: self.inner.look(loaded, portfolio))

    def _asked(self, call: Callable[[], T]) -> T:
        self.going.append("")
        try:
            found = call()
        finally:
            self.going.pop()
        self.fence.check()
        return found


@dataclass(frozen=True, slots=True, eq=False)
class StageWork(Generic[T]):
    """Work of a stage. what: its name for people; check: returns the health check that fails while it hangs.

    stop: set by a person who cancels it. ledger: the real one, for the fence.
    """

    what: str
    check: Callable[[], str]
    work: Callable[[], T]
    fence: Fence
    ledger: Ledger
    clock: Clock
    stop: threading.Event = field(default_factory=threading.Event)


def within(stage: StageWork[T], deadline_s: float) -> T:
    """Return the result of the work, or raise its error.

    Raise SigcError E803 at the deadline, CancelledError when it does not end after a cancel.
    """
    end, stopped_at = time.monotonic() + deadline_s, None
    going = _Going(stage)
    try:
        while not going.wait(max(0.0, min(end - time.monotonic(), _LOOK_EVERY_S))):
            now = time.monotonic()
            if now >= end:
                going.give_up()
                raise _late(stage, deadline_s, str(going.reads))
            if stage.stop.is_set():
                stopped_at = now if stopped_at is None else stopped_at
                if now >= stopped_at + _LAST_WORDS_S:
                    going.give_up()
                    raise CancelledError
        if going.ended_at > end and not stage.stop.is_set():  # late, however soon that was seen
            raise _late(stage, deadline_s, str(going.reads))
        return going.result()
    except KeyboardInterrupt:
        going.give_up()
        raise


def _late(stage: StageWork[T], deadline_s: float, read: str) -> SigcError:
    """Return E803. read: the sources that were being read at the deadline."""
    why = f"{stage.what} took longer than its deadline of {deadline_s:g} s" + (f", reading {read}" if read else "")
    return SigcError(Diagnostic("E803", f"{why}, given up at {_now(stage)}"))


def _now(stage: StageWork[T]) -> str:
    return local_time(stage.clock.now(), stage.ledger.zone)


def to_end(stage: StageWork[T], pulse: Pulse, on_hung: Callable[[str], None]) -> T:
    """Return the result of the work, or raise its error. Raise HungError if it hangs after its end of sending.

    on_hung: called with why, after the fence is closed. pulse: of the work.
    """
    going = _Going(stage)
    try:
        while not going.wait(_LOOK_EVERY_S):
            if stage.clock.now() >= pulse.ends and pulse.is_silent:
                hangs = f"{stage.what} hangs since {pulse.silent_s:.0f} s"
                why = f"{hangs}: it was given up at {_now(stage)}, after its deadline"
                going.give_up()
                on_hung(why)
                raise HungError(Diagnostic("E803", why, hint="its last request is looked up at the broker"))
        return going.result()
    except KeyboardInterrupt:
        going.give_up()
        raise


def _refuse_to_pile_up(what: str, zone: str) -> None:
    """Raise HungError while several threads hang in the same work: another one would hang too."""
    those = [one for one in hung() if one.what == what]
    if len(those) >= _MOST_HUNG:
        why = f"{what} hangs since {local_time(those[0].since, zone)}, {len(those)} times: it is not tried again"
        raise HungError(Diagnostic("E803", why, hint="find out what of it does not answer, or restart the daemon"))


class _Going(Generic[T]):
    """Work under way in its thread."""

    def __init__(self, stage: StageWork[T]) -> None:
        _refuse_to_pile_up(stage.what, stage.ledger.zone)
        self._stage, self._done = stage, threading.Event()
        self.ended_at = 0.0  # by the monotonic clock
        self._results: list[T] = []
        self._error: BaseException | None = None
        # A daemon thread: the end of the process does not wait for one that hangs.
        context = contextvars.copy_context()
        self.reads = SourceReads()
        context.run(self.reads.follow)
        self._thread = threading.Thread(target=context.run, args=(self._work,), name="sigc-stage", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        return self._done.wait(seconds)

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]

    def give_up(self) -> None:
        stage = self._stage
        stage.fence.close(stage.ledger)
        note(HungThread(self._thread, stage.check(), stage.what, stage.clock.now(), str(self.reads), stage.ledger.zone))

    def _work(self) -> None:
        try:
            self._results.append(self._stage.work())
        except GivenUpError:
            pass
        except BaseException as error:  # raised again in the thread that waits
            self._error = error
        finally:
            self.ended_at = time.monotonic()
            self._done.set()
