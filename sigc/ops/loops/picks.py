"""Books of the largest and the smallest of a row, mostly without putting the row in order: its buckets (`sorting.py`)
tell on which side of an edge a cell is, but for the cells of the two buckets where the edges are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops.sorting import (
    FEW,
    Codes,
    Columns,
    Digits,
    Floats,
    arrange,
    by_distance,
    in_either_way,
    middle,
    room_of,
    tally,
    valid_cells,
)

_STRIDE = 64  # cells looked at together


@njit(**INNER)
def choose(
    row: Floats,
    place: Codes,
    bucket: np.uint32,
    first: int,
    after: int,
    weight: float,
    order: Columns,
    values: Floats,
    made: Floats,
) -> None:
    """Of the few cells of a bucket, those of ascending order `first` up to `after` get the weight."""
    found = np.int64(0)
    for begin in range(0, len(row), _STRIDE):
        end, here = min(begin + _STRIDE, len(row)), 0
        for j in range(begin, end):
            here += place[j] == bucket
        if here:
            for j in range(begin, end):
                order[found], values[found] = np.uint32(j), row[j]
                found += place[j] == bucket
    for i in range(found):
        before = 0
        for k in range(found):
            before += values[k] < values[i] or (values[k] == values[i] and k < i)
        if first <= before < after:
            made[order[i]] = weight


@njit(**INNER)
def edges(count: Codes, last: int, k: int, m: int) -> tuple[int, int, int, int]:
    """The buckets that hold the k-th largest and the m-th smallest, and how many cells of each are among these."""
    high, above = last - 1, 0
    while above + count[high] < k:
        above += count[high]
        high -= 1
    low, under = 0, 0
    while under + count[low] < m:
        under += count[low]
        low += 1
    return high, k - above, low, m - under


@njit(**INNER)
def picked(
    row: Floats,
    k: int,
    m: int,
    long: float,
    short: float,
    place: Codes,
    count: Codes,
    order: Columns,
    values: Floats,
    some: Floats,
    made: Floats,
) -> bool:
    """A book of the k largest and the m smallest, without putting the row in order; false where that takes more than
    a look into two buckets."""
    last = len(row) // 2 + 2
    c, s = middle(row, some)
    if s == 0.0:
        return False
    by_distance(row, c, s, last, place)
    tally(place, count[: last + 1])
    best, take, worst, give = edges(count, last, k, m)
    if max(count[best], count[worst]) > FEW:
        return False
    upper, lower, none = np.uint32(best), np.uint32(worst), np.uint32(last)
    for j in range(len(row)):
        b = place[j]
        v = long if b > upper else 0.0
        v = short if b < lower else v
        made[j] = v if b != none else 0.0
    cells = np.int64(count[upper])
    choose(row, place, upper, cells - take, cells, long, order, values, made)
    choose(row, place, lower, np.int64(0), give, short, order, values, made)
    return True


def long_short(x: Floats, top: float, bottom: float, cap: float, out: Floats) -> None:
    """+1/k for the k largest, -1/m for the m smallest, the rest 0; rows with fewer than 2 valid cells are 0."""
    room = room_of(x.shape[1])
    in_either_way(x, lambda begin, digits: _long_short(x, begin, top, bottom, cap, out, *room, digits))


@njit(**OPTIONS)
def _long_short(
    x: Floats,
    begin: int,
    top: float,
    bottom: float,
    cap: float,
    out: Floats,
    order: Columns,
    values: Floats,
    place: Codes,
    count: Codes,
    some: Floats,
    digits: Digits | None,
) -> int:
    """The rows from `begin` on; returns the row where it stopped, as it must be put in order, for want of digits."""
    for t in range(begin, len(x)):
        row, made = x[t], out[t]
        n = valid_cells(row)
        if n < 2:
            made[:] = 0.0
            continue
        k = min(np.int64(np.ceil(n * top - 1e-9)), n)
        m = min(np.int64(np.ceil(n * bottom - 1e-9)), n - k)
        long, short = min(1.0 / k, cap), -min(1.0 / m, cap)
        if picked(row, k, m, long, short, place, count, order, values, some, made):
            continue
        if digits is None:
            return t
        arrange(row, order, values, place, count, some, digits)
        made[:] = 0.0
        for i in range(n - k, n):
            made[order[i]] = long
        for i in range(m):
            made[order[i]] = short
    return len(x)
