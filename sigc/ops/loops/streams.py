"""Streaming stores: results written past the caches.

A normal store first fetches the cache line that it overwrites, so a result larger than the caches costs twice its
bytes, and evicts data still needed; a non-temporal store of eight numbers does neither.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from sigc.ops.jit import INNER, OPTIONS

Floats = NDArray[np.float64]

_LINE = 8  # floats per cache line


@intrinsic
def _line(_: Any, source: Any, target: Any) -> Any:
    """Copy eight numbers from an address to one at a multiple of 64, made canonical."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        line = ir.VectorType(ir.DoubleType(), _LINE)
        found, put = (builder.inttoptr(a, line.as_pointer()) for a in args)
        v = builder.load(found, align=8)
        nan, zero = (ir.Constant(line, [n] * _LINE) for n in (float("nan"), 0.0))
        clean = builder.select(builder.fcmp_unordered("uno", v, v), nan, builder.fadd(v, zero))
        store = builder.store(clean, put, align=64)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.void(source, target), code


@njit(**INNER)
def clean(x: Floats, out: Floats) -> None:
    """Copy `x` with one NaN bit pattern and no negative zero."""
    for j in range(len(x)):
        v = x[j]
        out[j] = v + 0.0 if v == v else np.nan


@njit(**INNER)
def clean_past(x: Floats, out: Floats) -> None:
    """Copy in the same way, past the caches."""
    wide = len(x)
    source, target = x.ctypes.data, out.ctypes.data
    head = min(wide, (-target // 8) % _LINE)
    clean(x[:head], out[:head])
    last = wide - (wide - head) % _LINE
    for j in range(head, last, _LINE):
        _line(source + 8 * j, target + 8 * j)  # type: ignore[call-arg]
    clean(x[last:], out[last:])


@njit(**OPTIONS)
def canonical(x: Floats, out: Floats, row: int) -> None:
    """Copy `x`, made canonical, into `out` from a row on."""
    for t in range(len(x)):
        clean(x[t], out[row + t])


@njit(**OPTIONS)
def canonical_past(x: Floats, out: Floats, row: int) -> None:
    """Copy in the same way, past the caches."""
    for t in range(len(x)):
        clean_past(x[t], out[row + t])
