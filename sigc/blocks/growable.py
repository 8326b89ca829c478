"""Arrays with spare rows at their end: appending a day to a block in memory does not copy the block.

    grown = spare.longer(values, 1)     the same rows first, then memory for one more
    grown[-1:] = today

Each spare row is handed out once, so existing arrays never change, and two arrays that grow from the same rows do
not meet: the later one gets a copy. An array lives as long as somebody has rows of it.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import numpy as np

from sigc.panel import Floats


def owner(values: Floats) -> Floats:
    """Return the array that owns the memory of this one."""
    base: Floats = values
    while isinstance(base.base, np.ndarray):
        base = base.base
    return base


@dataclass(slots=True)
class _Roomy:
    """An array kept by others; its first `taken` rows are handed out."""

    kept: weakref.ref[Floats]
    taken: int

    def take(self, values: Floats, more: int) -> Floats | None:
        """Return the rows taken so far and `more`; None unless `values` are exactly those and the others are free."""
        whole, stop = self.kept(), self.taken + more
        if whole is None or stop > len(whole) or values.shape != (self.taken, whole.shape[1]):
            return None
        # These very rows, not a copy of them.
        if values.ctypes.data != whole.ctypes.data:
            return None
        self.taken = stop
        return whole[:stop]


class GrowableArrays:
    """The growing arrays. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrays: dict[int, _Roomy] = {}  # by id(), until nobody has rows of it

    def longer(self, values: Floats, more: int) -> Floats:
        """Return an array of the rows of `values` (C-ordered) and `more` rows that are not filled.

        It shares the memory if rows are free there; else the rows are copied to a new array with as many free rows.
        """
        with self._lock:
            found = self._arrays.get(id(owner(values)))
            grown = found.take(values, more) if found is not None else None
            return self._moved(values, more) if grown is None else grown

    def _moved(self, values: Floats, more: int) -> Floats:
        stop = len(values) + more
        # Twice the size: appending rows one by one copies each row a constant number of times.
        whole = np.empty((2 * stop, values.shape[1]))
        whole[: len(values)] = values
        name, arrays = id(whole), self._arrays
        # The callback removes the entry before the id can be reused by another array.
        arrays[name] = _Roomy(weakref.ref(whole, lambda _: arrays.pop(name, None)), stop)
        return whole[:stop]
