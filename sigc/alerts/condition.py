"""Conditions over metrics: `daily_pnl_pct < -0.02 and open_orders > 0`. A small language, never evaluated as code.

    condition   comparisons joined by and, or, not (AND, OR, NOT too), parentheses
    comparison  sums and products of numbers and names, compared by < <= > >= == != (chains too: 0 < net < 2)

Python's `ast` parses the text and a whitelist of nodes is walked. A name without a value and a division by zero are
unknown, and so is everything that depends on them; an unknown condition neither raises nor resolves an alert.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sigc.errors import Diagnostic, SigcError, did_you_mean

_LONGEST = 500
_DEEPEST = 30
_WORDS = re.compile(r"\b(AND|OR|NOT)\b")
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_COMBINE: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

# The names of conditions: the meaning of each, and True if every strategy has its own value.
NUMBERS: Mapping[str, tuple[str, bool]] = {
    "daily_pnl_pct": ("return since the last session's close, as a fraction (-0.02 is -2 %)", True),
    "drawdown_pct": ("loss from the highest NAV, as a positive fraction", True),
    "nav": ("net asset value, in the account's currency", True),
    "gross_pct": ("sum of absolute weights, as a fraction", True),
    "net_pct": ("sum of weights, as a fraction", True),
    "turnover_pct": ("sum of absolute changes of weight at the last rebalance, as a fraction", True),
    "positions": ("number of positions held", True),
    "open_orders": ("number of orders that may still be filled", True),
    "memory_mb": ("resident memory of the controller and its workers, in MB", False),
    "cpu_pct": ("processor time over what may be used, as a fraction", False),
    "loop_lag_ms": ("delay of the daemon's event loop, in milliseconds", False),
    "runs_active": ("number of runs under way", False),
    "open_alerts": ("number of alerts that are not resolved", False),
    "uptime_hours": ("hours since the daemon started", False),
}


@dataclass(frozen=True, slots=True)
class AlertCondition:
    """A valid condition. names: those it uses; is_per_strategy: one of them is a strategy's own."""

    text: str
    names: tuple[str, ...]
    is_per_strategy: bool
    _tree: ast.expr

    def holds(self, values: Mapping[str, float]) -> bool | None:
        """Return True if the condition is met, None if that is unknown."""
        return _truth(self._tree, values)


def parse(text: str) -> AlertCondition:
    """Return the condition of a text. Raise SigcError E402, with what is wrong and a near name.

    >>> one = parse("daily_pnl_pct < -0.02 AND open_orders > 0")
    >>> [one.holds({"daily_pnl_pct": loss, "open_orders": 3.0}) for loss in (-0.03, -0.02)]
    [True, False]
    >>> one.holds({"open_orders": 0.0}), one.holds({"open_orders": 1.0})
    (False, None)
    """
    if len(text) > _LONGEST:
        raise _wrong(text[:40] + "...", f"it is longer than {_LONGEST} characters")
    try:
        # AND, OR and NOT in capitals are not Python; only whole words are replaced.
        tree = ast.parse(_WORDS.sub(lambda word: word[0].lower(), text.strip()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _wrong(
            text, "it is not an expression", "write such as: daily_pnl_pct < -0.02 and open_orders > 0"
        ) from None
    names: dict[str, None] = {}
    _check_truth(text, tree, names, 0)
    if not names:
        raise _wrong(text, "it uses no name", f"names: {', '.join(NUMBERS)}")
    return AlertCondition(text, tuple(names), any(NUMBERS[name][1] for name in names), tree)


def _check_truth(text: str, node: ast.expr, names: dict[str, None], depth: int) -> None:
    match node:  # no check of the depth here: below each branch is a number, and `_check_number` checks
        case ast.BoolOp(values=values):
            for value in values:
                _check_truth(text, value, names, depth + 1)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _check_truth(text, operand, names, depth + 1)
        case ast.Compare(left=left, ops=ops, comparators=others):
            _only(text, ops, _COMPARE)
            for value in (left, *others):
                _check_number(text, value, names, depth + 1)
        case _:
            raise _wrong(text, f"'{ast.unparse(node)}' is not a comparison", "compare numbers by < <= > >= == !=")


def _check_number(text: str, node: ast.expr, names: dict[str, None], depth: int) -> None:
    if depth > _DEEPEST:
        raise _wrong(text, f"it is nested more than {_DEEPEST} levels deep")
    match node:
        # Larger literals may be infinite, or too large for a float.
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and value < 1e300:
            return
        case ast.Name(id=name):
            if name not in NUMBERS:
                raise _wrong(text, f"unknown name '{name}'", did_you_mean(name, NUMBERS) or _known(NUMBERS))
            names[name] = None
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check_number(text, operand, names, depth + 1)
        case ast.BinOp(left=left, op=op, right=right):
            _only(text, [op], _COMBINE)
            _check_number(text, left, names, depth + 1)
            _check_number(text, right, names, depth + 1)
        case _:
            raise _wrong(text, f"'{ast.unparse(node)}' is not a number or a name", _known(NUMBERS))


def _only(text: str, found: list[ast.cmpop] | list[ast.operator], allowed: Collection[type]) -> None:
    for one in found:
        if type(one) not in allowed:
            raise _wrong(text, f"the operator {type(one).__name__} is not supported")


def _truth(node: ast.expr, values: Mapping[str, float]) -> bool | None:
    """Evaluate in three-valued logic (Kleene): false and unknown is false, true or unknown is true."""
    match node:
        case ast.BoolOp(op=op, values=parts):
            # True decides an `or`, False an `and`, whatever else is unknown.
            decides = isinstance(op, ast.Or)
            found = [_truth(part, values) for part in parts]
            return decides if decides in found else None if None in found else not decides
        case ast.UnaryOp(operand=operand):
            inner = _truth(operand, values)
            return None if inner is None else not inner
        case ast.Compare(left=left, ops=ops, comparators=others):
            numbers = [_number(part, values) for part in (left, *others)]
            links = [
                None if a is None or b is None else _COMPARE[type(op)](a, b)
                for a, op, b in zip(numbers, ops, numbers[1:], strict=False)
            ]
            return False if False in links else None if None in links else True
    raise AssertionError(ast.dump(node))


def _number(node: ast.expr, values: Mapping[str, float]) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            known = values.get(name)
            return known if known is not None and math.isfinite(known) else None
        case ast.UnaryOp(op=op, operand=operand):
            inner = _number(operand, values)
            return None if inner is None else -inner if isinstance(op, ast.USub) else inner
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _number(left, values), _number(right, values)
            if a is None or b is None or (isinstance(op, ast.Div) and b == 0):
                return None
            return _COMBINE[type(op)](a, b)
    raise AssertionError(ast.dump(node))


def _known(names: Collection[str]) -> str:
    return f"names: {', '.join(names)}"


def _wrong(text: str, what: str, hint: str = "") -> SigcError:
    return SigcError(Diagnostic("E402", f"invalid condition '{text}': {what}", hint=hint))
