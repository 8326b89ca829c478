"""Names of the sources that are being read: what a load waits for while it hangs.

reads = SourceReads()
context.run(reads.follow)      what that context (a thread) reads from now on, and threads with a copy of it
str(reads)                     'prices (prices.parquet)', '' while nothing is read
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePath


class SourceReads:
    """The sources that the threads of one piece of work read now, in the order in which they were begun."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._names: list[str] = []

    def __str__(self) -> str:
        """Return the names as text, '' without one."""
        with self._turn:
            return ", ".join(self._names)

    def follow(self) -> None:
        """Record what the current context reads from now on."""
        _reads.set(self)

    def begin(self, name: str) -> None:
        """Add a source."""
        with self._turn:
            self._names.append(name)

    def end(self, name: str) -> None:
        """Take a source off again."""
        with self._turn:
            self._names.remove(name)


_reads: ContextVar[SourceReads | None] = ContextVar("sigc_source_reads", default=None)


@contextmanager
def being_read(source: str, path: str) -> Iterator[None]:
    """Name a source while the block runs. Of a path only the last part is told: an address may hold a password."""
    reads = _reads.get()
    if reads is None:
        yield
        return
    name = f"{source} ({PurePath(path.partition('?')[0]).name})"
    reads.begin(name)
    try:
        yield
    finally:
        reads.end(name)
