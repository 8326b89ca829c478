"""Revocation of a run's right to send: read right before each request, and kept over crashes."""

from __future__ import annotations

from sigc.store.ledger import control, orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import UNRESOLVED, Run
from sigc.words import local_time
from sigc_pipelines.live.unresolved import halt_unresolved


def revoke(ledger: Ledger, run: Run, why: str) -> None:
    """Let a run that decided send nothing more; halt its strategy while an order of it has no known outcome."""
    with ledger.transaction("control") as tx:
        if not runs.is_decided(tx.connection, run.id):
            return
        control.put(tx, control.REVOKED, run.id, "deadline", "sigc", why)
        left = [i for i in orders.of_run(tx.connection, run.id) if i.state in UNRESOLVED]
    if left:
        at = local_time(ledger.clock.now(), ledger.zone)
        halt_unresolved(ledger, run, left, f"at the deadline of execute, {at}")
