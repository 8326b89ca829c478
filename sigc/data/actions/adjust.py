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

from sigc.actions import Action, ActionKind, between, in_order
from sigc.panel import Dates, Floats

_PAYS = frozenset({ActionKind.SPLIT, ActionKind.DIVIDEND, ActionKind.SPINOFF})


@dataclass(frozen=True, slots=True)
class AdjustStep:
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


def acting(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Those that change what a share is worth while it trades on, in order."""
    return in_order(a for a in actions if a.kind in _PAYS)


def steps_of(
    values: Floats, names: Sequence[str], days: Dates, actions: Sequence[Action]
) -> tuple[tuple[AdjustStep, ...], tuple[Action, ...]]:
    """The steps of actions whose ex-dates lie on or before the last day, and those of them that wait for a price.

    values: raw closes (rows, assets). days: of the rows, as dates; several rows may be of one day. Those with an
    ex-date before the first day take effect on the first row with a price.
    """
    place = {name: column for column, name in enumerate(names)}
    found: list[AdjustStep] = []
    left: list[Action] = []
    for asset, due in _by_asset(actions).items():
        if asset not in place:
            left += due
            continue
        column = place[asset]
        priced = np.flatnonzero(values[:, column] > 0.0)
        first = np.searchsorted(days[priced], np.array([a.ex_date for a in due], dtype="datetime64[D]")).tolist()
        for at in dict.fromkeys(first):
            some = [a for a, place_of in zip(due, first, strict=True) if place_of == at]
            if at == len(priced):
                left += some
            else:
                found.append(_step(int(priced[at]), column, some, values, place))
    return tuple(sorted(found, key=lambda s: (s.row, s.column))), in_order(left)


def _by_asset(actions: Iterable[Action]) -> dict[str, list[Action]]:
    found: dict[str, list[Action]] = {}
    for action in actions:
        found.setdefault(action.asset, []).append(action)
    return found


def _step(row: int, column: int, actions: Sequence[Action], values: Floats, place: Mapping[str, int]) -> AdjustStep:
    """Actions of one row, in order: cash counts per share as it is after all splits."""
    split, cash = 1.0, 0.0
    for one in actions:
        if one.kind is ActionKind.SPLIT:
            split *= float(one.ratio)
            cash /= float(one.ratio)
        else:
            cash += _paid(one, row, values, place)
    return AdjustStep(row, column, split, cash, float(values[row, column]))


def _paid(action: Action, row: int, values: Floats, place: Mapping[str, int]) -> float:
    if action.kind is ActionKind.SPINOFF and action.into in place:
        price = float(values[row, place[action.into]])
        return action.cash + (float(action.ratio) * price if price > 0.0 else 0.0)
    return action.cash


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """Levels of a window. scales: (assets,) level over price after its last row. waiting: actions that lack a price."""

    levels: Floats
    scales: Floats
    waiting: tuple[Action, ...]


def levels_of(
    values: Floats, names: Sequence[str], days: Dates, actions: Sequence[Action], since: PriorState | None = None
) -> Scaled:
    """Levels (rows, assets) of a window of raw prices, whose ratios are total returns; the values where nothing acts.

    A level is the price itself in units of the rows before the window. since: what was there before it; without it
    actions up to the first day do nothing, as there is no price before them.
    """
    scales = np.ones(values.shape[1])
    if not len(days) or not actions:
        return Scaled(values, scales, () if since is None else since.waiting)
    waiting, before = ((), day_of(days[0])) if since is None else (since.waiting, since.day)
    steps, left = steps_of(values, names, days, in_order((*waiting, *between(actions, before, day_of(days[-1])))))
    out = values
    for step in steps:
        if step.row or since is not None:
            out = values.copy() if out is values else out
            out[step.row :, step.column] *= step.total
            scales[step.column] *= step.total
    return Scaled(out, scales, left)


@dataclass(frozen=True, slots=True)
class PriorState:
    """What was before a window: its last day, and actions that found no price."""

    day: date
    waiting: tuple[Action, ...] = ()


def forward(values: Floats, names: Sequence[str], days: Dates, actions: Sequence[Action]) -> Floats:
    """Levels of a window before which nothing is known, see `levels_of`."""
    return levels_of(values, names, days, actions).levels


def day_of(stamp: np.datetime64) -> date:
    """A stamp of numpy as a date."""
    found: date = stamp.astype("datetime64[D]").item()
    return found


def in_units_of(
    day: date, values: Floats, names: Sequence[str], days: Dates, actions: Sequence[Action], *, are_shares: bool = False
) -> Floats:
    """Prices (rows, assets) of some days in the units of a later one, or counts of shares; themselves if nothing acts.

    A price that cash leaves nothing of is NaN: it says nothing of the share as it is then.
    """
    due = between(actions, day_of(days[0]), day) if actions and len(days) else ()
    place = {name: column for column, name in enumerate(names)} if due else {}
    out = values
    for action in due:
        if action.asset not in place or (are_shares and action.kind is not ActionKind.SPLIT):
            continue
        out = values.copy() if out is values else out
        before = out[: np.searchsorted(days, np.datetime64(action.ex_date, "D")), place[action.asset]]
        if action.kind is ActionKind.SPLIT:
            before *= float(action.ratio) if are_shares else 1.0 / float(action.ratio)
        else:
            before -= _paid(action, -1, values, place)
            before[before <= 0.0] = np.nan
    return out
