"""Arrays for the results of a run in memory: the blocks of a node are rows of one array, so that gathering copies
nothing.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.growable import GrowableArrays
from sigc.panel import Floats


class MemoryArena:
    """An allocator that hands out each row of a node's array once; a second request gets another array. Thread-safe.

    spare: arrays in which blocks grow beyond stored ones; it outlives the run.
    """

    def __init__(self, spare: GrowableArrays | None = None) -> None:
        self.spare = spare or GrowableArrays()
        self._lock = threading.Lock()
        self._whole: dict[tuple[str, int, int], tuple[Floats, NDArray[np.bool_]]] = {}

    def rows(self, shape: str, total: int, assets: int, start: int, stop: int) -> Floats:
        """Return the rows [start, stop) of a node's array, (total, assets) in all; uninitialised."""
        with self._lock:
            found = self._whole.get((shape, total, assets))
            if found is None or found[1][start:stop].any():
                found = self._whole[shape, total, assets] = (np.empty((total, assets)), np.zeros(total, bool))
            whole, taken = found
            taken[start:stop] = True
        return whole[start:stop]
