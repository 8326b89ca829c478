"""Sorting of rows across assets, in time linear in the assets.

A row goes into buckets finer than its values in one pass (`spread`), so that almost no work is left for `insert`.
Buckets are equally wide around the middle of the row and ever wider towards its tails, by the middle and the spread of
a sample (`by_distance`). A row that still has too many values in one bucket (two far clusters, say) is sorted by the
digits of its bits (`by_digits`). The order is the same either way: by (value, column). Few rows need the digits, and
most data have none such, so a loop is compiled without them first: it stops at a row that needs them, and its twin with
space for them continues there.

Begin with `arrange` (a row to the order of its columns). `ranks.py` uses orders and buckets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER
from sigc.ops.loops.vectors import WIDTH, each, load, put, where

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]  # unsigned: numba then emits no check for negative indices
Columns = NDArray[np.uint32]
Room = tuple[Columns, Floats, Codes, Codes, Floats]
Digits = tuple[NDArray[np.uint64], Codes]

FINENESS = 3  # buckets per asset
_ONE = np.uint32(1)
FEW = 64
SAMPLE, _DIGIT = 32, 11

# A distance of d spreads from the middle takes the share d / 2 of one side's buckets up to d = 1.5, then 1 - 1 / (8 (d
# - 1)).
_NEAR, _RISE, _BEYOND, _BEND = np.float32(1.5), np.float32(0.5), np.float32(-1.0), np.float32(0.125)


@njit(**INNER)
def valid_cells(row: Floats) -> int:
    """Return the number of cells that are not missing."""
    n = 0
    for j in range(len(row)):
        n += row[j] == row[j]
    return n


@njit(**INNER)
def middle(row: Floats, some: Floats) -> tuple[float, float]:
    """Return the median of a sample, and a spread: 0.6 times the distance of its quartiles. `some` is scratch space.

    It is (0, 0) if the sample is too small, or if distances can't be expressed in such units.

    The value of a rank is the largest value with at most that many below it.
    """
    found, step = 0, max(1, len(row) // SAMPLE)
    some[:] = np.nan
    for j in range(0, len(row), step):
        v = row[j]
        if v == v and found < SAMPLE:
            some[found] = v
            found += 1
    if found < 8:
        return 0.0, 0.0
    low = c = high = -np.inf
    first = some.ctypes.data
    for i in range(0, 8 * SAMPLE, 8 * WIDTH):
        v, below = load(first + i), each(0.0)
        for k in range(SAMPLE):
            below = where(v > some[k], below + 1.0, below)
        put(first + 8 * SAMPLE + i, below)
    for i in range(found):
        v, below = some[i], some[SAMPLE + i]
        low = max(low, v if below <= found // 4 else low)
        c = max(c, v if below <= found // 2 else c)
        high = max(high, v if below <= 3 * found // 4 else high)
    s = 0.6 * (high - low)
    return (c, s) if abs(c) < np.inf and 1e-300 < s < np.inf else (0.0, 0.0)


@njit(**INNER)
def by_distance(row: Floats, c: float, s: float, last: int, place: Codes) -> None:
    """Compute the bucket of each cell, below `last`; `last` for a missing one.

    Every step, rounding included, keeps the order, so single precision is enough.
    """
    half, none = np.float32(0.5 * (last - 1)), np.int32(last)
    slope, wide = half * _RISE, half * _BEND
    edge, unit = slope * _NEAR, 1.0 / s
    for j in range(len(row)):
        d = np.float32((row[j] - c) * unit)
        size = abs(d)
        far = max(edge, half - wide / (size + _BEYOND))
        q = slope * size if size < _NEAR else far
        b = np.int32(half - q if d < np.float32(0.0) else half + q)
        place[j] = b if d == d else none


@njit(**INNER)
def by_digits(row: Floats, order: Columns, values: Floats, columns: Columns, digits: Digits) -> None:
    """Sort columns and values, missing ones last: a radix sort of their bits, from the lowest digit up.

    `columns` and `digits` are scratch space.
    """
    cols = len(row)
    pair, count = digits
    keys, others = pair[0], pair[1]
    top = np.uint64(1 << 63)
    for j in range(cols):
        v = row[j] + 0.0  # -0 is 0
        bits = np.float64(v).view(np.uint64)
        keys[j] = (~bits if bits & top else bits | top) if v == v else np.uint64(0xFFFFFFFFFFFFFFFF)
        order[j] = np.uint32(j)
    mask = np.uint64((1 << _DIGIT) - 1)
    for digit in range(0, 64, _DIGIT):
        shift = np.uint64(digit)
        count[:] = 0
        for j in range(cols):
            count[(keys[j] >> shift) & mask] += _ONE
        total = np.uint32(0)
        for b in range(len(count)):
            here = count[b]
            count[b] = total
            total += here
        for j in range(cols):
            b = (keys[j] >> shift) & mask
            at = count[b]
            count[b] = at + _ONE
            others[at], columns[at] = keys[j], order[j]
        keys, others = others, keys
        for j in range(cols):
            order[j] = columns[j]
    for j in range(cols):
        values[j] = row[order[j]]


@njit(**INNER)
def tally(place: Codes, count: Codes) -> None:
    """Count the cells of each bucket."""
    for b in range(len(count)):
        count[b] = np.uint32(0)
    for j in range(len(place)):
        count[place[j]] += _ONE


@njit(**INNER)
def spread(row: Floats, place: Codes, count: Codes, order: Columns, values: Floats) -> None:
    """Write columns and values bucket by bucket, those of a bucket in their order."""
    tally(place, count)
    total = np.uint32(0)
    for b in range(len(count)):
        here = count[b]
        count[b] = total
        total += here
    for j in range(len(row)):
        b = place[j]
        at = count[b]
        count[b] = at + _ONE
        order[at] = np.uint32(j)
        values[at] = row[j]


@njit(**INNER)
def insert(n: int, most: int, order: Columns, values: Floats) -> bool:
    """Sort by insertion, stable for equal values; return False if given up after `most` moves."""
    moves, before = 0, values[0]
    for i in range(1, n):
        v = values[i]
        if v >= before:
            before = v
            continue
        c, k = order[i], i
        while k > 0 and values[k - 1] > v:
            values[k], order[k] = values[k - 1], order[k - 1]
            k -= 1
        values[k], order[k] = v, c
        moves += i - k
        if moves > most:
            return False
    return True


def room_of(cols: int) -> Room:
    """Return space for a row's order, its sorted values, the bucket of each cell, bucket counts (last: missing), a
    sample.
    """
    count = np.empty(FINENESS * cols + 3, np.uint32)
    return np.empty(cols, np.uint32), np.empty(cols), np.empty(cols, np.uint32), count, np.empty(2 * SAMPLE)


def digits_of(cols: int) -> Digits:
    """Return space for the keys of a row, twice, and for the counts of digits."""
    return np.empty((2, cols), np.uint64), np.empty(1 << _DIGIT, np.uint32)


def in_either_way(x: Floats, loop: Callable[[int, Digits | None], int]) -> None:
    """Run a loop over all rows without digits; where it stops for want of them, run it on from there with space for
    them.

    The loop without digits compiles faster, and is enough for most data.
    """
    done = loop(0, None)
    if done < len(x):
        loop(done, digits_of(x.shape[1]))


@njit(**INNER)
def arrange(
    row: Floats, order: Columns, values: Floats, place: Codes, count: Codes, some: Floats, digits: Digits | None
) -> tuple[int, bool]:
    """Write a row's columns in ascending order of (value, column), and its values in that order.

    Return the number of valid cells, and True if some are equal; -1 if it needs digits and has no space for them. The
    other arguments are scratch space, see `room_of` and `digits_of`.
    """
    n = valid_cells(row)
    if n == 0:
        return 0, False
    c, s = middle(row, some)
    done = False
    if n <= FEW:
        listed = 0
        for j in range(len(row)):
            if row[j] == row[j]:
                order[listed], values[listed] = np.uint32(j), row[j]
                listed += 1
        done = insert(n, n * n, order, values)
    elif s > 0.0:
        by_distance(row, c, s, len(count) - 1, place)
        spread(row, place, count, order, values)
        done = insert(n, 4 * n, order, values)
    if not done:
        if digits is None:
            return -1, False
        by_digits(row, order, values, place, digits)
    tied = 0
    for i in range(1, n):
        tied += values[i] == values[i - 1]
    return n, tied > 0
