"""Fourteen factors of open, high, low, close and volume over 20 days, 800 stocks x 3,400 days, of the kind that
feature sets for machine learning are made of; beside plain pandas, with the same formulas, and polars and pyqlib where
they are installed. Results compared: every cell of every factor.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.sides import Result, Side, compare
from benchmarks.universe_data import bars

N = 20
SPREAD = N * (N + 1) / 12.0  # variance of N consecutive numbers, ddof 1
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
# The same in pyqlib's language.
QLIB = {
    "roc": "Ref($close, 20) / $close",
    "ma": "Mean($close, 20) / $close",
    "std": "Std($close, 20) / $close",
    "beta": "Slope($close, 20) / $close",
    "rsqr": "Rsquare($close, 20)",
    "resi": "Resi($close, 20) / $close",
    "top": "Max($high, 20) / $close",
    "bottom": "Min($low, 20) / $close",
    "qtlu": "Quantile($close, 20, 0.8) / $close",
    "place": "Rank($close, 20)",
    "rsv": "($close - Min($low, 20)) / (Max($high, 20) - Min($low, 20) + 1e-12)",
    "corr": "Corr($close, Log($volume + 1), 20)",
    "cntp": "Mean($close > Ref($close, 1), 20)",
    "sump": "Sum(Greater($close - Ref($close, 1), 0), 20) / (Sum(Abs($close - Ref($close, 1)), 20) + 1e-12)",
}
OTHERS = (
    Side("pandas", tolerance=1e-7),
    Side("polars", tolerance=1e-7, is_peer=True),
    # It keeps prices and results in single precision, and its windows begin with one row where ours have twenty.
    Side("pyqlib", tolerance=1e-5, unequal=0.006, is_peer=True),
)
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


def _of_rows(close: Any, mean: Any, deviation: Any, slope: Any, lowest: Any, highest: Any) -> dict[str, Any]:
    """What is made of a row's own values: frames of pandas or expressions of polars."""
    return {
        "ma": mean / close,
        "std": deviation / close,
        "beta": slope / close,
        "rsqr": (slope / deviation) ** 2 * SPREAD,
        "resi": (close - mean - slope * (N - 1) / 2) / close,
        "top": highest / close,
        "bottom": lowest / close,
        "rsv": (close - lowest) / (highest - lowest + 1e-12),
    }


def pandas(assets: int, days: int) -> Callable[[], list[Result]]:
    """As one writes it; the line by rolling covariance with time."""
    given = bars(assets, days)
    close, high, low, volume = given["close"], given["high"], given["low"], given["volume"]
    time = pd.Series(np.arange(float(days)), close.index)

    def call() -> list[Result]:
        window = close.rolling(N)
        mean, deviation = window.mean(), window.std()
        slope = window.cov(time) / SPREAD
        lowest, highest = low.rolling(N).min(), high.rolling(N).max()
        moved = close.diff()
        up = (close > close.shift(1)).astype(float)
        log_volume = pd.DataFrame(np.log(volume + 1.0))
        found = _of_rows(close, mean, deviation, slope, lowest, highest) | {
            "roc": close.shift(N) / close,
            "qtlu": window.quantile(0.8) / close,
            "place": window.rank() / N,
            "corr": window.corr(log_volume),
            "cntp": up.rolling(N).mean(),
            "sump": moved.clip(lower=0.0).rolling(N).sum() / (moved.abs().rolling(N).sum() + 1e-12),
        }
        return [found[name].to_numpy() for name in FACTORS]

    return call


def polars(assets: int, days: int) -> Callable[[], list[Result]]:
    """A long table, by expressions over asset; a column for each asset takes ten times as long."""
    import polars as pl

    given = bars(assets, days)
    columns = {name: given[name].to_numpy().T.ravel() for name in ("close", "high", "low", "volume")}
    asset, at = np.divmod(np.arange(assets * days), days)
    table = pl.DataFrame({"asset": asset, "time": at.astype(float), **columns})
    close, high, low, volume, time = map(pl.col, ("close", "high", "low", "volume", "time"))
    mean, deviation, slope, lowest, highest = map(pl.col, ("mean", "deviation", "slope", "lowest", "highest"))
    moved = close.diff()
    up = (close > close.shift(1)).fill_null(False).cast(pl.Float64)
    by_asset = {
        "mean": close.rolling_mean(N),
        "deviation": close.rolling_std(N),
        "slope": pl.rolling_cov(close, time, window_size=N) / SPREAD,
        "lowest": low.rolling_min(N),
        "highest": high.rolling_max(N),
        "roc": close.shift(N) / close,
        "qtlu": close.rolling_quantile(0.8, "linear", window_size=N) / close,
        "place": close.rolling_rank(N) / N,
        "corr": pl.rolling_corr(close, (volume + 1.0).log(), window_size=N),
        "cntp": up.rolling_mean(N),
        "sump": moved.clip(lower_bound=0.0).rolling_sum(N) / (moved.abs().rolling_sum(N) + 1e-12),
    }
    by_row = _of_rows(close, mean, deviation, slope, lowest, highest)
    query = table.lazy().with_columns(**{name: e.over("asset") for name, e in by_asset.items()}).with_columns(**by_row)

    def call() -> list[Result]:
        found = query.select(*FACTORS).collect()
        return [found[name].to_numpy().reshape(assets, days).T for name in FACTORS]

    return call


def pyqlib(assets: int, days: int) -> Callable[[], list[Result]]:
    """Its expressions, from files of its own, in this process, nothing cached from one call to the next."""
    import qlib
    from qlib.data import D
    from qlib.data.cache import H

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    _write_qlib(folder, bars(assets, days))
    uncached = {"expression_cache": None, "dataset_cache": None}
    qlib.init(provider_uri=str(folder), region="us", kernels=1, logging_level=40, **uncached)

    def call() -> list[Result]:
        H.clear()
        found = D.features(D.instruments("all"), list(QLIB.values()), freq="day")
        return [found[formula].to_numpy().reshape(assets, days).T for formula in map(QLIB.get, FACTORS)]

    return call


def _write_qlib(folder: Path, given: dict[str, pd.DataFrame]) -> None:
    """pyqlib's format: the days, the assets' lives, and for each column of each asset the row it begins at and its values."""
    index, names = given["close"].index, list(given["close"].columns)
    for part in ("calendars", "instruments", "features"):
        (folder / part).mkdir()
    days = [str(day.date()) for day in index]
    (folder / "calendars" / "day.txt").write_text("\n".join(days) + "\n", encoding="utf-8")
    lives = "".join(f"{name}\t{days[0]}\t{days[-1]}\n" for name in names)
    (folder / "instruments" / "all.txt").write_text(lives, encoding="utf-8")
    for name in names:
        place = folder / "features" / name.lower()
        place.mkdir()
        for column in ("close", "high", "low", "volume"):
            np.append(0.0, given[column][name].to_numpy()).astype("<f4").tofile(place / f"{column}.day.bin")


def main() -> dict[str, float]:
    """Seconds, and ratios to the others."""
    found = compare(__name__, OTHERS, {"assets": 800, "days": 3400}, rounds=5)
    return {f"800 x 3400: {key}": value for key, value in found.items()}
