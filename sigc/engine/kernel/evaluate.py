"""Evaluation of a stage's nodes on arrays: the innermost loop, pure, the same in every engine.

Each node's array holds the rows [start - need, stop), clipped at the first row of the grid; a consumer takes the tail
it needs. Nodes that depend on one row only are computed in groups, over tiles of rows (`sigc.plan.rules.fuse`), and a
node that is only an output goes from its chain straight into the output. If the figures of books are wanted instead
(`trial_figures.py`), groups wait for one another and run in one walk (`trial_walk.py`). An array is dropped after its
last consumer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np

from sigc.engine.kernel.calls import Call, Slice, Value, call_of
from sigc.engine.kernel.chain import Chain, is_chained
from sigc.engine.kernel.trial_figures import TrialPart
from sigc.engine.kernel.trial_walk import TrialWalk, is_walked, outside
from sigc.engine.kernel.warm import Begun, begin, is_warm
from sigc.ops.chained import CLEAN, PAST
from sigc.ops.jit import frozen
from sigc.ops.table import operators
from sigc.panel import Floats
from sigc.plan.expr import CONSTANT, Expr
from sigc.plan.rules.fuse import chains, groups

_TILE_CELLS = 65_536
_WALK_CELLS = 131_072
Target: TypeAlias = Floats | TrialPart


def evaluate(
    order: tuple[Expr, ...],
    need: Mapping[str, int],
    leaves: dict[str, Floats],
    wanted: Mapping[str, Target],
    at: Slice,
) -> None:
    """Fill the arrays `wanted` (rows, assets), by node shape, with the canonical values of those nodes over the slice.

    wanted: a book's part in place of an array takes the values instead. leaves: the rows [start - need, stop) of each
    leaf.
    """
    operators()  # fills the registry
    given = leaves | {n.shape: call_of(n, at)(()) for n in order if n.op == CONSTANT}
    work = _Work(need, given, wanted, at)
    for shape in wanted.keys() & given.keys():
        work.store(shape, given[shape])
    # The reads are counted over the groups that will run: an array whose count falls to 0 is dropped.
    todo = groups(order, wanted, given)
    work.uses = Counter(i.shape for group in todo for node in group for i in node.inputs)
    read = frozenset(work.uses)
    with np.errstate(all="ignore"):  # NaN and infinity are ordinary values here
        for group in todo:
            is_read = group[-1].shape in read
            if not is_read and work.is_walked(group):
                work.put_off(group)
            else:
                work.do(group, is_read=is_read)
                work.done(group)
        work.walk()


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A unit of computation: a node by its kernel, or a chain up to it. rows: of its array. reach: rows of its
    inputs.
    """

    node: Expr
    make: Call | Chain
    inputs: tuple[str, ...]
    rows: int
    reach: int


