"""The paper broker's book on disk: one SQLite file for any number of threads and processes.

WAL and synchronous=FULL: an answer is on disk before it is given, and a kill at any moment leaves the book consistent.
Decimals and instants are TEXT; instants have a fixed width, so that they compare as text. Numbers of fills and charges
only grow, and are assigned inside the transaction that commits them: a reader up to a number has read all up to it.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc.private import make_private
from sigc_pipelines.brokers.protocol import NotSentError, OutcomeUnknownError, UnreachableError

_APPLICATION_ID = 0x51C9A9E2  # tells a paper broker's book from any other SQLite file
_VERSION = 4
_SCHEMA = (
    """
    CREATE TABLE account (  -- one row; worth, bound: of all holdings, kept in step with them
        book TEXT NOT NULL,
        cash TEXT NOT NULL,
        worth TEXT NOT NULL,
        bound TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE deposits (
        id TEXT PRIMARY KEY,
        amount TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE holdings (  -- buys, sells: what is open; session: the last one marked; price: the last one known
        asset TEXT PRIMARY KEY,
        quantity TEXT NOT NULL,
        buys TEXT NOT NULL,
        sells TEXT NOT NULL,
        session TEXT NOT NULL,
        price TEXT
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE orders (
        number INTEGER PRIMARY KEY,
        client_order_id TEXT NOT NULL UNIQUE,
        asset TEXT NOT NULL,
        side TEXT NOT NULL,
        quantity TEXT NOT NULL,
        order_type TEXT NOT NULL,
        limit_price TEXT,
        time_in_force TEXT NOT NULL,
        submitted TEXT NOT NULL,
        status TEXT NOT NULL,
        filled TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX orders_open ON orders (status) WHERE status = 'new'",
    "CREATE INDEX orders_submitted ON orders (submitted)",
    """
    CREATE TABLE fills (
        number INTEGER PRIMARY KEY,
        execution_id TEXT NOT NULL UNIQUE,
        client_order_id TEXT NOT NULL,
        asset TEXT NOT NULL,
        side TEXT NOT NULL,
        quantity TEXT NOT NULL,
        price TEXT NOT NULL,
        commission TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE charges (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        asset TEXT NOT NULL,
        amount TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT
    """,
)
_SECOND = (  # corporate actions
    """
    CREATE TABLE acted (  -- what was done because of an action, step by step; a correction is one more row
        number INTEGER PRIMARY KEY,
        asset TEXT NOT NULL,
        kind TEXT NOT NULL,
        ex_date TEXT NOT NULL,
        id TEXT NOT NULL,
        step TEXT NOT NULL,
        into_asset TEXT NOT NULL,
        change TEXT NOT NULL,
        into_change TEXT NOT NULL,
        cash TEXT NOT NULL,
        receivable TEXT NOT NULL,
        session TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX acted_of_action ON acted (asset, kind, ex_date, id)",
    "CREATE INDEX fills_of_asset ON fills (asset, at)",
)

# New shares per old one of a split of the next session: open orders are in its units, what is held is not yet.
_THIRD = ("ALTER TABLE holdings ADD COLUMN coming TEXT NOT NULL DEFAULT '1'",)
_FOURTH = ("ALTER TABLE orders ADD COLUMN message TEXT NOT NULL DEFAULT ''",)  # why it ended before it was filled


def instant_text(at: datetime) -> str:
    """Return an instant in UTC as text of a fixed width."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


class BookFile:
    """The open file. durable: False trades safety against power cuts for speed (replays)."""

    def __init__(self, path: Path, created: datetime, *, durable: bool, timeout_s: float) -> None:
        """Open the book, and create it if it does not exist. Raises SigcError E310."""
        self.path = path
        self._turn = threading.RLock()
        self._connect = functools.partial(_connect, path, created, durable=durable, timeout_s=timeout_s)
        try:
            make_private(path.parent)
            with _alone(path.parent):
                self._connection = self._connect()
        except (sqlite3.Error, OSError) as error:
            hint = "check permissions and free space of its folder, and that the file is a paper broker's book"
            raise SigcError(
                Diagnostic("E310", f"the paper broker's book {path} can't be used: {error}", hint=hint)
            ) from (error)

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._turn:
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read one consistent state of the book. Raises UnreachableError."""
        # A transaction even for reads: all statements of the block see one state.
        with self._turn:
            try:
                self._connection.execute("BEGIN")
                try:
                    yield self._connection
                finally:
                    self._undo()
            except sqlite3.Error as error:
                raise UnreachableError(f"the paper broker's book can't be read: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write the whole block or nothing. Raises NotSentError (nothing written), OutcomeUnknownError (unknown)."""
        # IMMEDIATE takes the write lock first: reads in the block stay valid until the commit.
        with self._turn:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
            except sqlite3.Error as error:
                self._undo()
                raise NotSentError(f"the paper broker's book can't be written: {error}") from error
            except BaseException:
                self._undo()
                raise
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:  # the WAL may or may not hold the commit: not known before it is read again
                self._undo()
                raise OutcomeUnknownError(f"the paper broker's book may not be written: {error}") from error

    def copy(self, to: Path) -> None:
        """Copy one consistent state of the book to another file. Raises sqlite3.Error."""
        source = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(to)) as target:
            source.backup(target)

    def _undo(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:  # closing rolls back too: the file is as it was before the transaction
                self._connection.close()
                self._connection = self._connect()


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Lock a folder: one process at a time creates a book in it."""
    handle = os.open(directory, os.O_RDONLY)  # the folder itself is the lock: no lock file is left behind
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _connect(path: Path, created: datetime, *, durable: bool, timeout_s: float) -> sqlite3.Connection:
    """Return a connection to a complete book. A failure rolls back and closes it."""
    connection = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    try:
        tables, version = _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        if not tables:
            _create(connection, created)
        elif version < _VERSION:
            _raise_version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the number of tables and the version. Raises sqlite3.DatabaseError for another file, or a newer
    version.
    """
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and application != _APPLICATION_ID:
        raise sqlite3.DatabaseError("it is another kind of SQLite file")
    if version > _VERSION:
        raise sqlite3.DatabaseError(f"it has version {version}, this sigc knows versions up to {_VERSION}")
    return int(tables), int(version)


def _create(connection: sqlite3.Connection, created: datetime) -> None:
    """Create an empty book. Its name tells it from a book that was created at another time."""
    book = hashlib.sha256(instant_text(created).encode()).hexdigest()[:8]
    connection.execute("BEGIN IMMEDIATE")
    for statement in (*_SCHEMA, *_SECOND, *_THIRD, *_FOURTH):
        connection.execute(statement)
    connection.execute("INSERT INTO account VALUES (?, '0', '0', '0')", (book,))
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _raise_version(connection: sqlite3.Connection) -> None:
    """Migrate a book of an earlier version."""
    connection.execute("BEGIN IMMEDIATE")
    # Read again under the lock: another process may have migrated it meanwhile.
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for _, statements in (at for at in ((2, _SECOND), (3, _THIRD), (4, _FOURTH)) if version < at[0]):
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")
