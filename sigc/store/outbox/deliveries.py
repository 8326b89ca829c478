"""Deliveries: one row per alert and channel, with its state. The ledger holds them all, so that none is lost.

    pending -> sending -> sent            marked before and after the request
               sending -> pending         it failed: retried at `next_attempt`
               sending -> given_up        the channel refuses it for good

A delivery found in `sending` at the start of a process may have been sent: it is sent again under the same key (at
least once).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sigc.store.ledger.ledger import Transaction
from sigc.store.outbox.alert_query import COLUMNS, Alert, alert_of

RAISED, RESOLVED = "raise", "resolve"
_DUE = "d.state IN ('pending', 'sending')"  # exactly as in the index
_MOST_ERROR = 500
_MOST_ROUTED = 1000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert for one channel. kind: raise or resolve. next_attempt: None for at once. since: instant of its
    creation.
    """

    id: int
    alert: Alert
    kind: str
    channel: str
    state: str
    attempts: int
    since: datetime
    next_attempt: datetime | None = None
    error: str = ""


def route(tx: Transaction, channels_of: Callable[[Alert], Iterable[str]]) -> int:
    """Create the deliveries of alerts without any; return the number of alerts processed.

    channels_of: names of the channels of an alert. A resolution goes to the channels that got the alert.
    """
    rows = tx.connection.execute(
        f"SELECT {COLUMNS} FROM alerts a WHERE a.routed = 0 ORDER BY a.id LIMIT ?",  # noqa: S608
        (_MOST_ROUTED,),
    ).fetchall()
    for row in rows:
        alert = alert_of(row)
        for channel in channels_of(alert):
            _add(tx, alert.id, RAISED, channel)
        if alert.state == "resolved" and not alert.is_notice:
            for channel in _told(tx.connection, alert.id):
                _add(tx, alert.id, RESOLVED, channel)
        tx.connection.execute("UPDATE alerts SET routed = 1 WHERE id = ?", (alert.id,))
    return len(rows)


def _add(tx: Transaction, alert: int, kind: str, channel: str) -> None:
    tx.connection.execute(
        "INSERT INTO deliveries (alert, kind, channel, since) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (alert, kind, channel, tx.at.isoformat()),
    )


def _told(connection: sqlite3.Connection, alert: int) -> list[str]:
    rows = connection.execute("SELECT channel FROM deliveries WHERE alert = ? AND kind = 'raise' ORDER BY id", (alert,))
    return [str(channel) for (channel,) in rows]


def has_unrouted(connection: sqlite3.Connection) -> bool:
    """Return True if an alert waits for its deliveries."""
    return connection.execute("SELECT 1 FROM alerts WHERE routed = 0 LIMIT 1").fetchone() is not None


def due(
    connection: sqlite3.Connection, channel: str, most: int, *, only_critical: bool = False
) -> tuple[Delivery, ...]:
    """Return the undelivered deliveries of a channel, oldest first."""
    more = " AND a.severity = 'critical'" if only_critical else ""
    rows = connection.execute(
        f"SELECT d.id, d.kind, d.channel, d.state, d.attempts, d.since, d.next_attempt, d.error, {COLUMNS}"  # noqa: S608
        f" FROM deliveries d CROSS JOIN alerts a ON a.id = d.alert WHERE d.channel = ? AND {_DUE}{more}"
        " ORDER BY d.id LIMIT ?",
        (channel, most),
    )
    return tuple(_delivery(row) for row in rows)


def _delivery(row: Sequence[object]) -> Delivery:
    id, kind, channel, state, attempts, since, again, error, *alert = row
    return Delivery(
        id=int(str(id)),
        alert=alert_of(alert),
        kind=str(kind),
        channel=str(channel),
        state=str(state),
        attempts=int(str(attempts)),
        since=datetime.fromisoformat(str(since)),
        next_attempt=datetime.fromisoformat(str(again)) if again else None,
        error=str(error),
    )


def sending(tx: Transaction, ids: Iterable[int]) -> None:
    """Mark deliveries before their request."""
    tx.connection.executemany(
        "UPDATE deliveries SET state = 'sending', attempts = attempts + 1 WHERE id = ?", [(id,) for id in ids]
    )


def sent(tx: Transaction, ids: Sequence[int]) -> None:
    """Mark deliveries sent by one message: the first counts for the rate limit, the others refer to it."""
    now = tx.at.isoformat()
    rows = [(now, None if number == 0 else ids[0], id) for number, id in enumerate(ids)]
    tx.connection.executemany(
        "UPDATE deliveries SET state = 'sent', error = '', sent_at = ?, digest = ? WHERE id = ?", rows
    )


def failed(tx: Transaction, ids: Iterable[int], error: str, again: datetime | None) -> None:
    """Mark failed deliveries. again: the instant of the next attempt; None gives up."""
    state, at = ("given_up", "") if again is None else ("pending", again.isoformat())
    said = tx.hide(error)[:_MOST_ERROR]
    rows = [(state, said, at, id) for id in ids]
    tx.connection.executemany("UPDATE deliveries SET state = ?, error = ?, next_attempt = ? WHERE id = ?", rows)


def times_sent(connection: sqlite3.Connection, channel: str, after: datetime) -> tuple[datetime, ...]:
    """Return the instants after `after` at which messages of a channel were sent, oldest first."""
    rows = connection.execute(
        "SELECT sent_at FROM deliveries WHERE channel = ? AND sent_at > ? AND sent_at IS NOT NULL AND digest IS NULL"
        " ORDER BY sent_at",
        (channel, after.isoformat()),
    )
    return tuple(datetime.fromisoformat(at) for (at,) in rows)


@dataclass(frozen=True, slots=True)
class ChannelLoad:
    """The backlog of a channel. oldest: creation of its first delivery; error: the last failure of that one."""

    channel: str
    undelivered: int
    oldest: datetime | None
    error: str


def load_of(connection: sqlite3.Connection, channel: str) -> ChannelLoad:
    """Return the backlog of a channel."""
    (number,) = connection.execute(
        f"SELECT count(*) FROM deliveries d WHERE d.channel = ? AND {_DUE}",  # noqa: S608
        (channel,),
    ).fetchone()
    first = connection.execute(
        f"SELECT d.since, d.error FROM deliveries d WHERE d.channel = ? AND {_DUE} ORDER BY d.id LIMIT 1",  # noqa: S608
        (channel,),
    ).fetchone()
    since, error = first or (None, "")
    return ChannelLoad(channel, int(number), None if since is None else datetime.fromisoformat(since), str(error))
