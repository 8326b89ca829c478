"""Words for the life of a daemon: where in it it is, how it is to end, how a strategy's newest run is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Phase(StrEnum):
    """Where in its life the daemon is."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the daemon is to end. timeout_s: for runs under way."""

    timeout_s: float
    is_forced: bool = False
    is_restart: bool = False


RUNNING = "running"  # status of a run that goes on


@dataclass(frozen=True, slots=True)
class LastRun:
    """How the newest run of a strategy ended, or that it goes on.

    filled: how much of its orders, '' where the broker took none, None where that is not known yet.
    """

    id: str
    at: datetime
    status: str
    filled: str | None = None
