"""Books of the largest and the smallest of a row, mostly without putting the row in order: its buckets (`ranks.py`)
tell on which side of an edge a cell is, but for the cells of the two buckets where the edges are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops.ranks import (
    FEW,
    Codes,
    Columns,
    Digits,
    Floats,
    arrange,
    by_distance,
    in_either_way,
    insert,
    middle,
    room_of,
    tally,
    valid_cells,
)


@njit(**INNER)
def chosen(row: Floats, place: Codes, bucket: int, order: Columns, values: Floats) -> np.int64:
    """The columns and values of one bucket, ascending; how many, or -1 if they are more than few."""
    found = np.int64(0)
    for j in range(len(row)):
        if place[j] == bucket:
            if found == FEW:
                return np.int64(-1)
            order[found], values[found] = np.uint32(j), row[j]
            found += 1
    insert(found, found * found, order, values)
    return found


@njit(**INNER)
def edges(count: Codes, k: int, m: int) -> tuple[int, int, int, int]:
    """The buckets that hold the k-th largest and the m-th smallest, and how many cells of each are among these."""
    high, above = len(count) - 2, 0
    while high > 0 and above + count[high] < k:
        above += count[high]
        high -= 1
    low, under = 0, 0
    while low < len(count) - 2 and under + count[low] < m:
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
    last = len(count) - 1
    c, s = middle(row, some)
    if not (0.0 < s < np.inf and abs(c) < np.inf):
        return False
    by_distance(row, c, s, last, place)
    tally(place, count)
    best, take, worst, give = edges(count, k, m)
    for j in range(len(row)):
        b = np.int64(place[j])
        v = long if b > best else 0.0
        v = short if b < worst else v
        made[j] = v if b != last else 0.0
    found = chosen(row, place, best, order, values) if take else 0
    if found < 0:
        return False
    for i in range(found - take, found):
        made[order[i]] = long
    found = chosen(row, place, worst, order, values) if give else 0
    if found < 0:
        return False
    for i in range(give):
        made[order[i]] = short
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
