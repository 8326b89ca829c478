"""Vectors: WIDTH numbers that stay in registers through a whole formula.

A loop over columns would load and store after each operation instead.

In a loop a vector behaves like a small array: `+ - * /`, comparisons, `where`, `root` and `size` are elementwise, and a
number is broadcast. All operations are those of IEEE 754, none is reordered or contracted: the bits are those of a loop
over columns, on any CPU. Addresses are used as in `places.py`.

    v = load(address)                      WIDTH numbers
    put(address, where(v > 0.0, v, 0.0))

Arrays are walked by tiles of columns, a tile row by row, a row vector by vector:

    done = 0
    while done < cols:
        j0, wide = tile(done, cols)
        for t in range(rows):
            for j in range(0, 8 * wide, 8 * WIDTH):
                v = load(given + 8 * (t * cols + j0) + j)
                ...
        done = j0 + wide
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.core.typing import templates
from numba.extending import intrinsic, lower_builtin, models, register_model
from numpy.typing import NDArray

from sigc.ops.jit import INNER, frozen

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WIDTH = 16  # two AVX-512 registers: enough to hide latency, few enough that no register spills
TILE = 64  # columns: narrow enough that their intermediate rows stay in the L1 cache
AHEAD = 8  # rows prefetched ahead


def over_columns(loop: Callable[..., None], *given: Floats) -> Floats:
    """Return the result of a loop over tiles of arrays (rows, assets).

    The loop gets the arrays, padded with missing columns to at least one vector, and an array to fill.
    """
    rows, cols = given[0].shape
    if cols >= WIDTH:
        out = np.empty((rows, cols))
        loop(*given, out)
        return out
    out, beyond = np.empty((rows, WIDTH)), np.full((rows, WIDTH - cols), np.nan)
    loop(*(frozen(np.hstack((x, beyond))) for x in given), out)
    return np.ascontiguousarray(out[:, :cols])


@njit(**INNER)
def tile(done: int, cols: int) -> tuple[int, int]:
    """Return the first column of the next tile and its width: whole vectors.

    A remainder of less than a vector is computed together with columns before it, which are repeated with the same
    result.
    """
    wide = min(TILE, max(WIDTH, (cols - done) // WIDTH * WIDTH))
    return min(done, cols - wide), wide


_builtin: Any = lower_builtin
_get_function: Any = cgutils.get_or_insert_function
_signature: Any = templates.signature
_typed: Any = templates.infer_global


class _Vector(types.Type):
    """A type of vectors: of numbers, or of flags from comparisons."""


@register_model(_Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: _Vector) -> None:
        line = _LINE if kind == _NUMBERS else ir.VectorType(ir.IntType(1), WIDTH)
        super().__init__(manager, kind, line)  # type: ignore[no-untyped-call]


_NUMBERS, _FLAGS = _Vector("numbers side by side"), _Vector("flags side by side")
_LINE = ir.VectorType(ir.DoubleType(), WIDTH)


def _given(wanted: types.Type, kind: types.Type) -> types.Type:
    """Return the type as which an argument is taken: a number is accepted for a vector."""
    return types.float64 if wanted == _NUMBERS != kind else wanted


def _widened(builder: Any, kind: types.Type, value: Any) -> Any:
    """Return a number as a vector of it; a vector, or an address, unchanged."""
    if kind != types.float64:
        return value
    none, places = ir.Constant(_LINE, ir.Undefined), ir.VectorType(ir.IntType(32), WIDTH)
    first = builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, none, ir.Constant(places, [0] * WIDTH))


def _lowered(build: Callable[..., Any]) -> Callable[..., Any]:
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        made = build(builder, *(_widened(builder, k, v) for k, v in zip(sig.args, args, strict=True)))
        return context.get_dummy_value() if sig.return_type == types.void else made

    return lower


def _function(result: types.Type, kinds: tuple[types.Type, ...], build: Callable[..., Any]) -> Any:
    """Return a function for loops. build(builder, arguments): its instructions."""
    lower = _lowered(build)

    def typed(*args: types.Type) -> Any:
        return result(*map(_given, kinds, args)), lower

    by_count: tuple[Callable[..., Any], ...] = (
        lambda _, a: typed(a),
        lambda _, a, b: typed(a, b),
        lambda _, a, b, c: typed(a, b, c),
    )
    return intrinsic(by_count[len(kinds) - 1])


def _operator(symbol: Callable[..., Any], result: types.Type, build: Callable[..., Any]) -> None:
    """Register an operator of two vectors, or of a vector and a number."""

    class Typing(templates.AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:  # noqa: ARG002
            kinds = [_given(_NUMBERS, a) for a in args]
            return _signature(result, *kinds) if _NUMBERS in args and len(args) == 2 else None

    _typed(symbol)(Typing)
    for kinds in ((_NUMBERS, _NUMBERS), (_NUMBERS, types.float64), (types.float64, _NUMBERS)):
        _builtin(symbol, *kinds)(_lowered(build))


_operator(operator.add, _NUMBERS, lambda b, x, y: b.fadd(x, y))
_operator(operator.sub, _NUMBERS, lambda b, x, y: b.fsub(x, y))
_operator(operator.mul, _NUMBERS, lambda b, x, y: b.fmul(x, y))
_operator(operator.truediv, _NUMBERS, lambda b, x, y: b.fdiv(x, y))
_operator(operator.lt, _FLAGS, lambda b, x, y: b.fcmp_ordered("<", x, y))
_operator(operator.le, _FLAGS, lambda b, x, y: b.fcmp_ordered("<=", x, y))
_operator(operator.gt, _FLAGS, lambda b, x, y: b.fcmp_ordered(">", x, y))
_operator(operator.ge, _FLAGS, lambda b, x, y: b.fcmp_ordered(">=", x, y))
_operator(operator.eq, _FLAGS, lambda b, x, y: b.fcmp_ordered("==", x, y))
_operator(operator.ne, _FLAGS, lambda b, x, y: b.fcmp_unordered("!=", x, y))


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _LINE.as_pointer())


def _of_llvm(name: str) -> Callable[..., Any]:
    """Return LLVM's intrinsic function of a number, for a vector."""

    def build(builder: Any, values: Any) -> Any:
        kind = ir.FunctionType(_LINE, [_LINE])
        return builder.call(_get_function(builder.module, kind, f"llvm.{name}.v{WIDTH}f64"), [values])

    return build


