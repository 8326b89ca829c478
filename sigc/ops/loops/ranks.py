"""Ranks of rows across assets, mostly without sorting.

A cell alone in its bucket (`sorting.py`) has as rank the number of cells in the buckets before. The others are listed:
two in a bucket are compared, more are settled bucket by bucket. A row of few cells is one bucket.

Reading order: `ranked`, `together`, then `settled`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops.places import start
from sigc.ops.loops.sorting import (
    FEW,
    SAMPLE,
    Codes,
    Columns,
    Digits,
    Floats,
    Ints,
    arrange,
    by_digits,
    by_distance,
    in_either_way,
    middle,
    room_of,
    valid_cells,
)
from sigc.ops.loops.vectors import WIDTH, each, load, put, running, where

FINENESS = 4  # buckets per asset
_ONE = np.uint32(1)

Room = tuple[Codes, Codes, Codes, Columns, Columns, Floats, Floats]


def room(cols: int) -> Room:
    """Return space for the bucket of each cell and its number there, the count of each bucket (the last but one:
    missing cells), a list, the content of shared buckets (columns, values), and a sample.
    """
    place, number = np.empty(cols, np.uint32), np.empty(cols, np.uint32)
    count, listed = np.empty(FINENESS * cols + 4, np.uint32), np.empty(cols + 1, np.uint32)
    return place, number, count, listed, np.empty(cols + 1, np.uint32), np.empty(cols + WIDTH), np.empty(2 * SAMPLE)


@njit(**INNER)
def numbered(place: Codes, count: Codes, number: Codes) -> None:
    """Count the cells of each bucket, and number each cell within its own."""
    for b in range(len(count)):
        count[b] = np.uint32(0)
    for j in range(len(place)):
        b = place[j]
        before = count[b]
        number[j] = before
        count[b] = before + _ONE


@njit(**INNER)
def begins(count: Codes) -> None:
    """Turn the counts of buckets into the number of cells in the buckets before."""
    total, whole = np.uint32(0), len(count) - len(count) % WIDTH
    for b in range(0, whole, WIDTH):
        total = running(count.ctypes.data + 4 * b, total)
    for b in range(whole, len(count)):
        here = count[b]
        count[b] = total
        total += here


@njit(**INNER)
def compared(begin: int, end: int, order: Columns, values: Floats, some: Floats, made: Floats) -> None:
    """Rank the cells of one bucket by comparing each with all; equals get their average rank."""
    found, data = start(some), start(values)
    for i in range(begin, end, WIDTH):
        v, below, upto = load(data + 8 * i), each(0.0), each(0.0)
        for k in range(begin, end):
            w = values[k]
            below = where(v > w, below + 1.0, below)
            upto = where(v >= w, upto + 1.0, upto)
        put(found, (below + upto) * 0.5 + (begin - 0.5))
        for k in range(i, min(end, i + WIDTH)):
            made[order[k]] = some[k - i]


@njit(**INNER)
def settled(buckets: Columns, n: int, count: Codes, order: Columns, values: Floats, some: Floats, made: Floats) -> bool:
    """Rank the cells of the first n of `buckets`, from 0, equals by their average. Return False if that takes too long.

    Cells of a full bucket are mostly equal; if not, they are sorted by insertion.
    """
    for bucket in range(n):
        b = buckets[bucket]
        begin, end = np.int64(count[b]), np.int64(count[b + _ONE])
        differ = moves = 0
        for i in range(begin, end):
            differ += values[i] != values[begin]
        if differ and end - begin <= WIDTH:
            compared(begin, end, order, values, some, made)
            continue
        for i in range(begin + 1, end if differ else begin):
            v, c, k = values[i], order[i], i
            while k > begin and values[k - 1] > v:
                values[k], order[k] = values[k - 1], order[k - 1]
                k -= 1
            values[k], order[k] = v, c
            moves += i - k
            if moves > FEW * FEW + 4 * (end - begin):
                return False
        while begin < end:
            after = begin + 1 if differ else end
            while after < end and values[after] == values[begin]:
                after += 1
            for i in range(begin, after):
                made[order[i]] = 0.5 * (begin + after - 1)
            begin = after
    return True


@njit(**INNER)
def ranked(
    row: Floats,
    n: int,
    place: Codes,
    number: Codes,
    count: Codes,
    listed: Columns,
    order: Columns,
    values: Floats,
    some: Floats,
    made: Floats,
) -> np.int64:
    """Rank, from 0, those of the n valid cells that are at most two in their bucket.

    The other buckets are listed, and their cells put into their places. Return the number of these buckets, -1 if the
    row can't be bucketed.
    """
    found = np.int64(0)
    if n <= FEW:  # one bucket
        for j in range(len(row)):
            order[found], values[found] = np.uint32(j), row[j]
            found += row[j] == row[j]
        compared(np.int64(0), n, order, values, some, made)
        return np.int64(0)
    c, s = middle(row, some)
    if s == 0.0:
        return np.int64(-1)
    last = len(count) - 2
    by_distance(row, c, s, last, place)
    numbered(place, count, number)
    begins(count)
    count[last + 1] = count[last]  # the missing cells' bucket is never shared
    for j in range(len(row)):
        made[j] = count[place[j]]
    for j in range(len(row)):
        b = place[j]
        listed[found] = np.uint32(j)
        found += count[b + _ONE] - count[b] > _ONE
    return together(row, place, number, count, found, listed, order, values, made)


@njit(**INNER)
def together(
    row: Floats,
    place: Codes,
    number: Codes,
    count: Codes,
    found: int,
    listed: Columns,
    order: Columns,
    values: Floats,
    made: Floats,
) -> np.int64:
    """Put the first `found` listed cells, which share buckets, into their places, and rank them as pairs.

    Buckets of more than two are listed; return their number.
    """
    for i in range(found):
        j = listed[i]
        at = count[place[j]] + number[j]
        order[at], values[at] = j, row[j]
    many = np.int64(0)
    for i in range(found):
        j = listed[i]
        b, v = place[j], row[j]
        begin = np.int64(count[b])
        size = np.int64(count[b + _ONE]) - begin
        w = values[begin + (number[j] == 0)]  # of the other one
        made[j] = begin + 0.5 * (np.float64(v > w) + np.float64(v >= w))
        listed[many] = b
        many += (size > 2) & (number[j] == 0)
    return many


def ranks(x: Floats, buckets: float, out: Floats) -> None:
    """Compute average ranks r = 1..n of valid cells as (r - 1) / (n - 1), or, with buckets, ceil(r * buckets / n)."""
    space = room(x.shape[1])
    in_either_way(x, lambda begin, digits: _ranks(x, begin, buckets, out, *space, digits))


@njit(**OPTIONS)
def _ranks(
    x: Floats,
    begin: int,
    buckets: float,
    out: Floats,
    place: Codes,
    number: Codes,
    count: Codes,
    listed: Columns,
    order: Columns,
    values: Floats,
    some: Floats,
    digits: Digits | None,
) -> int:
    """Rank the rows from `begin` on; return the row at which it stopped because it needs digits."""
    cols = x.shape[1]
    for t in range(begin, len(x)):
        row, made = x[t], out[t]
        n = valid_cells(row)
        shared = ranked(row, n, place, number, count, listed, order, values, some, made)
        if shared < 0 or not settled(listed, shared, count, order, values, some, made):
            if digits is None:
                return t
            by_digits(row, order, values, place, digits)
            count[0], count[1], listed[0] = 0, n, 0
            settled(listed, np.int64(1), count, order, values, some, made)
        if n < cols:
            for j in range(cols):
                made[j] = made[j] if row[j] == row[j] else np.nan
        if buckets > 0.0:
            for j in range(cols):
                made[j] = np.ceil(((made[j] + 1.0) * buckets) / n)
        elif n == 1:
            for j in range(cols):
                made[j] += 0.5
        else:
            for j in range(cols):
                made[j] /= n - 1.0
    return len(x)


def group_ranks(x: Floats, codes: Codes, label: Ints, groups: int, out: Floats) -> None:
    """Compute average ranks within the group as (r - 1) / (n - 1); a lone asset 0.5; NaN without value or label."""
    cols = x.shape[1]
    size, begin, last = (np.empty(groups + 1, np.int32) for _ in range(3))
    room = (*room_of(cols), np.empty(cols, np.int32), size, begin, last, np.empty(groups + 1))
    in_either_way(x, lambda start, digits: _group_ranks(x, start, codes, label, out, *room, digits))


@njit(**OPTIONS)
def _group_ranks(
    x: Floats,
    start: int,
    codes: Codes,
    label: Ints,
    out: Floats,
    order: Columns,
    values: Floats,
    place: Codes,
    count: Codes,
    some: Floats,
    first: NDArray[np.int32],
    size: NDArray[np.int32],
    begin: NDArray[np.int32],
    last: NDArray[np.int32],
    least: Floats,
    digits: Digits | None,
) -> int:
    """Rank the rows from `start` on; return the row at which it stopped because it needs digits."""
    cols, groups = x.shape[1], len(least) - 1
    for t in range(start, len(x)):
        code, made = codes[label[t]], out[t]
        n, tied = arrange(x[t], order, values, place, count, some, digits)
        if n < 0:
            return t
        made[:] = np.nan
        size[:] = 0
        if not tied:
            for i in range(n):
                g = code[order[i]]
                made[order[i]] = size[g]
                size[g] += 1
        else:
            # Upwards: the place of the first of equal values in the group; downwards: that of the last.
            least[:] = np.nan
            for i in range(n):
                g = code[order[i]]
                begin[g] = begin[g] if values[i] == least[g] else size[g]
                least[g] = values[i]
                first[i] = begin[g]
                size[g] += 1
            for g in range(groups + 1):
                begin[g], last[g], least[g] = size[g], size[g], np.nan
            for i in range(n - 1, -1, -1):
                g = code[order[i]]
                begin[g] -= 1
                last[g] = last[g] if values[i] == least[g] else begin[g]
                least[g] = values[i]
                made[order[i]] = 0.5 * (first[i] + last[g])
        for j in range(cols):
            g = code[j]
            most = size[g] - 1.0
            v = made[j] / most if most > 0.0 else made[j] + 0.5
            made[j] = v if g > 0 else np.nan
    return len(x)
