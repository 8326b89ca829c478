"""Portfolios: limits, the nearest book within them, the rows on which it is rebalanced."""
