"""The rows on which a book is rebalanced."""

from __future__ import annotations

from sigc.lang.rebalance import Rebalance


def every_rows(rebalance: Rebalance) -> int:
    """Rows from one rebalance to the next. A word of the calendar has none yet: it is every row."""
    return rebalance.rows or 1
