"""The processor limit `max_cpu_pct`: a quota of the kernel if a control group is delegated to us, else our own means.

    quota = ControlGroup.find()              None if no group is delegated to us
    quota.set(80, cpus=4)                    now, and again after a reload
    worker_threads(50, cpus=8)               without a quota: the most threads of workers; they are niced, and work is
                                             handed out at a limited rate (`cpu_throttle.py`)

cgroup v2: our process moves into a child of its group, the group hands the controller `cpu` down, the child's `cpu.max`
is the share; workers are born into it. A group is delegated if systemd says so (`Delegate=yes`), or if it is
writable for a user who is not root. A step that fails leaves everything as it was.
"""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

CHILD = "sigc"
_PERIOD_US = 20_000  # short: once the quota of a period is spent, the event loop waits too, for the rest of it
_MARKS = ("user.delegate", "trusted.delegate")


def worker_threads(share_pct: float, cpus: int) -> int:
    """Return the most worker threads for a share of the processors, rounded up.

    >>> [worker_threads(share, 8) for share in (1, 12.5, 50, 80, 100)]
    [1, 1, 4, 7, 8]
    """
    # 1e-9: a float product such as 4.000000000000001 must not round up to 5.
    return max(1, math.ceil(share_pct / 100 * cpus - 1e-9))


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A control group of ours with our process in it."""

    folder: Path

    @classmethod
    def find(cls, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> ControlGroup | None:
        """Return our group below the one delegated to us, None without one."""
        group = _group(root, own)
        if group is None or not _is_delegated(group):
            return None
        return cls._taken(group)

    @classmethod
    def _taken(cls, group: Path) -> ControlGroup | None:
        child, pid = group / CHILD, str(os.getpid())
        try:
            child.mkdir(exist_ok=True)
            # The process moves first: cgroup v2 allows controllers only in a group without processes of its own.
            (child / "cgroup.procs").write_text(pid, "ascii")
            (group / "cgroup.subtree_control").write_text("+cpu", "ascii")
            return cls(child)
        except OSError:  # other processes are in the group, or the file system forbids it
            with contextlib.suppress(OSError):
                (group / "cgroup.procs").write_text(pid, "ascii")
                child.rmdir()
            return None

    def set(self, share_pct: float | None, cpus: int) -> None:
        """Limit the group to a share of the processors; None: no limit. Raise OSError."""
        limit = "max" if share_pct is None else str(round(share_pct / 100 * cpus * _PERIOD_US))
        (self.folder / "cpu.max").write_text(f"{limit} {_PERIOD_US}", "ascii")


def described(share_pct: float | None, cpus: int, quota: ControlGroup | None) -> str:
    """Return how the share is enforced, as text for people.

    >>> described(None, 2, None)
    'none'
    >>> described(80, 2, None)
    '80% of 2 processors: no cgroup is delegated; at most 2 worker threads, niced, and work handed out at that rate'
    """
    if share_pct is None:
        return "none"
    of_what = f"{share_pct:g}% of {cpus} processors"
    if quota is not None:
        return f"{of_what}: a quota of the cgroup {quota.folder}"
    threads = worker_threads(share_pct, cpus)
    return (
        f"{of_what}: no cgroup is delegated; at most {threads} worker threads, niced, and work handed out at that rate"
    )


def _group(root: Path, own: Path) -> Path | None:
    """Return this process' group; after an exec, when it is already in our child, the group above."""
    try:
        lines = own.read_text("utf-8").splitlines()
    except OSError:
        return None
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if path is None:
        return None
    folder = root / path.lstrip("/")
    return folder.parent if folder.name == CHILD else folder


def _is_delegated(group: Path) -> bool:
    """Return True if we may divide the group and it has the controller `cpu` to hand down."""
    try:
        has_cpu = "cpu" in (group / "cgroup.controllers").read_text("ascii").split()
    except OSError:
        return False
    files = (group, group / "cgroup.procs", group / "cgroup.subtree_control")
    if not has_cpu or not all(os.access(path, os.W_OK) for path in files):
        return False
    # Root may write to every group, so for root only systemd's mark counts.
    return os.getuid() != 0 or any(_mark(group, name) == b"1" for name in _MARKS)


def _mark(group: Path, name: str) -> bytes:
    try:
        return os.getxattr(group, name)
    except OSError:
        return b""
