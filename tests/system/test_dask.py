"""The Dask engine on a real local cluster: same bytes as in-process, workers killed under load, other clusters."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from distributed import Client

from sigc.blocks.block import MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import ClusterSettings
from sigc.engine.core.drive import EngineLostError, Executor
from sigc.engine.executors.batch import StoreAddress
from sigc.engine.executors.cluster import _used, open_client, slice_bytes
from sigc.engine.executors.dask import DaskExecutor
from sigc.errors import SigcError
from sigc_pipelines.compute import Workspace
from tests.engine.test_laws import ALL, assert_same, everything
from tests.world import workspace, write_world

pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, jit_directory: Path) -> Path:
    """One cache folder for the module; its compiled kernels are those of the whole suite."""
    folder = tmp_path_factory.mktemp("cache")
    jit_directory.joinpath("jit").mkdir(exist_ok=True)
    (folder / "jit").symlink_to(jit_directory / "jit")
    return folder


@pytest.fixture(scope="module")
def client(cache: Path) -> Iterator[Client]:
    """One cluster of two workers for the whole matrix, over TLS, bound to loopback."""
    with open_client(ClusterSettings(type="local", workers=2, threads=1, memory_limit="1GiB"), cache) as opened:
        yield opened


def dask_space(client: Client, directory: Path, slices: int = 0) -> Workspace:
    """A workspace on the cluster; its store is a folder of its own."""
    store = ParquetStore(directory)

    @contextlib.contextmanager
    def engine(_: int) -> Iterator[Executor]:
        executor = DaskExecutor(client, StoreAddress(str(directory), 10.0), slices or slice_bytes(client))
        try:
            yield executor
        finally:
            executor.close()

    return Workspace(store, engine)


@pytest.mark.parametrize("name", ALL)
def test_same_bytes_as_in_process(world: Path, client: Client, tmp_path: Path, name: str) -> None:
    right, _ = everything(world, name, workspace(MemoryStore()))
    found, report = everything(world, name, dask_space(client, tmp_path))
    assert_same(found, right)
    assert report.blocks_computed > 0
    warm, report = everything(world, name, dask_space(client, tmp_path))
    assert_same(warm, right)
    assert report.blocks_computed == 0


def test_the_cluster_listens_on_loopback_with_tls(client: Client) -> None:
    addresses = [client.scheduler_info()["address"], *client.scheduler_info(n_workers=-1)["workers"]]
    assert all(a.startswith("tls://127.0.0.1:") for a in addresses)


def test_a_worker_killed_in_the_middle(world: Path, client: Client, tmp_path: Path) -> None:
    right, _ = everything(world, "carried", workspace(MemoryStore()))
    victim = next(iter(client.run(os.getpid).values()))
    space = dask_space(client, tmp_path)
    killed = threading.Event()

    def kill_once(_: object) -> None:
        if not killed.is_set():
            killed.set()
            os.kill(victim, signal.SIGKILL)

    space = Workspace(space.store, space.engine, progress=kill_once)
    found, report = everything(world, "carried", space)
    assert killed.is_set()
    assert_same(found, right)
    client.wait_for_workers(2, timeout=60)
    told = list(report.incidents)
    until = time.monotonic() + 60
    while not any("was lost" in text for text in told) and time.monotonic() < until:
        told = _told(client)
    assert any("was lost" in text for text in told)


def _told(client: Client) -> list[str]:
    """What the scheduler has told since: events arrive on their own time."""
    return [str(message["text"]) for _, message in client.get_events("sigc-workers")]


def test_a_worker_that_hangs_is_restarted(world: Path, client: Client, tmp_path: Path) -> None:
    """SIGSTOP: it answers nothing, and its connection stays open."""
    right, _ = everything(world, "carried", workspace(MemoryStore()))
    client.wait_for_workers(2, timeout=60)
    victim = next(iter(client.run(os.getpid).values()))
    store = ParquetStore(tmp_path)
    executor = DaskExecutor(client, StoreAddress(str(tmp_path), 10.0), slice_bytes(client), deadline_s=6)
    stopped = threading.Event()

    def stop_once(_: object) -> None:
        if not stopped.is_set():
            stopped.set()
            os.kill(victim, signal.SIGSTOP)

    space = Workspace(store, lambda _: nullcontext(executor), progress=stop_once)
    found, _ = everything(world, "carried", space)
    assert stopped.is_set()
    assert_same(found, right)
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)  # if no task had come its way, it is stopped still
    client.wait_for_workers(2, timeout=60)


def test_workers_that_make_other_bits_are_refused(world: Path, client: Client, tmp_path: Path) -> None:
    client.run(_spoil)
    try:
        with pytest.raises(SigcError, match="computes other bits than the controller: zscore"):
            everything(world, "momentum", dask_space(client, tmp_path))
    finally:
        client.restart()


def _spoil() -> None:
    """On a worker: another kernel under the name of zscore."""
    from dataclasses import replace

    from sigc.ops import declare, table

    table.operators()
    op = declare.REGISTRY["zscore"]
    declare.REGISTRY["zscore"] = replace(op, kernel=lambda x: op.kernel(x) * (1 + 1e-15) + 1e-15)
    table._by_name.cache_clear()


def test_errors_on_a_worker_name_the_line(world: Path, client: Client, tmp_path: Path) -> None:
    space = dask_space(client, tmp_path, slices=1000)
    with pytest.raises(SigcError, match="a worker may use"):
        everything(world, "momentum", space)


def test_a_running_scheduler_by_address(world: Path, tmp_path: Path, cache: Path) -> None:
    """`type: address`: processes of dask's own command line."""
    with _process("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard") as scheduler:
        address = _announced(scheduler, "Scheduler at:")
        with _process("worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path)):
            settings = ClusterSettings(type="address", address=address, security="none")
            with open_client(settings, cache) as client:
                client.wait_for_workers(1, timeout=60)
                right, _ = everything(world, "neutral", workspace(MemoryStore()))
                found, _ = everything(world, "neutral", dask_space(client, tmp_path / "c"))
                assert_same(found, right)


def test_a_scheduler_killed_and_restarted(
    world: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on where the cache ends, on the scheduler that comes back at the same address."""
    right, _ = everything(world, "operators", workspace(MemoryStore()))
    store = ParquetStore(tmp_path / "c")
    address = StoreAddress(str(tmp_path / "c"), 10.0)
    with contextlib.ExitStack() as running:
        scheduler = running.enter_context(_process("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"))
        place = _announced(scheduler, "Scheduler at:")
        words = ("worker", place, "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path))
        running.enter_context(_process(*words))
        killed = threading.Event()

        def kill_once(_: object) -> None:
            if not killed.is_set():
                killed.set()
                scheduler.kill()
                scheduler.wait()
                port = place.rpartition(":")[2]
                again = _process("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
                _announced(running.enter_context(again), "Scheduler at:")
                running.enter_context(_process(*words))

        @contextlib.contextmanager
        def engine(_: int) -> Iterator[Executor]:
            with open_client(ClusterSettings(type="address", address=place, security="none"), cache) as client:
                client.wait_for_workers(1, timeout=60)
                executor = DaskExecutor(client, address, slice_bytes(client))
                try:
                    yield executor
                finally:
                    executor.close()

        # Many small blocks, each sent by itself, so that some are in flight when the scheduler dies.
        monkeypatch.setattr("sigc.engine.executors.dask._WORTH_A_BATCH_NS", 0)
        space = Workspace(store, engine, rule="month", progress=kill_once)
        found, report = everything(world, "operators", space)
    assert killed.is_set()
    assert_same(found, right)
    assert any("was lost; another was opened" in text for text in report.incidents), report


def test_a_client_that_fails_as_it_closes_does_not_hide_a_loss() -> None:
    """As one does that reconnects to a scheduler that is gone."""

    class Reconnects:
        def __enter__(self) -> Reconnects:
            return self

        def __exit__(self, *_: object) -> None:
            raise RuntimeError("ConnectionPool is closed")

    with pytest.raises(EngineLostError, match="was lost"), _used(Reconnects()):  # type: ignore[arg-type]
        raise EngineLostError("the scheduler was lost")


def test_a_cluster_class(world: Path, tmp_path: Path, cache: Path) -> None:
    options = {"n_workers": 0, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    settings = ClusterSettings.model_validate(
        {"type": "class", "class": "distributed.LocalCluster", "options": options, "scale": 1, "security": "none"}
    )
    with open_client(settings, cache) as client:
        found, _ = everything(world, "macros", dask_space(client, tmp_path))
    assert_same(found, everything(world, "macros", workspace(MemoryStore()))[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "address", "address": "tcp://127.0.0.1:9", "connect_timeout_s": 1}, "no scheduler answers"),
        ({"type": "class", "class": "nowhere.Cluster"}, "can't be imported"),
    ],
)
def test_clusters_that_are_not_there(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(SigcError, match=message),
        open_client(ClusterSettings.model_validate(settings), tmp_path),
    ):
        raise AssertionError("must not open")


class _process:  # noqa: N801
    """A dask process that ends with the block."""

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments

    def __enter__(self) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "distributed.cli.dask_" + self.arguments[0],
            *self.arguments[1:],
        ]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=30)


def _announced(process: subprocess.Popen[str], mark: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if mark in line:
            address = line.split(mark)[1].strip()
            threading.Thread(target=process.stderr.read, daemon=True).start()  # so that its pipe never fills
            return address
    raise AssertionError("the process ended without its address")
