"""A whole backtest, 500 x 1,260 and 5,000 x 2,520, beside the same strategy in plain pandas in the same run."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.timing import median_s
from sigc.blocks.block import BlockStore
from sigc.cache.parquet import ParquetStore
from sigc.engine.core.drive import Executor
from sigc.engine.executors.local import LocalExecutor
from sigc.lang.check import check_file
from sigc.plan.lower import lower
from sigc_cli.starter_files import MOMENTUM
from sigc_cli.synthetic_universe import write_universe
from sigc_pipelines.backtest.backtest import backtest, pick
from sigc_pipelines.compute import Workspace, load

SIZES = ((500, 1260), (5000, 2520))


def main() -> dict[str, float]:
    """Seconds; ratios are ours over pandas."""
    figures: dict[str, float] = {}
    for assets, days in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            figures |= _size(Path(folder), assets, days)
    return figures


def _size(folder: Path, assets: int, days: int) -> dict[str, float]:
    write_universe(folder / "data", assets, days)
    path = folder / "momentum.sig"
    path.write_text(MOMENTUM.replace("PLACE", "data"), encoding="utf-8")
    caches = iter(range(1_000_000))
    times = 3 if assets > 1000 else 5
    warm = ParquetStore(folder / "warm")
    _ours(path, warm)  # the sources are converted, the blocks stored

    def computed() -> None:
        """Sources stored, nothing computed: what a new strategy costs."""
        from sigc.cache.upkeep import clear

        clear(folder / "warm", "main.*")
        _ours(path, ParquetStore(folder / "warm"))

    name = f"{assets} x {days}"
    cold = median_s(lambda: _ours(path, ParquetStore(folder / f"cold{next(caches)}")), times)
    compute = median_s(computed, times)
    cached = median_s(lambda: _ours(path, ParquetStore(folder / "warm")), times)
    theirs = median_s(lambda: _pandas(folder), times)
    return {
        f"{name}: from files, s": cold,
        f"{name}: sources cached, s": compute,
        f"{name}: all cached, s": cached,
        f"{name}: pandas, s": theirs,
        f"{name}: from files, ratio to pandas": cold / theirs,
        f"{name}: sources cached, ratio to pandas": compute / theirs,
    }


def _ours(path: Path, store: BlockStore) -> float:
    executor = LocalExecutor(store)

    def engine(_: int) -> AbstractContextManager[Executor]:
        return nullcontext(executor)

    space = Workspace(store, engine)
    strategy = lower(check_file(path))
    loaded = load(strategy, space)
    result = backtest(loaded, space, pick(loaded))
    executor.close()
    return result.metrics.sharpe


def _pandas(folder: Path) -> float:
    prices = pd.read_parquet(folder / "data" / "prices.parquet").set_index("date")
    sectors = pd.read_csv(folder / "data" / "sectors.csv").set_index("ticker")["sector"].reindex(prices.columns)
    past = prices.shift(21).pct_change(231, fill_method=None)
    low, high = past.quantile(0.01, axis=1), past.quantile(0.99, axis=1)
    past = past.clip(low, high, axis=0)
    z = past.sub(past.mean(axis=1), axis=0).div(past.std(axis=1), axis=0)
    neutral = z - z.T.groupby(sectors).transform("mean").T
    ranks, count = neutral.rank(axis=1, method="first"), neutral.count(axis=1)
    k = np.ceil(count * 0.2 - 1e-9)
    long = ranks.gt(count - k, axis=0).div(k, axis=0).clip(upper=0.05)
    short = ranks.le(k, axis=0).div(k, axis=0).clip(upper=0.05)
    wanted = (long - short).fillna(0)
    held = wanted.iloc[(np.arange(len(wanted)) // 21) * 21].set_axis(wanted.index)
    before = held.shift(1).fillna(0)
    days = prices.index.to_series().diff().dt.days.fillna(0)
    cost = (held - before).abs().sum(axis=1) * 5e-4 + before.clip(upper=0).abs().sum(axis=1) * days * 0.01 / 365
    net = (before * prices.pct_change(fill_method=None).fillna(0)).sum(axis=1) - cost
    net = net.iloc[252:]  # from the first defined weight on
    return float(net.mean() / net.std() * 252**0.5)
