"""Prices that money is counted by: accepted, restated, covered, in units of a session."""
