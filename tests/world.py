"""A small world for tests: files of an odd universe, and a workspace over any store and executor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sigc.blocks.block import BlockStore
from sigc.data.dates.exchange import NYSE, Exchanges
from sigc.engine.core.drive import Executor
from sigc.engine.executors.local import LocalExecutor
from sigc.lang.check import check_file
from sigc.ops.table import operators
from sigc.plan.lower import lower
from sigc.plan.strategy import Strategy
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.compute import Workspace

NAMES = tuple(f"S{i:03d}" for i in range(13))
SECTORS = ("Energy", "Tech", "Health")
STRATEGIES = Path(__file__).parent / "cases" / "strategies"
Floats = NDArray[np.float64]


def write_world(folder: Path, rows: int = 790, *, changed: tuple[int | slice, int | slice] | None = None) -> None:
    """The files that the strategies of tests/cases read: the first `rows` days of a fixed history.

    changed: a (row, asset), or slices of them, whose prices are restated.
    """
    random = np.random.default_rng(11)
    total = 1000
    close = np.round(60 * np.exp(random.normal(0.0002, 0.015, (total, len(NAMES))).cumsum(axis=0)), 2)
    spread = np.abs(random.normal(0, 0.01, close.shape))
    volume = np.round(np.exp(random.normal(12, 0.5, close.shape)))
    hidden = random.random(close.shape) < 0.004
    hidden[:300, 4] = True
    hidden[500:, 7] = True
    close[hidden] = np.nan
    volume[hidden] = np.nan
    if changed is not None:
        close[changed] *= 1.01
    dates = business_days("2015-01-02", total)[:rows]
    tables = {
        "open": np.round(close * 1.001, 2),
        "close": close,
        "prices": close,
        "volume": volume,
        "high": close * (1 + spread),
        "low": close * (1 - spread),
    }
    for name, values in tables.items():
        write_wide(folder / f"{name}.parquet", dates, values[:rows])
    lines = [f"{n},{SECTORS[i % 3]}" for i, n in enumerate(NAMES) if i != 5]
    (folder / "sectors.csv").write_text("\n".join(["ticker,sector", *lines]) + "\n")
    row, column = np.nonzero(~np.isnan(close[:rows]))
    pq.write_table(
        pa.table(
            {
                "date": dates[row].astype("datetime64[D]"),
                "ticker": np.array(NAMES)[column],
                "close": close[row, column],
                "volume": volume[row, column],
                "high": (close * (1 + spread))[row, column],
            }
        ),
        folder / "bars.parquet",
    )


def write_wide(path: Path, dates: NDArray[np.datetime64], values: Floats, names: tuple[str, ...] = NAMES) -> None:
    """A wide parquet file."""
    columns = {"date": dates.astype("datetime64[D]")} | {n: values[:, i] for i, n in enumerate(names)}
    pq.write_table(pa.table(columns), path)


def every_operator() -> str:
    """A strategy with a signal for every operator's example."""
    fields = ("prices", "open", "high", "low", "close", "volume")
    data = [f'  {n}: load parquet from "{n}.parquet"' for n in fields]
    signals = [f"signal s_{op.name}:\n  emit {op.example}" for op in operators() if op.name != "lead"]
    return "\n".join(["data:", *data, '  sectors: load sector from "sectors.csv"', *signals]) + "\n"


def strategy(folder: Path, name: str) -> Strategy:
    """A strategy of tests/cases, or `operators`: every operator's example; beside the files of a world."""
    path = folder / f"{name}.sig"
    if name == "operators":
        path.write_text(every_operator())
        return lower(check_file(path))
    path.write_text((STRATEGIES / path.name).read_text(encoding="utf-8"))
    return lower(check_file(path))


def write_strategy(folder: Path, text: str, name: str = "s") -> Strategy:
    """A strategy from text."""
    path = folder / f"{name}.sig"
    path.write_text(text)
    checked = check_file(path)
    assert checked.ok, checked.diagnostics
    return lower(checked)


WEEKDAYS = Exchanges("weekdays", is_declared=True)  # the days that the data of the world are of


def workspace(
    store: BlockStore, *, threads: int = 1, rule: str = "auto", memory_bytes: int = 1 << 32, exchanges: Exchanges = NYSE
) -> Workspace:
    """A workspace with threads of this process."""

    def engine(_: int) -> AbstractContextManager[Executor]:
        return local(store, threads, memory_bytes)

    return Workspace(store, engine, rule=rule, exchanges=exchanges)


@contextmanager
def local(store: BlockStore, threads: int, memory_bytes: int) -> Iterator[Executor]:
    executor = LocalExecutor(store, threads, memory_bytes)
    try:
        yield executor
    finally:
        executor.close()
