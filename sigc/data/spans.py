"""Of each asset of a source its first row with a value, its last, and how many it has: how much is filled in between.

Of files that follow one another spans are joined: each file of a day is full of what it names, the folder of them may
be mostly empty.
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
    """names: the assets that have a value. first, last: its row in the source, count: how many, (assets,) each."""

    names: tuple[str, ...]
    first: Counts
    last: Counts
    count: Counts

    @property
    def filled(self) -> float:
        """The share of cells between each asset's first and last value that hold one; 1 where there is no asset."""
        cells = int((self.last - self.first + 1).sum())
        return int(self.count.sum()) / cells if cells else 1.0


def spans_of(panel: Panel, row: int) -> Spans:
    """The spans of a panel in which each asset has a value. row: of the source, that it begins on."""
    valid = ~np.isnan(panel.values)
    first, from_end = valid.argmax(axis=0), valid[::-1].argmax(axis=0)
    return Spans(panel.names, row + first, row + len(valid) - 1 - from_end, valid.sum(axis=0, dtype=np.int64))


def joined(parts: Iterable[tuple[int, Spans]]) -> Spans:
    """The spans of consecutive rows as those of all. parts: each with the rows before those that it counts from."""
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
