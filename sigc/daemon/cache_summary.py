"""The contents of the block cache, read at most every ten seconds because it opens one file a block."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from sigc.rpc.messages.history import CacheReply, Stored

_FRESH_S = 10.0
_MOST_NAMES = 100


@dataclass(slots=True)
class CacheLook:
    """The newest reading of the cache and its time. Safe to use from several threads."""

    _turn: threading.Lock = field(default_factory=threading.Lock)
    _found: CacheReply | None = None
    _at: float = 0.0

    def look(self, directory: Path, limit_bytes: int) -> CacheReply:
        """Return the contents of the cache in a directory, at most ten seconds old. Blocks: call it in a thread."""
        with self._turn:
            now = time.monotonic()
            known = self._found
            if known is None or known.directory != str(directory) or now - self._at > _FRESH_S:
                known, self._at = _status(directory), now
                self._found = known
            return replace(known, limit_bytes=limit_bytes, age_seconds=round(now - self._at, 1))


def _status(directory: Path) -> CacheReply:
    from sigc.cache import upkeep  # heavy, and loaded by the runner in its thread already

    found = upkeep.status(directory)
    kinds = (("source", found.by_source), ("signal", found.by_signal))
    stored = [Stored(name, kind, count, size) for kind, group in kinds for name, (count, size) in group.items()]
    largest = sorted(stored, key=lambda one: (-one.bytes, one.name))[:_MOST_NAMES]
    return CacheReply(
        True, found.directory, found.bytes, 0, found.entries, found.hits, found.misses, by_source=tuple(largest)
    )
