"""The parquet cache: one file per block, named by the digest of everything its bytes depend on.

    blocks/ab/<key>.parquet        a `date` column and one FixedSizeList<double> column `values`
    blocks/ab/<key>.carry.parquet  state vectors of a carried operator, one row a component
    blocks/ab/<key>.json           the facts, written last: a block exists once they do
    notes/<name>                   small texts (manifests, tips)
    leases/<pid>-<n>               keys that a running plan counts on

A file is written under a temporary name, synced and renamed, so that it exists whole or not at all. Every read verifies
the checksum; a damaged entry is dropped, reported in `incidents`, and reads as absent. Verified blocks stay in memory
within a budget. Several processes may share a cache.

Neighbours: `files.py` is the format of one file, `upkeep.py` lists, clears, verifies and evicts, `counts.py` counts.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from sigc.blocks.block import BlockFacts, CarryState, Place
from sigc.cache import files
from sigc.cache.counts import add_counts, counts, set_bytes
from sigc.cache.upkeep import SUFFIXES, bytes_of, evict, lease_file, size
from sigc.errors import Diagnostic, SigcError
from sigc.panel import Panel
from sigc.private import intruder, is_foreign, is_of_another, make_private

log = logging.getLogger(__name__)
T = TypeVar("T")

_MEMORY_BYTES = 256 << 20
_TELL_BYTES = 64 << 20  # written bytes after which the shared counters are updated


class ParquetStore:
    """A `BlockStore` in `directory`. max_size_gb: the least recently used blocks beyond it are evicted when a run ends.

    is_trusted: accept a directory that others may write. Otherwise it is refused (E402), and a file of another user
    counts as damaged: blocks decide trades.
    """

    def __init__(
        self,
        directory: Path,
        max_size_gb: float = 10.0,
        memory_bytes: int = _MEMORY_BYTES,
        *,
        is_trusted: bool = False,
    ) -> None:
        self.directory = directory
        self._is_trusted = is_trusted
        self.max_bytes = int(max_size_gb * 1e9)
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, Panel] = OrderedDict()
        self._held_bytes = 0
        self._facts: dict[str, BlockFacts] = {}
        self._incidents: list[str] = []
        self._hits = self._misses = self._written = 0
        _open(directory, is_trusted=is_trusted)

    def facts(self, key: str) -> BlockFacts | None:
        """Return the facts of a stored block, None if absent. A hit marks it as used."""
        path = self._path(key, ".json")
        try:
            found = self._facts.get(key) or self._facts_in(path)
            if not self._path(key, ".parquet").exists():
                raise files.DamagedError("its data file is missing")
        except (FileNotFoundError, files.OtherFormatError):
            self._forget(key)
            self._count(0, 1)
            return None
        except files.DamagedError as damage:
            self._drop(key, str(damage))
            self._count(0, 1)
            return None
        self._mark(key)
        self._facts[key] = found
        self._count(1, 0)
        return found

    def _facts_in(self, path: Path) -> BlockFacts:
        self._refuse_foreign(path)
        return files.read_facts(path)

    def read(self, key: str, place: Place | None = None) -> Panel | None:
        with self._lock:
            held = self._memory.get(key)
            if held is not None:
                self._memory.move_to_end(key)
                return held
        panel = self._verified(key, ".parquet", partial(files.read_panel, place=place))
        if panel is not None:
            self._remember(key, panel)
        return panel

    def read_carry(self, key: str) -> CarryState | None:
        carry = self._verified(key, ".carry.parquet", files.read_carry)
        if carry is None and self.facts(key) is not None:
            self._drop(key, "its state is missing")
        return carry

    def write(self, facts: BlockFacts, panel: Panel, carry: CarryState | None = None) -> None:
        """Store a block. Raise `SigcError` (E300) if the disk refuses it; nothing is half-written."""
        try:
            make_private(self._path(facts.key, ".json").parent)
            files.write_panel(self._path(facts.key, ".parquet"), facts, panel)
            if carry is not None:
                files.write_carry(self._path(facts.key, ".carry.parquet"), facts, carry)
            # Last: readers look for the facts first, so an interrupted write is an absent block.
            files.write_facts(self._path(facts.key, ".json"), facts)
        except OSError as failure:
            message = f"the cache {self.directory} can't take block {facts.name}_{facts.label}: {failure.strerror}"
            raise SigcError(Diagnostic("E300", message, hint="free space, or set daemon.cache.directory")) from failure
        self._facts[facts.key] = facts
        self._remember(facts.key, panel)
        self._count(0, 0, bytes_of(self.directory, facts.key))

    def free(self) -> None:
        """Drop the blocks held in memory; all of them are on disk."""
        with self._lock:
            self._memory.clear()
            self._held_bytes = 0

    def note(self, name: str, text: str) -> None:
        files.replace(self._note(name), text.encode())

    def noted(self, name: str) -> str | None:
        path = self._note(name)
        try:
            self._refuse_foreign(path)
            return path.read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError, files.DamagedError):
            return None

    @contextmanager
    def lease(self, keys: Iterable[str]) -> Iterator[None]:
        path = lease_file(self.directory)
        files.replace(path, "\n".join(sorted(keys)).encode())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            self.flush_counts()
            if counts(self.directory).may_exceed(self.max_bytes):
                with suppress(OSError):  # a read-only cache keeps its size
                    self.evict()

    def incidents(self) -> tuple[str, ...]:
        return tuple(self._incidents)

    def evict(self) -> int:
        """Drop least recently used blocks until the cache is within its size; return the bytes freed."""
        held = size(self.directory)
        gone, freed = evict(self.directory, self.max_bytes) if held > self.max_bytes else ([], 0)
        for key in gone:
            self._facts.pop(key, None)
        set_bytes(self.directory, held - freed)
        return freed

    def _verified(self, key: str, suffix: str, reader: Callable[[Path, str], T]) -> T | None:
        """Return what `reader` reads from a file; None if absent or damaged (then the whole entry is dropped)."""
        path = self._path(key, suffix)
        try:
            self._refuse_foreign(path)
            found = reader(path, key)
            self._mark(key)
            return found
        except (FileNotFoundError, files.OtherFormatError):
            self._forget(key)
            return None
        except files.DamagedError as damage:
            self._drop(key, str(damage))
            return None

    def _refuse_foreign(self, path: Path) -> None:
        """Raise `DamagedError` for a file of another user, FileNotFoundError for none."""
        if not self._is_trusted and is_of_another(path.stat()):
            raise files.DamagedError("another user wrote it")

    def _mark(self, key: str) -> None:
        """Mark a block as used, for eviction."""
        with suppress(OSError):  # a read-only cache can't be marked, and another process may remove the block meanwhile
            os.utime(self._path(key, ".json"))

    def _drop(self, key: str, why: str) -> None:
        facts = self._facts.get(key)
        name = f"{facts.name}_{facts.label}" if facts else key[:12]
        text = f"cache entry {name} was damaged ({why}); it was dropped and will be recomputed"
        log.warning(text)
        self._incidents.append(text)
        for suffix in SUFFIXES:
            self._path(key, suffix).unlink(missing_ok=True)
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._facts.pop(key, None)
        with self._lock:
            panel = self._memory.pop(key, None)
            if panel is not None:
                self._held_bytes -= panel.values.nbytes

    def _remember(self, key: str, panel: Panel) -> None:
        with self._lock:
            if key in self._memory or panel.values.nbytes > self._memory_bytes // 2:
                return
            self._memory[key] = panel
            self._held_bytes += panel.values.nbytes
            while self._held_bytes > self._memory_bytes:
                _, oldest = self._memory.popitem(last=False)
                self._held_bytes -= oldest.values.nbytes

    def _count(self, hits: int, misses: int, written: int = 0) -> None:
        with self._lock:
            self._hits += hits
            self._misses += misses
            self._written += written
        if self._written > _TELL_BYTES:
            self.flush_counts()

    def flush_counts(self) -> None:
        """Add this process's hits, misses and bytes to the shared counters."""
        with self._lock:
            mine = self._hits, self._misses, self._written
            self._hits = self._misses = self._written = 0
        if any(mine):
            add_counts(self.directory, *mine)

    def _path(self, key: str, suffix: str) -> Path:
        return Path(self.directory, "blocks", key[:2], key + suffix)

    def _note(self, name: str) -> Path:
        return self.directory / "notes" / name


