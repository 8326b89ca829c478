"""Dask's part: what a task costs beside its kernels, how a run gets faster with workers, whether the scheduler grows.

One and two workers are measured; more are simulated: the same plan driven by the same frontier, its tasks on as many
imagined workers, each for as long as its operators were measured to take, plus what a task was measured to take beside.
"""

from __future__ import annotations

import heapq
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.universe_data import prices
from sigc.blocks.block import BlockFacts, MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import ClusterSettings
from sigc.engine.core.drive import Executor, drive
from sigc.engine.core.task import Task, TaskOutcome
from sigc.engine.executors.batch import StoreAddress
from sigc.engine.executors.cluster import open_client, slice_bytes
from sigc.engine.executors.dask import DaskExecutor
from sigc.lang.check import check_file
from sigc.plan.lower import lower
from sigc.plan.plan import make_plan
from sigc.plan.strategy import Strategy
from sigc_pipelines.compute import Loaded, Workspace, compute, load

ASSETS, DAYS = 4_000, 5_040
SIMULATED = (1, 2, 4, 8, 16)
RUNS = 12
TEXT = """data:
  prices: load parquet from "prices.parquet"
signal slow:
  emit rank(ret(prices, 252)) - rank(rolling_std(ret(prices), 252)) + rank(ts_skew(ret(prices), 60))
signal smooth:
  emit rank(ema(prices, 20) / ema(prices, 60))
portfolio main:
  weights = long_short(rolling_mean(slow, 5) + smooth, top=0.1, bottom=0.1)
"""


def main() -> dict[str, float]:
    """Seconds, ratios, counts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prices(ASSETS, DAYS).reset_index().to_parquet(folder / "prices.parquet")
        (folder / "scaling.sig").write_text(TEXT, encoding="utf-8")
        strategy = lower(check_file(folder / "scaling.sig"))
        one = _measured(folder, strategy, 1)
        two = _measured(folder, strategy, 2)
        overhead_s = two["beside kernels, a task, ms"] / 1e3
        simulated = _simulated(folder, strategy, overhead_s)
    figures = {f"1 worker: {k}": v for k, v in one.items()} | {f"2 workers: {k}": v for k, v in two.items()}
    figures["2 workers, times as fast as 1"] = one["wall, s"] / two["wall, s"]
    for workers in SIMULATED[1:]:
        figures[f"{workers} workers, simulated, times as fast as 1"] = simulated[1] / simulated[workers]
    return figures


def _measured(folder: Path, strategy: Strategy, workers: int) -> dict[str, float]:
    cache = folder / f"cache{workers}"
    store = ParquetStore(cache, 100.0, memory_bytes=0)
    with open_client(ClusterSettings(workers=workers, threads=1, memory_limit="1GiB"), cache) as client:
        executor = DaskExecutor(client, StoreAddress(str(cache), 100.0), slice_bytes(client))

        def engine(_: int) -> AbstractContextManager[Executor]:
            return nullcontext(executor)

        space = Workspace(store, engine)
        loaded = load(strategy, space)
        compute(loaded, strategy.roots, space, 0, 300)  # kernels are loaded
        begun = time.perf_counter()
        done = compute(loaded, strategy.roots, space)
        wall = time.perf_counter() - begun
        kernels, blocks = sum(done.report.node_seconds.values()), done.report.reading_s + done.report.writing_s
        beside = max(0.0, workers * wall - kernels) / done.report.tasks
        before = client.run_on_scheduler(_scheduler)
        for _ in range(RUNS):
            compute(loaded, strategy.roots, space)
        after = client.run_on_scheduler(_scheduler)
        executor.close()
    return {
        "wall, s": wall,
        "kernels, s": kernels,
        "tasks": float(done.report.tasks),
        "efficiency": kernels / (workers * wall),
        "beside kernels, a task, ms": 1e3 * beside,
        "of that reading and writing blocks, ms": 1e3 * blocks / done.report.tasks,
        "of that Dask, and waiting for what comes before, ms": 1e3
        * (workers * wall - done.report.busy_s)
        / done.report.tasks,
        "tasks the scheduler knows afterwards": float(after[0]),
        f"growth of the scheduler over {RUNS} runs, MB": after[1] - before[1],
    }


def _scheduler(dask_scheduler: Any) -> tuple[int, float]:
    """How many tasks it knows, and its memory in MB."""
    import psutil

    return len(dask_scheduler.tasks), psutil.Process().memory_info().rss / 1e6


def _simulated(folder: Path, strategy: Strategy, overhead_s: float) -> dict[int, float]:
    """Seconds of the run on so many imagined workers."""
    known = ParquetStore(folder / "cache2", 100.0, memory_bytes=0)
    space = Workspace(known, lambda _: nullcontext(_Imagined(_Hidden(known), 1, overhead_s)))
    loaded = load(strategy, space)
    return {workers: _imagined_run(loaded, known, workers, overhead_s) for workers in SIMULATED}


def _imagined_run(loaded: Loaded, known: ParquetStore, workers: int, overhead_s: float) -> float:
    hidden = _Hidden(known)
    executor = _Imagined(hidden, workers, overhead_s)
    drive(make_plan([loaded.strategy], loaded.grid, loaded.strategy.roots), hidden, executor)
    return executor.now


class _Hidden(MemoryStore):
    """A store whose blocks are there once their task has run, in the imagination."""

    def __init__(self, known: ParquetStore) -> None:
        super().__init__()
        self._known = known

    def facts(self, key: str) -> BlockFacts | None:
        found = super().facts(key)
        if found is None:
            stored = self._known.facts(key)
            return stored if stored is not None and stored.source == "source" else None
        return found

    def noted(self, name: str) -> str | None:
        return super().noted(name) or (self._known.noted(name) if not name.startswith("tip-") else None)

    def reveal(self, key: str) -> BlockFacts:
        """A block is computed."""
        found = self._known.facts(key)
        if found is None:
            raise KeyError(key)
        self._facts[key] = found
        return found


class _Imagined:
    """An executor on imagined workers: each task takes what its operators take, and the overhead."""

    def __init__(self, store: _Hidden, workers: int, overhead_s: float) -> None:
        self._store, self._overhead_s = store, overhead_s
        self._free = [0.0] * workers
        self._flying: list[tuple[float, int, Task]] = []
        self.now = 0.0

    @property
    def window(self) -> int:
        return 3 * len(self._free)

    @property
    def slice_bytes(self) -> int:
        return 1 << 30

    def prepare(self, operators: Collection[str]) -> None:
        """Nothing to compare."""

    def submit(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            begun = max(self.now, heapq.heappop(self._free))
            done = begun + task.cost_ns / 1e9 + self._overhead_s
            heapq.heappush(self._free, done)
            heapq.heappush(self._flying, (done, task.number, task))

    def next(self) -> TaskOutcome:
        self.now, number, task = heapq.heappop(self._flying)
        return TaskOutcome(number, tuple(self._store.reveal(o.key) for o in task.outputs))

    def cancel(self) -> None:
        self._flying.clear()

    def incidents(self) -> list[str]:
        return []
