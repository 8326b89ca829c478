"""Costs of operators on this machine: nanoseconds per cell, measured by runs, kept as a note of the store.

They decide the size of batches, and if opening a cluster pays off. A chain computed together counts as its last node.
They never change a result.

A run's figure is the median of its calls, without those that may have compiled (`warm.py`). The median of the last
runs' figures counts; a single run can only make work look cheaper than unknown work, never dearer. So one slow call or
run does not decide where the next one goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from statistics import median_low

from sigc.blocks.block import BlockStore
from sigc.plan.expr import Expr

NOTE = "costs"
UNKNOWN_NS = 3.0  # for an operator never measured here
_ENOUGH_CELLS = 100_000  # with fewer cells a call's time is mostly noise
_ENOUGH_CALLS = 3  # calls of a run for a figure
_FIGURES = 7  # of the last runs, kept


class KernelCosts:
    """Nanoseconds per cell. known: the figures of the last runs by operator, the latest last."""

    def __init__(self, known: dict[str, list[float]]) -> None:
        self.known = known
        self._measured: dict[str, list[float]] = {}

    @classmethod
    def of(cls, store: BlockStore) -> KernelCosts:
        """Return the costs kept in a store; empty if unreadable."""
        try:
            found = json.loads(store.noted(NOTE) or "{}")
            return cls({str(op): good for op, figures in found.items() if (good := _credible(figures))})
        except (ValueError, TypeError, AttributeError):
            return cls({})

    def believed(self, op: str) -> float:
        """Return the nanoseconds per cell of an operator.

        >>> known = {"rank": [9.0], "mean": [2.0], "corr": [30.0, 900.0], "std": [5.0, 6.0, 900.0]}
        >>> [KernelCosts(known).believed(op) for op in ("unheard", "rank", "mean", "corr", "std")]
        [3.0, 3.0, 2.0, 30.0, 6.0]
        """
        figures = self.known.get(op, [])
        match len(figures):
            case 0:
                return UNKNOWN_NS
            case 1:
                return min(figures[0], UNKNOWN_NS)
            case _:
                return median_low(figures)

    def estimate(self, nodes: Iterable[Expr], cells: int) -> int:
        """Return the nanoseconds that the nodes take for this number of cells each."""
        return int(cells * sum(self.believed(node.op) for node in nodes))

    def measure(self, op: str, seconds: float, cells: int) -> None:
        """Record the time of one warm call of an operator; one with few cells is ignored."""
        if cells >= _ENOUGH_CELLS:
            self._measured.setdefault(op, []).append(1e9 * seconds / cells)

    def save(self, store: BlockStore) -> None:
        """Store the figures of this run. A store that can't be written keeps the old ones."""
        fresh = {op: median_low(calls) for op, calls in self._measured.items() if len(calls) >= _ENOUGH_CALLS}
        self._measured = {}
        if not fresh:
            return
        for op, ns in fresh.items():
            self.known[op] = [*self.known.get(op, []), round(ns, 3)][-_FIGURES:]
        with suppress(OSError):
            store.note(NOTE, json.dumps(self.known, sort_keys=True))


def _credible(figures: Iterable[float]) -> list[float]:
    """Return the plausible figures; raise `TypeError` for an invalid list."""
    if not isinstance(figures, list):
        return []
    return [float(ns) for ns in figures if 0.0 < float(ns) < 1e4][-_FIGURES:]
