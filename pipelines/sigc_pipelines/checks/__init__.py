"""Checks: limits that no run and no order may exceed (see README.md)."""
