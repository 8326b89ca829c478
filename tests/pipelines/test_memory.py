"""A plan that can't fit into the memory that is allowed is refused before anything is computed; others never are."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sigc.blocks.block import DIGEST_BYTES, MemoryStore
from sigc.blocks.block import grid as cut
from sigc.config.settings import DataSettings
from sigc.data.catalog import Catalog, Source
from sigc.data.manifest import SourceBlock
from sigc.data.sources.frame_source import hold
from sigc.data.sources.spec import SourceSpec
from sigc.engine.core.drive import Executor
from sigc.engine.executors.local import LocalExecutor
from sigc.errors import SigcError
from sigc.ops.declare import ValueKind
from sigc.panel import Panel
from sigc.plan.grid import lay
from sigc.plan.plan import least_memory, make_plan, memory
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.compute import Loaded, Workspace, compute, load
from tests.world import workspace, write_strategy, write_world

TEXT = """data:
  prices: load parquet from "prices.parquet"
signal momentum:
  emit zscore(ret(prices, 20))
portfolio main:
  weights = momentum.long_short(top=0.3, bottom=0.3)
  backtest rebal=1 from 2016-01-04 to 2017-01-31
"""


def universe(folder: Path, days: int, assets: int) -> Loaded:
    """A strategy on a source of that size, of which nothing is stored."""
    dates = business_days("1980-01-01", days)
    digests = np.arange(days * DIGEST_BYTES, dtype=np.int64).astype(np.uint8).tobytes()
    blocks = tuple(SourceBlock(b.start, b.stop, f"{b.number:064x}") for b in cut(dates))
    names = tuple(f"A{i:06}" for i in range(assets))
    spec = SourceSpec("prices", "prices.parquet")
    source = Source("prices", ValueKind.PANEL, False, dates, names, digests, blocks, (), spec, "")
    strategy = write_strategy(folder, TEXT, "momentum")
    catalog = Catalog({"prices": source}, ())
    return Loaded(strategy, catalog, lay(strategy, catalog))


def test_a_plan_that_cannot_fit_is_refused_within_a_second_of_cpu(tmp_path: Path) -> None:
    def engine(_: int) -> AbstractContextManager[Executor]:
        raise AssertionError("nothing may be computed")

    loaded = universe(tmp_path, 10_000, 100_000)
    space = Workspace(MemoryStore(), engine, DataSettings(), memory_bytes=256 << 20)
    began = time.process_time()
    with pytest.raises(SigcError, match=r"needs \d+ MB at least, for 26\d rows of 100,000 assets .* 256 MB are") as no:
        compute(loaded, loaded.strategy.roots, space)
    assert time.process_time() - began < 1.0
    (found,) = no.value.diagnostics
    assert found.code == "E300"
    assert "daemon.max_memory_mb" in found.hint


def test_what_is_refused_needs_what_is_said_of_it(tmp_path: Path) -> None:
    """A plan measured while it runs, in slices of one row: it takes the estimate at least."""
    write_world(tmp_path)
    store = MemoryStore()
    space = workspace(store)
    loaded = load(write_strategy(tmp_path, TEXT, "momentum"), space)
    plan = make_plan([loaded.strategy], loaded.grid, loaded.strategy.roots)
    needed, block = least_memory(plan)
    assert block is not None
    tracemalloc.start()
    try:
        compute(loaded, loaded.strategy.roots, space)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak >= needed / 2


SUMS = """data:
  prices: load parquet from "prices.parquet"
signal s:
  emit {sum}
portfolio main:
  weights = long_short(s)
"""


@pytest.mark.parametrize("terms", [2, 24])
@pytest.mark.parametrize(
    "form", ["rank(rolling_mean(prices, {0}))", "rolling_max(prices, {0}) * rolling_min(prices, {0})"]
)
def test_a_task_takes_no_more_than_was_planned_for_it(tmp_path: Path, terms: int, form: str) -> None:
    """However many arrays a sum reads: measured while it runs, beside what is there anyway."""
    text = SUMS.format(sum=" + ".join(form.format(n) for n in range(2, 2 + terms)))
    dates = business_days("2015-01-01", 200)
    given = Panel(dates, tuple(f"A{i:04}" for i in range(1000)), np.random.default_rng(0).normal(size=(200, 1000)))
    strategy = write_strategy(tmp_path, text, "sums")
    held = {"prices": hold(strategy.data[0], given, DataSettings())}
    for _ in range(2):  # in the first kernels are compiled
        space = replace(workspace(MemoryStore(), rule="200"), held=held)
        loaded = load(strategy, space)
        tracemalloc.start()
        try:
            compute(loaded, strategy.roots, space)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    (stage,) = make_plan([strategy], loaded.grid, strategy.roots).stages
    planned = memory(stage, 200, 1000)
    assert planned / 2 < peak < 1.1 * planned + (8 << 20)


@pytest.mark.parametrize("megabytes", [64, 512])
def test_the_demo_of_the_tests_is_never_refused(tmp_path: Path, megabytes: int) -> None:
    write_world(tmp_path)
    store = MemoryStore()
    local = LocalExecutor(store, 2, megabytes << 19)
    space = Workspace(store, lambda _: nullcontext(local), memory_bytes=megabytes << 20)
    loaded = load(write_strategy(tmp_path, TEXT, "momentum"), space)
    done = compute(loaded, loaded.strategy.roots, space)
    local.close()
    assert done.report.blocks_computed > 0
