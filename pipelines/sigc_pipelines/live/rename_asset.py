"""Rename of an asset by hand, in every book that holds it and at a simulated broker.

The plan is written first, then the broker acts, then the ledger: if the process dies in between, the next run goes on.
"""

from __future__ import annotations

from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import action_booking as booking
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.records import BookKey
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.due_actions import book
from sigc_pipelines.live.trading import Trading


def rename_asset(trading: Trading, key: BookKey, old: str, new: str, who: str, reason: str) -> tuple[ActionEntry, ...]:
    """Rename `old` to `new`. Return the entries by book. Raises SigcError E312, E804, E601 with nothing changed."""
    ledger, broker = trading.ledger, trading.broker
    try:
        settle(ledger, broker)
        with ledger.transaction("actions") as tx:
            due = booking.plan_rename(tx, key, old, new, who, reason)
        return book(ledger, broker, due.session, trading.clock.now())
    except UnreachableError as silent:
        hint = "if the rename was written down, the next run completes it"
        raise SigcError(Diagnostic("E601", str(silent), hint=hint)) from silent
