"""Blocks of rows: the unit of storage, computation and checks."""
