"""Median seconds of a call, of the wall or of the processor, after one call that is not counted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_s(call: Callable[[], object], times: int = 5) -> float:
    """The median of `times` calls."""
    call()
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def median_cpu_s(call: Callable[[], object], times: int = 5) -> float:
    """The median of `times` calls, of processor time."""
    call()
    seconds = []
    for _ in range(times):
        begun = time.process_time()
        call()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds)
