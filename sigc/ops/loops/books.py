"""What a book earns and trades, row by row, in one pass over weights and returns. Sums over a row go in lanes, as those
of `rows.py`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS
from sigc.ops.loops.rows import LANES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(**OPTIONS)
def returns_of(prices: Floats) -> Floats:
    """Close-to-close returns; NaN in the first row, and where they are not finite."""
    rows, cols = prices.shape
    out = np.empty((rows, cols))
    out[:1] = np.nan
    for t in range(1, rows):
        here, before, made = prices[t], prices[t - 1], out[t]
        for j in range(cols):
            v = here[j] / before[j] - 1.0
            made[j] = v + (v - v)  # NaN also for an infinite one
    return out


@njit(**OPTIONS)
def is_whole(weights: Floats) -> bool:
    """Whether no cell is missing."""
    missing = 0
    for t in range(len(weights)):
        row = weights[t]
        for j in range(len(row)):
            missing += row[j] != row[j]
    return missing == 0


@njit(**OPTIONS)
def total(lanes: Floats) -> float:
    """Lanes halved until one is left; they are lost."""
    wide = LANES // 2
    while wide > 0:
        for k in range(wide):
            lanes[k] += lanes[k + wide]
        wide //= 2
    return lanes[0]


@njit(**OPTIONS)
def earned(into: Floats, returns: Floats, lanes: Floats) -> tuple[float, int]:
    """The sum of weight x return of one row, and how many assets were held that have none."""
    cols = len(into)
    whole, missing = cols - cols % LANES, 0
    lanes[:] = 0.0
    for i in range(0, whole, LANES):
        w, r = into[i : i + LANES], returns[i : i + LANES]
        for k in range(LANES):
            v = w[k] * r[k]
            lanes[k] += v if r[k] == r[k] else 0.0
    for k in range(cols - whole):
        v = into[whole + k] * returns[whole + k]
        lanes[k] += v if returns[whole + k] == returns[whole + k] else 0.0
    for j in range(cols):
        missing += (into[j] != 0.0) and (returns[j] != returns[j])
    return total(lanes), missing


@njit(**OPTIONS)
def distance(a: Floats, b: Floats, lanes: Floats) -> float:
    """The sum of absolute differences."""
    cols = len(a)
    whole = cols - cols % LANES
    lanes[:] = 0.0
    for i in range(0, whole, LANES):
        x, y = a[i : i + LANES], b[i : i + LANES]
        for k in range(LANES):
            lanes[k] += abs(x[k] - y[k])
    for k in range(cols - whole):
        lanes[k] += abs(a[whole + k] - b[whole + k])
    return total(lanes)


@njit(**OPTIONS)
def followed(held: Floats, returns: Floats) -> tuple[Floats, Floats, Ints]:
    """Of a book that is held as it is, flat before: what it earned by row, what it traded, held assets without a
    return."""
    rows, cols = held.shape
    gross, turnover, missing = np.zeros(rows), np.zeros(rows), np.zeros(rows, np.int64)
    lanes, flat = np.empty(LANES), np.zeros(cols)
    for t in range(rows):
        before = held[t - 1] if t > 0 else flat
        gross[t], missing[t] = earned(before, returns[t], lanes)
        turnover[t] = distance(held[t], before, lanes)
    return gross, turnover, missing


@njit(**OPTIONS)
def exposures(held: Floats) -> tuple[Floats, Floats]:
    """Gross and net exposure by row: the sum of absolute weights, and that of weights."""
    rows, cols = held.shape
    gross, net = np.empty(rows), np.empty(rows)
    whole = cols - cols % LANES
    absolute, signed = np.empty(LANES), np.empty(LANES)
    for t in range(rows):
        row = held[t]
        absolute[:] = 0.0
        signed[:] = 0.0
        for i in range(0, whole, LANES):
            w = row[i : i + LANES]
            for k in range(LANES):
                absolute[k] += abs(w[k])
                signed[k] += w[k]
        for k in range(cols - whole):
            absolute[k] += abs(row[whole + k])
            signed[k] += row[whole + k]
        gross[t], net[t] = total(absolute), total(signed)
    return gross, net
