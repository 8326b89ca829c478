"""Room for the results of a run that stays in memory: the blocks of a node are rows of one array, so that gathering
them copies nothing."""

from __future__ import annotations

import threading

import numpy as np

from sigc.panel import Floats


class Room:
    """Hands out each row of a node's array once; whoever wants rows again gets another array. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._whole: dict[tuple[str, int, int], tuple[Floats, set[int]]] = {}

    def rows(self, shape: str, total: int, assets: int, start: int, stop: int) -> Floats:
        """The rows [start, stop) of the array of a node, (total, assets) as a whole; not filled."""
        with self._lock:
            whole, taken = self._whole.get((shape, total, assets), (None, set[int]()))
            if whole is None or not taken.isdisjoint(range(start, stop)):
                whole, taken = np.empty((total, assets)), set()
                self._whole[shape, total, assets] = (whole, taken)
            taken.update(range(start, stop))
        return whole[start:stop]
