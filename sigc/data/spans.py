"""Spans of assets in a source: the first and last row with a value, and the number of values.

They give the fill share of a source. Spans of consecutive files are joined: each file of a day may be full of its own
assets, while the folder of them is mostly empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigc.panel import Panel

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Spans of assets. names: those with a value. first, last: row in the source, count: number of values, (assets,)
    each.
    """

    names: tuple[str, ...]
    first: Counts
    last: Counts
    count: Counts

    @property
    def filled(self) -> float:
        """Return the share of cells with a value between each asset's first and last one; 1 without assets."""
        cells = int((self.last - self.first + 1).sum())
        return int(self.count.sum()) / cells if cells else 1.0


def spans_of(panel: Panel, row: int) -> Spans:
    """Return the spans of a panel in which each asset has a value. row: the number of its first row in the source."""
    valid = ~np.isnan(panel.values)
    first, from_end = valid.argmax(axis=0), valid[::-1].argmax(axis=0)
    return Spans(panel.names, row + first, row + len(valid) - 1 - from_end, valid.sum(axis=0, dtype=np.int64))


def joined(parts: Iterable[tuple[int, Spans]]) -> Spans:
    """Return the spans of consecutive parts as one. parts: (row offset, spans) each."""
    known = list(parts)
    names = tuple(sorted({name for _, part in known for name in part.names}))
    place = {name: at for at, name in enumerate(names)}
    first, last = np.full(len(names), np.iinfo(np.int64).max), np.full(len(names), -1)
    count = np.zeros(len(names), np.int64)
    for row, part in known:
        at = np.array([place[name] for name in part.names], np.intp)
        first[at] = np.minimum(first[at], row + part.first)
        last[at] = np.maximum(last[at], row + part.last)
        count[at] += part.count
    return Spans(names, first, last, count)
