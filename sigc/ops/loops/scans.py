"""Windows down the dates, per asset, that need no tree: extremes, and what looks at every row of its window.

Extremes are exact in any order, so they may go by segments that begin with the array. The others read the whole
window for each row: a value depends on the rows of its window alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops.places import row
from sigc.ops.loops.windows import TILE, room

Floats = NDArray[np.float64]

SLOPE, RSQUARE, RESIDUAL = 0, 1, 2
NARROW = 128  # columns of which a whole window stays in the first-level cache
WIDE = 2 * NARROW


@njit(**INNER)
def _larger(a: float, b: float) -> float:
    """NaN wins."""
    return a if (a > b or a != a) else b


@njit(**INNER)
def _forwards(x: Floats, now: Floats, after: Floats, made: Floats, sign: float) -> None:
    for j in range(len(x)):
        v = _larger(x[j] * sign + 0.0, now[j])  # no -0: which of equal values is taken must not matter
        now[j] = v
        made[j] = _larger(v, after[j]) * sign + 0.0


@njit(**INNER)
def _backwards(x: Floats, later: Floats, after: Floats, sign: float) -> None:
    for j in range(len(x)):
        after[j] = _larger(x[j] * sign + 0.0, later[j])


def window_extreme(x: Floats, n: int, sign: float) -> Floats:
    """The maximum for sign 1, the minimum for sign -1; NaN wins.

    Rows are cut into segments of n. A window is the end of one, known from behind (`after` its i-th row), and the
    begin of the next, known as it is walked (`now`): van Herk (1992), Gil and Werman (1993).
    """
    out = np.empty(x.shape)
    _window_extreme(x, n, sign, out, room(n + 1, TILE), room(1, TILE)[0])
    return out


@njit(**OPTIONS)
def _window_extreme(x: Floats, n: int, sign: float, out: Floats, after: Floats, now: Floats) -> None:
    rows, cols = x.shape
    given, found, rest = x.ctypes.data, out.ctypes.data, after.ctypes.data
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        after[:n] = np.nan
        after[n] = -np.inf
        for begin in range(0, rows, n):
            now[:] = -np.inf
            for t in range(begin, min(begin + n, rows)):
                here, made = row(given, cols, t, j0, wide), row(found, cols, t, j0, wide)
                _forwards(here, now, row(rest, TILE, t - begin + 1, 0, wide), made, sign)
            if begin + n < rows:
                for i in range(n - 1, 0, -1):
                    later, made = row(rest, TILE, i + 1, 0, wide), row(rest, TILE, i, 0, wide)
                    _backwards(row(given, cols, begin + i, j0, wide), later, made, sign)


@njit(**INNER)
def _forwards_at(x: Floats, t: int, now: Floats, after: Floats, made: Floats, sign: float) -> None:
    """As `_forwards`, with the row of the extreme, the latest of equals, TILE behind its value."""
    for j in range(len(x)):
        v, before = x[j] * sign, now[j]
        later = v >= before or v != v
        best = v if later else before
        at = float(t) if later else now[TILE + j]
        now[j], now[TILE + j] = best, at
        older = after[j]
        gap = (best - best) + (older - older) if best != best or older != older else 0.0
        made[j] = t - (at if best >= older else after[TILE + j]) + gap


@njit(**INNER)
def _backwards_at(x: Floats, t: int, later: Floats, after: Floats, sign: float) -> None:
    for j in range(len(x)):
        v, best = x[j] * sign, later[j]
        earlier = v > best or v != v
        after[j] = v if earlier and best == best else best
        after[TILE + j] = float(t) if earlier else later[TILE + j]


def window_arg(x: Floats, n: int, sign: float) -> Floats:
    """Rows since the extreme (sign 1: maximum), the latest of equals; NaN with a gap in the window. See above."""
    out = np.empty(x.shape)
    _window_arg(x, n, sign, out, room(n + 1, 2 * TILE), room(1, 2 * TILE)[0])
    return out


@njit(**OPTIONS)
def _window_arg(x: Floats, n: int, sign: float, out: Floats, after: Floats, now: Floats) -> None:
    rows, cols = x.shape
    given, found, rest = x.ctypes.data, out.ctypes.data, after.ctypes.data
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        after[:n] = np.nan
        after[n] = -np.inf
        for begin in range(0, rows, n):
            now[:] = -np.inf
            for t in range(begin, min(begin + n, rows)):
                here, made = row(given, cols, t, j0, wide), row(found, cols, t, j0, wide)
                _forwards_at(here, t, now, row(rest, 2 * TILE, t - begin + 1, 0, 2 * TILE), made, sign)
            if begin + n < rows:
                for i in range(n - 1, 0, -1):
                    later, made = row(rest, 2 * TILE, i + 1, 0, 2 * TILE), row(rest, 2 * TILE, i, 0, 2 * TILE)
                    _backwards_at(row(given, cols, begin + i, j0, wide), begin + i, later, made, sign)


@njit(**INNER)
def _weighed(a: Floats, b: Floats, c: Floats, d: Floats, weight: float, made: Floats) -> None:
    """Four rows, the newest first and by itself the heaviest."""
    for j in range(len(made)):
        v = made[j] + weight * a[j]
        v = v + (weight - 1.0) * b[j]
        v = v + (weight - 2.0) * c[j]
        made[j] = v + (weight - 3.0) * d[j]


def window_weighted(x: Floats, n: int) -> Floats:
    """Mean with weights 1..n, the newest heaviest; summed from the newest to the oldest."""
    out = np.full(x.shape, np.nan)
    _window_weighted(x, n, out)
    return out


@njit(**OPTIONS)
def _window_weighted(x: Floats, n: int, out: Floats) -> None:
    total = 0.5 * n * (n + 1)
    for t in range(n - 1, len(x)):
        here, made = x[t], out[t]
        for j in range(len(made)):
            made[j] = n * here[j]
        k = 1
        while k + 3 < n:
            a, b, c, d = x[t - k], x[t - k - 1], x[t - k - 2], x[t - k - 3]
            _weighed(a, b, c, d, float(n - k), made)
            k += 4
        while k < n:
            older, weight = x[t - k], float(n - k)
            for j in range(len(made)):
                made[j] += weight * older[j]
            k += 1
        for j in range(len(made)):
            made[j] /= total


@njit(**INNER)
def _below(v: float, now: float) -> float:
    """2 below, 1 level, NaN for none."""
    return (1.0 if v < now else 0.0) + (1.0 if v <= now else 0.0)


@njit(**INNER)
def _ranked(now: Floats, a: Floats, b: Floats, c: Floats, d: Floats, made: Floats) -> None:
    for j in range(len(made)):
        v = now[j]
        made[j] += (_below(a[j], v) + _below(b[j], v)) + (_below(c[j], v) + _below(d[j], v))


@njit(**INNER)
def _counted(x: Floats, missing: Floats, change: float) -> None:
    for j in range(len(x)):
        missing[j] += change if x[j] != x[j] else 0.0


def window_rank(x: Floats, n: int) -> Floats:
    """The average rank, 1..n, of the newest row within its window. Halves add up exactly, in any order."""
    out = np.full(x.shape, np.nan)
    _window_rank(x, n, out, room(1, WIDE)[0])
    return out


@njit(**OPTIONS)
def _window_rank(x: Floats, n: int, out: Floats, missing: Floats) -> None:
    rows, cols = x.shape
    given, found = x.ctypes.data, out.ctypes.data
    for j0 in range(0, cols, WIDE):
        wide = min(WIDE, cols - j0)
        missing[:] = 0.0
        for t in range(rows):
            now, made = row(given, cols, t, j0, wide), row(found, cols, t, j0, wide)
            _counted(now, missing, 1.0)
            if t < n - 1:
                continue
            if t >= n:
                _counted(row(given, cols, t - n, j0, wide), missing, -1.0)
            made[:] = 0.0
            k = 1
            while k + 3 < n:
                a, b = row(given, cols, t - k, j0, wide), row(given, cols, t - k - 1, j0, wide)
                c, d = row(given, cols, t - k - 2, j0, wide), row(given, cols, t - k - 3, j0, wide)
                _ranked(now, a, b, c, d, made)
                k += 4
            while k < n:
                older = row(given, cols, t - k, j0, wide)
                for j in range(len(made)):
                    made[j] += _below(older[j], now[j])
                k += 1
            for j in range(len(made)):
                made[j] = 1.0 + 0.5 * made[j] if missing[j] == 0.0 else np.nan


@njit(**INNER)
def _distances(now: Floats, older: Floats, k: float, sums: Floats) -> None:
    """A row k rows ago by its distance from today's: its sum, and that of k times it, WIDE behind."""
    for j in range(len(now)):
        d = older[j] - now[j]
        sums[j] += d
        sums[WIDE + j] += k * d


