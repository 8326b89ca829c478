"""The daemon's Dask cluster: opened on demand, reopened when lost, closed when idle.

    cluster = DaskCluster(settings, cache, max_size_gb, roots, Bounds(most_memory_mb, most_threads))
    with cluster.executor(directory) as executor: ...       a run's own executor on the shared client
    cluster.workers() · cluster.link() · cluster.targets() · cluster.check()

A local cluster is started by the first large piece of work and closed after `cluster.idle_minutes` without any, so that
an idle daemon costs nothing; a remote one is connected to at the start (`is_held`). A lost cluster is reopened, at
most `_MOST_OPENINGS` times an hour: one that dies again and again is reported instead.

Dask runs tornado loops in threads of its own and blocks; call nothing here in the daemon's loop, only in a thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sigc.errors import Diagnostic, SigcError
from sigc.rpc.messages.requests import WorkerStatus

if TYPE_CHECKING:
    from distributed import Client

    from sigc.config.settings import ClusterSettings
    from sigc.engine.core.drive import Executor

_MOST_OPENINGS = 6
_WITHIN_S = 3600.0
_ANSWER_WITHIN_S = 10.0
_GOOD_BYE_S = 5.0
_NICENESS = 10
_MOST_REFUSED = 16  # workers shown in status
_ONE_WORKER_MB = 512  # the libraries alone need most of it
log = logging.getLogger("sigc.cluster")


@dataclass(frozen=True, slots=True)
class WorkerBounds:
    """Limits of all local workers together; None: no limit. With a limit on threads the workers are niced too."""

    memory_mb: int | None = None
    threads: int | None = None


class DaskCluster:
    """The cluster of one daemon. Safe to use from several threads."""

    def __init__(
        self,
        settings: ClusterSettings,
        cache: Path,
        max_size_gb: float,
        roots: tuple[Path, ...],
        bounds: WorkerBounds | None = None,
        *,
        is_trusted: bool = False,
    ) -> None:
        self._is_trusted = is_trusted
        self._bounds = bounds or WorkerBounds()
        self._settings = _within(settings, self._bounds)
        self._cache, self._max_size_gb, self._roots = cache, max_size_gb, roots
        self._turn = threading.Lock()
        self._stack: ExitStack | None = None
        self._client: Client | None = None
        self._opened_at: deque[float] = deque()
        self._users = 0
        self._rested_at = time.monotonic()
        self._trouble = ""
        self._is_closed = False
        self._closing: list[threading.Thread] = []
        self._refused: deque[tuple[float, str, str]] = deque(maxlen=_MOST_REFUSED)  # when, the worker, why

    @property
    def is_held(self) -> bool:
        """Return True if the cluster is remote and must be there all along."""
        return self._settings.type in ("address", "class")

    def open(self) -> Client:
        """Return the client of a cluster that answers, opened or reopened if needed. Raise SigcError if it can't be."""
        with self._turn:
            if self._is_closed:
                raise SigcError(Diagnostic("E300", "the cluster is closed: the daemon is stopping"))
            if self._client is not None and not _answers(self._client):
                log.warning("the cluster was lost; reopening it")
                self._drop(is_lost=True)
            if self._client is None:
                self._client = self._opened()
            return self._client

    @contextmanager
    def executor(self, directory: Path) -> Iterator[Executor]:
        """Yield an executor for one run, over the cache at `directory`."""
        from distributed import Client

        from sigc.engine.executors.batch import StoreAddress
        from sigc.engine.executors.cluster import patience_s, slice_bytes
        from sigc.engine.executors.dask import DaskExecutor

        # Before the count of users: a failed open must not leave one behind, which would keep the cluster from resting.
        held = self.open()
        with self._turn:
            self._users += 1
        try:
            # A client of its own: worker events and cancelled tasks of one run must not reach another.
            address = held.scheduler_info()["address"]
            limit_s, patience = self._settings.connect_timeout_s, patience_s(self._settings)
            with Client(address, security=held.security, timeout=limit_s, set_as_default=False) as client:
                store = StoreAddress(str(directory.resolve()), self._max_size_gb, self._is_trusted)
                executor = DaskExecutor(client, store, slice_bytes(client), self._settings.deadline_s, patience)
                try:
                    yield executor
                finally:
                    executor.close()
        finally:
            with self._turn:
                self._users -= 1
                self._rested_at = time.monotonic()

    def rest(self) -> bool:
        """Close a local cluster that has been idle for long enough. Return True if it was closed."""
        idle_s = 60 * self._settings.idle_minutes
        with self._turn:
            rested = time.monotonic() - self._rested_at
            if self._client is None or self._users or self.is_held or not idle_s or rested < idle_s:
                return False
            self._drop()
        log.info("the cluster had no work and is closed", extra={"minutes": self._settings.idle_minutes})
        return True

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Return the workers as the scheduler last heard of them, and those refused within the last hour."""
        found = self._info().get("workers", {})
        while self._refused and time.monotonic() - self._refused[0][0] > _WITHIN_S:
            self._refused.popleft()
        refused = {address: why for _, address, why in list(self._refused)} if self._client is not None else {}
        there = [_worker(address, told, refused.pop(address, "")) for address, told in sorted(found.items())]
        return (*there, *(WorkerStatus(address, 0, 0, 0, refused=why) for address, why in sorted(refused.items())))

    def link(self) -> str:
        """Return the address of Dask's own page, '' while the cluster is closed."""
        client = self._client
        return "" if client is None else str(client.dashboard_link or "")

    def targets(self) -> tuple[str, ...]:
        """Return the addresses (HOST:PORT) where scheduler and workers serve Dask's metrics."""
        info = self._info()
        if not info:
            return ()
        host, port = urlsplit(str(info["address"])).hostname, info.get("services", {}).get("dashboard")
        found = [f"{host}:{port}"] if port else []
        for worker in info.get("workers", {}).values():
            number = worker.get("services", {}).get("dashboard")
            if number:
                found.append(f"{worker['host']}:{number}")
        return tuple(sorted(found))

    def check(self) -> str:
        """Return `ok` or what is wrong."""
        client = self._client
        if client is None:
            return self._trouble or ("ok" if not self.is_held else "not connected")
        if not _answers(client):
            return "the scheduler does not answer"
        wanted = self._settings.workers if self._settings.type == "local" else 1
        found = self.workers()
        there = sum(not worker.refused for worker in found)
        if there >= wanted:
            return "ok"
        refused = "".join(f"; {worker.address} {worker.refused}" for worker in found if worker.refused)
        return f"{there} of {wanted} workers are there{refused}"

    def close(self) -> None:
        """Close the cluster. A close that takes too long is left to the end of the process."""
        with self._turn:
            self._is_closed = True
            self._drop()
        for thread in self._closing:
            thread.join(_GOOD_BYE_S)

    def _opened(self) -> Client:
        from sigc.engine.executors.cluster import open_client
        from sigc.engine.executors.join import EVENTS

        now = time.monotonic()
        while self._opened_at and now - self._opened_at[0] > _WITHIN_S:
            self._opened_at.popleft()
        if len(self._opened_at) >= _MOST_OPENINGS:
            message = f"the cluster was lost {_MOST_OPENINGS} times within an hour: it is not reopened for now"
            raise SigcError(Diagnostic("E300", message, hint="check the memory of its workers and its log"))
        began = time.monotonic()
        stack = ExitStack()
        try:
            client = stack.enter_context(open_client(*self._what_to_open()))
            client.subscribe_topic(EVENTS, self._hear)
            # Events logged before the subscription are read here; `_hear` ignores the ones it already knows.
            for event in client.get_events(EVENTS):
                self._hear(event)
        except BaseException as failure:
            stack.close()
            self._trouble = str(failure)
            raise
        # Only successful openings count: an address that does not answer may be tried again and again.
        self._opened_at.append(now)
        self._stack, self._trouble, self._rested_at = stack, "", time.monotonic()
        said = {"type": self._settings.type, "seconds": round(time.monotonic() - began, 2)}
        log.info("the cluster is open", extra={**said, "dashboard": str(client.dashboard_link or "")})
        return client

    def _hear(self, event: tuple[float, Any]) -> None:
        """Remember a refused worker: one with another cache than ours, or without sigc."""
        from sigc.engine.executors.workers import is_same_cache

        _, message = event
        if "refused" not in message or (message["is_ours"] and not is_same_cache(message, str(self._cache))):
            return
        address, why = str(message["refused"]), str(message["why"])
        if (address, why) not in [(there, known) for _, there, known in list(self._refused)]:
            self._refused.append((time.monotonic(), address, why))
            log.warning("%s", message["text"])

    def _what_to_open(self) -> tuple[ClusterSettings, Path, tuple[Path, ...], int]:
        niceness = _NICENESS if self._bounds.threads is not None else 0
        return self._settings, self._cache.resolve(), self._roots, niceness

    def _drop(self, is_lost: bool = False) -> None:
        """Let go of the cluster. A lost one is closed in a thread: its good-bye takes half a minute."""
        stack, self._stack, self._client = self._stack, None, None
        if stack is None:
            return
        if is_lost:
            closing = threading.Thread(target=_close, args=(stack,), name="sigc-cluster-close", daemon=True)
            closing.start()
            self._closing = [*(thread for thread in self._closing if thread.is_alive()), closing]
        else:
            _close(stack)

    def _info(self) -> Mapping[str, Any]:
        client = self._client
        if client is None:
            return {}
        try:
            found: Mapping[str, Any] = client.scheduler_info(n_workers=-1)
        except Exception:
            return {}
        return found


