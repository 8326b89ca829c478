"""Fourteen factors of open, high, low, close and volume over 20 days, 800 stocks x 3,400 days, of the kind that
feature sets for machine learning are made of; beside plain pandas, with the same formulas. Results compared: every
cell of every factor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.sides import Result, compare
from benchmarks.universe_data import bars

N = 20
FACTORS = {
    "roc": "lag(close, 20) / close",
    "ma": "rolling_mean(close, 20) / close",
    "std": "rolling_std(close, 20) / close",
    "beta": "ts_slope(close, 20) / close",
    "rsqr": "pow(ts_slope(close, 20) / rolling_std(close, 20), 2) * 35",
    "resi": "(close - rolling_mean(close, 20) - ts_slope(close, 20) * 9.5) / close",
    "top": "rolling_max(high, 20) / close",
    "bottom": "rolling_min(low, 20) / close",
    "qtlu": "rolling_quantile(close, 20, 0.8) / close",
    "place": "ts_rank(close, 20) / 20",
    "rsv": "(close - rolling_min(low, 20)) / (rolling_max(high, 20) - rolling_min(low, 20) + 1e-12)",
    "corr": "rolling_corr(close, log(volume + 1), 20)",
    "cntp": "rolling_mean(where(close > lag(close, 1), 1, 0), 20)",
    "sump": "rolling_sum(max(delta(close, 1), 0), 20) / (rolling_sum(abs(delta(close, 1)), 20) + 1e-12)",
}
SOURCES = ("close", "open", "high", "low", "volume")


def text() -> str:
    """The strategy: a signal for each factor."""
    data = "".join(f'  {name}: load parquet from "{name}.parquet"\n' for name in SOURCES)
    signals = "".join(f"signal {name}_20:\n  emit {formula}\n" for name, formula in FACTORS.items())
    return f"data:\n{data}{signals}"


def ours(assets: int, days: int) -> Callable[[], list[Result]]:
    """All as one graph, through the public API."""
    import sigc

    given = {name: table for name, table in bars(assets, days).items() if name in SOURCES}
    strategy = sigc.compile(text(), data=given, cache=False, threads=1)

    def call() -> list[Result]:
        panels = strategy.panels()
        return [panels[f"{name}_20"].values for name in FACTORS]

    return call


def pandas(assets: int, days: int) -> Callable[[], list[Result]]:
    """As one writes it; the line by rolling covariance with time."""
    given = bars(assets, days)
    close, high, low, volume = given["close"], given["high"], given["low"], given["volume"]
    time = pd.Series(np.arange(float(days)), close.index)
    spread = N * (N + 1) / 12.0  # variance of N consecutive numbers, ddof 1

    def call() -> list[Result]:
        window = close.rolling(N)
        mean, deviation = window.mean(), window.std()
        slope = window.cov(time) / spread
        lowest, highest = low.rolling(N).min(), high.rolling(N).max()
        moved = close.diff()
        up = (close > close.shift(1)).astype(float)
        log_volume = pd.DataFrame(np.log(volume + 1.0))
        found = {
            "roc": close.shift(N) / close,
            "ma": mean / close,
            "std": deviation / close,
            "beta": slope / close,
            "rsqr": (slope / deviation) ** 2 * spread,
            "resi": (close - mean - slope * (N - 1) / 2) / close,
            "top": highest / close,
            "bottom": lowest / close,
            "qtlu": window.quantile(0.8) / close,
            "place": window.rank() / N,
            "rsv": (close - lowest) / (highest - lowest + 1e-12),
            "corr": window.corr(log_volume),
            "cntp": up.rolling(N).mean(),
            "sump": moved.clip(lower=0.0).rolling(N).sum() / (moved.abs().rolling(N).sum() + 1e-12),
        }
        return [found[name].to_numpy() for name in FACTORS]

    return call


def main() -> dict[str, float]:
    """Seconds, and ratios to pandas."""
    found = compare(__name__, ("ours", "pandas"), {"assets": 800, "days": 3400}, rounds=3, tolerance=1e-7)
    return {f"800 x 3400: {key}": value for key, value in found.items()}
