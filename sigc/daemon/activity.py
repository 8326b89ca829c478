"""The last hour of the daemon's own figures, sampled every few seconds and kept in memory.

Bounded: a fixed number of samples, and a reader gets at most as many points as it asks for. Each point has the largest
values of the samples it stands for, so that no peak is lost.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sigc.rpc.messages.page import TraceReply

_MOST = 1200


@dataclass(frozen=True, slots=True)
class ActivitySample:
    """One sample: memory, processor (% of what the daemon may use), loop lag, runs, workers; blocks so far."""

    at: datetime
    memory_bytes: float
    cpu_pct: float
    lag_ms: float
    runs: float
    workers: float
    computed: float
    cached: float


class ActivityTrace:
    """The samples, oldest first."""

    def __init__(self, most: int = _MOST) -> None:
        self._points: deque[ActivitySample] = deque(maxlen=most)

    def add(self, point: ActivitySample) -> None:
        """Add a sample; drop the oldest one when full."""
        self._points.append(point)

    def reply(self, most: int) -> TraceReply:
        """Return at most that many points."""
        kept = thinned(tuple(self._points), most)
        columns = {
            f.name: tuple(float(getattr(p, f.name)) for p in kept) for f in fields(ActivitySample) if f.name != "at"
        }
        return TraceReply(tuple(p.at for p in kept), **columns)


def thinned(points: Sequence[ActivitySample], most: int) -> tuple[ActivitySample, ...]:
    """Return at most `most` points. Each has the last time of its group and the largest value of each figure."""
    if len(points) <= most:
        return tuple(points)
    bounds = [len(points) * n // most for n in range(most + 1)]
    return tuple(_largest(points[a:b]) for a, b in itertools.pairwise(bounds))


def _largest(group: Sequence[ActivitySample]) -> ActivitySample:
    most = {f.name: max(getattr(p, f.name) for p in group) for f in fields(ActivitySample) if f.name != "at"}
    return ActivitySample(group[-1].at, **most)
