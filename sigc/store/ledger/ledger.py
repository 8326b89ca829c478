"""The ledger: what was decided, sent, filled and said, in one SQLite file that survives the process at any moment.

    with Ledger.open(work_dir, clock) as ledger:
        with ledger.transaction("intents") as tx:     BEGIN IMMEDIATE ... COMMIT, or nothing of it
            runs.decided(tx, run)                     a change of state
            tx.audit(Event(...))                      and its record, in the same transaction

WAL with synchronous=FULL: when the block has ended, it is on the disk. A failed write rolls back, is told as E310, and
the ledger goes on when the cause is gone. (A commit whose fsync failed may still be found after a crash: what is
recorded before an order is sent is therefore read as "may have been sent", never as "was not".)

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
    """A transaction that is open. at: its instant, the same for all it writes. hide: takes secrets out of a text.

    ended: of each run of which it ends or fills orders, the newest such event. Alerts look at what all of them leave.
    """

    connection: sqlite3.Connection
    at: datetime
    sign: Sign | None = None
    records: list[AuditRecord] = field(default_factory=list)
    hide: Callable[[str], str] = str
    ended: dict[str, tuple[int, AuditEvent]] = field(default_factory=dict)

    def audit(self, event: AuditEvent) -> None:
        """Record what this transaction changes, and raise the alerts that follow from it."""
        payload = {name: self._hidden(value) for name, value in event.payload.items()}
        recorded = replace(event, payload=payload)
        self.records.append(audit.append(self.connection, self.at, recorded, self.sign))
        seq = self.records[-1].seq
        if event.name in ENDS_ORDERS:
            self.ended[event.run] = (seq, recorded)
        else:
            derive(self.connection, self.at, seq, recorded, self.hide)

    def conclude(self) -> None:
        """Raise the alerts that follow from the ends of orders: once for each run, however many of them ended."""
        for seq, event in self.ended.values():
            derive(self.connection, self.at, seq, event, self.hide)

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
    """The one writer of a work dir's ledger. Any thread may write, one at a time.

    hide: set it to what takes secrets out of a text; messages and records are written without them.
    """

    hide: Callable[[str], str]

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
        self.hide = str
        self._sign = sign
        self._synchronous = synchronous
        self._turn = threading.RLock()
        self._is_lost = False
        (self.id,) = connection.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()

    @classmethod
    def open(cls, directory: Path, clock: Clock, *, sign: Sign | None = None, durable: bool = True) -> Ledger:
        """Take the work dir and open its ledger, made or migrated as needed. durable: False for scratch ledgers.

        Raises SigcError: E311 while another process has it, E310 when it can't be used.
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
        """Let the work dir go."""
        with self._turn:
            self._connection.close()
            self._lock.release()

    @contextmanager
    def transaction(self, name: str) -> Iterator[Transaction]:
        """All of the block, or nothing of it. name: one of `failpoint.TRANSACTIONS`. Raises SigcError E310."""
        with self._turn, told(self.path):
            self._regain()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                failpoint(f"{name}:begun")
                opened = Transaction(self._connection, self.clock.now(), self._sign, hide=self.hide)
                yield opened
                opened.conclude()
                failpoint(f"{name}:written")
                self._connection.execute("COMMIT")
            except BaseException:
                self._undo()
                raise
            failpoint(f"{name}:committed")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The writer's own view, between its transactions."""
        with self._turn, told(self.path):
            self._regain()
            yield self._connection

    def reader(self) -> sqlite3.Connection:
        """A connection of one's own that only reads."""
        return connect_reader(self.path)

    def _undo(self) -> None:
        # SQLite has rolled back by itself where it had to; what is left of the transaction goes here.
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._is_lost = True

    def _regain(self) -> None:
        """A connection that could not even roll back is given up: the file is as it was before the transaction."""
        if self._is_lost:
            fresh = connect_writer(self.path, self._synchronous)
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = fresh
            self._is_lost = False


def _name(connection: sqlite3.Connection, clock: Clock) -> None:
    """Give a fresh ledger its id: client order ids of two ledgers at one broker never meet."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('ledger', ?)", (secrets.token_hex(8),))
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('created', ?)", (clock.now().isoformat(),))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
