"""Portfolios: limits, the nearest book within them, the rows on which a book is rebalanced."""
