"""Recursions down the dates, per asset, that continue from a state: (components, assets), one column per asset.

To continue from a stored state gives the same bits as to run from the first row: the state is everything a row depends
on before it. A missing row leaves the state unchanged.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS

Floats = NDArray[np.float64]


@njit(**INNER)
def smooth(x: Floats, alpha: float, last: Floats, out: Floats) -> None:
    """Compute one row of an exponential mean: `last` moves by a share alpha towards valid values."""
    keep = 1.0 - alpha
    for j in range(len(x)):
        v, y = x[j], last[j]
        y = v if y != y else (alpha * v + keep * y if v == v else y)
        last[j] = y
        out[j] = y if v == v else np.nan


@njit(**OPTIONS)
def ema(x: Floats, alpha: float, last: Floats) -> Floats:
    """Return the exponential mean. `last` (assets,) is read and written."""
    out = np.empty(x.shape)
    for t in range(len(x)):
        smooth(x[t], alpha, last, out[t])
    return out


@njit(**OPTIONS)
def macd(x: Floats, fast: float, slow: float, signal: float, last: Floats) -> Floats:
    """Return the line, fast - slow, less its own mean; all three by their alphas. `last` (3, assets) is read and
    written.
    """
    out = np.empty(x.shape)
    line, mean = np.empty(x.shape[1]), np.empty(x.shape[1])
    for t in range(len(x)):
        made = out[t]
        smooth(x[t], fast, last[0], line)
        smooth(x[t], slow, last[1], mean)
        for j in range(len(made)):
            line[j] -= mean[j]
        smooth(line, signal, last[2], mean)
        for j in range(len(made)):
            made[j] = line[j] - mean[j]
    return out


@njit(**OPTIONS)
def forward(x: Floats, limit: float, last: Floats, age: Floats) -> Floats:
    rows, cols = x.shape
    out = np.empty((rows, cols))
    for t in range(rows):
        for j in range(cols):
            v = x[t, j]
            if v == v:
                last[j], age[j] = v, 0.0
            else:
                age[j] += 1.0
            out[t, j] = last[j] if age[j] <= limit else np.nan
    return out


@njit(**OPTIONS)
def accumulate(x: Floats, how: int, total: Floats) -> Floats:
    """Return running totals. how: 0 sum, 1 product, 2 maximum, 3 minimum."""
    rows, cols = x.shape
    out = np.empty((rows, cols))
    for t in range(rows):
        for j in range(cols):
            v = x[t, j]
            if v != v:
                out[t, j] = np.nan
                continue
            y = total[j]
            if how == 0:
                y = y + v
            elif how == 1:
                y = y * v
            elif how == 2:
                y = v if not (y >= v) else y
            else:
                y = v if not (y <= v) else y
            total[j] = y
            out[t, j] = y
    return out


@njit(**INNER)
def wilder(previous: float, value: float, count: float, n: float) -> float:
    """Return the mean of the first n values, then previous + (value - previous) / n."""
    if count < n:
        return previous + (value - previous) / (count + 1.0)
    return (previous * (n - 1.0) + value) / n


@njit(**OPTIONS)
def rsi(x: Floats, n: float, before: Floats, count: Floats, gain: Floats, loss: Floats) -> Floats:
    rows, cols = x.shape
    out = np.empty((rows, cols))
    for t in range(rows):
        for j in range(cols):
            v = x[t, j]
            change = v - before[j]
            before[j] = v
            if change == change:
                gain[j] = wilder(gain[j], max(change, 0.0), count[j], n)
                loss[j] = wilder(loss[j], max(-change, 0.0), count[j], n)
                count[j] = min(count[j] + 1.0, n)
            if v != v or count[j] < n:
                out[t, j] = np.nan
            else:
                both = gain[j] + loss[j]
                out[t, j] = 50.0 if both == 0.0 else 100.0 * (gain[j] / both)
    return out


@njit(**OPTIONS)
def atr(high: Floats, low: Floats, close: Floats, n: float, before: Floats, count: Floats, mean: Floats) -> Floats:
    rows, cols = high.shape
    out = np.empty((rows, cols))
    for t in range(rows):
        for j in range(cols):
            h, lo, c, p = high[t, j], low[t, j], close[t, j], before[j]
            before[j] = c
            span = h - lo
            if p == p:
                span = max(span, abs(h - p), abs(lo - p))
            if h != h or lo != lo or c != c:
                out[t, j] = np.nan
                continue
            mean[j] = wilder(mean[j], span, count[j], n)
            count[j] = min(count[j] + 1.0, n)
            out[t, j] = mean[j] if count[j] >= n else np.nan
    return out


@njit(**OPTIONS)
def vwap(price: Floats, volume: Floats, value: Floats, total: Floats) -> Floats:
    rows, cols = price.shape
    out = np.empty((rows, cols))
    for t in range(rows):
        for j in range(cols):
            p, v = price[t, j], volume[t, j]
            traded = p * v
            if traded != traded:
                out[t, j] = np.nan
                continue
            value[j] += traded
            total[j] += v
            out[t, j] = value[j] / total[j] if total[j] != 0.0 else np.nan
    return out
