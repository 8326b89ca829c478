"""Looking back into the ledger with bounded cost."""
