"""The in-process engine: a thread pool over blocks. Kernels release the GIL. Imports no scheduler."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import psutil

from sigc.blocks import BlockStore, MemoryStore
from sigc.engine.heap import keep_blocks
from sigc.engine.room import Room
from sigc.engine.run_block import run_block
from sigc.engine.task import Outcome, Task


class LocalExecutor:
    """Runs tasks on `threads` threads of this process (default: the CPUs it may use).

    memory_bytes bounds all tasks together (default: half of what is free when it starts).
    """

    def __init__(self, store: BlockStore, threads: int = 0, memory_bytes: int = 0) -> None:
        keep_blocks()
        self._store = store
        self._room = Room() if isinstance(store, MemoryStore) else None
        self._threads = threads or len(os.sched_getaffinity(0))
        self._memory = memory_bytes or psutil.virtual_memory().available // 2
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="sigc-block")
        self._flying: set[Future[Outcome]] = set()

    @property
    def window(self) -> int:
        return 2 * self._threads

    @property
    def slice_bytes(self) -> int:
        return self._memory // self._threads

    def prepare(self, operators: Collection[str]) -> None:
        """Nothing to compare: there is one machine."""

    def submit(self, tasks: Sequence[Task]) -> None:
        self._flying.update(self._pool.submit(run_block, t, self._store, "this process", self._room) for t in tasks)

    def next(self) -> Outcome:
        done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
        first = next(iter(done))
        self._flying.discard(first)
        return first.result()

    def cancel(self) -> None:
        for future in self._flying:
            future.cancel()
        wait(self._flying)
        self._flying.clear()

    def incidents(self) -> list[str]:
        return []

    def close(self) -> None:
        self.cancel()
        self._pool.shutdown()
