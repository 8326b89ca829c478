"""Windows down the dates, per asset, without a tree: extremes, and figures that read every row of the window.

Extremes are exact in any order, so they use segments that begin with the array. The others read the whole window for
each row: a value depends on the rows of its window alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS
from sigc.ops.loops.vectors import TILE, WIDTH, claim, each, fetch, load, over_columns, put, tile, where
from sigc.ops.loops.windows import room

Floats = NDArray[np.float64]

SLOPE, RSQUARE, RESIDUAL = 0, 1, 2


def window_extreme(x: Floats, n: int, sign: float) -> Floats:
    """Return the maximum for sign 1, the minimum for sign -1; NaN with a gap in the window.

    Rows are cut into segments of n. A window is the end of one, computed backwards (`after` its i-th row), and the
    begin of the next, computed on the way (`now`): van Herk (1992), Gil and Werman (1993).
    """
    return over_columns(lambda x, out: _window_extreme(x, n, sign, out, room(n + 1, TILE), room(2, TILE)), x)


@njit(**OPTIONS)
def _window_extreme(x: Floats, n: int, sign: float, out: Floats, after: Floats, state: Floats) -> None:
    rows, cols = x.shape
    given, found, rest, now = x.ctypes.data, out.ctypes.data, after.ctypes.data, state.ctypes.data
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        after[:] = -np.inf
        state[1] = -1.0
        for begin in range(0, rows, n):
            state[0] = -np.inf
            for t in range(begin, min(begin + n, rows)):
                row, ends = 8 * (t * cols + j0), rest + 8 * TILE * (t - begin + 1)
                for j in range(0, 8 * wide, 8 * WIDTH):
                    fetch(given + row + j, cols)
                    claim(found + row + j, cols)
                    v, best, last = load(given + row + j), load(now + j), load(now + 8 * TILE + j)
                    last = where(v == v, last, float(t))
                    v = v * sign
                    best = where(v > best, v, best)
                    put(now + j, best)
                    put(now + 8 * TILE + j, last)
                    older = load(ends + j)
                    # + 0.0: no -0, as equal values must be interchangeable.
                    v = where(older > best, older, best) * sign + 0.0
                    put(found + row + j, where(last > t - n, np.nan, v))
            if begin + n < rows:
                for i in range(n - 1, 0, -1):
                    row, ends = 8 * ((begin + i) * cols + j0), rest + 8 * TILE * i
                    for j in range(0, 8 * wide, 8 * WIDTH):
                        v, best = load(given + row + j) * sign, load(ends + 8 * TILE + j)
                        put(ends + j, where(v > best, v, best))
        done = j0 + wide


def window_arg(x: Floats, n: int, sign: float) -> Floats:
    """Return the rows since the extreme (sign 1: maximum), the latest of equals; NaN with a gap in the window.

    The algorithm of `window_extreme`, with the row of an extreme stored TILE after its value.
    """
    return over_columns(lambda x, out: _window_arg(x, n, sign, out, room(n + 1, 2 * TILE), room(3, TILE)), x)


@njit(**OPTIONS)
def _window_arg(x: Floats, n: int, sign: float, out: Floats, after: Floats, state: Floats) -> None:
    rows, cols = x.shape
    given, found, rest, now = x.ctypes.data, out.ctypes.data, after.ctypes.data, state.ctypes.data
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        after[:] = -np.inf
        state[2] = -1.0
        for begin in range(0, rows, n):
            state[0] = -np.inf
            for t in range(begin, min(begin + n, rows)):
                row, ends = 8 * (t * cols + j0), rest + 16 * TILE * (t - begin + 1)
                for j in range(0, 8 * wide, 8 * WIDTH):
                    fetch(given + row + j, cols)
                    claim(found + row + j, cols)
                    v, best, last = load(given + row + j), load(now + j), load(now + 16 * TILE + j)
                    last = where(v == v, last, float(t))
                    v = v * sign
                    at = where(v >= best, float(t), load(now + 8 * TILE + j))
                    best = where(v > best, v, best)
                    put(now + j, best)
                    put(now + 8 * TILE + j, at)
                    put(now + 16 * TILE + j, last)
                    at = where(best >= load(ends + j), at, load(ends + 8 * TILE + j))
                    put(found + row + j, where(last > t - n, np.nan, t - at))
            if begin + n < rows:
                for i in range(n - 1, 0, -1):
                    row, ends = 8 * ((begin + i) * cols + j0), rest + 16 * TILE * i
                    later = ends + 16 * TILE
                    for j in range(0, 8 * wide, 8 * WIDTH):
                        v, best = load(given + row + j) * sign, load(later + j)
                        put(ends + j, where(v > best, v, best))
                        put(ends + 8 * TILE + j, where(v > best, float(begin + i), load(later + 8 * TILE + j)))
        done = j0 + wide


def window_weighted(x: Floats, n: int) -> Floats:
    """Return the mean with weights 1..n, the newest heaviest; summed from the newest to the oldest."""
    return over_columns(lambda x, out: _window_weighted(x, n, out), x)


@njit(**OPTIONS)
def _window_weighted(x: Floats, n: int, out: Floats) -> None:
    rows, cols = x.shape
    given, found, total = x.ctypes.data, out.ctypes.data, 0.5 * n * (n + 1)
    out[: n - 1] = np.nan
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        for t in range(n - 1, rows):
            row = 8 * (t * cols + j0)
            for j in range(0, 8 * wide, 8 * WIDTH):
                place = given + row + j
                fetch(place, cols)
                claim(found + row + j, cols)
                made = load(place) * n
                for weight in range(n - 1, 0, -1):
                    place -= 8 * cols
                    made = made + load(place) * weight
                put(found + row + j, made / total)
        done = j0 + wide


def window_rank(x: Floats, n: int) -> Floats:
    """Return the average rank, 1..n, of the newest row within its window. Halves add up exactly, in any order."""
    return over_columns(lambda x, out: _window_rank(x, n, out, room(1, TILE)), x)


@njit(**OPTIONS)
def _window_rank(x: Floats, n: int, out: Floats, gaps: Floats) -> None:
    """Compute it. gaps: the last missing row of each column."""
    rows, cols = x.shape
    given, found, gap = x.ctypes.data, out.ctypes.data, gaps.ctypes.data
    out[: n - 1] = np.nan
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        gaps[:] = -1.0
        for t in range(rows):
            row, older = 8 * (t * cols + j0), min(t, n - 1)
            for j in range(0, 8 * wide, 8 * WIDTH):
                place = given + row + j
                fetch(place, cols)
                claim(found + row + j, cols)
                v = load(place)
                last = where(v == v, load(gap + j), float(t))
                put(gap + j, last)
                below = level = each(0.0)
                for _ in range(older):
                    place -= 8 * cols
                    w = load(place)
                    below = where(w < v, below + 1.0, below)
                    level = where(w <= v, level + 1.0, level)
                put(found + row + j, where(last > t - n, np.nan, 1.0 + 0.5 * (below + level)))
        done = j0 + wide


def window_trend(x: Floats, n: int, what: int) -> Floats:
    """Return a figure of the least-squares line through the window: SLOPE per row, RSQUARE or RESIDUAL.

    RSQUARE is its share of the variance, RESIDUAL the distance of today's value above it.

    Sums are of distances from today's value, a member of the window: cancellation is at most n-fold, and equal values
    have distance exactly 0.
    """
    return over_columns(lambda x, out: _window_trend(x, n, what, out, np.arange(float(n + 3))), x)


@njit(**OPTIONS)
def _window_trend(x: Floats, n: int, what: int, out: Floats, number: Floats) -> None:
    """Compute it. number: 0, 1, 2, ..."""
    rows, cols = x.shape
    given, found = x.ctypes.data, out.ctypes.data
    middle, spread = 0.5 * (n - 1), n * (n * n - 1.0) / 12.0
    out[: n - 1] = np.nan
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        for t in range(n - 1, rows):
            row = 8 * (t * cols + j0)
            for j in range(0, 8 * wide, 8 * WIDTH):
                place = given + row + j
                fetch(place, cols)
                claim(found + row + j, cols)
                v = load(place)
                total = weighted = v - v
                k = 1
                while k + 3 < n:
                    a, b = load(place - 8 * k * cols) - v, load(place - 8 * (k + 1) * cols) - v
                    c, d = load(place - 8 * (k + 2) * cols) - v, load(place - 8 * (k + 3) * cols) - v
                    total = total + ((a + b) + (c + d))
                    a, b, c, d = a * number[k], b * number[k + 1], c * number[k + 2], d * number[k + 3]
                    weighted = weighted + ((a + b) + (c + d))
                    k += 4
                while k < n:
                    d = load(place - 8 * k * cols) - v
                    total = total + d
                    weighted = weighted + d * number[k]
                    k += 1
                covariance = total * middle - weighted
                slope = covariance / spread
                made = slope
                if what == RSQUARE:
                    squared = v - v
                    for k in range(1, n):
                        d = load(place - 8 * k * cols) - v
                        squared = squared + d * d
                    made = covariance * slope / (squared - total * total / n)
                    made = where(squared == 0.0, np.nan, where(made > 1.0, 1.0, made))
                elif what == RESIDUAL:
                    made = total * -1.0 / n - slope * middle
                put(found + row + j, made)
        done = j0 + wide


def change(x: Floats, periods: int) -> Floats:
    """Return x / x[periods rows ago] - 1; NaN if there is none or it is 0. Negative periods look ahead."""
    out = np.empty(x.shape)
    apart = abs(periods)
    late, early = slice(apart, None), slice(0, max(0, len(x) - apart))
    if periods >= 0:
        out[:apart] = np.nan
        _change(x[late], x[early], out[late])
    else:
        out[early.stop :] = np.nan
        _change(x[early], x[late], out[early])
    return out


@njit(**OPTIONS)
def _change(x: Floats, before: Floats, out: Floats) -> None:
    """Compute x / before - 1, cell by cell."""
    for t in range(len(x)):
        here, there, made = x[t], before[t], out[t]
        for j in range(len(here)):
            made[j] = here[j] / there[j] - 1.0 if there[j] != 0.0 else np.nan


def window_quantile(x: Floats, n: int, q: float) -> Floats:
    """Return a quantile of the window, linearly interpolated.

    Each column's window is kept sorted (`held`); from row to row one pass over it removes one value and inserts
    another.
    """
    return over_columns(lambda x, out: _window_quantile(x, n, q, out, room(n + 2, TILE)), x)


@njit(**OPTIONS)
def _window_quantile(x: Floats, n: int, q: float, out: Floats, held: Floats) -> None:
    """Compute it. The last row of `held` is the last missing row of each column. A missing value counts as infinite."""
    rows, cols = x.shape
    given, found, order = x.ctypes.data, out.ctypes.data, held.ctypes.data
    place = q * (n - 1)
    low = int(np.floor(place))
    high = min(low + 1, n - 1)
    share = place - low
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        held[:] = np.inf
        held[n + 1] = -1.0
        for t in range(rows):
            row = 8 * (t * cols + j0)
            gone = given + row - 8 * n * cols if t >= n else order + 8 * TILE * n  # infinite
            for j in range(0, 8 * wide, 8 * WIDTH):
                fetch(given + row + j, cols)
                claim(found + row + j, cols)
                new, gap = load(given + row + j), order + 8 * TILE * (n + 1) + j
                last = where(new == new, load(gap), float(t))
                put(gap, last)
                new = where(new == new, new, np.inf)
                old = load(gone + j)
                old = where(old == old, old, np.inf)
                at = order + j
                here = load(at)
                for _ in range(n):
                    above = load(at + 8 * TILE)
                    v = where(here < old, here, above)
                    put(at, where(v < new, v, new))
                    new = where(v < new, new, v)
                    at += 8 * TILE
                    here = above
                a, b = load(order + 8 * TILE * low + j), load(order + 8 * TILE * high + j)
                v = where(a == b, a, a + (b - a) * share)
                put(found + row + j, where(last > t - n, np.nan, v))
        done = j0 + wide
