"""Row statistics across assets, by group.

Labels become codes once for all rows with the same labels; group 0 collects cells without value or label, so that loops
need no branch. A group sums its valid cells in the order of the assets.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Codes = NDArray[np.uint32]  # unsigned: numba then emits no check for negative indices

CENTRED, MEAN, COUNT, ZSCORE = 0, 1, 2, 3


def label_rows(by: Keys) -> tuple[Ints, Ints]:
    """Return the rows that differ, in bits, from the one before, and for each row the index of its own among those."""
    place, first = np.zeros(len(by), np.int64), np.zeros(len(by), np.int64)
    return first[: _label_rows(by, first, place)], place


@njit(**OPTIONS)
def _label_rows(by: Keys, first: Ints, place: Ints) -> int:
    rows, cols = by.shape
    found = 0
    for t in range(rows):
        here, before = by[t], by[t - 1 if t > 0 else 0]
        differ = np.uint64(0)
        for j in range(cols):
            differ |= here[j] ^ before[j]
        if t == 0 or differ:
            first[found] = t
            found += 1
        place[t] = found - 1
    return found


def plain_codes(by: Floats, first: Ints, most: float) -> tuple[Codes, int]:
    """Return rows `first` of labels as codes 1.. (0 missing) and their number.

    The number is -1 unless all are whole numbers from 0 to below `most`.
    """
    codes = np.empty((len(first), by.shape[1]), np.uint32)
    return codes, _plain_codes(by, first, most, codes)


@njit(**OPTIONS)
def _plain_codes(by: Floats, first: Ints, most: float, codes: Codes) -> np.int64:
    cols = by.shape[1]
    high, strange = np.uint32(0), 0
    for i in range(len(first)):
        here, code = by[first[i]], codes[i]
        for j in range(cols):
            v = here[j]
            whole = v >= 0.0 and v < most
            c = np.uint32(v + 1.0) if whole else np.uint32(0)
            strange += (v == v) and not (whole and np.float64(c) == v + 1.0)
            high = c if c > high else high
            code[j] = c
    return np.int64(-1) if strange else np.int64(high)


@njit(**INNER)
def group_sums(x: Floats, code: Codes, count: Floats, total: Floats) -> None:
    """Compute counts and sums of one row by group; group 0 is for cells without value or label."""
    count[:] = 0.0
    total[:] = 0.0
    for j in range(len(x)):
        v = x[j]
        g = code[j] if v == v else np.uint32(0)
        count[g] += 1.0
        total[g] += v


@njit(**INNER)
def group_deviations(x: Floats, code: Codes, count: Floats, mean: Floats, room: Floats) -> Floats:
    """Return the standard deviation by group of one row, ddof 1; -1 if all values are equal; in a row of `room`."""
    dev, some, spread = room[0], room[1], room[2]
    dev[:] = 0.0
    spread[:] = 0.0
    for j in range(len(x)):
        some[code[j] if x[j] == x[j] else np.uint32(0)] = x[j]
    for j in range(len(x)):
        v = x[j]
        g = code[j] if v == v else np.uint32(0)
        d = v - mean[g]
        dev[g] += d * d
        spread[g] += v != some[g]
    for g in range(len(dev)):
        dev[g] = np.sqrt(dev[g] / (count[g] - 1.0)) if spread[g] > 0.0 else -1.0
    return dev


def group_statistics(x: Floats, codes: Codes, place: Ints, groups: int, what: int) -> Floats:
    """Return CENTRED, MEAN, COUNT or ZSCORE of each cell within its group of the row; NaN without value or label."""
    out = np.empty(x.shape)
    room = np.empty((3, groups + 1)) if what == ZSCORE else None
    _group_statistics(x, codes, place, what, out, np.empty(groups + 1), np.empty(groups + 1), room)
    return out


@njit(**OPTIONS)
def _group_statistics(
    x: Floats, codes: Codes, place: Ints, what: int, out: Floats, count: Floats, mean: Floats, room: Floats | None
) -> None:
    """Compute them. `room` is for deviations: without it, their code is not compiled."""
    rows, cols = x.shape
    groups = len(count) - 1
    for t in range(rows):
        here, code, made = x[t], codes[place[t]], out[t]
        group_sums(here, code, count, mean)
        for g in range(groups + 1):
            mean[g] /= count[g]
        count[0] = mean[0] = np.nan
        if what == CENTRED:
            for j in range(cols):
                made[j] = here[j] - mean[code[j]]
        elif room is not None:
            dev = group_deviations(here, code, count, mean, room)
            for j in range(cols):
                g = code[j]
                flat = 0.0 if here[j] == here[j] and g > 0 else np.nan
                made[j] = flat if dev[g] < 0.0 else (here[j] - mean[g]) / dev[g]
        else:
            wanted = mean if what == MEAN else count
            for j in range(cols):
                made[j] = wanted[code[j] if here[j] == here[j] else np.uint32(0)]
