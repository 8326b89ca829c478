"""Alerts as values: queries, and acknowledgement and resolution by a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sigc.alerts.urgency import Urgency
from sigc.errors import Diagnostic, SigcError
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.ledger import Transaction
from sigc.store.outbox.raise_alerts import end

COLUMNS = (
    "a.id, a.at, a.latest, a.rule, a.key, a.severity, a.strategy, a.run, a.title, a.text, a.seq, a.repeats, a.state,"
    " a.who, a.reason, a.changed"
)
OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to an operator. at: its first occurrence; latest, repeats: the last one, and the number since the
    first.

    seq: number of the audit record it follows from. state: open, acknowledged or resolved (`changed` at, by `who`, for
    `reason`).
    """

    id: int
    at: datetime
    latest: datetime
    rule: str
    key: str
    severity: Urgency
    strategy: str
    run: str
    title: str
    text: str
    seq: int
    repeats: int = 0
    state: str = OPEN
    who: str = ""
    reason: str = ""
    changed: datetime | None = None

    @property
    def is_notice(self) -> bool:
        """Return True for a message without follow-up: resolved from the beginning."""
        return self.state == RESOLVED and self.changed is None


def alert_of(row: Sequence[object]) -> Alert:
    """Return the alert of a row of `COLUMNS`."""
    id, at, latest, rule, key, severity, strategy, run, title, text, seq, repeats, state, who, reason, changed = row
    return Alert(
        id=int(str(id)),
        at=datetime.fromisoformat(str(at)),
        latest=datetime.fromisoformat(str(latest)),
        rule=str(rule),
        key=str(key),
        severity=Urgency(str(severity)),
        strategy=str(strategy),
        run=str(run),
        title=str(title),
        text=str(text),
        seq=int(str(seq)),
        repeats=int(str(repeats)),
        state=str(state),
        who=str(who),
        reason=str(reason),
        changed=None if changed is None else datetime.fromisoformat(str(changed)),
    )


def listed(connection: sqlite3.Connection, most: int = 50, *, with_resolved: bool = False) -> tuple[Alert, ...]:
    """Return the newest alerts, newest first: the unresolved ones, or all."""
    where = "1" if with_resolved else "a.state <> 'resolved'"
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM alerts a WHERE {where} ORDER BY a.id DESC LIMIT ?",  # noqa: S608
        (most,),
    )
    return tuple(alert_of(row) for row in rows)


def find(connection: sqlite3.Connection, id: int) -> Alert:
    """Return the alert of a number. Raise E312 without one."""
    row = connection.execute(f"SELECT {COLUMNS} FROM alerts a WHERE a.id = ?", (id,)).fetchone()  # noqa: S608
    if row is None:
        raise SigcError(Diagnostic("E312", f"there is no alert {id}", hint="`sigc alerts list --all` shows them"))
    return alert_of(row)


def count_open(connection: sqlite3.Connection) -> dict[Urgency, int]:
    """Return the number of unresolved alerts by severity, zeros included."""
    rows = connection.execute("SELECT severity, count(*) FROM alerts WHERE state <> 'resolved' GROUP BY severity")
    found = {Urgency(severity): int(number) for severity, number in rows}
    return {urgency: found.get(urgency, 0) for urgency in Urgency}


def is_raised(connection: sqlite3.Connection, rule: str, key: str) -> bool:
    """Return True if a rule has raised an alert of that key, in any state now."""
    row = connection.execute("SELECT 1 FROM alerts WHERE rule = ? AND key = ? LIMIT 1", (rule, key)).fetchone()
    return row is not None


def acknowledge(tx: Transaction, id: int, who: str, reason: str = "") -> bool:
    """Mark an alert as seen by a person. Return True if it was open. Raise E312."""
    alert = find(tx.connection, id)
    if alert.state != OPEN:
        return False
    tx.connection.execute(
        "UPDATE alerts SET state = 'acknowledged', who = ?, reason = ?, changed = ? WHERE id = ?",
        (who, reason, tx.at.isoformat(), id),
    )
    tx.audit(_event("alert.acknowledged", alert, who, reason))
    return True


def resolve(tx: Transaction, id: int, who: str, reason: str = "") -> bool:
    """Resolve an alert. Return True if it was not resolved. Raise E312."""
    alert = find(tx.connection, id)
    if alert.state == RESOLVED:
        return False
    end(tx.connection, id, tx.at, who, reason)
    tx.audit(_event("alert.resolved", alert, who, reason))
    return True


def _event(name: str, alert: Alert, who: str, reason: str) -> AuditEvent:
    said = {"id": alert.id, "rule": alert.rule, "key": alert.key, "title": alert.title, "reason": reason}
    return AuditEvent(name, said, run=alert.run, strategy=alert.strategy, who=who)
