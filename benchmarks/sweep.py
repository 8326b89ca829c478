"""A hundred crosses of moving averages, 500 assets x 1,260 days: planned as one graph, beside a loop in pandas, and
vectorbt and polars where they are installed.

Results compared: the Sharpe ratio of every combination.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.sides import Result, Side, compare
from benchmarks.universe_data import prices

FAST = tuple(range(5, 55, 5))
SLOW = tuple(range(60, 160, 10))
TEXT = f"""data:
  prices: load parquet from "prices.parquet"
params:
  fast: {list(FAST)}
  slow: {list(SLOW)}
signal cross:
  emit where(rolling_mean(prices, fast) > rolling_mean(prices, slow), 1, -1)
portfolio main:
  weights = scale(cross)
  costs = tc.bps(5)
  backtest rebal=1
"""


def ours(assets: int, days: int) -> Callable[[], Result]:
    """Through the public API."""
    import sigc

    strategy = sigc.compile(TEXT, data={"prices": prices(assets, days)}, cache=False, threads=1)

    def call() -> Result:
        return np.array([trial.metrics.sharpe for trial in strategy.optimize().scored])

    return call


def pandas(assets: int, days: int) -> Callable[[], Result]:
    """As one writes it: a loop over both parameters."""
    table = prices(assets, days)

    def call() -> Result:
        found = []
        for fast in FAST:
            for slow in SLOW:
                above = table.rolling(fast).mean() > table.rolling(slow).mean()
                sign = above * 2.0 - 1.0
                weights = sign.div(sign.abs().sum(axis=1), axis=0)
                held = weights.shift(1).fillna(0.0)
                cost = (weights - held).abs().sum(axis=1) * 5e-4
                net = (held * table.pct_change(fill_method=None).fillna(0.0)).sum(axis=1) - cost
                found.append(float(net.mean() / net.std() * 252**0.5))
        return np.array(found)

    return call


def vectorbt(assets: int, days: int) -> Callable[[], Result]:
    """Its moving averages of all windows and its Sharpe ratio; between, a loop in numpy, its arrays used again.

    Its own product of parameters, a column for each asset of each pair, takes three to five times as long; its simulator
    charges drifted positions, not targets.
    """
    import vectorbt as vbt

    table = prices(assets, days)

    def call() -> Result:
        averages = vbt.MA.run(table, window=[*FAST, *SLOW]).ma.to_numpy().reshape(days, -1, assets)
        earned = table.pct_change(fill_method=None).fillna(0.0).to_numpy()
        weights, moved, held = (np.zeros((days, assets)) for _ in range(3))
        nets = []
        for fast in range(len(FAST)):
            for slow in range(len(FAST), len(FAST) + len(SLOW)):
                np.multiply(averages[:, fast] > averages[:, slow], 2.0 / assets, out=weights)
                weights -= 1.0 / assets
                held[1:] = weights[:-1]
                np.abs(np.subtract(weights, held, out=moved), out=moved)
                nets.append(np.einsum("ta,ta->t", held, earned) - moved.sum(axis=1) * 5e-4)
        returns = pd.DataFrame(np.array(nets).T, table.index)
        found: Result = returns.vbt.returns(freq="1D", year_freq="252D").sharpe_ratio().to_numpy()
        return found

    return call


def polars(assets: int, days: int) -> Callable[[], Result]:
    """A long table, a column for each pair, as one query. A wide one, pair by pair, takes three times as long."""
    import polars as pl

    asset, at = np.divmod(np.arange(assets * days), days)
    table = pl.DataFrame({"date": at, "asset": asset, "price": prices(assets, days).to_numpy().T.ravel()})
    price, earned = pl.col("price"), pl.col("earned")
    pairs = {f"{fast} {slow}": (pl.col(f"mean {fast}"), pl.col(f"mean {slow}")) for fast in FAST for slow in SLOW}
    above = {pair: (fast > slow).fill_null(False).cast(pl.Float64) for pair, (fast, slow) in pairs.items()}
    weights, held = ({pair: pl.col(f"{what} {pair}") for pair in pairs} for what in ("weight", "held"))
    nets = {p: (held[p] * earned).sum() - (weights[p] - held[p]).abs().sum() * 5e-4 for p in pairs}
    query = (
        table.lazy()
        .with_columns(earned=price.pct_change().over("asset").fill_null(0.0))
        .with_columns(price.rolling_mean(n).over("asset").alias(f"mean {n}") for n in (*FAST, *SLOW))
        .with_columns(((above[p] * 2.0 - 1.0) / assets).alias(f"weight {p}") for p in pairs)
        .with_columns(weights[p].shift(1, fill_value=0.0).over("asset").alias(f"held {p}") for p in pairs)
        .group_by("date")
        .agg(nets[p].alias(p) for p in pairs)
        .select(pl.col(p).mean() / pl.col(p).std() * 252**0.5 for p in pairs)
    )

    def call() -> Result:
        found: Result = query.collect().to_numpy()[0]
        return found

    return call


def main() -> dict[str, float]:
    """Seconds, and ratios to the others."""
    others = (Side("pandas"), Side("vectorbt", is_peer=True), Side("polars", is_peer=True))
    found = compare(__name__, others, {"assets": 500, "days": 1260}, rounds=5)
    return {f"100 x 500 x 1260: {key}": value for key, value in found.items()}
