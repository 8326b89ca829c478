"""Nodes as calls: a kernel with its numbers, a constant, one asset's column. A failure names operator and line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sigc.errors import Diagnostic, SigcError
from sigc.ops.declare import REGISTRY, Carry, Operator, ValueKind
from sigc.panel import Floats
from sigc.plan.expr import COLUMN, CONSTANT, Expr, Scalar

Value = Floats | float
Call = Callable[[Sequence[Value]], Value]


@dataclass(slots=True)
class Slice:
    """The rows [start, stop) of the grid and the columns `names` that are computed together.

    carries: the state before `start`, and afterwards that after `stop`, by node shape (components, assets). seconds: of
    each node, summed, by node shape; cold: shapes of nodes whose time may include compilation. past: results are so
    large that they bypass the caches.
    """

    start: int
    stop: int
    names: tuple[str, ...]
    labels: tuple[str, ...]
    where: str
    past: bool = False
    carries: dict[str, Floats] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    cold: set[str] = field(default_factory=set)

    def rows(self, need: int) -> int:
        """Return the number of rows [start - need, stop), clipped at the first row of the grid."""
        return min(self.stop, self.stop - self.start + need)


def call_of(node: Expr, at: Slice) -> Call:
    """Return the function from the node's inputs to its values. It raises `SigcError` (E300) if the kernel fails."""
    made = _unguarded(node, at)

    def guarded(inputs: Sequence[Value]) -> Value:
        try:
            return made(inputs)
        except SigcError:
            raise
        except Exception as failure:
            message = f"'{node.op}' failed on {at.where}: {type(failure).__name__}: {failure}"
            raise SigcError(Diagnostic("E300", message, node.span)) from failure

    return guarded


def _unguarded(node: Expr, at: Slice) -> Call:
    if node.op == CONSTANT:
        constant = _constant(node, at)
        return lambda _: constant
    if node.op == COLUMN:
        return lambda inputs: _column(str(node.arguments["asset"]), inputs[0], at)
    operator, numbers, given = REGISTRY[node.op], node.arguments, node.given
    kernel = operator.kernel
    if any(p.variadic for p in operator.inputs):
        return lambda inputs: kernel(*inputs, **numbers)
    if isinstance(operator.lookback, Carry):
        return lambda inputs: _carried(operator, node, dict(zip(given, inputs, strict=True)), numbers, at)
    return lambda inputs: kernel(**dict(zip(given, inputs, strict=True)), **numbers)


def _constant(node: Expr, at: Slice) -> float:
    value = node.arguments["value"]
    if isinstance(value, str):  # a category label: its code, or -1, which no cell has
        return float(at.labels.index(value)) if value in at.labels else -1.0
    return float(value if value is not None else np.nan)


def _column(asset: str, values: Value, at: Slice) -> Floats:
    if isinstance(values, float):
        return np.full((at.stop - at.start, len(at.names)), values)
    if asset not in at.names:
        return np.full(values.shape, np.nan)
    return np.repeat(values[:, [at.names.index(asset)]], len(at.names), axis=1)


def _carried(
    operator: Operator, node: Expr, inputs: Mapping[str, Value], numbers: Mapping[str, Scalar | None], at: Slice
) -> Any:
    state = at.carries.get(node.shape)
    if state is None and isinstance(operator.lookback, Carry):
        state = np.tile(np.array(operator.lookback.initial)[:, None], (1, len(at.names)))
    result, at.carries[node.shape] = operator.kernel(**inputs, **numbers, state=state)
    return result


def is_category(node: Expr) -> bool:
    """Return True if the node's values are codes of labels."""
    return node.kind is ValueKind.CATEGORY
