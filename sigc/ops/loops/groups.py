"""Rows across assets, by group. Labels become codes once for all rows that have the same; group 0 is a bin for cells
without value or label, so that loops need no branch. A group sums its valid cells in the order of the assets.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Codes = NDArray[np.uint32]  # unsigned, so that an index is not checked for wrapping

CENTRED, MEAN, COUNT, ZSCORE = 0, 1, 2, 3


@njit(**OPTIONS)
def label_rows(by: Keys) -> tuple[Ints, Ints]:
    """Which rows, as bits, differ from the one before, and for each row the place of its own among those."""
    rows, cols = by.shape
    place, first = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    found = 0
    for t in range(rows):
        here, before = by[t], by[max(t - 1, 0)]
        differ = np.uint64(0)
        for j in range(cols):
            differ |= here[j] ^ before[j]
        if t == 0 or differ:
            first[found] = t
            found += 1
        place[t] = found - 1
    return first[:found], place


@njit(**OPTIONS)
def plain_codes(by: Floats, first: Ints, most: float) -> tuple[Codes, int]:
    """Rows `first` of labels as codes 1.. (0 missing) and how many, if all are whole numbers from 0 to below `most`;
    else -1."""
    cols = by.shape[1]
    codes = np.empty((len(first), cols), np.uint32)
    high, strange = np.uint32(0), 0
    for i in range(len(first)):
        here, code = by[first[i]], codes[i]
        for j in range(cols):
            v = here[j]
            whole = v >= 0.0 and v < most
            c = np.uint32(v + 1.0) if whole else np.uint32(0)
            strange += (v == v) and not (whole and np.float64(c) == v + 1.0)
            high = max(high, c)
            code[j] = c
    return codes, -1 if strange else int(high)


@njit(**INNER)
def group_sums(x: Floats, code: Codes, count: Floats, total: Floats) -> None:
    """Of one row, by group; group 0 is what has no value or no label."""
    count[:] = 0.0
    total[:] = 0.0
    for j in range(len(x)):
        v = x[j]
        g = code[j] if v == v else np.uint32(0)
        count[g] += 1.0
        total[g] += v


@njit(**INNER)
def group_deviations(x: Floats, code: Codes, count: Floats, mean: Floats, dev: Floats, some: Floats) -> None:
    """The standard deviation by group of one row, ddof 1; -1 where all values are equal. `some` is room."""
    dev[:] = 0.0
    for j in range(len(x)):
        some[code[j] if x[j] == x[j] else np.uint32(0)] = x[j]
    spread = np.zeros(len(dev), np.uint8)
    for j in range(len(x)):
        v = x[j]
        g = code[j] if v == v else np.uint32(0)
        d = v - mean[g]
        dev[g] += d * d
        spread[g] |= v != some[g]
    for g in range(len(dev)):
        dev[g] = np.sqrt(dev[g] / (count[g] - 1.0)) if spread[g] else -1.0


@njit(**OPTIONS)
def group_statistics(x: Floats, codes: Codes, place: Ints, groups: int, what: int) -> Floats:
    """CENTRED, MEAN, COUNT or ZSCORE of each cell by its group in the row; NaN without value or label."""
    rows, cols = x.shape
    out = np.empty((rows, cols))
    count, mean = np.empty(groups + 1), np.empty(groups + 1)
    dev, some = np.empty(groups + 1), np.empty(groups + 1)
    for t in range(rows):
        here, code, made = x[t], codes[place[t]], out[t]
        group_sums(here, code, count, mean)
        for g in range(groups + 1):
            mean[g] /= count[g]
        count[0] = mean[0] = np.nan
        if what == CENTRED:
            for j in range(cols):
                made[j] = here[j] - mean[code[j]]
        elif what == ZSCORE:
            group_deviations(here, code, count, mean, dev, some)
            for j in range(cols):
                g = code[j]
                flat = 0.0 if here[j] == here[j] and g > 0 else np.nan
                made[j] = flat if dev[g] < 0.0 else (here[j] - mean[g]) / dev[g]
        else:
            wanted = mean if what == MEAN else count
            for j in range(cols):
                made[j] = wanted[code[j] if here[j] == here[j] else np.uint32(0)]
    return out
