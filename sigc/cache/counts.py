"""What all processes that use a cache count together: hits, misses, and about how many bytes it has.

To look at every entry after each run would make a run cost what the cache holds. So each process adds what it wrote;
one that dies takes a little with it, what is written twice counts twice, and now and then all is measured anew.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sigc.cache import files

_TRUSTED = 100  # additions after which the bytes are measured anew


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """hits, misses: since the cache was made. bytes: about; additions: since they were measured, -1 for never."""

    hits: int = 0
    misses: int = 0
    bytes: int = 0
    additions: int = -1

    def may_exceed(self, max_bytes: int) -> bool:
        """Whether the bytes are to be measured, since they may be more than `max_bytes`."""
        return not 0 <= self.additions < _TRUSTED or self.bytes > max_bytes


def counts(directory: Path) -> CacheCounts:
    """As they are kept; what can't be read was never counted."""
    try:
        found = json.loads((directory / "notes" / "counts").read_text(encoding="utf-8"))
        return CacheCounts(**{name: int(found[name]) for name in asdict(CacheCounts()) if name in found})
    except (OSError, ValueError, TypeError):
        return CacheCounts()


def add_counts(directory: Path, hits: int, misses: int, written: int = 0) -> None:
    """Add to the counts."""

    def added(known: CacheCounts) -> CacheCounts:
        additions = known.additions + 1 if known.additions >= 0 else -1
        return CacheCounts(known.hits + hits, known.misses + misses, known.bytes + written, additions)

    _change(directory, added)


def set_bytes(directory: Path, measured: int) -> None:
    """Keep what was measured."""
    _change(directory, lambda known: replace(known, bytes=measured, additions=0))


def _change(directory: Path, to: Callable[[CacheCounts], CacheCounts]) -> None:
    """Under a lock over all processes; a cache that can't be written keeps its old counts."""
    with suppress(OSError):
        lock = os.open(directory / "leases" / "counts.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            changed = to(counts(directory))
            files.replace(directory / "notes" / "counts", json.dumps(asdict(changed)).encode())
        finally:
            os.close(lock)
