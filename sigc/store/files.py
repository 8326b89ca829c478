"""Files written completely or not at all, even in a crash; and the folder of a run's files."""

from __future__ import annotations

import os
from pathlib import Path

RUNS = "runs"


def run_folder(work_dir: Path, run: str) -> Path:
    """Return the folder of a run's files."""
    return work_dir / RUNS / run


def sync_directory(path: Path) -> None:
    """Fsync a folder: names created, renamed or removed in it survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(to: Path, data: bytes) -> None:
    """Write a file (mode 0600) as *.part, then rename it. A crash leaves a *.part, never half a file."""
    part = to.with_name(f"{to.name}.part")
    with part.open("wb") as file:
        part.chmod(0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    # Order: data on disk, then the new name, then the folder. Else a power cut may leave an empty file under the name.
    part.replace(to)
    sync_directory(to.parent)
