"""Effects of corporate actions on positions: pure and exact, shared by the ledger and the paper broker.

    dues      actions with the instants and sessions at which they act
    base      quantities by holder just before the first of them
    moves     fills after that, by their execution time
    effects(...) -> by action and holder: changes of shares, cash in lieu, cash owed

An action applies to the positions at the close before its session. A fill up to that instant counts, whenever it became
known. So a late fill, a late action and a corrected amount are all recomputed in the same way, and only the difference
to the booked entries is booked (`action_booking.py`).

Order within a session: splits, then dividends and spin-offs (per new share), then mergers and delistings. Actions under
a name that is renamed in that session apply first; then all names change at once; then actions under other names apply,
to the renamed shares as well. Shares that a spin-off or merger delivers are in the units of that session.

Shares are rounded to steps and money to cents on the sum over all holders, as a broker does for its one account; each
holder's part is rounded so that the parts add up to that sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import groupby

from sigc.actions import Action, ActionKind
from sigc.store.ledger.records import ZERO, BookKey

Key = tuple[str, str, str, str]  # asset, kind, ex-date, id
Held = dict[str, dict[BookKey, Fraction]]  # quantity by asset and holder
# All arithmetic is in fractions. A decimal is made only at the edge: 80 digits hold any multiple of a step exactly, ten
# are enough for a fraction of a share, which is only reported.
_CENT = 100
_SHOWN = Decimal("0.0000000001")
_DIGITS = 80
_RANK = {kind: rank for rank, kind in enumerate(("split", "dividend", "spinoff", "merge", "delist"))}
# Kinds that cancel open orders in the asset: its units, its name or its existence change.
ENDS_ORDERS = frozenset({ActionKind.SPLIT, ActionKind.RENAME, ActionKind.DELIST, ActionKind.MERGE})


@dataclass(frozen=True, slots=True)
class DueAction:
    """An action with its place in time.

    session: the first that trades without the entitlement. before: the instant of the close before that session.

    pay_session: when owed cash is paid. price: as traded at the close before, of the asset (of `into` for a spin-off).
    """

    action: Action
    session: str
    before: datetime
    pay_session: str
    price: Decimal | None = None

    @property
    def key(self) -> Key:
        """Return the action's key."""
        return self.action.key


@dataclass(frozen=True, slots=True)
class Move:
    """A fill: the change of a holder's quantity of an asset, and the instant of its execution."""

    holder: BookKey
    asset: str
    at: datetime
    change: Decimal


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of an action on one holder. change: of its asset; into_change: of `into` (shares).

    fraction: shares paid in cash at once as `lieu` (shares of `into` where those are delivered). owed: cash due on the
    pay date, negative if the holder owes it.
    """

    change: Decimal = ZERO
    into_change: Decimal = ZERO
    fraction: Decimal = ZERO
    lieu: Decimal = ZERO
    owed: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts booked of an action in one step: changes of quantities, cash and receivables."""

    change: Decimal = ZERO
    into_change: Decimal = ZERO
    cash: Decimal = ZERO
    receivable: Decimal = ZERO
    fraction: Decimal = ZERO

    def __bool__(self) -> bool:
        return any((self.change, self.into_change, self.cash, self.receivable))

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.change + other.change,
            self.into_change + other.into_change,
            self.cash + other.cash,
            self.receivable + other.receivable,
            self.fraction + other.fraction,
        )

    def __sub__(self, other: Amounts) -> Amounts:
        return self + Amounts(-other.change, -other.into_change, -other.cash, -other.receivable, -other.fraction)


EFFECT, PAYMENT = "effect", "payment"


def steps(due: DueAction, effect: Effect, through: str) -> dict[str, Amounts]:
    """Return the amounts to be booked of an effect, by step, once all sessions up to `through` have begun."""
    is_later = due.pay_session > due.session
    now, later = (ZERO, effect.owed) if is_later else (effect.owed, ZERO)
    found = {EFFECT: Amounts(effect.change, effect.into_change, effect.lieu + now, later, effect.fraction)}
    if is_later and due.pay_session <= through:
        found[PAYMENT] = Amounts(cash=effect.owed, receivable=-effect.owed)
    return {step: amounts for step, amounts in found.items() if amounts}


def can_be_valued(due: DueAction) -> bool:
    """Return False for a delisting whose value depends on an unknown price."""
    action = due.action
    if action.kind is not ActionKind.DELIST or action.value is not None:
        return True
    return action.total_return is not None and due.price is not None


