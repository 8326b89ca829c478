"""Windows down the dates, per asset. The value at a row depends, bit for bit, on the rows of its window alone.

Sums, products and moments are combined in a doubling tree: windows of 1, 2, 4, ... rows are merged, and a window of n
rows is composed of its powers of two, the newest first. The tree is placed by the row it ends at, never by the array,
so neither blocks nor an earlier start change it; there is no running sum, so nothing drifts. Moments merge by the
formulas of Chan, Golub, LeVeque (1979) and Pebay (2008): no cancellation, and equal values have exactly no spread.
(`scans.py`: figures that need no tree.)

All levels of a row are computed before the next row. `now` is the current level, `made` the window composed so far,
`ring` the last w values of every level of w rows: they own its rows w to 2w - 1, row t the one at w + t % w. So the
place for a level of row t still holds that of row t - w, and the two together are the next level:

    n = 6 = 4 + 2    row t    now = x[t]                    ring[1] holds x[t-1]
                              now = 2 rows up to t          ring[2 + t % 2] holds those up to t-2;  made = now
                              now = 4 rows up to t          made joins ring[4 + (t-2) % 4], the 4 rows up to t-2

Rows are walked by vectors (`vectors.py`), so that all levels of some columns stay in registers, and only the ring goes
to memory: to the L1 cache, as work goes by tiles of columns. Quantities of one level lie in one row of it, each TILE
after the other.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops.vectors import TILE, WIDTH, claim, fetch, load, over_columns, put, root, tile, where

Floats = NDArray[np.float64]

VARIANCE, DEVIATION, ZSCORE = 0, 1, 2
CORRELATION, COVARIANCE, BETA = 0, 1, 2


def room(rows: int, cols: int) -> Floats:
    """Return rows that begin at a cache line, if `cols` is a multiple of 8: no vector then crosses two lines."""
    space = np.empty(rows * cols + 8)
    skip = (-space.ctypes.data // 8) % 8
    return space[skip : skip + rows * cols].reshape(rows, cols)


def _ring(n: int, cols: int) -> Floats:
    """Return space for every level of the tree."""
    rows = 2
    while rows <= n:
        rows *= 2
    return room(rows, cols)


@njit(**INNER)
def _kept(ring: int, cells: int, width: int, t: int) -> int:
    """Return the address, in a ring with `cells` per row, of the window of `width` rows up to t."""
    return ring + 8 * cells * (width + (t & (width - 1)))


def window_fold(x: Floats, n: int, product: bool, divisor: float) -> Floats:
    """Return the sum or the product, divided."""
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
    """Return VARIANCE, DEVIATION or ZSCORE of the window, ddof 1."""
    return over_columns(lambda x, out: _window_moments(x, n, what, out, _ring(n, 2 * TILE)), x)


@njit(**OPTIONS)
def _window_moments(x: Floats, n: int, what: int, out: Floats, ring: Floats) -> None:
    """Compute them. A level is: the mean, and the sum of squared deviations."""
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
                mean = m = here + (here - here)  # NaN for an infinite value
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
    """Return CORRELATION, COVARIANCE (ddof 1) or BETA (of y on x); NaN unless all rows of both are valid."""
    return over_columns(lambda x, y, out: _window_comoments(x, y, n, what, out, _ring(n, 5 * TILE)), x, y)


@njit(**OPTIONS)
def _window_comoments(x: Floats, y: Floats, n: int, what: int, out: Floats, ring: Floats) -> None:
    """Compute them. A level is: means of x and y, sums of squared deviations of x, of y, and of their products."""
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
                    # Roots first: the product of two tiny sums would underflow. Equal values have sums of exactly 0.
                    v = axy / (root(axx) * root(ayy))
                    v = where(v < -1.0, -1.0, where(v > 1.0, 1.0, v))
                    v = where(axx == 0.0, np.nan, where(ayy == 0.0, np.nan, v))
                elif what == COVARIANCE:
                    v = axy / (n - 1)
                else:
                    v = where(axx == 0.0, np.nan, axy / axx)
                put(found + row + j, v)
        done = j0 + wide


def window_shape(x: Floats, n: int, kurtosis: bool) -> Floats:
    """Return excess kurtosis or skewness, with the usual bias corrections; no spread gives 0."""
    return over_columns(lambda x, out: _window_shape(x, n, kurtosis, out, _ring(n, 4 * TILE)), x)


@njit(**OPTIONS)
def _window_shape(x: Floats, n: int, kurtosis: bool, out: Floats, ring: Floats) -> None:
    """Compute it. A level is: the mean, and the sums of second, third and fourth powers of deviations."""
    rows, cols = x.shape
    given, found, rings = x.ctypes.data, out.ctypes.data, ring.ctypes.data
    count = float(n)
    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        ring[:] = np.nan
        for t in range(rows):
            row = 8 * (t * cols + j0)
            for j in range(0, 8 * wide, 8 * WIDTH):
                fetch(given + row + j, cols)
                claim(found + row + j, cols)
                mean = load(given + row + j)
                p2 = p3 = p4 = mean - mean  # 0, or NaN
                m, s2, s3, s4 = mean, p2, p3, p4
                width, offset = 1, 0
                while width <= n:
                    if n & width:
                        if offset == 0:
                            m, s2, s3, s4 = mean, p2, p3, p4
                        else:
                            place = _kept(rings, 4 * TILE, width, t - offset) + j
                            a, b, c = float(offset), float(width), float(offset + width)
                            d, q2, q3 = load(place) - m, load(place + 8 * TILE), load(place + 16 * TILE)
                            dd = d * d
                            s4 = s4 + (
                                load(place + 24 * TILE)
                                + dd * dd * (a * b * (a * a - a * b + b * b) / (c * c * c))
                                + d * 6.0 * d * (q2 * (a * a) + s2 * (b * b)) / (c * c)
                                + d * 4.0 * (q3 * a - s3 * b) / c
                            )
                            s3 = s3 + (q3 + d * dd * (a * b * (a - b) / (c * c)) + d * 3.0 * (q2 * a - s2 * b) / c)
                            s2 = s2 + (q2 + dd * (a * b / c))
                            m = m + d * (b / c)
                        offset += width
                    place = _kept(rings, 4 * TILE, width, t) + j
                    d, q2 = load(place) - mean, load(place + 8 * TILE)
                    q3, q4 = load(place + 16 * TILE), load(place + 24 * TILE)
                    put(place, mean)
                    put(place + 8 * TILE, p2)
                    put(place + 16 * TILE, p3)
                    put(place + 24 * TILE, p4)
                    dd = d * d
                    p4 = p4 + (q4 + dd * dd * (width / 8.0) + d * 1.5 * d * (q2 + p2) + d * 2.0 * (q3 - p3))
                    p3 = p3 + (q3 + d * 1.5 * (q2 - p2))
                    p2 = p2 + (q2 + dd * (0.5 * width))
                    mean = mean + d * 0.5
                    width *= 2
                m2 = s2 / count
                if kurtosis:
                    v = s4 / count / (m2 * m2) - 3.0
                    v = (v * (count + 1.0) + 6.0) * ((count - 1.0) / ((count - 2.0) * (count - 3.0)))
                else:
                    v = s3 / count / (m2 * root(m2)) * (np.sqrt(count * (count - 1.0)) / (count - 2.0))
                put(found + row + j, where(s2 == 0.0, 0.0, v))
        done = j0 + wide
