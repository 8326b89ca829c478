"""Doing a thing once: the reply to a call is kept under the caller's key, and given again to whoever asks again.

A caller whose connection broke does not know whether it was heard. It asks again under the same key: the same work is
awaited while it goes on, the same reply is given when it is done, and another request under the key is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call was answered: the digest of its request, the status, the body."""

    request: bytes
    status: int
    body: bytes


class Replies(Protocol):
    """Where replies are kept. A durable one lets a key outlive the daemon."""

    def get(self, key: str) -> Reply | None:
        """The reply under a key, None when there is none (any more)."""
        ...

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply."""
        ...


class MemoryReplies:
    """The latest replies of this process. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], most: int = 10_000, kept_s: float = 86_400.0) -> None:
        self._clock, self._most, self._kept_s = clock, most, kept_s
        self._replies: dict[str, tuple[float, Reply]] = {}

    def get(self, key: str) -> Reply | None:
        """The reply under a key, None when there is none or it is too old."""
        at, reply = self._replies.get(key, (0.0, None))
        return reply if reply is not None and self._clock() - at < self._kept_s else None

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; the oldest goes when there are too many."""
        self._replies.pop(key, None)
        self._replies[key] = (self._clock(), reply)
        while len(self._replies) > self._most:
            self._replies.pop(next(iter(self._replies)))
