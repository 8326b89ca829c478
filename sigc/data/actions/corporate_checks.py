"""Checks of corporate actions against prices as traded: mismatches are findings; nothing is changed.

    findings = judge(actions, names, dates, prices)             prices: (rows, assets), closes as traded
    looks    = looks_adjusted(actions, names, dates, prices)    True if the prices do not jump on their splits

An action takes effect on the first row from its ex-date on with a price of its asset. Its total return is split x
(price + cash) / last price before, as in the CRSP guide, with the dividend per share after the split.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sigc.actions import Action, ActionKind
from sigc.errors import Diagnostic, Severity
from sigc.panel import Dates, Floats

CODE = "W007"
_TOO_MUCH = log(1.05)  # an action may add this much to the size of a log return
_LARGE_RETURN = log(1.25)  # on a day with a split: more than shares usually move then
_LARGE_CASH = 0.05  # share of the price above which a dividend on the day of a split is reported
_ODD_DENOMINATOR = 100
_JUMPS = (2, 3, 4, 5, 7, 10, 20)
_NEAR = 0.02
_NAMED = 5
_SMALL = 10  # ratios of numbers up to this are written as a:b
_OWN_LINES = 50  # maximum number of findings about single actions
_COLUMNS = 256  # processed at a time, to bound memory
_SPLIT_TELLS = log(1.4)  # smaller splits are hidden by ordinary daily moves
_PRICED = (ActionKind.SPLIT, ActionKind.DIVIDEND, ActionKind.SPINOFF)


@dataclass(slots=True)
class _Effect:
    """The actions on one row of an asset. close, before: its price there and the last one before."""

    row: int
    column: int
    close: float
    before: float
    actions: list[Action] = field(default_factory=list)

    @property
    def split(self) -> float:
        """Return new shares per old one."""
        out = 1.0
        for a in self.actions:
            out *= float(a.ratio) if a.kind is ActionKind.SPLIT else 1.0
        return out

    @property
    def cash(self) -> float:
        """Return the cash per share after the split."""
        return sum(a.cash for a in self.actions if a.kind in (ActionKind.DIVIDEND, ActionKind.SPINOFF))

    @property
    def is_told(self) -> bool:
        """Return True if ratios and cash describe everything: no shares of another company, no end, no new name."""
        return all(a.kind in _PRICED and not a.into for a in self.actions)

    def growth(self, split: float, cash: float) -> float:
        """Return 1 + the total return with that split and cash."""
        return split * (self.close + cash) / self.before


@dataclass(frozen=True, slots=True)
class _Missed:
    """An action on a day without a price. takes_effect: the day on which it applies, '' for none."""

    action: Action
    takes_effect: str


@dataclass(frozen=True, slots=True, eq=False)
class _Prices:
    """Closes as traded, by name."""

    names: tuple[str, ...]
    days: NDArray[np.datetime64]
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Actions placed on rows of prices. effects: by (row, column). missed: those on a day without a price."""

    effects: dict[tuple[int, int], _Effect]
    missed: list[_Missed]
    unpriced: list[Action]
    unknown: list[Action]


def judge(
    actions: Iterable[Action], names: Sequence[str], dates: Dates, prices: Floats, source: str = "corporate_actions"
) -> tuple[Diagnostic, ...]:
    """Return findings for doubtful actions, and for price jumps that no action explains.

    names, dates: of the columns and rows of `prices`, which are closes as traded, NaN if missing.
    """
    of = _Prices(tuple(names), dates.astype("datetime64[D]"), prices)
    placed = _placed(actions, of)
    return tuple(
        Diagnostic(CODE, f"source '{source}': {message}", severity=Severity.WARNING, hint=hint)
        for message, hint in (
            *_unknown(placed),
            *_unpriced(placed),
            *_missed(placed),
            *_some(_doubtful(placed), "doubtful actions"),
            *_jumps(placed, of),
        )
    )


# -- actions on rows ---------------------------------------------------------------------------------------------


def _placed(actions: Iterable[Action], of: _Prices) -> _Placed:
    column_of = {n: i for i, n in enumerate(of.names)}
    out = _Placed({}, [], [], [])
    valid: dict[int, NDArray[np.intp]] = {}
    for action in sorted(actions, key=lambda a: (a.ex_date, a.asset, a.kind.value, a.id)):
        column = column_of.get(action.asset)
        if column is None:
            out.unknown.append(action)
            continue
        if column not in valid:
            valid[column] = np.flatnonzero(of.values[:, column] > 0.0)
        _place(out, action, column, valid[column], of)
    return out


