"""Windows down the dates, per asset, that need no tree: extremes, and what looks at every row of its window.

Extremes are exact in any order, so they may go by segments that begin with the array. The others read the whole
window for each row: a value depends on the rows of its window alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS
from sigc.ops.loops.windows import TILE, room

Floats = NDArray[np.float64]


@njit(**OPTIONS)
def _larger(a: float, b: float) -> float:
    """NaN wins."""
    return a if (a > b or a != a) else b


@njit(**OPTIONS)
def _forwards(x: Floats, now: Floats, after: Floats, made: Floats, sign: float) -> None:
    for j in range(len(x)):
        v = _larger(x[j] * sign + 0.0, now[j])  # no -0: which of equal values is taken must not matter
        now[j] = v
        made[j] = _larger(v, after[j]) * sign + 0.0


@njit(**OPTIONS)
def _backwards(x: Floats, later: Floats, after: Floats, sign: float) -> None:
    for j in range(len(x)):
        after[j] = _larger(x[j] * sign + 0.0, later[j])


@njit(**OPTIONS)
def window_extreme(x: Floats, n: int, sign: float) -> Floats:
    """The maximum for sign 1, the minimum for sign -1; NaN wins.

    Rows are cut into segments of n. A window is the end of one, known from behind (`after` its i-th row), and the
    begin of the next, known as it is walked (`now`): van Herk (1992), Gil and Werman (1993).
    """
    rows, cols = x.shape
    out = np.empty((rows, cols))
    after, now = room(n + 1, TILE), room(1, TILE)[0]
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        after[:n] = np.nan
        after[n] = -np.inf
        for begin in range(0, rows, n):
            now[:] = -np.inf
            for t in range(begin, min(begin + n, rows)):
                _forwards(x[t, j0 : j0 + wide], now, after[t - begin + 1], out[t, j0 : j0 + wide], sign)
            if begin + n < rows:
                for at in range(n - 1, 0, -1):
                    _backwards(x[begin + at, j0 : j0 + wide], after[at + 1], after[at], sign)
    return out


@njit(**OPTIONS)
def window_weighted(x: Floats, n: int) -> Floats:
    """Mean with weights 1..n, the newest heaviest; summed from the newest to the oldest."""
    rows, cols = x.shape
    out = np.full((rows, cols), np.nan)
    total = 0.5 * n * (n + 1)
    for t in range(n - 1, rows):
        for j in range(cols):
            out[t, j] = n * x[t, j]
        for k in range(1, n):
            weight = float(n - k)
            for j in range(cols):
                out[t, j] += weight * x[t - k, j]
        for j in range(cols):
            out[t, j] /= total
    return out


@njit(**OPTIONS)
def window_arg(x: Floats, n: int, sign: float) -> Floats:
    """Rows since the extreme (sign 1: maximum), the latest of equals; NaN with a gap in the window."""
    rows, cols = x.shape
    out = np.full((rows, cols), np.nan)
    best = np.empty(cols)
    for t in range(n - 1, rows):
        for j in range(cols):
            best[j] = x[t, j] * sign
            out[t, j] = 0.0
        for k in range(1, n):
            for j in range(cols):
                v = x[t - k, j] * sign
                if (v > best[j] or v != v) and best[j] == best[j]:
                    best[j] = v
                    out[t, j] = k
        for j in range(cols):
            if best[j] != best[j]:
                out[t, j] = np.nan
    return out


@njit(**OPTIONS)
def window_rank(x: Floats, n: int) -> Floats:
    """The average rank, 1..n, of the newest row within its window."""
    rows, cols = x.shape
    out = np.full((rows, cols), np.nan)
    for t in range(n - 1, rows):
        for j in range(cols):
            out[t, j] = 1.0 if x[t, j] == x[t, j] else np.nan
        for k in range(1, n):
            for j in range(cols):
                v, now = x[t - k, j], x[t, j]
                below = 1.0 if v < now else 0.0
                level = 0.5 if v == now else 0.0
                out[t, j] += below + level if v == v else np.nan
    return out


@njit(**OPTIONS)
def change(x: Floats, periods: int) -> Floats:
    """x / x[periods rows ago] - 1; NaN where there is none or it is 0. Negative periods look ahead."""
    rows, cols = x.shape
    out = np.full((rows, cols), np.nan)
    for t in range(max(0, periods), min(rows, rows + periods)):
        for j in range(cols):
            before = x[t - periods, j]
            out[t, j] = x[t, j] / before - 1.0 if before != 0.0 else np.nan
    return out


@njit(**OPTIONS)
def window_quantile(x: Floats, n: int, q: float) -> Floats:
    """Linear interpolation between order statistics of the window, kept sorted per column."""
    rows, cols = x.shape
    out = np.full((rows, cols), np.nan)
    held = np.empty(n)
    place = q * (n - 1)
    low = int(np.floor(place))
    high = min(low + 1, n - 1)
    share = place - low
    column = np.empty(rows)
    for j in range(cols):
        for t in range(rows):
            column[t] = x[t, j]
        size = 0
        for t in range(rows):
            if t >= n and column[t - n] == column[t - n]:
                at = np.searchsorted(held[:size], column[t - n])
                for i in range(at, size - 1):
                    held[i] = held[i + 1]
                size -= 1
            v = column[t]
            if v == v:
                i = size
                while i > 0 and held[i - 1] > v:
                    held[i] = held[i - 1]
                    i -= 1
                held[i] = v
                size += 1
            if size == n:
                a, b = held[low], held[high]
                out[t, j] = a if a == b else a + (b - a) * share
    return out
