"""Prices for valuation and trading: accepted, restated, covered, in units of a session."""
