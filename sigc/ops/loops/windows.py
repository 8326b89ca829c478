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

Floats = NDArray[np.float64]

# Narrow enough for a ring in the first-level cache or near it, wide enough for loops across them.
TILE, PART = 120, 64
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
def _doubled(now: Floats, held: Floats, product: bool) -> None:
    """`now` joins the window before it; `held` becomes what `now` was."""
    if product:
        for j in range(len(now)):
            v = now[j]
            now[j] = v * held[j]
            held[j] = v
    else:
        for j in range(len(now)):
            v = now[j]
            now[j] = v + held[j]
            held[j] = v


@njit(**INNER)
def _joined(made: Floats, older: Floats, product: bool) -> None:
    if product:
        for j in range(len(made)):
            made[j] *= older[j]
    else:
        for j in range(len(made)):
            made[j] += older[j]


def window_fold(x: Floats, n: int, product: bool, divisor: float) -> Floats:
    """The sum or the product, divided."""
    out = np.empty(x.shape)
    _window_fold(x, n, product, divisor, out, _ring(n, TILE), room(1, TILE)[0])
    return out


@njit(**OPTIONS)
def _window_fold(x: Floats, n: int, product: bool, divisor: float, out: Floats, ring: Floats, buffer: Floats) -> None:
    rows, cols = x.shape
    given, found, rings = x.ctypes.data, out.ctypes.data, ring.ctypes.data
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        now = at(buffer.ctypes.data, wide)
        ring[:] = np.nan
        for t in range(rows):
            made = row(found, cols, t, j0, wide)
            _copy(now, row(given, cols, t, j0, wide))
            width, offset = 1, 0
            while width <= n:
                if n & width:
                    if offset == 0:
                        _copy(made, now)
                    else:
                        _joined(made, _held(rings, TILE, width, t - offset), product)
                    offset += width
                held = _held(rings, TILE, width, t)
                width *= 2
                if width > n:
                    _copy(held, now)
                else:
                    _doubled(now, held, product)
            if divisor != 1.0:
                for j in range(wide):
                    made[j] /= divisor


@njit(**INNER)
def _moments_paired(x: Floats, now: Floats, held: Floats) -> None:
    """Two rows: mean and sum of squared deviations."""
    for j in range(len(x)):
        m, before = x[j], held[j]
        d = before - m
        held[j] = m
        now[j] = m + d * 0.5
        now[TILE + j] = d * d * 0.5 + ((m - m) + (before - before))  # NaN also with an infinite row


@njit(**INNER)
def _moments_doubled(now: Floats, held: Floats, wide: int, width: int) -> None:
    half = 0.5 * width
    for j in range(wide):
        m, s, hm, hs = now[j], now[TILE + j], held[j], held[TILE + j]
        d = hm - m
        now[j] = m + d * 0.5
        now[TILE + j] = s + (hs + d * d * half)
        held[j], held[TILE + j] = m, s


@njit(**INNER)
def _moments_joined(made: Floats, older: Floats, wide: int, offset: int, width: int) -> None:
    """`offset` rows, and `width` before them."""
    share = width / (offset + width)
    both = offset * share
    for j in range(wide):
        d = older[j] - made[j]
        made[j] += d * share
        made[TILE + j] += older[TILE + j] + d * d * both


def window_moments(x: Floats, n: int, what: int) -> Floats:
    """VARIANCE, DEVIATION or ZSCORE of the window, ddof 1."""
    out = np.empty(x.shape)
    _window_moments(x, n, what, out, _ring(n, 2 * TILE), room(1, 2 * TILE)[0], room(1, 2 * TILE)[0])
    return out


