"""What operators cost is measured by runs, kept, and never believed blindly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from sigc.blocks.block import MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.engine.kernel.costs import NOTE, UNKNOWN_NS, KernelCosts
from sigc.engine.kernel.warm import begin, is_warm
from sigc.ops.table import operators
from sigc.plan.expr import Expr, source
from tests.world import write_world

operators()
MEAN = Expr("rolling_mean", (source("prices"),), (("window", 20),), given=("x",))
CELLS = 125_000
figures = st.floats(0.5, 100.0)


def run(store: ParquetStore | MemoryStore, *calls_ns: float, cells: int = CELLS) -> KernelCosts:
    """A run whose calls of a rolling mean took so many nanoseconds a cell."""
    costs = KernelCosts.of(store)
    for ns in calls_ns:
        costs.measure("rolling_mean", ns * cells * 1e-9, cells)
    costs.save(store)
    return KernelCosts.of(store)


def test_it_is_the_median_of_runs_that_is_believed(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    for ns in (20.0, 40.0, 30.0):
        run(store, ns, ns, ns)
    kept = KernelCosts.of(ParquetStore(tmp_path))
    assert kept.believed("rolling_mean") == pytest.approx(30.0)
    assert kept.estimate([MEAN, MEAN], 1000) == int(2000 * kept.believed("rolling_mean"))


def test_few_cells_or_few_calls_tell_nothing() -> None:
    store = MemoryStore()
    assert run(store, 9.0, 9.0).known == {}
    assert run(store, 9.0, 9.0, 9.0, cells=1000).known == {}
    assert run(store, 9.0, 9.0, 9.0).known == {"rolling_mean": [9.0]}


@given(figures, st.floats(1.0, 1e4))
def test_one_run_alone_never_makes_work_dearer_than_unknown_work(ns: float, slower: float) -> None:
    assert run(MemoryStore(), *[ns * slower] * 4).believed("rolling_mean") <= UNKNOWN_NS


@given(st.lists(figures, min_size=1, max_size=9), st.floats(1.0, 1e4), st.data())
def test_one_slow_run_does_not_move_what_is_believed_beyond_the_others(
    true: list[float], slower: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(true)))
    store = MemoryStore()
    for ns in [*true[:at], max(true) * slower, *true[at:]]:
        run(store, ns, ns, ns)
    assert KernelCosts.of(store).believed("rolling_mean") <= round(max(*true, UNKNOWN_NS), 3)


@given(figures, st.integers(3, 9), st.floats(1.0, 1e5), st.data())
def test_slow_calls_that_are_fewer_than_half_do_not_move_the_figure_of_a_run(
    ns: float, calls: int, slower: float, data: st.DataObject
) -> None:
    took = [ns] * calls
    for at in data.draw(st.sets(st.integers(0, calls - 1), max_size=(calls - 1) // 2)):
        took[at] *= slower
    assert run(MemoryStore(), *took).known["rolling_mean"] == [pytest.approx(ns, abs=1e-3)]


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"rank": "x"}', "{", '{"rank": [-1]}', '{"rank": [1e300]}', '{"rank": [null]}', '{"rank": 5}']
)
def test_a_note_that_can_not_be_is_none(text: str) -> None:
    store = MemoryStore()
    store.note(NOTE, text)
    assert KernelCosts.of(store).known == {}


def test_a_call_that_compiles_is_not_warm_whenever_it_comes() -> None:
    @njit
    def loop(x: Any) -> Any:
        return x + x

    def called(x: object) -> bool:
        begun = begin("a loop of this test")
        loop(x)
        return is_warm(begun)

    assert [called(1.5), called(1.5)] == [False, True]
    assert [called(2), called(2)] == [False, True], "another type is compiled for"
    assert [called(np.ones(3)), called(np.ones(3))] == [False, True]


def test_calls_that_began_together_are_all_first() -> None:
    one = begin("another of this test")
    two = begin("another of this test")
    assert not is_warm(one)
    assert not is_warm(two), "it may have waited for the code of the other"
    assert is_warm(begin("another of this test"))


def test_what_another_thread_compiles_is_no_matter() -> None:
    @njit
    def loop(x: float) -> float:
        return x * x

    is_warm(begin("a third of this test"))
    begun = begin("a third of this test")
    thread = threading.Thread(target=loop, args=(2.5,))
    thread.start()
    thread.join()
    assert is_warm(begun)


def test_calls_that_end_while_another_thread_loads_numba_do_not_wait_for_it() -> None:
    program = """
import sys, threading
from sigc.engine.kernel.warm import begin, is_warm
loading = threading.Thread(target=__import__, args=("numba",))
loading.start()
while loading.is_alive():
    is_warm(begin("a call"))
import numba
assert numba.njit(lambda x: x + 1)(1) == 2
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_the_first_run_in_a_process_measures_no_loop_and_the_second_does(tmp_path: Path) -> None:
    """One block, so that every call of the first run loads or compiles its loop."""
    write_world(tmp_path)
    program = f"""
import os
from pathlib import Path
from sigc.blocks.block import MemoryStore
from sigc.engine.kernel import costs
from sigc.ops import jit
from tests.engine.test_laws import everything
from tests.world import workspace
jit.prepare(Path({str(tmp_path)!r}))
costs._ENOUGH_CELLS, costs._ENOUGH_CALLS = 1000, 1
for store in (MemoryStore(), MemoryStore()):
    everything(Path({str(tmp_path)!r}), "momentum", workspace(store, rule="100000"))
    print(store.noted("costs") or "{{}}", flush=True)
os._exit(0)  # Arrow's threads may abort a process that unloads them
"""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    first, second = (json.loads(line) for line in ran.stdout.splitlines())
    assert first == {}
    assert second
