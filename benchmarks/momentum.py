"""Momentum, the workload everybody knows: return over 20 days, z-score, clipped at 1 %, ranks, long and short a fifth,
traded a day later for 5 bps. The whole way from prices to Sharpe ratio, through `sigc.compile`, beside plain pandas, and
polars where it is installed.

Sources in memory, cache off, everything warm; results compared: net returns of every day.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.sides import Result, Side, compare
from benchmarks.timing import median_cpu_s
from benchmarks.universe_data import prices

TEXT = """data:
  prices: load parquet from "prices.parquet"
signal momentum:
  emit prices.ret(20).zscore().winsor(0.01).rank()
portfolio main:
  weights = momentum.long_short(top=0.2, bottom=0.2)
  costs = tc.bps(5)
  backtest rebal=1
"""
SIZES = ({"assets": 500, "days": 1260}, {"assets": 5000, "days": 2520})


def ours(assets: int, days: int) -> Callable[[], Result]:
    """Through the public API."""
    import sigc

    strategy = sigc.compile(TEXT, data={"prices": prices(assets, days)}, cache=False, threads=1)

    def call() -> Result:
        found: Result = strategy.backtest().result.returns
        return found

    return call


def pandas(assets: int, days: int) -> Callable[[], Result]:
    """As one writes it."""
    table = prices(assets, days)

    def call() -> Result:
        past = table.pct_change(20, fill_method=None)
        z = past.sub(past.mean(axis=1), axis=0).div(past.std(axis=1), axis=0)
        z = z.clip(z.quantile(0.01, axis=1), z.quantile(0.99, axis=1), axis=0)
        signal = z.rank(axis=1).sub(1.0).div(z.count(axis=1) - 1.0, axis=0)
        place, count = signal.rank(axis=1, method="first"), signal.count(axis=1)
        k = np.ceil(count * 0.2 - 1e-9)
        weights = (place.gt(count - k, axis=0).div(k, axis=0) - place.le(k, axis=0).div(k, axis=0)).fillna(0.0)
        held = weights.shift(1).fillna(0.0)
        cost = (weights - held).abs().sum(axis=1) * 5e-4
        net = (held * table.pct_change(fill_method=None).fillna(0.0)).sum(axis=1) - cost
        return np.asarray(net, dtype=np.float64)

    return call


def polars(assets: int, days: int) -> Callable[[], Result]:
    """A long table, by expressions over asset and over date. A column for each asset, or for each date, takes ten and
    more times as long; one expression for all of a date, twice.
    """
    import polars as pl

    at, asset = np.divmod(np.arange(assets * days), assets)
    table = pl.DataFrame({"date": at, "asset": asset, "price": prices(assets, days).to_numpy().ravel()})
    price, past, z, signal, place, k = map(pl.col, ("price", "past", "z", "signal", "place", "k"))
    weight, held, earned, count = map(pl.col, ("weight", "held", "earned", "count"))
    picked = (place > count - k).cast(pl.Float64) / k - (place <= k).cast(pl.Float64) / k
    net = (held * earned.fill_null(0.0)).sum() - (weight - held).abs().sum() * 5e-4
    query = (
        table.lazy()
        .with_columns(past=price.pct_change(20).over("asset"), earned=price.pct_change().over("asset"))
        .with_columns(z=((past - past.mean()) / past.std()).over("date"))
        .with_columns(z=z.clip(z.quantile(0.01, "linear"), z.quantile(0.99, "linear")).over("date"))
        .with_columns(signal=((z.rank() - 1.0) / (z.count() - 1.0)).over("date"))
        .with_columns(place=signal.rank("ordinal").over("date"), count=signal.count().over("date"))
        .with_columns(k=(count * 0.2 - 1e-9).ceil())
        .with_columns(weight=picked.fill_null(0.0))
        .with_columns(held=weight.shift(1, fill_value=0.0).over("asset"))
        .group_by("date", maintain_order=True)
        .agg(net=net)
    )

    def call() -> Result:
        found: Result = query.collect()["net"].to_numpy()
        return found

    return call


def main() -> dict[str, float]:
    """Seconds, and ratios to the others."""
    figures: dict[str, float] = {}
    for size in SIZES:
        name = f"{size['assets']} x {size['days']}"
        others = (Side("pandas"), Side("polars", is_peer=True))
        found = compare(__name__, others, size, rounds=9 if size["assets"] < 1000 else 5)
        figures |= {f"{name}: {key}": value for key, value in found.items()}
    return figures | {f"500 x 1260: {key}": value for key, value in updates().items()}


def updates(assets: int = 500, days: int = 1260, more: int = 41) -> dict[str, float]:
    """CPU milliseconds to compile, and for the weights of one more day, results kept in memory."""
    import sigc

    table = prices(assets, days + more)
    compiled = median_cpu_s(lambda: sigc.compile(TEXT), 21)
    strategy = sigc.compile(TEXT, data={"prices": table[:days]}, cache="memory", threads=1)
    strategy.panels()
    spent = []
    for at in range(days, days + more):
        begun = time.process_time()
        strategy = strategy.append(prices=table[at : at + 1])
        strategy.panels(start=str(table.index[at].date()))
        spent.append(time.process_time() - begun)
    return {"compile, CPU, ms": 1e3 * compiled, "one more day, CPU, ms": 1e3 * statistics.median(spent[1:])}
