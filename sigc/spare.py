"""Arrays with spare rows at their end: a block in memory that grows by a day is not copied for it.

    grown = spare.longer(values, 1)     the same rows first, then memory for one more
    grown[-1:] = today

Each spare row is handed out once, so what was made of an array stays as it is, and two that grow from the same rows do
not meet: the later one gets an array of its own.
"""

from __future__ import annotations

import threading
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
    """An array; its first `taken` rows are handed out."""

    whole: Floats
    taken: int

    def ends(self, values: Floats, more: int) -> bool:
        """Whether `values` are the rows taken so far, and so many more are free."""
        starts = values.ctypes.data == self.whole.ctypes.data and values.shape[1] == self.whole.shape[1]
        return starts and len(values) == self.taken and self.taken + more <= len(self.whole)


class Spare:
    """The arrays that grow. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrays: dict[int, _Roomy] = {}  # by identity, which they keep as long as they are here

    def longer(self, values: Floats, more: int) -> Floats:
        """An array of the rows of `values` (C-ordered) and `more` that are not filled.

        It shows the same memory where rows are free there; else the rows are copied, to where as many again are free.
        """
        with self._lock:
            found = self._arrays.get(id(owner(values)))
            if found is None or not found.ends(values, more):
                found = self._moved(values, more)
            found.taken += more
            return found.whole[: found.taken]

    def _moved(self, values: Floats, more: int) -> _Roomy:
        whole = np.empty((2 * (len(values) + more), values.shape[1]))
        whole[: len(values)] = values
        found = self._arrays[id(whole)] = _Roomy(whole, len(values))
        return found
