"""Prices from row to row: returns, returns over gaps, and columns that may hold a jump. One pass for plain data."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS, frozen

Floats = NDArray[np.float64]
_NEARLY_ALL = 1.0 - 1e-9  # a larger loss may come from a price that is not positive


def looked_at(prices: Floats, up: float, down: float) -> tuple[Floats, NDArray[np.intp], bool]:
    """Return (close-to-close returns as `books.returns_of`, suspect columns, True if some prices are not positive).

    A column is suspect if a return on the last positive price is beyond the limits. Plain prices, the common case, take
    one pass.
    """
    out = np.empty(prices.shape)
    out[:1] = np.nan
    odd = _looked_at(frozen(prices), up, min(down, _NEARLY_ALL), out)
    if odd == 0 and bool((prices[:1] > 0.0).all()):
        return out, np.empty(0, np.intp), False
    flags, last = np.zeros(prices.shape[1]), np.full(prices.shape[1], np.nan)
    count = _suspects(frozen(prices), up, down, last, flags)
    return out, np.flatnonzero(flags), count > 0


@njit(**OPTIONS)
def _looked_at(prices: Floats, up: float, down: float, out: Floats) -> int:
    """Compute returns; return how many are missing or beyond the limits."""
    odd = 0
    for t in range(1, len(prices)):
        row, before, made = prices[t], prices[t - 1], out[t]
        for j in range(len(row)):
            v = row[j] / before[j] - 1.0
            made[j] = v + (v - v)  # NaN also for an infinite one
        for j in range(len(row)):  # a second loop: the row is in the cache, and both loops vectorise
            odd += not ((made[j] <= up) & (made[j] >= -down))
    return odd


@njit(**OPTIONS)
def _suspects(prices: Floats, up: float, down: float, last: Floats, flags: Floats) -> int:
    count = 0
    for t in range(len(prices)):
        row = prices[t]
        for j in range(len(row)):
            p, before = row[j], last[j]
            count += p <= 0.0
            change = p / before - 1.0
            flags[j] += (change > up) or (change < -down)
            last[j] = p if p > 0.0 else before
    return count


def over_gaps(prices: Floats) -> Floats:
    """Return the returns on the last price, in the row of the next one; NaN without one, or if not finite."""
    out = np.empty(prices.shape)
    _over_gaps(frozen(prices), np.full(prices.shape[1], np.nan), out)
    return out


@njit(**OPTIONS)
def _over_gaps(prices: Floats, last: Floats, out: Floats) -> None:
    for t in range(len(prices)):
        row, made = prices[t], out[t]
        for j in range(len(row)):
            v = row[j] / last[j] - 1.0
            made[j] = v + (v - v)
            last[j] = row[j] if row[j] == row[j] else last[j]
