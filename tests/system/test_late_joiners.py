"""Workers that join in the middle of a run and are not as they must be: none of their blocks is stored, and they are told of.

One scheduler, one daemon's cluster and one run for most of it. In the middle of the run the good worker is killed, and
then these come, each a real process of dask's own command line:

    kernel      the kernel of `rank` is another, under the name of the worker that was killed
    numpy       another version
    sources     another sigc: a copy with a line changed
    cache       the same path, another folder
    copy        the same path, a copy of the cache that was made before the run
    nothing     no sigc at all: another team's, which may stay
    restarted   good at first; its nanny starts it again with another kernel

A good one comes last, and the run goes on there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client

from sigc.blocks.block import MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import ClusterSettings
from sigc.daemon.cluster import DaskCluster
from sigc.engine.core.task import Task, TaskOutcome
from sigc.engine.executors.batch import StoreAddress
from sigc.engine.executors.cluster import open_client, slice_bytes
from sigc.engine.executors.dask import DaskExecutor
from sigc.engine.executors.join import take_down
from sigc.errors import SigcError
from sigc.panel import Panel
from sigc.rpc.messages.requests import WorkerStatus
from sigc_pipelines.compute import Workspace
from tests.engine.test_laws import assert_same, everything
from tests.world import workspace, write_world

pytestmark = pytest.mark.xdist_group("dask")

ROOT = Path(__file__).parent.parent.parent
KERNEL = """
from dataclasses import replace
from sigc.ops import declare, table
table.operators()
op = declare.REGISTRY["rank"]
if op.kernel.__name__ == "rank":  # dask runs this twice
    declare.REGISTRY["rank"] = replace(op, kernel=lambda x, *, rank=op.kernel, **more: -rank(x, **more))
"""
RESTARTED = f"""
import os
if os.path.exists({{flag!r}}):
    exec({KERNEL!r})
"""
NUMPY = "import numpy\nnumpy.__version__ = '9.9.9'\n"
NOTHING = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sigc":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""
REASONS = {
    "kernel": "computes other bits than the controller: rank",
    "numpy": "has numpy 9.9.9, not ",
    "sources": "has other sources of sigc",
    "cache": "does not see the cache /proc/self/cwd/cache of the controller",
    "copy": "does not see the cache /proc/self/cwd/cache of the controller",
    "nothing": "has no sigc",
    "restarted": "computes other bits than the controller: rank",
}


class Process:
    """A process of dask's command line, and what it has said so far."""

    def __init__(self, what: str, *arguments: str, folder: Path, path: str = "") -> None:
        command = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.dask_{what}", *arguments, "--no-dashboard"]
        paths = [path, *(p if p else str(ROOT) for p in sys.path)] if path else [p or str(ROOT) for p in sys.path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment)
        self.said = ""
        self._more = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.said += line
                self._more.notify_all()
        with self._more:
            self.said += "(ended)\n"
            self._more.notify_all()

    def until(self, mark: str) -> str:
        """The rest of the line in which it says so."""
        with self._more:
            assert self._more.wait_for(lambda: mark in self.said, 60), f"no '{mark}' in:\n{self.said}"
            return self.said.partition(mark)[2].partition("\n")[0].strip()

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGCONT)
        self.process.terminate()
        self.process.wait(30)
        self._reading.join(30)
        assert self.process.stderr is not None
        self.process.stderr.close()


@dataclass
class Site:
    """A scheduler; what it and its workers are started with."""

    folder: Path
    scheduler: Process
    address: str
    running: list[Process] = field(default_factory=list)

    def worker(
        self, *arguments: str, preload: str = "", path: str = "", place: str = "good", nanny: bool = False
    ) -> Process:
        number = len(self.running)
        words = [self.address, "--nthreads", "1", *arguments, "--local-directory", str(self.folder / f"w{number}")]
        if preload:
            script = self.folder / f"preload_{number}.py"
            script.write_text(preload)
            words += ["--preload", str(script)]
        made = Process("worker", *words, *([] if nanny else ["--no-nanny"]), folder=self.folder / place, path=path)
        self.running.append(made)
        return made

    def settings(self, **more: object) -> ClusterSettings:
        given = {"type": "address", "address": self.address, "security": "none", "connect_timeout_s": 20.0}
        return ClusterSettings.model_validate(given | more)

    def end(self) -> None:
        for process in [*self.running, self.scheduler]:
            process.end()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture(scope="module")
