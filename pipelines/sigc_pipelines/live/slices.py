"""The times of slices that are late: spread over what is left of their window, never sent together. Pure functions.

A slice is late when nothing was sent at its time: the process was down, frozen or paused, or the broker kept it off.

    planned     |A . . . . B . . . . C . . . . D . . . . |        the gap is a quarter of the window
    down               |-----------------|
    spread      |A . . .                 B . . C . . D . |        `respread`: equal gaps, none after the window
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_LEAST_SHARE = 4  # slices of one order leave at least the planned gap divided by this apart
_PUNCTUAL = timedelta(seconds=5)  # a slice is never late by less than this, however small its gap
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DueSlice:
    """A slice that was not sent yet: its order's id, and the instant at which it is due."""

    id: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Spread:
    """Slices with their new times, in order, and those that do not fit into what is left of the window."""

    kept: tuple[DueSlice, ...]
    dropped: tuple[DueSlice, ...]


def least_gap(gap: timedelta) -> timedelta:
    """Return the least time between two slices of one order. gap: the planned one.

    >>> least_gap(timedelta(minutes=20))
    datetime.timedelta(seconds=300)
    """
    return max(gap / _LEAST_SHARE, _TICK)


def is_late(due: datetime, now: datetime, gap: timedelta) -> bool:
    """Return True if a slice must be spread again: it is later than half its gap, and not by a few seconds only."""
    return now - due > max(gap / 2, _PUNCTUAL)


def respread(
    slices: Sequence[DueSlice], now: datetime, window_end: datetime, gap: timedelta, last: datetime | None = None
) -> Spread:
    """Spread the slices of one order over what is left of its window.

    slices: not sent yet, in order. gap: between two of the plan. last: when a slice of the order was last sent.

    The order is kept; none is due before now or at the window's end or after it. Two are at least `least_gap` apart,
    also from `last`, and as far as the planned gap where there is room. A slice that is due later keeps its time if
    that leaves the distance. Idempotent: what was spread for an instant stays as it is at that instant.
    """
    least = least_gap(gap)
    start = now if last is None else max(now, last + least)
    if not slices or start >= window_end:
        return Spread((), tuple(slices))
    room = window_end - start
    count = min(len(slices), -(-room // least))  # as many as fit at the least gap, the first one at the start
    step = min(max(gap, _TICK), max(least, room // count))
    times: list[datetime] = []
    for one in slices[:count]:
        times.append(max(one.due, times[-1] + step if times else start))
    if times[-1] >= window_end:  # not of a plan, whose last slice is due a gap before the end
        # Invariant: start + (count - 1) * step < window_end, so the first one stays at or after the start.
        last_at = max(start + (count - 1) * step, window_end - step)
        times = [min(at, last_at - (count - 1 - place) * step) for place, at in enumerate(times)]
    kept = tuple(replace(one, due=due) for one, due in zip(slices, times, strict=False))
    return Spread(kept, tuple(slices[count:]))
