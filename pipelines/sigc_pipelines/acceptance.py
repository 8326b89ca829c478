"""What was accepted of a source before some row, so that a look at its last rows accepts what a look at all would.

A jump that looks like a split is held for as long as nobody explains it: whoever looks at the end of a panel must know
what happened before. Rows are walked once a process: the state at each `_STRIDE` rows is remembered by their digests.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np

from sigc.blocks import digest
from sigc.data.anomalies import Limits, State, accept, limits_of
from sigc.engine.gather import source_panel
from sigc.plan.grid import Grid
from sigc_pipelines.compute import Loaded, Workspace

_STRIDE = 256
_MOST = 64  # states that are remembered
_known: OrderedDict[str, State] = OrderedDict()
_lock = threading.Lock()


def state_before(loaded: Loaded, workspace: Workspace, name: str, row: int) -> State | None:
    """What is known of a source after the rows before `row` of the grid; None where there is none, or it is masked."""
    leaf = loaded.grid.leaves[name]
    options = leaf.source.spec.options
    if row == 0 or options.mask_anomalies:
        return None
    limits = limits_of(options.max_return, workspace.max_return, leaf.source.rows.frequency)
    hand = repr(sorted(workspace.by_hand))

    def key(at: int) -> str:
        return digest(name, loaded.grid.names_digest, repr(limits), hand, leaf.digests[:at].tobytes())

    at, state = 0, None
    for stop in range(row - row % _STRIDE, 0, -_STRIDE):
        with _lock:
            state = _known.get(key(stop))
        if state is not None:
            at = stop
            break
    while at < row:
        stop = min(row, at - at % _STRIDE + _STRIDE)
        state = _walked(loaded, workspace, name, (at, stop), limits, state)
        at = stop
        if stop % _STRIDE == 0:
            with _lock:
                _known[key(stop)] = state
                while len(_known) > _MOST:
                    _known.popitem(last=False)
    return state


def _walked(
    loaded: Loaded, workspace: Workspace, name: str, rows: tuple[int, int], limits: Limits, state: State | None
) -> State:
    values = source_panel(loaded.grid, workspace.store, name, *rows).values
    cells = cells_of(loaded.grid, workspace.by_hand, rows[0])
    return accept(values, limits, state, by_hand=cells)[2]


def cells_of(grid: Grid, by_hand: frozenset[tuple[str, str]], low: int) -> frozenset[tuple[int, int]]:
    """(row, column) of what a person accepted, rows counted from `low` of the grid."""
    if not by_hand:
        return frozenset()
    place = {name: at for at, name in enumerate(grid.names)}
    found = [
        (int(row) - low, place[asset])
        for asset, day in by_hand
        if asset in place
        for row in np.flatnonzero(grid.days == np.datetime64(day, "D"))
    ]
    return frozenset(cell for cell in found if cell[0] >= 0)
