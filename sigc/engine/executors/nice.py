"""Workers give way: their threads are niced, so that who steers them, and whatever else runs here, comes first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def give_way(by: int) -> None:
    """Nice every thread of this process by so much; threads that begin later inherit it. Again: nothing more."""
    for task in Path("/proc/self/task").iterdir() if by else ():
        with contextlib.suppress(OSError):  # a thread that has just ended
            if os.getpriority(os.PRIO_PROCESS, int(task.name)) < by:
                os.setpriority(os.PRIO_PROCESS, int(task.name), by)
