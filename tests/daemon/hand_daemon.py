"""A daemon whose clock is turned from outside, and whose process meets a mistake where the test says: for child processes.

    python -m tests.daemon.hand_daemon CONFIG CLOCK [POINT NUMBER [kill | stop | lock=FILE | until=FILE]]

CLOCK: a file with an ISO instant, read at each look at the time; waiting is done in real time. A named pipe CLOCK.block
holds the event loop, which looks at the time every few seconds, from when somebody opens it for writing to when they
close it. POINT: a failpoint that raises once (kill: at which the process dies; stop: at which it is frozen; lock: at
which that SQLite file is locked for good; until: at which that thread stays until the file exists), when it is passed
for the NUMBER-th time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sigc.daemon.lifecycle.serve import serve
from sigc.daemon.lifecycle.start import StartOptions, start_of
from sigc.failpoint import arm
from sigc.host.process import StartReport, run
from sigc_cli.assembly.daemon import parts


class FileClock:
    """Shows what the file says."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        """The instant in the file."""
        if threading.current_thread() is threading.main_thread():
            pipe = self._path.with_suffix(".block")
            with contextlib.suppress(FileNotFoundError):
                pipe.read_bytes()  # until its writer lets go
        return datetime.fromisoformat(self._path.read_text("ascii").strip())

    def sleep(self, seconds: float) -> None:
        """Wait in real time: the hands are turned by somebody else."""
        time.sleep(min(seconds, 0.02))


def turn(path: Path, to: datetime) -> None:
    """Set the hands."""
    part = path.with_suffix(".part")
    part.write_text(to.isoformat(), "ascii")
    part.replace(path)


def fail_once(point: str, number: int, how: str = "") -> None:
    """Let a mistake happen there, once, or a SIGKILL, or a lock that nobody opens again, or a wait."""
    passed = 0
    held: list[sqlite3.Connection] = []

    def hook(name: str) -> None:
        nonlocal passed
        passed += name == point
        if name != point or passed != number:
            return
        if how in ("kill", "stop"):
            os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGSTOP)
            time.sleep(0.1)  # the other threads are stopped first: this one must not run on meanwhile
            return
        if how.startswith("until="):
            while not Path(how.removeprefix("until=")).exists():
                time.sleep(0.02)
            return
        if not how.startswith("lock="):
            raise ZeroDivisionError("a mistake of ours")
        held.append(sqlite3.connect(how.removeprefix("lock="), timeout=10, check_same_thread=False))
        held[0].execute("BEGIN EXCLUSIVE")

    arm(hook)


def main(arguments: Sequence[str]) -> int:
    """The daemon, until its end; the exit code."""
    config, clock, *fault = arguments
    if fault:
        fail_once(fault[0], int(fault[1]), *fault[2:])
    start = start_of(StartOptions(Path(config), None, None, None, None, None, False), os.environ)
    return run(lambda report: serve(start, parts(), report, FileClock(Path(clock))), StartReport())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
