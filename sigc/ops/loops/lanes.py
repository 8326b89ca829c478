"""Sums over a row in lanes: the i-th value goes to lane i % LANES, then lanes are halved, so that a sum can be made by
vectors and has one order. While a row is summed its lanes stay in registers: kept in memory, as a compiler keeps those
of a loop, each addition waits for the one before to be stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from sigc.ops.jit import INNER
from sigc.ops.loops.places import at

Floats = NDArray[np.float64]

LANES = 32
_ROW = ir.VectorType(ir.DoubleType(), LANES)


def _loop(builder: Any, sources: list[Any], blocks: Any, target: Any, body: Callable[..., list[Any]], sums: int) -> None:
    """Sums of what `body` makes of LANES numbers of each source, to an address, one after the other."""
    zero = ir.Constant(_ROW, [0.0] * LANES)
    lanes = [cgutils.alloca_once_value(builder, zero) for _ in range(sums)]
    with cgutils.for_range(builder, blocks) as loop:
        offset = builder.mul(loop.index, ir.Constant(blocks.type, 8 * LANES))
        places = [builder.inttoptr(builder.add(s, offset), _ROW.as_pointer()) for s in sources]
        for lane, made in zip(lanes, body(builder, *(builder.load(p, align=8) for p in places)), strict=True):
            builder.store(builder.fadd(builder.load(lane), made), lane)
    for number, lane in enumerate(lanes):
        place = builder.add(target, ir.Constant(target.type, 8 * LANES * number))
        builder.store(builder.load(lane), builder.inttoptr(place, _ROW.as_pointer()), align=8)


def _absolute(builder: Any, v: Any) -> Any:
    fabs = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_ROW, [_ROW]), f"llvm.fabs.v{LANES}f64")
    return builder.call(fabs, [v])


@intrinsic
def _sum(_: Any, values: Any, blocks: Any, lanes: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        _loop(builder, [args[0]], args[1], args[2], lambda _, v: [v], 1)
        return context.get_dummy_value()

    return types.void(values, blocks, lanes), code


@intrinsic
def _size(_: Any, values: Any, blocks: Any, lanes: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        _loop(builder, [args[0]], args[1], args[2], lambda b, v: [_absolute(b, v)], 1)
        return context.get_dummy_value()

    return types.void(values, blocks, lanes), code


@intrinsic
def _book(_: Any, held: Any, before: Any, returns: Any, blocks: Any, lanes: Any) -> Any:
    def body(builder: Any, w: Any, u: Any, r: Any) -> list[Any]:
        v = builder.fmul(u, r)
        earned = builder.select(builder.fcmp_ordered("ord", v, v), v, ir.Constant(_ROW, [0.0] * LANES))
        return [earned, _absolute(builder, builder.fsub(w, u)), _absolute(builder, w), w]

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        _loop(builder, list(args[:3]), args[3], args[4], body, 4)
        return context.get_dummy_value()

    return types.void(held, before, returns, blocks, lanes), code


@njit(**INNER)
def halved(lanes: Floats) -> float:
    """The sum of all lanes, half onto half until one is left; they are lost."""
    wide = LANES // 2
    while wide > 0:
        for k in range(wide):
            lanes[k] += lanes[k + wide]
        wide //= 2
    return lanes[0]


@njit(**INNER)
def lane_sum(values: Floats, n: int, lanes: Floats) -> float:
    """The sum of the first n. `lanes` is room."""
    _sum(values.ctypes.data, n // LANES, lanes.ctypes.data)  # type: ignore[call-arg]
    whole = n - n % LANES
    for k in range(n - whole):
        lanes[k] += values[whole + k]
    return halved(lanes)


@njit(**INNER)
def lane_size(values: Floats, n: int, lanes: Floats) -> float:
    """The sum of the absolutes of the first n."""
    _size(values.ctypes.data, n // LANES, lanes.ctypes.data)  # type: ignore[call-arg]
    whole = n - n % LANES
    for k in range(n - whole):
        lanes[k] += abs(values[whole + k])
    return halved(lanes)


@njit(**INNER)
def lane_book(held: Floats, before: Floats, returns: Floats, lanes: Floats) -> tuple[float, float, float, float]:
    """Of a row of weights: the sums of what the row before earned, of absolute changes, of absolute weights, and of
    weights. A missing product counts as 0. `lanes` is room for each sum, one after the other."""
    cols = len(held)
    whole = cols - cols % LANES
    room = lanes.ctypes.data
    _book(held.ctypes.data, before.ctypes.data, returns.ctypes.data, cols // LANES, room)  # type: ignore[call-arg]
    sums = at(room, 4 * LANES)
    for k in range(cols - whole):
        w, u = held[whole + k], before[whole + k]
        v = u * returns[whole + k]
        sums[k] += v if v == v else 0.0
        sums[LANES + k] += abs(w - u)
        sums[2 * LANES + k] += abs(w)
        sums[3 * LANES + k] += w
    one, wide = at(room, LANES), 8 * LANES
    return halved(one), halved(at(room + wide, LANES)), halved(at(room + 2 * wide, LANES)), halved(at(room + 3 * wide, LANES))