def effects(
    dues: Iterable[DueAction],
    base: Mapping[str, Mapping[BookKey, Decimal]],
    moves: Sequence[Move],
    step: Decimal,
    watermarks: Mapping[tuple[BookKey, str], str] | None = None,
) -> dict[tuple[Key, BookKey], Effect]:
    """Compute the effect of each action on each holder; pairs without an effect are left out.

    base: quantities by asset and holder after all moves up to the first due's `before`. moves: later ones, of all
    assets connected by `into`. step: quantities are multiples of it. watermarks: by holder and asset ('' for all), the
    session up to which actions have no effect.
    """
    world = _World({a: {h: Fraction(q) for h, q in own.items()} for a, own in base.items()}, step, watermarks or {})
    coming = sorted(moves, key=lambda m: m.at)
    at = 0
    for before, group in groupby(in_order(dues), key=lambda d: d.before):
        while at < len(coming) and coming[at].at <= before:
            world.add(coming[at].asset, coming[at].holder, Fraction(coming[at].change))
            at += 1
        world.session(group)
    return world.found


def is_past(due: DueAction, holder: BookKey, watermarks: Mapping[tuple[BookKey, str], str]) -> bool:
    """Return True if an action leaves a holder's position alone: its session is not after the holder's watermark, of
    the asset or of what the asset becomes.
    """
    names = ("", due.action.asset, due.action.into or "")
    return due.session <= max(watermarks.get((holder, name), "") for name in names)


def in_order(dues: Iterable[DueAction]) -> list[DueAction]:
    """Return the actions in the order in which they apply."""
    of = list(dues)
    renamed = {(d.before, d.action.asset) for d in of if d.action.kind is ActionKind.RENAME}

    def place(due: DueAction) -> tuple[object, ...]:
        kind, is_old = due.action.kind, (due.before, due.action.asset) in renamed
        # 0: actions under a name that is given up in this session; 1: the renames; 2: all others, which may see new
        # names.
        turn = 1 if kind is ActionKind.RENAME else 0 if is_old else 2
        return due.before, turn, _RANK.get(kind), due.session, due.key

    return sorted(of, key=place)


class _World:
    """Positions as they pass through the sessions, and the effects found so far."""

    def __init__(self, held: Held, step: Decimal, watermarks: Mapping[tuple[BookKey, str], str]) -> None:
        self.held, self.step, self.watermarks = held, Fraction(step), watermarks
        self.found: dict[tuple[Key, BookKey], Effect] = {}
        self._deliveries: list[tuple[str, BookKey, Fraction]] = []

    def add(self, asset: str, holder: BookKey, change: Fraction) -> None:
        own = self.held.setdefault(asset, {})
        own[holder] = own.get(holder, Fraction(0)) + change

    def session(self, dues: Iterable[DueAction]) -> None:
        for is_rename, group in groupby(dues, key=lambda d: d.action.kind is ActionKind.RENAME):
            if is_rename:
                self._rename(group)
            else:
                for due in group:
                    self._act(due)
        # Delivered shares arrive last: an action of the same session must not apply to them.
        for asset, holder, change in self._deliveries:
            self.add(asset, holder, change)
        self._deliveries = []

    def _of(self, due: DueAction) -> dict[BookKey, Fraction]:
        own = self.held.get(due.action.asset, {})
        return {h: q for h, q in sorted(own.items()) if q and not is_past(due, h, self.watermarks)}

    def _rename(self, renames: Iterable[DueAction]) -> None:
        # Take all old names away before any new name gets shares: A -> B and B -> A in one session must swap.
        taken = []
        for due in renames:
            own = self._of(due)
            for holder, quantity in own.items():
                self.held[due.action.asset][holder] = Fraction(0)
                self._note(due, holder, Effect(change=-exact(quantity), into_change=exact(quantity)))
            taken.append((due.action.into, own))
        for into, own in taken:
            for holder, quantity in own.items():
                self.add(into, holder, quantity)

    def _act(self, due: DueAction) -> None:
        own = self._of(due)
        action = due.action
        match action.kind:
            case ActionKind.SPLIT:
                self._split(due, own)
            case ActionKind.DIVIDEND:
                self._pay(due, own, _number(action.cash))
            case ActionKind.SPINOFF:
                self._deliver(due, own, due.price, is_end=False)
            case ActionKind.MERGE:
                # Value of one new share = (old close - cash part) / ratio: the price of the fraction that is paid in
                # cash.
                whole = None if due.price is None else Fraction(due.price) - _number(action.cash)
                price = whole / action.ratio if whole is not None and action.ratio else None
                self._deliver(due, own, price, is_end=True)
            case ActionKind.DELIST if can_be_valued(due):
                value = _number(action.value or 0.0)
                if action.value is None:
                    value = Fraction(due.price or 0) * (1 + _number(action.total_return or 0.0))
                self._deliver(due, own, None, is_end=True, cash=value)

    def _split(self, due: DueAction, own: Mapping[BookKey, Fraction]) -> None:
        ratio = due.action.ratio
        after = {h: q * ratio for h, q in own.items()}
        whole = in_steps(after, self.step)
        left = {h: after[h] - whole[h] for h in own}
        price = Fraction(due.price or 0) / ratio
        lieu = in_cents({h: f * price for h, f in left.items()})
        for holder, quantity in own.items():
            self.held[due.action.asset][holder] = whole[holder]
            change = exact(whole[holder] - quantity)
            self._note(due, holder, Effect(change, fraction=shown(left[holder]), lieu=lieu[holder]))

    def _pay(self, due: DueAction, own: Mapping[BookKey, Fraction], cash: Fraction) -> None:
        for holder, amount in in_cents({h: q * cash for h, q in own.items()}).items():
            self._note(due, holder, Effect(owed=amount))

    def _deliver(
        self,
        due: DueAction,
        own: Mapping[BookKey, Fraction],
        price: Decimal | Fraction | None,
        *,
        is_end: bool,
        cash: Fraction | None = None,
    ) -> None:
        """Deliver shares of `into` and cash per share; is_end: the position itself ends."""
        action = due.action
        ratio = action.ratio if action.into else Fraction(0)
        due_shares = {h: q * ratio for h, q in own.items()}
        whole = in_steps(due_shares, self.step)
        left = {h: due_shares[h] - whole[h] for h in own}
        lieu = in_cents({h: f * Fraction(price or 0) for h, f in left.items()})
        owed = in_cents({h: q * (_number(action.cash) if cash is None else cash) for h, q in own.items()})
        for holder, quantity in own.items():
            if is_end:
                self.held[action.asset][holder] = Fraction(0)
            if whole[holder]:
                self._deliveries.append((action.into, holder, whole[holder]))
            change = -exact(quantity) if is_end else ZERO
            said = Effect(change, exact(whole[holder]), shown(left[holder]), lieu[holder], owed[holder])
            self._note(due, holder, said)

    def _note(self, due: DueAction, holder: BookKey, effect: Effect) -> None:
        if effect != Effect():
            self.found[due.key, holder] = effect


