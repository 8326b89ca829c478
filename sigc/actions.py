"""Corporate actions: what happens to a share on its ex-date. One type for data, backtest, ledger and brokers.

    split      value: new shares per old one (4.0 for 4:1)
    dividend   cash: per share held at the close before the ex-date; with a split on the same day, per new share
    rename     into: the new name
    delist     value: paid per share, or None with `cash` None if only `total_return` is known
    spinoff    into, ratio: shares of `into` per share held; without `into`: cash per share
    merge      into, ratio, cash: what each share becomes

Source of the conventions: CRSP Data Descriptions Guide (distributions, delisting returns).
"""

from __future__ import annotations

import hashlib
import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

_LARGEST_DENOMINATOR = 100
_SAME_RATIO = 1e-5
_FINE = Decimal("1e-10")


class ActionKind(StrEnum):
    """The kind of a corporate action."""

    SPLIT = "split"
    DIVIDEND = "dividend"
    RENAME = "rename"
    DELIST = "delist"
    SPINOFF = "spinoff"
    MERGE = "merge"


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """One action of one asset. ex_date: the first session on which a buyer does not receive it.

    ratio: of a split new shares per old, of a spin-off or merger shares of `into` per share. cash: per share, in the
    currency of the prices. value: paid per share at a delisting. total_return: of a delisting, on the last price, if
    no value is known. pay_date: None for the ex-date. id: of the source; '' for none.
    """

    ex_date: date
    asset: str
    kind: ActionKind
    ratio: Fraction = Fraction(1)
    cash: float = 0.0
    into: str = ""
    value: float | None = None
    total_return: float | None = None
    pay_date: date | None = None
    id: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return asset, kind, ex-date, id: an action of the same key with another amount corrects the earlier one."""
        return self.asset, self.kind.value, self.ex_date.isoformat(), self.id


def digest_of(actions: Iterable[Action]) -> str:
    """Return a digest of all contents: equal actions in the same order have equal digests, whatever the file's format.

    By columns, for speed: a file has tens of thousands of actions.
    """
    of = list(actions)
    texts = ([a.asset for a in of], [a.kind for a in of], [a.into for a in of], [a.id for a in of])
    days = array("q", [a.ex_date.toordinal() for a in of])
    paid = array("q", [a.pay_date.toordinal() if a.pay_date else 0 for a in of])
    ratios = "\n".join([str(a.ratio) for a in of if a.ratio != 1] + [str(i) for i, a in enumerate(of) if a.ratio != 1])
    cash = array("d", [a.cash for a in of])
    ends = array("d", [math.nan if v is None else v for a in of for v in (a.value, a.total_return)])
    found = hashlib.blake2b(digest_size=16)
    for part in (days, paid, cash, ends):
        found.update(part.tobytes())
    for text in (*("\0".join(column) for column in texts), ratios):
        found.update(f"\n{len(text)}\n{text}".encode())
    return found.hexdigest()


def in_order(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Return actions by ex-date and asset; of one asset's day splits first, as cash is per share after the split."""
    return tuple(sorted(actions, key=lambda a: (a.ex_date, a.asset, a.kind is not ActionKind.SPLIT, a.kind, a.id)))


def between(actions: Sequence[Action], after: date, until: date) -> Sequence[Action]:
    """Return the actions with an ex-date after one day, up to and including another. actions: in order."""
    low = bisect_right(actions, after, key=_ex_date)
    return actions[low : bisect_right(actions, until, low, key=_ex_date)]


def _ex_date(of: Action) -> date:
    return of.ex_date


def ratio_of(value: float) -> Fraction:
    """Return a vendor's rounded ratio as a fraction p/q, q <= 100, if one is within 1e-5 of it; else the number itself.

    >>> ratio_of(1.499999), ratio_of(0.333333), ratio_of(1.0317)
    (Fraction(3, 2), Fraction(1, 3), Fraction(10317, 10000))
    """
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{value:g} is not a ratio")
    near = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
    if near > 0 and abs(float(near) - value) <= _SAME_RATIO * value:
        return near
    return Fraction(str(value))


def parse_ratio(text: str) -> Fraction:
    """Return a ratio from its text: a number, or new shares for old ones.

    >>> parse_ratio("4:1"), parse_ratio("1-for-10"), parse_ratio("0.25")
    (Fraction(4, 1), Fraction(1, 10), Fraction(1, 4))
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?::|/|-?for-?)\s*(\d+(?:\.\d+)?)\s*", text)
    if found:
        new, old = Fraction(found[1]), Fraction(found[2])
        if new <= 0 or old <= 0:
            raise ValueError(f"'{text}' is not a ratio")
        return new / old
    try:
        return ratio_of(float(text))
    except ValueError:
        raise ValueError(f"'{text}' is not a ratio") from None


def restated_price(price: Decimal, actions: Iterable[Action], after: date, until: date) -> Decimal:
    """Return a price of the day `after` in the units of the day `until`.

    A split divides it by the ratio; paid cash is subtracted, unless nothing would be left: 0 is not a price.
    actions: of one asset. Rounded to ten decimals if a ratio does not divide it.

    >>> from datetime import date
    >>> split = Action(date(2014, 6, 9), "AAPL", ActionKind.SPLIT, ratio=Fraction(7))
    >>> restated_price(Decimal("645.57"), [split], date(2014, 6, 6), date(2014, 6, 9))
    Decimal('92.2242857143')
    """
    for action in in_order(a for a in actions if after < a.ex_date <= until):
        if action.kind is ActionKind.SPLIT:
            ratio = action.ratio
            price = (price * ratio.denominator / ratio.numerator).quantize(_FINE)
        elif action.kind in (ActionKind.DIVIDEND, ActionKind.SPINOFF):
            left = price - Decimal(repr(action.cash))
            price = left if left > 0 else price
    return price
