"""The pace of a channel: deliveries to send now, and the time of the next try. Pure: the time is passed in.

At most `per_minute` messages leave in any 60 seconds. If more are waiting, the last message of the minute
is a digest of all of them. Quiet hours hold back everything but critical alerts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

MINUTE = timedelta(seconds=60)
_FIRST_S, _LONGEST_S = 2.0, 30.0  # below a minute, so that a channel that works again gets its alerts within one
_MOST_ASKED_S = 60.0
MOST_TRIES = 5  # tries of a message that the channel calls malformed


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Quiet hours of a day in local time, across midnight if `begin` is later than `end`; None: no quiet hours."""

    begin: time | None = None
    end: time | None = None

    def holds(self, local: datetime) -> bool:
        """Return True within the quiet hours.

        >>> night = QuietHours(time(22), time(7))
        >>> [night.holds(datetime(2024, 1, 2, hour)) for hour in (21, 22, 3, 7)]
        [False, True, True, False]
        """
        if self.begin is None or self.end is None or self.begin == self.end:
            return False
        now = local.time()
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end


def room(sent: Sequence[datetime], now: datetime, per_minute: int) -> int:
    """Return how many messages may leave now. sent: the times of those that left within the last minute."""
    return max(0, per_minute - sum(1 for at in sent if at > now - MINUTE))


def batch(waiting: int, room: int) -> int:
    """Return how many of the waiting deliveries go into the next message: 0, 1, or all of them.

    >>> [batch(1000, places) for places in (10, 2, 1, 0)], batch(1, 1), batch(3, 3)
    ([1, 1, 1000, 0], 1, 1)
    """
    if not waiting or not room:
        return 0
    # The last message of the minute takes all that wait, as one digest.
    return waiting if room == 1 else 1


def again(now: datetime, attempts: int, asked_s: float | None) -> datetime:
    """Return the time of the next try after the `attempts`-th failure. asked_s: the wait the channel asked for.

    >>> start = datetime(2024, 1, 2)
    >>> [(again(start, n, None) - start).total_seconds() for n in (1, 2, 3, 4, 5, 99)], again(start, 1, 7.0).second
    ([2.0, 4.0, 8.0, 16.0, 30.0, 30.0], 7)
    """
    wait_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempts - 1, 10))
    return now + timedelta(seconds=min(max(wait_s, asked_s or 0.0), _MOST_ASKED_S))
