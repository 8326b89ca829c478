"""What operators cost on this machine: nanoseconds a cell, measured by every run, kept as a note of the store.

By these, tasks are put together until they are worth sending, and a cluster is opened only where it is worth it. A
chain that is computed together counts as its last node. They never change a result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

from sigc.blocks import BlockStore
from sigc.plan.expr import Expr

NOTE = "costs"
UNKNOWN_NS = 3.0  # of an operator that was never measured here
_ENOUGH_CELLS = 1_000_000  # below so many a measurement says more of the machine's mood
_NEW = 0.3  # share of what was measured last in the running mean


class Costs:
    """Nanoseconds a cell, by operator."""

    def __init__(self, known: dict[str, float]) -> None:
        self.known = known
        self._measured: dict[str, tuple[float, int]] = {}

    @classmethod
    def of(cls, store: BlockStore) -> Costs:
        """As they are kept; those that can't be read are none."""
        try:
            found = json.loads(store.noted(NOTE) or "{}")
            return cls({str(op): float(ns) for op, ns in found.items() if 0.0 < float(ns) < 1e6})
        except (ValueError, TypeError, AttributeError):
            return cls({})

    def estimate(self, nodes: Iterable[Expr], cells: int) -> int:
        """Nanoseconds that the nodes take over so many cells each."""
        return int(cells * sum(self.known.get(node.op, UNKNOWN_NS) for node in nodes))

    def measure(self, op: str, seconds: float, cells: int) -> None:
        """Take in what an operator took."""
        spent, count = self._measured.get(op, (0.0, 0))
        self._measured[op] = (spent + seconds, count + cells)

    def save(self, store: BlockStore) -> None:
        """Keep what was measured on enough cells. A store that can't be written keeps what it has."""
        fresh = {op: 1e9 * s / cells for op, (s, cells) in self._measured.items() if cells >= _ENOUGH_CELLS}
        self._measured = {}
        if not fresh:
            return
        for op, ns in fresh.items():
            before = self.known.get(op)
            self.known[op] = round(ns if before is None else (1.0 - _NEW) * before + _NEW * ns, 3)
        with suppress(OSError):
            store.note(NOTE, json.dumps(self.known, sort_keys=True))
