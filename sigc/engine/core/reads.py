"""Reads of sources: the blocks to read, and the source row for each row of the grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.block import BlockStore, places
from sigc.data.events import newest
from sigc.data.manifest import Events
from sigc.engine.core.task import AsOfRead, Piece, Read
from sigc.ops.declare import ValueKind
from sigc.panel import Panel
from sigc.plan.expr import Expr
from sigc.plan.grid import Leaf


class BlockLostError(Exception):
    """A block that the task must read is gone (evicted or damaged). Its text is the key."""


def read_of(node: Expr, name: str, leaf: Leaf, low: int, stop: int) -> Read:
    """Return the read of the rows [low, stop) of a source on the grid."""
    rows = leaf.rows[low:stop]
    first, last = _bounds(rows)
    pieces = tuple(Piece(b.key, b.start, b.stop) for b in leaf.source.blocks if b.stop > first and b.start < last)
    return Read(node, name, low, rows, pieces, leaf.broadcast, _asof(leaf, low, stop))


def _bounds(rows: NDArray[np.intp]) -> tuple[int, int]:
    valid = rows[rows >= 0]
    return (int(valid.min()), int(valid.max()) + 1) if len(valid) else (0, 0)


def _asof(leaf: Leaf, low: int, stop: int) -> AsOfRead | None:
    source = leaf.source
    if source.events is None or leaf.moments is None:
        return None
    labels = source.labels if source.kind is ValueKind.CATEGORY else None
    # A task is sent to workers: leave out the events' array, which only the grid needs.
    events = Events(source.events.max_age_days, source.events.by_label, np.empty(0, "i8"))
    return AsOfRead(leaf.moments.rows(low, stop), events, labels)


def read_events(read: Read, asof: AsOfRead, store: BlockStore, low: int, stop: int) -> Panel:
    """Return the rows [low, stop) of an as-of source. Raise `BlockLostError`.

    Each row is read from the block that holds its newest event, independent of earlier blocks.
    """
    rows = read.rows[low - read.low : stop - read.low]
    moments = asof.moments.rows(low - read.low, stop - read.low)
    parts = []
    for piece in read.pieces:
        begin, end = np.searchsorted(rows, [piece.start, piece.stop])
        if begin == end:
            continue
        panel = store.read(piece.key)
        if panel is None:
            raise BlockLostError(piece.key)
        some = moments.rows(int(begin), int(end))
        parts.append((begin, end, panel.names, newest(panel, some.stamps_us, some.days, asof.events)))
    names = tuple(sorted(set[str]().union(*(p[2] for p in parts))))
    out = np.full((len(rows), len(names)), np.nan)
    for begin, end, own, values in parts:
        out[begin:end, places(own, names)] = values
    return Panel(np.zeros(len(rows), "datetime64[ns]"), names, out, asof.labels)
