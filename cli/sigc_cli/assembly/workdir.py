"""Location of a command's ledger."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc.host.instance import instance_name, places, runtime_dirs
from sigc.host.instances import running
from sigc_cli.options import NAMED

if TYPE_CHECKING:
    from sigc.config.check import LoadedConfig


def work_dir(loaded: LoadedConfig, override: Path | None = None, name: str | None = None) -> Path:
    """--work-dir, else that of the running daemon of that name, daemon.work_dir, the place of the name (or the file's).

    Raises E402.
    """
    name = name or _named()
    if override is not None:
        return override.expanduser()
    if name is not None:
        entry = next((e for e in running(runtime_dirs(os.environ, os.getuid())) if e.name == name), None)
        if entry is not None:
            return Path(entry.work_dir)
    if loaded.config.daemon.work_dir:
        return Path(loaded.config.daemon.work_dir).expanduser()
    return places(instance_name(name, loaded.path), os.environ, os.getuid()).work_dir


def _named() -> str | None:
    """Return the --name of the command that runs, where it has one that reads a ledger."""
    context = click.get_current_context(silent=True)
    found: str | None = None if context is None else context.meta.get(NAMED)
    return found
