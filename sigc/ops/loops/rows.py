"""Row statistics across assets, over the valid cells in the order of the assets.

A column that is missing throughout changes no bit, because it is never added, compared or counted. Sums go in lanes
(`lanes.py`), chosen by the place of a value among the valid ones, not by its column.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops.lanes import LANES, lane_size, lane_sum
from sigc.ops.loops.places import at, start
from sigc.ops.loops.quotients import divided

Floats = NDArray[np.float64]

MEAN, VARIANCE, DEVIATION, TOTAL, COUNT = 0, 1, 2, 3, 4
CENTRED, ZSCORE, SHARE = 0, 1, 2


@njit(**INNER)
def compact(row: Floats, some: Floats) -> int:
    """Copy the valid cells, one after the other; return their number."""
    n = 0
    for j in range(len(row)):
        n += row[j] == row[j]
    if n == len(row):
        for j in range(len(row)):
            some[j] = row[j]
        return n
    n = 0
    for j in range(len(row)):
        v = row[j]
        some[n] = v
        n += v == v
    return n


@njit(**INNER)
def lane_mean(values: Floats, n: int, lanes: Floats) -> tuple[float, bool]:
    """Return the mean (exactly the value if all are equal), and True if all are equal."""
    differ = 0
    for i in range(n):
        differ += values[i] != values[0]
    return (lane_sum(start(values), n, start(lanes)) / n, False) if differ else (values[0], True)


@njit(**INNER)
def lane_variance(values: Floats, n: int, mean: float, lanes: Floats) -> float:
    """Return the variance around the mean, ddof 1; `values` are overwritten."""
    for i in range(n):
        d = values[i] - mean
        values[i] = d * d
    return lane_sum(start(values), n, start(lanes)) / (n - 1.0)


def level(x: Floats, what: int) -> Floats:
    """Return TOTAL, MEAN, VARIANCE, DEVIATION or COUNT of the row's valid cells, in those cells."""
    out = np.empty(x.shape)
    _level(x, what, out, *room(x.shape[1]))
    return out


def standing(x: Floats, what: int) -> Floats:
    """Return the row CENTRED on its mean, as a ZSCORE, or as a SHARE of its sum of absolutes; flat rows give 0."""
    out = np.empty(x.shape)
    _standing(x, what, out, *room(x.shape[1]))
    return out


def room(cols: int) -> tuple[Floats, Floats]:
    """Return space for the valid cells of a row, and for lanes."""
    return np.empty(cols + 1), np.empty(LANES)


@njit(**OPTIONS)
def _level(x: Floats, what: int, out: Floats, some: Floats, lanes: Floats) -> None:
    rows, cols = x.shape
    for t in range(rows):
        here, made = at(start(x) + 8 * t * cols, cols), at(start(out) + 8 * t * cols, cols)
        n = compact(here, some)
        v = float(n)
        if n > 0 and what == TOTAL:
            v = lane_sum(start(some), n, start(lanes))
        elif n > 0 and what != COUNT:
            v, _ = lane_mean(some, n, lanes)
            if what != MEAN:
                v = lane_variance(some, n, v, lanes)
            if what == DEVIATION:
                v = np.sqrt(v)
        for j in range(cols):
            made[j] = v if here[j] == here[j] else np.nan


@njit(**OPTIONS)
def _standing(x: Floats, what: int, out: Floats, some: Floats, lanes: Floats) -> None:
    rows, cols = x.shape
    for t in range(rows):
        here, made = at(start(x) + 8 * t * cols, cols), at(start(out) + 8 * t * cols, cols)
        stand(here, what, made, some, lanes)


@njit(**INNER)
def stand(here: Floats, what: int, made: Floats, some: Floats, lanes: Floats) -> None:
    """Compute one row of `standing`."""
    cols = len(here)
    if what == SHARE:
        size = lane_size(start(here), cols, start(lanes))
        if size != size:  # a cell is missing
            size = lane_size(start(some), compact(here, some), start(lanes))
        divided(start(here), cols, 1.0 if size == 0.0 else size, start(made))
        return
    n = compact(here, some)
    if n == 0:
        made[:] = np.nan
        return
    mean, flat = lane_mean(some, n, lanes)
    if what == CENTRED:
        for j in range(cols):
            made[j] = here[j] - mean
    elif flat:
        for j in range(cols):
            made[j] = 0.0 if here[j] == here[j] else np.nan
    else:
        deviation = np.sqrt(lane_variance(some, n, mean, lanes))
        for j in range(cols):
            some[j] = here[j] - mean
        divided(start(some), cols, deviation, start(made))


def book_returns(w: Floats, r: Floats) -> Floats:
    """Return (rows, 1): the sum of w[t-1] * r[t] over the assets with both; NaN without any."""
    out = np.full((len(w), 1), np.nan)
    _book_returns(w, r, out)
    return out


@njit(**OPTIONS)
def _book_returns(w: Floats, r: Floats, out: Floats) -> None:
    rows, cols = w.shape
    for t in range(1, rows):
        n, s = 0, 0.0
        for j in range(cols):
            v = w[t - 1, j] * r[t, j]
            if v == v:
                n += 1
                s += v
        if n:
            out[t, 0] = s
