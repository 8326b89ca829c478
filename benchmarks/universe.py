"""Large universes on a local cluster of two workers of 1 GiB: 10,000 assets x 6,300 days, two fields, graphs of three,
nine and eighteen factors; and 500 assets x 100,800 minute bars. Peak memory a worker, bytes moved, and the engine's efficiency:
the seconds kernels worked over workers x wall.

Each twice: the cache on a memory file system where there is one, so that no disk is measured, and on the disk of
temporary files. Workers can't share arrays: also in memory they read each block, verify it, and write what they make. What
that takes is told beside the efficiency, and the efficiency of the rest: what an engine without a cache would have.

A run before those that are measured compiles and loads kernels; blocks it made are cleared. Medians over runs. Memory is
the high-water mark of resident memory of each worker process, read from the kernel.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigc.cache import upkeep
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import ClusterSettings
from sigc.engine.core.drive import Executor
from sigc.engine.executors.batch import StoreAddress
from sigc.engine.executors.cluster import open_client, slice_bytes
from sigc.engine.executors.dask import DaskExecutor
from sigc.lang.check import check_file
from sigc.panel import Dates
from sigc.plan.lower import lower
from sigc.plan.strategy import Strategy
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.compute import Workspace, compute, load

DAILY = {"assets": 10_000, "rows": 6_300}
MINUTES = {"assets": 500, "rows": 100_800}
WORKERS = 2
RUNS = 3
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
FIELDS = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
"""
BOOK = """portfolio main:
  weights = long_short(rolling_mean(score, 5), top=0.1, bottom=0.1)
"""
# What a block costs decides what reading and writing it weigh: three factors are little work, nine the usual.
THREE = f"""{FIELDS}signal score:
  emit rank(ret(prices, LONG)) - rank(rolling_std(ret(prices), LONG)) + rank(rolling_mean(volume, LONG))
{BOOK}"""


def _nine(short: int, long: str, of: str = "") -> str:
    """Nine factors over two windows. of: what sets their names apart."""
    return f"""  trend{of} = rank(ret(prices, {long})) + rank(ts_slope(log(prices), {short})) + rank(prices / rolling_max(prices, {long}))
  turn{of} = rank(ts_zscore(prices, {2 * short})) + rank(ts_rank(prices, {short})) + rank(rolling_corr(prices, volume, {short}))
  tail{of} = rank(rolling_quantile(ret(prices), {short}, 0.05))
  risk{of} = rank(rolling_std(ret(prices), {long})) - tail{of} - rank(rolling_mean(volume, {short // 3}))
"""


NINE = f"""{FIELDS}signal score:
{_nine(60, "LONG")}  emit trend - turn - risk
{BOOK}"""
EIGHTEEN = f"""{FIELDS}signal score:
{_nine(60, "LONG")}{_nine(20, "90", "_soon")}  emit trend - turn - risk + trend_soon - turn_soon - risk_soon
{BOOK}"""
GRAPHS = {"three factors": THREE, "nine factors": NINE, "eighteen factors": EIGHTEEN}


