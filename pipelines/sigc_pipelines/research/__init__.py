"""Strategies in a notebook, and backtests with their validation."""
