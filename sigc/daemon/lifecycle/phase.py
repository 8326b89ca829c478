"""The phase of a daemon's life, how it is to end, and the state of a strategy's newest run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sigc.store.ledger.waiting_orders import WaitingOrders


class Phase(StrEnum):
    """The phase of the daemon's life."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Ending:
    """The way the daemon is to end. timeout_s: time for runs under way."""

    timeout_s: float
    is_forced: bool = False
    is_restart: bool = False


RUNNING = "running"  # the status of a run under way


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a strategy: its end, or that it is under way.

    filled: how much of its orders is filled; '' if the broker took none, None if not known yet. waiting: orders that
    wait for the open.
    """

    id: str
    at: datetime
    status: str
    filled: str | None = None
    waiting: WaitingOrders | None = None