def _prefetch(to_write: int) -> Callable[..., None]:
    """Prefetch the cache lines of a vector AHEAD rows below an address into the L1 cache."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])

    def build(builder: Any, address: Any, cols: Any) -> None:
        call = _get_function(builder.module, kind, "llvm.prefetch.p0")
        below = builder.add(address, builder.mul(cols, ir.Constant(cols.type, 8 * AHEAD)))
        for line in range(0, 8 * WIDTH, 64):
            place = builder.inttoptr(builder.add(below, ir.Constant(below.type, line)), byte)
            builder.call(call, [place, number(to_write), number(3), number(1)])

    return build


def _running(builder: Any, address: Any, total: Any) -> Any:
    number = ir.IntType(32)
    line = ir.VectorType(number, WIDTH)
    place = builder.inttoptr(address, line.as_pointer())
    counts = builder.load(place, align=4)
    sums, zeros, apart = counts, ir.Constant(line, [0] * WIDTH), 1
    while apart < WIDTH:
        shift = ir.Constant(line, [i - apart if i >= apart else WIDTH for i in range(WIDTH)])
        sums, apart = builder.add(sums, builder.shuffle_vector(sums, zeros, shift)), 2 * apart
    first = builder.insert_element(zeros, total, number(0))
    before = builder.add(builder.sub(sums, counts), builder.shuffle_vector(first, zeros, zeros))
    builder.store(before, place, align=4)
    return builder.add(total, builder.extract_element(sums, number(WIDTH - 1)))


_PLACE = types.intp

# load(address): WIDTH numbers; put(address, numbers); each(number): WIDTH times the same.
load: Callable[[int], Floats] = _function(_NUMBERS, (_PLACE,), lambda b, at: b.load(_pointer(b, at), align=8))
put: Callable[[int, Floats], None] = _function(
    types.void, (_PLACE, _NUMBERS), lambda b, at, v: b.store(v, _pointer(b, at), align=8)
)
each: Callable[[float], Floats] = _function(_NUMBERS, (types.float64,), lambda _, v: v)

# where(flags, one, other), either may be a number; root(numbers): square roots; size(numbers): absolutes.
where: Callable[[Flags | bool, Floats | float, Floats | float], Floats] = _function(
    _NUMBERS, (_FLAGS, _NUMBERS, _NUMBERS), lambda b, flags, one, other: b.select(flags, one, other)
)
root: Callable[[Floats], Floats] = _function(_NUMBERS, (_NUMBERS,), _of_llvm("sqrt"))
size: Callable[[Floats], Floats] = _function(_NUMBERS, (_NUMBERS,), _of_llvm("fabs"))

# fetch(address, columns), claim(address, columns): prefetch the row AHEAD, for reading or for writing. A processor
# predicts the next number, not the next row. The row need not exist.
fetch: Callable[[int, int], None] = _function(types.void, (_PLACE, _PLACE), _prefetch(0))
claim: Callable[[int, int], None] = _function(types.void, (_PLACE, _PLACE), _prefetch(1))

# running(address, total): replace each of WIDTH counts (uint32) by the sum of those before it plus `total`; return the
# next total.
running: Callable[[int, np.uint32], np.uint32] = _function(types.uint32, (_PLACE, types.uint32), _running)
