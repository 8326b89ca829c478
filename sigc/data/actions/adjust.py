"""Effects of corporate actions on a series of prices: steps by asset, and prices made comparable by them.

    steps, left = steps_of(values, names, days, actions)    the row on which each action takes effect
    levels      = forward(values, names, days, actions)     total-return levels: their ratios are returns
    prices      = in_units_of(day, values, ...)             in the units of a later day, for an order of that day

Forward: the raw price times the product of factors up to its date. No later row matters, and history is never restated:
an action leaves earlier values unchanged. On an ex-date the factor is split * (1 + cash / close); the return over it is
split * (close + cash) / previous close - 1, the total return as CRSP defines it (cash is reinvested at that close).

In the units of a later day: price / split less cash, shares x split, as a shareholder sees it (and as brokers restate
reference prices and orders).

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
    """The joint effect of all actions of an asset on one row. split: new shares per old one.

    cash: per new share, at that row's prices; shares from a spin-off count as cash at their first close.
    """

    row: int
    column: int
    split: float
    cash: float
    close: float

    @property
    def total(self) -> float:
        """Return the total-return factor."""
        return self.split * (1.0 + self.cash / self.close)


def acting(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Return the actions that change the value of a share that trades on, in order."""
    return in_order(a for a in actions if a.kind in _PAYS)


def steps_of(
    values: Floats, names: Sequence[str], days: Dates, actions: Sequence[Action]
) -> tuple[tuple[AdjustStep, ...], tuple[Action, ...]]:
    """Return (steps of actions with ex-dates up to the last day, those of them that wait for a price).

    values: raw closes (rows, assets). days: of the rows, as dates; several rows may have one day. Actions with an
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
    """Return the step of actions of one row, in order: cash counts per share after all splits."""
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
    """Levels of a window. scales: (assets,) level over price after its last row. waiting: actions without a price."""

    levels: Floats
    scales: Floats
    waiting: tuple[Action, ...]


def levels_of(
    values: Floats, names: Sequence[str], days: Dates, actions: Sequence[Action], since: PriorState | None = None
) -> Scaled:
    """Return levels (rows, assets) of a window of raw prices, whose ratios are total returns; `values` if nothing acts.

    A level is in units of the rows before the window. since: the state before it; without it, actions up to the first
    day have no effect, as there is no price before them.
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
    """The state before a window: its last day, and actions without a price yet."""

    day: date
    waiting: tuple[Action, ...] = ()


def forward(values: Floats, names: Sequence[str], days: Dates, actions: Sequence[Action]) -> Floats:
    """Return the levels of a window without a prior state, see `levels_of`."""
    return levels_of(values, names, days, actions).levels


def day_of(stamp: np.datetime64) -> date:
    """Return a numpy stamp as a date."""
    found: date = stamp.astype("datetime64[D]").item()
    return found


def in_units_of(
    day: date, values: Floats, names: Sequence[str], days: Dates, actions: Sequence[Action], *, are_shares: bool = False
) -> Floats:
    """Return prices (rows, assets), or counts of shares, in the units of a later day; `values` if nothing acts.

    A price that a payment reduces to zero or below is NaN: it tells nothing about the share on that day.
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
