"""Where the ledger is that a command speaks of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.daemon.instance import instance_name, places

if TYPE_CHECKING:
    from sigc.config_file import LoadedConfig


def work_dir(loaded: LoadedConfig, override: Path | None = None, name: str | None = None) -> Path:
    """--work-dir, else daemon.work_dir, else the place of the daemon of that name (or of the file's). Raises E402."""
    if override is not None:
        return override.expanduser()
    if loaded.config.daemon.work_dir:
        return Path(loaded.config.daemon.work_dir).expanduser()
    return places(instance_name(name, loaded.path), os.environ, os.getuid()).work_dir
