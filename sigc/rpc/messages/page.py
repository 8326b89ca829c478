"""More messages of the status page: the caller's rights, the last hour, halts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sigc.rpc.messages.requests import Count, Text


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """At most that many points of the last hour."""

    most: Count = 240


@dataclass(frozen=True, slots=True)
class TraceReply:
    """The last hour, oldest first: memory, processor, loop lag, runs, workers, blocks.

    memory_bytes, cpu_pct: of controller and workers. workers: of the cluster. computed, cached: blocks computed, and
    found
    in the cache, since the daemon started.
    """

    at: tuple[datetime, ...]
    memory_bytes: tuple[float, ...]
    cpu_pct: tuple[float, ...]
    lag_ms: tuple[float, ...]
    runs: tuple[float, ...]
    workers: tuple[float, ...]
    computed: tuple[float, ...]
    cached: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class WhoReply:
    """The caller: the name of its token and its role (read, operate or trade). daemon: the daemon's name."""

    token: str
    role: str
    daemon: str


@dataclass(frozen=True, slots=True)
class HaltReply:
    """The strategies halted now ('' is everything). is_changed: the call changed something."""

    is_changed: bool
    halted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AcceptRequest:
    """An accepted price of an asset on a day (an ISO date), with the reason."""

    asset: Text
    day: Text
    reason: Text


@dataclass(frozen=True, slots=True)
class AcceptReply:
    """The accepted price. is_known: a book has traded the asset."""

    asset: str
    day: str
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class StopDecision:
    """A halt or pause in force. kind: halted or paused; strategy: '' is all of them."""

    kind: str
    strategy: str
    who: str
    why: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SafetyReply:
    """The halts and pauses in force."""

    decisions: tuple[StopDecision, ...]
