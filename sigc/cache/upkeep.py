"""Maintenance of a cache directory: list, clear, verify, evict. It works on files alone.

Entry names are NAME_LABEL (`prices_2015`, `momentum_2016`); patterns are globs over them.
"""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from sigc.cache import files
from sigc.cache.counts import counts

SUFFIXES = (".json", ".parquet", ".carry.parquet")
_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One stored block: its key, name_label, kind (source, signal, carried), bytes, and time of last use (unix s)."""

    key: str
    name: str
    kind: str
    bytes: int
    used: float


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """A summary of a cache. by_source, by_signal: (entries, bytes) by name. oldest, newest: unix s, by use."""

    directory: str
    entries: int
    bytes: int
    hits: int
    misses: int
    by_source: dict[str, tuple[int, int]]
    by_signal: dict[str, tuple[int, int]]
    oldest: float | None
    newest: float | None

    @property
    def hit_rate(self) -> float:
        """Return the share of look-ups that were answered; 0 before the first."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else 0.0


def entries(directory: Path) -> Iterator[CacheEntry]:
    """Yield every entry with readable facts, by key; also those of other versions of sigc, so that they can be
    removed.
    """
    for path in sorted((directory / "blocks").glob("*/*.json")):
        try:
            facts = files.read_facts(path, any_format=True)
            used = path.stat().st_mtime
        except (OSError, files.DamagedError):
            continue
        yield CacheEntry(facts.key, f"{facts.name}_{facts.label}", facts.source, bytes_of(directory, facts.key), used)


def status(directory: Path) -> CacheStatus:
    """Return a summary of a cache."""
    found = list(entries(directory))
    counted = counts(directory)
    return CacheStatus(
        directory=str(directory),
        entries=len(found),
        bytes=sum(e.bytes for e in found),
        hits=counted.hits,
        misses=counted.misses,
        by_source=_grouped([e for e in found if e.kind == "source"]),
        by_signal=_grouped([e for e in found if e.kind != "source"]),
        oldest=min((e.used for e in found), default=None),
        newest=max((e.used for e in found), default=None),
    )


def _grouped(found: list[CacheEntry]) -> dict[str, tuple[int, int]]:
    groups: dict[str, tuple[int, int]] = {}
    for entry in found:
        name = entry.name.rpartition("_")[0]
        count, size = groups.get(name, (0, 0))
        groups[name] = (count + 1, size + entry.bytes)
    return dict(sorted(groups.items()))


def matching(directory: Path, pattern: str | None) -> list[CacheEntry]:
    """Return the entries that `clear` would remove."""
    return [e for e in entries(directory) if pattern is None or fnmatch.fnmatchcase(e.name, pattern)]


def clear(directory: Path, pattern: str | None = None) -> tuple[int, int]:
    """Remove entries whose name matches the glob, or all; return their number and bytes.

    Entries leased by a running plan stay.
    """
    leased = _leased(directory)
    gone = [e for e in matching(directory, pattern) if e.key not in leased]
    for entry in gone:
        remove(directory, entry.key)
    if pattern is None:
        _clear_rest(directory, leased)
    return len(gone), sum(e.bytes for e in gone)


def _clear_rest(directory: Path, leased: set[str]) -> None:
    """Remove files without facts (interrupted writes), and notes, unless a plan is running."""
    # A running plan may be between writing a block and writing its facts: such files look like an interrupted write.
    if leased:
        return
    for path in (directory / "blocks").glob("*/*"):
        path.unlink(missing_ok=True)
    for path in (directory / "notes").glob("*"):
        if path.name != "counts":
            path.unlink(missing_ok=True)


def verify(directory: Path) -> list[tuple[str, str]]:
    """Read every entry from disk and check its checksums; return (name or file, problem) for each bad one.

    Entries of another version of sigc are skipped: they are never used.
    """
    bad = []
    for path in sorted((directory / "blocks").glob("*/*.json")):
        key = path.stem
        name = key[:12]
        try:
            facts = files.read_facts(path)
            name = f"{facts.name}_{facts.label}"
            panel = files.read_panel(path.with_suffix(".parquet"), key)
            if len(panel.dates) != facts.rows:
                raise files.DamagedError("it has another number of rows than its facts")
            if facts.state:
                files.read_carry(path.with_suffix(".carry.parquet"), key)
        except files.OtherFormatError:
            continue
        except FileNotFoundError as missing:
            bad.append((name, f"{Path(str(missing.filename)).name} is missing"))
        except (OSError, files.DamagedError) as damage:
            bad.append((name, str(damage)))
    return bad


def remove(directory: Path, key: str) -> int:
    """Remove an entry, its facts first, so that no reader finds half of it; return its bytes."""
    size = bytes_of(directory, key)
    for suffix in SUFFIXES:
        (directory / "blocks" / key[:2] / (key + suffix)).unlink(missing_ok=True)
    return size


def evict(directory: Path, max_bytes: int) -> tuple[list[str], int]:
    """Remove least recently used entries beyond `max_bytes`, never leased ones; return keys and bytes."""
    gone: list[str] = []
    freed = 0
    if size(directory) <= max_bytes:
        return gone, freed
    found = sorted(entries(directory), key=lambda e: (e.used, e.key))
    total = sum(e.bytes for e in found)
    leased = _leased(directory)
    for entry in found:
        if total - freed <= max_bytes:
            break
        if entry.key not in leased:
            freed += remove(directory, entry.key)
            gone.append(entry.key)
    return gone, freed


def size(directory: Path) -> int:
    """Return the bytes of all entries, without opening one."""
    total = 0
    for folder in (directory / "blocks").iterdir():
        with contextlib.suppress(OSError):  # another process may clear it meanwhile
            total += sum(e.stat().st_size for e in os.scandir(folder))
    return total


def lease_file(directory: Path) -> Path:
    """Return a new file for a lease of this process; its name identifies the process, so that a dead one's lease is
    void.
    """
    me = psutil.Process()
    return directory / "leases" / f"{me.pid}-{me.create_time():.2f}-{next(_serial)}"


def _leased(directory: Path) -> set[str]:
    keys: set[str] = set()
    for path in (directory / "leases").glob("[0-9]*"):
        pid, started, _ = path.name.split("-")
        try:
            # The start time too: the PID may belong to another process by now.
            alive = abs(psutil.Process(int(pid)).create_time() - float(started)) < 1.0
        except (psutil.Error, ValueError):
            alive = False
        if not alive:
            path.unlink(missing_ok=True)
            continue
        with contextlib.suppress(FileNotFoundError):
            keys.update(path.read_text(encoding="utf-8").split())
    return keys


def bytes_of(directory: Path, key: str) -> int:
    """Return the bytes of an entry, without opening it."""
    total = 0
    for suffix in SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            total += (directory / "blocks" / key[:2] / (key + suffix)).stat().st_size
    return total
