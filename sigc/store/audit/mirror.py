"""The mirror: a copy of the audit chain as JSON lines for log shippers, one file a day, one record a line.

    audit/2024-01-02.jsonl       {"digest":..., "record":{...}, "seq":..., "signature":...}
    audit/2023-12-20.jsonl.gz    older than compress_days
    audit/retained.json          the last record deleted, after retention_days

The records alone decide the file: the day it was written, but never a day before the last file. The position is found
from the files themselves, so a crash at any point loses and repeats nothing: a torn last line is cut off and written
again.

The chain is complete over all files; where older ones were deleted, it begins after `retained.json` (`verify_mirror`).
"""

from __future__ import annotations

import fcntl
import gzip
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from sigc.config.settings import AuditSettings
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.failpoint import failpoint
from sigc.private import make_private
from sigc.store.audit.anchor import Anchor
from sigc.store.audit.chain import canonical, head
from sigc.store.audit.verify import ChainPosition, ChainVerdict, IsSigned, parsed, verify_lines
from sigc.store.files import sync_directory, write_whole
from sigc.store.ledger.records import Finding

RETAINED = "retained.json"
_PLAIN, _PACKED = ".jsonl", ".jsonl.gz"
_BATCH = 1000  # records written at once


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The result of a copy: the number of records copied, the last one mirrored, and the findings."""

    copied: int
    last: ChainPosition
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class DayFile:
    """The file of one day."""

    day: date
    path: Path

    @property
    def is_packed(self) -> bool:
        """Return True if it is compressed; then no line is added to it."""
        return self.path.name.endswith(_PACKED)

    def raw(self) -> bytes:
        """Return its lines as bytes, decompressed."""
        return gzip.decompress(self.path.read_bytes()) if self.is_packed else self.path.read_bytes()


def mirror(connection: sqlite3.Connection, directory: Path, settings: AuditSettings, now: datetime) -> Mirrored:
    """Copy every record that is not mirrored yet, then compress and delete old files.

    A write error is a finding; the next call continues at the same record.
    """
    last, copied = ChainPosition(), 0
    if not settings.mirror:
        return Mirrored(copied, last)
    try:
        make_private(directory)
        with _alone(directory):
            _settle(directory)
            last = _last(directory)
            # Never mix two chains in one folder, e.g. after the ledger was restored from an older copy.
            if last.seq and not _is_in(connection, last):
                message = (
                    f"the mirror {directory} belongs to another chain: its record {last.seq} differs from the ledger's"
                )
                return Mirrored(0, last, (Finding("mirror", Severity.ERROR, message),))
            for batch in _batches(connection, last.seq):
                last = _append(directory, batch)
                copied += len(batch)
            _rotate(directory, settings, now.date())
    except (OSError, EOFError, zlib.error, SigcError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Mirrored(copied, last, (Finding("mirror", Severity.ERROR, f"the mirror {directory} is behind: {why}"),))
    return Mirrored(copied, last)


def verify_mirror(
    directory: Path, anchors: Sequence[Anchor] = (), is_signed: IsSigned | None = None, signed_from: int = 1
) -> ChainVerdict:
    """Verify the chain of all lines of a mirror. anchors: those of this chain only. Raise OSError."""
    since = _retained(directory)
    return verify_lines(mirror_lines(day_files(directory)), anchors, is_signed, signed_from, since)


def beside_mirror(connection: sqlite3.Connection, directory: Path) -> tuple[int, str]:
    """Return (number, reason) of a record that the mirror has and the chain has not, or has otherwise; (0, '') if none.

    Only the newest mirrored record is looked at: its digest stands for all before it. A mirror that can't be read says
    nothing here: `verify_mirror` is for that.
    """
    try:
        last = _last(directory)
    except (OSError, EOFError, zlib.error, SigcError):
        return 0, ""
    if not last.seq or _is_in(connection, last):
        return 0, ""
    seq, _ = head(connection)
    if last.seq > seq:
        return seq + 1, f"the end was cut off: the mirror {directory} has {last.seq} records"
    return last.seq, f"the mirror {directory} has another record {last.seq}: one of the records up to it was replaced"


def mirror_lines(files: Sequence[DayFile]) -> Iterator[bytes]:
    """Yield the lines of files, each with its newline. A last line without one is incomplete, and left out."""
    for file in files:
        try:
            with gzip.open(file.path, "rb") if file.is_packed else file.path.open("rb") as lines:
                yield from (line for line in lines if line.endswith(b"\n") or file != files[-1])
        except (gzip.BadGzipFile, EOFError, zlib.error):
            yield b""  # an invalid line: the record that belongs here is reported as bad


def day_files(directory: Path) -> list[DayFile]:
    """Return the files of a mirror by day; if a day has two, the compressed one."""
    found: dict[date, DayFile] = {}
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        stem = path.name.partition(".")[0]
        if path.name in (stem + _PLAIN, stem + _PACKED):
            try:
                day = date.fromisoformat(stem)
            except ValueError:
                continue
            found[day] = DayFile(day, path)  # .jsonl.gz sorts after .jsonl, and replaces it
    return sorted(found.values())


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    # One mirroring process at a time: the lock is on the folder itself, and released with the process.
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _settle(directory: Path) -> None:
    """Clean up after a crashed process: *.part files, days that exist twice, a torn last line."""
    for part in directory.glob("*.part"):
        part.unlink()
    files = day_files(directory)
    for file in files:
        if file.is_packed:
            # A crash between packing and unlinking left both. The packed file is complete: it was renamed into place.
            file.path.with_suffix("").unlink(missing_ok=True)
    if files and not files[-1].is_packed:
        _mend(files[-1].path)


def _mend(path: Path) -> None:
    """Cut off a line whose writing was interrupted."""
    size = path.stat().st_size
    torn = _tail(path, size)
    if torn and not torn.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(size - len(torn))
            os.fsync(file.fileno())


def _tail(path: Path, size: int) -> bytes:
    """Return the last line of the first `size` bytes, with its newline if it has one."""
    # Read from the end in growing steps: a day's file may be large, its last line is short.
    step = 65_536
    with path.open("rb") as file:
        while True:
            start = max(0, size - step)
            file.seek(start)
            raw = file.read(size - start)
            cut = raw.rfind(b"\n", 0, len(raw) - 1)
            if cut >= 0 or not start:
                return raw[cut + 1 :]
            step *= 4


def _place(line: bytes) -> ChainPosition | None:
    told = parsed(line.decode(errors="replace"))
    if told is None or type(told.get("seq")) is not int or not isinstance(told.get("digest"), str):
        return None
    return ChainPosition(told["seq"], told["digest"])


def _last(directory: Path) -> ChainPosition:
    """Return the position of the last mirrored record."""
    for file in reversed(day_files(directory)):
        line = _last_line(file)
        if line:
            return _known(line, file)
    return _retained(directory)


def _last_line(file: DayFile) -> bytes:
    if not file.is_packed:
        return _tail(file.path, file.path.stat().st_size)
    raw = file.raw()
    return raw[raw.rfind(b"\n", 0, len(raw) - 1) + 1 :]


def _known(line: bytes, file: DayFile) -> ChainPosition:
    found = _place(line)
    if found is None:
        hint = "check it by `sigc audit verify --mirror`; if you move the mirror away, it is rebuilt from the ledger"
        raise SigcError(Diagnostic("E810", f"the last line of {file.path} is damaged", hint=hint))
    return found


def _retained(directory: Path) -> ChainPosition:
    path = directory / RETAINED
    if not path.exists():
        return ChainPosition()
    return _place(path.read_bytes()) or ChainPosition()


def _is_in(connection: sqlite3.Connection, place: ChainPosition) -> bool:
    row = connection.execute("SELECT digest FROM audit WHERE seq = ?", (place.seq,)).fetchone()
    return row is not None and row[0] == place.digest


_Row = tuple[int, str, str, str, str]


def _batches(connection: sqlite3.Connection, after: int) -> Iterator[list[_Row]]:
    while True:
        query = "SELECT seq, at, record, digest, signature FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
        batch = connection.execute(query, (after, _BATCH)).fetchall()
        if not batch:
            return
        yield batch
        after = int(batch[-1][0])


def line_of(seq: int, record: str, digest: str, signature: str) -> bytes:
    """Return a record as a line: the canonical text of its parts.

    >>> line_of(1, '{"a":1}', "d", "")
    b'{"digest":"d","record":{"a":1},"seq":1,"signature":""}\\n'
    """
    text = f'{{"digest":"{digest}","record":{record},"seq":{seq},"signature":"{signature}"}}\n'
    return text.encode()


def _append(directory: Path, batch: Sequence[_Row]) -> ChainPosition:
    """Append records to the last file, or to files of later days. Return the last position on disk."""
    files = day_files(directory)
    # A packed file is closed: its day's later records go to the next day, whatever their own date.
    open_day = date.min if not files else files[-1].day + timedelta(days=files[-1].is_packed)
    by_day: dict[date, list[bytes]] = {}
    for seq, at, record, digest, signature in batch:
        open_day = max(open_day, date.fromisoformat(at[:10]))
        by_day.setdefault(open_day, []).append(line_of(seq, record, digest, signature))
    for day, lines in by_day.items():
        path = directory / f"{day}{_PLAIN}"
        is_new = not path.exists()
        with path.open("ab") as file:
            path.chmod(0o600)
            file.writelines(lines)
            file.flush()
            failpoint("mirror:append")
            os.fsync(file.fileno())
        # The new name must survive a power cut too.
        if is_new:
            sync_directory(directory)
    return ChainPosition(batch[-1][0], batch[-1][3])


def _rotate(directory: Path, settings: AuditSettings, today: date) -> None:
    files = day_files(directory)
    if settings.retention_days:
        old = [f for f in files if (today - f.day).days > settings.retention_days]
        if old:
            _delete(directory, old)
            files = files[len(old) :]
    for file in files:
        if not file.is_packed and (today - file.day).days > settings.compress_days:
            _pack(directory, file)


def _pack(directory: Path, file: DayFile) -> None:
    # mtime=0: the same lines always give the same bytes. Order: write the packed file, then remove the plain one.
    packed = gzip.compress(file.raw(), mtime=0)
    to = file.path.with_name(file.path.name + ".gz")
    write_whole(to, packed)
    failpoint("mirror:rotate")
    file.path.unlink()
    sync_directory(directory)


def _delete(directory: Path, old: Sequence[DayFile]) -> None:
    """Delete files, oldest first; before each, record the position from which the chain continues."""
    for file in old:
        line = _last_line(file)
        if line:
            last = _known(line, file)
            write_whole(directory / RETAINED, (canonical({"seq": last.seq, "digest": last.digest}) + "\n").encode())
        file.path.unlink()
        sync_directory(directory)
