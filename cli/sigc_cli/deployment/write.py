"""Files of a deployment, and their writing: nothing is written if one exists with another text, unless forced."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc_cli.deployment.compose import containers
from sigc_cli.deployment.project import METRICS_PORT, project
from sigc_cli.deployment.unit import executable, unit
from sigc_cli.shipped import shipped

SYSTEMD, COMPOSE = "systemd", "compose"
_MONITORING = (
    "prometheus/prometheus.yml",
    "prometheus/rules.yml",
    "grafana/datasource.yaml",
    "grafana/dashboards.yaml",
    "grafana/dashboards/sigc.json",
)
NEXT = {
    SYSTEMD: "next: sudo install -m 0644 {folder}/systemd/sigc.service /etc/systemd/system/\n"
    "      sudo systemctl daemon-reload && sudo systemctl enable --now sigc && journalctl -u sigc -f",
    COMPOSE: "next: GRAFANA_PASSWORD=choose-one docker compose -f {folder}/container/compose.yaml up -d --build\n"
    "      docker compose -f {folder}/container/compose.yaml exec sigc sigc status",
}


def deployment(folder: Path, kinds: Iterable[str]) -> dict[Path, str]:
    """Return the files of a deployment of the project in `folder`, by path. kinds: SYSTEMD, COMPOSE. Raises E400-2."""
    kinds, found = set(kinds), project(folder)
    files = {path: shipped(f"conf/{path}") for path in _MONITORING}
    port = f"127.0.0.1:{found.metrics_port}"
    files[_MONITORING[0]] = files[_MONITORING[0]].replace(f"127.0.0.1:{METRICS_PORT}", port)
    if SYSTEMD in kinds:
        files["systemd/sigc.service"] = unit(found, executable())
        files["systemd/sigc-watch.service"] = shipped("conf/systemd/sigc-watch.service")
        for path in found.written:  # ReadWritePaths= have to exist
            _make(path, found.folder)
    if COMPOSE in kinds:
        files |= containers(found)
    return {folder / path: text for path, text in files.items()}


def _make(path: Path, like: Path) -> None:
    """Make a folder and those above it, mode 0700, of the owner of `like`: root does it for others. Raises E200."""
    owner = like.stat()
    try:
        for folder in [*reversed(path.parents), path]:
            if not folder.exists():
                folder.mkdir(mode=0o700)
                os.chown(folder, owner.st_uid, owner.st_gid)
    except OSError as failure:
        raise SigcError(Diagnostic("E200", f"can't make {failure.filename}: {failure.strerror}")) from failure


def write(files: Mapping[Path, str], force: bool) -> None:
    """Write the files. Raises E200, and writes none, where one is there with another text, unless by `force`."""
    if not force:
        for path, text in files.items():
            if path.exists() and not (path.is_file() and path.read_bytes() == text.encode()):
                hint = "--force writes over it"
                raise SigcError(Diagnostic("E200", f"'{path}' already exists, with another text", hint=hint))
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as failure:
        raise SigcError(Diagnostic("E200", f"can't write {failure.filename}: {failure.strerror}")) from failure