@njit(**INNER)
def _four_distances(now: Floats, a: Floats, b: Floats, c: Floats, d: Floats, k: float, sums: Floats) -> None:
    """The same for four rows from k on."""
    for j in range(len(now)):
        v = now[j]
        da, db, dc, dd = a[j] - v, b[j] - v, c[j] - v, d[j] - v
        sums[j] += (da + db) + (dc + dd)
        sums[WIDE + j] += (k * da + (k + 1.0) * db) + ((k + 2.0) * dc + (k + 3.0) * dd)


@njit(**INNER)
def _squares(now: Floats, older: Floats, sums: Floats) -> None:
    """The sum of squares of the distances."""
    for j in range(len(now)):
        d = older[j] - now[j]
        sums[j] += d * d


def window_trend(x: Floats, n: int, what: int) -> Floats:
    """SLOPE a row of the line through the window by least squares, RSQUARE: its share of the variance, or RESIDUAL: how
    far today is above it.

    Sums are of distances from today's value, which is one of the window: they cancel no more than n times, and equal
    values have no distance at all.
    """
    out = np.full(x.shape, np.nan)
    _window_trend(x, n, what, out, room(1, 2 * WIDE)[0], room(1, WIDE)[0])
    return out


@njit(**OPTIONS)
def _window_trend(x: Floats, n: int, what: int, out: Floats, sums: Floats, squared: Floats) -> None:
    rows, cols = x.shape
    given, found = x.ctypes.data, out.ctypes.data
    middle, spread = 0.5 * (n - 1), n * (n * n - 1.0) / 12.0
    for j0 in range(0, cols, WIDE):
        wide = min(WIDE, cols - j0)
        for t in range(n - 1, rows):
            now, made = row(given, cols, t, j0, wide), row(found, cols, t, j0, wide)
            sums[:] = 0.0
            k = 1
            while k + 3 < n:
                a, b = row(given, cols, t - k, j0, wide), row(given, cols, t - k - 1, j0, wide)
                c, d = row(given, cols, t - k - 2, j0, wide), row(given, cols, t - k - 3, j0, wide)
                _four_distances(now, a, b, c, d, float(k), sums)
                k += 4
            while k < n:
                _distances(now, row(given, cols, t - k, j0, wide), float(k), sums)
                k += 1
            if what == RSQUARE:
                squared[:] = 0.0
                for i in range(1, n):
                    _squares(now, row(given, cols, t - i, j0, wide), squared)
            for j in range(len(made)):
                total = sums[j]
                covariance = middle * total - sums[WIDE + j]
                slope = covariance / spread
                if what == SLOPE:
                    made[j] = slope
                elif what == RSQUARE:
                    variance = squared[j] - total * total / n
                    v = covariance * slope / variance
                    made[j] = np.nan if squared[j] == 0.0 else (1.0 if v > 1.0 else v)
                else:
                    made[j] = -total / n - slope * middle


