"""Opening of a Dask client as configured: a local cluster, a running scheduler, or a cluster class.

Before the client is used, every worker is checked: same versions and sources, the same cache, readable data
(`proof.py`). A worker that differs is set aside with the differences; one that joins later and differs leaves.
"""

from __future__ import annotations

import importlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
import psutil
from distributed import Client, LocalCluster, Security

from sigc.config.settings import ClusterSettings
from sigc.engine.executors.dask_dashboard_guard import GuardScheduler, GuardWorker
from sigc.engine.executors.main_guard import check_main
from sigc.engine.executors.proof import put_mark, requirement
from sigc.engine.executors.workers import Workers
from sigc.errors import Diagnostic, SigcError

log = logging.getLogger("sigc.cluster")

# Settings that matter; the README of this folder gives the reasons.
SETTINGS: Mapping[str, Any] = {
    "distributed.scheduler.allowed-failures": 2,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.worker-ttl": "60 s",
    "distributed.scheduler.no-workers-timeout": "60 s",
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    # A paused worker would never resume, as nothing is spilled. Plans are cut to fit instead.
    "distributed.worker.memory.pause": False,
    "distributed.admin.tick.interval": "1 s",
    "distributed.admin.system-monitor.interval": "10 s",
    "distributed.admin.log-length": 200,
    "distributed.admin.low-level-log-length": 200,
    # A threshold of 1 GiB keeps numpy's blocks in the heap: 1.2 to 2.3 times faster than the default. One heap for all
    # threads: the communication threads of a worker then hold no memory; 10 % less at the peak.
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
        "MALLOC_ARENA_MAX": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    },
}


_CLASS_STARTS_WITHIN_S = 120.0
_INTERPRETER_BYTES = 320 << 20  # memory of a worker with its libraries and compiled kernels


@contextmanager
def open_client(
    settings: ClusterSettings, cache: Path, roots: Sequence[Path] = (), niceness: int = 0
) -> Iterator[Client]:
    """Open a client of the configured cluster, with at least one worker that has proved the requirement.

    Workers that join later prove it then. Everything started here ends with the block, and nothing is left on a
    scheduler that was running before. niceness: of workers started here. Raise `SigcError` (E402).
    """
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS))
        client = stack.enter_context(_used(_connect(settings, stack)))
        if settings.type == "local":  # a scheduler of others protects its own pages
            _shut_doors(client, settings)
        workers = Workers(client, patience_s(settings))
        stack.callback(workers.leave)
        _admit(workers, requirement(put_mark(cache), roots), cache, niceness if settings.type == "local" else 0)
        yield client


@contextmanager
def _used(client: Client) -> Iterator[Client]:
    """Yield the client and close it. One whose scheduler is lost may fail as it closes: that must not hide the loss."""
    client.__enter__()
    try:
        yield client
    finally:
        try:
            client.__exit__(None, None, None)
        except (OSError, RuntimeError) as failure:
            log.warning("the client of the cluster was not closed in order: %s", failure)


def patience_s(settings: ClusterSettings) -> float:
    """Return the seconds to wait for a first worker: those of a cluster class must be started somewhere first."""
    return max(settings.connect_timeout_s, _CLASS_STARTS_WITHIN_S if settings.type == "class" else 0.0)


def _admit(workers: Workers, required: str, cache: Path, niceness: int) -> None:
    """Check all workers, now and when they join. Raise `SigcError` (E402) if none passes."""
    workers.wait(log.warning)
    for address in workers.admit("sigc-join", required, str(cache), niceness):
        workers.set_aside(address, "does not answer")
    for text in workers.refusals:
        log.warning("%s", text)
    if workers.refusals and not workers.usable():
        raise workers.nobody()


def _shut_doors(client: Client, settings: ClusterSettings) -> None:
    """Restrict Dask's pages to this machine, and to the address they are configured to listen on."""
    host = settings.dashboard_address.rpartition(":")[0].strip("[]").lower()
    client.register_plugin(GuardScheduler(frozenset({host} if host else ())))
    client.register_plugin(GuardWorker())


def _connect(settings: ClusterSettings, stack: ExitStack) -> Client:
    match settings.type:
        case "address":
            return _client(settings.address, _security(settings), settings)
        case "class":
            made_by = _class(settings.class_)
            if isinstance(made_by, type) and issubclass(made_by, LocalCluster):
                check_main()
            cluster = made_by(**settings.options)
            stack.callback(cluster.close)
            scale = settings.scale
            if scale is not None:
                cluster.scale(scale if isinstance(scale, int) else max(1, scale.minimum))
            client = _client(cluster, _security(settings), settings)
            if scale is not None and not isinstance(scale, int):
                # An adaptive cluster starts workers only for tasks: request the first one, and wait for it.
                Workers(client, patience_s(settings)).wait(log.warning)
                cluster.adapt(minimum=scale.minimum, maximum=scale.maximum)
            return client
        case _:
            check_main()
            # A nanny restarts its worker by itself. The cluster would close the worker for good if it happened to be
            # away again when this timeout after a first loss ends: two losses within seconds would remove it forever.
            stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "3650 days"}))
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="sigc-workers-"))
            return _client(stack.enter_context(_local(settings, scratch)), None, settings)


def _local(settings: ClusterSettings, scratch: str) -> LocalCluster:
    secure = settings.security == "temporary"
    return LocalCluster(
        n_workers=settings.workers,
        threads_per_worker=settings.threads,
        memory_limit=settings.memory_limit,
        processes=True,
        host="127.0.0.1",
        protocol="tls://" if secure else "tcp://",
        security=Security.temporary() if secure else None,
        # Without an address it listens on all interfaces.
        dashboard_address=settings.dashboard_address or "127.0.0.1:0",
        local_directory=scratch,
        silence_logs=40,
    )


def _client(target: Any, security: Any, settings: ClusterSettings) -> Client:
    try:
        return Client(target, security=security, timeout=settings.connect_timeout_s, set_as_default=False)
    except (OSError, TimeoutError) as failure:
        message = f"no scheduler answers at {target}: {failure}"
        raise SigcError(
            Diagnostic("E402", message, hint="is cluster.address right, and TLS on both ends?")
        ) from failure


def _security(settings: ClusterSettings) -> Security | None:
    if isinstance(settings.security, str):
        return None
    files = settings.security
    return Security(
        tls_ca_file=files.ca,
        tls_client_cert=files.cert,
        tls_client_key=files.key,
        require_encryption=True,
    )


def _class(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as failure:
        message = f"cluster.class '{dotted}' can't be imported: {failure}"
        raise SigcError(Diagnostic("E402", message, hint="install its package, or correct the name")) from failure


def slice_bytes(client: Client) -> int:
    """Return the memory one task may use: that of the smallest worker without its interpreter, shared by its
    threads.
    """
    limits = []
    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        limit = worker["memory_limit"] or psutil.virtual_memory().total // 4
        limits.append(max(limit // 8, (limit - _INTERPRETER_BYTES) // 2) // worker["nthreads"])
    return min(limits, default=1 << 30)
