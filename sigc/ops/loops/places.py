"""Parts of an array by address. A slice of an array counts references, atomically: where the part is short that takes
longer than the work in it. Who takes parts by address holds the array, and keeps within it.
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
    """An address as a pointer to numbers."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float64)(address), code  # type: ignore[no-untyped-call]


@intrinsic
def _start(_: Any, array: Any) -> Any:
    """Where the numbers of an array begin: the same kind of number whatever kind of array it is, so that who takes rows
    by address is compiled once."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, context.get_value_type(signature.return_type))

    return types.intp(array), code


start: Callable[[Floats], int] = cast(Any, _start)


@njit(**INNER)
def at(address: int, wide: int) -> Floats:
    """The numbers from an address on."""
    return carray(_pointer(address), wide)  # type: ignore[call-arg]
