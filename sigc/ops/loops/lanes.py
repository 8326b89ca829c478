"""Sums over a row in lanes: the i-th value goes to lane i % LANES, then lanes are halved, so that a sum can be made by
vectors and has one order. While a row is summed its lanes stay in registers: kept in memory, as a compiler keeps those
of a loop, each addition waits for the one before to be stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

from sigc.ops.jit import INNER
from sigc.ops.loops.places import at

cgutils: Any = _cgutils

LANES = 32
_ROW = ir.VectorType(ir.DoubleType(), LANES)


def _loop(
    builder: Any, sources: list[Any], blocks: Any, target: Any, body: Callable[..., list[Any]], sums: int
) -> None:
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
def _sum_code(_: Any, values: Any, blocks: Any, lanes: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        _loop(builder, [args[0]], args[1], args[2], lambda _, v: [v], 1)
        return context.get_dummy_value()

    return types.void(values, blocks, lanes), code


@intrinsic
def _size_code(_: Any, values: Any, blocks: Any, lanes: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        _loop(builder, [args[0]], args[1], args[2], lambda b, v: [_absolute(b, v)], 1)
        return context.get_dummy_value()

    return types.void(values, blocks, lanes), code


@intrinsic
def _book_code(_: Any, held: Any, before: Any, returns: Any, blocks: Any, lanes: Any) -> Any:
    def body(builder: Any, w: Any, u: Any, r: Any) -> list[Any]:
        v = builder.fmul(u, r)
        earned = builder.select(builder.fcmp_ordered("ord", v, v), v, ir.Constant(_ROW, [0.0] * LANES))
        return [earned, _absolute(builder, builder.fsub(w, u)), _absolute(builder, w), w]

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        _loop(builder, list(args[:3]), args[3], args[4], body, 4)
        return context.get_dummy_value()

    return types.void(held, before, returns, blocks, lanes), code


_sum: Callable[[int, int, int], None] = cast(Any, _sum_code)
_size: Callable[[int, int, int], None] = cast(Any, _size_code)
_book: Callable[[int, int, int, int, int], None] = cast(Any, _book_code)


@njit(**INNER)
def _halved(lanes: int) -> float:
    """The sum of all lanes, half onto half until one is left; they are lost."""
    wide = LANES // 2
    while wide > 0:
        room = at(lanes, 2 * wide)
        for k in range(wide):
            room[k] += room[k + wide]
        wide //= 2
    return at(lanes, wide + 1)[0]


@njit(**INNER)
def lane_sum(values: int, n: int, lanes: int) -> float:
    """The sum of n values. Rows and the room for lanes are addresses, whatever arrays they are of."""
    _sum(values, n // LANES, lanes)
    left = n % LANES
    room, rest = at(lanes, left), at(values + 8 * (n - left), left)
    for k in range(left):
        room[k] += rest[k]
    return _halved(lanes)


@njit(**INNER)
def lane_size(values: int, n: int, lanes: int) -> float:
    """The sum of the absolutes of n values."""
    _size(values, n // LANES, lanes)
    left = n % LANES
    room, rest = at(lanes, left), at(values + 8 * (n - left), left)
    for k in range(left):
        room[k] += abs(rest[k])
    return _halved(lanes)


@njit(**INNER)
def lane_book(held: int, before: int, returns: int, n: int, lanes: int) -> tuple[float, float, float, float]:
    """Of a row of n weights: the sums of what the row before earned, of absolute changes, of absolute weights, and of
    weights. A missing product counts as 0. lanes: room for each sum, one after the other."""
    _book(held, before, returns, n // LANES, lanes)
    left = n % LANES
    whole, sums = 8 * (n - left), at(lanes, 3 * LANES + left)
    now, then, back = at(held + whole, left), at(before + whole, left), at(returns + whole, left)
    for k in range(left):
        w, u = now[k], then[k]
        v = u * back[k]
        sums[k] += v if v == v else 0.0
        sums[LANES + k] += abs(w - u)
        sums[2 * LANES + k] += abs(w)
        sums[3 * LANES + k] += w
    earned, turnover = _halved(lanes), _halved(lanes + 8 * LANES)
    return earned, turnover, _halved(lanes + 16 * LANES), _halved(lanes + 24 * LANES)