@njit(**OPTIONS)
def _window_moments(x: Floats, n: int, what: int, out: Floats, ring: Floats, now: Floats, made: Floats) -> None:
    rows, cols = x.shape
    given, found, rings = x.ctypes.data, out.ctypes.data, ring.ctypes.data
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        ring[:] = np.nan
        for t in range(rows):
            here, there = row(given, cols, t, j0, wide), row(found, cols, t, j0, wide)
            _moments_paired(here, now, _held(rings, 2 * TILE, 1, t))
            width, offset = 2, n & 1
            if offset:
                for j in range(wide):
                    made[j], made[TILE + j] = here[j], here[j] - here[j]  # no spread, or NaN
            while width <= n:
                if n & width:
                    if offset == 0:
                        _copy(made, now)
                    else:
                        _moments_joined(made, _held(rings, 2 * TILE, width, t - offset), wide, offset, width)
                    offset += width
                held = _held(rings, 2 * TILE, width, t)
                width *= 2
                if width > n:
                    _copy(held, now)
                else:
                    _moments_doubled(now, held, wide, width // 2)
            if what == VARIANCE:
                for j in range(wide):
                    there[j] = made[TILE + j] / (n - 1)
            elif what == DEVIATION:
                for j in range(wide):
                    there[j] = np.sqrt(made[TILE + j] / (n - 1))
            else:
                for j in range(wide):
                    s = made[TILE + j]
                    there[j] = (here[j] - made[j]) / np.sqrt(s / (n - 1)) if s != 0.0 else 0.0


@njit(**INNER)
def _comoments_paired(x: Floats, y: Floats, now: Floats, held: Floats) -> None:
    """Two rows: means of x and y, sums of squared deviations of x, of y, and of their products."""
    for j in range(len(x)):
        missing = (x[j] - x[j]) + (y[j] - y[j])  # 0, or NaN
        mx, my = x[j] + missing, y[j] + missing
        dx, dy = held[j] - mx, held[PART + j] - my
        held[j], held[PART + j] = mx, my
        now[j] = mx + dx * 0.5
        now[PART + j] = my + dy * 0.5
        now[2 * PART + j] = dx * dx * 0.5
        now[3 * PART + j] = dy * dy * 0.5
        now[4 * PART + j] = dx * dy * 0.5


@njit(**INNER)
def _comoments_doubled(now: Floats, held: Floats, wide: int, width: int) -> None:
    half = 0.5 * width
    for j in range(wide):
        mx, my = now[j], now[PART + j]
        xx, yy, xy = now[2 * PART + j], now[3 * PART + j], now[4 * PART + j]
        dx, dy = held[j] - mx, held[PART + j] - my
        now[j] = mx + dx * 0.5
        now[PART + j] = my + dy * 0.5
        now[2 * PART + j] = xx + (held[2 * PART + j] + dx * dx * half)
        now[3 * PART + j] = yy + (held[3 * PART + j] + dy * dy * half)
        now[4 * PART + j] = xy + (held[4 * PART + j] + dx * dy * half)
        held[j], held[PART + j] = mx, my
        held[2 * PART + j], held[3 * PART + j], held[4 * PART + j] = xx, yy, xy


@njit(**INNER)
def _comoments_joined(made: Floats, older: Floats, wide: int, offset: int, width: int) -> None:
    share = width / (offset + width)
    both = offset * share
    for j in range(wide):
        dx, dy = older[j] - made[j], older[PART + j] - made[PART + j]
        made[j] += dx * share
        made[PART + j] += dy * share
        made[2 * PART + j] += older[2 * PART + j] + dx * dx * both
        made[3 * PART + j] += older[3 * PART + j] + dy * dy * both
        made[4 * PART + j] += older[4 * PART + j] + dx * dy * both


@njit(**INNER)
def _comoments_finished(made: Floats, out: Floats, n: int, what: int) -> None:
    for j in range(len(out)):
        xx, yy, xy = made[2 * PART + j], made[3 * PART + j], made[4 * PART + j]
        if what == CORRELATION:
            # The roots first: the product of two tiny sums would underflow. Equal values have exactly no squares.
            v = xy / (np.sqrt(xx) * np.sqrt(yy))
            v = -1.0 if v < -1.0 else (1.0 if v > 1.0 else v)
            out[j] = np.nan if xx == 0.0 or yy == 0.0 else v
        elif what == COVARIANCE:
            out[j] = xy / (n - 1)
        else:
            out[j] = np.nan if xx == 0.0 else xy / xx


def window_comoments(x: Floats, y: Floats, n: int, what: int) -> Floats:
    """CORRELATION, COVARIANCE (ddof 1) or BETA (of y on x); NaN unless all rows of both are valid."""
    out = np.empty(x.shape)
    _window_comoments(x, y, n, what, out, _ring(n, 5 * PART), room(1, 5 * PART)[0], room(1, 5 * PART)[0])
    return out


@njit(**OPTIONS)
def _window_comoments(
    x: Floats, y: Floats, n: int, what: int, out: Floats, ring: Floats, now: Floats, made: Floats
) -> None:
    rows, cols = x.shape
    given, found, rings = x.ctypes.data, out.ctypes.data, ring.ctypes.data
    other = y.ctypes.data
    for j0 in range(0, cols, PART):
        wide = min(PART, cols - j0)
        ring[:] = np.nan
        for t in range(rows):
            xs, ys = row(given, cols, t, j0, wide), row(other, cols, t, j0, wide)
            _comoments_paired(xs, ys, now, _held(rings, 5 * PART, 1, t))
            width, offset = 2, n & 1
            if offset:
                for j in range(wide):
                    missing = (xs[j] - xs[j]) + (ys[j] - ys[j])  # 0, or NaN
                    made[j], made[PART + j] = xs[j] + missing, ys[j] + missing
                    made[2 * PART + j] = made[3 * PART + j] = made[4 * PART + j] = missing
            while width <= n:
                if n & width:
                    if offset == 0:
                        _copy(made, now)
                    else:
                        _comoments_joined(made, _held(rings, 5 * PART, width, t - offset), wide, offset, width)
                    offset += width
                held = _held(rings, 5 * PART, width, t)
                width *= 2
                if width > n:
                    _copy(held, now)
                else:
                    _comoments_doubled(now, held, wide, width // 2)
            _comoments_finished(made, row(found, cols, t, j0, wide), n, what)


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
