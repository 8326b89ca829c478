"""Threads that were given up at a deadline and have not returned: facts of this process, for its health checks."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from sigc.words import local_time

DATA, BROKER = "data_connection", "broker_connection"  # the checks that fail by them


@dataclass(frozen=True, slots=True)
class HungThread:
    """A thread that hangs. check: the health check that fails until it returns; what: hangs; since: when it was given
    up; read: the sources that it was reading, as text; zone: of the time as it is told.
    """

    thread: threading.Thread
    check: str
    what: str
    since: datetime
    read: str = ""
    zone: str = "UTC"


_turn = threading.Lock()
_all: list[HungThread] = []


def note(found: HungThread) -> None:
    """Remember a thread until it returns."""
    with _turn:
        _all.append(found)


def hung(check: str = "") -> tuple[HungThread, ...]:
    """Return the threads that still hang, of one health check or of all, oldest first."""
    with _turn:
        _all[:] = [one for one in _all if one.thread.is_alive()]
        return tuple(one for one in _all if check in ("", one.check))


def told(check: str) -> str:
    """Return `ok`, or what hangs since when."""
    found = hung(check)
    if not found:
        return "ok"
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    reading = f" reading {found[0].read}" if found[0].read else ""
    return f"{found[0].what} hangs{reading}, given up at {local_time(found[0].since, found[0].zone)}{more}"
