"""More that goes over the wire, as in `requests`: who asks, how the last hour went, what is halted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sigc.rpc.messages.requests import Count, Text


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """At most so many points, of the last hour."""

    most: Count = 240


@dataclass(frozen=True, slots=True)
class TraceReply:
    """The last hour, the oldest first: memory and processor of controller and workers, loop lag, runs, workers
    of the cluster; how many blocks were computed, and found in the cache, since the daemon started.
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
    """Who asks: the name of the token and its role (read, operate or trade). daemon: the name of who answers."""

    token: str
    role: str
    daemon: str


@dataclass(frozen=True, slots=True)
class HaltReply:
    """Whether anything changed; what is halted now ('' is everything)."""

    is_changed: bool
    halted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AcceptRequest:
    """The price of an asset on a day (an ISO date), accepted for a reason."""

    asset: Text
    day: Text
    reason: Text


@dataclass(frozen=True, slots=True)
class AcceptReply:
    """What is accepted. is_known: whether a book has traded the asset."""

    asset: str
    day: str
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class StopDecision:
    """Something that holds until it is taken back. kind: halted or paused; strategy: '' is all of them."""

    kind: str
    strategy: str
    who: str
    why: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SafetyReply:
    """What holds now."""

    decisions: tuple[StopDecision, ...]
