"""Row figures of a book: returns, trades and exposures, in one pass over weights and returns."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS, frozen
from sigc.ops.loops.lanes import LANES, lane_book, lane_size, lane_sum
from sigc.ops.loops.places import at, start

Floats = NDArray[np.float64]

EARNED, TURNOVER, GROSS, NET, UNPRICED, MISSING, FIGURES = range(7)


def returns_of(prices: Floats) -> Floats:
    """Return close-to-close returns; NaN in the first row, and if not finite."""
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
            made[j] = v + (v - v)  # NaN also for an infinite v


@njit(**INNER)
def count_missing(row: int, cols: int) -> int:
    """Return the number of missing values of a row, given by address."""
    values, count = at(row, cols), 0
    for j in range(cols):
        count += values[j] != values[j]
    return count


@njit(**INNER)
def _filled(row: int, cols: int, made: int) -> None:
    values, filled = at(row, cols), at(made, cols)
    for j in range(cols):
        v = values[j]
        filled[j] = v if v == v else 0.0


@njit(**INNER)
def figures_of(
    held: int, before: int, returns: int, cols: int, gaps: int, space: Floats, found: int, rows: int
) -> None:
    """Compute the figures of one row. All rows are addresses; the figures found are `rows` apart.

    gaps: the number of missing returns. space: as `room`.
    """
    lanes, unpriced, missing = start(space), 0, 0
    earned, turnover, gross, net = lane_book(held, before, returns, cols, lanes)
    if turnover != turnover or gross != gross:
        missing = count_missing(held, cols)
        now, then = start(space[1]), start(space[2])
        _filled(held, cols, now)
        _filled(before, cols, then)
        earned, turnover, gross, net = lane_book(now, then, returns, cols, lanes)
    if gaps > 0:
        back, into = at(returns, cols), at(before, cols)
        for j in range(cols):
            unpriced += (back[j] != back[j]) and (abs(into[j]) > 0.0)
    made = at(found, (FIGURES - 1) * rows + 1)
    made[EARNED * rows], made[TURNOVER * rows], made[GROSS * rows], made[NET * rows] = earned, turnover, gross, net
    made[UNPRICED * rows], made[MISSING * rows] = unpriced, missing


def followed(held: Floats, returns: Floats, before: Floats, figures: Floats, first: int = 0) -> None:
    """Compute the row figures of a book held as given (missing weights count as 0), from row `first` of `figures` on.

    figures: (FIGURES, all rows): earned, traded, gross and net exposure, the number of held assets without a return,
    the number of missing weights. before: (assets,) weights of the row before.
    """
    _followed(frozen(held), frozen(returns), frozen(before), room(held.shape[1]), figures, first)


def room(cols: int) -> Floats:
    """Return space for one row: its lanes, and two rows of weights."""
    return np.empty((3, max(cols, 4 * LANES)))


@njit(**OPTIONS)
def _followed(held: Floats, returns: Floats, before: Floats, space: Floats, figures: Floats, first: int) -> None:
    cols = held.shape[1]
    row = start(before)
    for t in range(len(held)):
        now, back = start(held) + 8 * t * cols, start(returns) + 8 * t * cols
        found = start(figures) + 8 * (first + t)
        figures_of(now, row, back, cols, count_missing(back, cols), space, found, figures.shape[1])
        row = now


def exposures(held: Floats) -> tuple[Floats, Floats]:
    """Return gross and net exposure by row: the sums of absolute weights, and of weights."""
    gross, net = np.empty(len(held)), np.empty(len(held))
    _exposures(held, np.empty(LANES), gross, net)
    return gross, net


@njit(**OPTIONS)
def _exposures(held: Floats, lanes: Floats, gross: Floats, net: Floats) -> None:
    cols = held.shape[1]
    for t in range(len(held)):
        row = start(held) + 8 * t * cols
        gross[t], net[t] = lane_size(row, cols, start(lanes)), lane_sum(row, cols, start(lanes))
