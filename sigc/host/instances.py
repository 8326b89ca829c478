"""The registry of daemons on this machine: one small file each in the runtime directory, for `sigc ps` and the client.

An entry names a process by PID and start, so an entry left by a kill -9 is recognised as stale and removed,
whoever has its PID now. Entries hold no secrets. Entries of another host (a shared directory) are left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc.host.identity import is_alive, started

_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class RunningDaemon:
    """A running daemon: its address, its process, its work dir.

    ports: by setting, as they were bound (a default port may have moved). tls: True if `address` speaks TLS. config:
    its configuration file, '' without one.
    """

    name: str
    address: str
    work_dir: str
    pid: int
    started: str
    host: str
    ports: Mapping[str, int] = field(default_factory=dict)
    tls: bool = False
    config: str = ""


def this_process(
    name: str,
    address: str,
    work_dir: Path,
    ports: Mapping[str, int],
    tls: bool = False,
    config: Path | None = None,
) -> RunningDaemon:
    """Return the entry of the calling process."""
    pid = os.getpid()
    start = started(pid) or ""
    file = "" if config is None else str(config.resolve())
    return RunningDaemon(
        name, address, str(work_dir.resolve()), pid, start, socket.gethostname(), dict(ports), tls, file
    )


def register(directory: Path, entry: RunningDaemon) -> None:
    """Write the entry, over a stale one. Raise E311 if another live daemon has the name."""
    directory.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    with _locked(directory):
        there = _read(_path(directory, entry.name))
        if there is not None and there.pid != entry.pid and _runs(there):
            message = f"a daemon named '{entry.name}' is already running as PID {there.pid} at {there.address}"
            raise SigcError(Diagnostic("E311", message, hint="start this one under another --name"))
        # Renamed into place: readers take no lock.
        temporary = directory / f".{entry.name}.{entry.pid}"
        temporary.write_text(json.dumps(asdict(entry), sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(_path(directory, entry.name))


def unregister(directory: Path, entry: RunningDaemon) -> None:
    """Remove the entry if it is still this one."""
    with contextlib.suppress(OSError), _locked(directory):
        if _read(_path(directory, entry.name)) == entry:
            _path(directory, entry.name).unlink(missing_ok=True)


def running(directories: Iterable[Path]) -> tuple[RunningDaemon, ...]:
    """Return the running daemons, by name and address. Remove stale entries if we may."""
    found: dict[tuple[str, str], RunningDaemon] = {}
    for directory in directories:
        for path in sorted(directory.glob("*.json")):
            entry = _read(path)
            if entry is None or entry.host != socket.gethostname():
                continue
            if _runs(entry):
                found.setdefault((entry.name, entry.address), entry)
            else:
                unregister(directory, entry)
    return tuple(found[key] for key in sorted(found))


def _runs(entry: RunningDaemon) -> bool:
    return entry.host != socket.gethostname() or is_alive(entry.pid, entry.started)


def _path(directory: Path, name: str) -> Path:
    return directory / f"{name}.json"


def _read(path: Path) -> RunningDaemon | None:
    """Return the entry in a file; None if there is none or it is malformed."""
    try:
        with path.open("rb") as source:
            data = json.loads(source.read(_MOST_BYTES))
        entry = RunningDaemon(**data)
        texts = (entry.name, entry.address, entry.work_dir, entry.started, entry.host, entry.config)
        ok = all(isinstance(t, str) for t in texts) and isinstance(entry.pid, int) and isinstance(entry.ports, dict)
        return entry if ok and path == _path(path.parent, entry.name) else None
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock: one process at a time reads and then writes."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
