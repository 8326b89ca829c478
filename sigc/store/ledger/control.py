"""Decisions of a person or a rule, kept until they are withdrawn: halted, paused, disabled jobs.

Each has a name (`halted`), a scope ('' for all, else a strategy, a job or a run), a value, its author, reason and
instant. It is set and deleted in one transaction with its audit record, so it survives any crash.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.ledger import Transaction

HALTED = "halted"  # no order of that strategy (or of any) is sent
PAUSED = "paused"  # no run of that strategy (or of any) is started, and what is under way sends nothing
CANCELLED = "cancelled"  # nothing more of that run (its id is the scope) is sent
REVOKED = "revoked"  # nothing more of that run is sent: its execution was given up
ACCEPTED = "accepted"  # the price of an asset on a date (scope: `DATE ASSET`), despite its jump


@dataclass(frozen=True, slots=True)
class Control:
    """One decision in force."""

    name: str
    scope: str
    value: str
    who: str
    reason: str
    at: datetime

    @property
    def by(self) -> str:
        """Return the author and the reason: `by ann: enough`."""
        return f"by {self.who or 'sigc'}" + (f": {self.reason}" if self.reason else "")


def put(tx: Transaction, name: str, scope: str, value: str, who: str, reason: str) -> None:
    """Store a decision; replace an earlier one of that name and scope."""
    before = get(tx.connection, name, scope)
    tx.connection.execute(
        "INSERT INTO control (name, scope, value, who, reason, at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (name, scope) DO UPDATE SET value = excluded.value, who = excluded.who,"
        " reason = excluded.reason, at = excluded.at",
        (name, scope, value, who, reason, tx.at.isoformat()),
    )
    said = {"name": name, "scope": scope, "value": value, "reason": reason, "was": before.value if before else None}
    tx.audit(AuditEvent("control.set", said, who=who))


def drop(tx: Transaction, name: str, scope: str, who: str = "", reason: str = "") -> bool:
    """Delete a decision. Return True if it existed."""
    before = get(tx.connection, name, scope)
    if before is None:
        return False
    tx.connection.execute("DELETE FROM control WHERE name = ? AND scope = ?", (name, scope))
    said = {"name": name, "scope": scope, "reason": reason, "was": before.value}
    tx.audit(AuditEvent("control.dropped", said, who=who))
    return True


def get(connection: sqlite3.Connection, name: str, scope: str) -> Control | None:
    """Return the decision of that name and scope, None without one."""
    found = _read(connection, "name = ? AND scope = ?", (name, scope))
    return found[0] if found else None


def every(connection: sqlite3.Connection, name: str) -> tuple[Control, ...]:
    """Return all decisions of that name, by scope."""
    return _read(connection, "name = ?", (name,))


def accept_price(tx: Transaction, asset: str, day: str, who: str, reason: str) -> None:
    """Accept the price of an asset on a day (an ISO date): it is traded on from then."""
    put(tx, ACCEPTED, f"{day} {asset}", "by hand", who, reason)


def accepted_by_hand(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    """Return (asset, ISO date) of every price that a person accepted."""
    scopes = (one.scope.partition(" ") for one in every(connection, ACCEPTED))
    return frozenset((asset, day) for day, _, asset in scopes)


def holds(connection: sqlite3.Connection, name: str, strategy: str) -> Control | None:
    """Return the decision of that name that applies to a strategy: the one for all, or its own; None without either."""
    found = _read(connection, "name = ? AND scope IN ('', ?)", (name, strategy))
    return found[0] if found else None


def pause_of(connection: sqlite3.Connection, strategy: str, begun: datetime) -> Control | None:
    """Return the pause that holds the orders of a run; None without one.

    begun: of the run, by the ledger's clock. A run that began while its strategy was paused was forced: that pause does
    not hold it.
    """
    found = _read(connection, "name = ? AND scope IN ('', ?)", (PAUSED, strategy))
    return next((one for one in found if one.at > begun), None)


def _read(connection: sqlite3.Connection, where: str, values: tuple[str, ...]) -> tuple[Control, ...]:
    rows = connection.execute(
        f"SELECT name, scope, value, who, reason, at FROM control WHERE {where} ORDER BY name, scope",  # noqa: S608
        values,
    )
    return tuple(Control(n, s, v, who, why, datetime.fromisoformat(at)) for n, s, v, who, why, at in rows)
