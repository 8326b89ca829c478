"""A ledger behind a fence: a thread that was given up finds no way to it any more.

fence = Fence()
ledger = FencedLedger(real, fence)     for one thread and what it calls
fence.close(real)                      by another: from now on every transaction and look of that thread fails
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sigc.store.ledger.ledger import Ledger, Transaction


class GivenUpError(Exception):
    """The stage of this thread was given up: whatever it finds now is not wanted any more."""


class Fence:
    """Decides whether a thread may still reach the ledger. Closed once, for good."""

    def __init__(self) -> None:
        self._is_closed = False

    def check(self) -> None:
        """Raise GivenUpError once it is closed."""
        if self._is_closed:
            raise GivenUpError

    def close(self, ledger: Ledger) -> None:
        """Close it, between two transactions of the ledger: none of the thread is half done."""
        with ledger.reading():
            self._is_closed = True


class FencedLedger(Ledger):
    """The same ledger, as long as its fence is open. Closing it has no effect: its opener closes it."""

    def __init__(self, inner: Ledger, fence: Fence) -> None:
        self._inner, self._fence = inner, fence
        self.directory, self.path, self.clock, self.id = inner.directory, inner.path, inner.clock, inner.id
        self.hide, self.zone = inner.hide, inner.zone

    def close(self) -> None:
        """Do nothing."""

    @contextmanager
    def transaction(self, name: str) -> Iterator[Transaction]:
        """Run the block in a transaction. Raise GivenUpError once the fence is closed."""
        with self._inner.transaction(name) as tx:
            self._fence.check()  # in the ledger's turn, in which alone it is closed
            yield tx

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the writer's connection. Raise GivenUpError once the fence is closed."""
        with self._inner.reading() as connection:
            self._fence.check()
            yield connection

    @property
    def changes(self) -> int:
        """Return the number of rows written so far. Raise GivenUpError once the fence is closed."""
        self._fence.check()
        return self._inner.changes

    def reader(self) -> sqlite3.Connection:
        """Return a new read-only connection. Raise GivenUpError once the fence is closed."""
        self._fence.check()
        return self._inner.reader()
