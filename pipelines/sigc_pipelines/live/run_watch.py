"""Hooks by which a run is followed and ended from outside, and its pulse while it sends orders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sigc.store.ledger.records import StageName
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc.words import counted, local_time

_NEVER = datetime.max.replace(tzinfo=UTC)
_PATIENCE_S = 60.0  # more than any request may take, with the wait for its turn


@dataclass(slots=True)
class Pulse:
    """Signs of life of a thread that sends orders. ends: of sending; before it the thread is never given up.

    patience_s: the silence, in real seconds, after which it is thought to hang.
    """

    ends: datetime = _NEVER
    patience_s: float = _PATIENCE_S
    last: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Tell that the thread does not hang."""
        self.last = time.monotonic()

    @property
    def silent_s(self) -> float:
        """Return the seconds since the last sign of life."""
        return time.monotonic() - self.last

    @property
    def is_silent(self) -> bool:
        """Return True if the thread seems to hang."""
        return self.silent_s > self.patience_s


@dataclass(frozen=True, slots=True)
class RunWatch:
    """Hooks to follow and end a run. stage: called with each stage's name; stop: set it to send nothing more.

    waiting: called with what the run waits for ('' when it goes on) and until when; None: for an answer, soon.
    opening: called with the orders that wait for their session's open, None when none do any more.
    """

    stage: Callable[[StageName], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    waiting: Callable[[str, datetime | None], None] = lambda _why, _until: None
    opening: Callable[[WaitingOrders | None], None] = lambda _: None
    pulse: Pulse = field(default_factory=Pulse)


def planned_text(count: int, due: datetime, until: datetime, zone: str, *, for_open: bool) -> str:
    """Return how many planned orders wait for what. due: the first of them; until: the next look at them.

    >>> noon = datetime(2024, 1, 15, 17, tzinfo=UTC)
    >>> planned_text(1, noon, noon, "America/New_York", for_open=True)
    '1 order waits for the open, until 2024-01-15 12:00:00 EST'
    """
    waits = f"{counted(count, 'order')} wait{'s' if count == 1 else ''}"
    if for_open:
        return f"{waits} for the open, until {local_time(due, zone)}"
    return f"{waits}, the next until {local_time(until, zone)}"
