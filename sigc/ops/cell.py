"""Cell-wise operators: arithmetic, comparison, logic, missing values. Any array may be a float instead.

NaN is the only missing value. Comparisons with a missing side are false, also `!=`. x / 0 is NaN.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from sigc.ops.declare import Axis, Flags, Missing, Number, ValueKind, Values, operator
from sigc.ops.jit import frozen

Truth: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

CELL = Axis.CELL
FILLS = Missing.FILLS


def _without(made: Values | np.float64, where: Truth) -> Values:
    """Set cells of a fresh result to NaN where the condition holds, in place: a copy would cost as much again."""
    out: Values = np.asarray(made)
    if np.any(where):
        np.copyto(out, np.nan, where=where)
    return out


def _rows(*given: Values | float) -> tuple[Values, ...] | None:
    """Return the arguments of a cell loop: arrays as they are, a number as one row. None if all are numbers."""
    wide = max((np.shape(g) for g in given), default=())
    if len(wide) != 2:
        return None
    return tuple(frozen(np.full((1, wide[1]), g) if np.ndim(g) == 0 else np.asarray(g)) for g in given)


@operator(axis=CELL, example="prices + 1")
def add(a: Values | float, b: Values | float) -> Values:
    """a + b."""
    return np.add(a, b)


@operator(axis=CELL, example="high - low")
def sub(a: Values | float, b: Values | float) -> Values:
    """a - b."""
    return np.subtract(a, b)


@operator(axis=CELL, example="prices * volume")
def mul(a: Values | float, b: Values | float) -> Values:
    """a * b."""
    return np.multiply(a, b)


@operator(axis=CELL, example="high / low")
def div(a: Values | float, b: Values | float) -> Values:
    """a / b; NaN where b is 0."""
    from sigc.ops.loops import cells

    given = _rows(a, b)
    if given is None:
        return _without(np.divide(a, b), np.equal(b, 0.0))
    out = np.empty(max(g.shape for g in given))
    cells.quotient(*given, out)
    return out


@operator(axis=CELL, example="volume % 100")
def mod(a: Values | float, b: Values | float) -> Values:
    """The remainder with the sign of b (numpy.mod); NaN where b is 0."""
    return _without(np.mod(a, b), np.equal(b, 0.0))


@operator(axis=CELL, version=2, name="pow", renamed={"exp": "n"}, example="pow(prices, 2)")
def power(x: Values | float, n: Values | float = 2.0) -> Values:
    """x to the power n. NaN in, NaN out, also NaN ** 0; 0 to a negative power and negative roots are NaN."""
    if isinstance(n, float) and n == 2.0:
        return np.multiply(x, x)
    missing = np.isnan(x) | np.isnan(n) | (np.equal(x, 0.0) & np.less(n, 0.0))
    return _without(np.power(x, n), missing)


@operator(axis=CELL, example="-prices")
def neg(x: Values | float) -> Values:
    """-x."""
    return np.negative(x)


@operator(axis=CELL, name="abs", example="abs(ret(prices))")
def absolute(x: Values | float) -> Values:
    """The absolute value."""
    return np.abs(x)


@operator(axis=CELL, example="sign(ret(prices))")
def sign(x: Values | float) -> Values:
    """-1, 0 or 1."""
    return np.sign(x)


@operator(axis=CELL, example="floor(prices)")
def floor(x: Values | float) -> Values:
    """The largest whole number not above x."""
    return np.floor(x)


@operator(axis=CELL, example="ceil(prices)")
def ceil(x: Values | float) -> Values:
    """The smallest whole number not below x."""
    return np.ceil(x)


@operator(axis=CELL, example="exp(ret(prices))")
def exp(x: Values | float) -> Values:
    """e to the power x."""
    return np.exp(x)


@operator(axis=CELL, aliases=("ln",), example="log(prices)")
def log(x: Values | float) -> Values:
    """The natural logarithm; NaN outside x > 0."""
    return _without(np.log(x), np.equal(x, 0.0))


@operator(axis=CELL, example="log10(volume)")
def log10(x: Values | float) -> Values:
    """The logarithm to base 10; NaN outside x > 0."""
    return _without(np.log10(x), np.equal(x, 0.0))


@operator(axis=CELL, example="sqrt(volume)")
def sqrt(x: Values | float) -> Values:
    """The square root; NaN below 0."""
    return np.sqrt(x)


@operator(axis=CELL, name="round", example="round(prices, 2)")
def rounded(x: Values | float, decimals: Number = 0) -> Values:
    """Rounded to `decimals` places, half to even."""
    return np.round(x, int(decimals))


@operator(axis=CELL, name="min", example="min(open, close)")
def minimum(a: Values | float, b: Values | float) -> Values:
    """The smaller; NaN if either is."""
    return np.minimum(a, b)


@operator(axis=CELL, name="max", example="max(open, close)")
def maximum(a: Values | float, b: Values | float) -> Values:
    """The larger; NaN if either is."""
    return np.maximum(a, b)


@operator(axis=CELL, renamed={"min": "lo", "max": "hi"}, example="clip(zscore(prices), lo=-3, hi=3)")
def clip(x: Values | float, lo: Values | float | None = None, hi: Values | float | None = None) -> Values:
    """max(min(x, hi), lo): where the bounds cross, lo wins. Either may be left out; both may be panels."""
    out = np.array(x, dtype=np.float64) if hi is None else np.minimum(x, hi)
    if lo is None:
        return np.asarray(out)
    return np.maximum(out, lo, out=out if np.ndim(lo) <= np.ndim(out) > 0 else None)


def _flag(truth: Truth) -> Values:
    return np.asarray(truth, dtype=np.float64)


@operator(axis=CELL, result=ValueKind.BOOLEAN, missing=FILLS, example="prices > lag(prices)")
def gt(a: Values | float, b: Values | float) -> Values:
    """a > b."""
    return _flag(np.greater(a, b))


@operator(axis=CELL, result=ValueKind.BOOLEAN, missing=FILLS, example="prices < lag(prices)")
def lt(a: Values | float, b: Values | float) -> Values:
    """a < b."""
    return _flag(np.less(a, b))


@operator(axis=CELL, result=ValueKind.BOOLEAN, missing=FILLS, example="prices >= lag(prices)")
def ge(a: Values | float, b: Values | float) -> Values:
    """a >= b."""
    return _flag(np.greater_equal(a, b))


@operator(axis=CELL, result=ValueKind.BOOLEAN, missing=FILLS, example="prices <= lag(prices)")
def le(a: Values | float, b: Values | float) -> Values:
    """a <= b."""
    return _flag(np.less_equal(a, b))


@operator(axis=CELL, result=ValueKind.BOOLEAN, missing=FILLS, example="open == close")
def eq(a: Values | float, b: Values | float) -> Values:
    """a == b; of labels too (`sectors == "Energy"`)."""
    return _flag(np.equal(a, b))


@operator(axis=CELL, result=ValueKind.BOOLEAN, missing=FILLS, example="open != close")
def ne(a: Values | float, b: Values | float) -> Values:
    """a != b; false where either is missing."""
    return _flag(np.not_equal(a, b) & ~np.isnan(a) & ~np.isnan(b))


def _true(x: Values | float) -> Truth:
    return np.greater(np.abs(x), 0.0)  # a missing cell is not true


@operator(axis=CELL, name="and", result=ValueKind.BOOLEAN, missing=FILLS, example="and(open > close, volume > 0)")
def both(a: Flags | float, b: Flags | float) -> Flags:
    """Both hold. Missing is false."""
    return _flag(_true(a) & _true(b))


@operator(axis=CELL, name="or", result=ValueKind.BOOLEAN, missing=FILLS, example="or(open > close, volume > 0)")
def either(a: Flags | float, b: Flags | float) -> Flags:
    """Either holds. Missing is false."""
    return _flag(_true(a) | _true(b))


@operator(axis=CELL, name="not", result=ValueKind.BOOLEAN, missing=FILLS, example="not(open > close)")
def negated(x: Flags | float) -> Flags:
    """Does not hold. Missing is false, so its negation holds."""
    return _flag(~_true(x))


@operator(axis=CELL, aliases=("if_else",), missing=FILLS, example="where(open > close, 1, -1)")
def where(cond: Flags | float, a: Values | float, b: Values | float) -> Values:
    """a where the condition holds, else b; a missing condition takes b."""
    from sigc.ops.loops import cells

    given = _rows(cond, a, b)
    if given is None:
        return np.where(_true(cond), a, b).astype(np.float64, copy=False)
    out = np.empty(max(g.shape for g in given))
    cells.choice(*given, out)
    return out


@operator(axis=CELL, example="rescale(prices, volume)")
def rescale(x: Values | float, factor: Values | float) -> Values:
    """x * factor; x itself where the factor is missing. So prices are adjusted, of which few assets have a factor."""
    return np.where(np.isnan(factor), x, np.multiply(x, factor)).astype(np.float64, copy=False)


@operator(axis=CELL, example="raw(prices)")
def raw(x: Values) -> Values:
    """A data source as its file has it: prices as traded, whatever adjust= says. x is the name of a source."""
    return np.array(x, dtype=np.float64)


@operator(axis=CELL, example="mask(prices, volume > 0)")
def mask(x: Values | float, cond: Flags | float) -> Values:
    """x where the condition holds; missing where it does not, or is missing itself. As `where` of pandas, whose `mask`
    is the reverse."""
    return np.where(_true(cond), x, np.nan).astype(np.float64, copy=False)


@operator(axis=CELL, aliases=("isnan",), result=ValueKind.BOOLEAN, missing=FILLS, example="is_nan(prices)")
def is_nan(x: Values | float) -> Flags:
    """1 where x is missing."""
    return _flag(np.isnan(x))


@operator(axis=CELL, aliases=("fillna",), missing=FILLS, example="fill_nan(ret(prices), 0)")
def fill_nan(x: Values | float, value: Values | float = 0.0) -> Values:
    """x, or `value` where x is missing."""
    return np.where(np.isnan(x), value, x).astype(np.float64, copy=False)


@operator(axis=CELL, missing=FILLS, example="coalesce(close, open)")
def coalesce(*x: Values | float) -> Values:
    """The first that is not missing."""
    out = np.array(np.broadcast_arrays(*x)[0], dtype=np.float64)
    for other in x[1:]:
        np.copyto(out, other, where=np.isnan(out))
    return out
