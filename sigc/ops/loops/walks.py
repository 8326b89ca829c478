"""Many chains at once over whole rows, what they make followed as books: no weight is ever stored.

A walk is a table of steps as in `chains.py`, those of one chain after those of another (`bounds` says where each
begins), and beside operators of one cell some of a row. Rows go by small tiles, all chains over each: what many of
them read stays in the second-level cache, and what lies between two steps of one in the first.

A place is (address, cells from row to row, mask of rows): of a ring of two rows the mask is 1, so that the row before
is still there; of an array, -1; of one row that all take, 0. A chain ends with BOOK, whose operands are a ring of
weights and the returns, and whose target is where the figures of the first row go, so many cells apart.
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

_TILE = 8  # rows


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
    """All chains over all rows. some, lanes: as `rows.room`; space: as `books.room`; gaps: (rows,) room."""
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
                        found, before = places[to, 0] + 8 * t, _row(places, steps[i, 1], t - 1)
                        figures_of(a, before, b, cols, gaps[t], space, found, places[to, 1])
                    elif op >= DEMEAN:
                        stand(at(a, cols), op - DEMEAN, at(_row(places, to, t), cols), some, lanes)
                    else:
                        c, out = _row(places, steps[i, 3], t), _row(places, to, t)
                        step(op, at(a, cols), at(b, cols), at(c, cols), at(out, cols))
