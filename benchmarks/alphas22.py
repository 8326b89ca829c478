"""Twenty-two of the "101 formulaic alphas" (Kakushadze 2015, arXiv:1601.00991), 1,000 stocks x 2,520 days, as one
graph; beside plain pandas. Results compared: every cell of every alpha, but for a named share: see `UNEQUAL`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.sides import Result, Side, compare
from benchmarks.universe_data import bars

# pandas' running correlation of windows without spread is noise where there is no value, and ranks turn noise into
# anything: cells that differ by more than the tolerance may be this share of all.
UNEQUAL = 1e-3
SOURCES = ("close", "open", "high", "low", "volume", "vwap")
ALPHAS = {
    "a002": "-1 * rolling_corr(rank(delta(log(volume), 2)), rank((close - open) / open), 6)",
    "a003": "-1 * rolling_corr(rank(open), rank(volume), 10)",
    "a004": "-1 * ts_rank(rank(low), 9)",
    "a005": "rank(open - rolling_mean(vwap, 10)) * (-1 * abs(rank(close - vwap)))",
    "a006": "-1 * rolling_corr(open, volume, 10)",
    "a008": "-1 * rank(rolling_sum(open, 5) * rolling_sum(ret(close), 5)"
    " - lag(rolling_sum(open, 5) * rolling_sum(ret(close), 5), 10))",
    "a012": "sign(delta(volume, 1)) * (-1 * delta(close, 1))",
    "a013": "-1 * rank(rolling_cov(rank(close), rank(volume), 5))",
    "a014": "(-1 * rank(delta(ret(close), 3))) * rolling_corr(open, volume, 10)",
    "a015": "-1 * rolling_sum(rank(rolling_corr(rank(high), rank(volume), 3)), 3)",
    "a016": "-1 * rank(rolling_cov(rank(high), rank(volume), 5))",
    "a018": "-1 * rank(rolling_std(abs(close - open), 5) + (close - open) + rolling_corr(close, open, 10))",
    "a022": "-1 * (delta(rolling_corr(high, volume, 5), 5) * rank(rolling_std(close, 20)))",
    "a026": "-1 * rolling_max(rolling_corr(ts_rank(volume, 5), ts_rank(high, 5), 5), 3)",
    "a033": "rank(-1 * (1 - open / close))",
    "a034": "rank((1 - rank(rolling_std(ret(close), 2) / rolling_std(ret(close), 5))) + (1 - rank(delta(close, 1))))",
    "a038": "(-1 * rank(ts_rank(close, 10))) * rank(close / open)",
    "a040": "(-1 * rank(rolling_std(high, 10))) * rolling_corr(high, volume, 10)",
    "a041": "sqrt(high * low) - vwap",
    "a044": "-1 * rolling_corr(high, rank(volume), 5)",
    "a053": "-1 * delta(((close - low) - (high - close)) / (close - low), 9)",
    "a101": "(close - open) / ((high - low) + 0.001)",
}


def text() -> str:
    """The strategy: a signal for each alpha."""
    data = "".join(f'  {name}: load parquet from "{name}.parquet"\n' for name in SOURCES)
    signals = "".join(f"signal {name}:\n  emit {formula}\n" for name, formula in ALPHAS.items())
    return f"data:\n{data}{signals}"


def ours(assets: int, days: int) -> Callable[[], list[Result]]:
    """All as one graph, through the public API."""
    import sigc

    strategy = sigc.compile(text(), data=bars(assets, days), cache=False, threads=1)

    def call() -> list[Result]:
        panels = strategy.panels()
        return [panels[name].values for name in ALPHAS]

    return call


def pandas(assets: int, days: int) -> Callable[[], list[Result]]:
    """As one writes it, what is used twice computed once."""
    given = bars(assets, days)
    opened, high, low, close = given["open"], given["high"], given["low"], given["close"]
    volume, vwap = given["volume"], given["vwap"]

    def rank(x: pd.DataFrame) -> pd.DataFrame:
        return x.rank(axis=1).sub(1.0).div(x.count(axis=1) - 1.0, axis=0)

    def corr(x: pd.DataFrame, y: pd.DataFrame, n: int) -> pd.DataFrame:
        found: pd.DataFrame = x.rolling(n).corr(y)
        return found.where(np.isfinite(found)).clip(-1.0, 1.0)

    def call() -> list[Result]:
        earned = close.pct_change(fill_method=None)
        size, by_high, log_volume = rank(volume), rank(high), pd.DataFrame(np.log(volume))
        sums = opened.rolling(5).sum() * earned.rolling(5).sum()
        together = corr(opened, volume, 10)
        found: dict[str, pd.DataFrame] = {
            "a002": -corr(rank(log_volume.diff(2)), rank((close - opened) / opened), 6),
            "a003": -corr(rank(opened), size, 10),
            "a004": -rank(low).rolling(9).rank(),
            "a005": rank(opened - vwap.rolling(10).mean()) * -rank(close - vwap).abs(),
            "a006": -together,
            "a008": -rank(sums - sums.shift(10)),
            "a012": pd.DataFrame(np.sign(volume.diff())) * -close.diff(),
            "a013": -rank(rank(close).rolling(5).cov(size)),
            "a014": -rank(earned.diff(3)) * together,
            "a015": -rank(corr(by_high, size, 3)).rolling(3).sum(),
            "a016": -rank(by_high.rolling(5).cov(size)),
            "a018": -rank((close - opened).abs().rolling(5).std() + (close - opened) + corr(close, opened, 10)),
            "a022": -(corr(high, volume, 5).diff(5) * rank(close.rolling(20).std())),
            "a026": -corr(volume.rolling(5).rank(), high.rolling(5).rank(), 5).rolling(3).max(),
            "a033": rank(-(1.0 - opened / close)),
            "a034": rank((1.0 - rank(earned.rolling(2).std() / earned.rolling(5).std())) + (1.0 - rank(close.diff()))),
            "a038": -rank(close.rolling(10).rank()) * rank(close / opened),
            "a040": -rank(high.rolling(10).std()) * corr(high, volume, 10),
            "a041": (high * low) ** 0.5 - vwap,
            "a044": -corr(high, size, 5),
            "a053": -(((close - low) - (high - close)) / (close - low)).diff(9),
            "a101": (close - opened) / ((high - low) + 0.001),
        }
        return [found[name].to_numpy() for name in ALPHAS]

    return call


def main() -> dict[str, float]:
    """Seconds, and ratios to pandas."""
    size = {"assets": 1000, "days": 2520}
    found = compare(__name__, [Side("pandas", tolerance=1e-7, unequal=UNEQUAL)], size, rounds=3)
    return {f"1000 x 2520: {key}": value for key, value in found.items()}
