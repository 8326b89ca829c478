"""The ledger: runs, orders, fills, books, audit records, alerts (see README.md)."""
