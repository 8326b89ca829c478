"""A row divided by one number, with the bits of the processor's division, in a third of its time.

The divider takes two cycles per number, while multiplications are done by the dozen.

With y the rounded 1 / d, q the rounded v y, and r the remainder q d - v from one fused multiply-add, the rounded q - r
y is one of the two floats around v / d; the same step once more, with an exact remainder, gives the nearest (Markstein,
"Computation of elementary functions on the IBM RISC System/6000 processor", 1990). This holds away from the ends of the
float range; a row near them is divided.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from numba import njit, types
from numba.extending import intrinsic

from sigc.ops.jit import INNER
from sigc.ops.loops.places import at

_SMALL, _LARGE = 2.0**-500, 2.0**500
_LEAST, _MOST = 2.0**-400, 2.0**400


@intrinsic
def _fused(_: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c, rounded once."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.fma(*args)

    return types.float64(a, b, c), code


_fma: Callable[[float, float, float], float] = cast(Any, _fused)


@njit(**INNER)
def divided(row: int, cols: int, d: float, to: int) -> None:
    """Divide a row by a positive d into another; both given by address."""
    values, made = at(row, cols), at(to, cols)
    odd = 0 if _LEAST < d < _MOST else 1
    y = 1.0 / d
    for j in range(cols):
        v = values[j]
        q = v * y
        q = _fma(-_fma(q, d, -v), y, q)
        made[j] = _fma(-_fma(q, d, -v), y, q)
        size = abs(v)
        odd += ((size < _SMALL) & (size > 0.0)) | (size > _LARGE)
    if odd > 0:
        for j in range(cols):
            made[j] = values[j] / d
