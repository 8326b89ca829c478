"""The words of the language that are not operators: sections, options, costs, constraints, built-in macros."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SECTIONS = ("data", "params", "fn", "macro", "signal", "portfolio", "import")
FORMATS = ("csv", "parquet", "arrow")
# Words for the content of a file; its extension gives the format.
CONTENTS = (
    "price", "prices", "bars", "volume", "sector", "feature", "factor", "fundamentals", "returns", "signal", "weights",
    "benchmark", "data",
)  # fmt: skip
FORMAT_WORDS = (*FORMATS, *CONTENTS)
COLUMN_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "numeric": "float64",
        "float": "float64",
        "int": "int64",
        "price": "float64",
        "volume": "float64",
        "category": "category",
        "symbol": "",
        "date": "",
    }
)
BACKTEST_OPTIONS = ("rebal", "benchmark", "drift", "delisting_return")
NAMESPACES = ("tc", "slippage", "borrow")
SLIPPAGE_MODELS = ("linear", "square-root", "almgren-chriss")

# A cost term: its arguments in order; those without a default (None) are required.
COSTS: Mapping[str, Mapping[str, float | None]] = MappingProxyType(
    {
        "tc.bps": {"value": None},
        "tc.per_share": {"value": None},
        "tc.per_trade": {"value": None},
        "tc.asymmetric": {"buy": None, "sell": None},
        "slippage.bps": {"value": None},
        "slippage.model": {"model": None, "coef": 0.1, "eta": 0.1, "gamma": 0.1},
        "borrow.rate": {"value": None},
    }
)

# A constraint: the number of its values ("1", "2", "1-2"), or "flag".
CONSTRAINTS: Mapping[str, str] = MappingProxyType(
    {
        "max_position": "1",
        "min_position": "1",
        "max_long": "1",
        "max_short": "1",
        "min_positions": "1",
        "max_gross": "1",
        "gross_exposure": "1-2",
        "max_leverage": "1",
        "min_gross": "1",
        "max_net": "1",
        "min_net": "1",
        "net_exposure": "1-2",
        "dollar_neutral": "flag",
        "max_sector": "1",
        "sector_neutral": "flag",
        "sector_deviation": "1",
        "max_turnover": "1",
        "min_trade": "1",
        "target_volatility": "1",
        "max_tracking_error": "1",
        "beta": "1-2",
        "max_beta": "1",
        "min_beta": "1",
        "min_adv": "1",
        "max_participation": "1",
        "min_market_cap": "1",
    }
)

# A validation method: its arguments and their defaults.
METHODS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "walk_forward": {"train_years": 3, "test_years": 0, "test_months": 0, "step_years": 0, "anchored": 0},
        "cross_validate": {"folds": 5, "purge_days": 0},
        "cpcv": {"n_splits": 6, "n_test_groups": 2, "purge_days": 0, "embargo_days": 0},
    }
)

# Sources that sigc reads by name, without an expression.
READ_BY_NAME = ("volume", "market_cap", "benchmark_weights", "corporate_actions")
TRADED = ("prices", "px", "close")

BUILT_IN = """
macro momentum(prices: expr, lookback: number = 20):
    emit zscore(ret(prices, lookback))
macro mean_reversion(prices: expr, window: number = 20):
    emit -zscore((prices - rolling_mean(prices, window)) / rolling_std(prices, window))
macro vol_adj_momentum(prices: expr, ret_window: number = 20, vol_window: number = 60):
    emit zscore(ret(prices, ret_window) / rolling_std(ret(prices, 1), vol_window))
macro trend(prices: expr, fast: number = 10, slow: number = 50):
    emit zscore(ema(prices, fast) - ema(prices, slow))
macro rsi_signal(prices: expr, period: number = 14):
    emit -zscore(rsi(prices, period) - 50)
macro breakout(prices: expr, window: number = 20):
    let high = rolling_max(prices, window)
    let low = rolling_min(prices, window)
    emit zscore((prices - (high + low) / 2) / (high - low))
macro cs_momentum(prices: expr, lookback: number = 252):
    emit rank(ret(prices, lookback))
macro quality(prices: expr, window: number = 60):
    emit -zscore(rolling_std(ret(prices, 1), window))
"""
