"""What adjusting costs a daily run: CPU and bytes read with and without `adjust=`, and an action that comes years late.

One market of ten years, each asset with four dividends a year and a split now and then, as a folder of one file a year
and a file of actions that is written anew each day. The three strategies differ in `adjust=` alone, and take turns day
by day, so that a noisy machine is noisy to all of them.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sigc.cache.parquet import ParquetStore
from sigc.engine.executors.local import LocalExecutor
from sigc.lang.check import check_file
from sigc.panel import Dates, Floats, Panel
from sigc.plan.lower import lower
from sigc.plan.strategy import Strategy
from sigc_cli.datafile import write_file
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.compute import Workspace, load
from sigc_pipelines.targets import look

ASSETS, YEARS, DAYS = 500, 10, 15
WAYS = ("none", "split", "split_div")
STRATEGY = """data:
  prices: load parquet from "prices" adjust={way}
  corporate_actions: load csv from "actions.csv"
signal mixed:
  emit rank(ret(prices, 120)) + zscore(ema(prices, 12) - ema(prices, 26))
portfolio main:
  weights = mixed.long_short(top=0.1, bottom=0.1)
"""


@dataclass(slots=True)
class _Way:
    strategy: Strategy
    cache: Path
    cpu: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)

    def run(self, until: str) -> None:
        """Time one daily run as of a day, and count what it reads."""
        store = ParquetStore(self.cache)
        executor = LocalExecutor(store, 1)
        space = Workspace(store, lambda _: nullcontext(executor))
        before, spent = _bytes_read(), time.process_time()
        look(load(self.strategy, space, until), space)
        self.cpu.append(time.process_time() - spent)
        self.read.append(float(_bytes_read() - before))
        executor.close()


def main() -> dict[str, float]:
    """Medians over appended days: milliseconds of CPU and MB read, and ratios to `adjust=none`."""
    dates = business_days("2014-01-02", YEARS * 262)
    close, actions = _market(dates)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prices").mkdir()
        ways = {way: _way(folder, way) for way in WAYS}
        for known in range(len(dates) - DAYS, len(dates)):
            _write(folder, dates[:known], close[:known])
            _write_actions(folder, actions, str(dates[known - 1])[:10])
            for way in WAYS if known % 2 else WAYS[::-1]:
                ways[way].run(str(dates[known - 1])[:10])
        figures = _figures(ways)
        late = (str(dates[-3 * 262])[:10], "A00007", 1.0, 0.5)
        _write_actions(folder, [*actions, late], "9999")
        ways["split_div"].run(str(dates[-2])[:10])
        figures["split_div, an action three years late: CPU, ms"] = 1e3 * ways["split_div"].cpu[-1]
    return figures


def _way(folder: Path, way: str) -> _Way:
    path = folder / f"{way}.sig"
    path.write_text(STRATEGY.format(way=way), encoding="utf-8")
    return _Way(lower(check_file(path)), folder / f"cache-{way}")


def _figures(ways: dict[str, _Way]) -> dict[str, float]:
    figures: dict[str, float] = {}
    bare = ways["none"]
    for name, way in ways.items():
        figures[f"{name}: CPU, ms"] = 1e3 * float(np.median(way.cpu[1:]))
        figures[f"{name}: read, MB"] = float(np.median(way.read[1:])) / 1e6
        if way is not bare:
            figures[f"{name}: CPU, ratio to none"] = float(np.median(np.divide(way.cpu[1:], bare.cpu[1:])))
            figures[f"{name}: read, ratio to none"] = float(np.median(np.divide(way.read[1:], bare.read[1:])))
    return figures


def _market(dates: Dates) -> tuple[Floats, list[tuple[str, str, float, float]]]:
    """Closes as traded, and actions (day, asset, split, dividend)."""
    random = np.random.default_rng(1)
    close: Floats = 50 * np.exp(random.normal(0, 0.01, (len(dates), ASSETS)).cumsum(axis=0))
    actions = []
    for asset in range(ASSETS):
        actions += [(str(d)[:10], f"A{asset:05d}", 1.0, 0.25) for d in dates[asset % 63 :: 63]]
        for row in random.choice(len(dates), 2, replace=False):
            close[row:, asset] /= 2
            actions.append((str(dates[row])[:10], f"A{asset:05d}", 2.0, 0.0))
    return np.round(close, 4), sorted(actions)


def _write(folder: Path, dates: Dates, close: Floats) -> None:
    years = dates.astype("datetime64[Y]")
    for year in np.unique(years):
        path = folder / "prices" / f"{year}.parquet"
        if not path.exists() or year == years[-1]:
            rows = np.flatnonzero(years == year)
            names = tuple(f"A{i:05d}" for i in range(ASSETS))
            write_file(Panel(dates[rows], names, close[rows]), path, "wide")


def _write_actions(folder: Path, actions: list[tuple[str, str, float, float]], until: str) -> None:
    lines = [f"{day},{name},{split},{paid}\n" for day, name, split, paid in actions if day <= until]
    (folder / "actions.csv").write_text("date,ticker,split,dividend\n" + "".join(lines), encoding="utf-8")


def _bytes_read() -> int:
    """What this process has read, from files and caches alike."""
    lines = Path("/proc/self/io").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))
