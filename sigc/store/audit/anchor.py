"""Anchors of the audit chain: its length and digest at an instant, written outside the ledger.

One line a day, appended and flushed, best to a file that the writer of the ledger cannot change: it exposes a chain
that was truncated or rewritten (`verify.py`). Several daemons may share a file.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from sigc.errors import Diagnostic, Severity, SigcError
from sigc.failpoint import failpoint
from sigc.private import make_private
from sigc.store.audit.chain import canonical, head, ledger_id
from sigc.store.files import sync_directory
from sigc.store.ledger.records import Finding

FILE = "anchors.jsonl"
_DAY = 10  # characters of an ISO date


@dataclass(frozen=True, slots=True)
class Anchor:
    """The length and last digest of a ledger's chain at an instant (ISO, UTC)."""

    at: str
    ledger: str
    seq: int
    digest: str


@dataclass(frozen=True, slots=True)
class Anchored:
    """The anchor written, None if none was due, and the findings."""

    anchor: Anchor | None
    findings: tuple[Finding, ...] = ()


def anchors_file(work_dir: Path, setting: str) -> Path:
    """Return the path of the anchors: `audit.anchor`, or a file in the work dir."""
    return Path(setting).expanduser() if setting else work_dir / "audit" / FILE


def anchor(connection: sqlite3.Connection, path: Path, now: datetime, *, on_demand: bool = False) -> Anchored:
    """Anchor the chain, at most once a UTC day unless on demand. An unwritable file is a finding."""
    ledger = ledger_id(connection)
    seq, digest = head(connection)
    if not seq:
        return Anchored(None)
    fresh = Anchor(now.isoformat(), ledger, seq, digest)
    try:
        return Anchored(_append(path, fresh, on_demand=on_demand))
    except OSError as error:
        message = f"the chain is not anchored: {path}: {error.strerror or error}"
    except SigcError as error:
        message = f"the chain is not anchored: {error.diagnostics[0].message}"
    return Anchored(None, (Finding("anchor", Severity.ERROR, message),))


def read_anchors(path: Path) -> tuple[Anchor, ...]:
    """Return the anchors of a file, oldest first; empty without a file. Raise E811 for invalid lines."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    *lines, rest = raw.split(b"\n")
    found = tuple(_parsed(line, path, number) for number, line in enumerate(lines, 1))
    # After the last newline: what a process that died was writing, or a whole anchor whose newline was taken away.
    return (*found, _parsed(rest, path, len(lines) + 1)) if _is_whole(rest) else found


def _append(path: Path, fresh: Anchor, *, on_demand: bool) -> Anchor | None:
    make_private(path.parent)
    is_new = not path.exists()
    with _locked(path) as handle:
        ours = [a for a in read_anchors(path) if a.ledger == fresh.ledger]
        if ours and not _is_due(ours[-1], fresh, on_demand):
            return None
        # Order: lock, read, cut off a torn line, append, fsync. Another daemon may append to the same file at any time.
        failpoint("anchor")
        _mend(path, handle)
        _write(handle, (canonical(asdict(fresh)) + "\n").encode())
        os.fsync(handle)
    if is_new:
        sync_directory(path.parent)
    return fresh


def _is_due(last: Anchor, fresh: Anchor, on_demand: bool) -> bool:
    if on_demand:
        return (last.seq, last.digest) != (fresh.seq, fresh.digest)
    return last.at[:_DAY] != fresh.at[:_DAY]


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _mend(path: Path, handle: int) -> None:
    """Cut off a line whose writing was interrupted; end one that lacks its newline alone."""
    raw = path.read_bytes()
    whole = raw.rfind(b"\n") + 1
    if _is_whole(raw[whole:]):
        _write(handle, b"\n")
    elif whole < len(raw):
        os.ftruncate(handle, whole)


def _is_whole(line: bytes) -> bool:
    try:
        Anchor(**json.loads(line))
    except (ValueError, TypeError):
        return False
    return True


def _write(handle: int, data: bytes) -> None:
    # os.write may write less than asked, e.g. on a full disk.
    while data:
        data = data[os.write(handle, data) :]


def _parsed(line: bytes, path: Path, number: int) -> Anchor:
    try:
        told = json.loads(line)
        found = Anchor(**told)
        if type(found.seq) is not int or not all(isinstance(t, str) for t in (found.at, found.ledger, found.digest)):
            raise TypeError
    except (ValueError, TypeError):
        raise _unreadable(path, f"line {number} is not an anchor") from None
    return found


def _unreadable(path: Path, why: str) -> SigcError:
    hint = "anchors can't be checked; restore the file from its copy"
    return SigcError(Diagnostic("E811", f"the anchors {path} can't be read: {why}", hint=hint))
