"""Windows with missing rows: `min_periods`.

Results of windows without missing rows are computed already (`windows.py`, `scans.py`), with the same bits as without
`min_periods`. This module fills the missing cells from the valid rows of their windows, if there are enough.

A cell depends on the rows of its window alone: they are gathered again for each cell, the newest first. The count of
valid rows is updated from row to row; it is an integer, so its start does not matter. Before the first row of data
windows are shorter, as in pandas.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS, frozen

Floats = NDArray[np.float64]

SUM, MEAN, PRODUCT, MIN, MAX, ARGMIN, ARGMAX, QUANTILE, RANK, WEIGHTED = range(10)
VARIANCE, DEVIATION, ZSCORE, SKEW, KURTOSIS, SLOPE, RSQUARE, RESIDUAL = range(10, 18)
CORRELATION, COVARIANCE, BETA = range(20, 23)


def completed(
    made: Floats, x: Floats, n: int, least: int, what: int, q: float = 0.5, y: Floats | None = None
) -> Floats:
    """Return `made` with missing cells filled in place, from windows of `n` rows with at least `least` valid ones."""
    first = np.ascontiguousarray(x.T)
    second = first if y is None else np.ascontiguousarray(y.T)
    if what == QUANTILE:
        _quantiles(frozen(first), n, least, q, made)
    else:
        _completed(frozen(first), frozen(second), n, least, what, made)
    return made


@njit(**OPTIONS)
def _quantiles(x: Floats, n: int, least: int, q: float, made: Floats) -> None:
    """Fill quantiles. The valid rows of a window are kept sorted from row to row: equal rows give an equal order."""
    held = np.empty(n + 1)
    for j in range(x.shape[0]):
        a, valid = x[j], 0
        for t in range(len(a)):
            if t >= n and a[t - n] == a[t - n]:
                gone = a[t - n] + 0.0
                valid -= 1
                for k in range(np.searchsorted(held[: valid + 1], gone), valid):
                    held[k] = held[k + 1]
            if a[t] == a[t]:
                v, k = a[t] + 0.0, valid  # no -0: equal values must be interchangeable
                while k > 0 and held[k - 1] > v:
                    held[k] = held[k - 1]
                    k -= 1
                held[k] = v
                valid += 1
            if valid >= least and made[t, j] != made[t, j]:
                made[t, j] = _quantile(held[:valid], q)


@njit(**OPTIONS)
def _completed(x: Floats, y: Floats, n: int, least: int, what: int, made: Floats) -> None:
    """Fill the other figures. x, y: (assets, rows)."""
    values, others, ages = np.empty(n), np.empty(n), np.empty(n)
    for j in range(x.shape[0]):
        a, b = x[j], y[j]
        valid = 0
        for t in range(len(a)):
            if a[t] == a[t] and b[t] == b[t]:
                valid += 1
            if t >= n and a[t - n] == a[t - n] and b[t - n] == b[t - n]:
                valid -= 1
            if valid < least or made[t, j] == made[t, j]:
                continue
            count = 0
            for age in range(min(n, t + 1)):
                v, w = a[t - age], b[t - age]
                if v == v and w == w:
                    values[count], others[count], ages[count] = v, w, age
                    count += 1
            made[t, j] = _figure(values[:count], others[:count], ages[:count], n, what)


@njit(**INNER)
def _figure(x: Floats, y: Floats, ages: Floats, n: int, what: int) -> float:
    """Return a figure of valid rows, the newest first. ages: rows since each; n: rows of the window."""
    if what in (ZSCORE, RANK, RESIDUAL) and ages[0] != 0.0:
        return np.nan  # they need today's value
    if what < QUANTILE:
        return _folded(x, ages, what)
    if what == RANK:
        return 0.5 * ((x < x[0]).sum() + (x <= x[0]).sum() + 1.0)
    if what == WEIGHTED:
        return (x * (n - ages)).sum() / (n - ages).sum()
    if what < SLOPE:
        return _moment(x, what)
    return _line(x, ages, what) if what < CORRELATION else _pair(x, y, what)


@njit(**INNER)
def _folded(x: Floats, ages: Floats, what: int) -> float:
    made, at = x[0], 0
    for k in range(1, len(x)):
        if what <= MEAN:
            made += x[k]
        elif what == PRODUCT:
            made *= x[k]
        elif (x[k] < made) if what in (MIN, ARGMIN) else (x[k] > made):
            made, at = x[k], k
    if what == MEAN:
        return made / len(x)
    return ages[at] if what in (ARGMIN, ARGMAX) else made


@njit(**INNER)
def _quantile(x: Floats, q: float) -> float:
    """Return a quantile of sorted values."""
    place = q * (len(x) - 1)
    low = int(np.floor(place))
    a, b = x[low], x[min(low + 1, len(x) - 1)]
    return a if a == b else a + (b - a) * (place - low)


@njit(**INNER)
def _centred(x: Floats) -> tuple[float, float]:
    """Return the mean and the sum of squared deviations, by distances to the first value: exactly 0 if all are
    equal.
    """
    off = 0.0
    for v in x:
        off += v - x[0]
    mean, squares = x[0] + off / len(x), 0.0
    for v in x:
        squares += (v - mean) * (v - mean)
    return mean, squares


@njit(**INNER)
def _moment(x: Floats, what: int) -> float:
    count = float(len(x))
    mean, squares = _centred(x)
    if what == ZSCORE and squares == 0.0:
        return 0.0
    if count < 2 or (what == SKEW and count < 3) or (what == KURTOSIS and count < 4):
        return np.nan
    variance = squares / (count - 1)
    if what == VARIANCE:
        return variance
    if what == DEVIATION:
        return np.sqrt(variance)
    if what == ZSCORE:
        return (x[0] - mean) / np.sqrt(variance)
    if squares == 0.0:
        return 0.0
    power = 0.0
    for v in x:
        z = (v - mean) / np.sqrt(variance)
        power += z * z * z if what == SKEW else z * z * z * z
    if what == SKEW:
        return power * count / ((count - 1) * (count - 2))
    power *= count * (count + 1) / ((count - 1) * (count - 2) * (count - 3))
    return power - 3 * (count - 1) * (count - 1) / ((count - 2) * (count - 3))


@njit(**INNER)
def _line(x: Floats, ages: Floats, what: int) -> float:
    """Return a figure of the least-squares line through the valid rows, at their places in the window."""
    if len(x) < 2:
        return np.nan
    mean, squares = _centred(x)
    middle, spread = _centred(ages)
    both = 0.0
    for k in range(len(x)):
        both -= (x[k] - mean) * (ages[k] - middle)
    slope = both / spread
    if what == SLOPE:
        return slope
    if what == RSQUARE:
        return min(1.0, both * slope / squares) if squares != 0.0 else np.nan
    return x[0] - mean - slope * middle


@njit(**INNER)
def _pair(x: Floats, y: Floats, what: int) -> float:
    if len(x) < 2:
        return np.nan
    mx, xx = _centred(x)
    my, yy = _centred(y)
    xy = 0.0
    for k in range(len(x)):
        xy += (x[k] - mx) * (y[k] - my)
    if what == COVARIANCE:
        return xy / (len(x) - 1)
    if xx == 0.0 or (what == CORRELATION and yy == 0.0):
        return np.nan
    if what == BETA:
        return xy / xx
    return min(1.0, max(-1.0, xy / (np.sqrt(xx) * np.sqrt(yy))))
