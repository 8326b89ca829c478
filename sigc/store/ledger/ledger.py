"""The ledger: runs, orders, fills, books and audit records in one SQLite file that survives a crash at any moment.

    with Ledger.open(work_dir, clock) as ledger:
        with ledger.transaction("intents") as tx:     BEGIN IMMEDIATE ... COMMIT, or nothing of it
            runs.decided(tx, run)                     a change of state
            tx.audit(AuditEvent(...))                 and its record, in the same transaction

WAL with synchronous=FULL: after the `with` block the transaction is on disk. A failed write rolls back and raises E310;
the ledger works again once the cause is gone. (A commit whose fsync failed may still be found after a crash. So a
record written before an order is sent means "may have been sent", never "was not sent".)

Read next: `schema.py`, `runs.py`, `orders.py`, `books.py`, `control.py` (the tables), `../audit/chain.py` (the chain),
`connection.py` (lock, migrations).
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import TracebackType

from sigc.alerts.rules import ENDS_ORDERS
from sigc.clock import Clock
from sigc.failpoint import failpoint
from sigc.store.audit import chain as audit
from sigc.store.audit.chain import AuditEvent, AuditRecord, Sign
from sigc.store.ledger.connection import FILE, Lock, connect_reader, connect_writer, told
from sigc.store.outbox.raise_alerts import derive


@dataclass(frozen=True, slots=True, eq=False)
class Transaction:
    """An open transaction. at: its instant, the same for all its records. hide: removes secrets from a text. zone: of
    the times in alerts.

    ended: by run, the newest event that ends or fills an order of it. Alerts judge the state after all of them.
    """

    connection: sqlite3.Connection
    at: datetime
    sign: Sign | None = None
    records: list[AuditRecord] = field(default_factory=list)
    hide: Callable[[str], str] = str
    ended: dict[str, tuple[int, AuditEvent]] = field(default_factory=dict)
    zone: str = "UTC"

    def audit(self, event: AuditEvent) -> None:
        """Append an audit record of a change, and raise the alerts that follow from it."""
        payload = {name: self._hidden(value) for name, value in event.payload.items()}
        recorded = replace(event, payload=payload)
        self.records.append(audit.append(self.connection, self.at, recorded, self.sign))
        seq = self.records[-1].seq
        if event.name in ENDS_ORDERS:
            self.ended[event.run] = (seq, recorded)
        else:
            derive(self.connection, self.at, seq, recorded, self.hide, self.zone)

    def conclude(self) -> None:
        """Raise the alerts that follow from orders that ended, once per run, however many orders ended."""
        for seq, event in self.ended.values():
            derive(self.connection, self.at, seq, event, self.hide, self.zone)

    def _hidden(self, value: object) -> object:
        match value:
            case Enum():
                return value
            case str():
                return self.hide(value)
            case Mapping():
                return {name: self._hidden(inner) for name, inner in value.items()}
            case list():
                return [self._hidden(inner) for inner in value]
            case tuple():
                return tuple(self._hidden(inner) for inner in value)
        return value


class Ledger:
    """The one writer of a work dir's ledger. Any thread may write; a lock lets one at a time.

    hide: a function that removes secrets from a text; it is applied to messages and records before they are written.
    zone: of the times in messages and alerts.
    """

    hide: Callable[[str], str]
    zone: str

    def __init__(
        self,
        directory: Path,
        connection: sqlite3.Connection,
        lock: Lock,
        clock: Clock,
        sign: Sign | None,
        synchronous: str,
    ) -> None:
        self.directory = directory
        self.path = directory / FILE
        self.clock = clock
        self._connection = connection
        self._lock = lock
        self.hide, self.zone = str, "UTC"
        self._sign = sign
        self._synchronous = synchronous
        self._turn = threading.RLock()
        self._is_lost = False
        (self.id,) = connection.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()

    @classmethod
    def open(cls, directory: Path, clock: Clock, *, sign: Sign | None = None, durable: bool = True) -> Ledger:
        """Lock the work dir and open its ledger; create or migrate it as needed. durable: False for scratch ledgers.

        Raise SigcError E311 if another process has the work dir, E310 if the ledger can't be used.
        """
        lock = Lock(directory)
        try:
            path = directory / FILE
            synchronous = "FULL" if durable else "OFF"
            connection = connect_writer(path, synchronous)
            try:
                with told(path):
                    _name(connection, clock)
                    return cls(directory, connection, lock, clock, sign, synchronous)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger and release the work dir."""
        with self._turn:
            self._connection.close()
            self._lock.release()

    @contextmanager
    def transaction(self, name: str) -> Iterator[Transaction]:
        """Run the block in a transaction: all of it, or nothing. name: one of `failpoint.TRANSACTIONS`. Raise SigcError
        E310.
        """
        with self._turn, told(self.path):
            self._regain()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                failpoint(f"{name}:begun")
                opened = Transaction(self._connection, self.clock.now(), self._sign, hide=self.hide, zone=self.zone)
                yield opened
                # Inside the transaction: an alert exists exactly if its event does.
                opened.conclude()
                failpoint(f"{name}:written")
                self._connection.execute("COMMIT")
            except BaseException:
                self._undo()
                raise
            failpoint(f"{name}:committed")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the writer's own connection, between its transactions."""
        with self._turn, told(self.path):
            self._regain()
            yield self._connection

    @property
    def changes(self) -> int:
        """Return a number that grows with each row that this ledger writes: cheap, for who looks twice a second."""
        try:
            return self._connection.total_changes
        except sqlite3.Error:  # it is closed: told as every other use of it is
            with self.reading() as connection:
                return connection.total_changes

    def reader(self) -> sqlite3.Connection:
        """Return a new read-only connection."""
        return connect_reader(self.path)

    def _undo(self) -> None:
        # SQLite has rolled back by itself on some errors (disk full, I/O); roll back the rest of the transaction here.
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._is_lost = True

    def _regain(self) -> None:
        """Replace a connection that could not roll back: the file is as it was before the transaction."""
        if self._is_lost:
            fresh = connect_writer(self.path, self._synchronous)
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = fresh
            self._is_lost = False


def _name(connection: sqlite3.Connection, clock: Clock) -> None:
    """Give a fresh ledger its id: client order ids of two ledgers never collide at one broker."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('ledger', ?)", (secrets.token_hex(8),))
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('created', ?)", (clock.now().isoformat(),))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
