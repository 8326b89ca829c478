"""Cross-sectional operators: across the assets of a date, over the cells that are not missing. NaN in, NaN out.

Aggregates are broadcast to the valid cells of their date. Inner loops: `loops/rows.py`, `ranks.py`, `groups.py`,
`quantiles.py`.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from sigc.ops.declare import Axis, Labels, NumberRange, Share, Values, Window, operator
from sigc.ops.jit import frozen

_MOST_CODES = 100_000.0

Tail = Annotated[float, NumberRange(0.0, 0.5)]


def _ranks(x: Values, buckets: float) -> Values:
    from sigc.ops.loops import ranks

    x = frozen(x)
    out = np.empty(x.shape)
    ranks.ranks(x, buckets, out)
    return out


@operator(axis=Axis.CROSS, version=2, aliases=("cs_zscore",), example="zscore(ret(prices, 20))")
def zscore(x: Values) -> Values:
    """(x - mean) / std of the date, ddof 1; no spread or a lone asset gives 0."""
    from sigc.ops.loops import rows

    return rows.standing(frozen(x), rows.ZSCORE)


@operator(axis=Axis.CROSS, aliases=("cs_rank",), example="rank(ret(prices, 20))")
def rank(x: Values) -> Values:
    """(average rank - 1) / (N - 1): 0 lowest, 1 highest; a lone asset 0.5."""
    return _ranks(x, 0.0)


@operator(axis=Axis.CROSS, example="rank_pct(ret(prices, 20))")
def rank_pct(x: Values) -> Values:
    """100 * rank."""
    return 100.0 * rank(x)


@operator(axis=Axis.CROSS, version=2, example="scale(zscore(ret(prices, 20)))")
def scale(x: Values) -> Values:
    """x / sum of absolute values of the date; a sum of 0 gives 0."""
    from sigc.ops.loops import rows

    return rows.standing(frozen(x), rows.SHARE)


@operator(axis=Axis.CROSS, version=2, aliases=("as_xs",), example="demean(ret(prices))")
def demean(x: Values) -> Values:
    """x - mean of the date."""
    from sigc.ops.loops import rows

    return rows.standing(frozen(x), rows.CENTRED)


@operator(axis=Axis.CROSS, aliases=("winsorize",), example="winsor(ret(prices), 0.01)")
def winsor(x: Values, p: Tail = 0.01) -> Values:
    """Clipped at the p and 1 - p quantiles of the date, linear interpolation."""
    from sigc.ops.loops import quantiles

    return quantiles.clipped(frozen(x), float(p), 1.0 - float(p))


def _codes(by: Labels) -> tuple[NDArray[np.uint32], NDArray[np.int64], int]:
    """Return labels as codes 1..n, 0 missing, of the rows that differ from the one before; the index of each row's own;
    and n.

    Numbers that serve as labels (industry codes, say) are numbered first.
    """
    from sigc.ops.loops import groups

    by = frozen(by)
    first, place = groups.label_rows(by.view(np.uint64))
    codes, count = groups.plain_codes(by, first, _MOST_CODES)
    if count >= 0:
        return codes, place, count
    some = by[first]
    unique = np.unique(some[~np.isnan(some)])
    return np.where(np.isnan(some), 0, np.searchsorted(unique, some) + 1).astype(np.uint32), place, len(unique)


def _by_group(x: Values, by: Labels, what: int) -> Values:
    from sigc.ops.loops import groups

    return groups.group_statistics(frozen(x), *_codes(by), what)


@operator(axis=Axis.CROSS, version=2, example="neutralize(zscore(ret(prices, 20)), by=sectors)")
def neutralize(x: Values, by: Labels | None = None) -> Values:
    """x - mean of its group; a missing label gives NaN. Without `by` it demeans."""
    from sigc.ops.loops import groups

    return demean(x) if by is None else _by_group(x, by, groups.CENTRED)


@operator(axis=Axis.CROSS, example="group_mean(ret(prices), sectors)")
def group_mean(x: Values, by: Labels) -> Values:
    """The mean of the group."""
    from sigc.ops.loops import groups

    return _by_group(x, by, groups.MEAN)


@operator(axis=Axis.CROSS, example="group_count(ret(prices), sectors)")
def group_count(x: Values, by: Labels) -> Values:
    """The number of valid assets of the group."""
    from sigc.ops.loops import groups

    return _by_group(x, by, groups.COUNT)


@operator(axis=Axis.CROSS, example="group_zscore(ret(prices), sectors)")
def group_zscore(x: Values, by: Labels) -> Values:
    """(x - mean) / std within the group, ddof 1; no spread or a lone asset gives 0."""
    from sigc.ops.loops import groups

    return _by_group(x, by, groups.ZSCORE)


@operator(axis=Axis.CROSS, example="group_rank(ret(prices), sectors)")
def group_rank(x: Values, by: Labels) -> Values:
    """(average rank - 1) / (n - 1) within the group; a lone asset 0.5."""
    from sigc.ops.loops import ranks

    x = frozen(x)
    out = np.empty(x.shape)
    ranks.group_ranks(x, *_codes(by), out)
    return out


@operator(axis=Axis.CROSS, example="quantile(ret(prices), 0.9)")
def quantile(x: Values, q: Share = 0.5) -> Values:
    """The q quantile of the date, linear interpolation, broadcast."""
    from sigc.ops.loops import quantiles

    return quantiles.quantiles(frozen(x), float(q))


@operator(axis=Axis.CROSS, aliases=("ntile",), example="bucket(ret(prices, 20), 5)")
def bucket(x: Values, n: Window = 5) -> Values:
    """ceil(average rank * n / N): 1..n, the highest values in bucket n."""
    return _ranks(x, float(n))


@operator(axis=Axis.CROSS, example="median(ret(prices))")
def median(x: Values) -> Values:
    """The median of the date, broadcast."""
    return quantile(x, 0.5)


@operator(axis=Axis.CROSS, example="mad(ret(prices))")
def mad(x: Values) -> Values:
    """The median absolute distance from the median, unscaled, broadcast."""
    from sigc.ops.loops import quantiles

    return quantiles.distances(frozen(x))


@operator(axis=Axis.CROSS, version=2, aliases=("cs_mean",), example="mean(ret(prices))")
def mean(x: Values) -> Values:
    """The mean of the date, broadcast."""
    from sigc.ops.loops import rows

    return rows.level(frozen(x), rows.MEAN)


@operator(axis=Axis.CROSS, version=2, aliases=("cs_std",), example="std(ret(prices))")
def std(x: Values) -> Values:
    """The standard deviation of the date, ddof 1, broadcast; NaN for a lone asset."""
    from sigc.ops.loops import rows

    return rows.level(frozen(x), rows.DEVIATION)


@operator(axis=Axis.CROSS, version=2, aliases=("cs_var",), example="var(ret(prices))")
def var(x: Values) -> Values:
    """The variance of the date, ddof 1, broadcast; NaN for a lone asset."""
    from sigc.ops.loops import rows

    return rows.level(frozen(x), rows.VARIANCE)


@operator(axis=Axis.CROSS, version=2, name="sum", aliases=("cs_sum",), example="sum(volume)")
def total(x: Values) -> Values:
    """The sum of the date, broadcast."""
    from sigc.ops.loops import rows

    return rows.level(frozen(x), rows.TOTAL)


@operator(axis=Axis.CROSS, aliases=("cs_count",), example="count(prices)")
def count(x: Values) -> Values:
    """The number of valid assets of the date, broadcast."""
    from sigc.ops.loops import rows

    return rows.level(frozen(x), rows.COUNT)
