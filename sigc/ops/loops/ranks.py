"""Orders and ranks of rows across assets.

A row is put in order by one pass into buckets (`spread`) that are finer than its values, so that what is left for
`insert` is next to nothing: linear in the assets, whatever the width. Buckets part the values evenly between the
smallest and the largest; where that leaves too many in one (heavy tails, infinities), evenly by their bits, which is
nearly by their logarithm; and what resists both is sorted as Shell did (1959). The order is the same each way: by
(value, column).

Read: `arrange` (a row to the order of its columns), then what is made of an order.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]  # unsigned, so that an index is not checked for wrapping
Columns = NDArray[np.uint32]

FINENESS = 4  # buckets for each asset
_ONE = np.uint32(1)
_MOST = 2**63 - 1
_FEW = 64


@njit(**OPTIONS)
def bounds(row: Floats) -> tuple[int, float, float]:
    """How many cells are valid, the smallest and the largest of them."""
    n, low, high = 0, np.inf, -np.inf
    for j in range(len(row)):
        v = row[j]
        n += v == v
        low = min(low, v if v == v else np.inf)
        high = max(high, v if v == v else -np.inf)
    return n, low, high


@njit(**OPTIONS)
def by_value(row: Floats, low: float, scale: float, last: int, place: Codes) -> None:
    """The bucket of each cell, from `low` on, `scale` of them for each unit; `last` for a missing one."""
    none = np.int32(last)
    for j in range(len(row)):
        v = row[j]
        b = np.int32((v - low) * scale)
        place[j] = b if v == v else none


@njit(**OPTIONS)
def by_bits(row: Floats, low: float, high: float, last: int, place: Codes, room: Floats) -> None:
    """The same, by whole numbers that order like the values: their bits."""
    for j in range(len(row)):
        room[j] = row[j] + 0.0  # -0 is 0
    raw, ends = room.view(np.int64), np.array([low + 0.0, high + 0.0]).view(np.int64)
    least = ends[0] ^ ((ends[0] >> 63) & _MOST)
    span = np.uint64((ends[1] ^ ((ends[1] >> 63) & _MOST)) - least)
    shift = np.uint64(0)
    while (span >> shift) >= np.uint64(last):
        shift += np.uint64(1)
    for j in range(len(row)):
        k = raw[j] ^ ((raw[j] >> 63) & _MOST)
        place[j] = np.uint32(np.uint64(k - least) >> shift) if row[j] == row[j] else np.uint32(last)


@njit(**OPTIONS)
def tally(place: Codes, count: Codes) -> None:
    """How many cells each bucket has."""
    for b in range(len(count)):
        count[b] = np.uint32(0)
    for j in range(len(place)):
        count[place[j]] += _ONE


@njit(**OPTIONS)
def spread(row: Floats, place: Codes, count: Codes, order: Columns, values: Floats) -> None:
    """Columns and values, bucket after bucket, those of a bucket as they came."""
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


@njit(**OPTIONS)
def insert(n: int, most: int, order: Columns, values: Floats) -> bool:
    """Put into order by insertion, equal values as they are; false if given up after `most` moves."""
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


@njit(**OPTIONS)
def shell_sort(n: int, order: Columns, values: Floats) -> None:
    """Into order of (value, column), however they stand."""
    gap = 1
    while gap < n // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, n):
            v, c, k = values[i], order[i], i
            while k >= gap and (values[k - gap] > v or (values[k - gap] == v and order[k - gap] > c)):
                values[k], order[k] = values[k - gap], order[k - gap]
                k -= gap
            values[k], order[k] = v, c
        gap //= 3


@njit(**OPTIONS)
def room_of(cols: int) -> tuple[Columns, Codes, Codes]:
    """For the order of a row, the bucket of each cell, and the count of each bucket: the last is for missing cells."""
    return np.empty(cols, np.uint32), np.empty(cols, np.uint32), np.empty(FINENESS * cols + 3, np.uint32)


@njit(**OPTIONS)
def arrange(row: Floats, place: Codes, count: Codes, order: Columns, values: Floats) -> tuple[int, bool]:
    """A row's columns in ascending order of (value, column), and its values in that order.

    Returns how many are valid, and whether some are equal. place: room for a cell each; count: for a bucket each.
    """
    n, low, high = bounds(row)
    if n == 0:
        return 0, False
    last = len(count) - 1
    done, scale = False, (last - 1) / (high - low) if high > low else 0.0
    if 0.0 <= scale < np.inf and high - low < np.inf:
        by_value(row, low, scale, last, place)
        spread(row, place, count, order, values)
        done = insert(n, 4 * n, order, values)
    if not done:
        by_bits(row, low, high, last, place, values)
        spread(row, place, count, order, values)
        if not insert(n, 16 * n, order, values):
            shell_sort(n, order, values)
    tied = 0
    for i in range(1, n):
        tied += values[i] == values[i - 1]
    return n, tied > 0


@njit(**OPTIONS)
def equals(values: Floats, n: int, first: Columns, last: Columns) -> None:
    """Of ascending values, the places of the first and the last that each equals. Without branches: ties are many."""
    first[0], last[n - 1] = 0, n - 1
    for i in range(1, n):
        first[i] = i if values[i] != values[i - 1] else 0
    for i in range(n - 1):
        last[i] = i if values[i] != values[i + 1] else n
    at = np.uint32(0)
    for i in range(n):
        at = max(at, first[i])
        first[i] = at
    at = np.uint32(n)
    for i in range(n - 1, -1, -1):
        at = min(at, last[i])
        last[i] = at


@njit(**OPTIONS)
def ranks(x: Floats, buckets: float, out: Floats) -> None:
    """Average ranks r = 1..n of the valid cells as (r - 1) / (n - 1), or, with buckets, ceil(r * buckets / n)."""
    cols = x.shape[1]
    order, place, count = room_of(cols)
    first, last = np.empty(cols, np.uint32), np.empty(cols, np.uint32)
    values = np.empty(cols)
    for t in range(len(x)):
        made = out[t]
        n, tied = arrange(x[t], place, count, order, values)
        if n < cols:
            made[:] = np.nan
        if tied:
            equals(values, n, first, last)
            for i in range(n):
                made[order[i]] = 0.5 * (np.float64(first[i]) + np.float64(last[i]))
        else:
            for i in range(n):
                made[order[i]] = i
        if buckets > 0.0:
            for j in range(cols):
                made[j] = np.ceil(((made[j] + 1.0) * buckets) / n)
        elif n == 1:
            for j in range(cols):
                made[j] += 0.5
        else:
            for j in range(cols):
                made[j] /= n - 1.0


@njit(**OPTIONS)
def group_ranks(x: Floats, codes: Codes, label: Ints, groups: int, out: Floats) -> None:
    """Average ranks r = 1..n within the group as (r - 1) / (n - 1); a lone asset 0.5; NaN without value or label."""
    cols = x.shape[1]
    order, place, count = room_of(cols)
    values, first = np.empty(cols), np.empty(cols, np.int32)
    size, begin, last = np.empty(groups + 1, np.int32), np.empty(groups + 1, np.int32), np.empty(groups + 1, np.int32)
    least = np.empty(groups + 1)
    for t in range(len(x)):
        here, code, made = x[t], codes[label[t]], out[t]
        n, tied = arrange(here, place, count, order, values)
        made[:] = np.nan
        size[:] = 0
        if not tied:
            for i in range(n):
                g = code[order[i]]
                made[order[i]] = size[g]
                size[g] += 1
        else:
            # Walking up, the place of the first equal of the group; walking down, that of the last.
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


@njit(**OPTIONS)
def chosen(row: Floats, place: Codes, bucket: int, order: Columns, values: Floats) -> int:
    """The columns and values of one bucket, ascending; how many, or -1 if they are more than few."""
    found = 0
    for j in range(len(row)):
        if place[j] == bucket:
            if found == _FEW:
                return -1
            order[found], values[found] = np.uint32(j), row[j]
            found += 1
    insert(found, found * found, order, values)
    return found


@njit(**OPTIONS)
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


@njit(**OPTIONS)
def picked(
    row: Floats,
    ends: tuple[float, float],
    k: int,
    m: int,
    long: float,
    short: float,
    place: Codes,
    count: Codes,
    order: Columns,
    values: Floats,
    made: Floats,
) -> bool:
    """A book of the k largest and the m smallest, without putting the row in order; false where that takes more than
    a look into two buckets."""
    last, low, high = len(count) - 1, ends[0], ends[1]
    scale = (last - 1) / (high - low) if high > low else 0.0
    if not (0.0 < scale < np.inf and high - low < np.inf):
        return False
    by_value(row, low, scale, last, place)
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


@njit(**OPTIONS)
def long_short(x: Floats, top: float, bottom: float, cap: float, out: Floats) -> None:
    """+1/k for the k largest, -1/m for the m smallest, the rest 0; rows with fewer than 2 valid cells are 0."""
    cols = x.shape[1]
    order, place, count = room_of(cols)
    values = np.empty(cols)
    for t in range(len(x)):
        row, made = x[t], out[t]
        n, low, high = bounds(row)
        if n < 2:
            made[:] = 0.0
            continue
        k = min(int(np.ceil(n * top - 1e-9)), n)
        m = min(int(np.ceil(n * bottom - 1e-9)), n - k)
        long, short = min(1.0 / k, cap), -min(1.0 / m, cap)
        if picked(row, (low, high), k, m, long, short, place, count, order, values, made):
            continue
        arrange(row, place, count, order, values)
        made[:] = 0.0
        for i in range(n - k, n):
            made[order[i]] = long
        for i in range(m):
            made[order[i]] = short
