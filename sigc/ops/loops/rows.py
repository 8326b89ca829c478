"""Rows across assets. Only the valid cells of a row are walked, in the order of the assets: a column that is
missing throughout changes no bit, because it is never added, compared or counted.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(**OPTIONS)
def sums(x: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Per row: count, sum, sum of absolutes, minimum, maximum of the valid cells."""
    rows, cols = x.shape
    count, total, size = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    low, high = np.full(rows, np.nan), np.full(rows, np.nan)
    for t in range(rows):
        n, s, a, lo, hi = 0, 0.0, 0.0, np.inf, -np.inf
        for j in range(cols):
            v = x[t, j]
            if v == v:
                n += 1
                s += v
                a += abs(v)
                lo = min(lo, v)
                hi = max(hi, v)
        count[t], total[t], size[t] = n, s, a
        if n:
            low[t], high[t] = lo, hi
    return count, total, size, low, high


@njit(**OPTIONS)
def squares(x: Floats, mean: Floats) -> Floats:
    """Per row: sum of squared distances from `mean` (rows,)."""
    rows, cols = x.shape
    out = np.zeros(rows)
    for t in range(rows):
        s = 0.0
        for j in range(cols):
            v = x[t, j]
            if v == v:
                s += (v - mean[t]) * (v - mean[t])
        out[t] = s
    return out


@njit(**OPTIONS)
def standardized(x: Floats) -> Floats:
    """(x - mean) / std of each row, ddof 1; 0 without spread or for a lone asset."""
    rows, cols = x.shape
    out = np.empty((rows, cols))
    for t in range(rows):
        n, total, low, high = 0, 0.0, np.inf, -np.inf
        for j in range(cols):
            v = x[t, j]
            if v == v:
                n += 1
                total += v
                low = min(low, v)
                high = max(high, v)
        mean = total / n
        square = 0.0
        for j in range(cols):
            v = x[t, j]
            if v == v:
                square += (v - mean) * (v - mean)
        std = np.sqrt(square / (n - 1.0))
        for j in range(cols):
            v = x[t, j]
            out[t, j] = (v - mean) / std if low < high else (0.0 if v == v else np.nan)
    return out


@njit(**OPTIONS)
def plain_codes(by: Floats, most: float) -> int:
    """How many codes there are if all labels are whole numbers from 0 to below `most`; else -1."""
    high = -1.0
    for t in range(by.shape[0]):
        for j in range(by.shape[1]):
            v = by[t, j]
            if v == v:
                if v < 0.0 or v >= most or v != np.floor(v):
                    return -1
                high = max(high, v)
    return int(high) + 1


@njit(**OPTIONS)
def group_centred(x: Floats, by: Floats, groups: int) -> Floats:
    """x - mean of its group in the row; NaN without value or label."""
    rows, cols = x.shape
    out = np.empty((rows, cols))
    n, s = np.zeros(groups), np.zeros(groups)
    for t in range(rows):
        n[:] = 0.0
        s[:] = 0.0
        for j in range(cols):
            if x[t, j] == x[t, j] and by[t, j] == by[t, j]:
                g = int(by[t, j])
                n[g] += 1.0
                s[g] += x[t, j]
        for g in range(groups):
            s[g] /= n[g]
        for j in range(cols):
            out[t, j] = x[t, j] - s[int(by[t, j])] if by[t, j] == by[t, j] else np.nan
    return out


@njit(**OPTIONS)
def packed(x: Floats, bits: int) -> NDArray[np.uint64]:
    """Keys that sort like the values: the value's bits in order, the last `bits` of them the column; missing last."""
    rows, cols = x.shape
    keys = np.empty((rows, cols), np.uint64)
    mask = np.uint64((1 << bits) - 1)
    one = np.empty(1)
    raw = one.view(np.uint64)
    top = np.uint64(1 << 63)
    for t in range(rows):
        for j in range(cols):
            v = x[t, j]
            if v != v:
                keys[t, j] = np.uint64(0xFFFFFFFFFFFFFFFF)
                continue
            one[0] = v + 0.0
            b = raw[0]
            b = ~b if b & top else b | top
            keys[t, j] = (b & ~mask) | np.uint64(j)
    return keys


@njit(**OPTIONS)
def arrange(row: Floats, keys: NDArray[np.uint64], bits: int, order: Ints) -> int:
    """From a row's sorted keys: its columns in ascending order of (value, column); returns how many are valid.

    Keys hold a value without its last bits, so that neighbours may be out of order: mended by insertion, or,
    where very many values are that near, by a full sort.
    """
    mask = np.uint64((1 << bits) - 1)
    n = 0
    moves = 0
    while n < len(row) and keys[n] != np.uint64(0xFFFFFFFFFFFFFFFF):
        c = np.int64(keys[n] & mask)
        v = row[c]
        k = n
        while k > 0:
            p = order[k - 1]
            w = row[p]
            if w < v or (w == v and p < c):
                break
            order[k] = p
            k -= 1
            moves += 1
        order[k] = c
        n += 1
        if moves > 64 * len(row) + 1024:
            valid = np.flatnonzero(row == row)
            by_value = np.argsort(row[valid], kind="mergesort")  # stable: equal values stay in column order
            n = len(valid)
            for i in range(n):
                order[i] = valid[by_value[i]]
            return n
    return n


@njit(**OPTIONS)
def ordered(x: Floats, keys: NDArray[np.uint64], bits: int) -> tuple[Ints, Ints]:
    """Per row: columns in ascending order of (value, column), and how many are valid."""
    rows, cols = x.shape
    order = np.empty((rows, cols), np.int64)
    count = np.zeros(rows, np.int64)
    for t in range(rows):
        count[t] = arrange(x[t], keys[t], bits, order[t])
    return order, count


