"""The ledger's tables: what was decided, sent, filled, held."""
