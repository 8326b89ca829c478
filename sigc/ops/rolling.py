"""Windows down the dates, per asset, with a value where the window holds `window` valid rows, or `min_periods`.

Inner loops: `loops/windows.py` and `loops/scans.py`, which explain why a result can't depend on the begin of the array;
`loops/partial.py` for windows with missing rows.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from sigc.ops.declare import Axis, MinPeriods, NumberRange, Periods, Share, Values, Window, operator, rows
from sigc.ops.jit import frozen

Window2 = Annotated[int, NumberRange(2, integer=True)]
Window3 = Annotated[int, NumberRange(3, integer=True)]
Window4 = Annotated[int, NumberRange(4, integer=True)]

_WINDOW = rows(lambda window: window - 1)


def _shift(x: Values, periods: int) -> Values:
    out = np.empty(x.shape)
    if periods >= 0:
        out[:periods] = np.nan
        out[periods:] = x[: max(0, len(x) - periods)]
    else:
        out[: max(0, len(x) + periods)] = x[-periods:]
        out[max(0, len(x) + periods) :] = np.nan
    return out


def _partly(
    made: Values,
    x: Values,
    window: int,
    min_periods: int | None,
    what: str,
    q: float = 0.5,
    y: Values | None = None,
) -> Values:
    """Return the result of full windows, completed with partial ones by `min_periods`. what: a name of `partial.py`."""
    if min_periods is None or min_periods >= window:
        return made
    from sigc.ops.loops import partial

    return partial.completed(made, x, window, min_periods, getattr(partial, what), float(q), y)


@operator(
    axis=Axis.TIME,
    lookback=rows(lambda periods: periods),
    peek=lambda periods: -periods,
    aliases=("delay",),
    example="lag(prices, 1)",
)
def lag(x: Values, periods: Periods = 1) -> Values:
    """The value `periods` rows ago. A negative number looks ahead."""
    return _shift(x, periods)


@operator(
    axis=Axis.TIME,
    lookback=rows(lambda periods: -periods),
    peek=lambda periods: periods,
    example="lag(lead(prices, 5), 5)",
)
def lead(x: Values, periods: Periods = 1) -> Values:
    """The value `periods` rows ahead: look-ahead, legal only where a later `lag` takes it back."""
    return _shift(x, -periods)


@operator(
    axis=Axis.TIME,
    lookback=rows(lambda periods: periods),
    peek=lambda periods: max(0, -periods),
    aliases=("pct_change",),
    example="ret(prices, 20)",
)
def ret(x: Values, periods: Periods = 1) -> Values:
    """The return over `periods` rows, x / lag(x) - 1; NaN where the earlier value is 0."""
    from sigc.ops.loops import scans

    return scans.change(frozen(x), periods)


@operator(
    axis=Axis.TIME,
    lookback=rows(lambda periods: periods),
    peek=lambda periods: max(0, -periods),
    aliases=("diff",),
    example="delta(prices, 1)",
)
def delta(x: Values, periods: Periods = 1) -> Values:
    """The change over `periods` rows, x - lag(x)."""
    if periods < 0:
        return np.subtract(x, _shift(x, periods))
    out = np.empty(x.shape)
    out[:periods] = np.nan
    np.subtract(x[periods:], x[: max(0, len(x) - periods)], out=out[periods:])
    return out


@operator(axis=Axis.TIME, lookback=_WINDOW, aliases=("ts_sum",), windowed="sum", example="rolling_sum(volume, 20)")
def rolling_sum(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Sum of the last `window` rows."""
    from sigc.ops.loops import windows

    made = windows.window_fold(frozen(x), window, False, 1.0)
    return _partly(made, x, window, min_periods, "SUM")


