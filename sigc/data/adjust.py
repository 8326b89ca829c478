"""Forward adjustment for splits and dividends: raw price times the product of factors up to that date.

No later row enters, and history is never restated: appending a corporate action leaves earlier values alone.
On an ex-date the factor is split / (1 - dividend / previous close), so that returns of the adjusted series are
those of a backward-adjusted one (previous closes scaled by 1 - dividend / close / split).
"""

from __future__ import annotations

import numpy as np

from sigc.panel import Floats, Panel


def forward(prices: Panel, split: Panel | None, dividend: Panel | None) -> Panel:
    """Adjusted prices; `split` (new shares per old, 1 or missing: none) and `dividend` (cash a share) by date.

    An action on a date that the prices lack takes effect on the asset's next row.
    """
    factor = np.ones(prices.values.shape)
    if split is not None:
        ratio = _onto(prices, split, 1.0)
        factor *= np.where(np.isnan(ratio) | (ratio <= 0.0), 1.0, ratio)
    if dividend is not None:
        cash = np.nan_to_num(_onto(prices, dividend, 0.0), nan=0.0)
        before = _last_valid(prices.values)
        with np.errstate(all="ignore"):
            kept = 1.0 - cash / before
        factor /= np.where(np.isfinite(kept) & (kept > 0.0), kept, 1.0)
    adjusted = prices.values * np.cumprod(factor, axis=0)
    return Panel(prices.dates, prices.names, adjusted)


def _last_valid(values: Floats) -> Floats:
    """The last valid value strictly before each row."""
    out = np.full(values.shape, np.nan)
    last = np.full(values.shape[1], np.nan)
    for row in range(len(values)):
        out[row] = last
        last = np.where(np.isnan(values[row]), last, values[row])
    return out


def _onto(prices: Panel, actions: Panel, neutral: float) -> Floats:
    """Actions on the dates and assets of the prices; several that fall on one row are put together."""
    out = np.full(prices.values.shape, neutral)
    rows = np.searchsorted(prices.dates, actions.dates)
    place = {n: i for i, n in enumerate(prices.names)}
    columns = [(i, place[n]) for i, n in enumerate(actions.names) if n in place]
    for at, row in enumerate(rows):
        if row >= len(prices.dates):
            continue
        for source, target in columns:
            value = actions.values[at, source]
            if not np.isnan(value) and value != neutral:
                out[row, target] = out[row, target] * value if neutral == 1.0 else out[row, target] + value
    return out
