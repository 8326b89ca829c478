"""The ledger: what was decided, sent, filled and said (see README.md)."""
