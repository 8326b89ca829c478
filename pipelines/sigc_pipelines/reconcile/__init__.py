"""Ledger and broker brought together: differences, their likely causes, and their adoption by a person."""
