"""Brokers: the protocol, its contract, the embedded one (see README.md)."""
