"""Time, passed in: the present and waiting.

The system's clock in production, a hand-turned one in replays and tests, where waiting moves it and nothing sleeps.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A source of the present, and a way to wait."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return `seconds` later, at once for 0 or less."""
        ...


class SystemClock:
    """The machine's clock. pace: seconds that pass for each of the machine's (campaigns run faster than real time)."""

    def __init__(self, pace: float = 1.0) -> None:
        self._pace = pace
        self._origin = time.time()

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        real = time.time()
        return datetime.fromtimestamp(
            real if self._pace == 1.0 else self._origin + (real - self._origin) * self._pace, UTC
        )

    def sleep(self, seconds: float) -> None:
        """Wait `seconds` of this clock."""
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
        """Return the time the clock was set to."""
        return self._at

    def sleep(self, seconds: float) -> None:
        """Move the clock forward."""
        if seconds > 0:
            self._at += timedelta(seconds=seconds)

    def turn(self, to: datetime) -> None:
        """Set the clock to a later instant; an earlier one changes nothing."""
        self._at = max(self._at, to)