@operator(
    axis=Axis.TIME,
    lookback=_WINDOW,
    aliases=("ts_mean", "sma"),
    windowed="mean",
    example="rolling_mean(prices, 20)",
)
def rolling_mean(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Mean of the last `window` rows."""
    from sigc.ops.loops import windows

    made = windows.window_fold(frozen(x), window, False, float(window))
    return _partly(made, x, window, min_periods, "MEAN")


@operator(axis=Axis.TIME, lookback=_WINDOW, aliases=("ts_min",), example="rolling_min(low, 20)")
def rolling_min(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """The smallest of the last `window` rows."""
    from sigc.ops.loops import scans

    made = scans.window_extreme(frozen(x), window, -1.0)
    return _partly(made, x, window, min_periods, "MIN")


@operator(axis=Axis.TIME, lookback=_WINDOW, aliases=("ts_max",), example="rolling_max(high, 20)")
def rolling_max(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """The largest of the last `window` rows."""
    from sigc.ops.loops import scans

    made = scans.window_extreme(frozen(x), window, 1.0)
    return _partly(made, x, window, min_periods, "MAX")


@operator(axis=Axis.TIME, lookback=_WINDOW, windowed="median", example="rolling_median(prices, 21)")
def rolling_median(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Median of the last `window` rows."""
    return rolling_quantile(x, window, 0.5, min_periods)


@operator(axis=Axis.TIME, lookback=_WINDOW, example="rolling_quantile(prices, 60, 0.9)")
def rolling_quantile(x: Values, window: Window = 20, q: Share = 0.5, min_periods: MinPeriods = None) -> Values:
    """The `q` quantile of the last `window` rows, linear interpolation."""
    from sigc.ops.loops import scans

    made = scans.window_quantile(frozen(x), window, float(q))
    return _partly(made, x, window, min_periods, "QUANTILE", q=q)


@operator(axis=Axis.TIME, lookback=_WINDOW, aliases=("ts_var",), windowed="var", example="rolling_var(ret(prices), 60)")
def rolling_var(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Variance of the last `window` rows, ddof 1."""
    from sigc.ops.loops import windows

    made = windows.window_moments(frozen(x), window, windows.VARIANCE) if window > 1 else np.full(x.shape, np.nan)
    return _partly(made, x, window, min_periods, "VARIANCE")


@operator(axis=Axis.TIME, lookback=_WINDOW, aliases=("ts_std",), windowed="std", example="rolling_std(ret(prices), 60)")
def rolling_std(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Standard deviation of the last `window` rows, ddof 1."""
    from sigc.ops.loops import windows

    made = windows.window_moments(frozen(x), window, windows.DEVIATION) if window > 1 else np.full(x.shape, np.nan)
    return _partly(made, x, window, min_periods, "DEVIATION")


@operator(
    axis=Axis.TIME,
    lookback=_WINDOW,
    aliases=("ts_corr",),
    example="rolling_corr(prices, volume, 60)",
)
def rolling_corr(x: Values, y: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Correlation over the last `window` rows; NaN unless all rows of both are valid, or without spread."""
    from sigc.ops.loops import windows

    made = windows.window_comoments(frozen(x), frozen(y), window, windows.CORRELATION)
    return _partly(made, x, window, min_periods, "CORRELATION", y=y)


@operator(axis=Axis.TIME, lookback=_WINDOW, aliases=("ts_cov",), example="rolling_cov(prices, volume, 60)")
def rolling_cov(x: Values, y: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Covariance over the last `window` rows, ddof 1; NaN unless all rows of both are valid."""
    from sigc.ops.loops import windows

    if window == 1:
        return np.full(x.shape, np.nan)
    made = windows.window_comoments(frozen(x), frozen(y), window, windows.COVARIANCE)
    return _partly(made, x, window, min_periods, "COVARIANCE", y=y)


@operator(axis=Axis.TIME, lookback=_WINDOW, aliases=("ts_beta",), example="rolling_beta(ret(prices), ret(close), 60)")
def rolling_beta(y: Values, x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Slope of y on x over the last `window` rows: cov(y, x) / var(x); NaN where x has no spread."""
    from sigc.ops.loops import windows

    made = windows.window_comoments(frozen(x), frozen(y), window, windows.BETA)
    return _partly(made, x, window, min_periods, "BETA", y=y)


@operator(axis=Axis.TIME, lookback=_WINDOW, aliases=("wma",), example="decay_linear(prices, 10)")
def decay_linear(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Mean of the last `window` rows with weights 1..n, the newest heaviest."""
    from sigc.ops.loops import scans

    made = scans.window_weighted(frozen(x), window)
    return _partly(made, x, window, min_periods, "WEIGHTED")


@operator(axis=Axis.TIME, lookback=_WINDOW, example="ts_slope(prices, 20)")
def ts_slope(x: Values, window: Window2 = 20, min_periods: MinPeriods = None) -> Values:
    """Change a row of the least-squares line through the last `window` rows (2 at least)."""
    from sigc.ops.loops import scans

    made = scans.window_trend(frozen(x), window, scans.SLOPE)
    return _partly(made, x, window, min_periods, "SLOPE")


@operator(axis=Axis.TIME, version=2, lookback=_WINDOW, example="ts_rsquare(prices, 20)")
def ts_rsquare(x: Values, window: Window2 = 20, min_periods: MinPeriods = None) -> Values:
    """Share of the variance of the last `window` rows that their least-squares line explains; NaN without spread."""
    from sigc.ops.loops import scans

    made = scans.window_trend(frozen(x), window, scans.RSQUARE)
    return _partly(made, x, window, min_periods, "RSQUARE")


@operator(axis=Axis.TIME, lookback=_WINDOW, example="ts_residual(prices, 20)")
def ts_residual(x: Values, window: Window2 = 20, min_periods: MinPeriods = None) -> Values:
    """The distance of today's value above the least-squares line through the last `window` rows."""
    from sigc.ops.loops import scans

    made = scans.window_trend(frozen(x), window, scans.RESIDUAL)
    return _partly(made, x, window, min_periods, "RESIDUAL")


@operator(axis=Axis.TIME, lookback=_WINDOW, example="ts_argmax(prices, 20)")
def ts_argmax(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Rows since the largest of the last `window` rows, 0 is today, the latest wins ties."""
    from sigc.ops.loops import scans

    made = scans.window_arg(frozen(x), window, 1.0)
    return _partly(made, x, window, min_periods, "ARGMAX")


@operator(axis=Axis.TIME, lookback=_WINDOW, example="ts_argmin(prices, 20)")
def ts_argmin(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Rows since the smallest of the last `window` rows, 0 is today, the latest wins ties."""
    from sigc.ops.loops import scans

    made = scans.window_arg(frozen(x), window, -1.0)
    return _partly(made, x, window, min_periods, "ARGMIN")


@operator(axis=Axis.TIME, lookback=_WINDOW, example="ts_rank(prices, 20)")
def ts_rank(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Average rank of today's value in the last `window` rows, 1..n."""
    from sigc.ops.loops import scans

    made = scans.window_rank(frozen(x), window)
    return _partly(made, x, window, min_periods, "RANK")


@operator(axis=Axis.TIME, lookback=_WINDOW, example="ts_skew(ret(prices), 60)")
def ts_skew(x: Values, window: Window3 = 20, min_periods: MinPeriods = None) -> Values:
    """Bias-corrected skewness of the last `window` rows (3 at least); no spread gives 0."""
    from sigc.ops.loops import windows

    made = windows.window_shape(frozen(x), window, False)
    return _partly(made, x, window, min_periods, "SKEW")


@operator(axis=Axis.TIME, lookback=_WINDOW, example="ts_kurt(ret(prices), 60)")
def ts_kurt(x: Values, window: Window4 = 20, min_periods: MinPeriods = None) -> Values:
    """Bias-corrected excess kurtosis of the last `window` rows (4 at least); no spread gives 0."""
    from sigc.ops.loops import windows

    made = windows.window_shape(frozen(x), window, True)
    return _partly(made, x, window, min_periods, "KURTOSIS")


@operator(axis=Axis.TIME, lookback=_WINDOW, example="ts_product(1 + ret(prices), 20)")
def ts_product(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Product of the last `window` rows."""
    from sigc.ops.loops import windows

    made = windows.window_fold(frozen(x), window, True, 1.0)
    return _partly(made, x, window, min_periods, "PRODUCT")


@operator(axis=Axis.TIME, lookback=_WINDOW, example="ts_zscore(prices, 20)")
def ts_zscore(x: Values, window: Window = 20, min_periods: MinPeriods = None) -> Values:
    """Today's distance from the mean of the last `window` rows, in their deviations (ddof 1); no spread gives 0."""
    from sigc.ops.loops import windows

    if window == 1:
        return np.where(np.isfinite(x), 0.0, np.nan)
    made = windows.window_moments(frozen(x), window, windows.ZSCORE)
    return _partly(made, x, window, min_periods, "ZSCORE")
