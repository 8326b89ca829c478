"""Decisions in force as the schedule and the status use them: pauses, disabled jobs, halts, tripped breakers."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from sigc.store.ledger import breakers, control


@dataclass(frozen=True, slots=True)
class ScheduleDecisions:
    """Decisions of people. held: paused strategies, off: disabled jobs, halted: halted strategies; '' means all.

    tripped: circuit breakers, by name.
    """

    held: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    halted: frozenset[str] = frozenset()
    tripped: frozenset[str] = frozenset()

    def halts(self, strategy: str) -> bool:
        """Return True if no order of that strategy may be sent."""
        return "" in self.halted or strategy in self.halted

    def holds(self, strategy: str) -> bool:
        """Return True if runs of that strategy are paused."""
        return "" in self.held or strategy in self.held


def decisions_of(connection: sqlite3.Connection, disabled: str) -> ScheduleDecisions:
    """Return the decisions that the ledger has. disabled: the name of those on jobs."""
    named = [control.every(connection, name) for name in (control.PAUSED, disabled)]
    held, off, halted = (frozenset(one.scope for one in found) for found in (*named, breakers.halts(connection)))
    return ScheduleDecisions(held, off, halted, frozenset(one.name for one in breakers.tripped(connection)))
