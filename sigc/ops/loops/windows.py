"""Windows down the dates, per asset. The value at a row depends, bit for bit, on the rows of its window alone.

Sums, products and moments are combined in a doubling tree: windows of 1, 2, 4, ... rows are merged, and a
window of n rows is put together from its powers of two, the newest first. The tree is placed by the row it
ends at, never by the array, so neither blocks nor an earlier start change it; nothing runs along, so nothing
drifts. Moments merge by the formulas of Chan, Golub, LeVeque (1979) and Pebay (2008): no cancellation, and
equal values have exactly no spread. (What needs no tree: `scans.py`.)

All levels of a row are made before the next row. `now` is the level in hand, `made` what is put together so far,
`ring` the last w values of every level of w rows: they own its rows w to 2w - 1, row t the one at w + t % w. So the
place where a level of row t goes still holds that of row t - w, and these two are the next level:

    n = 6 = 4 + 2    row t    now = x[t]                    ring[1] holds x[t-1]
                              now = 2 rows up to t          ring[2 + t % 2] holds those up to t-2;  made = now
                              now = 4 rows up to t          made joins ring[4 + (t-2) % 4], the 4 rows up to t-2

Work goes by tiles of columns, so that a ring stays in the second-level cache. Rows of a tile are slices: an index
of two variables would be checked for wrapping at every element. Quantities that go together lie in one row, each
TILE after the other: with an array for each, the compiler would have to test so many pairs for overlap that it gives
up on vectors.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops.places import at, row
from sigc.ops.loops.vectors import TILE, WIDTH, claim, fetch, load, over_columns, put, root, tile, where

Floats = NDArray[np.float64]

# Narrow enough for a ring in the first-level cache or near it, wide enough for loops across them.
PART = 64
VARIANCE, DEVIATION, ZSCORE = 0, 1, 2
CORRELATION, COVARIANCE, BETA = 0, 1, 2


def room(rows: int, cols: int) -> Floats:
    """Rows that begin with a cache line, if `cols` is a multiple of 8: no vector lies across two lines."""
    space = np.empty(rows * cols + 8)
    skip = (-space.ctypes.data // 8) % 8
    return space[skip : skip + rows * cols].reshape(rows, cols)


def _ring(n: int, cols: int) -> Floats:
    """Room for every level of the tree."""
    rows = 2
    while rows <= n:
        rows *= 2
    return room(rows, cols)


@njit(**INNER)
def _held(ring: int, cells: int, width: int, t: int) -> Floats:
    """Of a ring that begins at an address: the window of `width` rows up to t."""
    return at(ring + 8 * cells * (width + (t & (width - 1))), cells)


@njit(**INNER)
def _copy(into: Floats, values: Floats) -> None:
    for j in range(len(values)):
        into[j] = values[j]


@njit(**INNER)
def _kept(ring: int, cells: int, width: int, t: int) -> int:
    """The address of what `_held` gives."""
    return ring + 8 * cells * (width + (t & (width - 1)))


def window_fold(x: Floats, n: int, product: bool, divisor: float) -> Floats:
    """The sum or the product, divided."""
    return over_columns(lambda x, out: _window_fold(x, n, product, divisor, out, _ring(n, TILE)), x)


@njit(**OPTIONS)
def _window_fold(x: Floats, n: int, product: bool, divisor: float, out: Floats, ring: Floats) -> None:
    rows, cols = x.shape
    given, found, rings = x.ctypes.data, out.ctypes.data, ring.ctypes.data
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        ring[:] = np.nan
        for t in range(rows):
            row = 8 * (t * cols + j0)
            for j in range(0, 8 * wide, 8 * WIDTH):
                fetch(given + row + j, cols)
                claim(found + row + j, cols)
                now = load(given + row + j)
                made = now
                width, offset = 1, 0
                while width <= n:
                    if n & width:
                        older = load(_kept(rings, TILE, width, t - offset) + j)
                        both = made * older if product else made + older
                        made = both if offset else now
                        offset += width
                    place = _kept(rings, TILE, width, t) + j
                    held = load(place)
                    put(place, now)
                    now = now * held if product else now + held
                    width *= 2
                put(found + row + j, made / divisor if divisor != 1.0 else made)
        done = j0 + wide


def window_moments(x: Floats, n: int, what: int) -> Floats:
    """VARIANCE, DEVIATION or ZSCORE of the window, ddof 1."""
    return over_columns(lambda x, out: _window_moments(x, n, what, out, _ring(n, 2 * TILE)), x)


@njit(**OPTIONS)
def _window_moments(x: Floats, n: int, what: int, out: Floats, ring: Floats) -> None:
    """Of a level: the mean, and the sum of squared deviations."""
    rows, cols = x.shape
    given, found, rings = x.ctypes.data, out.ctypes.data, ring.ctypes.data
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        ring[:] = np.nan
        for t in range(rows):
            row = 8 * (t * cols + j0)
            for j in range(0, 8 * wide, 8 * WIDTH):
                fetch(given + row + j, cols)
                claim(found + row + j, cols)
                here = load(given + row + j)
                mean = m = here + (here - here)  # NaN for an infinite row
                s = m - m
                place = _kept(rings, 2 * TILE, 1, t) + j
                d = load(place) - mean
                put(place, mean)
                mean, squares = mean + d * 0.5, d * d * 0.5
                width, offset = 2, n & 1
                while width <= n:
                    if n & width:
                        if offset == 0:
                            m, s = mean, squares
                        else:
                            place = _kept(rings, 2 * TILE, width, t - offset) + j
                            share = width / (offset + width)
                            d = load(place) - m
                            m = m + d * share
                            s = s + (load(place + 8 * TILE) + d * d * (offset * share))
                        offset += width
                    place = _kept(rings, 2 * TILE, width, t) + j
                    d, other = load(place) - mean, load(place + 8 * TILE)
                    put(place, mean)
                    put(place + 8 * TILE, squares)
                    if 2 * width <= n:
                        mean = mean + d * 0.5
                        squares = squares + (other + d * d * (0.5 * width))
                    width *= 2
                if what != VARIANCE:
                    made = root(s / (n - 1))
                    if what == ZSCORE:
                        made = where(s != 0.0, (here - m) / made, 0.0)
                else:
                    made = s / (n - 1)
                put(found + row + j, made)
        done = j0 + wide


def window_comoments(x: Floats, y: Floats, n: int, what: int) -> Floats:
    """CORRELATION, COVARIANCE (ddof 1) or BETA (of y on x); NaN unless all rows of both are valid."""
    return over_columns(lambda x, y, out: _window_comoments(x, y, n, what, out, _ring(n, 5 * TILE)), x, y)


@njit(**OPTIONS)
def _window_comoments(x: Floats, y: Floats, n: int, what: int, out: Floats, ring: Floats) -> None:
    """Of a level: means of x and y, sums of squared deviations of x, of y, and of their products."""
    rows, cols = x.shape
    given, other, found, rings = x.ctypes.data, y.ctypes.data, out.ctypes.data, ring.ctypes.data
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        ring[:] = np.nan
        for t in range(rows):
            row = 8 * (t * cols + j0)
            for j in range(0, 8 * wide, 8 * WIDTH):
                fetch(given + row + j, cols)
                claim(found + row + j, cols)
                fetch(other + row + j, cols)
                mx, my = load(given + row + j), load(other + row + j)
                xx = yy = xy = (mx - mx) + (my - my)  # 0, or NaN
                mx, my = mx + xx, my + xx
                ax, ay, axx, ayy, axy = mx, my, xx, yy, xy
                place = _kept(rings, 5 * TILE, 1, t) + j
                dx, dy = load(place) - mx, load(place + 8 * TILE) - my
                put(place, mx)
                put(place + 8 * TILE, my)
                mx, my = mx + dx * 0.5, my + dy * 0.5
                xx, yy, xy = dx * dx * 0.5, dy * dy * 0.5, dx * dy * 0.5
                width, offset = 2, n & 1
                while width <= n:
                    if n & width:
                        if offset == 0:
                            ax, ay, axx, ayy, axy = mx, my, xx, yy, xy
                        else:
                            place = _kept(rings, 5 * TILE, width, t - offset) + j
                            share = width / (offset + width)
                            both = offset * share
                            dx, dy = load(place) - ax, load(place + 8 * TILE) - ay
                            ax, ay = ax + dx * share, ay + dy * share
                            axx = axx + (load(place + 16 * TILE) + dx * dx * both)
                            ayy = ayy + (load(place + 24 * TILE) + dy * dy * both)
                            axy = axy + (load(place + 32 * TILE) + dx * dy * both)
                        offset += width
                    place = _kept(rings, 5 * TILE, width, t) + j
                    dx, dy = load(place) - mx, load(place + 8 * TILE) - my
                    put(place, mx)
                    put(place + 8 * TILE, my)
                    half = 0.5 * width
                    width *= 2
                    if width > n:
                        put(place + 16 * TILE, xx)
                        put(place + 24 * TILE, yy)
                        put(place + 32 * TILE, xy)
                        break
                    mx, my = mx + dx * 0.5, my + dy * 0.5
                    held = load(place + 16 * TILE)
                    put(place + 16 * TILE, xx)
                    xx = xx + (held + dx * dx * half)
                    held = load(place + 24 * TILE)
                    put(place + 24 * TILE, yy)
                    yy = yy + (held + dy * dy * half)
                    held = load(place + 32 * TILE)
                    put(place + 32 * TILE, xy)
                    xy = xy + (held + dx * dy * half)
                if what == CORRELATION:
                    # The roots first: the product of two tiny sums would underflow. Equal values have no squares.
                    v = axy / (root(axx) * root(ayy))
                    v = where(v < -1.0, -1.0, where(v > 1.0, 1.0, v))
                    v = where(axx == 0.0, np.nan, where(ayy == 0.0, np.nan, v))
                elif what == COVARIANCE:
                    v = axy / (n - 1)
                else:
                    v = where(axx == 0.0, np.nan, axy / axx)
                put(found + row + j, v)
        done = j0 + wide


@njit(**INNER)
def _powers_doubled(now: Floats, held: Floats, wide: int, width: int) -> None:
    """Mean and sums of second, third and fourth powers of deviations."""
    w = float(width)
    for j in range(wide):
        m, p2, p3, p4 = now[j], now[PART + j], now[2 * PART + j], now[3 * PART + j]
        q2, q3, q4 = held[PART + j], held[2 * PART + j], held[3 * PART + j]
        d = held[j] - m
        now[3 * PART + j] = p4 + (q4 + d**4 * (w / 8.0) + 1.5 * d * d * (q2 + p2) + 2.0 * d * (q3 - p3))
        now[2 * PART + j] = p3 + (q3 + 1.5 * d * (q2 - p2))
        now[PART + j] = p2 + (q2 + d * d * (0.5 * w))
        now[j] = m + d * 0.5
        held[j], held[PART + j], held[2 * PART + j], held[3 * PART + j] = m, p2, p3, p4


@njit(**INNER)
def _powers_joined(made: Floats, older: Floats, wide: int, offset: int, width: int) -> None:
    a, b = float(offset), float(width)
    c = a + b
    for j in range(wide):
        d = older[j] - made[j]
        p2, p3 = made[PART + j], made[2 * PART + j]
        q2, q3 = older[PART + j], older[2 * PART + j]
        made[3 * PART + j] += (
            older[3 * PART + j]
            + d**4 * (a * b * (a * a - a * b + b * b) / (c * c * c))
            + 6.0 * d * d * (a * a * q2 + b * b * p2) / (c * c)
            + 4.0 * d * (a * q3 - b * p3) / c
        )
        made[2 * PART + j] += q3 + d**3 * (a * b * (a - b) / (c * c)) + 3.0 * d * (a * q2 - b * p2) / c
        made[PART + j] += q2 + d * d * (a * b / c)
        made[j] += d * (b / c)


@njit(**INNER)
def _powers_finished(made: Floats, out: Floats, rows: int, kurtosis: bool) -> None:
    """The usual bias corrections; no spread gives 0."""
    n = float(rows)
    if kurtosis:
        for j in range(len(out)):
            m2, m4 = made[PART + j] / n, made[3 * PART + j] / n
            v = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / (m2 * m2) - 3.0) + 6.0)
            out[j] = 0.0 if made[PART + j] == 0.0 else v
    else:
        factor = np.sqrt(n * (n - 1)) / (n - 2)
        for j in range(len(out)):
            m2, m3 = made[PART + j] / n, made[2 * PART + j] / n
            v = factor * (m3 / (m2 * np.sqrt(m2)))
            out[j] = 0.0 if made[PART + j] == 0.0 else v


def window_shape(x: Floats, n: int, kurtosis: bool) -> Floats:
    """Excess kurtosis or skewness."""
    out = np.empty(x.shape)
    _window_shape(x, n, kurtosis, out, _ring(n, 4 * PART), room(1, 4 * PART)[0], room(1, 4 * PART)[0])
    return out


@njit(**OPTIONS)
def _window_shape(x: Floats, n: int, kurtosis: bool, out: Floats, ring: Floats, now: Floats, made: Floats) -> None:
    rows, cols = x.shape
    given, found, rings = x.ctypes.data, out.ctypes.data, ring.ctypes.data
    for j0 in range(0, cols, PART):
        wide = min(PART, cols - j0)
        ring[:] = np.nan
        for t in range(rows):
            here = row(given, cols, t, j0, wide)
            for j in range(wide):
                now[j] = here[j]
                now[PART + j] = now[2 * PART + j] = now[3 * PART + j] = here[j] - here[j]  # 0, or NaN
            width, offset = 1, 0
            while width <= n:
                if n & width:
                    if offset == 0:
                        _copy(made, now)
                    else:
                        _powers_joined(made, _held(rings, 4 * PART, width, t - offset), wide, offset, width)
                    offset += width
                held = _held(rings, 4 * PART, width, t)
                width *= 2
                if width > n:
                    _copy(held, now)
                else:
                    _powers_doubled(now, held, wide, width // 2)
            _powers_finished(made, row(found, cols, t, j0, wide), n, kurtosis)
