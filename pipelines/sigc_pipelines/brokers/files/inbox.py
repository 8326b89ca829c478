"""The inbox: files in which an order management system answers.

    acks*       accepted, rejected, cancelled, expired: by order
    fills*      executions, by their ids; charges*: money that no order moved, by its id
    positions*  a snapshot of all positions a file, renamed into place; account*: snapshots of the money, a row each

Files may grow, come one by one, be renamed, or be moved away. What is not whole yet is not read: a last line without
its newline, names that begin with a dot or end with .part or .tmp, an empty file. All else is read or is an error.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from sigc_pipelines.brokers.files.columns import ACCOUNT, ACKS, CHARGES, FILLS, POSITIONS, FolderForm, FolderRow
from sigc_pipelines.brokers.protocol import UnreachableError

KINDS = (ACKS, FILLS, POSITIONS, ACCOUNT, CHARGES)
_SHOWN = ", ".join(f"{kind}*" for kind in KINDS)
_SETTLED_NS = 2_000_000_000  # a file that changed later than this before now may change again under the same stamp
_TRIES = 5  # of a listing whose files are moved meanwhile


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file as far as it is whole. facts: what its rows mean, with their places; is_whole: no line is unfinished."""

    kind: str
    name: str
    rows: tuple[FolderRow, ...]
    facts: tuple[tuple[str, object], ...]
    data: bytes
    is_whole: bool

    @property
    def size(self) -> int:
        """Return the number of bytes of the whole lines."""
        return len(self.data)

    def digest(self, size: int) -> str:
        """Return a digest of the first `size` bytes."""
        return blake2b(self.data[:size], digest_size=8).hexdigest()

    def rows_within(self, size: int) -> int:
        """Return the number of rows whose lines end within the first `size` bytes."""
        lines = self.data[:size].count(b"\n")
        return sum(int(row.at.rpartition(" ")[2]) <= lines for row in self.rows)


class FolderInbox:
    """Reader of the inbox. Remembers files that do not change any more. meaning: of a row, by its kind of file."""

    def __init__(self, folder: Path, form: FolderForm, meaning: Mapping[str, Callable[[FolderRow], object]]) -> None:
        self._folder, self._form, self._meaning = folder, form, meaning
        self._pattern = re.compile(rf"({'|'.join(KINDS)})([-_.].*)?\.{form.format}")
        self._known: dict[str, tuple[tuple[int, ...], FolderFile]] = {}

    def files(self, *kinds: str) -> tuple[FolderFile, ...]:
        """Return the files of these kinds by name. Raises UnreachableError: unreadable, malformed, of no kind."""
        for _ in range(_TRIES):
            try:
                names = sorted(self._names())
                return tuple(self._file(kind, name) for kind, name in names if kind in kinds)
            except FileNotFoundError:
                continue  # moved away since it was listed
            except OSError as error:
                raise UnreachableError(f"{self._folder} can't be read: {error.strerror}") from error
        raise UnreachableError(f"{self._folder}: its files are moved while they are read")

    def _names(self) -> Iterator[tuple[str, str]]:
        if not self._folder.is_dir():
            raise UnreachableError(f"{self._folder} is not there: is it mounted?")
        with os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(".") or name.endswith((".part", ".tmp")) or entry.is_dir():
                    continue
                found = self._pattern.fullmatch(name)
                if found is None:
                    expected = f"{_SHOWN} ending with .{self._form.format}"
                    raise UnreachableError(f"{entry.path}: only files {expected} are read here; move it away")
                yield found[1], name

    def _file(self, kind: str, name: str) -> FolderFile:
        path = self._folder / name
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            known = self._known.get(name)
            if known is not None and known[0] == stamp:
                return known[1]
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        rows = self._form.rows_of(kind, str(path), whole)
        means = self._meaning.get(kind)
        facts = () if means is None else tuple((row.at, means(row)) for row in rows)
        found = FolderFile(kind, name, rows, facts, whole, is_whole=len(whole) == len(data))
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED_NS:
            self._known[name] = (stamp, found)
        return found
