"""Warm-up: the rows that metrics leave out, before the first with a defined weight.

A weight is defined where all that it reads is there: the rows of its windows, and a first row of each source. Zero is
a weight (a trend model in cash counts); a zero that a missing score was filled with is none, and the plan tells the
two apart. A row with a weight other than zero is never left out.

    possible = first_possible(portfolio.weights, grid)      by the plan: lookback, and where sources begin
    first    = first_defined(wanted, possible - start)      by the weights too
"""

from __future__ import annotations

import numpy as np

from sigc.panel import Floats
from sigc.plan.expr import SOURCE, Expr, walk
from sigc.plan.grid import Grid


def first_possible(root: Expr, grid: Grid) -> int:
    """Return the first row of the grid with all inputs of `root`; the number of rows where none has them.

    A carried operator, which has a value from its first row on, asks for no earlier one.
    """
    first: dict[str, int] = {}
    for node in walk([root]):
        if node.op == SOURCE:
            first[node.shape] = _begin(grid, str(node.arguments["name"]))
        else:
            first[node.shape] = node.rows_back + max((first[i.shape] for i in node.inputs), default=0)
    return min(first[root.shape], len(grid.dates))


def _begin(grid: Grid, name: str) -> int:
    there = grid.leaves[name].rows >= 0
    return int(there.argmax()) if there.any() else len(there)


def first_defined(wanted: Floats, possible: int) -> int:
    """Return the first row of `wanted` (rows, assets) with a defined weight; the number of rows where none has one.

    possible: the first on which there may be one, by the plan.
    """
    early = np.nan_to_num(wanted[: max(0, possible)]) != 0.0
    if early.any():
        return int(early.any(axis=1).argmax())
    return next(
        (row for row in range(max(0, possible), len(wanted)) if (wanted[row] == wanted[row]).any()), len(wanted)
    )


def first_of_figures(gross: Floats, missing: Floats, assets: int, possible: int) -> int:
    """Return the same from row figures: gross exposures as wanted, and the number of missing weights, (rows,) each."""
    defined = missing < assets
    defined[: max(0, possible)] = False
    defined |= gross > 0.0
    return int(defined.argmax()) if defined.any() else len(defined)
