"""Idempotency: the reply to a call is kept under the caller's key and returned to every repeat of the call.

A caller whose connection broke does not know whether its call arrived. It repeats the call under the same key: work
under way is awaited, work done is answered with the same reply, and another request under the key is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a call: the digest of its request, the status, the body."""

    request: bytes
    status: int
    body: bytes


class Replies(Protocol):
    """The store of replies. A durable one keeps keys over a restart of the daemon."""

    def get(self, key: str) -> Reply | None:
        """Return the reply under a key, None if there is none or it was dropped."""
        ...

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply."""
        ...


class MemoryReplies:
    """The latest replies of this process. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float], most: int = 10_000, kept_s: float = 86_400.0) -> None:
        self._clock, self._most, self._kept_s = clock, most, kept_s
        self._replies: dict[str, tuple[float, Reply]] = {}

    def get(self, key: str) -> Reply | None:
        """Return the reply under a key, None if there is none or it is too old."""
        at, reply = self._replies.get(key, (0.0, None))
        return reply if reply is not None and self._clock() - at < self._kept_s else None

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; drop the oldest if there are too many."""
        self._replies.pop(key, None)
        self._replies[key] = (self._clock(), reply)
        while len(self._replies) > self._most:
            self._replies.pop(next(iter(self._replies)))