def change(x: Floats, periods: int) -> Floats:
    """x / x[periods rows ago] - 1; NaN where there is none or it is 0. Negative periods look ahead."""
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
    """x / before - 1, cell by cell."""
    for t in range(len(x)):
        here, there, made = x[t], before[t], out[t]
        for j in range(len(here)):
            made[j] = here[j] / there[j] - 1.0 if there[j] != 0.0 else np.nan


@njit(**INNER)
def _swapped(places: Floats, ends: Floats) -> None:
    """A place in ascending order, and the next: with `old` gone what came after it moves up; `new` stays or goes on.

    ends: old and new, NARROW apart, as the places are.
    """
    for j in range(NARROW):
        v, w = places[j], ends[NARROW + j]
        v = v if v < ends[j] else places[NARROW + j]
        places[j] = v if v < w else w
        ends[NARROW + j] = w if v < w else v


@njit(**INNER)
def _four_swapped(places: Floats, ends: Floats) -> None:
    """Four places at once, so that what goes on stays in registers."""
    for j in range(NARROW):
        o, w = ends[j], ends[NARROW + j]
        a, b, c = places[j], places[NARROW + j], places[2 * NARROW + j]
        d, e = places[3 * NARROW + j], places[4 * NARROW + j]
        v = a if a < o else b
        places[j] = v if v < w else w
        w = w if v < w else v
        v = b if b < o else c
        places[NARROW + j] = v if v < w else w
        w = w if v < w else v
        v = c if c < o else d
        places[2 * NARROW + j] = v if v < w else w
        w = w if v < w else v
        v = d if d < o else e
        places[3 * NARROW + j] = v if v < w else w
        ends[NARROW + j] = w if v < w else v


