"""Names of the sources that are being read: what a load waits for while it hangs.

reads = SourceReads()
context.run(reads.follow)      what that context (a thread) reads from now on, and threads with a copy of it
str(reads)                     'prices (prices.parquet)', '' while nothing is read
reads.under_way()              the same, each with the seconds since it was begun
OF_PROCESS                     what any thread of this process reads
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True, eq=False)
class SourceRead:
    """A read under way. began: by the monotonic clock."""

    name: str
    began: float


class SourceReads:
    """The sources that the threads of one piece of work read now, in the order in which they were begun."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._all: list[SourceRead] = []
        self._outer: SourceReads | None = None  # the work that this is a part of

    def __str__(self) -> str:
        """Return the names as text, '' without one."""
        with self._turn:
            return ", ".join(one.name for one in self._all)

    def under_way(self) -> tuple[tuple[str, float], ...]:
        """Return each name with the seconds since its read was begun."""
        now = time.monotonic()
        with self._turn:
            return tuple((one.name, now - one.began) for one in self._all)

    def follow(self) -> None:
        """Record what the current context reads from now on, also in the work that it is a part of."""
        self._outer = _reads.get()
        _reads.set(self)

    def begin(self, read: SourceRead) -> None:
        """Add a read."""
        with self._turn:
            self._all.append(read)
        if self._outer is not None:
            self._outer.begin(read)

    def end(self, read: SourceRead) -> None:
        """Take a read off again."""
        with self._turn:
            self._all.remove(read)
        if self._outer is not None:
            self._outer.end(read)


OF_PROCESS = SourceReads()
_reads: ContextVar[SourceReads] = ContextVar("sigc_source_reads", default=OF_PROCESS)


@contextmanager
def being_read(source: str, path: str) -> Iterator[None]:
    """Name a source while the block runs. Of a path only the last part is told: an address may hold a password."""
    reads = _reads.get()
    read = SourceRead(f"{source} ({PurePath(path.partition('?')[0]).name})", time.monotonic())
    reads.begin(read)
    try:
        yield
    finally:
        reads.end(read)
