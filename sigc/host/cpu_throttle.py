"""The throttle of processor time: work is handed out only while the budget lasts.

    pace = CpuThrottle(80, cpus=4, spent=..., clock=...)
    pace.wait()          before the next block: returns at once, or when enough time has passed

A token bucket of processor seconds: it fills with time, at the allowed share of all processors, up to a small reserve,
and the daemon and its workers empty it. Over more than a few seconds the share holds, however long single blocks are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from sigc.clock import Clock

if TYPE_CHECKING:
    from sigc.engine.core.drive import Executor
    from sigc.engine.core.task import Task, TaskOutcome

_RESERVE_S = 1.0  # seconds of full speed before work is held back
_LOOK_EVERY_S = 0.05


class CpuThrottle:
    """A share of the processors for all threads together. spent: processor seconds so far of everything that counts."""

    def __init__(self, share_pct: float, cpus: int, spent: Callable[[], float], clock: Clock) -> None:
        self._rate = share_pct / 100 * cpus
        self._reserve = self._rate * _RESERVE_S
        self._spent, self._clock = spent, clock
        self._turn = threading.Lock()
        self._at, self._before = clock.now(), spent()
        self._left = self._reserve

    def wait(self) -> None:
        """Block until work may be handed out."""
        while not self._may():
            self._clock.sleep(_LOOK_EVERY_S)

    def _may(self) -> bool:
        with self._turn:
            now, spent = self._clock.now(), self._spent()
            gained = self._rate * max(0.0, (now - self._at).total_seconds())
            # May go below 0: a long block overdraws the budget, and the next one waits for it.
            self._left = min(self._reserve, self._left + gained - max(0.0, spent - self._before))
            self._at, self._before = now, spent
            return self._left > 0


class ThrottledExecutor:
    """An executor whose tasks are handed out at the throttle's rate."""

    def __init__(self, executor: Executor, pace: CpuThrottle) -> None:
        self._executor, self._pace = executor, pace

    @property
    def window(self) -> int:
        """Return the number of tasks handed out at once."""
        return self._executor.window

    @property
    def slice_bytes(self) -> int:
        """Return the memory of a task, in bytes."""
        return self._executor.slice_bytes

    def prepare(self, operators: Collection[str]) -> None:
        """Call the executor's method."""
        self._executor.prepare(operators)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand tasks out one by one, each when the budget allows."""
        for task in tasks:
            self._pace.wait()
            self._executor.submit((task,))

    def next(self) -> TaskOutcome:
        """Call the executor's method."""
        return self._executor.next()

    def cancel(self) -> None:
        """Call the executor's method."""
        self._executor.cancel()

    def incidents(self) -> list[str]:
        """Call the executor's method."""
        return self._executor.incidents()