@njit(**INNER)
def _filled(here: Floats, values: Floats, missing: Floats, change: float) -> None:
    """A row, infinite where it is missing; `missing` counts these."""
    for j in range(len(here)):
        v = here[j]
        values[j] = v if v == v else np.inf
        missing[j] += change if v != v else 0.0


def window_quantile(x: Floats, n: int, q: float) -> Floats:
    """Linear interpolation between order statistics of the window: each column's is kept in order (`held`), and from
    row to row one value is taken out and one put in, in one walk over its places for all columns at once."""
    out = np.empty(x.shape)
    held, ends, missing = room(1, (n + 1) * NARROW)[0], room(1, 2 * NARROW)[0], room(1, NARROW)[0]
    _window_quantile(x, n, q, out, held, ends, missing)
    return out


@njit(**OPTIONS)
def _window_quantile(x: Floats, n: int, q: float, out: Floats, held: Floats, ends: Floats, missing: Floats) -> None:
    rows, cols = x.shape
    given, found, order = x.ctypes.data, out.ctypes.data, held.ctypes.data
    old, new = ends[:NARROW], ends[NARROW:]
    place = q * (n - 1)
    low = int(np.floor(place))
    high = min(low + 1, n - 1)
    share = place - low
    for j0 in range(0, cols, NARROW):
        wide = min(NARROW, cols - j0)
        held[:], old[:], missing[:] = np.inf, np.inf, 0.0
        for t in range(rows):
            _filled(row(given, cols, t, j0, wide), new, missing, 1.0)
            if t >= n:
                _filled(row(given, cols, t - n, j0, wide), old, missing, -1.0)
            k = 0
            while k + 4 <= n:
                _four_swapped(row(order, NARROW, k, 0, 5 * NARROW), ends)
                k += 4
            while k < n:
                _swapped(row(order, NARROW, k, 0, 2 * NARROW), ends)
                k += 1
            made = row(found, cols, t, j0, wide)
            lower, upper = row(order, NARROW, low, 0, wide), row(order, NARROW, high, 0, wide)
            for j in range(len(made)):
                a, b = lower[j], upper[j]
                v = a if a == b else a + (b - a) * share
                made[j] = v if missing[j] == 0.0 and t >= n - 1 else np.nan
