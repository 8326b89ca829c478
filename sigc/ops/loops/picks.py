"""Books of the largest and smallest cells of a row, without sorting it.

Given the value of the last one picked on either side, a comparison picks the rest. Mostly these values are still those
of the row before (for ranks, say), which one count confirms; otherwise they are searched like quantiles
(`quantiles.py`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops.quantiles import LEAST, MOST, Floats, Keys, key_of, pair, room, value_of


@njit(**INNER)
def counted(row: Floats, upper: float, lower: float) -> tuple[int, int, int]:
    """Return the number of valid cells, of those at least `upper`, and of those at most `lower`."""
    n = above = below = 0
    for j in range(len(row)):
        v = row[j]
        n += v == v
        above += v >= upper
        below += v <= lower
    return n, above, below


@njit(**INNER)
def keys_of(row: Floats, keys: Keys) -> tuple[int, int]:
    """Fill `keys`, MOST for missing, one key for both zeros; return the smallest and largest of the others."""
    low, high = MOST, LEAST
    for j in range(len(row)):
        v = row[j]
        key = key_of(v + 0.0)
        keys[j] = key if v == v else MOST
        low = min(low, key if v == v else MOST)
        high = max(high, key if v == v else LEAST)
    return low, high


@njit(**INNER)
def edges(row: Floats, n: int, k: int, m: int, keys: Keys, guess: Keys) -> tuple[float, float, bool]:
    """Return the k-th largest and m-th smallest of n valid cells (NaN for none), and True if another cell equals one of
    them.
    """
    low, high = keys_of(row, keys)
    most, least = np.int64(MOST), np.int64(LEAST)  # as values NaN
    upper, under = (low, least) if k == n else (most, least)
    if 0 < k < n:
        under, upper = pair(keys, n, low, high, n - k - 1, guess[0])
    lower, over = (high, most) if m == n else (least, most)
    if 0 < m < n:
        lower, over = pair(keys, n, low, high, m - 1, guess[1])
    return value_of(upper), value_of(lower), under == upper or lower == over


@njit(**INNER)
def shared_out(
    row: Floats, k: int, m: int, long: float, short: float, upper: float, lower: float, made: Floats
) -> None:
    """Fill the book when too many cells equal an edge: longs are taken from the row's end, shorts from its start."""
    for j in range(len(row)):
        v = row[j]
        made[j] = long if v > upper else (short if v < lower else 0.0)
        k -= v > upper
        m -= v < lower
    j = len(row)
    while k > 0:
        j -= 1
        if row[j] == upper:
            made[j] = long
            k -= 1
    j = 0
    while m > 0:
        if row[j] == lower:
            made[j] = short
            m -= 1
        j += 1


def long_short(x: Floats, top: float, bottom: float, cap: float, out: Floats) -> None:
    """Compute +1/k for the k largest, -1/m for the m smallest, else 0; a row of 1 valid cell is 0, one of none NaN."""
    _long_short(x, top, bottom, cap, out, *room(x.shape[1]))


@njit(**OPTIONS)
def _long_short(x: Floats, top: float, bottom: float, cap: float, out: Floats, keys: Keys, guess: Keys) -> None:
    upper = lower = np.nan
    for t in range(len(x)):
        row, made = x[t], out[t]
        n, above, below = counted(row, upper, lower)
        if n < 2:
            made[:] = 0.0 if n else np.nan
            continue
        k = min(np.int64(np.ceil(n * top - 1e-9)), n)
        m = min(np.int64(np.ceil(n * bottom - 1e-9)), n - k)
        long, short = min(1.0 / k, cap), -min(1.0 / m, cap)
        if above != k or below != m:
            upper, lower, tied = edges(row, n, k, m, keys, guess)
            if tied:
                shared_out(row, k, m, long, short, upper, lower, made)
                continue
        for j in range(len(row)):
            v = row[j]
            made[j] = long if v >= upper else (short if v <= lower else 0.0)
