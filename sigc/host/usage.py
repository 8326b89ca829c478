"""The memory and processor time of the daemon and all its descendants.

Sampled at intervals in a thread: a walk over all processes of a machine would block the loop.
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
    """One sample. memory_bytes: resident, of controller and workers together. cpu_pct: of all processors it may use."""

    memory_bytes: int = 0
    cpu_pct: float = 0.0
    processes: int = 1


class Usage:
    """A sampler of one process and its descendants."""

    def __init__(self, pid: int | None = None) -> None:
        self._process = psutil.Process(pid)
        self._before: dict[tuple[int, float], float] = {}
        self._at = time.monotonic()
        self._known: list[psutil.Process] = []
        self._turn = threading.Lock()
        self.last = self.sample()

    @property
    def age_s(self) -> float:
        """Return the age of the last sample, in seconds."""
        return time.monotonic() - self._at

    def sample(self) -> Sample:
        """Take a sample; its processor time is since the last one."""
        with self._turn:
            return self._sample()

    def no_older_than(self, seconds: float) -> Sample:
        """Return the last sample if it is young enough, else a new one. Blocks: call it in a thread."""
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
            # A process that is new since the last sample counts whole, except in the very first sample.
            spent += seen[key] - self._before.get(key, seen[key] if self._before else 0.0)
        elapsed = now - self._at
        cpu = 100 * max(0.0, spent) / elapsed / usable_cpus() if elapsed > 0.05 and self._before else 0.0
        self._before, self._at = seen, now
        self.last = Sample(memory, round(cpu, 1), len(seen))
        return self.last

    def spent(self) -> float:
        """Return the processor seconds of all of them so far; new processes count from the next sample on."""
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
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0))


def machine_memory() -> int:
    """Return the bytes of memory that processes here may use: the machine's, or less if a control group limits it."""
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
    """Collect garbage, and return free memory to the system if the C library can (glibc's malloc_trim)."""
    import ctypes

    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