def _place(out: _Placed, action: Action, column: int, valid: NDArray[np.intp], of: _Prices) -> None:
    """Put an action on its row. Before the first price, and after the last row, it has none."""
    ex = np.datetime64(action.ex_date)
    due = int(np.searchsorted(of.days, ex))
    at = int(np.searchsorted(valid, due))
    if due == len(of.days) or (at == 0 and len(valid)):
        return
    if of.days[due] == ex and of.values[due, column] <= 0.0:
        out.unpriced.append(action)
    row = int(valid[at]) if at < len(valid) else -1
    if action.kind in _PRICED and (row < 0 or of.days[row] != ex):
        out.missed.append(_Missed(action, "" if row < 0 else str(of.days[row])))
    if at < len(valid):
        before = float(of.values[valid[at - 1], column])
        effect = _Effect(row, column, float(of.values[row, column]), before)
        out.effects.setdefault((row, column), effect).actions.append(action)


# -- findings, as message and hint -------------------------------------------------------------------------------

Told = Iterator[tuple[str, str]]


def _unknown(placed: _Placed) -> Told:
    if placed.unknown:
        assets = sorted({a.asset for a in placed.unknown})
        message = f"{_count(len(placed.unknown), 'action')} of assets without prices: {_list(assets)}"
        yield message, "is the name spelled differently? an action of an unknown asset has no effect"


def _unpriced(placed: _Placed) -> Told:
    if placed.unpriced:
        message = f"{_count(len(placed.unpriced), 'action')} on a price that is not positive: "
        yield message + _list([_short(a) for a in placed.unpriced]), "such a price counts as missing"


def _missed(placed: _Placed) -> Told:
    later = [m for m in placed.missed if m.takes_effect]
    never = [m.action for m in placed.missed if not m.takes_effect]
    if later:
        shown = _list([f"{_short(m.action)} on {m.takes_effect}" for m in later])
        message = f"{_count(len(later), 'ex-date')} on a day without a price; in signals and returns they take effect"
        yield f"{message} on the next one: {shown}", "is the ex-date a session of the exchange?"
    if never:
        message = (
            f"{_count(len(never), 'action')} after the last price of the asset: {_list([_short(a) for a in never])}"
        )
        yield message, "in signals and returns they have no effect"


def _doubtful(placed: _Placed) -> Told:
    for effect in placed.effects.values():
        if effect.is_told:
            found = _of_both(effect) or _of_one(effect)
            if found:
                yield found


def _of_both(of: _Effect) -> tuple[str, str] | None:
    """Report a split and a dividend of one day if one may repeat the other."""
    split, cash = of.split, of.cash
    if split == 1.0 or cash == 0.0:
        return None
    grown = of.growth(split, cash), of.growth(split, 0.0), of.growth(1.0, cash)
    is_copy = any(abs(cash - ratio) <= 1e-5 * ratio for ratio in (split, split - 1.0) if ratio > 0.0)
    too_much = _excess(grown[0], grown[1:]) > _TOO_MUCH
    if not (is_copy or too_much or cash > _LARGE_CASH * of.close):
        return None
    with_both, without_cash, without_split = (f"{g - 1.0:+.1%}" for g in grown)
    message = (
        f"{_whose(of)}: a split of {_words(split)} and a dividend of {cash:g} leave a return of {with_both}, the split "
        f"alone {without_cash}, the dividend alone {without_split}"
    )
    if is_copy:
        return f"{message}; the amount of the dividend repeats the ratio", "one may repeat the other: remove it"
    if too_much:
        return message, "one may be wrong, or repeat the other: remove it"
    return f"{message}: they fit together", "the dividend counts per share after the split; is that how it is written?"


def _of_one(of: _Effect) -> tuple[str, str] | None:
    """Report a single split or dividend that explains no price move, or an implausible split ratio."""
    split, cash = of.split, of.cash
    grown, bare = of.growth(split, cash), of.growth(1.0, 0.0)
    what = f"a split of {_words(split)}" if split != 1.0 else f"a dividend of {cash:g}"
    moved = f"leaves a return of {grown - 1.0:+.1%}, where the price moved {bare - 1.0:+.1%}"
    if _excess(grown, (bare,)) > _TOO_MUCH:
        return f"{_whose(of)}: {what} {moved}", "is it right, and is the price the one that was traded?"
    if split != 1.0 and abs(log(grown)) > _LARGE_RETURN:
        return f"{_whose(of)}: {what} {moved}", "is an action of that day missing, such as a spin-off?"
    odd = next((a for a in of.actions if a.kind is ActionKind.SPLIT and a.ratio.denominator > _ODD_DENOMINATOR), None)
    if odd is None:
        return None
    booked = f"1,000 shares are booked as {float(1000 * odd.ratio):,.0f} of its own, and none of another company"
    message = (
        f"{_whose(of)}: a split of {_words(float(odd.ratio))} is not a ratio of small numbers, and {moved}; {booked}"
    )
    return message, "if it is a spin-off, write kind spinoff with into and ratio, or with cash"


