"""Evaluate the nodes of a stage on arrays: the innermost loop, pure, the same in every engine.

Each node's array holds the rows [start - need, stop), clipped at the first row of the grid; a consumer takes
the tail it needs. What looks at one row is computed in groups, over tiles of rows (`sigc.plan.rules.fuse`), and what
is only wanted goes from its chain straight to where it is wanted. An array is dropped after its last consumer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sigc.engine.calls import Call, Slice, Value, call_of
from sigc.engine.chain import Chain, is_chained
from sigc.ops.chained import CLEAN, PAST
from sigc.ops.jit import frozen
from sigc.ops.table import operators
from sigc.panel import Floats
from sigc.plan.expr import CONSTANT, Expr
from sigc.plan.rules.fuse import chains, groups

_TILE_CELLS = 65_536


def evaluate(
    order: tuple[Expr, ...],
    need: Mapping[str, int],
    leaves: dict[str, Floats],
    wanted: Mapping[str, Floats],
    at: Slice,
) -> None:
    """Fill the arrays `wanted` (rows, assets), by node shape, with the canonical values of those nodes over the slice.

    leaves: the rows [start - need, stop) of each leaf.
    """
    operators()  # fills the registry
    given = leaves | {n.shape: call_of(n, at)(()) for n in order if n.op == CONSTANT}
    work = _Work(need, given, wanted, at)
    for shape in wanted.keys() & given.keys():
        work.store(shape, given[shape])
    todo = groups(order, wanted, given)
    uses = Counter(i.shape for group in todo for node in group for i in node.inputs)
    with np.errstate(all="ignore"):  # missing and infinite cells are values here, not accidents
        for group in todo:
            work.do(group, is_read=group[-1].shape in uses)
            for i in (i for node in group for i in node.inputs):
                uses[i.shape] -= 1
                if not uses[i.shape]:
                    work.values.pop(i.shape, None)


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """What is computed at once: a node by its kernel, or a chain up to it. rows: of its array. reach: of its inputs."""

    node: Expr
    make: Call | Chain
    inputs: tuple[str, ...]
    rows: int
    reach: int


@dataclass(slots=True)
class _Work:
    """values: the whole arrays that are alive, by node shape; a number stands for an array of it."""

    need: Mapping[str, int]
    values: dict[str, Value]
    wanted: Mapping[str, Floats]
    at: Slice

    def do(self, group: Sequence[Expr], *, is_read: bool) -> None:
        """Compute a group. is_read: others read its last node; if not, it is only wanted."""
        steps = [self._step(nodes, is_read) for nodes in chains(group, self.wanted, is_chained)]
        shape = group[-1].shape
        if len(steps) == 1 and not isinstance(steps[0].make, Chain):
            made = self._made(steps[0], self.values, steps[0].rows)
        elif is_read:
            made = np.empty((steps[-1].rows, len(self.at.names)))
            self._fill(made, steps, is_read)
        else:
            self._fill(self.wanted[shape], steps, is_read)
            return
        self.store(shape, made)
        if is_read:
            self.values[shape] = made

    def store(self, shape: str, made: Value, row: int = 0) -> None:
        """The last rows of `made` into the wanted array of a node, if it is wanted, from a row on."""
        from sigc.ops.loops import streams

        into = self.wanted.get(shape)
        if into is None:
            return
        begun = time.perf_counter()
        if isinstance(made, float):
            into[row:] = made + 0.0
        else:
            put = streams.canonical_past if self.at.past else streams.canonical
            put(frozen(made[max(0, len(made) - len(into)) :]), into, row)
        self._took(shape, begun)

    def _step(self, nodes: Sequence[Expr], is_read: bool) -> _Step:
        node = nodes[-1]
        rows = self.at.rows(self.need[node.shape])
        is_straight = node.shape in self.wanted and not is_read
        if len(nodes) > 1 or (is_straight and is_chained(node)):
            chain = Chain(nodes, (PAST if self.at.past else CLEAN) if is_straight else None)
            return _Step(node, chain, chain.inputs, rows, rows)
        reach = min(self.at.stop, rows + node.rows_back)
        is_there = node.op == "lag" and 0 < node.rows_back == reach - rows
        call = partial(_first, rows) if is_there else call_of(node, self.at)
        return _Step(node, call, tuple(i.shape for i in node.inputs), rows, reach)

    def _fill(self, into: Floats, steps: Sequence[_Step], is_read: bool) -> None:
        """The array of the last of the steps, by tiles of rows: what lies between them never leaves the cache."""
        last, outside = steps[-1], {s for step in steps for s in step.inputs if s in self.values}
        high = len(into) if len(steps) == 1 else max(1, _TILE_CELLS // max(1, into.shape[1]))
        for low in range(0, len(into), high):
            part = into[low : low + high]
            tile = {shape: _rows(self.values[shape], len(into), low, high) for shape in outside}
            for step in steps[:-1]:
                tile[step.node.shape] = self._made(step, tile, len(part))
            made = self._made(last, tile, len(part), part)
            if isinstance(last.make, Chain):
                continue
            if is_read:
                part[:] = made
            else:
                self.store(last.node.shape, made, low)

    def _made(self, step: _Step, values: Mapping[str, Value], rows: int, into: Floats | None = None) -> Value:
        """What a step makes; a chain fills `into`, if it is given."""
        begun = time.perf_counter()
        inputs = [_tail(values[shape], step.reach) for shape in step.inputs]
        made: Value
        if isinstance(step.make, Chain):
            made = np.empty((rows, len(self.at.names))) if into is None else into
            step.make.run(inputs, made)
        else:
            made = _tail(step.make(inputs), rows)
        self._took(step.node.shape, begun)
        return made

    def _took(self, shape: str, begun: float) -> None:
        self.at.seconds[shape] = self.at.seconds.get(shape, 0.0) + time.perf_counter() - begun


def _first(rows: int, inputs: Sequence[Value]) -> Value:
    """A lag whose rows are all there: it is those of its input, nothing is copied."""
    return inputs[0] if isinstance(inputs[0], float) else inputs[0][:rows]


def _tail(values: Value, rows: int) -> Value:
    return values if isinstance(values, float) else values[max(0, len(values) - rows) :]


def _rows(values: Value, total: int, low: int, rows: int) -> Value:
    """Some of the last `total` rows."""
    return values if isinstance(values, float) else values[len(values) - total :][low : low + rows]
