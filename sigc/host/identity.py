"""The identity of a process: PIDs are reused, so a record names the process' start too.

On Linux the start is the boot's id and the kernel's clock ticks since that boot, which no later process of the
same PID shares and no change of the wall clock moves; elsewhere it is the wall-clock time the system keeps.
"""

from __future__ import annotations

from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_DEAD = frozenset("ZXx")  # states of /proc/PID/stat; a zombie holds no lock or port any more


def started(pid: int) -> str | None:
    """Return when process `pid` began, as an opaque text; None if there is no such process, or it is dead.

    >>> started(0) is None
    True
    """
    if pid <= 0:
        return None
    if not _BOOT.exists():
        return _started_elsewhere(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # after the command's name, which may contain brackets and blanks itself
    return None if fields[0] in _DEAD else f"{_BOOT.read_text(encoding='ascii').strip()}:{fields[19]}"


def is_alive(pid: int, start: str) -> bool:
    """Return True if the process that had `pid` and began at `start` still runs."""
    return started(pid) == start


def _started_elsewhere(pid: int) -> str | None:
    import psutil  # not needed on Linux, and slow to import for a command line

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None
