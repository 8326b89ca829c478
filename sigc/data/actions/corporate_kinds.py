"""The long form of corporate actions: one row per action, with the cells that its kind uses.

| kind     | needs                     | may have         |
|----------|---------------------------|------------------|
| split    | value or ratio            |                  |
| dividend | value or cash             | pay_date         |
| rename   | into                      |                  |
| delist   |                           | value, or return |
| spinoff  | into and ratio, or cash   | pay_date         |
| merge    | into, and ratio or cash   | pay_date         |

A cell that its kind does not use must be empty or neutral (no cash, a ratio of one), as its content would be lost.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from sigc.actions import Action, ActionKind
from sigc.data.actions.corporate_columns import ColumnRoles, Rows, numbers_at, only, ratios_at
from sigc.data.formats.cells import texts
from sigc.data.missing_words import MISSING
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError, did_you_mean
from sigc.panel import Floats

WORDS = {
    "split": ActionKind.SPLIT, "splits": ActionKind.SPLIT, "stock split": ActionKind.SPLIT,
    "stock splits": ActionKind.SPLIT, "share split": ActionKind.SPLIT, "forward split": ActionKind.SPLIT,
    "reverse split": ActionKind.SPLIT, "reverse stock split": ActionKind.SPLIT,
    "dividend": ActionKind.DIVIDEND, "dividends": ActionKind.DIVIDEND, "div": ActionKind.DIVIDEND,
    "cash dividend": ActionKind.DIVIDEND, "special dividend": ActionKind.DIVIDEND,
    "special cash dividend": ActionKind.DIVIDEND, "ordinary dividend": ActionKind.DIVIDEND,
    "rename": ActionKind.RENAME, "name change": ActionKind.RENAME, "symbol change": ActionKind.RENAME,
    "ticker change": ActionKind.RENAME,
    "delist": ActionKind.DELIST, "delisting": ActionKind.DELIST, "delisted": ActionKind.DELIST,
    "liquidation": ActionKind.DELIST,
    "spinoff": ActionKind.SPINOFF, "spin off": ActionKind.SPINOFF, "demerger": ActionKind.SPINOFF,
    "merge": ActionKind.MERGE, "merger": ActionKind.MERGE, "acquisition": ActionKind.MERGE,
    "stock merger": ActionKind.MERGE,
}  # fmt: skip
_ELSEWHERE = {
    "stock dividend": "write a stock dividend as a split: one of 5 % is 1.05",
    "bonus issue": "write a bonus issue as a split: one new share for two old ones is 3:2",
    "cash merger": "write a takeover for cash alone as delist, with the cash per share as its value",
}
_USES = {
    "value": (ActionKind.SPLIT, ActionKind.DIVIDEND, ActionKind.DELIST),
    "ratio": (ActionKind.SPLIT, ActionKind.SPINOFF, ActionKind.MERGE),
    "cash": (ActionKind.DIVIDEND, ActionKind.DELIST, ActionKind.SPINOFF, ActionKind.MERGE),
    "into": (ActionKind.RENAME, ActionKind.SPINOFF, ActionKind.MERGE),
    "total_return": (ActionKind.DELIST,),
}
_NEUTRAL: dict[str, tuple[float, ...]] = {"value": (0.0,), "ratio": (0.0, 1.0), "cash": (0.0,), "total_return": (0.0,)}


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a row that its kind uses; None, or '', if empty."""

    ex_date: datetime.date
    asset: str
    kind: ActionKind
    value: float | None
    value_ratio: Fraction | None
    ratio: Fraction | None
    cash: float | None
    into: str
    total_return: float | None
    pay_date: datetime.date | None
    id: str


