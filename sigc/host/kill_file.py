"""The kill file: halts that need no daemon. Whoever sends orders reads it before each request.

    work_dir/halt.json   {"halts": [{"scope": "momentum", "who": "ann@desk", "reason": "odd prices", "at": "2024-..."}]}

scope: a strategy, '' for everything. A file that exists and can't be read, or is not of this form, halts everything: an
empty `halt.json` made by `touch` is a halt. `sigc halt` writes it when no daemon answers; `sigc safety resume` removes
it. While there is none, a look costs one `lstat`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc.private import make_private
from sigc.store.files import sync_directory, write_whole

FILE = "halt.json"
UNREAD = "the kill file"  # the author of a halt by a file that can't be read
_MOST_BYTES = 1_000_000
_PATIENCE_S, _LOOK_S = 0.5, 0.01
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class FileHalt:
    """A halt in the kill file. scope: a strategy, '' for everything; at: an ISO instant."""

    scope: str
    who: str
    reason: str
    at: str

    @property
    def since(self) -> datetime:
        """The instant of the halt."""
        return datetime.fromisoformat(self.at).astimezone(UTC)


def halts_of(work_dir: Path) -> tuple[FileHalt, ...]:
    """Return the halts in the kill file; one of everything if the file can't be read, none if there is no file."""
    path = work_dir / FILE
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as failure:
        return (_in_doubt(path, failure.strerror or str(failure), datetime.now(UTC)),)
    try:
        return _parsed(_read(path))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as failure:
        why = getattr(failure, "strerror", None) or str(failure) or type(failure).__name__
        return (_in_doubt(path, why, datetime.fromtimestamp(found.st_mtime, UTC)),)


def halt_for(work_dir: Path, strategy: str) -> FileHalt | None:
    """Return the halt that applies to a strategy: the one of everything, or its own; None without either."""
    found = [halt for halt in halts_of(work_dir) if halt.scope in ("", strategy)]
    return min(found, key=lambda halt: halt.scope) if found else None


def stamp_of(work_dir: Path) -> Stamp | None:
    """Return a value that changes with the kill file; None while there is none."""
    try:
        found = os.lstat(f"{work_dir}/{FILE}")  # no new Path: a run that waits asks twice a second
    except OSError as failure:
        return None if isinstance(failure, FileNotFoundError | NotADirectoryError) else (0, 0, 0, 0)
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


def add_halt(work_dir: Path, halt: FileHalt) -> tuple[FileHalt, ...]:
    """Write a halt, beside those of other scopes. Return all that the file holds then; the halts before stay in force.

    The work dir is made if there is none. Raise SigcError E310 if the file can't be written and does not halt that
    strategy already.
    """
    try:
        make_private(work_dir)
        with _turn(work_dir):
            kept = tuple(one for one in halts_of(work_dir) if one.scope != halt.scope)
            _write(work_dir, (*kept, halt))
    except OSError as failure:
        if halt_for(work_dir, halt.scope) is None:
            raise SigcError(_unwritable(work_dir, failure)) from failure
    return halts_of(work_dir)


def lift_halt(work_dir: Path, scope: str) -> bool:
    """Remove the halt of a scope. Return True if there was one. Raise SigcError E310.

    What can't be read halts everything: lifting that moves it aside, and deletes nothing.
    """
    path = work_dir / FILE
    try:
        if stamp_of(work_dir) is None:
            return False
        with _turn(work_dir):
            found = halts_of(work_dir)
            kept = tuple(one for one in found if one.scope != scope)
            if len(kept) == len(found):
                return False
            if kept:
                _write(work_dir, kept)
            elif found[0].who == UNREAD:
                path.rename(path.with_name(f"{FILE}.lifted-{time.time_ns()}"))
            else:
                path.unlink(missing_ok=True)
            sync_directory(work_dir)
    except OSError as failure:
        raise SigcError(_unwritable(work_dir, failure)) from failure
    return True


def _write(work_dir: Path, halts: tuple[FileHalt, ...]) -> None:
    said = {"halts": [asdict(one) for one in sorted(halts, key=lambda one: one.scope)]}
    write_whole(work_dir / FILE, (json.dumps(said, indent=2) + "\n").encode())
    owner = work_dir.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:  # the daemon's user must be able to read what root wrote
        os.chown(work_dir / FILE, owner.st_uid, owner.st_gid)


def _read(path: Path) -> bytes:
    # Not blocking: a pipe under this name must not hold whoever sends orders.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no regular file")
        data = os.read(handle, _MOST_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > _MOST_BYTES:
        raise ValueError("it is too large")
    return data


def _parsed(data: bytes) -> tuple[FileHalt, ...]:
    """Return the halts of a file's text. Raise ValueError, TypeError or KeyError for any other form, and for none."""
    halts = tuple(FileHalt(**one) for one in json.loads(data)["halts"])
    for one in halts:
        if not all(isinstance(value, str) for value in asdict(one).values()):
            raise ValueError("a value is no text")
        "".join(asdict(one).values()).encode()  # half a character could be written nowhere: UnicodeEncodeError
        try:
            _ = one.since
        except OverflowError as failure:
            raise ValueError("an instant is invalid") from failure
    if not halts:
        raise ValueError("it lists no halt")
    return halts


def _in_doubt(path: Path, why: str, at: datetime) -> FileHalt:
    return FileHalt("", UNREAD, f"{path} can't be read as a list of halts ({why[:200]})", at.isoformat())


@contextlib.contextmanager
def _turn(work_dir: Path) -> Iterator[None]:
    """Hold the folder's lock: of two writers one comes after the other. A holder that hangs is not waited for."""
    descriptor = os.open(work_dir, os.O_RDONLY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    break
                time.sleep(_LOOK_S)
        yield
    finally:
        os.close(descriptor)


def _unwritable(work_dir: Path, failure: OSError) -> Diagnostic:
    message = f"the kill file {work_dir / FILE} can't be written: {failure.strerror or failure}"
    return Diagnostic("E310", message, hint="be the daemon's user, or stop its process: `sigc stop`, kill -9")