@njit(**OPTIONS)
def average_ranks(x: Floats, keys: NDArray[np.uint64], bits: int) -> tuple[Floats, Floats]:
    """Ranks 1..n of the valid cells, equal values sharing the mean of theirs; and n per row."""
    rows, cols = x.shape
    out = np.full((rows, cols), np.nan)
    count = np.zeros(rows)
    order = np.empty(cols, np.int64)
    for t in range(rows):
        n = arrange(x[t], keys[t], bits, order)
        count[t] = n
        i = 0
        while i < n:
            k = i
            v = x[t, order[i]]
            while k + 1 < n and x[t, order[k + 1]] == v:
                k += 1
            r = 0.5 * (i + k) + 1.0
            for at in range(i, k + 1):
                out[t, order[at]] = r
            i = k + 1
    return out, count


@njit(**OPTIONS)
def quantiles(ascending: Floats, count: Floats, q: float) -> Floats:
    """Per row the q quantile of the first `count` cells of sorted rows, linear interpolation."""
    rows = len(ascending)
    out = np.full(rows, np.nan)
    for t in range(rows):
        n = int(count[t])
        if n > 0:
            place = q * (n - 1)
            low = int(np.floor(place))
            high = min(low + 1, n - 1)
            a, b = ascending[t, low], ascending[t, high]
            out[t] = a if a == b else a + (b - a) * (place - low)
    return out


@njit(**OPTIONS)
def group_moments(x: Floats, by: Floats, groups: int) -> tuple[Floats, Floats, Floats]:
    """Per cell the count and mean of its group, and the sum of squares around it; NaN without value or label."""
    rows, cols = x.shape
    count = np.full((rows, cols), np.nan)
    mean = np.full((rows, cols), np.nan)
    square = np.full((rows, cols), np.nan)
    n, s, q = np.zeros(groups), np.zeros(groups), np.zeros(groups)
    for t in range(rows):
        n[:] = 0.0
        s[:] = 0.0
        q[:] = 0.0
        for j in range(cols):
            if x[t, j] == x[t, j] and by[t, j] == by[t, j]:
                g = int(by[t, j])
                n[g] += 1.0
                s[g] += x[t, j]
        for j in range(cols):
            if x[t, j] == x[t, j] and by[t, j] == by[t, j]:
                g = int(by[t, j])
                d = x[t, j] - s[g] / n[g]
                q[g] += d * d
        for j in range(cols):
            if x[t, j] == x[t, j] and by[t, j] == by[t, j]:
                g = int(by[t, j])
                count[t, j], mean[t, j], square[t, j] = n[g], s[g] / n[g], q[g]
    return count, mean, square


@njit(**OPTIONS)
def group_ranks(x: Floats, by: Floats, order: Ints, count: Ints, groups: int) -> tuple[Floats, Floats]:
    """Per cell the average rank 1..n within its group, and that n."""
    rows, cols = x.shape
    rank = np.full((rows, cols), np.nan)
    size = np.full((rows, cols), np.nan)
    begin = np.zeros(groups + 1, np.int64)
    fill = np.zeros(groups + 1, np.int64)
    sorted_ = np.empty(cols, np.int64)
    for t in range(rows):
        begin[:] = 0
        for i in range(count[t]):
            c = order[t, i]
            if by[t, c] == by[t, c]:
                begin[int(by[t, c]) + 1] += 1
        for g in range(groups):
            begin[g + 1] += begin[g]
        fill[:] = begin
        for i in range(count[t]):  # walks in ascending order: each group's part is ascending too
            c = order[t, i]
            if by[t, c] == by[t, c]:
                g = int(by[t, c])
                sorted_[fill[g]] = c
                fill[g] += 1
        for g in range(groups):
            a, b = begin[g], begin[g + 1]
            i = a
            while i < b:
                k = i
                v = x[t, sorted_[i]]
                while k + 1 < b and x[t, sorted_[k + 1]] == v:
                    k += 1
                r = 0.5 * (i + k) - a + 1.0
                for at in range(i, k + 1):
                    rank[t, sorted_[at]] = r
                    size[t, sorted_[at]] = b - a
                i = k + 1
    return rank, size


@njit(**OPTIONS)
def long_short(order: Ints, count: Ints, cols: int, top: float, bottom: float, cap: float) -> Floats:
    """+1/k for the k largest, -1/m for the m smallest, the rest 0; rows with fewer than 2 valid cells are 0."""
    rows = len(count)
    out = np.zeros((rows, cols))
    for t in range(rows):
        n = count[t]
        if n < 2:
            continue
        k = min(int(np.ceil(n * top - 1e-9)), n)
        m = min(int(np.ceil(n * bottom - 1e-9)), n - k)
        for i in range(n - k, n):
            out[t, order[t, i]] = min(1.0 / k, cap)
        for i in range(m):
            out[t, order[t, i]] = -min(1.0 / m, cap)
    return out


@njit(**OPTIONS)
def book_returns(w: Floats, r: Floats) -> Floats:
    """(rows, 1): sum of w[t-1] * r[t] over the assets with both; NaN without any."""
    rows, cols = w.shape
    out = np.full((rows, 1), np.nan)
    for t in range(1, rows):
        n, s = 0, 0.0
        for j in range(cols):
            v = w[t - 1, j] * r[t, j]
            if v == v:
                n += 1
                s += v
        if n:
            out[t, 0] = s
    return out
