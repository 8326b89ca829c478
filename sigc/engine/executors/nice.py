"""Niceness of workers: the controller and other programs of the machine have priority."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def give_way(by: int) -> None:
    """Set the niceness of all threads of this process; new threads inherit it. Idempotent."""
    for task in Path("/proc/self/task").iterdir() if by else ():
        with contextlib.suppress(OSError):  # a thread that has just ended
            if os.getpriority(os.PRIO_PROCESS, int(task.name)) < by:
                os.setpriority(os.PRIO_PROCESS, int(task.name), by)
