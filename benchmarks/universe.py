"""Large universes on a local cluster of two workers of 1 GiB: 10,000 assets x 6,300 days, two fields, a graph of rolling
252 and ranks; and 500 assets x 100,800 minute bars. Peak memory a worker, bytes moved, and the engine's efficiency: the
seconds kernels worked over workers x wall.

Memory is the high-water mark of resident memory of each worker process, read from the kernel.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigc.cache.parquet import ParquetStore
from sigc.config import ClusterSettings
from sigc.engine.cluster import open_client, slice_bytes
from sigc.engine.dask import DaskExecutor, StoreAddress
from sigc.engine.drive import Executor
from sigc.lang.check import check_file
from sigc.panel import Dates
from sigc.plan.lower import lower
from sigc_cli.universe import business_days
from sigc_pipelines.compute import Workspace, compute, load

DAILY = {"assets": 10_000, "rows": 6_300}
MINUTES = {"assets": 500, "rows": 100_800}
WORKERS = 2
BY_DAY = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
signal slow:
  emit rank(ret(prices, 252)) - rank(rolling_std(ret(prices), 252)) + rank(rolling_mean(volume, 252))
portfolio main:
  weights = long_short(rolling_mean(slow, 5), top=0.1, bottom=0.1)
"""


BY_MINUTE = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
signal fast:
  emit rank(ret(prices, 30)) - rank(rolling_std(ret(prices), 390)) + rank(rolling_mean(volume, 60))
portfolio main:
  weights = long_short(rolling_mean(fast, 5), top=0.1, bottom=0.1)
"""


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
    days = by_day()
    with tempfile.TemporaryDirectory() as folder:
        bars = _run(Path(folder), BY_MINUTE, MINUTES["assets"], minutes(MINUTES["rows"]))
    return {f"10,000 x 6,300: {k}": v for k, v in days.items()} | {f"500 x 100,800: {k}": v for k, v in bars.items()}


def by_day(assets: int = DAILY["assets"], rows: int = DAILY["rows"]) -> dict[str, float]:
    """The daily one alone."""
    with tempfile.TemporaryDirectory() as folder:
        return _run(Path(folder), BY_DAY, assets, business_days("1999-01-04", rows))


def _run(folder: Path, text: str, assets: int, dates: Dates) -> dict[str, float]:
    write_field(folder / "prices.parquet", assets, dates, 1)
    write_field(folder / "volume.parquet", assets, dates, 2)
    (folder / "universe.sig").write_text(text, encoding="utf-8")
    strategy = lower(check_file(folder / "universe.sig"))
    cache = folder / "cache"
    store = ParquetStore(cache, 100.0, memory_bytes=0)
    with open_client(ClusterSettings(workers=WORKERS, threads=1, memory_limit="1GiB"), cache) as client:
        executor = DaskExecutor(client, StoreAddress(str(cache), 100.0), slice_bytes(client))

        def engine(_: int) -> AbstractContextManager[Executor]:
            return nullcontext(executor)

        space = Workspace(store, engine)
        begun = time.perf_counter()
        loaded = load(strategy, space)
        converted = time.perf_counter()
        done = compute(loaded, strategy.roots, space)
        finished = time.perf_counter()
        peaks = client.run(peak_mb)
        moved = sum(client.run(_moved).values())
        executor.close()
    wall = finished - converted
    return {
        "convert two fields, s": converted - begun,
        "compute, s": wall,
        "blocks": float(done.report.blocks_computed),
        "tasks": float(done.report.tasks),
        "efficiency": sum(done.report.node_seconds.values()) / (WORKERS * wall),
        "seconds a task": WORKERS * wall / max(1, done.report.tasks),
        "peak memory of a worker, MB": max(peaks.values()),
        "peak memory of the controller, MB": peak_mb(),
        "bytes moved between workers": float(moved),
        "cells x operators, millions a second": assets * len(dates) * 10 / wall / 1e6,
    }


def _moved(dask_worker: object) -> int:
    """Bytes this worker got from other workers."""
    return int(sum(d["total"] for d in dask_worker.transfer_incoming_log))  # type: ignore[attr-defined]
