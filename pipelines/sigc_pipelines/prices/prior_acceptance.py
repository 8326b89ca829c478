"""Acceptance before a row, so that a read of a source's last rows accepts the same prices as a read of all rows.

A jump that looks like a split is held for as long as nobody explains it: whoever looks at the end of a panel must know
what happened before. Rows are walked once: the state at each `_STRIDE` rows is kept by their digests, in the process
and as a note of the store.
"""

from __future__ import annotations

import base64
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date

import numpy as np

from sigc.actions import between, digest_of
from sigc.blocks.block import BlockStore, digest
from sigc.blocks.checksummed import seal, unseal
from sigc.data.actions.adjust import PriorState, day_of, levels_of
from sigc.data.anomalies import AnomalyState, JumpLimits, accept, limits_of
from sigc.engine.core.gather import source_panel
from sigc.plan.grid import Grid
from sigc_pipelines.compute import Loaded, Workspace

_STRIDE = 256
_MOST = 64  # states that are remembered


@dataclass(frozen=True, slots=True)
class Before:
    """The accepted prices before some row, and the corporate actions that found no price by then."""

    state: AnomalyState | None = None
    since: PriorState | None = None


_known: OrderedDict[str, Before] = OrderedDict()
_lock = threading.Lock()


def state_before(loaded: Loaded, workspace: Workspace, name: str, row: int) -> Before:
    """Return the state of a source after the rows before `row` of the grid; empty without rows, or if it is masked.

    Prices that were accepted are in the units of the row before: what acts later is for who goes on from there.
    """
    leaf = loaded.grid.leaves[name]
    options = leaf.source.spec.options
    if row == 0 or options.mask_anomalies:
        return Before()
    limits = limits_of(options.max_return, workspace.max_return, leaf.source.rows.frequency)
    hand, acts = repr(sorted(workspace.by_hand)), loaded.acts(name)

    def key(at: int) -> str:
        known = digest_of(between(acts, date.min, day_of(loaded.grid.days[at - 1])))
        return digest(name, loaded.grid.names_digest, repr(limits), hand, known, leaf.digests[:at].tobytes())

    at, state = 0, Before()
    for stop in range(row - row % _STRIDE, 0, -_STRIDE):
        with _lock:
            found = _known.get(key(stop))
        found = _recalled(workspace.store, key(stop), loaded, stop) if found is None else found
        if found is not None:
            at, state = stop, found
            break
    while at < row:
        stop = min(row, at - at % _STRIDE + _STRIDE)
        state = _walked(loaded, workspace, name, (at, stop), limits, state)
        at = stop
        if stop % _STRIDE == 0:
            _keep(workspace.store, key(stop), state)
    return state


def _keep(store: BlockStore, key: str, known: Before) -> None:
    with _lock:
        _known[key] = known
        while len(_known) > _MOST:
            _known.popitem(last=False)
    if known.state is not None and known.since is not None and not known.since.waiting:
        arrays = known.state.accepted, known.state.candidate, known.state.held.astype(np.float64)
        store.note(f"accepted-{key}", seal(base64.b64encode(zlib.compress(np.vstack(arrays).tobytes(), 1)).decode()))


def _recalled(store: BlockStore, key: str, loaded: Loaded, stop: int) -> Before | None:
    """Return the state that an earlier process has kept; None if it can't be read."""
    text = unseal(store.noted(f"accepted-{key}"))
    if not text:
        return None
    try:
        accepted, candidate, held = np.frombuffer(zlib.decompress(base64.b64decode(text))).reshape(3, -1).copy()
    except (ValueError, zlib.error):
        return None
    return Before(AnomalyState(accepted, candidate, held != 0.0), PriorState(day_of(loaded.grid.days[stop - 1])))


def _walked(
    loaded: Loaded, workspace: Workspace, name: str, rows: tuple[int, int], limits: JumpLimits, before: Before
) -> Before:
    values = source_panel(loaded.grid, workspace.store, name, *rows).values
    days = loaded.grid.days[slice(*rows)]
    made = levels_of(values, loaded.grid.names, days, loaded.acts(name), before.since)
    cells = cells_of(loaded.grid, workspace.by_hand, rows[0])
    after = accept(made.levels, limits, before.state, by_hand=cells)[2]
    own = AnomalyState(after.accepted / made.scales, after.candidate / made.scales, after.held)
    return Before(own, PriorState(day_of(days[-1]), made.waiting))


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
