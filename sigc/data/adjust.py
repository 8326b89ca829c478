"""What corporate actions do to a series of prices: the steps of each asset, and prices made comparable by them.

    steps, left = steps_of(values, names, days, actions)    where each action takes effect
    levels      = forward(values, names, days, actions)     total-return levels: their ratios are returns
    prices      = in_units_of(day, values, ...)             in the units of a later day: what an order for it is made of

Forward: the raw price times the product of factors up to its date. No later row enters, and history is never restated:
an action leaves earlier values alone. On an ex-date the factor is split * (1 + cash / close): the return over it is
split * (close + cash) / previous close - 1, the total return as CRSP defines it (cash is reinvested at that close).

Into the units of a later day: price / split less cash, shares x split, as a holder of the share sees it (and as brokers
restate reference prices and orders).

An action on a day without a price takes effect on the asset's next row with one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from sigc.actions import Action, ActionKind
from sigc.panel import Dates, Floats

_PAYS = frozenset({ActionKind.SPLIT, ActionKind.DIVIDEND, ActionKind.SPINOFF})


@dataclass(frozen=True, slots=True)
class Step:
    """What all actions of an asset do together that take effect on one row. split: new shares per old one.

    cash: per new share, at that row's prices; what a spin-off delivers counts as cash at its first close.
    """

    row: int
    column: int
    split: float
    cash: float
    close: float

    @property
    def total(self) -> float:
        """The factor of total returns."""
        return self.split * (1.0 + self.cash / self.close)


def by_asset(actions: Iterable[Action]) -> dict[str, tuple[Action, ...]]:
    """Those that change what a share is worth while it trades on, by asset, in the order of their ex-dates."""
    found: dict[str, list[Action]] = {}
    for action in sorted(actions):
        if action.kind in _PAYS:
            found.setdefault(action.asset, []).append(action)
    return {asset: tuple(some) for asset, some in found.items()}


def steps_of(
    values: Floats, names: Sequence[str], days: Dates, actions: Mapping[str, Sequence[Action]]
) -> tuple[tuple[Step, ...], tuple[Action, ...]]:
    """The steps of actions whose ex-dates lie on or before the last day, and those of them that wait for a price.

    values: raw closes (rows, assets). days: of the rows, as dates; several rows may be of one day. Those with an
    ex-date before the first day take effect on the first row with a price.
    """
    place = {name: column for column, name in enumerate(names)}
    found: list[Step] = []
    left: list[Action] = []
    last = days[-1].astype("datetime64[D]").item() if len(days) else None
    for asset, all_of in actions.items():
        due = [a for a in all_of if last is not None and a.ex_date <= last]
        if not due:
            continue
        if asset not in place:
            left += due
            continue
        column = place[asset]
        priced = np.flatnonzero(values[:, column] > 0.0)
        first = np.searchsorted(days[priced], np.array([a.ex_date for a in due], dtype="datetime64[D]"))
        for at in np.unique(first).tolist():
            some = [a for a, place_of in zip(due, first.tolist(), strict=True) if place_of == at]
            if at == len(priced):
                left += some
            else:
                found.append(_step(int(priced[at]), column, some, values, place))
    return tuple(sorted(found, key=lambda s: (s.row, s.column))), tuple(sorted(left))


def _step(row: int, column: int, actions: Sequence[Action], values: Floats, place: Mapping[str, int]) -> Step:
    """Actions of one row, by their ex-dates: cash counts per share as it is after all splits."""
    split, cash = 1.0, 0.0
    for day in sorted({a.ex_date for a in actions}):
        some = [a for a in actions if a.ex_date == day]
        for one in some:
            if one.kind is ActionKind.SPLIT:
                split *= float(one.ratio)
                cash /= float(one.ratio)
        cash += sum(_paid(a, row, values, place) for a in some if a.kind is not ActionKind.SPLIT)
    return Step(row, column, split, cash, float(values[row, column]))


def _paid(action: Action, row: int, values: Floats, place: Mapping[str, int]) -> float:
    if action.kind is ActionKind.SPINOFF and action.into in place:
        price = float(values[row, place[action.into]])
        return action.cash + (float(action.ratio) * price if price > 0.0 else 0.0)
    return action.cash


def forward(values: Floats, names: Sequence[str], days: Dates, actions: Mapping[str, Sequence[Action]]) -> Floats:
    """Levels (rows, assets) of a window of raw prices, whose ratios are total returns; itself where nothing acts."""
    inside = _inside(days, actions)
    steps, _ = steps_of(values, names, days, inside) if inside else ((), ())
    if not steps:
        return values
    out = values.copy()
    for step in steps:
        if step.row:
            out[step.row :, step.column] *= step.total
    return out


def _inside(days: Dates, actions: Mapping[str, Sequence[Action]]) -> dict[str, Sequence[Action]]:
    """The actions after the first day of a window: what is due by then has no price before it to be compared with."""
    if not len(days) or not actions:
        return {}
    first, last = days[0].astype("datetime64[D]").item(), days[-1].astype("datetime64[D]").item()
    found: dict[str, Sequence[Action]] = {}
    for asset, all_of in actions.items():
        some = [a for a in all_of if first < a.ex_date <= last]
        if some:
            found[asset] = some
    return found


def in_units_of(
    day: date,
    values: Floats,
    names: Sequence[str],
    days: Dates,
    actions: Mapping[str, Sequence[Action]],
    *,
    are_shares: bool = False,
) -> Floats:
    """Prices (rows, assets) of some days in the units of a later one, or counts of shares; themselves if nothing acts.

    A price that cash leaves nothing of is NaN: it says nothing of the share as it is then.
    """
    if not len(days) or not actions:
        return values
    place = {name: column for column, name in enumerate(names)}
    first, out = days[0].astype("datetime64[D]").item(), values
    for asset, all_of in actions.items():
        due = [a for a in all_of if first < a.ex_date <= day]
        if not due or asset not in place:
            continue
        out = values.copy() if out is values else out
        column = out[:, place[asset]]
        for action in sorted(due, key=in_order):
            before = column[: np.searchsorted(days, np.datetime64(action.ex_date, "D"))]
            if action.kind is ActionKind.SPLIT:
                before *= float(action.ratio) if are_shares else 1.0 / float(action.ratio)
            elif not are_shares:
                before -= _paid(action, -1, values, place)
                before[before <= 0.0] = np.nan
    return out


def in_order(action: Action) -> tuple[date, bool]:
    """Of a day's actions a split comes first: cash is per share as it is after it."""
    return action.ex_date, action.kind is not ActionKind.SPLIT