def _open(directory: Path, *, is_trusted: bool) -> None:
    """Create the folders, mode 0700. Raise E402 if that fails, or if others may have changed the content."""
    try:
        for folder in _folders(directory):
            make_private(folder)
        if not is_trusted:
            _refuse_shared(directory)
        if directory.stat().st_uid == os.geteuid() and directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as failure:
        if directory.is_dir() and (directory / "blocks").is_dir():
            if not is_trusted:
                _refuse_shared(directory)
            return  # a read-only cache can still be read
        message = f"the cache directory {directory} can't be used: {failure.strerror}"
        raise SigcError(Diagnostic("E402", message, hint="set daemon.cache.directory")) from failure


def _folders(directory: Path) -> tuple[Path, ...]:
    return (directory, *(directory / name for name in ("blocks", "notes", "leases")))


def _refuse_shared(directory: Path) -> None:
    """Raise E402 if others may write. To close the folder here would keep files that others put there: its owner must
    decide.
    """
    why = next(filter(None, (intruder(folder) for folder in _folders(directory) if folder.is_dir())), "")
    for entry in () if why else os.scandir(directory / "blocks"):
        if is_foreign(entry.stat(follow_symlinks=False)):
            why = f"others may write {entry.path}"
    if why:
        message = f"the cache directory {directory} is not safe from other users: {why}"
        hint = "close it (chmod -R go-w) if only you wrote there, else remove it; or set daemon.cache.directory"
        raise SigcError(Diagnostic("E402", message, hint=hint))
