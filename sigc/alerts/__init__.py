"""Alerts: what an operator is told, by which rule, over which channel. Pure but for the channels; see the README."""
