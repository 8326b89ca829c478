"""The ledger's tables: runs, orders, fills, books, corporate actions, controls."""
