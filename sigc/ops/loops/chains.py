"""Chains of cell-wise operators in one walk: a segment of a row goes through all of them in the L1 cache.

A chain is a table of steps (operator, three operands, target) over a table of places (address, cells from row to row,
cells from column to column). A place is an array, or a private segment for a number or an intermediate result, with
strides 0 and 0 for rows and columns. Because places are addresses, one compiled loop serves all arrays; the caller
keeps the arrays alive, and guarantees their shapes.

Each operator gives the same bits as its own kernel (`sigc.ops.cell`).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.chained import (
    ABS,
    ADD,
    AND,
    CLEAN,
    DIV,
    FILL,
    GE,
    GT,
    LE,
    LT,
    MAX,
    MIN,
    MUL,
    NEG,
    NOT,
    OR,
    PAST,
    RESCALE,
    SEGMENT,
    SQUARE,
    SUB,
    WHERE,
)
from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops import cells, streams
from sigc.ops.loops.places import at

Floats = NDArray[np.float64]
Table = NDArray[np.int64]


@njit(**INNER)
def _segment(places: Table, place: int, row: int, column: int, wide: int) -> Floats:
    return at(places[place, 0] + 8 * (row * places[place, 1] + column * places[place, 2]), wide)


@njit(**INNER)
def step(op: int, a: Floats, b: Floats, c: Floats, out: Floats) -> None:
    """Apply one operator to some columns of a row."""
    wide = len(out)
    if op == CLEAN:
        streams.clean(a, out)
    elif op == PAST:
        streams.clean_past(a, out)
    elif op == SQUARE:
        for j in range(wide):
            out[j] = a[j] * a[j]
    elif op == ADD:
        for j in range(wide):
            out[j] = a[j] + b[j]
    elif op == SUB:
        for j in range(wide):
            out[j] = a[j] - b[j]
    elif op == MUL:
        for j in range(wide):
            out[j] = a[j] * b[j]
    elif op == DIV:
        cells.divide(a, b, out)
    elif op == NEG:
        for j in range(wide):
            out[j] = -a[j]
    elif op == ABS:
        for j in range(wide):
            out[j] = abs(a[j])
    # As np.minimum: NaN if either is. A NaN in b fails the comparison, so w is taken.
    elif op == MIN:
        for j in range(wide):
            v, w = a[j], b[j]
            out[j] = v if v < w or v != v else w
    elif op == MAX:
        for j in range(wide):
            v, w = a[j], b[j]
            out[j] = v if v > w or v != v else w
    elif op == GT:
        for j in range(wide):
            out[j] = 1.0 if a[j] > b[j] else 0.0
    elif op == LT:
        for j in range(wide):
            out[j] = 1.0 if a[j] < b[j] else 0.0
    elif op == GE:
        for j in range(wide):
            out[j] = 1.0 if a[j] >= b[j] else 0.0
    elif op == LE:
        for j in range(wide):
            out[j] = 1.0 if a[j] <= b[j] else 0.0
    elif op == AND:
        for j in range(wide):
            out[j] = 1.0 if (abs(a[j]) > 0.0) & (abs(b[j]) > 0.0) else 0.0
    elif op == OR:
        for j in range(wide):
            out[j] = 1.0 if (abs(a[j]) > 0.0) | (abs(b[j]) > 0.0) else 0.0
    elif op == NOT:
        for j in range(wide):
            out[j] = 0.0 if abs(a[j]) > 0.0 else 1.0
    elif op == WHERE:
        cells.choose(a, b, c, out)
    elif op == FILL:
        for j in range(wide):
            v, w = a[j], b[j]
            out[j] = v if v == v else w
    elif op == RESCALE:
        for j in range(wide):
            v, w = a[j], b[j]
            out[j] = v * w if w == w else v


@njit(**OPTIONS)
def run(steps: Table, places: Table, rows: int, cols: int) -> None:
    """Apply all steps to each segment of each row."""
    for t in range(rows):
        for j in range(0, cols, SEGMENT):
            wide = min(SEGMENT, cols - j)
            for i in range(len(steps)):
                a = _segment(places, steps[i, 1], t, j, wide)
                b = _segment(places, steps[i, 2], t, j, wide)
                c = _segment(places, steps[i, 3], t, j, wide)
                step(steps[i, 0], a, b, c, _segment(places, steps[i, 4], t, j, wide))
