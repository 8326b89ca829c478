"""Parts of arrays by address: a slice counts references, atomically, which takes longer than the work in a short part.

The caller keeps the array alive, and stays within it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.extending import intrinsic
from numpy.typing import NDArray

from sigc.ops.jit import INNER

Floats = NDArray[np.float64]


@intrinsic
def _pointer(_: Any, address: Any) -> Any:
    """Convert an address to a pointer to floats."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float64)(address), code  # type: ignore[no-untyped-call]


@intrinsic
def _start(_: Any, array: Any) -> Any:
    """Return the address of an array's data: the same type for any kind of array, so that code using addresses is
    compiled once.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, context.get_value_type(signature.return_type))

    return types.intp(array), code


start: Callable[[Floats], int] = cast(Any, _start)


@njit(**INNER)
def at(address: int, wide: int) -> Floats:
    """Return `wide` numbers from an address on, as an array."""
    return carray(_pointer(address), wide)  # type: ignore[call-arg]
