"""The ledger's file: the lock that admits one writing process, connections, migrations, errors as E310.

work_dir/lock            held (flock) by the one process that may write
work_dir/ledger.sqlite   and its -wal and -shm
work_dir/ledger.sqlite.v1   the copy that a migration from version 1 left
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc.private import keep_private
from sigc.store.files import sync_directory
from sigc.store.ledger.schema import APPLICATION_ID, MIGRATIONS

FILE = "ledger.sqlite"
LOCK = "lock"
_MAGIC = b"SQLite format 3\0"
_HINTS = {
    sqlite3.SQLITE_FULL: "free space on the disk, then run again: nothing was half-written",
    sqlite3.SQLITE_READONLY: "make the work dir writable for this user, then run again",
    sqlite3.SQLITE_CANTOPEN: "look at the work dir's rights and at the limit of open files (ulimit -n)",
    sqlite3.SQLITE_IOERR: "look at the disk (dmesg), then run again: nothing was half-written",
    sqlite3.SQLITE_CORRUPT: "restore the newest copy of the ledger, and keep the broken file for its audit records",
    sqlite3.SQLITE_NOTADB: "daemon.work_dir points at a folder whose ledger.sqlite is something else",
}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn errors of the disk and of SQLite into E310, with the file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        hint = _HINTS.get(code & 0xFF, "run again; see the log if it persists")
        raise SigcError(Diagnostic("E310", f"the ledger {path} can't be used: {error}", hint=hint)) from error
    except OSError as error:
        hint = "look at the rights, the space and the limit of open files of the work dir"
        raise SigcError(Diagnostic("E310", f"the ledger {path} can't be used: {error.strerror}", hint=hint)) from error


class Lock:
    """Exclusive ownership of the work dir until `release` or the process's end. Raise SigcError E311 if another has
    it.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / LOCK
        with told(path):
            keep_private(directory, "daemon.work_dir")
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # flock, not a pid file: the kernel releases it with the process, so a crash leaves no stale lock.
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            holder = os.pread(self._handle, 32, 0).decode(errors="replace").strip()
            os.close(self._handle)
            message = f"the work dir {directory} is in use by another process" + (f" (PID {holder})" if holder else "")
            raise SigcError(Diagnostic("E311", message, hint="one process writes a ledger at a time")) from taken
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        except OSError:  # the PID in the file is only for messages; the lock itself holds
            pass

    def release(self) -> None:
        """Release the lock."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def connect_writer(path: Path, synchronous: str = "FULL", migrations: Sequence[str] = MIGRATIONS) -> sqlite3.Connection:
    """Return the writing connection, migrated to the newest schema. Every transaction is explicit (BEGIN, COMMIT)."""
    with told(path):
        _look_at(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA busy_timeout = 5000")
            connection.execute("PRAGMA foreign_keys = ON")
            # Before anything is changed: the file may be another program's.
            version = _version(connection, path, len(migrations))
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            _migrate(connection, path, version, migrations)
        except BaseException:
            connection.close()
            raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a read-only connection. Raise E310 if there is no ledger, or its version is not this sigc's."""
    with told(path):
        if not path.is_file():
            hint = "nothing has been traded there; `sigc run FILE` makes a ledger, daemon.work_dir says where"
            raise SigcError(Diagnostic("E310", f"there is no ledger at {path}", hint=hint))
        how = "mode=ro&immutable=1" if _is_at_rest_for_good(path) else "mode=ro"
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, check_same_thread=False)
        try:
            connection.execute("PRAGMA busy_timeout = 5000")
            connection.execute("PRAGMA query_only = ON")
            version = _version(connection, path, len(MIGRATIONS))
            if version < len(MIGRATIONS):
                hint = "`sigc run` migrates it, and keeps a copy"
                raise SigcError(Diagnostic("E310", f"the ledger {path} has the old version {version}", hint=hint))
        except BaseException:
            connection.close()
            raise
    return connection


def _is_at_rest_for_good(path: Path) -> bool:
    """Return True on a read-only disk without a WAL. SQLite must then not create its -shm: `immutable` stops it."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) and not path.with_name(f"{path.name}-wal").exists()


def _look_at(path: Path) -> None:
    """Refuse a file that is not a database: SQLite takes a short file for an empty database and overwrites it."""
    if path.exists():
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
        if start.strip(b"\0") and not _MAGIC.startswith(start):
            raise _foreign(path)


def _foreign(path: Path) -> SigcError:
    return SigcError(Diagnostic("E310", f"{path} is not a sigc ledger", hint="set daemon.work_dir to another folder"))


def _migrate(connection: sqlite3.Connection, path: Path, version: int, migrations: Sequence[str]) -> None:
    # Copy before the first change. Each script commits with its version, so a crash goes on with the next script.
    if 0 < version < len(migrations):
        _copy(connection, path.with_name(f"{path.name}.v{version}"))
    for number, script in enumerate(migrations[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """Return the schema's version, 0 for a fresh file. Raise E310 for another program's file, or a newer version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION_ID:
        raise _foreign(path)
    if version > newest:
        message = f"the ledger {path} has version {version}, this sigc knows versions up to {newest}"
        raise SigcError(Diagnostic("E310", message, hint="run the sigc that wrote it, or a newer one"))
    return int(version)


def _copy(connection: sqlite3.Connection, to: Path) -> None:
    """Write a copy of the ledger beside it, completely or not at all."""
    part = to.with_name(f"{to.name}.part")
    for left in to.parent.glob(f"{part.name}*"):  # left by a process that died: the file, and its journal
        left.unlink()
    target = sqlite3.connect(part)
    try:
        connection.backup(target)
    finally:
        target.close()
    part.replace(to)
    # The rename is durable only once the directory is on disk; the migration begins after it.
    sync_directory(to.parent)


def _statements(script: str) -> Iterator[str]:
    """Yield one statement at a time: `executescript` would commit by itself."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
