"""10,000 assets x 6,300 days, two fields, a DAG of rolling 252 and ranks, on two workers: peak memory a worker.

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
from sigc.plan.lower import lower
from sigc_cli.universe import business_days
from sigc_pipelines.compute import Workspace, compute, load

ASSETS, DAYS = 10_000, 6_300
STRATEGY = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
signal slow:
  emit rank(ret(prices, 252)) - rank(rolling_std(ret(prices), 252)) + rank(rolling_mean(volume, 252))
portfolio main:
  weights = long_short(rolling_mean(slow, 5), top=0.1, bottom=0.1)
"""


def write_field(path: Path, assets: int, days: int, seed: int) -> None:
    """A wide parquet file, written in row groups so that making it takes little memory."""
    random = np.random.default_rng(seed)
    names = [f"A{i:05d}" for i in range(assets)]
    dates = business_days("1999-01-04", days)
    schema = pa.schema([("date", pa.date32()), *((n, pa.float64()) for n in names)])
    level = np.full(assets, 50.0)
    with pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=False, write_statistics=False) as writer:
        for start in range(0, days, 256):
            rows = min(256, days - start)
            values = level * np.exp(random.normal(0, 0.01, (rows, assets)).cumsum(axis=0))
            level = values[-1]
            columns = [
                pa.array(dates[start : start + rows].astype("datetime64[D]")),
                *(pa.array(values[:, i]) for i in range(assets)),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def peak_mb() -> float:
    """The high-water mark of this process's resident memory, in MB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return float(line.split()[1]) / 1024
    return float("nan")


def main(assets: int = ASSETS, days: int = DAYS, memory_limit: str = "1GiB") -> dict[str, float]:
    """Seconds and megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        return _run(Path(folder), assets, days, memory_limit)


def _run(folder: Path, assets: int, days: int, memory_limit: str) -> dict[str, float]:
    write_field(folder / "prices.parquet", assets, days, 1)
    write_field(folder / "volume.parquet", assets, days, 2)
    (folder / "scale.sig").write_text(STRATEGY, encoding="utf-8")
    strategy = lower(check_file(folder / "scale.sig"))
    cache = folder / "cache"
    store = ParquetStore(cache, 100.0, memory_bytes=0)
    with open_client(ClusterSettings(workers=2, threads=1, memory_limit=memory_limit), cache) as client:
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
    return {
        "convert two fields, s": converted - begun,
        "compute, s": finished - converted,
        "blocks": float(done.report.blocks_computed),
        "tasks": float(done.report.tasks),
        "peak memory of a worker, MB": max(peaks.values()),
        "peak memory of the controller, MB": peak_mb(),
        "bytes moved between workers": float(moved),
        "cells x operators, millions a second": assets * days * 10 / (finished - converted) / 1e6,
    }


def _moved(dask_worker: object) -> int:
    """Bytes this worker got from other workers."""
    return int(sum(d["total"] for d in dask_worker.transfer_incoming_log))  # type: ignore[attr-defined]
