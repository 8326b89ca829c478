"""The outbox of alerts in the ledger: raised with their events, delivered by the daemon (see README.md)."""
