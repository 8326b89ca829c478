"""The daemon's log file: find it, read it from its end, follow it over rotations. Imports nothing heavy."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc.host.log_lines import is_of

_EVERY_S = 0.25
_OWN = ("at", "level", "logger", "run", "text", "trace")


def log_path(config: Path | None, work_dir: Path | None) -> Path:
    """Return the log file of the configured daemon. Raises E901 where there is none."""
    from sigc_cli.assembly.workdir import work_dir as place_of
    from sigc_pipelines.assembly.parts import Choices, configuration

    loaded = configuration(Choices(config=config))
    configured = loaded.config.daemon.log_file
    path = Path(configured).expanduser() if configured else place_of(loaded, work_dir) / "daemon.log"
    if not path.is_file():
        hint = "a daemon in the foreground logs to stderr: `journalctl -u sigc` under systemd, or set daemon.log_file"
        raise SigcError(Diagnostic("E901", f"there is no log file {path}", hint=hint))
    return path


def followed(path: Path, run: str) -> Iterator[str]:
    """Yield new lines for ever, going on in the new file when the log is rotated."""
    source, rest = path.open("rb"), b""
    source.seek(0, os.SEEK_END)
    try:
        while True:
            rest += source.read()
            *whole, rest = rest.split(b"\n")
            for line in whole:
                text = line.decode("utf-8", "replace")
                if is_of(text, run):
                    yield text
            if _is_rotated(path, source):
                source.close()
                source = path.open("rb")
            else:
                time.sleep(_EVERY_S)
    finally:
        source.close()


def _is_rotated(path: Path, source: BufferedReader) -> bool:
    """Return True if the path is another file by now, and all of this one was read."""
    try:
        now, then = path.stat(), os.fstat(source.fileno())
    except OSError:
        return False
    return (now.st_ino, now.st_dev) != (then.st_ino, then.st_dev) and source.tell() >= then.st_size


def shown(line: str) -> str:
    """Return a line for people: of JSON its time (UTC), level, run, text and other fields; any other line unchanged.

    >>> shown('{"at": "2024-01-15T14:00:00Z", "level": "info", "logger": "sigc", "run": "r1", "text": "x", "n": 1}')
    '2024-01-15T14:00:00Z info    [r1] x n=1'
    """
    try:
        told = json.loads(line)
    except ValueError:
        return line
    if not isinstance(told, dict):
        return line
    run = f"[{told['run']}] " if told.get("run") else ""
    more = "".join(f" {key}={value}" for key, value in told.items() if key not in _OWN)
    trace = f"\n{told['trace']}" if told.get("trace") else ""
    return f"{told.get('at', '')} {told.get('level', ''):<7} {run}{told.get('text', '')}{more}{trace}"