def in_steps(wanted: Mapping[BookKey, Fraction], step: Fraction) -> dict[BookKey, Fraction]:
    """Round each holder's shares to whole steps that add up to the rounded sum (the sum is rounded toward zero).

    Remaining steps go to the largest remainders; of equal ones, to the earlier holder (largest remainder method).

    >>> one, two = BookKey("a", "main"), BookKey("b", "main")
    >>> in_steps({one: Fraction(101, 2), two: Fraction(101, 2)}, Fraction(1))
    {BookKey(strategy='a', portfolio='main'): Fraction(51, 1), BookKey(strategy='b', portfolio='main'): Fraction(50, 1)}
    """
    units = {h: math.floor(q / step) for h, q in wanted.items()}
    spare = math.trunc(sum(wanted.values(), Fraction(0)) / step) - sum(units.values())
    by_remainder = sorted(wanted, key=lambda h: (-(wanted[h] / step - units[h]), h))
    for holder in by_remainder[:spare]:
        units[holder] += 1
    return {h: n * step for h, n in units.items()}


def in_cents(wanted: Mapping[BookKey, Fraction]) -> dict[BookKey, Decimal]:
    """Round each holder's money to cents, half to even, so that the parts add up to the rounded sum; the last takes the
    rest.

    >>> in_cents({BookKey("a", "main"): Fraction(1, 3)})
    {BookKey(strategy='a', portfolio='main'): Decimal('0.33')}
    """
    total = round(sum(wanted.values(), Fraction(0)) * _CENT)
    cents = {h: round(amount * _CENT) for h, amount in wanted.items()}
    bearer = max((h for h, amount in wanted.items() if amount), default=None)
    if bearer is not None:
        cents[bearer] += total - sum(cents.values())
    return {h: Decimal(n).scaleb(-2) if n else ZERO for h, n in cents.items()}


def exact(number: Fraction) -> Decimal:
    """Return a number of shares as a decimal; a multiple of a decimal step has a finite one."""
    if number.denominator == 1:
        return Decimal(number.numerator)
    with localcontext() as context:
        context.prec = _DIGITS
        return (Decimal(number.numerator) / Decimal(number.denominator)).normalize()


def shown(number: Fraction) -> Decimal:
    """Return a fraction of a share, rounded to ten decimals."""
    return exact(number).quantize(_SHOWN).normalize()


def _number(value: float) -> Fraction:
    """Return the decimal number that a float is written as: a dividend of 0.1 is exactly a tenth."""
    return Fraction(repr(float(value)))
