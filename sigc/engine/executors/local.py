"""The in-process engine: threads over blocks, the caller's included. Kernels release the GIL. It imports no scheduler.

The thread that waits for outcomes computes too: it is idle otherwise, and memory freed by the main thread is reused,
while that of other threads goes back to the system in between.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import psutil

from sigc.blocks.block import BlockStore, MemoryStore
from sigc.engine.core.run_block import run_block
from sigc.engine.core.task import Task, TaskOutcome
from sigc.engine.kernel.heap import keep_blocks
from sigc.engine.kernel.memory_arena import MemoryArena
from sigc.engine.kernel.trial_figures import TrialBooks


class LocalExecutor:
    """An executor with `threads` threads of this process (default: its CPUs), of which the caller of `next` is one.

    memory_bytes bounds all tasks together (default: half of the free memory at the start). books: if set, they take
    results instead of the store.
    """

    def __init__(self, store: BlockStore, threads: int = 0, memory_bytes: int = 0) -> None:
        keep_blocks()
        self._store = store
        self._room = MemoryArena(store.spare) if isinstance(store, MemoryStore) else None
        self.books: TrialBooks | None = None
        self._threads = threads or len(os.sched_getaffinity(0))
        self._memory = memory_bytes or psutil.virtual_memory().available // 2
        others = self._threads - 1
        self._pool = ThreadPoolExecutor(others, thread_name_prefix="sigc-block") if others else None
        self._waiting: deque[Task] = deque()  # threads pop from it, which is atomic
        self._flying: set[Future[TaskOutcome | None]] = set()

    def keep_in(self, store: BlockStore) -> None:
        """Use another store from now on."""
        if store is not self._store:
            self._store = store
            self._room = MemoryArena(store.spare) if isinstance(store, MemoryStore) else None

    @property
    def window(self) -> int:
        return 2 * self._threads

    @property
    def slice_bytes(self) -> int:
        return self._memory // self._threads

    def prepare(self, operators: Collection[str]) -> None:
        """Do nothing: there is only one machine to compare."""

    def submit(self, tasks: Sequence[Task]) -> None:
        self._waiting.extend(tasks)
        if self._pool is not None:
            self._flying.update(self._pool.submit(self._one) for _ in tasks)

    def next(self) -> TaskOutcome:
        while True:
            done = {f for f in self._flying if f.done()}
            if not done and (outcome := self._one()) is not None:
                return outcome
            if not done:
                done = wait(self._flying, return_when=FIRST_COMPLETED).done
            first = next(iter(done))
            self._flying.discard(first)
            outcome = first.result()
            if outcome is not None:
                return outcome

    def _one(self) -> TaskOutcome | None:
        """Run the task that has waited longest; None if another thread took the last one."""
        try:
            task = self._waiting.popleft()
        except IndexError:
            return None
        return run_block(task, self._store, "this process", self._room, self.books)

    def cancel(self) -> None:
        self._waiting.clear()
        wait(self._flying)
        self._flying.clear()

    def incidents(self) -> list[str]:
        return []

    def close(self) -> None:
        self.cancel()
        if self._pool is not None:
            self._pool.shutdown()
