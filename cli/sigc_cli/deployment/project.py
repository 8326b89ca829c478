"""Paths and ports of a project, from its sigc.yaml."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sigc.errors import Diagnostic, SigcError

METRICS_PORT = 9090  # the daemon's default, and that of conf/prometheus/prometheus.yml


@dataclass(frozen=True, slots=True)
class Project:
    """A project's folder and places, absolute.

    written: folders that the daemon writes to. data: its data directory, then `data.roots`. strategies: files, as
    written. placed: settings under `daemon` that name places of this machine.
    """

    folder: Path
    config: Path
    data: tuple[Path, ...]
    written: tuple[Path, ...]
    strategies: tuple[Path, ...]
    placed: tuple[str, ...]
    metrics_port: int


def project(folder: Path) -> Project:
    """Return the places of the project in `folder`. Raises E400 to E402, also without a work dir."""
    from sigc.config.check import load_config
    from sigc.daemon.configured.configured import examine

    folder = folder.resolve()
    others = {
        name: value for name, value in os.environ.items() if not name.startswith("SIGC_")
    }  # they are this shell's
    loaded = load_config(folder / "sigc.yaml", others, examine=examine)
    daemon, data = loaded.config.daemon, loaded.config.data
    if not daemon.work_dir:
        hint = "set it, e.g. ./.sigc/state: else the service and your shell have a ledger each"
        raise SigcError(Diagnostic("E402", f"daemon.work_dir is not set in {loaded.path}", hint=hint))
    placed = tuple(key for key in ("work_dir", "pid_file", "log_file") if getattr(daemon, key))
    files = [Path(getattr(daemon, key)) for key in placed]
    folders = [files[0], *(path.parent for path in files[1:])]
    if "daemon.cache.directory" in loaded.origins:
        folders.append(Path(daemon.cache.directory))
    places = {_absolute(folder, path) for path in folders}
    return Project(
        folder,
        folder / "sigc.yaml",
        tuple(_absolute(folder, Path(root)) for root in (data.directory, *data.roots)),
        tuple(sorted(path for path in places if not any(above in places for above in path.parents))),
        tuple(Path(entry.file) for entry in loaded.config.strategies),
        placed,
        daemon.metrics.port or METRICS_PORT,
    )


def _absolute(folder: Path, path: Path) -> Path:
    return Path(os.path.normpath(folder / path.expanduser()))
