"""Loops over single cells."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.jit import OPTIONS

Floats = NDArray[np.float64]


@njit(**OPTIONS)
def canonical(x: Floats, out: Floats) -> None:
    """`x` with one NaN bit pattern and no negative zero: equal numbers have equal bytes."""
    for t in range(len(x)):
        here, made = x[t], out[t]
        for j in range(len(here)):
            v = here[j]
            made[j] = v + 0.0 if v == v else np.nan
