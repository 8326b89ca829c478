"""Cell loops, where numpy would need several passes.

A number is passed as an array of one row, which is used for every row.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS

Floats = NDArray[np.float64]


@njit(**INNER)
def divide(over: Floats, under: Floats, made: Floats) -> None:
    """Compute one row of `quotient`."""
    for j in range(len(made)):
        d = under[j]
        v = over[j] / d
        made[j] = np.nan if d == 0.0 else v


@njit(**INNER)
def choose(flags: Floats, one: Floats, other: Floats, made: Floats) -> None:
    """Compute one row of `choice`."""
    for j in range(len(made)):
        v, w = one[j], other[j]  # read both: selecting from two vectors is twice as fast as a masked read
        made[j] = v if abs(flags[j]) > 0.0 else w


@njit(**OPTIONS)
def quotient(a: Floats, b: Floats, out: Floats) -> None:
    """Compute a / b; NaN where b is 0."""
    for t in range(len(out)):
        divide(a[min(t, len(a) - 1)], b[min(t, len(b) - 1)], out[t])


@njit(**OPTIONS)
def choice(which: Floats, a: Floats, b: Floats, out: Floats) -> None:
    """Compute a where `which` is true, else b; missing is false."""
    for t in range(len(out)):
        choose(which[min(t, len(which) - 1)], a[min(t, len(a) - 1)], b[min(t, len(b) - 1)], out[t])
