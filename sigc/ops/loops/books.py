"""What a book earns and trades, row by row, in one pass over weights and returns. Sums over a row go in lanes, as those
of `rows.py`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS, frozen
from sigc.ops.loops.places import at
from sigc.ops.loops.rows import LANES, halved

Floats = NDArray[np.float64]

EARNED, TURNOVER, GROSS, NET, UNPRICED, MISSING, FIGURES = range(7)


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
    """Of one row: the sums of absolute changes, of absolute weights and of weights; how many weights are missing. A
    missing weight counts as 0."""
    cols = len(held)
    whole, missing = cols - cols % LANES, 0
    lanes[:] = 0.0
    change, absolute, signed = lanes[0], lanes[1], lanes[2]
    for i in range(0, whole, LANES):
        x, y = held[i : i + LANES], before[i : i + LANES]
        for k in range(LANES):
            v, u = x[k], y[k]
            missing += v != v
            w = v if v == v else 0.0
            change[k] += abs(w - (u if u == u else 0.0))
            absolute[k] += abs(w)
            signed[k] += w
    for k in range(cols - whole):
        v, u = held[whole + k], before[whole + k]
        missing += v != v
        w = v if v == v else 0.0
        change[k] += abs(w - (u if u == u else 0.0))
        absolute[k] += abs(w)
        signed[k] += w
    return halved(change), halved(absolute), halved(signed), missing


@njit(**INNER)
def figures_of(held: Floats, before: Floats, returns: Floats, lanes: Floats, found: int, rows: int) -> None:
    """The figures of one row, to an address: `rows` apart."""
    made = at(found, (FIGURES - 1) * rows + 1)
    earns, unpriced = earned(before, returns, lanes[0])
    turnover, gross, net, missing = moved(held, before, lanes)
    made[EARNED * rows], made[TURNOVER * rows], made[GROSS * rows], made[NET * rows] = earns, turnover, gross, net
    made[UNPRICED * rows], made[MISSING * rows] = unpriced, missing


def followed(held: Floats, returns: Floats, before: Floats, figures: Floats, first: int = 0) -> None:
    """The figures by row of a book that is held as it is (missing weights count as 0), from the row `first` on of
    `figures` (FIGURES, all rows): what it earned, what it traded, its gross and its net exposure, how many assets were
    held that have no return, how many weights are missing. before: (assets,) weights of the row before."""
    _followed(frozen(held), frozen(returns), frozen(before), room(), figures, first)


def room() -> Floats:
    """Lanes for the sums of a row."""
    return np.empty((3, LANES))


@njit(**OPTIONS)
def _followed(held: Floats, returns: Floats, before: Floats, lanes: Floats, figures: Floats, first: int) -> None:
    for t in range(len(held)):
        row = held[t - 1] if t > 0 else before
        figures_of(held[t], row, returns[t], lanes, figures.ctypes.data + 8 * (first + t), figures.shape[1])


def exposures(held: Floats) -> tuple[Floats, Floats]:
    """Gross and net exposure by row: the sum of absolute weights, and that of weights; missing ones count as 0."""
    rows, cols = held.shape
    gross, net = np.empty(rows), np.empty(rows)
    _exposures(held, frozen(np.zeros(cols)), np.empty((3, LANES)), gross, net)
    return gross, net


@njit(**OPTIONS)
def _exposures(held: Floats, flat: Floats, lanes: Floats, gross: Floats, net: Floats) -> None:
    for t in range(len(held)):
        _, gross[t], net[t], _ = moved(held[t], flat, lanes)
