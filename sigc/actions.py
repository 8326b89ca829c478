"""Corporate actions: what happens to a share on its ex-date. One value, spoken by data, backtest, ledger and brokers.

    split      value: new shares per old one (4.0 for 4:1)
    dividend   cash: per share held at the close before the ex-date; with a split on the same day, per new share
    rename     into: the new name
    delist     value: paid per share, or None with `cash` None where only `total_return` is known
    spinoff    into, ratio: shares of `into` per share held; without `into`: cash per share
    merge      into, ratio, cash: what each share becomes

Source of the conventions: CRSP Data Descriptions Guide (distributions, delisting returns).
"""

from __future__ import annotations

import datetime
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

_LARGEST_DENOMINATOR = 100
_SAME_RATIO = 1e-5


class ActionKind(StrEnum):
    """What kind of thing happens."""

    SPLIT = "split"
    DIVIDEND = "dividend"
    RENAME = "rename"
    DELIST = "delist"
    SPINOFF = "spinoff"
    MERGE = "merge"


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """One action of one asset. ex_date: the first session on which a buyer does not get it.

    ratio: of a split new shares per old, of a spin-off or merger shares of `into` per share. cash: per share, in the
    currency of the prices. value: paid per share at a delisting. total_return: of a delisting, on the last price, where
    no value is known. pay_date: None for the ex-date. id: of the source; '' for none.
    """

    ex_date: datetime.date
    asset: str
    kind: ActionKind
    ratio: Fraction = Fraction(1)
    cash: float = 0.0
    into: str = ""
    value: float | None = None
    total_return: float | None = None
    pay_date: datetime.date | None = None
    id: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Asset, kind, ex-date, id: an action of the same key with another amount corrects the earlier one."""
        return self.asset, self.kind.value, self.ex_date.isoformat(), self.id


def ratio_of(value: float) -> Fraction:
    """A ratio as a vendor rounds it: the fraction p/q, q <= 100, within 1e-5 of it, else the number itself.

    >>> ratio_of(1.499999), ratio_of(0.333333), ratio_of(1.0317)
    (Fraction(3, 2), Fraction(1, 3), Fraction(10317, 10000))
    """
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{value:g} is no ratio")
    near = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
    if near > 0 and abs(float(near) - value) <= _SAME_RATIO * value:
        return near
    return Fraction(str(value))


def parse_ratio(text: str) -> Fraction:
    """A ratio as it is written: a number, or new shares for old ones.

    >>> parse_ratio("4:1"), parse_ratio("1-for-10"), parse_ratio("0.25")
    (Fraction(4, 1), Fraction(1, 10), Fraction(1, 4))
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?::|/|-?for-?)\s*(\d+(?:\.\d+)?)\s*", text)
    if found:
        new, old = Fraction(found[1]), Fraction(found[2])
        if new <= 0 or old <= 0:
            raise ValueError(f"'{text}' is no ratio")
        return new / old
    try:
        return ratio_of(float(text))
    except ValueError:
        raise ValueError(f"'{text}' is no ratio") from None
