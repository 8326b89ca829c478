"""A hundred crosses of moving averages, 500 assets x 1,260 days: planned as one graph, beside a loop in pandas.

Results compared: the Sharpe ratio of every combination.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.sides import Result, compare
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


def main() -> dict[str, float]:
    """Seconds, and ratios to pandas."""
    found = compare(__name__, ("ours", "pandas"), {"assets": 500, "days": 1260}, rounds=3)
    return {f"100 x 500 x 1260: {key}": value for key, value in found.items()}
