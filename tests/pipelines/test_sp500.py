"""The whole path on real prices against an independent pandas script: to 1e-9."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.engine.core.gather import gather
from sigc_pipelines.backtest.backtest import BacktestRun, backtest, pick
from sigc_pipelines.compute import compute, load
from sigc_pipelines.prices.quotes import accepted
from tests.world import workspace, write_strategy

TEXT = """data:
  prices: load parquet from "prices.parquet" max_return=10
  sectors: load sector from "sectors.csv"
  market: load csv from "market.csv"
params:
  lookback = 231
  skip = 21
signal momentum:
  past = ret(lag(prices, skip), lookback)
  emit zscore(past).neutralize(by=sectors)
portfolio main:
  weights = momentum.long_short(top=0.2, bottom=0.2)
  costs = tc.bps(5) + borrow.rate(0.01)
  backtest rebal=21 benchmark=market from 2011-01-03 to 2018-12-31
"""


@pytest.fixture(scope="module")
def result(sp500: Path, tmp_path_factory: pytest.TempPathFactory) -> BacktestRun:
    folder = tmp_path_factory.mktemp("sp500")
    for name in ("prices.parquet", "sectors.csv"):
        (folder / name).symlink_to(sp500 / name)
    prices = pd.read_parquet(sp500 / "prices.parquet").set_index("date")
    level = (1 + prices.pct_change(fill_method=None).mean(axis=1).fillna(0)).cumprod()
    level.rename("MARKET").to_csv(folder / "market.csv", index_label="date")
    space = workspace(MemoryStore(), threads=2)
    space = replace(space, data=DataSettings(roots=(str(sp500),)))
    loaded = load(write_strategy(folder, TEXT), space)
    return backtest(loaded, space, pick(loaded))


def reference(sp500: Path) -> dict[str, float]:
    """The same strategy in plain pandas."""
    prices = pd.read_parquet(sp500 / "prices.parquet").set_index("date").sort_index(axis=1)
    sectors = pd.read_csv(sp500 / "sectors.csv").set_index("ticker")["sector"].reindex(prices.columns)
    past = prices.shift(21) / prices.shift(21 + 231) - 1
    z = past.sub(past.mean(axis=1), axis=0).div(past.std(axis=1), axis=0)
    neutral = z - z.T.groupby(sectors).transform("mean").T
    weights = pd.DataFrame(0.0, index=prices.index, columns=prices.columns)
    for day, row in neutral.iterrows():
        valid = row.dropna().sort_values(kind="stable")
        if len(valid) < 2:
            continue
        k = int(np.ceil(len(valid) * 0.2 - 1e-9))
        weights.loc[day, valid.index[-k:]] = 1 / k
        weights.loc[day, valid.index[:k]] = -1 / k
    inside = weights.loc["2011-01-03":"2018-12-31"]
    held = inside.iloc[(np.arange(len(inside)) // 21) * 21].set_axis(inside.index)
    returns = prices.pct_change(fill_method=None).loc[inside.index].fillna(0)
    before = held.shift(1).fillna(0)
    turnover = (held - before).abs().sum(axis=1)
    days = inside.index.to_series().diff().dt.days.fillna(0)
    borrowed = before.clip(upper=0).abs().sum(axis=1) * days * 0.01 / 365
    net = (before * returns).sum(axis=1) - turnover * 5 / 1e4 - borrowed
    value = pd.concat([pd.Series([1.0]), (1 + net).cumprod()])
    market = (1 + prices.pct_change(fill_method=None).mean(axis=1).fillna(0)).cumprod().loc[inside.index]
    bench = market.pct_change().fillna(0)
    active = net - bench
    return {
        "sharpe": net.mean() / net.std() * np.sqrt(252),
        "turnover": turnover.sum() / len(net) * 252,
        "max_drawdown": (1 - value / value.cummax()).max(),
        "total_return": value.iloc[-1] - 1,
        "volatility": net.std() * np.sqrt(252),
        "sortino": net.mean() / np.sqrt((net.clip(upper=0) ** 2).mean()) * np.sqrt(252),
        "skew": net.skew(),
        "kurtosis": net.kurt(),
        "var_95": net.quantile(0.05),
        "cvar_95": net[net <= net.quantile(0.05)].mean(),
        "beta": net.cov(bench) / bench.var(),
        "alpha": (net.mean() - net.cov(bench) / bench.var() * bench.mean()) * 252,
        "information_ratio": active.mean() * 252 / (active.std() * np.sqrt(252)),
        "correlation": net.corr(bench),
    }


def test_every_figure_equals_the_pandas_script(result: BacktestRun, sp500: Path) -> None:
    expected = reference(sp500)
    assert result.against is not None
    for name, value in expected.items():
        found = getattr(result.metrics, name, None)
        found = getattr(result.against, name) if found is None else found
        assert found == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_weights_are_neutral_and_as_large_as_asked(result: BacktestRun) -> None:
    held = result.weights.values
    invested = np.abs(held).sum(axis=1) > 0
    assert invested.sum() > 1900
    assert np.allclose(held[invested].sum(axis=1), 0.0, atol=1e-12)
    assert np.allclose(np.abs(held[invested]).sum(axis=1), 2.0)


def test_long_bars_hold_the_wide_close(sp500: Path, tmp_path: Path) -> None:
    text = f"""data:
  close: load parquet from "{sp500}/bars.parquet" column=close adjust=split_div
  theirs: load parquet from "{sp500}/bars.parquet" column=adjusted_close
  wide: load parquet from "{sp500}/close.parquet"
signal ours:
  emit close
signal stored:
  emit raw(close)
signal other:
  emit wide
signal adjusted:
  emit theirs
"""
    space = workspace(MemoryStore())
    loaded = load(write_strategy(tmp_path, text), replace(space, data=DataSettings(roots=(str(sp500),))))
    made = compute(loaded, loaded.strategy.roots, space)
    found = {name: gather(made, name).values for name in ("ours", "stored", "other", "adjusted")}
    assert np.array_equal(found["stored"], found["other"], equal_nan=True)
    ours = found["ours"][1:] / found["ours"][:-1] - 1
    theirs = found["adjusted"][1:] / found["adjusted"][:-1] - 1
    gap = np.abs(ours - theirs)
    assert np.nanquantile(gap, 0.9999) < 1e-6  # forward and backward adjustment have the same returns


def test_returns_of_money_are_the_vendors_total_returns(sp500: Path, tmp_path: Path) -> None:
    """Prices as traded and actions, put together by us, against closes that the vendor adjusted himself."""
    text = f"""data:
  prices: load parquet from "{sp500}/close.parquet"
  corporate_actions: load csv from "{sp500}/corporate_actions.csv"
signal s:
  emit prices
"""
    space = replace(workspace(MemoryStore()), data=DataSettings(roots=(str(sp500),)))
    loaded = load(write_strategy(tmp_path, text), space)
    made = accepted(loaded, space, loaded.money, 0, len(loaded.grid.dates))
    theirs = pd.read_parquet(sp500 / "prices.parquet").set_index("date")[list(loaded.grid.names)].to_numpy()
    gap = np.abs(made.levels[1:] / made.levels[:-1] - theirs[1:] / theirs[:-1])
    assert np.isfinite(gap).sum() > 1_000_000
    assert np.nanmax(gap) < 1e-5  # they round
    close = pd.read_parquet(sp500 / "close.parquet").set_index("date")[list(loaded.grid.names)].to_numpy()
    known = np.isfinite(made.prices)
    assert np.array_equal(made.prices[known], close[known])
