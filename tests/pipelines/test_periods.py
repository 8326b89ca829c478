"""Rows a year: one constant for a calendar and frequency, used by every figure a year, kernels too."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.engine.core.gather import gather
from sigc.errors import SigcError
from sigc.panel import Floats
from sigc.plan.expr import walk
from sigc_pipelines.backtest.backtest import BacktestRun, backtest, pick
from sigc_pipelines.backtest.factor_analysis import quantile_returns, rolling_sharpe, study
from sigc_pipelines.compute import Loaded, compute, load
from sigc_pipelines.text import results_text as show
from tests.world import workspace, write_strategy

TEXT = """data:
  prices: load csv from "prices.csv"{options}
signal wanted:
  emit rank(ret(prices, 1))
portfolio main:
  weights = scale_vol(wanted.long_short(), 0.1, 10)
  {more}
  backtest rebal=1 {range}
"""


def dates_of(kind: str, rows: int = 120) -> pd.DatetimeIndex:
    """Of each frequency, so many."""
    sessions = pd.bdate_range("2023-01-03", periods=2 * rows)
    match kind:
        case "weeks":
            return pd.date_range("2015-01-02", periods=rows, freq="7D")
        case "months":
            return pd.date_range("2010-01-31", periods=rows, freq="ME")
        case "all days":
            return pd.date_range("2023-01-01", periods=rows, freq="D")
        case "irregular":
            return pd.to_datetime("2020-01-01") + pd.to_timedelta(
                np.cumsum(np.tile([1, 3, 9, 2, 17], rows))[:rows], "D"
            )
        case "hours":
            hours = pd.DatetimeIndex([d + pd.Timedelta(hours=10 + h) for d in sessions for h in range(6)])
            return hours.tz_localize("America/New_York")[:rows]
    from sigc.data.dates.exchange import NYSE

    days = NYSE.of().days
    return pd.DatetimeIndex(days[days >= np.datetime64("2023-01-03")][:rows])


def prices(rows: int = 120) -> Floats:
    made: Floats = 50 * np.exp(np.random.default_rng(2).normal(0, 0.01, (rows, 4)).cumsum(axis=0))
    return made


def made(
    folder: Path, kind: str, options: str = "", more: str = "", range: str = ""
) -> tuple[Loaded, BacktestRun, MemoryStore]:
    pd.DataFrame(prices(), index=dates_of(kind), columns=list("ABCD")).to_csv(folder / "prices.csv", index_label="date")
    store = MemoryStore()
    space = workspace(store)
    loaded = load(write_strategy(folder, TEXT.format(options=options, more=more, range=range)), space)
    return loaded, backtest(loaded, space, pick(loaded)), store


KINDS = {
    "sessions": (252.0, "252 (sessions of nyse)"),
    "weeks": (52.0, "52 (weeks)"),
    "months": (12.0, "12 (months)"),
    "all days": (365.0, "365 (all days)"),
    "hours": (1512.0, "1512 (6 bars a session of nyse)"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_by_the_rows_of_the_traded_source(tmp_path: Path, kind: str) -> None:
    loaded, result, store = made(tmp_path, kind)
    a_year, text = KINDS[kind]
    assert (result.periods.a_year, result.periods.text) == (a_year, text)
    counted = pd.Series(result.returns[result.left_out :])
    assert result.metrics.volatility == pytest.approx(counted.std() * a_year**0.5)
    assert result.metrics.turnover == pytest.approx(result.turnover[result.left_out :].mean() * a_year)
    rolling = counted.rolling(100).mean() / counted.rolling(100).std() * a_year**0.5
    assert np.allclose(rolling_sharpe(result.returns[result.left_out :], a_year, 100), rolling, equal_nan=True)
    found = study(result, loaded, workspace(store))
    expected = quantile_returns(result.wanted.values, prices()) * a_year
    assert np.isfinite(expected).any()
    assert np.allclose(found.quantiles, expected, equal_nan=True)
    assert f"Periods a Year:        {text}" in show.results(result)
    data = show.as_data(result)
    assert data["periods"] == {"a_year": a_year, "text": text}
    assert data["left_out"] == result.left_out


@pytest.mark.parametrize("kind", KINDS)
def test_scale_vol_aims_at_a_volatility_a_year(tmp_path: Path, kind: str) -> None:
    """The factor by pandas; for sessions nothing is filled in, so that what is stored keeps its key."""
    loaded, result, store = made(tmp_path, kind)
    a_year, _ = KINDS[kind]
    root = loaded.strategy.portfolios[0].weights
    (scaled,) = [n for n in walk([root]) if n.op == "scale_vol"]
    assert dict(scaled.args).get("periods_a_year") == (None if a_year == 252.0 else a_year)
    space = workspace(store)
    inner = gather(compute(loaded, {"x": scaled.inputs[0]}, space), "x").values
    returns = pd.DataFrame(prices()).pct_change().to_numpy()
    earned = pd.Series(np.nansum(np.roll(inner, 1, axis=0) * returns, axis=1))
    factor = np.minimum(1.0, 0.1 / (earned.iloc[1:].rolling(10).std() * a_year**0.5)).to_numpy()
    assert np.allclose(result.wanted.values[20:], inner[20:] * factor[19:, None])


def test_periods_of_the_source_count_before_all_else(tmp_path: Path) -> None:
    _, result, _ = made(tmp_path, "irregular", " periods=40")
    assert result.periods.text == "40 (periods= of the source)"
    assert result.metrics.volatility == pytest.approx(result.returns[result.left_out :].std(ddof=1) * 40**0.5)


def test_irregular_rows_have_no_figures_a_year_and_it_is_told_why(tmp_path: Path) -> None:
    with pytest.raises(
        SigcError, match="'scale_vol' takes an annual figure, and rows of the traded source are irregular"
    ):
        made(tmp_path, "irregular")
    (tmp_path / "plain.sig").write_text(
        TEXT.format(options="", more="", range="").replace(
            "scale_vol(wanted.long_short(), 0.1, 10)", "wanted.long_short()"
        )
    )
    space = workspace(MemoryStore())
    loaded = load(write_strategy(tmp_path, (tmp_path / "plain.sig").read_text(), "plain"), space)
    result = backtest(loaded, space, pick(loaded))
    m = result.metrics
    assert all(map(math.isnan, (m.sharpe, m.volatility, m.annualized_return, m.sortino, m.calmar, m.turnover)))
    assert math.isfinite(m.total_return)
    text = show.results(result)
    assert "Sharpe Ratio:          -\n" in text
    assert "Annualized Return:     -\n" in text
    assert "rows are irregular" in text
    assert '"sharpe": null' in show.dump(show.as_data(result))


def test_constraints_a_year_need_rows_a_year(tmp_path: Path) -> None:
    more = "constraints:\n    target_volatility = 0.05"
    text = TEXT.format(options=" periods=40", more=more, range="")
    _, bound, _ = made(tmp_path, "weeks", "", more)
    _, tight, _ = made(tmp_path, "sessions", "", more)
    assert bound.weights.values[60:].std() > tight.weights.values[60:].std()  # a week's return for a day's
    pd.DataFrame(prices(), index=dates_of("irregular"), columns=list("ABCD")).to_csv(
        tmp_path / "prices.csv", index_label="date"
    )
    space = workspace(MemoryStore())
    plain = text.replace(" periods=40", "").replace("scale_vol(wanted.long_short(), 0.1, 10)", "wanted.long_short()")
    loaded = load(write_strategy(tmp_path, plain), space)
    with pytest.raises(SigcError, match="'target_volatility' needs rows a year"):
        backtest(loaded, space, pick(loaded))


@pytest.mark.parametrize("kind", ["sessions", "weeks", "hours"])
def test_borrowing_is_paid_for_calendar_days(tmp_path: Path, kind: str) -> None:
    """ACT/365, as the paper broker: what was short after the row before, for the days since."""
    _, result, _ = made(tmp_path, kind, more="costs = borrow.rate(0.365)")
    stamps = pd.DatetimeIndex(result.dates)
    days = np.diff(stamps.to_numpy()) / np.timedelta64(1, "D")
    short = np.maximum(-result.weights.values, 0.0).sum(axis=1)
    assert np.allclose(result.costs[1:], short[:-1] * days * 0.001)
    assert result.costs[0] == 0.0
    assert result.costs.sum() > 0.0
