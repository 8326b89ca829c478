"""Arrays with spare rows at their end: a block in memory that grows by a day is not copied for it.

    grown = spare.longer(values, 1)     the same rows first, then memory for one more
    grown[-1:] = today

Each spare row is handed out once, so what was made of an array stays as it is, and two that grow from the same rows do
not meet: the later one gets an array of its own. An array lives as long as somebody has rows of it.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import numpy as np

from sigc.panel import Floats


def owner(values: Floats) -> Floats:
    """The array whose memory this one shows."""
    base: Floats = values
    while isinstance(base.base, np.ndarray):
        base = base.base
    return base


@dataclass(slots=True)
class _Roomy:
    """An array that somebody else keeps; its first `taken` rows are handed out."""

    kept: weakref.ref[Floats]
    taken: int

    def take(self, values: Floats, more: int) -> Floats | None:
        """The rows taken so far and so many more; None unless `values` are those and the others are free."""
        whole, stop = self.kept(), self.taken + more
        if whole is None or stop > len(whole) or values.shape != (self.taken, whole.shape[1]):
            return None
        if values.ctypes.data != whole.ctypes.data:
            return None
        self.taken = stop
        return whole[:stop]


class GrowableArrays:
    """The arrays that grow. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrays: dict[int, _Roomy] = {}  # by identity, until nobody has rows of it

    def longer(self, values: Floats, more: int) -> Floats:
        """An array of the rows of `values` (C-ordered) and `more` that are not filled.

        It shows the same memory where rows are free there; else the rows are copied, to where as many again are free.
        """
        with self._lock:
            found = self._arrays.get(id(owner(values)))
            grown = found.take(values, more) if found is not None else None
            return self._moved(values, more) if grown is None else grown

    def _moved(self, values: Floats, more: int) -> Floats:
        stop = len(values) + more
        whole = np.empty((2 * stop, values.shape[1]))
        whole[: len(values)] = values
        name, arrays = id(whole), self._arrays
        arrays[name] = _Roomy(weakref.ref(whole, lambda _: arrays.pop(name, None)), stop)
        return whole[:stop]
