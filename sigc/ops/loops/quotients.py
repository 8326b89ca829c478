"""A row divided by one number, to the bits of the processor's division in a fraction of its time: its divider takes two
cycles a number, where multiplications are done by the dozen.

With y the rounded 1 / d, q the rounded v y, and r the remainder q d - v, which a fused multiplication and addition gives
exactly or nearly so, the rounded q - r y is one of the two numbers around v / d; and the same step once more gives the
nearest (Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", 1990; Handbook of
Floating-Point Arithmetic, 2nd ed., theorem on division with a rounded reciprocal). That holds where nothing is near the
ends of the range of numbers; a row that is not so is divided.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from sigc.ops.jit import INNER

Floats = NDArray[np.float64]

_SMALL, _LARGE = 2.0**-500, 2.0**500
_LEAST, _MOST = 2.0**-400, 2.0**400


@intrinsic
def _fma(_: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.fma(*args)

    return types.float64(a, b, c), code


@njit(**INNER)
def divided(row: Floats, d: float, made: Floats) -> None:
    """row / d, for a positive d. `made` is not `row`."""
    odd = 0 if _LEAST < d < _MOST else 1
    y = 1.0 / d
    for j in range(len(row)):
        v = row[j]
        q = v * y
        q = _fma(-_fma(q, d, -v), y, q)  # type: ignore[call-arg]
        made[j] = _fma(-_fma(q, d, -v), y, q)  # type: ignore[call-arg]
        size = abs(v)
        odd += ((size < _SMALL) & (size > 0.0)) | (size > _LARGE)
    if odd > 0:
        for j in range(len(row)):
            made[j] = row[j] / d