@dataclass(slots=True)
class _Work:
    """The state of an evaluation.

    values: the arrays that are alive, by node shape; a number stands for a constant array. uses: the remaining reads of
    each. waiting: groups for the walk; `held`: shapes kept until then for them.
    """

    need: Mapping[str, int]
    values: dict[str, Value]
    wanted: Mapping[str, Target]
    at: Slice
    uses: Counter[str] = field(default_factory=Counter)
    waiting: list[Sequence[Expr]] = field(default_factory=list)
    held: set[str] = field(default_factory=set)

    def is_walked(self, group: Sequence[Expr]) -> bool:
        """Return True if a group that no node reads can wait for the walk."""
        part = self.wanted[group[-1].shape]
        return isinstance(part, TrialPart) and part.is_whole and all(is_walked(n) for n in group)

    def put_off(self, group: Sequence[Expr]) -> None:
        """Delay a group until the walk.

        Bounds: the arrays held for it are at most those that books make needless, two for each (see
        `sigc.plan.plan.memory`); and the last two rows of all books together fit into the second-level cache.
        """
        self.waiting.append(group)
        self.held.update(outside(group))
        rows = 2 * len(self.waiting) * len(self.at.names)
        if len(self.held) > 2 * len(self.wanted) or rows > _WALK_CELLS:
            self.walk()

    def walk(self) -> None:
        """Run all waiting groups."""
        begun, waiting, held = begin("a walk"), self.waiting, self.held
        self.waiting, self.held = [], set()
        values = {s: _tail(self.values[s], self.at.stop - self.at.start) for s in held}
        books = [(g, part) for g in waiting if isinstance(part := self.wanted[g[-1].shape], TrialPart)]
        if books and books[0][1].low < books[0][1].high:
            TrialWalk(books, values).run()
        for group in waiting:
            self._took(group[-1].shape, begun, len(waiting))
            self.done(group)

    def done(self, group: Sequence[Expr]) -> None:
        """Drop the arrays that only this group still had to read."""
        for i in (i for node in group for i in node.inputs):
            self.uses[i.shape] -= 1
            if not self.uses[i.shape]:
                self.values.pop(i.shape, None)

    def do(self, group: Sequence[Expr], *, is_read: bool) -> None:
        """Compute a group. is_read: other nodes read its last node; else it is only an output."""
        steps = [self._step(nodes, is_read) for nodes in chains(group, self.wanted, is_chained)]
        shape = group[-1].shape
        if len(steps) == 1 and not isinstance(steps[0].make, Chain):
            made = self._made(steps[0], self.values, steps[0].rows)
        elif is_read:
            made = np.empty((steps[-1].rows, len(self.at.names)))
            self._fill(made, len(made), steps, is_read)
        else:
            self._fill(self.wanted[shape], self.at.stop - self.at.start, steps, is_read)
            return
        self.store(shape, made)
        if is_read:
            self.values[shape] = made

    def store(self, shape: str, made: Value, row: int = 0) -> None:
        """Copy the last rows of `made` to the output of a node, if it has one, from `row` on."""
        into = self.wanted.get(shape)
        if into is None:
            return
        begun = begin("a result")
        from sigc.ops.loops import streams

        if isinstance(into, TrialPart):
            into.take(_tail(made, self.at.stop - self.at.start), row)
        elif isinstance(made, float):
            into[row:] = made + 0.0
        else:
            put = streams.canonical_past if self.at.past else streams.canonical
            put(frozen(made[max(0, len(made) - len(into)) :]), into, row)
        self._took(shape, begun)

    def _step(self, nodes: Sequence[Expr], is_read: bool) -> _Step:
        node = nodes[-1]
        rows = self.at.rows(self.need[node.shape])
        is_straight = node.shape in self.wanted and not is_read
        is_stored = is_straight and not isinstance(self.wanted[node.shape], TrialPart)
        if len(nodes) > 1 or (is_straight and is_chained(node)):
            chain = Chain(nodes, (PAST if self.at.past else CLEAN) if is_stored else None)
            return _Step(node, chain, chain.inputs, rows, rows)
        reach = min(self.at.stop, rows + node.rows_back)
        # A lag whose rows are all in its input is a view: the first `rows` of it.
        is_there = node.op == "lag" and 0 < node.rows_back == reach - rows
        call = partial(_first, rows) if is_there else call_of(node, self.at)
        return _Step(node, call, tuple(i.shape for i in node.inputs), rows, reach)

    def _fill(self, into: Target, rows: int, steps: Sequence[_Step], is_read: bool) -> None:
        """Fill the array of the last step by tiles of rows: intermediate arrays never leave the cache."""
        last, outer = steps[-1], {s for step in steps for s in step.inputs if s in self.values}
        wide, is_taken = len(self.at.names), isinstance(into, TrialPart)
        high = rows if len(steps) == 1 and not is_taken else max(1, _TILE_CELLS // max(1, wide))
        for low in range(0, rows, high):
            count = min(high, rows - low)
            part = np.empty((count, wide)) if isinstance(into, TrialPart) else into[low : low + high]
            tile = {shape: _rows(self.values[shape], rows, low, high) for shape in outer}
            for step in steps[:-1]:
                tile[step.node.shape] = self._made(step, tile, count)
            made = self._made(last, tile, count, part)
            if is_taken or not (is_read or isinstance(last.make, Chain)):
                self.store(last.node.shape, made, low)
            elif not isinstance(last.make, Chain):
                part[:] = made

    def _made(self, step: _Step, values: Mapping[str, Value], rows: int, into: Floats | None = None) -> Value:
        """Run a step; a chain fills `into`, if given."""
        begun = begin("a chain" if isinstance(step.make, Chain) else step.node.op)
        inputs = [_tail(values[shape], step.reach) for shape in step.inputs]
        made: Value
        if isinstance(step.make, Chain):
            made = np.empty((rows, len(self.at.names))) if into is None else into
            step.make.run(inputs, made)
        else:
            made = _tail(step.make(inputs), rows)
        self._took(step.node.shape, begun)
        return made

    def _took(self, shape: str, begun: Begun, share: int = 1) -> None:
        self.at.seconds[shape] = self.at.seconds.get(shape, 0.0) + (time.perf_counter() - begun[0]) / share
        if not is_warm(begun):
            self.at.cold.add(shape)


def _first(rows: int, inputs: Sequence[Value]) -> Value:
    """Return the first rows of a lag's input, without a copy."""
    return inputs[0] if isinstance(inputs[0], float) else inputs[0][:rows]


def _tail(values: Value, rows: int) -> Value:
    return values if isinstance(values, float) else values[max(0, len(values) - rows) :]


def _rows(values: Value, total: int, low: int, rows: int) -> Value:
    """Return some of the last `total` rows."""
    return values if isinstance(values, float) else values[len(values) - total :][low : low + rows]