def _close(stack: ExitStack) -> None:
    # A lost cluster fails to close in any of many ways; its processes end with their scheduler.
    with contextlib.suppress(Exception):
        stack.close()


def _answers(client: Client) -> bool:
    """Return True if the scheduler answers within `_ANSWER_WITHIN_S` seconds."""
    scheduler = client.scheduler
    if client.status != "running" or scheduler is None:
        return False
    try:
        client.sync(scheduler.identity, callback_timeout=_ANSWER_WITHIN_S)
    except Exception:
        return False
    return True


def _worker(address: str, told: Mapping[str, Any], refused: str = "") -> WorkerStatus:
    metrics = told.get("metrics", {})
    states = metrics.get("task_counts", {})
    tasks = sum(count for state, count in states.items() if state in ("executing", "ready", "waiting"))
    return WorkerStatus(
        address,
        int(metrics.get("memory", 0)),
        int(told.get("memory_limit") or 0),
        int(tasks),
        int(told.get("nthreads", 0)),
        float(metrics.get("cpu", 0.0)),
        refused,
    )


def _within(settings: ClusterSettings, bounds: WorkerBounds) -> ClusterSettings:
    """Return the settings with local workers bounded by what the daemon may use, less the controller's memory.

    >>> from sigc.config.settings import ClusterSettings
    >>> found = _within(ClusterSettings(workers=8, threads=2), WorkerBounds(memory_mb=4608, threads=5))
    >>> found.workers, found.threads, found.memory_limit
    (2, 2, '2048MiB')
    """
    if settings.type != "local":
        return settings
    found: dict[str, object] = {}
    workers = settings.workers
    if bounds.threads is not None:
        threads = min(settings.threads, bounds.threads)
        workers = min(workers, max(1, bounds.threads // threads))
        found |= {"threads": threads, "workers": workers}
    if bounds.memory_mb is not None and settings.memory_limit == "auto":
        each = max(_ONE_WORKER_MB, (bounds.memory_mb - _ONE_WORKER_MB) // workers)
        found["memory_limit"] = f"{each}MiB"
    return settings.model_copy(update=found)
