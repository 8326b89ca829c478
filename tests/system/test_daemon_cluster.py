"""The daemon and a scheduler that is not its own: waited for at the start, lost, found again; a run completes over it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigc.config.settings import ClusterSettings
from sigc.daemon.cluster import DaskCluster, WorkerBounds
from sigc.errors import SigcError
from tests.daemon.daemons import DAYS, Daemon, Site, free_port
from tests.system.test_dask import _announced, _process
from tests.world import write_world

pytestmark = pytest.mark.xdist_group("dask")


@contextlib.contextmanager
def scheduler(port: int, folder: Path) -> Iterator[str]:
    """A scheduler and a worker, as anyone starts them."""
    with _process("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard") as process:
        address = _announced(process, "Scheduler at:")
        with _process(
            "worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)
        ) as worker:
            _announced(worker, "Registered to:")
            yield address


def test_a_daemon_on_a_scheduler_that_comes_and_goes(tmp_path: Path, jit_directory: Path) -> None:
    world = tmp_path / "world"
    world.mkdir()
    write_world(world)
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder, world, jit_directory)
    port = free_port()
    site.settings["cluster"] = {
        "type": "address",
        "address": f"tcp://127.0.0.1:{port}",
        "security": "none",
        "connect_timeout_s": 5,
    }
    site.settings["daemon"]["health"]["interval_seconds"] = 0.2
    site.write()
    with Daemon(site, wait=False) as daemon:
        with scheduler(port, tmp_path):
            daemon.until("READY=1")
            done = site.run(date=DAYS[0], is_dry=True)
            assert done.outcome == "done", done.message
            found = json.loads(site.sigc("status", "--json", "--detailed").stdout)["detailed"]
            assert len(found["workers"]) == 1
            resident = f'sigc_worker_memory_bytes{{worker="{found["workers"][0]["address"]}"}} '
            site.until(lambda: resident in site.page("metrics", "/metrics")[1].decode(), "the worker is measured")
        daemon.until("STATUS=the cluster does not answer")
        site.until(lambda: resident not in site.page("metrics", "/metrics")[1].decode(), "a gone worker leaves")
        assert not site.status().is_ready
        assert site.page("health", "/ready")[0] == 503
        assert site.page("health", "/live")[0] == 200
        with scheduler(port, tmp_path):
            daemon.until("STATUS=ready")
            done = site.run(date=DAYS[1], is_dry=True)
            assert done.outcome == "done", done.message
        assert site.sigc("stop").returncode == 0


def test_a_local_cluster_is_opened_when_needed_and_rests(tmp_path: Path, jit_directory: Path) -> None:
    settings = ClusterSettings(type="local", workers=1, threads=1, security="none", idle_minutes=1e-9)
    (tmp_path / "jit").symlink_to(jit_directory / "jit")
    cluster = DaskCluster(settings, tmp_path, 1.0, (), WorkerBounds(memory_mb=2048, threads=1))
    try:
        assert (cluster.check(), cluster.workers(), cluster.targets(), cluster.rest()) == ("ok", (), (), False)
        with cluster.executor(tmp_path) as one, cluster.executor(tmp_path) as two:
            assert one is not two
            assert cluster.check() == "ok"
            assert [worker.memory_limit_bytes for worker in cluster.workers()] == [1536 << 20]
            assert set(cluster.open().run(os.getpriority, os.PRIO_PROCESS, 0).values()) == {10}, "workers give way"
            assert not cluster.rest()
            assert len(cluster.targets()) == 2
            for target in cluster.targets():
                host, _, number = target.partition(":")
                socket.create_connection((host, int(number)), 5).close()
        assert cluster.rest()
        assert cluster.workers() == ()
        client = cluster.open()
        client.close()
        assert cluster.open() is not client
    finally:
        cluster.close()
    with pytest.raises(SigcError, match="stopping"):
        cluster.open()
