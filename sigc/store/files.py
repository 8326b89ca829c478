"""Files that are there completely or not at all, whatever happens in between; and where those of a run are."""

from __future__ import annotations

import os
from pathlib import Path

RUNS = "runs"


def run_folder(work_dir: Path, run: str) -> Path:
    """Where the files of a run are."""
    return work_dir / RUNS / run


def sync_directory(path: Path) -> None:
    """Make what was created, renamed or removed in a folder survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(to: Path, data: bytes) -> None:
    """Write a file (mode 0600) beside its place, then rename it there. One that was not finished is called *.part."""
    part = to.with_name(f"{to.name}.part")
    with part.open("wb") as file:
        part.chmod(0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(to)
    sync_directory(to.parent)
