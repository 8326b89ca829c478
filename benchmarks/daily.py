"""The cost of today is the cost of today's rows: a daily run after one appended day, over 1, 5 and 25 years.

Sources are folders of one file a year, so that an appended day rewrites one file. Carried operators included. Every
history ends on the same day, so that the file that is rewritten has the same rows: the last days of a year, its dearest.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from sigc.cache.parquet import ParquetStore
from sigc.engine.core.drive import Executor
from sigc.engine.executors.local import LocalExecutor
from sigc.lang.check import check_file
from sigc.panel import Panel
from sigc.plan.lower import lower
from sigc_cli.datafile import write_file
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.compute import Workspace, load
from sigc_pipelines.targets import look

ASSETS = (500,)
MANY_ASSETS = (3_000, 10_000)
YEARS = (1, 5, 25)
END_YEAR = 2023
DAYS_OF_TIMING = 9
STRATEGY = """data:
  prices: load parquet from "prices"
signal mixed:
  emit rank(ret(prices, 120)) + zscore(ema(prices, 12) - ema(prices, 26)) + rank(rsi(prices, 14))
portfolio main:
  weights = mixed.long_short(top=0.1, bottom=0.1)
"""


def main() -> dict[str, float]:
    """Milliseconds of a daily run (load and compute), medians over appended days; CPU, and ratios to one year."""
    return _over(ASSETS)


def full() -> dict[str, float]:
    """The same for many assets."""
    return _over(MANY_ASSETS)


def _over(sizes: tuple[int, ...]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for assets in sizes:
        spent = {years: _years(years, assets) for years in YEARS}
        for years, (cpu, wall) in spent.items():
            figures[f"{assets} assets, {years} years: CPU, ms"] = 1e3 * cpu
            figures[f"{assets} assets, {years} years: wall, ms"] = 1e3 * wall
            figures[f"{assets} assets, {years} years: CPU, ratio to 1 year"] = cpu / spent[1][0]
    return figures


def _years(years: int, assets: int) -> tuple[float, float]:
    """Median CPU and wall seconds of a daily run."""
    dates = business_days(f"{END_YEAR - years + 1}-01-02", years * 262)
    dates = dates[dates < np.datetime64(f"{END_YEAR + 1}", "D")]
    days = len(dates)
    random = np.random.default_rng(1)
    close = np.round(50 * np.exp(random.normal(0, 0.01, (days, assets)).cumsum(axis=0)), 2)
    names = tuple(f"A{i:05d}" for i in range(assets))
    cpu, wall = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prices").mkdir()
        (folder / "daily.sig").write_text(STRATEGY, encoding="utf-8")
        strategy = lower(check_file(folder / "daily.sig"))
        year = dates.astype("datetime64[Y]")
        for known in range(days - DAYS_OF_TIMING, days + 1):
            for y in np.unique(year[:known]):
                path = folder / "prices" / f"{y}.parquet"
                rows = np.flatnonzero(year[:known] == y)
                if not path.exists() or y == year[known - 1]:
                    write_file(Panel(dates[rows], names, close[rows]), path, "wide")
            store = ParquetStore(folder / "cache")
            executor = LocalExecutor(store, 1)

            def engine(_: int, executor: Executor = executor) -> AbstractContextManager[Executor]:
                return nullcontext(executor)

            space = Workspace(store, engine)
            begun, spent = time.perf_counter(), time.process_time()
            look(load(strategy, space), space)
            wall.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - spent)
            executor.close()
    return float(np.median(cpu[1:])), float(np.median(wall[1:]))
