"""What a book earns and trades, row by row, in one pass over weights and returns. Sums over a row go in lanes, as those
of `rows.py`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS, frozen
from sigc.ops.loops.rows import LANES, halved

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def returns_of(prices: Floats) -> Floats:
    """Close-to-close returns; NaN in the first row, and where they are not finite."""
    out = np.empty(prices.shape)
    out[:1] = np.nan
    _returns_of(prices, out)
    return out


@njit(**OPTIONS)
def _returns_of(prices: Floats, out: Floats) -> None:
    rows, cols = prices.shape
    for t in range(1, rows):
        here, before, made = prices[t], prices[t - 1], out[t]
        for j in range(cols):
            v = here[j] / before[j] - 1.0
            made[j] = v + (v - v)  # NaN also for an infinite one


@njit(**INNER)
def earned(into: Floats, returns: Floats, lanes: Floats) -> tuple[float, int]:
    """The sum of weight x return of one row, and how many assets were held that have none."""
    cols = len(into)
    whole, missing = cols - cols % LANES, 0
    lanes[:] = 0.0
    for i in range(0, whole, LANES):
        w, r = into[i : i + LANES], returns[i : i + LANES]
        for k in range(LANES):
            v = w[k] * r[k]
            lanes[k] += v if v == v else 0.0
    for k in range(cols - whole):
        v = into[whole + k] * returns[whole + k]
        lanes[k] += v if v == v else 0.0
    for j in range(cols):
        missing += (returns[j] != returns[j]) and (abs(into[j]) > 0.0)
    return halved(lanes), missing


@njit(**INNER)
def moved(held: Floats, before: Floats, lanes: Floats) -> tuple[float, float, float, int]:
    """Of one row: the sums of absolute changes, of absolute weights and of weights; how many weights are missing."""
    cols = len(held)
    whole, missing = cols - cols % LANES, 0
    lanes[:] = 0.0
    change, absolute, signed = lanes[0], lanes[1], lanes[2]
    for i in range(0, whole, LANES):
        x, y = held[i : i + LANES], before[i : i + LANES]
        for k in range(LANES):
            w = x[k]
            missing += w != w
            change[k] += abs(w - y[k])
            absolute[k] += abs(w)
            signed[k] += w
    for k in range(cols - whole):
        w = held[whole + k]
        missing += w != w
        change[k] += abs(w - before[whole + k])
        absolute[k] += abs(w)
        signed[k] += w
    return halved(change), halved(absolute), halved(signed), missing


def followed(held: Floats, returns: Floats) -> tuple[Floats, Ints]:
    """Of a book that is held as it is, flat before, by row: what it earned, what it traded, its gross and its net
    exposure, (4, rows); and how many held assets have no return, and how many weights are missing, (2, rows)."""
    rows, cols = held.shape
    sums, counts = np.empty((4, rows)), np.empty((2, rows), np.int64)
    _followed(held, returns, frozen(np.zeros(cols)), np.empty((3, LANES)), sums, counts)
    return sums, counts


@njit(**OPTIONS)
def _followed(held: Floats, returns: Floats, flat: Floats, lanes: Floats, sums: Floats, counts: Ints) -> None:
    for t in range(len(held)):
        before = held[t - 1] if t > 0 else flat
        sums[0, t], counts[0, t] = earned(before, returns[t], lanes[0])
        sums[1, t], sums[2, t], sums[3, t], counts[1, t] = moved(held[t], before, lanes)


def exposures(held: Floats) -> tuple[Floats, Floats]:
    """Gross and net exposure by row: the sum of absolute weights, and that of weights."""
    rows, cols = held.shape
    gross, net = np.empty(rows), np.empty(rows)
    _exposures(held, frozen(np.zeros(cols)), np.empty((3, LANES)), gross, net)
    return gross, net


@njit(**OPTIONS)
def _exposures(held: Floats, flat: Floats, lanes: Floats, gross: Floats, net: Floats) -> None:
    for t in range(len(held)):
        _, gross[t], net[t], _ = moved(held[t], flat, lanes)
