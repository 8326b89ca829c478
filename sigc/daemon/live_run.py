"""One run under way, as the event loop has it: its order, its progress, its end; and the slot that it holds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sigc.daemon.lifecycle.phase import LastRun
from sigc.daemon.ordering import status_text
from sigc.daemon.runner import RunEnd, Runner, RunOrder
from sigc.data.being_read import SourceReads
from sigc.rpc.messages.requests import RunStatus
from sigc.rpc.messages.status import ReadTold
from sigc.store.ledger.waiting_orders import WaitingOrders


class Slot:
    """One of the slots for runs, taken; given back once."""

    def __init__(self, of: asyncio.Semaphore) -> None:
        self._of: asyncio.Semaphore | None = of

    def give_back(self) -> None:
        """Give it back, unless it was."""
        of, self._of = self._of, None
        if of is not None:
            of.release()


@dataclass(eq=False)
class LiveRun:
    """A run under way and its progress. end: None until it is over.

    left: why it was left open after it decided, if it is only to be completed; '' for a new one. waits_until: when it
    goes on, if it waits for a time; None while it works, or waits for an answer. waiting: its orders that wait for the
    open; it holds no slot then, nor afterwards. reads: what it is reading. earlier:
    the last run of the strategy before it.
    """

    order: RunOrder
    runner: Runner
    asked: datetime
    state: str = "waiting"
    stage: str = ""
    done: int = 0
    total: int = 0
    text: str = ""
    stages: dict[str, float] = field(default_factory=dict)
    finished: datetime | None = None
    end: RunEnd | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    stage_began: float = 0.0
    left: str = ""
    waits_until: datetime | None = None
    waiting: WaitingOrders | None = None
    slot: Slot | None = None
    reads: SourceReads = field(default_factory=SourceReads)
    earlier: LastRun | None = None

    def tell(self) -> None:
        """Wake everyone who follows the run."""
        # A new event before the old one is set: a follower that wakes waits for the next change, and none is missed.
        told, self.news = self.news, asyncio.Event()
        told.set()

    async def until_it_waits(self) -> None:
        """Wait until the run is over or waits for a later time."""
        async for _ in self.follow():
            if self.waits_until is not None:
                return

    async def follow(self) -> AsyncIterator[RunStatus]:
        """Yield the run's status at once and at each change; the last one is its end."""
        while True:
            # Read before the yield: the run may end while the caller has the status, which is then not the last one.
            news, has_ended = self.news, self.end is not None
            yield self.status()
            if has_ended:
                return
            await news.wait()

    def status(self, with_result: bool = True) -> RunStatus:
        """Return the run as it goes over the wire."""
        end, order = self.end, self.order
        ended: Mapping[str, Any] = {"waiting": self.waiting}
        if end is not None:
            ended = {"outcome": str(end.outcome), "message": end.message, "session": end.session, "as_of": end.as_of}
            ended |= {"waiting": end.waiting}
            ended |= {"findings": end.findings, "result": end.result} if with_result else {}
        return RunStatus(
            order.id,
            order.strategy,
            order.kind,
            self.state,
            self.asked,
            self.stage,
            self.done,
            self.total,
            self.text,
            self.finished,
            who=order.who,
            job=order.job,
            reason=order.reason,
            stages={**self.stages, **(end.stages if end is not None else {})},
            reads=reads_told(self.reads) if end is None else (),
            **ended,
        )


def reads_told(reads: SourceReads) -> tuple[ReadTold, ...]:
    """Return what is being read, as it goes over the wire."""
    return tuple(ReadTold(name, round(seconds, 1)) for name, seconds in reads.under_way())


def note_last(last: dict[str, LastRun], live: LiveRun, end: RunEnd) -> None:
    """Note an ended run as the last one of its strategy; a scratch run changed nothing, so the one before it stays."""
    known = LastRun(live.order.id, live.finished or live.asked, status_text(end.outcome), waiting=end.waiting)
    found = live.earlier if end.is_scratch else known
    last.pop(live.order.strategy, None)
    if found is not None:
        last[live.order.strategy] = found
