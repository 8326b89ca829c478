"""The newest event of each asset at each row: both are in order of time, so one walk finds them."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS

Floats = NDArray[np.float64]


@njit(**OPTIONS)
def newest(at: Floats, born: Floats, value: Floats, rows: Floats, days: Floats, longest: float) -> Floats:
    """Return the newest values (rows, assets). at, born, value: (events, assets), columns ordered by `at`, then NaN.

    rows: (rows,) ascending, on the clock of `at`. days: (rows,) on the clock of `born`. A value older than `longest` is
    NaN.
    """
    events, assets = at.shape
    out = np.empty((len(rows), assets))
    place = np.full(assets, -1)
    for t in range(len(rows)):
        for j in range(assets):
            k = place[j]
            while k + 1 < events and at[k + 1, j] <= rows[t]:
                k += 1
            place[j] = k
            fresh = k >= 0 and days[t] - born[k, j] <= longest
            out[t, j] = value[k, j] if fresh else np.nan
    return out
