"""What a person or a rule has decided, kept until it is taken back: halted, paused, disabled jobs.

Each has a name (`halted`), a scope ('' for all, else a strategy, a job or a run) and a value; who said it, why and
when. It is set and dropped in one transaction with its audit record, so it holds after any crash.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.ledger import Transaction

HALTED = "halted"  # no order of that strategy (or of any) is sent
PAUSED = "paused"  # no run of that strategy (or of any) is started
CANCELLED = "cancelled"  # nothing more of that run (its id is the scope) is sent
ACCEPTED = "accepted"  # the price of an asset on a date (`DATE ASSET` is the scope), though it is unlike the one before


@dataclass(frozen=True, slots=True)
class Control:
    """One decision that holds."""

    name: str
    scope: str
    value: str
    who: str
    reason: str
    at: datetime

    @property
    def by(self) -> str:
        """Who decided, and why: `by ann: enough`."""
        return f"by {self.who or 'sigc'}" + (f": {self.reason}" if self.reason else "")


def put(tx: Transaction, name: str, scope: str, value: str, who: str, reason: str) -> None:
    """Decide; an earlier decision of that name and scope is replaced."""
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
    """Take a decision back; whether there was one."""
    before = get(tx.connection, name, scope)
    if before is None:
        return False
    tx.connection.execute("DELETE FROM control WHERE name = ? AND scope = ?", (name, scope))
    said = {"name": name, "scope": scope, "reason": reason, "was": before.value}
    tx.audit(AuditEvent("control.dropped", said, who=who))
    return True


def get(connection: sqlite3.Connection, name: str, scope: str) -> Control | None:
    """The decision of that name and scope, None without one."""
    found = _read(connection, "name = ? AND scope = ?", (name, scope))
    return found[0] if found else None


def every(connection: sqlite3.Connection, name: str) -> tuple[Control, ...]:
    """All decisions of that name, by scope."""
    return _read(connection, "name = ?", (name,))


def accept_price(tx: Transaction, asset: str, day: str, who: str, reason: str) -> None:
    """Decide that the price of an asset on a day (an ISO date) is right, so that it is traded on from then."""
    put(tx, ACCEPTED, f"{day} {asset}", "by hand", who, reason)


def accepted_by_hand(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    """Return (asset, ISO date) of every price that a person has accepted."""
    scopes = (one.scope.partition(" ") for one in every(connection, ACCEPTED))
    return frozenset((asset, day) for day, _, asset in scopes)


def holds(connection: sqlite3.Connection, name: str, strategy: str) -> Control | None:
    """The decision of that name which applies to a strategy: the one for all, or its own; None without either."""
    found = _read(connection, "name = ? AND scope IN ('', ?)", (name, strategy))
    return found[0] if found else None


def _read(connection: sqlite3.Connection, where: str, values: tuple[str, ...]) -> tuple[Control, ...]:
    rows = connection.execute(
        f"SELECT name, scope, value, who, reason, at FROM control WHERE {where} ORDER BY name, scope",  # noqa: S608
        values,
    )
    return tuple(Control(n, s, v, who, why, datetime.fromisoformat(at)) for n, s, v, who, why, at in rows)
