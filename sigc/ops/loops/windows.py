"""Windows down the dates, per asset. The value at a row depends, bit for bit, on the rows of its window alone.

Sums, products and moments are combined in a doubling tree: windows of 1, 2, 4, ... rows are merged, and a
window of n rows is put together from its powers of two, the newest first. The tree is placed by the row it
ends at, never by the array, so neither blocks nor an earlier start change it; nothing runs along, so nothing
drifts. Moments merge by the formulas of Chan, Golub, LeVeque (1979) and Pebay (2008): no cancellation, and
equal values have exactly no spread.

Work goes by tiles of columns, so that a tile's rows stay in the second-level cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS

TILE = 64
Floats = NDArray[np.float64]


@njit(**OPTIONS)
def window_sum(x: Floats, n: int) -> Floats:
    rows, cols = x.shape
    out = np.full((rows, cols), np.nan)
    level = np.empty((rows, TILE))
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        for t in range(rows):
            for j in range(wide):
                level[t, j] = x[t, j0 + j]
        m, width, offset = n, 1, 0
        while m > 0:
            if m & 1:
                for t in range(n - 1, rows):
                    if offset == 0:
                        for j in range(wide):
                            out[t, j0 + j] = level[t, j]
                    else:
                        for j in range(wide):
                            out[t, j0 + j] += level[t - offset, j]
                offset += width
            m >>= 1
            if m > 0:
                for t in range(rows - 1, 2 * width - 2, -1):
                    for j in range(wide):
                        level[t, j] += level[t - width, j]
                width *= 2
    return out


@njit(**OPTIONS)
def window_product(x: Floats, n: int) -> Floats:
    rows, cols = x.shape
    out = np.full((rows, cols), np.nan)
    level = np.empty((rows, TILE))
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        for t in range(rows):
            for j in range(wide):
                level[t, j] = x[t, j0 + j]
        m, width, offset = n, 1, 0
        while m > 0:
            if m & 1:
                for t in range(n - 1, rows):
                    if offset == 0:
                        for j in range(wide):
                            out[t, j0 + j] = level[t, j]
                    else:
                        for j in range(wide):
                            out[t, j0 + j] *= level[t - offset, j]
                offset += width
            m >>= 1
            if m > 0:
                for t in range(rows - 1, 2 * width - 2, -1):
                    for j in range(wide):
                        level[t, j] *= level[t - width, j]
                width *= 2
    return out


@njit(**OPTIONS)
def window_extreme(x: Floats, n: int, sign: float) -> Floats:
    """The maximum for sign 1, the minimum for sign -1; NaN wins."""
    rows, cols = x.shape
    out = np.full((rows, cols), np.nan)
    level = np.empty((rows, TILE))
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        for t in range(rows):
            for j in range(wide):
                level[t, j] = x[t, j0 + j] * sign
        width = 1
        while 2 * width <= n:
            for t in range(rows - 1, 2 * width - 2, -1):
                for j in range(wide):
                    a, b = level[t, j], level[t - width, j]
                    level[t, j] = a if (a > b or a != a) else b
            width *= 2
        for t in range(n - 1, rows):
            for j in range(wide):
                a, b = level[t, j], level[t - (n - width), j]
                out[t, j0 + j] = (a if (a > b or a != a) else b) * sign
    return out


@njit(**OPTIONS)
def window_moments(x: Floats, n: int) -> tuple[Floats, Floats]:
    """Mean and sum of squared deviations."""
    rows, cols = x.shape
    mean = np.full((rows, cols), np.nan)
    square = np.full((rows, cols), np.nan)
    lm = np.empty((rows, TILE))
    ls = np.empty((rows, TILE))
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        for t in range(rows):
            for j in range(wide):
                v = x[t, j0 + j]
                lm[t, j] = v
                ls[t, j] = v - v  # 0, or NaN
        m, width, offset = n, 1, 0
        while m > 0:
            if m & 1:
                total = offset + width
                share, both = width / total, offset * (width / total)
                for t in range(n - 1, rows):
                    if offset == 0:
                        for j in range(wide):
                            mean[t, j0 + j] = lm[t, j]
                            square[t, j0 + j] = ls[t, j]
                    else:
                        for j in range(wide):
                            d = lm[t - offset, j] - mean[t, j0 + j]
                            mean[t, j0 + j] += d * share
                            square[t, j0 + j] += ls[t - offset, j] + d * d * both
                offset += width
            m >>= 1
            if m > 0:
                half = 0.5 * width
                for t in range(rows - 1, 2 * width - 2, -1):
                    for j in range(wide):
                        d = lm[t - width, j] - lm[t, j]
                        lm[t, j] += d * 0.5
                        ls[t, j] += ls[t - width, j] + d * d * half
                width *= 2
    return mean, square


@njit(**OPTIONS)
def window_comoments(x: Floats, y: Floats, n: int) -> tuple[Floats, Floats, Floats]:
    """Sums of squared deviations of x, of y, and of their products; NaN unless all rows of both are valid."""
    rows, cols = x.shape
    xx = np.full((rows, cols), np.nan)
    yy = np.full((rows, cols), np.nan)
    xy = np.full((rows, cols), np.nan)
    mx = np.empty((rows, TILE))
    my = np.empty((rows, TILE))
    lx = np.empty((rows, TILE))
    ly = np.empty((rows, TILE))
    lz = np.empty((rows, TILE))
    ax = np.empty((rows, TILE))
    ay = np.empty((rows, TILE))
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        for t in range(rows):
            for j in range(wide):
                a, b = x[t, j0 + j], y[t, j0 + j]
                missing = (a - a) + (b - b)  # 0, or NaN
                mx[t, j], my[t, j] = a + missing, b + missing
                lx[t, j] = ly[t, j] = lz[t, j] = missing
        m, width, offset = n, 1, 0
        while m > 0:
            if m & 1:
                total = offset + width
                share, both = width / total, offset * (width / total)
                for t in range(n - 1, rows):
                    s = t - offset
                    if offset == 0:
                        for j in range(wide):
                            ax[t, j], ay[t, j] = mx[t, j], my[t, j]
                            xx[t, j0 + j], yy[t, j0 + j], xy[t, j0 + j] = lx[t, j], ly[t, j], lz[t, j]
                    else:
                        for j in range(wide):
                            dx, dy = mx[s, j] - ax[t, j], my[s, j] - ay[t, j]
                            ax[t, j] += dx * share
                            ay[t, j] += dy * share
                            xx[t, j0 + j] += lx[s, j] + dx * dx * both
                            yy[t, j0 + j] += ly[s, j] + dy * dy * both
                            xy[t, j0 + j] += lz[s, j] + dx * dy * both
                offset += width
            m >>= 1
            if m > 0:
                half = 0.5 * width
                for t in range(rows - 1, 2 * width - 2, -1):
                    s = t - width
                    for j in range(wide):
                        dx, dy = mx[s, j] - mx[t, j], my[s, j] - my[t, j]
                        mx[t, j] += dx * 0.5
                        my[t, j] += dy * 0.5
                        lx[t, j] += lx[s, j] + dx * dx * half
                        ly[t, j] += ly[s, j] + dy * dy * half
                        lz[t, j] += lz[s, j] + dx * dy * half
                width *= 2
    return xx, yy, xy


@njit(**OPTIONS)
def window_moments4(x: Floats, n: int) -> tuple[Floats, Floats, Floats]:
    """Sums of second, third and fourth powers of deviations."""
    rows, cols = x.shape
    second = np.full((rows, cols), np.nan)
    third = np.full((rows, cols), np.nan)
    fourth = np.full((rows, cols), np.nan)
    lm = np.empty((rows, TILE))
    l2 = np.empty((rows, TILE))
    l3 = np.empty((rows, TILE))
    l4 = np.empty((rows, TILE))
    am = np.empty((rows, TILE))
    for j0 in range(0, cols, TILE):
        wide = min(TILE, cols - j0)
        for t in range(rows):
            for j in range(wide):
                v = x[t, j0 + j]
                lm[t, j] = v
                l2[t, j] = l3[t, j] = l4[t, j] = v - v
        m, width, offset = n, 1, 0
        while m > 0:
            if m & 1:
                for t in range(n - 1, rows):
                    s = t - offset
                    if offset == 0:
                        for j in range(wide):
                            am[t, j] = lm[t, j]
                            second[t, j0 + j], third[t, j0 + j], fourth[t, j0 + j] = l2[t, j], l3[t, j], l4[t, j]
                    else:
                        a, b = float(offset), float(width)
                        c = a + b
                        for j in range(wide):
                            d = lm[s, j] - am[t, j]
                            p2, p3 = second[t, j0 + j], third[t, j0 + j]
                            q2, q3 = l2[s, j], l3[s, j]
                            fourth[t, j0 + j] += (
                                l4[s, j]
                                + d**4 * (a * b * (a * a - a * b + b * b) / (c * c * c))
                                + 6.0 * d * d * (a * a * q2 + b * b * p2) / (c * c)
                                + 4.0 * d * (a * q3 - b * p3) / c
                            )
                            third[t, j0 + j] += (
                                q3 + d**3 * (a * b * (a - b) / (c * c)) + 3.0 * d * (a * q2 - b * p2) / c
                            )
                            second[t, j0 + j] += q2 + d * d * (a * b / c)
                            am[t, j] += d * (b / c)
                offset += width
            m >>= 1
            if m > 0:
                w = float(width)
                for t in range(rows - 1, 2 * width - 2, -1):
                    s = t - width
                    for j in range(wide):
                        d = lm[s, j] - lm[t, j]
                        p2, p3, q2, q3 = l2[t, j], l3[t, j], l2[s, j], l3[s, j]
                        l4[t, j] += l4[s, j] + d**4 * (w / 8.0) + 1.5 * d * d * (q2 + p2) + 2.0 * d * (q3 - p3)
                        l3[t, j] += q3 + 1.5 * d * (q2 - p2)
                        l2[t, j] += q2 + d * d * (0.5 * w)
                        lm[t, j] += d * 0.5
                width *= 2
    return second, third, fourth


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
