"""Operators across the assets of a date, over the cells that are not missing. NaN in, NaN out.

Aggregates are broadcast to the valid cells of their date. Inner loops: `loops/rows.py`.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from sigc.ops.declare import Axis, Labels, Range, Share, Values, Window, operator
from sigc.ops.jit import frozen

_MOST_CODES = 100_000.0

Tail = Annotated[float, Range(0.0, 0.5)]


def _spread(x: Values, per_row: Values) -> Values:
    """A value per row, (rows,), in the valid cells of the row."""
    out: Values = np.where(np.isnan(x), np.nan, per_row[:, None])
    return out


def _mean(x: Values) -> tuple[Values, Values]:
    from sigc.ops.loops import rows

    count, total, _, low, high = rows.sums(x)
    mean = total / count
    flat = low == high
    mean[flat] = low[flat]  # exactly: no rounding of n * v / n
    return count, mean


def _variance(x: Values) -> tuple[Values, Values]:
    from sigc.ops.loops import rows

    count, mean = _mean(x)
    return mean, rows.squares(x, mean) / (count - 1.0)


def _keys(x: Values) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint64]], int]:
    """Sorted keys of each row, and how many of their bits say the column."""
    from sigc.ops.loops import rows

    bits = max(1, int(x.shape[1] - 1).bit_length())
    keys = rows.packed(x, bits)
    keys.sort(axis=1)
    return keys, bits


def order_of(x: Values) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]], ...]:
    """Columns in ascending order of (value, column), and the number of valid cells, per row."""
    from sigc.ops.loops import rows

    return rows.ordered(x, *_keys(x))


def average_ranks(x: Values) -> tuple[Values, Values]:
    """Average ranks 1..N, and N per row."""
    from sigc.ops.loops import rows

    return rows.average_ranks(x, *_keys(x))


def _sorted(x: Values) -> tuple[Values, Values]:
    return np.sort(x, axis=1), (~np.isnan(x)).sum(axis=1).astype(np.float64)


@operator(axis=Axis.CROSS, aliases=("cs_zscore",), example="zscore(ret(prices, 20))")
def zscore(x: Values) -> Values:
    """(x - mean) / std of the date, ddof 1; no spread or a lone asset gives 0."""
    from sigc.ops.loops import rows

    return rows.standardized(frozen(x))


@operator(axis=Axis.CROSS, aliases=("cs_rank",), example="rank(ret(prices, 20))")
def rank(x: Values) -> Values:
    """(average rank - 1) / (N - 1): 0 lowest, 1 highest; a lone asset 0.5."""
    ranks, count = average_ranks(frozen(x))
    out = (ranks - 1.0) / (count - 1.0)[:, None]
    lone = count == 1
    out[lone] = np.where(np.isnan(ranks[lone]), np.nan, 0.5)
    return out


@operator(axis=Axis.CROSS, example="rank_pct(ret(prices, 20))")
def rank_pct(x: Values) -> Values:
    """100 * rank."""
    return 100.0 * rank(x)


@operator(axis=Axis.CROSS, example="scale(zscore(ret(prices, 20)))")
def scale(x: Values) -> Values:
    """x / sum of absolute values of the date; a sum of 0 gives 0."""
    from sigc.ops.loops import rows

    x = frozen(x)
    size = rows.sums(x)[2]
    out: Values = x / np.where(size == 0.0, 1.0, size)[:, None]
    return out


@operator(axis=Axis.CROSS, aliases=("as_xs",), example="demean(ret(prices))")
def demean(x: Values) -> Values:
    """x - mean of the date."""
    x = frozen(x)
    out: Values = x - _mean(x)[1][:, None]
    return out


@operator(axis=Axis.CROSS, aliases=("winsorize",), example="winsor(ret(prices), 0.01)")
def winsor(x: Values, p: Tail = 0.01) -> Values:
    """Clipped at the p and 1 - p quantiles of the date, linear interpolation."""
    from sigc.ops.loops import rows

    ascending, count = _sorted(frozen(x))
    low, high = rows.quantiles(ascending, count, float(p)), rows.quantiles(ascending, count, 1.0 - float(p))
    out: Values = np.minimum(np.maximum(x, low[:, None]), high[:, None])
    return out


def _codes(by: Labels) -> tuple[Values, int]:
    """Labels as codes 0..n-1 and n. Numbers that serve as labels (industry codes, say) are numbered first."""
    from sigc.ops.loops import rows

    by = frozen(by)
    count = rows.plain_codes(by, _MOST_CODES)
    if count >= 0:
        return by, count
    valid = by[~np.isnan(by)]
    unique = np.unique(valid)
    codes = np.where(np.isnan(by), np.nan, np.searchsorted(unique, by).astype(np.float64))
    return frozen(codes), len(unique)


@operator(axis=Axis.CROSS, example="neutralize(zscore(ret(prices, 20)), by=sectors)")
def neutralize(x: Values, by: Labels | None = None) -> Values:
    """x - mean of its group; a missing label gives NaN. Without `by` it demeans."""
    from sigc.ops.loops import rows

    return demean(x) if by is None else rows.group_centred(frozen(x), *_codes(by))


@operator(axis=Axis.CROSS, example="group_mean(ret(prices), sectors)")
def group_mean(x: Values, by: Labels) -> Values:
    """The mean of the group."""
    from sigc.ops.loops import rows

    return rows.group_moments(frozen(x), *_codes(by))[1]


@operator(axis=Axis.CROSS, example="group_count(ret(prices), sectors)")
def group_count(x: Values, by: Labels) -> Values:
    """How many valid assets the group has."""
    from sigc.ops.loops import rows

    return rows.group_moments(frozen(x), *_codes(by))[0]


@operator(axis=Axis.CROSS, example="group_zscore(ret(prices), sectors)")
def group_zscore(x: Values, by: Labels) -> Values:
    """(x - mean) / std within the group, ddof 1; no spread or a lone asset gives 0."""
    from sigc.ops.loops import rows

    x = frozen(x)
    by, groups = _codes(by)
    count, mean, square = rows.group_moments(x, by, groups)
    out = (x - mean) / np.sqrt(square / (count - 1.0))
    low, high = _group_extremes(x, by, groups)
    out[(low == high) & ~np.isnan(count)] = 0.0
    return out


def _group_extremes(x: Values, by: Labels, groups: int) -> tuple[Values, Values]:
    """Per cell the smallest and largest value of its group."""
    low = np.full((len(x), groups + 1), np.inf)
    high = np.full((len(x), groups + 1), -np.inf)
    code = np.where(np.isnan(by) | np.isnan(x), groups, by).astype(np.intp)
    at = np.broadcast_to(np.arange(len(x))[:, None], x.shape)
    np.minimum.at(low, (at, code), np.where(np.isnan(x), np.inf, x))
    np.maximum.at(high, (at, code), np.where(np.isnan(x), -np.inf, x))
    return np.take_along_axis(low, code, 1), np.take_along_axis(high, code, 1)


def _group_ranks(x: Values, by: Labels, groups: int) -> tuple[Values, Values]:
    from sigc.ops.loops import rows

    order, count = order_of(x)
    return rows.group_ranks(x, by, order, count, groups)


@operator(axis=Axis.CROSS, example="group_rank(ret(prices), sectors)")
def group_rank(x: Values, by: Labels) -> Values:
    """(average rank - 1) / (n - 1) within the group; a lone asset 0.5."""
    ranks, size = _group_ranks(frozen(x), *_codes(by))
    out: Values = np.where(size == 1.0, 0.5, (ranks - 1.0) / (size - 1.0))
    out[np.isnan(ranks)] = np.nan
    return out


@operator(axis=Axis.CROSS, example="quantile(ret(prices), 0.9)")
def quantile(x: Values, q: Share = 0.5) -> Values:
    """The q quantile of the date, linear interpolation, broadcast."""
    from sigc.ops.loops import rows

    ascending, count = _sorted(frozen(x))
    return _spread(x, rows.quantiles(ascending, count, float(q)))


@operator(axis=Axis.CROSS, aliases=("ntile",), example="bucket(ret(prices, 20), 5)")
def bucket(x: Values, n: Window = 5) -> Values:
    """ceil(average rank * n / N): 1..n, the highest values in bucket n."""
    ranks, count = average_ranks(frozen(x))
    out: Values = np.ceil((ranks * n) / count[:, None])
    return out


@operator(axis=Axis.CROSS, example="median(ret(prices))")
def median(x: Values) -> Values:
    """The median of the date, broadcast."""
    return quantile(x, 0.5)


@operator(axis=Axis.CROSS, example="mad(ret(prices))")
def mad(x: Values) -> Values:
    """The median absolute distance from the median, unscaled, broadcast."""
    return median(np.abs(x - median(x)))


@operator(axis=Axis.CROSS, aliases=("cs_mean",), example="mean(ret(prices))")
def mean(x: Values) -> Values:
    """The mean of the date, broadcast."""
    return _spread(x, _mean(frozen(x))[1])


@operator(axis=Axis.CROSS, aliases=("cs_std",), example="std(ret(prices))")
def std(x: Values) -> Values:
    """The standard deviation of the date, ddof 1, broadcast; NaN for a lone asset."""
    return _spread(x, np.sqrt(_variance(frozen(x))[1]))


@operator(axis=Axis.CROSS, aliases=("cs_var",), example="var(ret(prices))")
def var(x: Values) -> Values:
    """The variance of the date, ddof 1, broadcast; NaN for a lone asset."""
    return _spread(x, _variance(frozen(x))[1])


@operator(axis=Axis.CROSS, name="sum", aliases=("cs_sum",), example="sum(volume)")
def total(x: Values) -> Values:
    """The sum of the date, broadcast."""
    from sigc.ops.loops import rows

    return _spread(x, rows.sums(frozen(x))[1])


@operator(axis=Axis.CROSS, aliases=("cs_count",), example="count(prices)")
def count(x: Values) -> Values:
    """How many assets are valid on the date, broadcast."""
    return _spread(x, (~np.isnan(x)).sum(axis=1).astype(np.float64))
