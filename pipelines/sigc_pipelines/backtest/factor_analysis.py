"""Factor analysis of a backtest: the rank correlation of wanted weights with the returns that follow.

Rank IC: Spearman's correlation between the weights wanted at t and the returns from t to t + h, over the
assets with both (Grinold, Kahn, Active Portfolio Management, 2000). Quantile returns: mean next-day return of
the assets by quantile of the wanted weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sigc.ops.declare import REGISTRY
from sigc.panel import Floats
from sigc_pipelines.backtest.backtest import BacktestRun
from sigc_pipelines.backtest.performance import equity
from sigc_pipelines.backtest.returns import returns_of
from sigc_pipelines.compute import Loaded, Workspace, rows_between
from sigc_pipelines.prices.quotes import accepted

HORIZONS = (1, 2, 3, 5, 10, 21)
QUANTILES = 5
ROLLING = 126


@dataclass(frozen=True, slots=True, eq=False)
class FactorAnalysis:
    """ic: mean rank IC by horizon (rows). quantiles: annualised mean return of each fifth, lowest weight first.

    rolling_sharpe: (rows,) over 126 rows, NaN before. Both are by rows a year, and NaN where these are unknown.
    drawdown: (rows,) as negative fractions.
    coverage: (rows,) assets with a wanted weight.
    """

    ic: Mapping[int, float]
    quantiles: Floats
    rolling_sharpe: Floats
    drawdown: Floats
    coverage: Floats


def study(result: BacktestRun, loaded: Loaded, workspace: Workspace) -> FactorAnalysis:
    """Study a backtest over its own rows."""
    start, stop = rows_between(loaded.grid, result.settings.start, result.settings.end)
    prices = accepted(loaded, workspace, loaded.money, start, stop).levels
    wanted = np.where(np.isfinite(prices), result.wanted.values, np.nan)
    value = equity(result.returns)
    peak = np.maximum.accumulate(np.concatenate([[1.0], value]))[1:]
    return FactorAnalysis(
        ic={h: _mean(rank_ic(wanted, prices, h)) for h in HORIZONS},
        quantiles=quantile_returns(wanted, prices) * result.periods.a_year,
        rolling_sharpe=_rolling(result),
        drawdown=value / peak - 1.0,
        coverage=(np.nan_to_num(result.wanted.values) != 0.0).sum(axis=1).astype(np.float64),
    )


def rank_ic(wanted: Floats, prices: Floats, horizon: int) -> Floats:
    """Return Spearman's correlation per row; NaN where fewer than 3 assets have both values, or either is constant."""
    ahead = _ahead(prices, horizon)
    both = np.isfinite(wanted) & np.isfinite(ahead)
    rank = REGISTRY["rank"].kernel
    a, b = rank(np.where(both, wanted, np.nan)), rank(np.where(both, ahead, np.nan))
    count = both.sum(axis=1)
    with np.errstate(all="ignore"):
        a = a - np.nansum(a, axis=1, keepdims=True) / count[:, None]
        b = b - np.nansum(b, axis=1, keepdims=True) / count[:, None]
        product = np.nansum(a * b, axis=1)
        norm = np.sqrt(np.nansum(a * a, axis=1) * np.nansum(b * b, axis=1))
        out: Floats = np.where((count >= 3) & (norm > 1e-12), product / norm, np.nan)
    return out


def quantile_returns(wanted: Floats, prices: Floats) -> Floats:
    """Mean next-row return of each fifth of the wanted weights, lowest first."""
    ahead = _ahead(prices, 1)
    valid = np.where(np.isfinite(ahead), wanted, np.nan)
    bucket = REGISTRY["bucket"].kernel(valid, n=QUANTILES)
    means = [ahead[bucket == q + 1].mean() if (bucket == q + 1).any() else np.nan for q in range(QUANTILES)]
    return np.array(means)


def _rolling(result: BacktestRun) -> Floats:
    """Return the rolling Sharpe ratio over the rows that count, NaN before them."""
    found = np.full(len(result.returns), np.nan)
    found[result.left_out :] = rolling_sharpe(result.returns[result.left_out :], result.periods.a_year)
    return found


def rolling_sharpe(returns: Floats, periods: float, rows: int = ROLLING) -> Floats:
    """Return the Sharpe ratio of the last `rows` rows, NaN while there are fewer."""
    out = np.full(len(returns), np.nan)
    if len(returns) >= rows:
        windows = np.lib.stride_tricks.sliding_window_view(returns, rows)
        spread = windows.std(axis=1, ddof=1)
        with np.errstate(all="ignore"):
            out[rows - 1 :] = np.where(spread > 0, windows.mean(axis=1) / spread, 0.0) * np.sqrt(periods)
    return out


def _ahead(prices: Floats, horizon: int) -> Floats:
    out = np.full(prices.shape, np.nan)
    if len(prices) > horizon:
        with np.errstate(all="ignore"):
            out[:-horizon] = prices[horizon:] / prices[:-horizon] - 1.0
    return out if horizon > 1 else np.vstack([returns_of(prices)[1:], np.full((1, prices.shape[1]), np.nan)])


def _mean(values: Floats) -> float:
    valid = values[np.isfinite(values)]
    return float(valid.mean()) if len(valid) else 0.0
