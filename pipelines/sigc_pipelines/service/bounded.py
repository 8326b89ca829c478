"""Reads of a daemon beside its trades, given up at a deadline: a source that hangs holds neither a slot nor a book."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from sigc.clock import Clock
from sigc.host.hung import BROKER, DATA
from sigc.store.ledger.fenced import Fence, FencedLedger
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey
from sigc_pipelines.live.roll_forward import KeptBook, keep
from sigc_pipelines.live.stage_thread import FencedFeed, StageWork, within
from sigc_pipelines.live.trading import TargetFeed, Trading

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class BoundedReads:
    """Reads of a strategy's data, each in a thread that is given up at its deadline."""

    ledger: Ledger
    clock: Clock
    strategy: str
    stop: threading.Event

    def ask(self, name: str, deadline_s: float, read: Callable[[], T]) -> T:
        """Return what `read` returns. Raise SigcError E803 at the deadline."""
        what = f"the {name} of {self.strategy}"
        return within(StageWork(what, lambda: DATA, read, Fence(), self.ledger, self.clock, self.stop), deadline_s)


def kept_within(trading: Trading, feed: TargetFeed, key: BookKey) -> KeptBook:
    """Bring a book up to the last complete session, as `keep`. Raise SigcError E803 at the deadline of load."""
    fence = Fence()
    fenced = FencedFeed(feed, fence)
    inner = replace(trading, ledger=FencedLedger(trading.ledger, fence))
    stage = StageWork(
        f"the upkeep of {key.strategy}",
        lambda: DATA if fenced.is_busy else BROKER,
        lambda: keep(inner, fenced, key),
        fence,
        trading.ledger,
        trading.clock,
    )
    return within(stage, trading.config.execution.load_deadline_s)