def right(world: Path) -> dict[str, Panel]:
    return everything(world, "neutral", workspace(MemoryStore()))[0]


@contextlib.contextmanager
def opened(folder: Path, jit_directory: Path) -> Iterator[Site]:
    """A scheduler. The cache is a path that is another folder in a process with another place to be in."""
    cache = folder / "good" / "cache"
    cache.mkdir(parents=True, mode=0o700)
    jit_directory.joinpath("jit").mkdir(exist_ok=True)
    (cache / "jit").symlink_to(jit_directory / "jit")
    scheduler = Process("scheduler", "--host", "127.0.0.1", "--port", "0", folder=folder)
    site = Site(folder, scheduler, scheduler.until("Scheduler at:"))
    before = Path.cwd()
    os.chdir(folder / "good")
    try:
        yield site
    finally:
        os.chdir(before)
        site.end()


CACHE = Path("/proc/self/cwd/cache")


@dataclass
class Story:
    """What came of the run. blocks: gathered again from the store alone, in this process."""

    found: dict[str, Panel]
    again: dict[str, Panel]
    computed_again: int
    incidents: list[str]
    logs: dict[str, str]
    workers: tuple[WorkerStatus, ...]
    check: str
    hanging: list[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, world: Path, jit_directory: Path) -> Iterator[Story]:
    with opened(tmp_path_factory.mktemp("site"), jit_directory) as site:
        yield told(site, world)


def told(site: Site, world: Path) -> Story:
    good = site.worker("--name", "one")
    flag = site.folder / "flag"
    restarted = site.worker(preload=RESTARTED.format(flag=str(flag)), nanny=True)
    for worker in (good, restarted):
        worker.until("Registered to:")
    logs: dict[str, Process] = {"restarted": restarted}
    joined = threading.Event()

    def join(_: object) -> None:
        """Once, in the middle: the thread that feeds the run waits here until all of it has happened."""
        if joined.is_set():
            return
        joined.set()
        good.process.kill()
        flag.touch()
        child = next(
            p for p in psutil.Process(restarted.process.pid).children() if "spawn_main" in " ".join(p.cmdline())
        )
        child.kill()
        shutil.copytree(ROOT / "sigc", site.folder / "changed" / "sigc", ignore=shutil.ignore_patterns("__pycache__"))
        with (site.folder / "changed" / "sigc" / "engine" / "kernel" / "evaluate.py").open("a") as file:
            file.write("# another\n")
        (site.folder / "other" / "cache").mkdir(parents=True)
        logs["kernel"] = site.worker("--name", "one", preload=KERNEL)
        logs["numpy"] = site.worker(preload=NUMPY)
        logs["sources"] = site.worker(path=str(site.folder / "changed"))
        logs["cache"] = site.worker(place="other")
        logs["copy"] = site.worker(place="copy")
        logs["nothing"] = site.worker(preload=NOTHING)
        for process in logs.values():
            process.until("does not compute: it")
        site.worker("--name", "two").until("Registered to:")

    store = ParquetStore(CACHE)
    everything(world, "momentum", Workspace(store, workspace(store).engine))
    shutil.copytree(site.folder / "good" / "cache", site.folder / "copy" / "cache", symlinks=True)
    # Eight workers start at once, each compiles before it may compute: on a busy machine that takes a while.
    cluster = DaskCluster(site.settings(connect_timeout_s=120.0), CACHE, 1.0, (), None)
    try:
        with held(cluster) as executor:
            space = Workspace(store, lambda _: nullcontext(executor), rule="month", progress=join)
            found, report = everything(world, "neutral", space)
        assert joined.is_set()
        for name in REASONS.keys() - {"nothing"}:
            logs[name].until("(ended)")
        workers, check = cluster.workers(), cluster.check()
    finally:
        cluster.close()
    again, repeated = everything(world, "neutral", Workspace(store, workspace(store).engine, rule="month"))
    said = {name: process.said for name, process in logs.items()}
    return Story(found, again, repeated.blocks_computed, report.incidents, said, workers, check, hanging(site))


