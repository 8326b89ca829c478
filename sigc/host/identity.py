"""Which process a PID meant: PIDs are used again, so a record names the start of its process too.

On Linux the start is the boot's id and the kernel's clock ticks since that boot, which no later process of the
same PID shares and no change of the wall clock moves; elsewhere it is the wall-clock time the system keeps.
"""

from __future__ import annotations

from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_DEAD = frozenset("ZXx")  # a zombie holds nothing any more: it only waits to be counted


def started(pid: int) -> str | None:
    """When process `pid` began, as an opaque text; None when there is no such process, or it is dead.

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
    fields = stat.rpartition(")")[2].split()  # the name in brackets before may hold anything
    return None if fields[0] in _DEAD else f"{_BOOT.read_text(encoding='ascii').strip()}:{fields[19]}"


def is_alive(pid: int, start: str) -> bool:
    """Whether the process that had `pid` and began at `start` still runs."""
    return started(pid) == start


def _started_elsewhere(pid: int) -> str | None:
    import psutil  # not needed on Linux, and slow to import for a command line

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None
