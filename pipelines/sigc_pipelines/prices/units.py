"""Quantities and prices in the units of the session to be traded, before the ledger has its actions.

Actions with an ex-date up to that session are known at the as-of date: what is held, and what prices are judged by, is
restated before anything is sized. actions: those whose session lies after the as-of one, up to and with that session.

    100 AAPL at 645.57, 7:1 with an ex-date of 2014-06-09: 700 at 92.22
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby

from sigc.actions import Action, ActionKind, between
from sigc.calendar.sessions import Calendar
from sigc.store.ledger.action_effects import DueAction, can_be_valued, effects
from sigc.store.ledger.action_rows import renamed, restated
from sigc.store.ledger.records import ZERO, BookKey, Fill
from sigc_pipelines.live.due_actions import scheduled
from sigc_pipelines.live.valuing import BookValue

_HOLDER = BookKey("", "")
_ONE = Decimal(1)
_TICK = Decimal("0.000001")  # of prices, as the paper broker keeps them


def acting_between(actions: Sequence[Action], calendar: Calendar, after: str, until: str) -> tuple[Action, ...]:
    """Return the actions whose session is after one and no later than another (ISO dates): those the ledger lacks.

    actions: by ex-date. after: the as-of session, to which a run has brought the ledger; of a dry run, that of the
    book's newest NAV.
    """
    since = calendar.before_or_on(date.fromisoformat(after)).day  # what has an ex-date up to a session acted on it
    found = []
    for action in between(actions, since, date.fromisoformat(until)):
        due = scheduled(action, calendar)
        if due is not None and after < due.session <= until:
            found.append(action)
    return tuple(found)


def restated_positions(
    positions: Mapping[str, Decimal],
    actions: Iterable[Action],
    session: str,
    prices: Mapping[str, Decimal] | None = None,
    step: Decimal = _ONE,
    adopted: Mapping[str, str] | None = None,
) -> dict[str, Decimal]:
    """Return `positions` (quantity by asset, before these actions) in the units of `session`, without zeros.

    prices: the last ones, which a delisting by its return is valued at. step: quantities are multiples of it. adopted:
    by asset, the session up to which actions are part of the quantity already.
    """
    dues = _dues(actions, session, prices or {})
    found = effects(dues, {asset: {_HOLDER: q} for asset, q in positions.items()}, (), step, _marks(adopted))
    after = dict(positions)
    for due in dues:
        effect = found.get((due.key, _HOLDER))
        if effect is not None:
            asset, into = due.action.asset, due.action.into
            after[asset] = after.get(asset, ZERO) + effect.change
            if into:
                after[into] = after.get(into, ZERO) + effect.into_change
    return {asset: quantity for asset, quantity in after.items() if quantity}


def owed_at(
    positions: Mapping[str, Decimal],
    actions: Iterable[Action],
    session: str,
    prices: Mapping[str, Decimal] | None = None,
    step: Decimal = _ONE,
    adopted: Mapping[str, str] | None = None,
) -> Decimal:
    """Return the money that these actions pay to a holder of `positions` (or take): part of what sizes the session.

    adopted: as in `restated_positions`.
    """
    base = {asset: {_HOLDER: quantity} for asset, quantity in positions.items()}
    found = effects(_dues(actions, session, prices or {}), base, (), step, _marks(adopted))
    return sum((effect.owed + effect.lieu for effect in found.values()), ZERO)


def _marks(adopted: Mapping[str, str] | None) -> dict[tuple[BookKey, str], str]:
    return {(_HOLDER, asset): session for asset, session in (adopted or {}).items()}


def restated_price(price: Decimal, actions: Iterable[Action], session: str) -> Decimal:
    """Return the price of one asset before its actions, in the units of `session`: divided by splits, less dividends.

    >>> from datetime import date
    >>> from fractions import Fraction
    >>> split = Action(date(2014, 6, 9), "AAPL", ActionKind.SPLIT, Fraction(7))
    >>> round(restated_price(Decimal("645.57"), [split], "2014-06-09"), 2)
    Decimal('92.22')
    """
    dues = _dues(actions, session, {})
    return restated({d.action.asset: price for d in dues}, dues).get(dues[0].action.asset, price) if dues else price


def in_session(
    now: BookValue,
    actions: Sequence[Action],
    calendar: Calendar,
    days: tuple[str, str, str],
    step: Decimal = _ONE,
    fills: Iterable[Fill] = (),
) -> BookValue:
    """Return a book in the units of the session to be traded; its worth changes only by the actions.

    days: up to which session the ledger has its actions, of which the prices are, and the session to be traded. fills:
    of the session to be traded, which are in its units already; they are part of the book's positions.
    """
    ledger, priced, session = days
    lacking = acting_between(actions, calendar, ledger, session)
    if not lacking:
        return now
    ahead = acting_between(actions, calendar, priced, session)
    done = traded(fills)
    before = added(now.positions, {asset: -quantity for asset, quantity in done.items()})
    positions = added(restated_positions(before, lacking, session, now.prices, step, now.adopted), done)
    prices = dict(now.prices)
    for action in ahead:
        if action.asset in prices:
            mine = [a for a in ahead if a.asset == action.asset]
            prices[action.asset] = restated_price(now.prices[action.asset], mine, session).quantize(_TICK).normalize()
    renames = [a for a in lacking if a.kind is ActionKind.RENAME]
    for (_, is_ahead), group in groupby(renames, key=lambda a: (a.ex_date, a in ahead)):
        own = {} if is_ahead else prices  # prices that know the new names already stand
        prices = renamed(prices, {a.asset: a.into for a in group}) | own
    owed = owed_at(before, lacking, session, now.prices, step, now.adopted)
    money = now.book.cash + now.book.receivables + owed
    worth = money + sum((q * prices[a] for a, q in positions.items() if a in prices), ZERO)
    return replace(now, worth=worth, positions=positions, prices=prices)


def traded(fills: Iterable[Fill]) -> dict[str, Decimal]:
    """Return the signed quantity of fills by asset."""
    found: dict[str, Decimal] = {}
    for fill in fills:
        found[fill.asset] = found.get(fill.asset, ZERO) + fill.side.sign * fill.quantity
    return found


def added(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the sum of two sets of positions, without zeros."""
    sums = {asset: one.get(asset, ZERO) + other.get(asset, ZERO) for asset in {**one, **other}}
    return {asset: quantity for asset, quantity in sums.items() if quantity}


def _dues(actions: Iterable[Action], session: str, prices: Mapping[str, Decimal]) -> tuple[DueAction, ...]:
    """Return the actions up to a session, each on its ex-date. Only their order matters here."""
    found = []
    for action in actions:
        day = action.ex_date.isoformat()
        asset = action.into if action.kind is ActionKind.SPINOFF else action.asset
        due = DueAction(action, day, datetime(*action.ex_date.timetuple()[:3], tzinfo=UTC), day, prices.get(asset))
        if day <= session and can_be_valued(due):
            found.append(due)
    return tuple(found)
