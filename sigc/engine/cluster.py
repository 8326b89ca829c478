"""Open a Dask client as the config says: a local cluster, a running scheduler, or a cluster class.

Before the client is handed on, every worker is probed: same versions, the cache and data roots readable and
writable, the same bits from the kernels. A difference is refused with what differs and where.
"""

from __future__ import annotations

import importlib
import os
import platform
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask
import distributed
import numba
import numpy as np
import psutil
from distributed import Client, LocalCluster, Security
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

from sigc.config import ClusterSettings
from sigc.engine.dask import EVENTS
from sigc.engine.doors import GuardScheduler, GuardWorker
from sigc.engine.main_guard import check_main
from sigc.engine.nice import give_way
from sigc.errors import Diagnostic, SigcError
from sigc.ops import jit

# What matters is set by us; see the README of this folder for the reason of each line.
SETTINGS: Mapping[str, Any] = {
    "distributed.scheduler.allowed-failures": 2,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.worker-ttl": "60 s",
    "distributed.scheduler.no-workers-timeout": "60 s",
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    # A paused worker would not come back: nothing of ours is spilled. Plans are cut to fit instead.
    "distributed.worker.memory.pause": False,
    "distributed.admin.tick.interval": "1 s",
    "distributed.admin.system-monitor.interval": "10 s",
    "distributed.admin.log-length": 200,
    "distributed.admin.low-level-log-length": 200,
    # A threshold of 1 GiB keeps numpy's blocks in the heap: 1.2 to 2.3 times faster than the default. One heap for all
    # threads: those of a worker that only talk hold no memory; a tenth less at the peak.
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
        "MALLOC_ARENA_MAX": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    },
}


_INTERPRETER_BYTES = 320 << 20  # of a worker with its libraries and compiled kernels


class WorkerWatch(SchedulerPlugin):
    """Tells clients of workers that were lost."""

    name = "sigc-worker-watch"

    def remove_worker(self, scheduler: Any, worker: str, *, stimulus_id: str, **_: Any) -> None:
        if scheduler.status == distributed.Status.running and "retire" not in stimulus_id:
            scheduler.log_event(EVENTS, {"text": f"worker {worker} was lost; its blocks were computed again"})


class Prepare(WorkerPlugin):
    """On every worker, late ones too: the folder of compiled kernels, set before numba is used; how nice it is."""

    name = "sigc-prepare"

    def __init__(self, cache_directory: str, niceness: int = 0) -> None:
        self.cache_directory, self.niceness = cache_directory, niceness

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        jit.prepare(Path(self.cache_directory))
        give_way(self.niceness)


@contextmanager
def open_client(
    settings: ClusterSettings, cache: Path, roots: Sequence[Path] = (), niceness: int = 0
) -> Iterator[Client]:
    """A client of the cluster that `settings` names, probed. Whatever was started here ends with the block.

    niceness: of workers that are started here.
    """
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS))
        client = stack.enter_context(_connect(settings, stack))
        client.register_plugin(WorkerWatch())
        client.register_plugin(Prepare(str(cache), niceness if settings.type == "local" else 0))
        if settings.type == "local":  # one that is not ours has its own doors
            _shut_doors(client, settings)
        probe(client, cache, roots)
        yield client


def _shut_doors(client: Client, settings: ClusterSettings) -> None:
    """Dask's pages are for this machine, and for the address they were told to listen on."""
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
            if isinstance(scale, int):
                cluster.scale(scale)
            elif scale is not None:
                cluster.adapt(minimum=scale.minimum, maximum=scale.maximum)
            client = _client(cluster, _security(settings), settings)
            client.wait_for_workers(1, timeout=120)
            return client
        case _:
            check_main()
            # A nanny starts its worker again by itself. The cluster would close it for good if, so long after one loss,
            # the worker happened to be away once more: two losses within seconds, and it would be gone for ever.
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
        # Without an address it would listen on all interfaces.
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


def versions() -> dict[str, str]:
    """What must be equal on controller and workers for equal bits."""
    from sigc import __version__

    return {
        "sigc": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "distributed": version("distributed"),
        "kernels": jit.kernel_sources_digest(),
        "cpu": jit.cpu_class(),
    }


def _probe_here(cache: str, roots: tuple[str, ...], token: str) -> dict[str, str]:
    """Runs on a worker: its versions, and what it can't read or write."""
    found = versions()
    trouble = [f"can't read {root}" for root in roots if not os.access(root, os.R_OK | os.X_OK)]
    if not (Path(cache) / f"probe-{token}").is_file():
        trouble.append(f"does not see the cache {cache} of the controller")
    elif not os.access(cache, os.R_OK | os.W_OK | os.X_OK):
        trouble.append(f"can't write the cache {cache}")
    return {**found, "trouble": "; ".join(trouble)}


def probe(client: Client, cache: Path, roots: Sequence[Path] = ()) -> None:
    """Refuse workers that would compute other bits, or can't reach the files. Raises E402, one per worker."""
    token = uuid.uuid4().hex
    mark = cache / f"probe-{token}"
    mark.touch(mode=0o600)
    try:
        answers = client.run(_probe_here, str(cache), tuple(str(r) for r in roots), token)
    finally:
        mark.unlink()
    ours = versions()
    errors = []
    for worker, answer in sorted(answers.items()):
        differs = [f"{k} {answer[k]}, here {v}" for k, v in ours.items() if answer[k] != v]
        if answer["trouble"]:
            differs.append(answer["trouble"])
        if differs:
            errors.append(Diagnostic("E402", f"worker {worker}: {'; '.join(differs)}"))
    if errors:
        raise SigcError(*errors)


def slice_bytes(client: Client) -> int:
    """Memory one task may plan with: what the smallest worker has beside its interpreter, shared by its threads."""
    limits = []
    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        limit = worker["memory_limit"] or psutil.virtual_memory().total // 4
        limits.append(max(limit // 8, (limit - _INTERPRETER_BYTES) // 2) // worker["nthreads"])
    return min(limits, default=1 << 30)
