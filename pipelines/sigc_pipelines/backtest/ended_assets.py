"""Ends of assets by declared corporate actions: a delisting or merger at its value, or a new name.

    made = ends_of(actions, names, days, prices, levels)      which row, at which level, into which asset
    cut(levels, made)                                         no price from that row on

The row is the first on or after the ex-date; of a merger or a new name the first on which the other asset has a price.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sigc.actions import Action, ActionKind
from sigc.panel import Dates, Floats

_ENDS = frozenset({ActionKind.DELIST, ActionKind.MERGE, ActionKind.RENAME})
Ends = tuple[NDArray[np.int64], Floats, NDArray[np.int64]]  # (assets,) each: row or -1, level then, the asset or -1


def ends_of(
    actions: Iterable[Action], names: Sequence[str], days: Dates, prices: Floats, levels: Floats
) -> Ends | None:
    """Return the first end of each asset within the rows; None where there is none.

    prices: as traded, levels: the same over corporate actions (rows, assets), NaN for none. An end before the first row
    has row 0 where the asset still has prices, and no value: nothing is held of it yet.
    """
    place = {name: column for column, name in enumerate(names)}
    cols = len(names)
    rows, values, into = np.full(cols, -1, np.int64), np.full(cols, np.nan), np.full(cols, -1, np.int64)
    for action in sorted((a for a in actions if a.kind in _ENDS and a.asset in place), key=lambda a: a.ex_date):
        column, other = place[action.asset], place.get(action.into, -1)
        row = int(np.searchsorted(days, np.datetime64(action.ex_date, "D")))
        if action.kind is not ActionKind.DELIST and other >= 0:
            row += _first_of(prices[row:, other])
        if row >= len(days) or rows[column] >= 0:
            continue
        rows[column] = row
        into[column] = other if action.kind is ActionKind.RENAME else -1
        values[column] = _level(action, row, column, other, prices, levels)
    return (rows, values, into) if (rows >= 0).any() else None


def _first_of(prices: Floats) -> int:
    there = np.flatnonzero(np.isfinite(prices))
    return int(there[0]) if len(there) else len(prices)


def _level(action: Action, row: int, column: int, other: int, prices: Floats, levels: Floats) -> float:
    """Return the value of a share at its end, on its level; NaN without a price before, or without a declared
    value.
    """
    before = np.flatnonzero(np.isfinite(prices[:row, column]))
    if not len(before):
        return float("nan")
    last, level = float(prices[before[-1], column]), float(levels[before[-1], column])
    match action.kind:
        case ActionKind.DELIST:
            if action.value is None:
                return level * (1.0 + (action.total_return or 0.0))
            return level * action.value / last
        case ActionKind.RENAME if other < 0:
            return level
    paid = action.cash + (float(action.ratio) * float(prices[row, other]) if other >= 0 else 0.0)
    return level * paid / last


def cut(values: Floats, ends: Ends | None) -> Floats:
    """Without prices from the row of an end on."""
    if ends is None:
        return values
    gone = (np.arange(len(values))[:, None] >= ends[0]) & (ends[0] >= 0)
    return np.where(gone, np.nan, values)


def within(ends: Ends, low: int, high: int) -> Ends | None:
    """Return the ends in the rows [low, high)."""
    rows = ends[0] - low
    here = (ends[0] >= low) & (ends[0] < high)
    return (np.where(here, rows, -1), ends[1], ends[2]) if here.any() else None
