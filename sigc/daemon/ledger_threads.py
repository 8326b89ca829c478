"""The ledger as the event loop uses it: one thread writes, one reads, so that no disk blocks the loop.

books = await Books.open(lambda: Ledger.open(work_dir, clock))
await books.write(lambda tx: jobs.ask(tx, order))          durable when it returns
order = await books.read(lambda c: jobs.find(c, id))
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sigc.errors import SigcError
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.connection import told
from sigc.store.ledger.ledger import Ledger, Transaction

T = TypeVar("T")


def trouble_of(error: SigcError) -> str:
    """Return why the ledger can't be used and what to do; '' for an error that says nothing about that."""
    one = error.diagnostics[0]
    return "" if one.code != "E310" else f"{one.code}: {one.message}" + (f"; {one.hint}" if one.hint else "")


class LedgerThreads:
    """The open ledger. trouble: why the last write failed, with what to do; '' if none did or it is over."""

    def __init__(self, ledger: Ledger, writing: ThreadPoolExecutor) -> None:
        self.ledger = ledger
        self._writing = writing
        self._reading = ThreadPoolExecutor(1, "sigc-ledger-read")
        self._reader: sqlite3.Connection | None = None
        self.trouble = ""

    @classmethod
    async def open(cls, open_ledger: Callable[[], Ledger]) -> LedgerThreads:
        """Open the ledger in the thread that will write, as SQLite connections require. Raise SigcError: E311, E310."""
        writing = ThreadPoolExecutor(1, "sigc-ledger")
        try:
            return cls(await asyncio.get_running_loop().run_in_executor(writing, open_ledger), writing)
        except BaseException:
            writing.shutdown(wait=False)
            raise

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction and return its result, durable. Raise SigcError E310."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writing, self._write, work)
        except SigcError as error:
            self.trouble = trouble_of(error) or self.trouble
            raise

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of `work` on a reading connection. Raise SigcError E310."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._read, work)

    async def audit(self, event: AuditEvent) -> None:
        """Record an event that changes nothing else in the ledger."""
        await self.write(lambda tx: tx.audit(event))

    async def close(self) -> None:
        """Close the ledger after all work begun before."""
        loop = asyncio.get_running_loop()
        # Each queue is in order, so a close queued now runs after all reads and writes queued before.
        await loop.run_in_executor(self._reading, self._close_reader)
        await loop.run_in_executor(self._writing, self.ledger.close)
        self._reading.shutdown()
        self._writing.shutdown()

    def _write(self, work: Callable[[Transaction], T]) -> T:
        with self.ledger.transaction("control") as tx:
            return work(tx)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._reader is None:
            self._reader = self.ledger.reader()
        with told(self.ledger.path):
            return work(self._reader)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
