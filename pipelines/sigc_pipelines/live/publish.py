"""Audit outside the ledger: the mirror of JSON lines, and the daily anchor of the chain's head."""

from __future__ import annotations

from sigc.config.settings import AuditSettings
from sigc.store.audit.anchor import anchor, anchors_file
from sigc.store.audit.mirror import mirror
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Finding

FOLDER = "audit"


def publish(ledger: Ledger, settings: AuditSettings) -> tuple[Finding, ...]:
    """Mirror new audit records and anchor the chain once a day. Return what could not be written; no failure stops a
    run.
    """
    if not settings.mirror and not settings.anchor:
        return ()
    now = ledger.clock.now()
    connection = ledger.reader()
    try:
        mirrored = mirror(connection, ledger.directory / FOLDER, settings, now)
        anchored = anchor(connection, anchors_file(ledger.directory, settings.anchor), now)
    finally:
        connection.close()
    return (*mirrored.findings, *anchored.findings)
