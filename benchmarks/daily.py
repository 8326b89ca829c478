"""The cost of today is the cost of today's rows: a daily run after one appended day, over 1 and over 25 years.

Sources are folders of one file a year, so that an appended day rewrites one file. Carried operators included.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from sigc.cache.parquet import ParquetStore
from sigc.engine.drive import Executor
from sigc.engine.local import LocalExecutor
from sigc.lang.check import check_file
from sigc.panel import Panel
from sigc.plan.lower import lower
from sigc_cli.datafile import write_file
from sigc_cli.universe import business_days
from sigc_pipelines.compute import Workspace, load
from sigc_pipelines.outlook import look

ASSETS = 500
DAYS_OF_TIMING = 7
STRATEGY = """data:
  prices: load parquet from "prices"
signal mixed:
  emit rank(ret(prices, 120)) + zscore(ema(prices, 12) - ema(prices, 26)) + rank(rsi(prices, 14))
portfolio main:
  weights = mixed.long_short(top=0.1, bottom=0.1)
"""


def main() -> dict[str, float]:
    """Milliseconds of a daily run (load and compute), median over appended days; and the ratio."""
    short, long = _years(1.5), _years(25)
    return {
        "1.5 years: a daily run, ms": 1e3 * short,
        "25 years: a daily run, ms": 1e3 * long,
        "25 years, ratio to 1.5 years": long / short,
    }


def _years(years: float) -> float:
    days = int(years * 261)
    random = np.random.default_rng(1)
    dates = business_days("1999-01-04", days)
    close = np.round(50 * np.exp(random.normal(0, 0.01, (days, ASSETS)).cumsum(axis=0)), 2)
    names = tuple(f"A{i:04d}" for i in range(ASSETS))
    seconds = []
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
            executor = LocalExecutor(store)

            def engine(_: int, executor: Executor = executor) -> AbstractContextManager[Executor]:
                return nullcontext(executor)

            space = Workspace(store, engine)
            begun = time.perf_counter()
            look(load(strategy, space), space)
            seconds.append(time.perf_counter() - begun)
            executor.close()
    return float(np.median(seconds[1:]))
