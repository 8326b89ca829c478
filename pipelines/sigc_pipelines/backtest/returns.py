"""Returns of prices from row to row, and over gaps. Pure functions of arrays."""

from __future__ import annotations

from sigc.ops.jit import frozen
from sigc.panel import Floats


def returns_of(prices: Floats) -> Floats:
    """Close-to-close returns, (rows, assets); NaN in the first row and where either price is missing or 0."""
    from sigc.ops.loops import books

    out: Floats = books.returns_of(frozen(prices))
    return out


def over_gaps(prices: Floats) -> Floats:
    """Return the returns since the last price before, (rows, assets), on the row of the next price; NaN without one."""
    from sigc.ops.loops import jumps

    return jumps.over_gaps(prices)
