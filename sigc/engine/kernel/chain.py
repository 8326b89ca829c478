"""Some nodes of one cell as one walk over their inputs (`sigc.ops.loops.chains`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sigc.engine.kernel.calls import Value
from sigc.ops import chained
from sigc.ops.declare import REGISTRY
from sigc.panel import Floats
from sigc.plan.expr import CONSTANT, Expr


def is_chained(node: Expr) -> bool:
    """Whether a node can be part of a chain."""
    return code_of(node) is not None


def code_of(node: Expr) -> int | None:
    """The number of an operator of one cell; None where it can't be part of a chain."""
    if node.op == "pow" and len(node.inputs) == 2 and node.inputs[1].op == CONSTANT:
        return chained.SQUARE if node.inputs[1].arguments["value"] == 2.0 else None
    if node.op not in chained.CODES or len(node.inputs) < len(REGISTRY[node.op].inputs):
        return None
    return chained.CODES[node.op]


class Chain:
    """nodes: inputs first, each but the last read by one other of them.

    clean: what makes the result canonical, `CLEAN` or `PAST` (the caches); None to leave it.

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
        """Fill `out` (rows, assets). values: of the inputs, arrays like it or numbers."""
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
    """An array is walked by its address, so it must be what it is taken for. Raises `ValueError`."""
    if values.shape != shape or not values.flags.c_contiguous or values.dtype != np.float64:
        raise ValueError(f"an array of {values.dtype} {values.shape} where one of {shape} is walked")
    found: int = values.ctypes.data
    return found
