"""Whether the daemon is well: checks made now and then in a thread, answered from memory at any moment.

    /health   200 healthy or degraded; 503 starting, until the first checks are in, or stopping: status, checks, uptime
    /live     200 while the loop turns
    /ready    200 when recovered, with its cluster, and not about to stop; else 503 with the reason

A failed check is degraded, not dead: nobody is helped by a restart that finds the same full disk.
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

OK = "ok"
_MOST_JUMP_S = 30.0
_MOST_LATE_S = 180.0
Check = Callable[[], str]  # `ok`, or what is wrong


@dataclass(frozen=True, slots=True)
class Health:
    """What the checks found last, by name."""

    checks: Mapping[str, str]

    @property
    def status(self) -> str:
        """healthy or degraded."""
        return "healthy" if all(text == OK for text in self.checks.values()) else "degraded"


def examine(checks: Mapping[str, Check]) -> Health:
    """Make every check; one that fails in itself is not ok. For a thread."""
    return Health({name: _made(check) for name, check in checks.items()})


def _made(check: Check) -> str:
    try:
        return check()
    except Exception as failure:
        return f"{type(failure).__name__}: {failure}"[:500]


def disk(paths: Iterable[Path], min_free_mb: int) -> str:
    """Whether every disk has room."""
    for path in paths:
        there = next((p for p in (path, *path.parents) if p.exists()), path)
        free = shutil.disk_usage(there).free >> 20
        if free < min_free_mb:
            return f"{free} MB are free for {path}, fewer than {min_free_mb}"
    return OK


def memory(used_bytes: int, limit_bytes: int) -> str:
    """Whether the daemon keeps to its limit."""
    return OK if used_bytes <= limit_bytes else f"{used_bytes >> 20} MB are used, the limit is {limit_bytes >> 20} MB"


def lateness(late_s: float) -> str:
    """Whether the schedule is looked at in time."""
    return OK if late_s < _MOST_LATE_S else f"the schedule has not turned for {span(late_s)}"


def calendars(opened: Iterable[Calendar], now: datetime) -> str:
    """Whether the calendars reach far enough."""
    alarms = [alarm for calendar in opened if (alarm := age_alarm(calendar, now)) is not None]
    return alarms[0].message if alarms else OK


class ClockWatch:
    """Whether the wall clock goes with the machine's own."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def check(self) -> str:
        """Since the last look."""
        before, self._offset = self._offset, time.time() - time.monotonic()
        jump = self._offset - before
        where = "forward" if jump > 0 else "back"
        return OK if abs(jump) < _MOST_JUMP_S else f"the clock was set {where} by {span(abs(jump))}"
