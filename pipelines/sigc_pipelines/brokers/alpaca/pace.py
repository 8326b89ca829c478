"""A limit on requests a minute, kept on our side so that the broker need not refuse."""

from __future__ import annotations

import threading
import time

ORDER_SHARE = 0.75  # share of a minute's requests that orders may count on; lookups and sweeps need the rest
_BURST = 0.25  # share of a minute's requests that may be made at once; the rest comes back over the minute
_FOR_ORDERS = 10  # of these, what reads leave to orders


class Pace:
    """A bucket of requests that fills up steadily. In no minute more than `per_minute` leave it."""

    def __init__(self, per_minute: int) -> None:
        self._most = max(1.0, per_minute * _BURST)
        self._rate = (per_minute - self._most) / 60 or per_minute / 60
        self._spare = min(_FOR_ORDERS, self._most / 2)
        self._left, self._at = self._most, time.monotonic()
        self._turn = threading.Lock()

    def read(self, patience_s: float) -> bool:
        """Wait for the turn of a read. Return False if it would not come within `patience_s`."""
        wait = self._take(self._spare, patience_s)
        if wait > patience_s:
            return False
        if wait:
            time.sleep(wait)
        return True

    def order(self) -> float:
        """Take the turn of an order. Return 0 if it is now, else the seconds until it comes, and take nothing."""
        return self._take(0.0, 0.0)

    def _take(self, spare: float, patience_s: float) -> float:
        with self._turn:
            now = time.monotonic()
            self._left = min(self._most, self._left + (now - self._at) * self._rate)
            self._at = now
            wait = max(0.0, (1 + spare - self._left) / self._rate)
            if wait <= patience_s:
                self._left -= 1
            return wait
