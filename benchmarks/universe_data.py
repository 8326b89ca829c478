"""Made-up markets, the same for every side of a workload: random walks with a common factor, from a fixed seed."""

from __future__ import annotations

import numpy as np
import pandas as pd


def dates(days: int) -> pd.DatetimeIndex:
    """Business days from 2000 on."""
    return pd.bdate_range("2000-01-03", periods=days, name="date")


def names(assets: int) -> list[str]:
    """A00000, A00001, ..."""
    return [f"A{i:05d}" for i in range(assets)]


def prices(assets: int, days: int, seed: int = 1) -> pd.DataFrame:
    """Closing prices, days x assets."""
    random = np.random.default_rng(seed)
    market = random.normal(0.0003, 0.008, (days, 1))
    moves = market + random.normal(0.0, 0.015, (days, assets))
    return pd.DataFrame(50.0 * np.exp(moves.cumsum(axis=0)), dates(days), names(assets))


def bars(assets: int, days: int, seed: int = 1) -> dict[str, pd.DataFrame]:
    """open, high, low, close, volume and vwap, days x assets each."""
    random = np.random.default_rng(seed + 1000)
    close = prices(assets, days, seed)
    shape = close.shape
    opened = close.shift(1).bfill() * np.exp(random.normal(0.0, 0.004, shape))
    high = np.maximum(opened, close) * np.exp(np.abs(random.normal(0.0, 0.006, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(random.normal(0.0, 0.006, shape)))
    volume = pd.DataFrame(np.exp(random.normal(13.0, 0.6, shape)).round(), close.index, close.columns)
    return {
        "open": opened,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        "vwap": (high + low + close) / 3,
    }
