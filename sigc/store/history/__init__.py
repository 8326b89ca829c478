"""Queries of the ledger's past with bounded cost."""
