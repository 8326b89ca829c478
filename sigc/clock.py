"""Time, passed in: what a run asks for the present, and what it waits with.

The system's clock in production, a hand-turned one in replays and tests: waiting moves it on, so that nothing sleeps.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The present, and waiting."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return `seconds` later, at once for 0 or less."""
        ...


class SystemClock:
    """The machine's clock. pace: how many seconds pass for each of the machine's (campaigns run faster than life)."""

    def __init__(self, pace: float = 1.0) -> None:
        self._pace = pace
        self._origin = time.time()

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        real = time.time()
        return datetime.fromtimestamp(
            real if self._pace == 1.0 else self._origin + (real - self._origin) * self._pace, UTC
        )

    def sleep(self, seconds: float) -> None:
        """Return `seconds` of this clock later."""
        if seconds > 0:
            time.sleep(seconds / self._pace)


class HandClock:
    """A clock that moves only when it is turned or waited on.

    >>> clock = HandClock(datetime(2024, 1, 2, 21, tzinfo=UTC))
    >>> clock.sleep(90.0)
    >>> clock.now().isoformat()
    '2024-01-02T21:01:30+00:00'
    """

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """Where the hands stand."""
        return self._at

    def sleep(self, seconds: float) -> None:
        """Turn the hands on."""
        if seconds > 0:
            self._at += timedelta(seconds=seconds)

    def turn(self, to: datetime) -> None:
        """Set the hands to a later instant; an earlier one changes nothing."""
        self._at = max(self._at, to)
