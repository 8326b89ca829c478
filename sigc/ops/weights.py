"""Weights of books, made from scores."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from sigc.ops.declare import Axis, Default, Missing, NumberRange, RowsAYear, Share, Values, Window, operator, rows
from sigc.ops.jit import frozen
from sigc.ops.rolling import ret, rolling_std

Positive = Annotated[float, NumberRange(0.0)]


@operator(axis=Axis.CROSS, missing=Missing.FILLS, example="long_short(zscore(prices), top=0.2, bottom=0.2)")
def long_short(x: Values, top: Share = 0.2, bottom: Share = 0.2, cap: Positive | None = None) -> Values:
    """+1/k for the best k = ceil(N * top), -1/m for the worst m, at most N - k; the rest and missing assets 0.

    Ties by asset position: longs from the end, shorts from the start. 1 valid asset: all 0; none: all NaN, which is
    no decision (the book is kept). `cap` clips a weight without redistribution. bottom=0 is long-only.
    """
    from sigc.ops.loops import picks

    x = frozen(x)
    most = math.inf if cap is None else float(cap)
    out = np.empty(x.shape)
    picks.long_short(x, float(top), float(bottom), most, out)
    return out


@operator(axis=Axis.CROSS, missing=Missing.FILLS, example="long_only(zscore(prices), top=0.2)")
def long_only(x: Values, top: Share = 0.2, cap: Positive | None = None) -> Values:
    """+1/k for the best k = ceil(N * top), the rest and missing assets 0; all NaN where no asset is valid."""
    return long_short(x, top, 0.0, cap)


@operator(
    axis=Axis.BOTH,
    lookback=rows(lambda window: window),
    example="scale_vol(long_short(zscore(prices)), 0.1, 60)",
)
def scale_vol(
    w: Values,
    target: Positive,
    window: Window = 60,
    prices: Values = Default.TRADED,  # type: ignore[assignment]
    max_leverage: Positive = 1.0,
    periods_a_year: RowsAYear = None,
) -> Values:
    """w * min(max_leverage, target / v), v the annual volatility of the book over `window` rows.

    Its returns are sum(lag(w) * ret(prices, 1)); NaN before window + 1 rows. A book without volatility is
    scaled by max_leverage. Periods a year are those of the traded source, unless given.
    """
    from sigc.ops.loops import rows as loops

    earned = loops.book_returns(frozen(w), frozen(ret(prices, 1)))
    volatility = rolling_std(earned, window) * math.sqrt(252.0 if periods_a_year is None else periods_a_year)
    factor = np.where(volatility > 0.0, target / volatility, np.inf)
    factor = np.where(np.isnan(volatility), np.nan, np.minimum(max_leverage, factor))
    out: Values = w * factor
    return out
