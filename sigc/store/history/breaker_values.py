"""The value of a circuit breaker at a close, from the worth of a book: pure functions, in exact numbers.

    units(worth)             a book's worth at each close, without what was paid in or taken out
    measured(rule, worth)    loss, drawdown, streak or volatility at the last of them, against the threshold

A threshold is reached at its very value: a loss of exactly 2 % trips `threshold: 0.02`. A flow (a deposit, a transfer)
counts at the close of its session: return = (worth - flow) / worth before - 1.
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from sigc.store.history.track import SESSIONS_A_YEAR
from sigc.store.ledger.records import ZERO

if TYPE_CHECKING:
    from sigc.config.breaker_settings import BreakerSettings
    from sigc.config.settings import SafetySettings

_WEEK, _MONTH = 5, 20  # sessions
_WINDOW = re.compile(r"(\d+)\s*(d|w)?")


class BreakerState(StrEnum):
    """The state of a breaker that has not tripped."""

    FINE = "fine"
    REACHED = "reached"
    SHORT = "too little history"
    UNKNOWN = "can't be evaluated"


@dataclass(frozen=True, slots=True)
class CloseWorth:
    """The worth of a book, or of all, at a close. flow: money that came without being earned; None: not known."""

    session: str
    nav: Decimal
    flow: Decimal | None = ZERO


@dataclass(frozen=True, slots=True)
class WorthHistory:
    """A book's closes, or those of all books, in order.

    base: the money it began with. late: books that are missing in the newest of them, where it is of all books.
    """

    base: Decimal
    closes: tuple[CloseWorth, ...]
    late: tuple[str, ...] = ()

    def since(self, session: str) -> WorthHistory:
        """Return the history that begins with the close of a session; '' is all of it."""
        before = [close for close in self.closes if close.session <= session]
        if not before:
            return self
        return WorthHistory(before[-1].nav, self.closes[len(before) :], self.late)

    def until(self, session: str) -> WorthHistory:
        """Return the history up to the close of a session."""
        return WorthHistory(self.base, tuple(c for c in self.closes if c.session <= session), self.late)


@dataclass(frozen=True, slots=True)
class BreakerValue:
    """The value of a breaker at the close of a session, None without one. why: it has none."""

    state: BreakerState
    session: str = ""
    value: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Unit:
    """The worth of one unit at a close; None where it is not known."""

    session: str
    worth: Fraction | None


def rules_of(limits: SafetySettings) -> tuple[BreakerSettings, ...]:
    """Return all breakers that are on: the loss limits, by the names of their settings, and the written ones."""
    known = (
        ("daily_loss", "loss", limits.daily_loss, "1d"),
        ("weekly_loss", "loss", limits.weekly_loss, "1w"),
        ("drawdown", "drawdown", limits.drawdown, ""),
    )
    own = [
        {"name": name, "type": type, "threshold": limit, "window": window, "action": limits.loss_action}
        for name, type, limit, window in known
        if limit
    ]
    from sigc.config.breaker_settings import BreakerSettings  # pydantic: who only looks at a track needs none

    return (*map(BreakerSettings.model_validate, own), *limits.circuit_breakers)


def sessions_of(rule: BreakerSettings) -> int:
    """Return the number of sessions that a breaker looks back over; 0: all of them.

    >>> from sigc.config.breaker_settings import BreakerSettings
    >>> sessions_of(BreakerSettings(name="a", type="volatility", threshold=0.4, window="2w"))
    10
    """
    found = _WINDOW.fullmatch(rule.window)
    if found is None:
        return {"loss": 1, "volatility": _MONTH}.get(rule.type, 0)
    return int(found[1]) * (_WEEK if found[2] == "w" else 1)


def units(history: WorthHistory) -> tuple[_Unit, ...]:
    """Return the worth at the beginning and at each close, in units that flows do not change."""
    found, scale = [_Unit("", _exact(history.base))], Fraction(1)
    is_known, held = True, Fraction(0)
    for close in history.closes:
        nav, flow = _exact(close.nav), None if close.flow is None else _exact(close.flow)
        if nav is None or flow is None or not is_known:
            held += flow or 0
            is_known = is_known and flow is not None
            found.append(_Unit(close.session, None))
            continue
        # A flow at a close whose worth is not known counts at the next that is.
        earned, held, moved = nav - flow - held, Fraction(0), bool(flow or held)
        found.append(_Unit(close.session, earned * scale))
        if moved:
            is_known = nav > 0 and earned > 0
            scale = scale * earned / nav if is_known else scale
    return tuple(found)


def measured(rule: BreakerSettings, history: WorthHistory) -> BreakerValue:
    """Return the value of a breaker at the last close of a history.

    >>> from sigc.config.breaker_settings import BreakerSettings
    >>> rule = BreakerSettings(name="a", type="loss", threshold=0.02)
    >>> one = CloseWorth("2024-01-02", Decimal("98"))
    >>> measured(rule, WorthHistory(Decimal("100"), (one,)))
    BreakerValue(state=<BreakerState.REACHED: 'reached'>, session='2024-01-02', value=0.02, why='')
    """
    if not history.closes:
        return BreakerValue(BreakerState.SHORT, why="no close has been valued yet")
    found, last = units(history), history.closes[-1].session
    window = sessions_of(rule)
    seen = found[-(window + 1) :] if window else found
    if rule.type == "streak":
        return _streak(rule, found)
    unknown = next((unit for unit in seen if unit.worth is None), None)
    if unknown is not None:
        return BreakerValue(BreakerState.UNKNOWN, last, why=f"the worth at the close of {unknown.session} is not known")
    worths = [unit.worth for unit in seen if unit.worth is not None]
    if rule.type == "volatility":
        return _volatility(rule, worths, last)
    before = max(worths) if rule.type == "drawdown" else worths[0]
    if before == worths[-1] == 0:
        return BreakerValue(BreakerState.SHORT, last, why="it is worth nothing, and was")
    if before <= 0:
        return BreakerValue(BreakerState.UNKNOWN, last, why=f"it was worth {float(before):,.2f} before")
    return _judged(rule, (before - worths[-1]) / before, last)


def _streak(rule: BreakerSettings, found: Sequence[_Unit]) -> BreakerValue:
    last, count = found[-1].session, 0
    for before, after in zip(reversed(found[:-1]), reversed(found[1:]), strict=True):
        if before.worth is None or after.worth is None:
            if count < rule.threshold:
                return BreakerValue(
                    BreakerState.UNKNOWN, last, why=f"the worth at the close of {after.session} is not known"
                )
            break
        if after.worth >= before.worth:
            break
        count += 1
    return _judged(rule, Fraction(count), last)


def _volatility(rule: BreakerSettings, worths: Sequence[Fraction], last: str) -> BreakerValue:
    if len(worths) <= sessions_of(rule):
        why = f"{len(worths) - 1} of the {sessions_of(rule)} returns are there"
        return BreakerValue(BreakerState.SHORT, last, why=why)
    if any(worth <= 0 for worth in worths[:-1]):
        return BreakerValue(BreakerState.UNKNOWN, last, why="it was worth nothing")
    # The spread of what one becomes is the spread of returns: they differ by 1 each.
    grown = [float(after / before) for before, after in itertools.pairwise(worths)]
    value = statistics.stdev(grown) * math.sqrt(SESSIONS_A_YEAR)
    state = BreakerState.REACHED if value >= rule.threshold else BreakerState.FINE
    return BreakerValue(state, last, value)


def _judged(rule: BreakerSettings, value: Fraction, last: str) -> BreakerValue:
    # As it is written: 0.02 is two hundredths, not the nearest binary fraction.
    state = BreakerState.REACHED if value >= Fraction(repr(rule.threshold)) else BreakerState.FINE
    return BreakerValue(state, last, float(value))


def _exact(value: Decimal) -> Fraction | None:
    return Fraction(value) if value.is_finite() else None
