"""The daemon's health: checks made at intervals in a thread, answered from memory at any moment.

    /health   200 healthy or degraded; 503 starting, until the first checks are in, or stopping: status, checks, uptime
    /live     200 while the loop turns
    /ready    200 when recovered, with its cluster, and not about to stop; else 503 with the reason

A failed check makes the daemon degraded, not dead: a restart would find the same full disk.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sigc.alerts.words import span
from sigc.calendar.calendar import age_alarm
from sigc.calendar.sessions import Calendar
from sigc.daemon.runner import EditedText

OK = "ok"
_MOST_JUMP_S = 30.0
_MOST_LATE_S = 180.0
Check = Callable[[], str]  # `ok`, or what is wrong


@dataclass(frozen=True, slots=True)
class Health:
    """The latest result of each check, by name."""

    checks: Mapping[str, str]

    @property
    def status(self) -> str:
        """Return healthy or degraded."""
        return "healthy" if all(text == OK for text in self.checks.values()) else "degraded"


def examine(checks: Mapping[str, Check]) -> Health:
    """Make every check; one that raises counts as failed. Blocks: call it in a thread."""
    return Health({name: _made(check) for name, check in checks.items()})


def _made(check: Check) -> str:
    try:
        return check()
    except Exception as failure:
        return f"{type(failure).__name__}: {failure}"[:500]


def disk(paths: Iterable[Path], min_free_mb: int) -> str:
    """Return `ok`, or the first disk with too little room."""
    for path in paths:
        # A folder not made yet lives on the disk of its nearest parent.
        there = next((p for p in (path, *path.parents) if p.exists()), path)
        free = shutil.disk_usage(there).free >> 20
        if free < min_free_mb:
            return f"{free} MB are free for {path}, fewer than {min_free_mb}"
    return OK


def memory(used_bytes: int, limit_bytes: int) -> str:
    """Return `ok`, or the memory used above the limit."""
    return OK if used_bytes <= limit_bytes else f"{used_bytes >> 20} MB are used, the limit is {limit_bytes >> 20} MB"


def lateness(late_s: float) -> str:
    """Return `ok`, or for how long the schedule has not turned."""
    return OK if late_s < _MOST_LATE_S else f"the schedule has not turned for {span(late_s)}"


def calendars(opened: Iterable[Calendar], now: datetime) -> str:
    """Return `ok`, or the first calendar that ends soon."""
    alarms = [alarm for calendar in opened if (alarm := age_alarm(calendar, now)) is not None]
    return alarms[0].message if alarms else OK


def strategy_files(edited: Mapping[str, EditedText]) -> str:
    """Return `ok`, or the first strategy's file with which the daemon would not start again.

    A file that was edited and compiles is no fault: status tells of it.
    """
    wrong = (f"strategy '{name}': {one.text}" for name, one in sorted(edited.items()) if one.problem is not None)
    return next(wrong, OK)


class ClockWatch:
    """Detects jumps of the wall clock against the monotonic clock."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def check(self) -> str:
        """Return `ok`, or the jump since the last check."""
        before, self._offset = self._offset, time.time() - time.monotonic()
        jump = self._offset - before
        where = "forward" if jump > 0 else "back"
        return OK if abs(jump) < _MOST_JUMP_S else f"the clock was set {where} by {span(abs(jump))}"
