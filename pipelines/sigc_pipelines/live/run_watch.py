"""Hooks by which a run is followed and ended from outside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sigc.store.ledger.records import StageName
from sigc.store.ledger.waiting_orders import WaitingOrders


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
