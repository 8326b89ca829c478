"""What the daemon takes of the machine: memory and processor time of its process and all that come from it.

Sampled in a thread now and then: a walk over all processes of a machine is nothing for the loop.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Sample:
    """memory_bytes: resident, of the controller and its workers together. cpu_pct: of all processors it may use."""

    memory_bytes: int = 0
    cpu_pct: float = 0.0
    processes: int = 1


class Usage:
    """Samples one process and its descendants."""

    def __init__(self, pid: int | None = None) -> None:
        self._process = psutil.Process(pid)
        self._before: dict[tuple[int, float], float] = {}
        self._at = time.monotonic()
        self._known: list[psutil.Process] = []
        self._turn = threading.Lock()
        self.last = self.sample()

    @property
    def age_s(self) -> float:
        """How old the last sample is."""
        return time.monotonic() - self._at

    def sample(self) -> Sample:
        """As it is now; processor time since the last sample."""
        with self._turn:
            return self._sample()

    def no_older_than(self, seconds: float) -> Sample:
        """The last sample, or one that is taken now. For a thread."""
        with self._turn:
            return self.last if self.age_s <= seconds else self._sample()

    def _sample(self) -> Sample:
        memory, spent, now = 0, 0.0, time.monotonic()
        seen: dict[tuple[int, float], float] = {}
        self._known = self._descendants()
        for process in [self._process, *self._known]:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    key = (process.pid, process.create_time())
                    seen[key] = times.user + times.system
                    memory += process.memory_info().rss
            except psutil.Error:
                continue
            spent += seen[key] - self._before.get(key, seen[key] if self._before else 0.0)
        elapsed = now - self._at
        cpu = 100 * max(0.0, spent) / elapsed / usable_cpus() if elapsed > 0.05 and self._before else 0.0
        self._before, self._at = seen, now
        self.last = Sample(memory, round(cpu, 1), len(seen))
        return self.last

    def spent(self) -> float:
        """Processor seconds of all of them so far; those that are new count from the next sample on."""
        total = 0.0
        for process in [self._process, *self._known]:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
        return total

    def _descendants(self) -> list[psutil.Process]:
        try:
            return list(self._process.children(recursive=True))
        except psutil.Error:
            return []


def usable_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def machine_memory() -> int:
    """Bytes of memory that processes here may use: the machine's, or less where a control group says so."""
    total = int(psutil.virtual_memory().total)
    for path in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            return min(total, int(text))
    return total


def collect() -> None:
    """Give back what nothing refers to any more, to the system too where the C library can."""
    import ctypes

    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
