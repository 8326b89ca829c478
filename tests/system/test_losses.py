"""Workers killed, stopped and over memory under load: the same bits as a calm run, every run in a named state.

Two runs share one cluster of two workers, so that a loss hits both. A trial is a seed: which strategies, which workers,
after how many blocks, and what happens to them.

    killed        SIGKILL, as the kernel does it when memory is short
    stopped       SIGSTOP: it answers nothing and its connections stay open
    over memory   it takes more than its limit, and its nanny ends it
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
from distributed import Client

from sigc.blocks.block import MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import ClusterSettings
from sigc.engine.executors.batch import StoreAddress
from sigc.engine.executors.cluster import open_client, slice_bytes
from sigc.engine.executors.dask import DaskExecutor
from sigc.errors import SigcError
from sigc.panel import Panel
from sigc_pipelines.compute import Workspace
from tests.engine.test_laws import assert_same, everything
from tests.world import workspace, write_world

pytestmark = pytest.mark.xdist_group("dask")

Calm = Callable[[str], dict[str, Panel]]
MEMORY_BYTES = 1 << 30
NAMES = ("carried", "momentum", "neutral", "pairs", "voltarget")
FAULTS = ("killed", "stopped", "over memory")
IN_A_ROW = 10  # trials of a chunk, on one cluster


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture(scope="module")
def calm(world: Path) -> Calm:
    """What a strategy comes to in this process, where nothing happens to it."""
    known: dict[str, dict[str, Panel]] = {}

    def found(name: str) -> dict[str, Panel]:
        if name not in known:
            known[name] = everything(world, name, workspace(MemoryStore()))[0]
        return known[name]

    return found


@pytest.fixture
def client(tmp_path: Path, jit_directory: Path) -> Iterator[Client]:
    """A cluster of two workers with a limit of memory each."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "jit").symlink_to(jit_directory / "jit")
    limit = f"{MEMORY_BYTES >> 20}MiB"
    with open_client(ClusterSettings(type="local", workers=2, threads=1, memory_limit=limit), cache) as opened:
        yield opened


def strike(client: Client, fault: str, number: int) -> int:
    """Let it happen to a worker; the PID it had."""
    workers = sorted(client.run(os.getpid, on_error="return").items())
    address, pid = workers[number % len(workers)]
    assert isinstance(pid, int), pid
    match fault:
        case "killed":
            os.kill(pid, signal.SIGKILL)
        case "stopped":
            os.kill(pid, signal.SIGSTOP)
        case _:
            client.run(_grow, 2 * MEMORY_BYTES, workers=[address], on_error="return")
    return pid


def _grow(most_bytes: int) -> None:
    """On a worker: takes memory until its nanny ends it."""
    import builtins

    held: list[bytes] = []
    builtins.ballast = held  # type: ignore[attr-defined]
    while len(held) << 26 < most_bytes:
        held.append(b"x" * (1 << 26))


def run(
    world: Path, client: Client, name: str, folder: Path, progress: Callable[[object], None] | None = None
) -> object:
    """A run in many small blocks; what it comes to, or the codes of the diagnostics it ends with."""
    address = StoreAddress(str(folder), 10.0)
    executor = DaskExecutor(client, address, slice_bytes(client), deadline_s=10)
    space = Workspace(ParquetStore(folder), lambda _: nullcontext(executor), rule="month", progress=progress)
    try:
        return everything(world, name, space)[0]
    except SigcError as error:
        return error.diagnostics
    finally:
        executor.close()


def trial(world: Path, calm: Calm, client: Client, folder: Path, seed: int) -> str:
    """One loss under load. What happened."""
    dice = random.Random(seed)
    fault, names = FAULTS[seed % len(FAULTS)], dice.sample(NAMES, 2)
    after, victim = dice.randint(1, 12), dice.randrange(2)
    turn, count, struck = threading.Lock(), 0, [0]

    def progress(_: object) -> None:
        nonlocal count
        with turn:
            count += 1
            is_now = count == after
        if is_now:
            struck[0] = strike(client, fault, victim)

    with ThreadPoolExecutor(2) as pool:
        ran = [pool.submit(run, world, client, name, folder / f"{seed}-{name}", progress) for name in names]
        ended = dict(zip(names, [one.result() for one in ran], strict=True))
    assert struck[0], f"seed {seed}: nothing happened"
    with contextlib.suppress(ProcessLookupError):
        os.kill(struck[0], signal.SIGKILL)  # one that was stopped without a task is still
    client.wait_for_workers(2, timeout=60)
    for name, found in ended.items():
        assert isinstance(found, dict), f"seed {seed}: {fault}, {name} ended with {found}"
        assert_same(found, calm(name))
    return fault


def test_losses_under_load(world: Path, calm: Calm, client: Client, tmp_path: Path) -> None:
    happened = {trial(world, calm, client, tmp_path, seed) for seed in range(3)}
    assert happened == set(FAULTS)


@pytest.mark.soak
@pytest.mark.parametrize("chunk", range(10))
def test_losses_under_load_at_length(world: Path, calm: Calm, client: Client, tmp_path: Path, chunk: int) -> None:
    first = 1000 + chunk * IN_A_ROW
    happened = [trial(world, calm, client, tmp_path, seed) for seed in range(first, first + IN_A_ROW)]
    print(f"chunk {chunk}: {', '.join(f'{happened.count(f)} {f}' for f in FAULTS)}; all done, bits as calm", flush=True)