@contextlib.contextmanager
def held(cluster: DaskCluster) -> Iterator[DaskExecutor]:
    """An executor as a run of the daemon gets it, over the path as it is written."""
    with Client(cluster.open().scheduler_info()["address"], set_as_default=False) as client:
        executor = DaskExecutor(client, StoreAddress(str(CACHE), 1.0), slice_bytes(client), patience_s=20)
        try:
            yield executor
        finally:
            executor.close()


def hanging(site: Site) -> list[str]:
    """What of ours is on the scheduler."""

    def listed(dask_scheduler: object) -> list[str]:
        names = [*dask_scheduler.worker_plugins, *dask_scheduler.plugins]  # type: ignore[attr-defined]
        return [name for name in names if name.startswith("sigc")]

    with Client(site.address, set_as_default=False) as client:
        found: list[str] = client.run_on_scheduler(listed)
        return found


def test_the_bits_are_those_of_a_calm_run_and_so_are_those_that_are_kept(story: Story, right: dict[str, Panel]) -> None:
    assert_same(story.found, right)
    assert_same(story.again, right)
    assert story.computed_again == 0


@pytest.mark.parametrize("kind", REASONS)
def test_the_worker_says_why_and_so_does_the_run(story: Story, kind: str) -> None:
    assert f"does not compute: it {REASONS[kind]}" in story.logs[kind]
    assert any(REASONS[kind] in text for text in story.incidents), story.incidents


@pytest.mark.parametrize("kind", REASONS)
def test_a_worker_that_is_refused_leaves_for_good_unless_it_is_another_teams(story: Story, kind: str) -> None:
    assert ("(ended)" in story.logs[kind]) == (kind != "nothing"), story.logs[kind]


def test_status_tells_of_those_that_were_refused(story: Story) -> None:
    refused = [worker.refused for worker in story.workers if worker.refused]
    for kind, why in REASONS.items():
        assert any(why in text for text in refused), (kind, refused)
    assert story.check == "ok", "a good worker is there"


def test_nothing_of_ours_is_left_on_the_scheduler(story: Story) -> None:
    assert story.hanging == []


@pytest.fixture
def site(tmp_path: Path, jit_directory: Path) -> Iterator[Site]:
    with opened(tmp_path, jit_directory) as made:
        yield made


def test_a_worker_that_nobody_judged_computes_no_batch(site: Site, world: Path, right: dict[str, Panel]) -> None:
    """Somebody has taken away what judges workers as they join; each batch still asks for the proof."""
    good = site.worker()
    good.until("Registered to:")
    store = ParquetStore(site.folder / "blocks")
    joined = threading.Event()
    with open_client(site.settings(), CACHE) as client:
        executor = DaskExecutor(client, StoreAddress(str(store.directory), 1.0), slice_bytes(client), patience_s=20)

        def join(_: object) -> None:
            if joined.is_set():
                return
            joined.set()
            client.run_on_scheduler(take_down, client.id)
            site.worker(preload=KERNEL).until("Registered to:")
            good.process.kill()
            site.worker().until("Registered to:")

        space = Workspace(store, lambda _: nullcontext(executor), rule="month", progress=join)
        found, report = everything(world, "neutral", space)
        executor.close()
    assert joined.is_set()
    assert_same(found, right)
    assert_same(everything(world, "neutral", Workspace(store, workspace(store).engine, rule="month"))[0], right)
    assert any(REASONS["kernel"] in text for text in report.incidents), report.incidents


def test_a_scheduler_without_workers_is_told_of_in_time(site: Site) -> None:
    began = time.monotonic()
    with (
        pytest.raises(SigcError, match=f"0 workers at {site.address} that can be used; waited 1 s"),
        open_client(site.settings(connect_timeout_s=1.0), CACHE),
    ):
        raise AssertionError("must not open")
    assert time.monotonic() - began < 20


