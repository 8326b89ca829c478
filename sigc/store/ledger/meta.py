"""The daemon's mark in the ledger: up, or stopped on request. An `up` found at the start means that it crashed."""

from __future__ import annotations

from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import jobs, runs
from sigc.store.ledger.ledger import Transaction

STARTED, STOPPED, RECOVERED = "daemon.started", "daemon.stopped", "daemon.recovered"
WROTE_AGAIN = "daemon.wrote_again"  # the ledger could not be written from `since` until now
_KEY, _UP, _DOWN = "daemon", "up", "down"


def begin(tx: Transaction, alive: str, zone: str = "") -> bool:
    """Record that a daemon serves the ledger. Return True if the one before crashed, which is audited.

    alive: ISO instant at which that one was last seen, '' if unknown; its last record counts as well. zone: in which
    times are shown.
    """
    row = tx.connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    is_cut_off = row is not None and row[0] == _UP
    (wrote,) = tx.connection.execute("SELECT max(at) FROM audit").fetchone()
    _put(tx, _UP)
    tx.audit(AuditEvent(STARTED, {"alive": alive}))
    if is_cut_off:
        ordered = {order.id for order in jobs.left_open(tx.connection)}
        open_ = sorted(ordered | {run.id for run in runs.left_open(tx.connection)})
        tx.audit(AuditEvent(RECOVERED, {"alive": max(alive, wrote or ""), "back": tx.at, "open": open_, "zone": zone}))
    return is_cut_off


def ended(tx: Transaction) -> None:
    """Record that the daemon stops on request."""
    _put(tx, _DOWN)
    tx.audit(AuditEvent(STOPPED, {}))


def _put(tx: Transaction, value: str) -> None:
    tx.connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_KEY, value),
    )
