"""Walks: chains that end as books, all in one pass over whole rows (`sigc.ops.loops.walks`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sigc.engine.kernel.calls import Value
from sigc.engine.kernel.chain import address, code_of
from sigc.engine.kernel.trial_figures import TrialPart
from sigc.ops import chained
from sigc.panel import Floats
from sigc.plan.expr import Expr

_LINE = 8  # floats per cache line


def is_walked(node: Expr) -> bool:
    """Return True if a node can be a step of a walk."""
    return row_code(node) is not None


def row_code(node: Expr) -> int | None:
    """Return the code of a row-wise or cell-wise operator, else None."""
    return chained.OF_ROWS.get(node.op) or code_of(node)


def outside(group: Sequence[Expr]) -> tuple[str, ...]:
    """Return the shapes that a group reads and does not compute."""
    own = {n.shape for n in group}
    return tuple({i.shape: None for n in group for i in n.inputs if i.shape not in own})


class TrialWalk:
    """A walk over groups of nodes, inputs first, whose last ones are books, each with the part that takes it.

    values: of their inputs, numbers or arrays that end with the slice's rows.
    """

    def __init__(self, groups: Sequence[tuple[Sequence[Expr], TrialPart]], values: Mapping[str, Value]) -> None:
        self._parts = [part for _, part in groups]
        self._rows = self._parts[0].high - self._parts[0].low
        self._cols = len(self._parts[0].names)
        self._alive: list[Floats] = []
        self._places: list[tuple[int, int, int]] = []
        self._steps: list[tuple[int, int, int, int, int]] = []
        self._free: list[int] = []
        self._rings = self._room(2 * len(groups))
        self._rings[:] = 0.0
        returns = self._array(self._parts[0].returns[self._parts[0].low : self._parts[0].high])
        after = self._parts[0].skipped
        known = {shape: self._value(values[shape], after) for group, _ in groups for shape in outside(group)}
        bounds = [0]
        for number, (group, part) in enumerate(groups):
            self._lay(group, known, self._rings[2 * number : 2 * number + 2])
            book = len(self._places)
            self._places.append((part.figures.ctypes.data + 8 * part.low, part.figures.shape[1], 0))
            self._steps.append((chained.BOOK, self._steps[-1][4], returns, 0, book))
            bounds.append(len(self._steps))
        self._bounds = np.array(bounds, dtype=np.int64)

    def run(self) -> None:
        """Compute all books."""
        self._walk(1)  # the first rows alone: parts are joined by them
        firsts = self._rings[::2].copy()
        self._walk(self._rows)
        # Two rows of weights per book, used alternately: which of them is the last depends on the parity of the row
        # count.
        lasts = self._rings[1 - self._rows % 2 :: 2].copy()
        for part, first, last in zip(self._parts, firsts, lasts, strict=True):
            part.took(first[: self._cols], last[: self._cols])

    def _walk(self, rows: int) -> None:
        from sigc.ops.loops import books, walks
        from sigc.ops.loops.rows import room

        steps, places = np.array(self._steps, dtype=np.int64), np.array(self._places, dtype=np.int64)
        gaps = np.empty(rows, dtype=np.int64)
        walks.run(steps, self._bounds, places, rows, self._cols, *room(self._cols), books.room(self._cols), gaps)

    def _lay(self, group: Sequence[Expr], known: Mapping[str, int], ring: Floats) -> None:
        """Append the steps of a group. A place is reused once no later step reads it."""
        at = dict(known)
        last = {i.shape: number for number, node in enumerate(group) for i in node.inputs}
        for number, node in enumerate(group):
            if number == len(group) - 1:
                to = self._place(ring, ring.shape[1], 1)
            else:
                to = self._free.pop() if self._free else self._place(self._room(1), 0, 0)
            first, second, third = ([at[i.shape] for i in node.inputs] * 3)[:3]
            code = row_code(node)
            if code is None:
                raise ValueError(f"'{node.op}' can't be part of a walk")
            self._steps.append((code, first, second, third, to))
            at[node.shape] = to
            self._free += {at[i.shape] for i in node.inputs if i.shape not in known and last[i.shape] == number}

    def _room(self, rows: int) -> Floats:
        """Return rows that begin at a cache line."""
        wide = -(-self._cols // _LINE) * _LINE
        space = np.empty(rows * wide + _LINE)
        skip = (-space.ctypes.data // 8) % _LINE
        return space[skip : skip + rows * wide].reshape(rows, wide)

    def _place(self, values: Floats, stride: int, mask: int) -> int:
        self._alive.append(values)
        self._places.append((values.ctypes.data, stride, mask))
        return len(self._places) - 1

    def _array(self, values: Floats) -> int:
        self._alive.append(values)
        self._places.append((address(values, (self._rows, self._cols)), self._cols, -1))
        return len(self._places) - 1

    def _value(self, value: Value, after: int) -> int:
        """Return the place of a value: a number fills one row; of an array the rows after the skipped ones are
        walked.
        """
        if isinstance(value, float):
            row = self._room(1)
            row[:] = value
            return self._place(row, 0, 0)
        return self._array(value[after : after + self._rows])
