"""A watch over strategy files: an edit that does not compile is told at once, not when the next run fails by it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from sigc.clock import Clock
from sigc.config.settings import SafetySettings
from sigc.daemon.runner import StrategyEntry
from sigc.errors import Diagnostic, Severity, placed
from sigc.words import counted, local_time
from sigc_pipelines.service.runner_checks import checked

OK = "ok"
_ANYWAY_AFTER = timedelta(minutes=10)  # a file that is the same may import one that is not
_SHOWN = 3


class StrategyWatch:
    """The last check of each strategy file. Safe to use from several threads. zone: of the times in its text."""

    def __init__(self, strategies: Iterable[StrategyEntry], limits: SafetySettings, clock: Clock, zone: str) -> None:
        self._entries = tuple(entry for entry in strategies if entry.enabled)
        self._limits, self._clock, self._zone = limits, clock, zone
        self._turn = threading.Lock()
        self._good: dict[str, tuple[object, datetime]] = {}  # by strategy: stamp of a file that compiles, checked when
        self._since: dict[str, datetime] = {}  # by strategy: when its file was first seen not to compile

    def check(self) -> str:
        """Return `ok`, or which strategies do not compile: the place, the error, its hint, and since when."""
        with self._turn:
            told = [text for entry in self._entries if (text := self._told(entry))]
        more = f"; and {counted(len(told) - _SHOWN, 'more strategy', 'more strategies')}" if len(told) > _SHOWN else ""
        return "; ".join(told[:_SHOWN]) + more or OK

    def _told(self, entry: StrategyEntry) -> str:
        now, stamp, known = self._clock.now(), _stamp(entry.file), self._good.get(entry.name)
        if known is not None and known[0] == stamp and known[1] <= now < known[1] + _ANYWAY_AFTER:
            return ""
        errors = [d for d in checked(entry, self._limits).problems if d.severity is Severity.ERROR]
        if not errors:
            self._good[entry.name] = (stamp, now)
            self._since.pop(entry.name, None)
            return ""
        self._good.pop(entry.name, None)
        return _text(entry, errors, local_time(self._since.setdefault(entry.name, now), self._zone))


def _stamp(file: Path) -> object:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _text(entry: StrategyEntry, errors: list[Diagnostic], since: str) -> str:
    more = f" and {counted(len(errors) - 1, 'more error')}" if len(errors) > 1 else ""
    return f"{entry.name} does not compile since {since}: {placed(errors[0])}{more}, `sigc check {entry.file}`"
