"""Walks: many chains at once over whole rows, with their results followed as books: no weight is ever stored.

A walk is a table of steps as in `chains.py`, one chain after the other (`bounds` holds their begins), with some
row-wise operators beside the cell-wise ones. Rows go by small tiles, all chains over each: shared inputs stay in the L2
cache, intermediate results of one chain in L1.

A place is (address, cells from row to row, mask of rows). The mask is 1 for a ring of two rows, so that the row before
is still there; -1 for an array; 0 for one row that serves all. A chain ends with BOOK: its operands are a ring of
weights and the returns, its target is the place of the first row's figures, with their distance in cells.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sigc.ops.chained import BOOK, DEMEAN
from sigc.ops.jit import INNER, OPTIONS
from sigc.ops.loops.books import count_missing, figures_of
from sigc.ops.loops.chains import step
from sigc.ops.loops.places import at
from sigc.ops.loops.rows import stand

Floats = NDArray[np.float64]
Table = NDArray[np.int64]

_TILE = 8  # rows per tile


@njit(**INNER)
def _row(places: Table, place: int, t: int) -> int:
    return places[place, 0] + 8 * ((t & places[place, 2]) * places[place, 1])


@njit(**OPTIONS)
def run(
    steps: Table,
    bounds: Table,
    places: Table,
    rows: int,
    cols: int,
    some: Floats,
    lanes: Floats,
    space: Floats,
    gaps: Table,
) -> None:
    """Run all chains over all rows. some, lanes: as `rows.room`; space: as `books.room`; gaps: (rows,) scratch."""
    for low in range(0, rows, _TILE):
        high = min(rows, low + _TILE)
        for chain in range(len(bounds) - 1):
            for t in range(low, high):
                for i in range(bounds[chain], bounds[chain + 1]):
                    op, to = steps[i, 0], steps[i, 4]
                    a, b = _row(places, steps[i, 1], t), _row(places, steps[i, 2], t)
                    if op == BOOK:
                        if chain == 0:
                            gaps[t] = count_missing(b, cols)
                        # t - 1 is -1 in the first row: in a ring of two rows the mask makes it row 1, which is zero
                        # then.
                        found, before = places[to, 0] + 8 * t, _row(places, steps[i, 1], t - 1)
                        figures_of(a, before, b, cols, gaps[t], space, found, places[to, 1])
                    elif op >= DEMEAN:
                        stand(at(a, cols), op - DEMEAN, at(_row(places, to, t), cols), some, lanes)
                    else:
                        c, out = _row(places, steps[i, 3], t), _row(places, to, t)
                        step(op, at(a, cols), at(b, cols), at(c, cols), at(out, cols))
