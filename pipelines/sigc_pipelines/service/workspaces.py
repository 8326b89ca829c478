"""The cache, engine and data connections of the daemon, lent to a run as a `Workspace`.

One cache and one bound on memory, threads and connections serve all runs of a configuration. Small work is computed by
threads of this process, large work on the daemon's cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sigc import metrics as m
from sigc.blocks.block import BlockStore, MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.clock import SystemClock
from sigc.config.settings import Config
from sigc.daemon.runner import RunHandle, Services
from sigc.data.dates.exchange import exchanges_of
from sigc.data.sources.connections import Connections
from sigc.engine.core.drive import Executor
from sigc.engine.core.task import Progress
from sigc.engine.executors.local import LocalExecutor
from sigc.host.cgroup import worker_threads
from sigc.host.cpu_throttle import CpuThrottle, ThrottledExecutor
from sigc.host.usage import usable_cpus
from sigc.ops import jit
from sigc_pipelines.assembly.parts import is_large
from sigc_pipelines.compute import Workspace
from sigc_pipelines.live.run import CancelledError
from sigc_pipelines.service.metrics_feed import tell_sources


class Workspaces:
    """Lends workspaces to runs. Safe to use from several threads."""

    def __init__(self, config: Config, services: Services) -> None:
        self._config, self._services = config, services
        settings = config.daemon.cache
        self._directory = Path(settings.directory).expanduser() if settings.enabled else services.scratch / "cache"
        jit.prepare(self._directory)
        on_disk = settings.enabled or config.cluster.type in ("address", "class")
        trusted = settings.trusted and settings.enabled
        self._store = ParquetStore(self._directory, settings.max_size_gb, is_trusted=trusted) if on_disk else None
        ways = config.daemon.connections
        self._memory_bytes = (config.daemon.memory_limit_mb or 0) << 20
        scratch = str(self._directory) if self._store is not None else ""
        self._ways = Connections(ways.data_pool_size, ways.timeout_seconds, self._memory_bytes, scratch)
        share = None if services.has_quota else config.daemon.cpu_limit_pct
        self._threads = config.daemon.limits.worker_threads or usable_cpus()
        if share is not None:
            self._threads = min(self._threads, worker_threads(share, usable_cpus()))
        # The machine's clock, whatever day it is for the runs: processors are spent in real time.
        self._pace = None if share is None else CpuThrottle(share, usable_cpus(), services.spent, SystemClock())

    def flush(self) -> None:
        """Write down what this process has counted of the cache."""
        if self._store is not None:
            self._store.flush_counts()

    def free(self) -> None:
        """Drop the blocks that are kept in memory."""
        if self._store is not None:
            self._store.free()

    def workspace(self, watch: RunHandle | None, strategy: str) -> Workspace:
        """Return a workspace for a run of a strategy. watch: receives the progress, and may stop the run."""
        told, services, last_s = [0, 0], self._services, 0.0
        counted = (m.BLOCKS, m.CACHE_MISSES) if self._store is not None else (m.BLOCKS,)

        def progress(found: Progress) -> None:
            nonlocal last_s
            if found.seconds < last_s:  # another computation of the same run
                told[:] = 0, 0
            last_s = found.seconds
            for place, (metrics, count) in enumerate(((counted, found.done), ((m.CACHE_HITS,), found.cached))):
                for metric in metrics:
                    services.metrics.add(metric, max(0, count - told[place]))
                told[place] = count
            if watch is not None:
                alive(watch)
                text = f"{found.done} computed, {found.cached} found, {found.rows_per_s:,.0f} rows/s"
                watch.progress(found.done + found.cached, found.total, text)

        store: BlockStore = self._store or MemoryStore()  # without a cache: kept as long as the run
        ttl_hours = self._config.daemon.cache.ttl_hours
        engine = partial(self._engine, store)
        seen = partial(tell_sources, services.metrics, services.clock, strategy)
        is_here = self._config.cluster.type in ("local", "none")
        return Workspace(
            store,
            engine,
            self._config.data,
            ttl_hours=ttl_hours,
            progress=progress,
            seen=seen,
            connections=self._ways,
            memory_bytes=self._memory_bytes if is_here else 0,  # workers elsewhere have their own
            exchanges=exchanges_of(self._config.schedule),
            max_return=self._config.safety.max_return,
            max_coverage_drop=self._config.safety.max_coverage_drop,
        )

    @contextmanager
    def _engine(self, store: BlockStore, cost_ns: int) -> Iterator[Executor]:
        """Yield an engine: threads of this process for small work, the daemon's cluster for the rest."""
        cluster = self._services.cluster
        large = self._config.cluster.type in ("address", "class") or is_large(cost_ns)
        if cluster is not None and self._store is not None and large:
            with cluster.executor(self._directory) as executor:
                yield self._paced(executor)
            return
        local = LocalExecutor(store, self._threads, self._memory_bytes // 2)
        try:
            yield self._paced(local)
        finally:
            local.close()

    def _paced(self, executor: Executor) -> Executor:
        return executor if self._pace is None else ThrottledExecutor(executor, self._pace)


def alive(watch: RunHandle) -> None:
    """Raise CancelledError when the run is to end."""
    if watch.cancelled.is_set():
        raise CancelledError