class Stopper(DaskExecutor):
    """Stops the first worker that is sent a batch, by SIGSTOP, or the first that is done with one and holds the result."""

    def watch(self, when: str, workers: dict[str, Process]) -> None:
        self.when, self.workers, self.stopped = when, workers, ""

    def _stop(self, when: str, holders: Iterable[str]) -> None:
        for address in holders:
            if when == self.when and not self.stopped:
                os.kill(self.workers[address].process.pid, signal.SIGSTOP)
                self.stopped = address

    def _send(self, batch: tuple[Task, ...]) -> None:
        super()._send(batch)
        key, (future, _) = next(reversed(self._batches.items()))
        while self.when == "sent" and not self.stopped:
            self._stop("sent", [w for w, keys in self._client.processing().items() if key in keys])
            if future.done():
                self._stop("sent", self._client.who_has([future])[key])

    def _result(self, future: Any, batch: tuple[Task, ...]) -> list[TaskOutcome]:
        self._stop("done", self._client.who_has([future])[future.key])
        return super()._result(future, batch)


@pytest.mark.parametrize("when", ["sent", "done"])
def test_a_stopped_worker_among_others_and_the_loss_of_the_last(
    site: Site, world: Path, right: dict[str, Panel], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """One that no nanny watches is stopped under the run; in the next run the only one left is killed."""
    monkeypatch.setattr("sigc.engine.executors.dask._LOOKS_EVERY_S", 0.2)
    monkeypatch.setattr("sigc.engine.executors.dask._LEAST_SILENT_S", 2.0)
    one, two = site.worker(), site.worker()
    workers = {worker.until("Start worker at:"): worker for worker in (one, two)}
    for worker in (one, two):
        worker.until("Registered to:")
    store = ParquetStore(site.folder / "stopped")
    place = StoreAddress(str(store.directory), 1.0)
    killed = threading.Event()

    def kill(_: object) -> None:
        if not killed.is_set():
            killed.set()
            for worker in workers.values():
                worker.process.kill()

    with open_client(site.settings(), CACHE) as client:
        client.wait_for_workers(2, timeout=30)
        stopper = Stopper(client, place, slice_bytes(client), deadline_s=2.0, patience_s=2.0)
        stopper.watch(when, workers)
        space = Workspace(store, lambda _: nullcontext(stopper), rule="month")
        found, report = everything(world, "neutral", space)
        assert_same(found, right)
        assert f"worker {stopper.stopped} does not compute: it was silent for 2 s" in report.incidents
        stopper.close()
        executor = DaskExecutor(client, place, slice_bytes(client), patience_s=2.0)
        workers.pop(stopper.stopped).process.kill()
        space = Workspace(store, lambda _: nullcontext(executor), rule="week", progress=kill)
        began = time.monotonic()
        with pytest.raises(SigcError, match="that can be used; waited 2 s|was silent"):
            everything(world, "neutral", space)
        assert time.monotonic() - began < 60
        executor.close()


def test_a_client_that_is_killed_leaves_nothing_and_another_teams_worker_works(site: Site) -> None:
    good = site.worker("--name", "good")
    good.until("Registered to:")
    program = f"""
import os
from sigc.config.settings import ClusterSettings
from sigc.engine.executors.cluster import open_client
from pathlib import Path
settings = ClusterSettings.model_validate({site.settings().model_dump(by_alias=True)!r})
with open_client(settings, Path({str(site.folder / "good" / "cache")!r})) as client:
    print(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.worker_plugins)), flush=True)
    os._exit(9)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p or str(ROOT) for p in sys.path)}
    killed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert killed.returncode == 9, killed.stderr
    assert killed.stdout.split()[-1] != "0"
    until = time.monotonic() + 30
    while hanging(site) and time.monotonic() < until:
        pass
    assert hanging(site) == []
    site.worker("--name", "theirs", preload=NOTHING).until("Registered to:")
    with Client(site.address, set_as_default=False) as client:
        assert client.submit(abs, -1, workers=["theirs"]).result(timeout=30) == 1
