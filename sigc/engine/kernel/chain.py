"""Chains: cell-wise nodes computed in one walk over their inputs (`sigc.ops.loops.chains`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sigc.engine.kernel.calls import Value
from sigc.ops import chained
from sigc.ops.declare import REGISTRY
from sigc.panel import Floats
from sigc.plan.expr import CONSTANT, Expr


def is_chained(node: Expr) -> bool:
    """Return True if a node can be part of a chain."""
    return code_of(node) is not None


def code_of(node: Expr) -> int | None:
    """Return the code of a cell-wise operator; None if it can't be part of a chain."""
    if node.op == "pow" and len(node.inputs) == 2 and node.inputs[1].op == CONSTANT:
        # x ** 2 is x * x, bit for bit; other powers are left to numpy.
        return chained.SQUARE if node.inputs[1].arguments["value"] == 2.0 else None
    if node.op not in chained.CODES or len(node.inputs) < len(REGISTRY[node.op].inputs):
        return None
    return chained.CODES[node.op]


class Chain:
    """A chain of nodes, compiled to steps on places. nodes: inputs first, each but the last is read by one other of
    them.

    clean: the step that makes the result canonical, `CLEAN` or `PAST` (past the caches); None for none.

    inputs: shapes of the nodes that it reads. Places: one for each input, one for each node, and the result.
    """

    def __init__(self, nodes: Sequence[Expr], clean: int | None) -> None:
        own = {n.shape for n in nodes}
        self.inputs = tuple({i.shape: i for n in nodes for i in n.inputs if i.shape not in own})
        at = {shape: number for number, shape in enumerate((*self.inputs, *(n.shape for n in nodes)))}
        self._between = np.empty((len(at) + 1, chained.SEGMENT))
        steps = [_step(n, at) for n in nodes]
        if clean is not None:
            steps.append((clean, len(at) - 1, 0, 0, len(at)))
        self._steps = np.array(steps, dtype=np.int64)
        first, row = self._between.ctypes.data, self._between.strides[0]
        self._places = np.array([(first + row * i, 0, 0) for i in range(len(at) + 1)], dtype=np.int64)

    def run(self, values: Sequence[Value], out: Floats) -> None:
        """Fill `out` (rows, assets). values: of the inputs, arrays of the same shape or numbers."""
        from sigc.ops.loops import chains

        for at, value in enumerate(values):
            if isinstance(value, float):
                self._between[at] = value
            else:
                self._places[at] = (address(value, out.shape), out.shape[1], 1)
        self._places[self._steps[-1, 4]] = (address(out, out.shape), out.shape[1], 1)
        chains.run(self._steps, self._places, *out.shape)


def _step(node: Expr, at: Mapping[str, int]) -> tuple[int, int, int, int, int]:
    operands = [at[i.shape] for i in node.inputs]
    first, second, third = (operands * 3)[:3]
    code = code_of(node)
    if code is None:
        raise ValueError(f"'{node.op}' can't be part of a chain")
    return code, first, second, third, at[node.shape]


def address(values: Floats, shape: tuple[int, ...]) -> int:
    """Return the address of an array's data. Raise `ValueError` if it is not C-contiguous float64 of that shape."""
    if values.shape != shape or not values.flags.c_contiguous or values.dtype != np.float64:
        raise ValueError(f"expected C-contiguous float64 of shape {shape}, got {values.dtype} {values.shape}")
    found: int = values.ctypes.data
    return found
