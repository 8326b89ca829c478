"""Pending changes: weights that the last decision wanted of assets that could not be traded then.

    pending    the changes that a decision leaves for later; kept in its audit record
    ready      those of them with a price now: a halt is over, or a jump was confirmed
    made_up    the target of a run that trades these alone, on a row that is not a rebalance row

So a run between rebalances does what the backtest does on that row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from sigc.errors import Severity
from sigc.panel import Floats
from sigc.store.ledger.records import Finding
from sigc_pipelines.targets import TargetSnapshot


def ready(waiting: Mapping[str, float], sight: TargetSnapshot) -> dict[str, float]:
    """Return the pending weights of assets that have a price on this row."""
    cells = zip(sight.names, sight.prices.tolist(), strict=True)
    return {name: waiting[name] for name, price in cells if name in waiting and price == price}


def made_up(those: Mapping[str, float], sight: TargetSnapshot, held: Floats) -> Floats:
    """Return the held weights (assets,), changed only where a pending change can be made."""
    return np.array([those.get(n, h) for n, h in zip(sight.names, held.tolist(), strict=True)])


def pending(sight: TargetSnapshot, target: Floats, odd: Collection[str] = ()) -> dict[str, float]:
    """Return the wanted weights of assets that can't be traded on this row and are not held as wanted.

    odd: assets that have a price and are not traded because of an anomaly.
    """
    cells = zip(sight.names, sight.prices.tolist(), sight.wanted.tolist(), target.tolist(), strict=True)
    # x != x is True for NaN alone: no price, or no defined weight.
    return {name: w for name, price, w, t in cells if (price != price or name in odd) and w == w and w != t}


def undecided(sight: TargetSnapshot) -> tuple[Finding, ...]:
    """Return an error where no asset with a price has a defined weight: unknown is not zero, and decides nothing."""
    priced = np.isfinite(sight.prices)
    if not priced.any() or not np.isnan(sight.wanted[priced]).all():
        return ()
    text = f"no weight is defined on the row of {sight.as_of}: nothing is decided, and the book is kept"
    return (Finding("undefined", Severity.ERROR, text),)
