"""Runs whose orders wait for the open of their session: to be sent, or at the broker with nothing filled."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from sigc.store.ledger import runs
from sigc.store.ledger.waiting_orders import WaitingOrders


def waiting_of(connection: sqlite3.Connection, ids: Iterable[str], now: datetime) -> dict[str, WaitingOrders]:
    """Return, by run, its orders that wait for the open at an instant; runs that do not wait are left out."""
    found = {id: _waiting(connection, id, now) for id in sorted(set(ids))}
    return {id: waiting for id, waiting in found.items() if waiting is not None}


def _waiting(connection: sqlite3.Connection, run: str, now: datetime) -> WaitingOrders | None:
    planned, sent, others, due, undue = connection.execute(
        "SELECT ifnull(sum(state = 'planned'), 0), ifnull(sum(state = 'acknowledged'), 0),"
        " ifnull(sum(state IN ('sending', 'unknown', 'partially_filled', 'filled') OR CAST(filled AS REAL) > 0), 0),"
        " min(CASE state WHEN 'planned' THEN not_before END),"
        " ifnull(sum(state = 'planned' AND not_before IS NULL), 0) FROM intents WHERE run = ?",
        (run,),
    ).fetchone()
    # A planned order without a time is about to be sent, or held by a pause.
    if others or undue or not planned + sent:
        return None
    opens = runs.opens_of(connection, run)
    if opens is None or now >= opens:
        return None
    at = opens if due is None else datetime.fromisoformat(due)
    return WaitingOrders(planned, sent, at) if at >= opens else None  # slices that leave before the open do not wait
