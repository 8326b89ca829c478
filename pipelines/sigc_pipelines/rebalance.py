"""The rows on which a book is rebalanced: every so many from the first, or those that a word of the calendar names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigc.lang.rebalance import Rebalance
from sigc.panel import Dates

Due = NDArray[np.bool_]


def due_rows(rebalance: Rebalance, dates: Dates) -> Due:
    """True for each of the rows `dates` on which a book is rebalanced; the first always is: a book opens on it."""
    return every(rebalance.rows or 1, len(dates))


def every(count: int, rows: int) -> Due:
    """True for every so many of some rows, from the first."""
    return np.asarray(np.arange(rows) % count == 0)
