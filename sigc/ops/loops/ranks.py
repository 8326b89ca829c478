"""Orders and ranks of rows across assets, from keys that numpy's SIMD sort has sorted (`sorted_keys` in `../cross.py`).

Read: `pack` (values to keys), `arrange` (sorted keys to the order of columns), then what is made of an order.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Codes = NDArray[np.uint32]  # unsigned, so that an index is not checked for wrapping
Columns = NDArray[np.int32]

MISSING = np.uint64(0xFFFFFFFFFFFFFFFF)


@njit(**OPTIONS)
def pack(x: Floats, bits: int, keys: Keys) -> None:
    """Keys that sort like the values: the value's bits in order, the last `bits` of them the column; missing last."""
    raw = x.view(np.uint64)
    mask, top = np.uint64((1 << bits) - 1), np.uint64(1 << 63)
    for t in range(len(x)):
        here, bit, key = x[t], raw[t], keys[t]
        for j in range(len(here)):
            b = bit[j] if here[j] != 0.0 else np.uint64(0)  # -0 is 0
            b = ~b if b & top else b | top
            key[j] = (b & ~mask) | np.uint64(j) if here[j] == here[j] else MISSING


@njit(**OPTIONS)
def insert(n: int, gap: int, most: int, order: Columns, values: Floats) -> bool:
    """Every `gap`-th put into order of (value, column) by insertion; false if given up after `most` moves."""
    moves = 0
    for i in range(gap, n):
        v, c, k = values[i], order[i], i
        while k >= gap and (values[k - gap] > v or (values[k - gap] == v and order[k - gap] > c)):
            values[k], order[k] = values[k - gap], order[k - gap]
            k -= gap
            moves += 1
        values[k], order[k] = v, c
        if moves > most:
            return False
    return True


@njit(**OPTIONS)
def mend(n: int, order: Columns, values: Floats) -> None:
    """Order that is nearly right made right; Shell's sort (1959) where it is not so near."""
    if insert(n, 1, 16 * n, order, values):
        return
    gap = 1
    while gap < n // 3:
        gap = 3 * gap + 1
    while gap > 0:
        insert(n, gap, n * n, order, values)
        gap //= 3


@njit(**OPTIONS)
def arrange(row: Floats, keys: Keys, bits: int, order: Columns, values: Floats) -> tuple[int, bool]:
    """From a row's sorted keys: its columns in ascending order of (value, column).

    Returns how many are valid, and whether some may be equal: then, and only then, `values` are the values in order.
    Keys hold a value without its last bits, so that very near ones may have to be mended.
    """
    mask = np.uint64((1 << bits) - 1)
    n = len(keys)
    while n > 0 and keys[n - 1] == MISSING:
        n -= 1
    near, late = 0, 0
    for i in range(n):
        order[i] = np.int32(keys[i] & mask)
    for i in range(1, n):
        near += (keys[i] ^ keys[i - 1]) <= mask
    if near:
        for i in range(n):
            values[i] = row[order[i]]
        for i in range(1, n):
            late += values[i] < values[i - 1]
        if late:
            mend(n, order, values)
    return n, near > 0


@njit(**OPTIONS)
def equals(values: Floats, n: int, first: Columns, last: Columns) -> None:
    """Of ascending values, the places of the first and the last that each equals. Without branches: ties are many."""
    first[0], last[n - 1] = 0, n - 1
    for i in range(1, n):
        first[i] = i if values[i] != values[i - 1] else 0
    for i in range(n - 1):
        last[i] = i if values[i] != values[i + 1] else n
    at = np.int32(0)
    for i in range(n):
        at = max(at, first[i])
        first[i] = at
    at = np.int32(n)
    for i in range(n - 1, -1, -1):
        at = min(at, last[i])
        last[i] = at


@njit(**OPTIONS)
def ranks(x: Floats, keys: Keys, bits: int, buckets: float, out: Floats) -> None:
    """Average ranks r = 1..n of the valid cells as (r - 1) / (n - 1), or, with buckets, ceil(r * buckets / n)."""
    cols = x.shape[1]
    order, first, last = np.empty(cols, np.int32), np.empty(cols, np.int32), np.empty(cols, np.int32)
    values = np.empty(cols)
    for t in range(len(x)):
        made = out[t]
        n, tied = arrange(x[t], keys[t], bits, order, values)
        if n < cols:
            made[:] = np.nan
        if tied:
            equals(values, n, first, last)
            for i in range(n):
                made[order[i]] = 0.5 * (first[i] + last[i])
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
def group_ranks(x: Floats, keys: Keys, bits: int, codes: Codes, place: Ints, groups: int, out: Floats) -> None:
    """Average ranks r = 1..n within the group as (r - 1) / (n - 1); a lone asset 0.5; NaN without value or label."""
    cols = x.shape[1]
    order, values, first = np.empty(cols, np.int32), np.empty(cols), np.empty(cols, np.int32)
    size, begin, last = np.empty(groups + 1, np.int32), np.empty(groups + 1, np.int32), np.empty(groups + 1, np.int32)
    least = np.empty(groups + 1)
    for t in range(len(x)):
        here, code, made = x[t], codes[place[t]], out[t]
        n, tied = arrange(here, keys[t], bits, order, values)
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
def long_short(x: Floats, keys: Keys, bits: int, top: float, bottom: float, cap: float, out: Floats) -> None:
    """+1/k for the k largest, -1/m for the m smallest, the rest 0; rows with fewer than 2 valid cells are 0."""
    cols = x.shape[1]
    order, values = np.empty(cols, np.int32), np.empty(cols)
    for t in range(len(x)):
        made = out[t]
        made[:] = 0.0
        n, _ = arrange(x[t], keys[t], bits, order, values)
        if n < 2:
            continue
        k = min(int(np.ceil(n * top - 1e-9)), n)
        m = min(int(np.ceil(n * bottom - 1e-9)), n - k)
        for i in range(n - k, n):
            made[order[i]] = min(1.0 / k, cap)
        for i in range(m):
            made[order[i]] = -min(1.0 / m, cap)