def _excess(grown: float, parts: Sequence[float]) -> float:
    """Return how much larger the log return is than the smallest of its parts."""
    return abs(log(grown)) - min(abs(log(p)) for p in parts)


def _jumps(placed: _Placed, of: _Prices) -> Told:
    """Report prices that jump like a split without an action on that row."""
    found = []
    for row, column, ratio in _split_like(of):
        effect = placed.effects.get((row, column))
        if effect is not None and (not effect.is_told or not _near(effect.growth(effect.split, effect.cash))):
            continue
        words = f"{ratio}:1" if ratio > 0 else f"1:{-ratio}"
        found.append((row, f"'{of.names[column]}' {of.days[row]} (to {words})"))
    if found:
        shown = _list([text for _, text in sorted(found)])
        what = "1 price jumps" if len(found) == 1 else f"{len(found):,} prices jump"
        message = f"{what} like a split that no action declares: {shown}"
        yield message, "add the action, or correct the price"


def _split_like(of: _Prices) -> Iterator[tuple[int, int, int]]:
    """Yield (row, column, n) of each price within 2 % of n times the last one, or -n for its n-th part."""
    for start in range(0, len(of.names), _COLUMNS):
        values = of.values[:, start : start + _COLUMNS]
        priced = values > 0.0
        place = np.maximum.accumulate(np.where(priced, np.arange(len(values))[:, None], 0), axis=0)
        known = np.take_along_axis(np.where(priced, values, np.nan), place, axis=0)
        with np.errstate(all="ignore"):
            change = known[1:] / known[:-1]
            rows, columns = np.nonzero((change < 0.6) | (change > 1.9))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            ratio = _near(float(change[row, column]))
            if ratio:
                yield row + 1, start + column, ratio


def _near(change: float) -> int:
    """Return n for a change of n:1, -n for 1:n, 0 for any other."""
    for n in _JUMPS:
        if abs(change / n - 1.0) <= _NEAR:
            return n
        if abs(change * n - 1.0) <= _NEAR:
            return -n
    return 0


# -- adjusted already? -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AdjustmentEvidence:
    """The verdict that prices look adjusted or not, and its evidence as a sentence, '' without a conclusive split.

    told: the number of conclusive splits; calm: those of them on which the price does not jump.
    """

    adjusted: bool
    evidence: str = ""
    calm: int = 0
    told: int = 0


def looks_adjusted(actions: Iterable[Action], names: Sequence[str], dates: Dates, prices: Floats) -> AdjustmentEvidence:
    """Judge by the prices on splits: prices as traded jump on them, adjusted ones do not."""
    splits = (a for a in actions if a.kind is ActionKind.SPLIT and abs(log(a.ratio)) > _SPLIT_TELLS)
    placed = _placed(splits, _Prices(tuple(names), dates.astype("datetime64[D]"), prices))
    told = list(placed.effects.values())
    calm = [e for e in told if abs(log(e.growth(1.0, 0.0))) < abs(log(e.growth(e.split, 0.0)))]
    if not told:
        return AdjustmentEvidence(False)
    shown = calm if 2 * len(calm) > len(told) else [e for e in told if e not in calm]
    examples = _list([f"{_whose(e)}, {_words(e.split)}: {e.growth(1.0, 0.0) - 1.0:+.1%}" for e in shown])
    verb = "does not jump" if shown is calm else "jumps"
    text = f"the price {verb} on {len(shown)} of {_count(len(told), 'split')} ({examples})"
    return AdjustmentEvidence(shown is calm, text, len(calm), len(told))


# -- words -------------------------------------------------------------------------------------------------------


def _some(told: Told, what: str) -> Told:
    """Yield the first findings of many, and the number of the rest."""
    found = list(told)
    yield from found[:_OWN_LINES]
    if len(found) > _OWN_LINES:
        yield f"{len(found) - _OWN_LINES:,} more {what}", "correct the first, and look again"


def _whose(of: _Effect) -> str:
    days = sorted({a.ex_date for a in of.actions})
    return f"'{of.actions[0].asset}' {days[0]}"


def _short(of: Action) -> str:
    return f"{of.kind} of '{of.asset}' {of.ex_date}"


def _words(ratio: float) -> str:
    """Return a ratio as people write it: 7:1, 1:4, 3:2; a decimal number if the ratio needs large ones."""
    exact = Fraction(ratio).limit_denominator(_ODD_DENOMINATOR)
    is_exact = exact > 0 and abs(float(exact) / ratio - 1.0) < 1e-12
    is_small = min(exact.as_integer_ratio()) <= _SMALL
    return f"{exact.numerator}:{exact.denominator}" if is_exact and is_small else f"{ratio:g}"


def _list(shown: Sequence[Any]) -> str:
    more = f" and {len(shown) - _NAMED:,} more" if len(shown) > _NAMED else ""
    return ", ".join(str(s) for s in shown[:_NAMED]) + more


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