def minutes(rows: int) -> Dates:
    """390 minutes a business day."""
    days = business_days("2019-01-02", rows // 390 + 1).astype("datetime64[m]")
    found: Dates = (days[:, None] + np.arange(570, 960).astype("timedelta64[m]")[None]).reshape(-1)[:rows]
    return found


def write_field(path: Path, assets: int, dates: Dates, seed: int) -> None:
    """A wide parquet file, written in row groups so that making it takes little memory."""
    random = np.random.default_rng(seed)
    names = [f"A{i:05d}" for i in range(assets)]
    stamps, days = dates.astype("datetime64[ms]"), len(dates)
    schema = pa.schema([("date", pa.timestamp("ms")), *((n, pa.float64()) for n in names)])
    level = np.full(assets, 50.0)
    with pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=False, write_statistics=False) as writer:
        for start in range(0, days, 256):
            rows = min(256, days - start)
            values = level * np.exp(random.normal(0, 0.01, (rows, assets)).cumsum(axis=0))
            level = values[-1]
            columns = [
                pa.array(stamps[start : start + rows]),
                *(pa.array(values[:, i]) for i in range(assets)),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def peak_mb() -> float:
    """The high-water mark of this process's resident memory, in MB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return float(line.split()[1]) / 1024
    return float("nan")


def main() -> dict[str, float]:
    """Seconds, megabytes, shares."""
    days, bars = by_day(), by_minute()
    return {f"10,000 x 6,300: {k}": v for k, v in days.items()} | {f"500 x 100,800: {k}": v for k, v in bars.items()}


def by_day(assets: int = DAILY["assets"], rows: int = DAILY["rows"]) -> dict[str, float]:
    """The daily one alone."""
    return _in_places(252, assets, business_days("1999-01-04", rows))


def by_minute(assets: int = MINUTES["assets"], rows: int = MINUTES["rows"]) -> dict[str, float]:
    """The one of minute bars alone."""
    return _in_places(390, assets, minutes(rows))


def _in_places(long: int, assets: int, dates: Dates) -> dict[str, float]:
    """long: the longest window."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir=MEMORY) as memory:
        caches = {"disk": Path(folder)} | ({"memory": Path(memory)} if MEMORY else {})
        return _run(Path(folder), long, assets, dates, caches)


def _run(folder: Path, long: int, assets: int, dates: Dates, caches: Mapping[str, Path]) -> dict[str, float]:
    """Figures by name, those of each place of the cache after its name. folder: for the files of the sources."""
    _say(f"two fields of {assets:,} x {len(dates):,} are written")
    write_field(folder / "prices.parquet", assets, dates, 1)
    write_field(folder / "volume.parquet", assets, dates, 2)
    strategies = {}
    for name, text in GRAPHS.items():
        path = folder / f"{name.replace(' ', '_')}.sig"
        path.write_text(text.replace("LONG", str(long)), encoding="utf-8")
        strategies[name] = lower(check_file(path))
    figures: dict[str, float] = {}
    for place, directory in caches.items():
        figures |= {f"{place}: {k}": v for k, v in _measured(strategies, directory / "cache", place).items()}
    return figures


def _measured(strategies: Mapping[str, Strategy], cache: Path, place: str) -> dict[str, float]:
    """One cluster with its cache in a place: converted once, each graph computed several times."""
    figures: dict[str, float] = {}
    with open_client(ClusterSettings(workers=WORKERS, threads=1, memory_limit="1GiB"), cache) as client:
        executor = DaskExecutor(client, StoreAddress(str(cache), 100.0), slice_bytes(client))
        _say(f"{place}: the sources are converted")
        begun = time.perf_counter()
        load(next(iter(strategies.values())), _space(cache, executor))
        figures["convert two fields, s"] = time.perf_counter() - begun
        for graph, strategy in strategies.items():
            _say(f"{place}, {graph}: kernels are compiled, blocks computed for the first time")
            _computed(strategy, cache, executor)
            spent = []
            for run in range(RUNS):
                spent.append(_computed(strategy, cache, executor))
                _say(f"{place}, {graph}: run {run + 1} of {RUNS}: {spent[-1]['compute, s']:.1f} s")
            figures |= {f"{graph}: {name}": statistics.median(run[name] for run in spent) for name in spent[0]}
        peaks = client.run(peak_mb)
        moved = sum(client.run(_moved).values())
        executor.close()
    return figures | {
        "peak memory of a worker, MB": max(peaks.values()),
        "peak memory of the controller, MB": peak_mb(),
        "bytes moved between workers": float(moved),
    }


def _space(cache: Path, executor: Executor) -> Workspace:
    """A store that remembers nothing, and the engine."""
    return Workspace(ParquetStore(cache, 100.0, memory_bytes=0), lambda _: nullcontext(executor))


def _computed(strategy: Strategy, cache: Path, executor: Executor) -> dict[str, float]:
    """All blocks of the roots, computed; what is there of them is cleared before."""
    for entry in [e for e in upkeep.entries(cache) if e.kind != "source"]:
        upkeep.remove(cache, entry.key)
    space = _space(cache, executor)
    loaded = load(strategy, space)
    begun = time.perf_counter()
    report = compute(loaded, strategy.roots, space).report
    wall = time.perf_counter() - begun
    kernels, there = sum(report.node_seconds.values()), WORKERS * wall
    return {
        "compute, s": wall,
        "blocks": float(report.blocks_computed),
        "tasks": float(report.tasks),
        "seconds a task": there / max(1, report.tasks),
        "kernel seconds a block": kernels / max(1, report.blocks_computed),
        "efficiency": kernels / there,
        "share of reading blocks": report.reading_s / there,
        "share of writing blocks": report.writing_s / there,
        "share of Dask, and of waiting": 1 - report.busy_s / there,
        "efficiency beside reading and writing": kernels / (there - report.reading_s - report.writing_s),
    }


def _say(text: str) -> None:
    print(f"  ... {text}", flush=True)


def _moved(dask_worker: object) -> int:
    """Bytes this worker got from other workers."""
    return int(sum(d["total"] for d in dask_worker.transfer_incoming_log))  # type: ignore[attr-defined]