class LongForm:
    """A table of the long form, read by columns and then row by row."""

    def __init__(self, spec: SourceSpec, file: str, table: Any, roles: ColumnRoles) -> None:
        self._spec, self._file, self._table, self._roles = spec, file, table, roles
        self._kinds = self._read_kinds()

    def actions(
        self, days: list[datetime.date], assets: list[str], paid: list[datetime.date | None]
    ) -> Iterator[tuple[int, Action]]:
        """Yield (row, action) for each row with an effect. days, assets, paid: of every row. Raise E201."""
        self._refuse_unused(assets)
        value, cash, returned = (self._numbers(r) for r in ("value", "cash", "total_return"))
        ratio, by_value = self._ratios("ratio"), self._ratios("value", ActionKind.SPLIT)
        into, ids = self._texts("into"), self._texts("id")
        for row, kind in enumerate(self._kinds):
            cells = Cells(
                days[row], assets[row], kind, _given(value[row]), by_value.get(row), ratio.get(row), _given(cash[row]),
                into[row] or "", _given(returned[row]), paid[row], ids[row] or "",
            )  # fmt: skip
            made = self._action(row, cells)
            if made is not None:
                yield row, made

    def _column(self, role: str) -> Any:
        name = getattr(self._roles, role)
        return self._table[name] if name else None

    def _at(self, *kinds: ActionKind) -> Rows:
        return np.array([k in kinds for k in self._kinds], bool)

    def _numbers(self, role: str) -> Floats:
        rows = self._at(*(k for k in _USES[role] if (role, k) != ("value", ActionKind.SPLIT)))
        return numbers_at(self._spec, self._file, self._column(role), getattr(self._roles, role), rows)

    def _ratios(self, role: str, *kinds: ActionKind) -> dict[int, Fraction]:
        """Return ratios by row. For spin-offs and mergers, 0 means none."""
        rows, column = self._at(*(kinds or _USES[role])), self._column(role)
        if column is None:
            return {}
        # A split of 0 shares is an error, which `ratios_at` raises; elsewhere vendors write 0 for "no shares".
        rest = rows & ~self._at(ActionKind.SPLIT)
        said = np.array([not _is(t, (0.0,)) for t in texts(only(column, rest))], bool)
        rows &= said | ~rest
        return ratios_at(self._spec, self._file, column, getattr(self._roles, role), rows)

    def _texts(self, role: str) -> list[str | None]:
        column = self._column(role)
        return [None] * len(self._kinds) if column is None else texts(column)

    def _read_kinds(self) -> list[ActionKind]:
        written = texts(self._table[self._roles.kind])
        self._words = [_plain(t) for t in written]
        for row, word in enumerate(self._words):
            if word not in WORDS:
                raise self._unknown(row, written[row], word)
        return [WORDS[w] for w in self._words]

    def _unknown(self, row: int, written: str | None, word: str) -> SigcError:
        if written is None:
            return self._wrong(row, "kind", "the kind is missing", f"one of {', '.join(ActionKind)}")
        hint = _ELSEWHERE.get(word) or did_you_mean(word, WORDS) or f"one of {', '.join(ActionKind)}"
        return self._wrong(row, "kind", f"unknown kind of action '{written[:40]}'", hint)

    def _refuse_unused(self, assets: list[str]) -> None:
        """Refuse cells that the row's kind does not use, as they would be lost."""
        for role, kinds in _USES.items():
            column = self._column(role)
            unused = ~self._at(*kinds)
            if column is None or not unused.any():
                continue
            for row, text in enumerate(texts(only(column, unused))):
                itself = role == "into" and text == assets[row]
                if text is not None and not itself and not _is(text, _NEUTRAL.get(role, ())):
                    what = f"'{text[:40]}' is not used by a {self._kinds[row]}"
                    used = [r for r, k in _USES.items() if self._kinds[row] in k]
                    raise self._wrong(row, role, what, f"a {self._kinds[row]} uses {' and '.join(used)}")

    def _action(self, row: int, of: Cells) -> Action | None:
        match of.kind:
            case ActionKind.SPLIT:
                return self._split(row, of)
            case ActionKind.DIVIDEND:
                return self._dividend(row, of)
            case ActionKind.RENAME:
                return Action(of.ex_date, of.asset, of.kind, into=self._into(row, of), id=of.id)
            case ActionKind.DELIST:
                return self._delist(row, of)
            case ActionKind.SPINOFF:
                return self._spinoff(row, of)
            case ActionKind.MERGE:
                return self._merge(row, of)

    def _split(self, row: int, of: Cells) -> Action | None:
        """Return a split; None if every share stays one share."""
        said = {r for r in (of.value_ratio, of.ratio) if r is not None}
        if of.value_ratio is not None and of.ratio == 1:
            said = {of.value_ratio}  # a ratio column filled with ones means nothing
        if len(said) != 1:
            message = "a split without a ratio" if not said else "value and ratio of the split differ"
            raise self._wrong(row, "", message, "write new shares for old ones as its value: 4, 0.25 or 4:1")
        ratio = said.pop()
        # Some vendors write a reverse split of 1 for 10 as 10; guessing wrong would move the price by a factor of 100.
        if self._words[row].startswith("reverse") and ratio > 1:
            message = f"a reverse split of {ratio} can be {ratio} for 1, or 1 for {ratio}"
            raise self._wrong(row, "", message, f"write new shares for old ones: {ratio.denominator}:{ratio.numerator}")
        return None if ratio == 1 else Action(of.ex_date, of.asset, of.kind, ratio, id=of.id)

    def _dividend(self, row: int, of: Cells) -> Action | None:
        said = {c for c in (of.value, of.cash) if c}
        if not said:
            if of.value is None and of.cash is None:
                raise self._wrong(row, "", "a dividend without an amount", "write the cash per share as its value")
            return None
        if len(said) > 1:
            raise self._wrong(row, "", "value and cash of the dividend differ", "write one of them")
        cash = self._positive(row, said.pop(), "the dividend")
        return Action(of.ex_date, of.asset, of.kind, cash=cash, pay_date=of.pay_date, id=of.id)

    def _delist(self, row: int, of: Cells) -> Action:
        """Return a delisting. Its value counts, or its return if no value is given."""
        value = of.value if of.value is not None else of.cash
        if value is not None:
            self._positive(row, value, "the payment")
            return Action(of.ex_date, of.asset, of.kind, value=value, id=of.id)
        if of.total_return is not None and of.total_return < -1.0:
            raise self._wrong(row, "total_return", f"a return of {of.total_return:g} is below -1", "-1 is a total loss")
        return Action(of.ex_date, of.asset, of.kind, total_return=of.total_return, id=of.id)

    def _spinoff(self, row: int, of: Cells) -> Action:
        cash = self._positive(row, of.cash or 0.0, "the cash")
        if not of.into:
            if of.ratio is not None and of.ratio != 1:
                raise self._wrong(row, "into", "a spin-off of shares of an unnamed company", "name it by into")
            if not cash:
                hint = "name the new company by into and ratio, or write the money per share as cash"
                raise self._wrong(row, "", "a spin-off without into, and without cash", hint)
            return Action(of.ex_date, of.asset, of.kind, Fraction(0), cash, pay_date=of.pay_date, id=of.id)
        if of.ratio is None:
            hint = "write the shares of the new company per share held"
            raise self._wrong(row, "ratio", "a spin-off without a ratio", hint)
        into = self._into(row, of)
        return Action(of.ex_date, of.asset, of.kind, of.ratio, cash, into, pay_date=of.pay_date, id=of.id)

    def _merge(self, row: int, of: Cells) -> Action:
        into = self._into(row, of, _ELSEWHERE["cash merger"])
        cash = self._positive(row, of.cash or 0.0, "the cash")
        if of.ratio is None and not cash:
            raise self._wrong(row, "", "a merge with neither ratio nor cash", "write what each share becomes")
        ratio = of.ratio if of.ratio is not None else Fraction(0)
        return Action(of.ex_date, of.asset, of.kind, ratio, cash, into, pay_date=of.pay_date, id=of.id)

    def _into(self, row: int, of: Cells, hint: str = "write the new name into its column") -> str:
        if not of.into:
            raise self._wrong(row, "into", f"a {of.kind} without into", hint)
        if of.into == of.asset:
            raise self._wrong(row, "into", f"a {of.kind} of '{of.asset}' into itself", hint)
        return of.into

    def _positive(self, row: int, amount: float, what: str) -> float:
        if amount < 0.0:
            hint = "a payment by shareholders is not a corporate action"
            raise self._wrong(row, "", f"{what} is negative: {amount:g}", hint)
        return amount

    def _wrong(self, row: int, role: str, message: str, hint: str) -> SigcError:
        column = getattr(self._roles, role) if role else ""
        where = f"row {row + 2}, column '{column}'" if column else f"row {row + 2}"
        return problem(self._spec, "E201", self._file, f"{where}: {message}", hint)


def _plain(written: str | None) -> str:
    return " ".join((written or "").lower().replace("-", " ").replace("_", " ").split())


def _given(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _is(text: str | None, values: tuple[float, ...]) -> bool:
    """Return True for a missing text, or one of some numbers."""
    if text is None or text in MISSING:
        return True
    try:
        return float(text) in values
    except ValueError:
        return False
