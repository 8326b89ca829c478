"""Forward adjustment for splits and dividends: raw price times the product of factors up to that date.

No later row enters, and history is never restated: appending a corporate action leaves earlier values alone.
On an ex-date the factor is split * (1 + dividend / close): the return over it is split * (close + dividend) /
previous close - 1, the total return as CRSP defines it (the dividend is reinvested at that close).
"""

from __future__ import annotations

import numpy as np

from sigc.panel import Floats, Panel


def forward(prices: Panel, split: Panel | None, dividend: Panel | None) -> Panel:
    """Adjusted prices; `split` (new shares per old, 1 or missing: none) and `dividend` (cash a share) by date.

    An action on a date without a price takes effect on the asset's next row with one.
    """
    factor = np.ones(prices.values.shape)
    if split is not None:
        ratio = _onto(prices, split, 1.0)
        factor *= np.where(np.isnan(ratio) | (ratio <= 0.0), 1.0, ratio)
    if dividend is not None:
        cash = np.nan_to_num(_onto(prices, dividend, 0.0), nan=0.0)
        with np.errstate(all="ignore"):
            paid = 1.0 + cash / prices.values
        factor *= np.where(np.isfinite(paid) & (paid > 0.0), paid, 1.0)
    adjusted = prices.values * np.cumprod(factor, axis=0)
    return Panel(prices.dates, prices.names, adjusted)


def _onto(prices: Panel, actions: Panel, neutral: float) -> Floats:
    """Actions on the dates and assets of the prices; several that fall on one row are put together."""
    out = np.full(prices.values.shape, neutral)
    place = {n: i for i, n in enumerate(prices.names)}
    target = np.array([place.get(n, -1) for n in actions.names], dtype=np.intp)
    acts = ~np.isnan(actions.values) & (actions.values != neutral) & (target >= 0)
    together = np.multiply if neutral == 1.0 else np.add
    for column in np.flatnonzero(acts.any(axis=0)):
        at = np.flatnonzero(acts[:, column])
        priced = np.flatnonzero(np.isfinite(prices.values[:, target[column]]))
        first = np.searchsorted(prices.dates[priced], actions.dates[at])
        there = first < len(priced)
        together.at(out[:, target[column]], priced[first[there]], actions.values[at[there], column])
    return out
