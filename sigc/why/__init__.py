"""The explanation of a session: why a strategy ran or not, from facts of the ledger judged link by link."""
