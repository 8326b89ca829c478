"""Evaluate the nodes of a stage on arrays: the innermost loop, pure, the same in every engine.

Each node's array holds the rows [start - need, stop), clipped at the first row of the grid; a consumer takes
the tail it needs. An array is dropped after its last consumer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sigc.errors import Diagnostic, SigcError
from sigc.ops.declare import REGISTRY, Carry, Kind
from sigc.ops.table import operators
from sigc.panel import Floats
from sigc.plan.expr import COLUMN, CONSTANT, Expr
from sigc.plan.rules.fuse import groups

Value = Floats | float
_TILE_CELLS = 65_536


@dataclass(slots=True)
class Slice:
    """The rows [start, stop) of the grid and the columns `names` that are computed at once.

    carries: in, the state before `start`; out, the state after `stop`, by node shape (components, assets).
    """

    start: int
    stop: int
    names: tuple[str, ...]
    labels: tuple[str, ...]
    where: str
    carries: dict[str, Floats] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def rows(self, need: int) -> int:
        return min(self.stop, self.stop - self.start + need)


def evaluate(
    order: tuple[Expr, ...],
    outputs: tuple[Expr, ...],
    need: Mapping[str, int],
    leaves: Mapping[str, Floats],
    at: Slice,
) -> dict[str, Floats]:
    """The arrays of `outputs` over the slice, by node shape; `leaves` hold [start - need, stop) of each leaf."""
    operators()  # fills the registry
    values: dict[str, Value] = dict(leaves)
    uses = _uses([n for n in order if n.shape not in leaves])
    results: dict[str, Floats] = {}
    wanted = {o.shape for o in outputs}
    fused = groups(order, wanted, leaves)
    inside = {n.shape for members in fused.values() for n in members[:-1]}
    for node in order:
        if node.shape in leaves or node.shape in inside:
            continue
        begun = time.perf_counter()
        members = fused.get(node.shape, (node,))
        values[node.shape] = (_fused if len(members) > 1 else _apply)(node, members, values, need, at)
        at.seconds[node.shape] = at.seconds.get(node.shape, 0.0) + time.perf_counter() - begun
        for i in (i for m in members for i in m.inputs):
            uses[i.shape] -= 1
            if uses[i.shape] == 0 and i.shape not in wanted and i.shape not in inside:
                del values[i.shape]
    for output in outputs:
        results[output.shape] = _tail(_full(values[output.shape], at), at.stop - at.start)
    return results


def _uses(computed: list[Expr]) -> dict[str, int]:
    """How many inputs of the nodes to compute each node is."""
    uses: dict[str, int] = {}
    for node in computed:
        for i in node.inputs:
            uses[i.shape] = uses.get(i.shape, 0) + 1
    return uses


def _tail(values: Floats, rows: int) -> Floats:
    return values[len(values) - rows :]


def _full(value: Value, at: Slice) -> Floats:
    if isinstance(value, float):
        return np.full((at.stop - at.start, len(at.names)), value)
    return value


def _apply(node: Expr, _: tuple[Expr, ...], values: Mapping[str, Value], need: Mapping[str, int], at: Slice) -> Value:
    rows = at.rows(need[node.shape])
    if node.op == CONSTANT:
        return _constant(node, at)
    reach = min(at.stop, rows + node.rows_back)
    inputs = [_input(values[i.shape], reach) for i in node.inputs]
    if node.op == COLUMN:
        return _column(node, inputs[0], at)
    result = _attempt(node, inputs, at)
    return result if isinstance(result, float) else _tail(result, rows)


def _fused(
    node: Expr, members: tuple[Expr, ...], values: Mapping[str, Value], need: Mapping[str, int], at: Slice
) -> Value:
    """A group of nodes that each look at one row, over tiles of rows: its intermediates never leave the cache."""
    rows = at.rows(need[node.shape])
    inside = {m.shape for m in members}
    outside = {i.shape: _input(values[i.shape], rows) for m in members for i in m.inputs if i.shape not in inside}
    out = np.empty((rows, len(at.names)))
    step = max(1, _TILE_CELLS // max(1, len(at.names)))
    for low in range(0, rows, step):
        high = min(rows, low + step)
        tile: dict[str, Any] = {s: v if isinstance(v, float) else v[low:high] for s, v in outside.items()}
        for member in members:
            tile[member.shape] = _attempt(member, [tile[i.shape] for i in member.inputs], at)
        out[low:high] = tile[node.shape]
    return out


def _attempt(node: Expr, inputs: list[Value], at: Slice) -> Any:
    """Call the kernel; a failure names the operator, the line and the block."""
    try:
        return _call(node, inputs, at)
    except SigcError:
        raise
    except Exception as failure:
        message = f"'{node.op}' failed on {at.where}: {type(failure).__name__}: {failure}"
        raise SigcError(Diagnostic("E300", message, node.span)) from failure


def _input(value: Value, rows: int) -> Value:
    return value if isinstance(value, float) else _tail(value, rows)


def _constant(node: Expr, at: Slice) -> float:
    value = node.arguments["value"]
    if isinstance(value, str):  # a category label: its code, or one that no cell has
        return float(at.labels.index(value)) if value in at.labels else -1.0
    return float(value if value is not None else np.nan)


def _column(node: Expr, values: Value, at: Slice) -> Floats:
    asset = str(node.arguments["asset"])
    rows = len(values) if not isinstance(values, float) else at.stop - at.start
    if isinstance(values, float):
        return np.full((rows, len(at.names)), values)
    if asset not in at.names:
        return np.full(values.shape, np.nan)
    return np.repeat(values[:, [at.names.index(asset)]], len(at.names), axis=1)


def _call(node: Expr, inputs: list[Value], at: Slice) -> Any:
    operator = REGISTRY[node.op]
    numbers = node.arguments
    variadic = any(p.variadic for p in operator.inputs)
    with np.errstate(all="ignore"):  # missing and infinite cells are values here, not accidents
        if variadic:
            return operator.kernel(*inputs, **numbers)
        named = dict(zip(node.given, inputs, strict=True))
        if not isinstance(operator.lookback, Carry):
            return operator.kernel(**named, **numbers)
        state = at.carries.get(node.shape)
        if state is None:
            state = np.tile(np.array(operator.lookback.initial)[:, None], (1, len(at.names)))
        result, at.carries[node.shape] = operator.kernel(**named, **numbers, state=state)
        return result


def is_category(node: Expr) -> bool:
    """Whether the node's values are codes of labels."""
    return node.kind is Kind.CATEGORY
