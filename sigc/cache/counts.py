"""Counters shared by all processes of a cache: hits, misses, and its approximate size in bytes.

A look at every entry after each run would cost as much as the cache is large. So each process adds the bytes it wrote;
a process that dies loses a little, repeated writes count twice, and the size is measured again now and then.
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

_TRUSTED = 100  # additions after which the size is measured again


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """hits, misses: since the cache was created. bytes: approximate; additions: since the last measurement, -1 for
    never.
    """

    hits: int = 0
    misses: int = 0
    bytes: int = 0
    additions: int = -1

    def may_exceed(self, max_bytes: int) -> bool:
        """Return True if the size must be measured, since it may exceed `max_bytes`."""
        return not 0 <= self.additions < _TRUSTED or self.bytes > max_bytes


def counts(directory: Path) -> CacheCounts:
    """Return the stored counters; zeros if unreadable."""
    try:
        found = json.loads((directory / "notes" / "counts").read_text(encoding="utf-8"))
        return CacheCounts(**{name: int(found[name]) for name in asdict(CacheCounts()) if name in found})
    except (OSError, ValueError, TypeError):
        return CacheCounts()


def add_counts(directory: Path, hits: int, misses: int, written: int = 0) -> None:
    """Add to the counters."""

    def added(known: CacheCounts) -> CacheCounts:
        additions = known.additions + 1 if known.additions >= 0 else -1
        return CacheCounts(known.hits + hits, known.misses + misses, known.bytes + written, additions)

    _change(directory, added)


def set_bytes(directory: Path, measured: int) -> None:
    """Store a measured size."""
    _change(directory, lambda known: replace(known, bytes=measured, additions=0))


def _change(directory: Path, to: Callable[[CacheCounts], CacheCounts]) -> None:
    """Change the counters under a lock over all processes; in an unwritable cache they stay unchanged."""
    with suppress(OSError):
        lock = os.open(directory / "leases" / "counts.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            changed = to(counts(directory))
            files.replace(directory / "notes" / "counts", json.dumps(asdict(changed)).encode())
        finally:
            os.close(lock)
