"""Lines of a log file: the last ones, of one run if named. Imports nothing heavy: the thin client reads logs by it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sigc.errors import Diagnostic, SigcError

_SEARCHED_BYTES = 20_000_000  # from the end


def last_lines(path: Path, run: str, most: int) -> tuple[str, ...]:
    """Return the last lines of a log, of one run if named, oldest first. Search the last 20 MB. Raise E901."""
    try:
        with path.open("rb") as source:
            size = source.seek(0, os.SEEK_END)
            source.seek(max(0, size - _SEARCHED_BYTES))
            text = source.read().decode("utf-8", "replace")
    except OSError as failure:
        raise SigcError(Diagnostic("E901", f"the log {path} can't be read: {failure.strerror}")) from failure
    return tuple([line for line in text.splitlines() if is_of(line, run)][-most:])


def is_of(line: str, run: str) -> bool:
    """Return True if a line belongs to a run, in either layout; all belong to ''."""
    return not run or f'"run": {json.dumps(run)}' in line or f" [{run}]: " in line
