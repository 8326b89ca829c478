"""The mirror: the audit chain once more, as JSON lines for shippers, a file a day, each of one line a record.

    audit/2024-01-02.jsonl       {"digest":..., "record":{...}, "seq":..., "signature":...}
    audit/2023-12-20.jsonl.gz    older than compress_days
    audit/retained.json          the last record of what is older than retention_days, and deleted

Which record is in which file follows from the records alone: the day it was written, never before the last file. What
is mirrored already is found from the files themselves, so that a death at any point loses nothing and doubles nothing:
a line that was being written is cut off and written again.

The chain is whole over all files, and from `retained.json` on where older ones are deleted (`verify_mirror`).
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
from sigc.errors import Diagnostic, SigcError
from sigc.failpoint import failpoint
from sigc.private import make_private
from sigc.store.audit.anchor import Anchor
from sigc.store.audit.chain import canonical
from sigc.store.audit.verify import ChainPosition, ChainVerdict, IsSigned, parsed, verify_lines
from sigc.store.files import sync_directory, write_whole
from sigc.store.ledger.records import Finding, Weight

RETAINED = "retained.json"
_PLAIN, _PACKED = ".jsonl", ".jsonl.gz"
_BATCH = 1000  # records written at once


@dataclass(frozen=True, slots=True)
class Mirrored:
    """How many records were copied, the last that is mirrored, and what went wrong."""

    copied: int
    last: ChainPosition
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class DayFile:
    """One day's lines."""

    day: date
    path: Path

    @property
    def is_packed(self) -> bool:
        """Whether it is compressed, and closed."""
        return self.path.name.endswith(_PACKED)

    def raw(self) -> bytes:
        """Its lines."""
        return gzip.decompress(self.path.read_bytes()) if self.is_packed else self.path.read_bytes()


def mirror(connection: sqlite3.Connection, directory: Path, settings: AuditSettings, now: datetime) -> Mirrored:
    """Copy every record that is not mirrored yet, then compress and delete what is old.

    What can't be written is a finding; the next call goes on where this one ended.
    """
    last, copied = ChainPosition(), 0
    if not settings.mirror:
        return Mirrored(copied, last)
    try:
        make_private(directory)
        with _alone(directory):
            _settle(directory)
            last = _last(directory)
            if last.seq and not _is_in(connection, last):
                message = f"the mirror {directory} is of another chain: its record {last.seq} is not the ledger's"
                return Mirrored(0, last, (Finding("mirror", Weight.ERROR, message),))
            for batch in _batches(connection, last.seq):
                last = _append(directory, batch)
                copied += len(batch)
            _rotate(directory, settings, now.date())
    except (OSError, EOFError, zlib.error, SigcError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Mirrored(copied, last, (Finding("mirror", Weight.ERROR, f"the mirror {directory} is behind: {why}"),))
    return Mirrored(copied, last)


def verify_mirror(
    directory: Path, anchors: Sequence[Anchor] = (), is_signed: IsSigned | None = None, signed_from: int = 1
) -> ChainVerdict:
    """The chain of all lines of a mirror. anchors: of this chain alone. Raises OSError."""
    since = _retained(directory)
    return verify_lines(mirror_lines(day_files(directory)), anchors, is_signed, signed_from, since)


def mirror_lines(files: Sequence[DayFile]) -> Iterator[bytes]:
    """The lines of files, each with its newline. A line without one was being written, and is none."""
    for file in files:
        try:
            with gzip.open(file.path, "rb") if file.is_packed else file.path.open("rb") as lines:
                yield from (line for line in lines if line.endswith(b"\n") or file != files[-1])
        except (gzip.BadGzipFile, EOFError, zlib.error):
            yield b""  # no line at all: the record that should be here is bad


def day_files(directory: Path) -> list[DayFile]:
    """The files of a mirror by day; of a day that is there twice the compressed one."""
    found: dict[date, DayFile] = {}
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        stem = path.name.partition(".")[0]
        if path.name in (stem + _PLAIN, stem + _PACKED):
            try:
                day = date.fromisoformat(stem)
            except ValueError:
                continue
            found[day] = DayFile(day, path)  # .jsonl.gz sorts behind .jsonl
    return sorted(found.values())


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _settle(directory: Path) -> None:
    """Clear up behind a process that died: half-made files, days that are there twice, a torn last line."""
    for part in directory.glob("*.part"):
        part.unlink()
    files = day_files(directory)
    for file in files:
        if file.is_packed:
            file.path.with_suffix("").unlink(missing_ok=True)
    if files and not files[-1].is_packed:
        _mend(files[-1].path)


def _mend(path: Path) -> None:
    """Cut off a line that was being written when its process died."""
    size = path.stat().st_size
    torn = _tail(path, size)
    if torn and not torn.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(size - len(torn))
            os.fsync(file.fileno())


def _tail(path: Path, size: int) -> bytes:
    """The last line of the first `size` bytes, with its newline if it has one."""
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
    """The last record that is mirrored."""
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
        hint = "`sigc audit verify --mirror` looks at all of it; moved away, it is written anew from the ledger"
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
    """A record as a line: the canonical text of its parts.

    >>> line_of(1, '{"a":1}', "d", "")
    b'{"digest":"d","record":{"a":1},"seq":1,"signature":""}\\n'
    """
    text = f'{{"digest":"{digest}","record":{record},"seq":{seq},"signature":"{signature}"}}\n'
    return text.encode()


def _append(directory: Path, batch: Sequence[_Row]) -> ChainPosition:
    """Write records behind the last file, or into files of later days. Gives the last that is on the disk."""
    files = day_files(directory)
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
    packed = gzip.compress(file.raw(), mtime=0)
    to = file.path.with_name(file.path.name + ".gz")
    write_whole(to, packed)
    failpoint("mirror:rotate")
    file.path.unlink()
    sync_directory(directory)


def _delete(directory: Path, old: Sequence[DayFile]) -> None:
    """Remember where the chain goes on, then delete, oldest first."""
    for file in old:
        line = _last_line(file)
        if line:
            last = _known(line, file)
            write_whole(directory / RETAINED, (canonical({"seq": last.seq, "digest": last.digest}) + "\n").encode())
        file.path.unlink()
        sync_directory(directory)
