"""Valuation of a book: positions at closes, NAV by session, weights.

NAV of a session = cash + receivables + sum of quantity x close, as of that session's close. Later fills, charges and
entries of corporate actions are taken out again, so a NAV is the same whenever it is computed.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from sigc.actions import Action
from sigc.calendar.sessions import Calendar, Session
from sigc.store.ledger import action_rows, adjustments, books, price_marks
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import ZERO, BookKey, Nav
from sigc_pipelines.brokers.protocol import Broker, simulation
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.due_actions import DueActions, SessionPrices, scheduled
from sigc_pipelines.live.sizing import decimal
from sigc_pipelines.prices.closes import Closes

_CENT = Decimal("0.01")  # NAVs are kept in cents, halves to even
ClosesSince = Callable[[str], Closes]  # closing prices from an ISO date on
OnValued = Callable[[Transaction, tuple[str, ...]], object]


@dataclass(frozen=True, slots=True)
class BookValue:
    """The value of a book now. worth: cash, receivables and positions at the last prices. prices: the newest known, by
    asset. adopted: by asset, the session up to which corporate actions are part of the position already, as it was
    taken over from the broker. paid_in: deposits less withdrawals.
    """

    book: books.Book
    worth: Decimal
    positions: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    adopted: Mapping[str, str] = field(default_factory=dict)
    paid_in: Decimal = ZERO

    @property
    def capital(self) -> Decimal:
        """Return the capital that a person has given the book: when it was opened, and since."""
        return self.book.capital + self.paid_in


def standing(connection: sqlite3.Connection, key: BookKey, prices: Mapping[str, Decimal]) -> BookValue:
    """Return a book's value at these prices; a position without one counts at its average price. Raises KeyError."""
    found = books.book(connection, key)
    if found is None:
        raise KeyError(f"there is no book {key}")
    held = books.positions(connection, key)
    known = {p.asset: p.average_price for p in held} | dict(prices)  # a price wins over an average price
    worth = found.cash + found.receivables + sum((p.quantity * known[p.asset] for p in held), ZERO)
    adopted = {asset: day for (book, asset), day in action_rows.watermarks(connection).items() if book == key and asset}
    paid_in = adjustments.paid_in(connection, key)
    return BookValue(found, worth, {p.asset: p.quantity for p in held}, known, adopted, paid_in)


def follow(
    ledger: Ledger,
    broker: Broker,
    calendar: Calendar,
    key: BookKey,
    as_of: Session,
    closes_since: ClosesSince,
    take_in: Callable[[], object],
    actions: Sequence[Action] = (),
    on_valued: OnValued = lambda _tx, _sessions: None,
) -> dict[str, Decimal]:
    """Trade the closed sessions at a simulated broker, book corporate actions, apply fills, record each session's NAV.

    take_in: brings the ledger in line with the broker, or raises: no NAV is recorded on unknown fills. actions: all
    that the book's data list. on_valued: called in the transaction that writes NAVs, with their sessions. Returns the
    newest price of each asset, in the units of the as-of session. A session without data is left until it has some.
    Idempotent.
    """
    # The order of steps is fixed: before each close the broker applies that session's actions, then fills at the close;
    # the ledger books the actions after the fills they act on; NAVs come last, from a ledger that knows both.
    sessions, closes, before = _unvalued(ledger, calendar, key, as_of, closes_since)
    acts = DueActions(ledger, broker, as_of)
    acts.listed(key, actions, calendar, closes_since)
    simulated = simulation(broker)
    if simulated is not None:
        for session in sessions:
            acts.before(session)
            simulated.mark(str(session.day), session.close, *closes.on(str(session.day)))
    if acts.is_due:
        settle(ledger, broker)
        acts.booked()
        before = _prices_before(ledger, key)  # again: booked actions have restated them
    acts.announced(actions, calendar)
    take_in()
    navs, newest = [], SessionPrices(before)
    dues = _dues_between(ledger, key, sessions, as_of)
    for session in sessions:
        day = str(session.day)
        prices = newest.at(day, closes, dues.get(day, ()))
        with ledger.reading() as connection:
            navs.append(nav_at(connection, key, session, prices))
    if navs:
        with ledger.reading() as connection:
            held, known = books.quantities(connection, key), price_marks.prices_of(connection, key)
        dated = _priced(closes, navs[-1].session, known, held.keys())
        priced = {a: replace(p, price=newest.prices.get(a, p.price)) for a, p in dated.items()}
        # NAVs and the prices they were valued at in one transaction: `_prices_before` reads them as a pair.
        with ledger.transaction("fills") as tx:
            for nav in navs:
                books.put_nav(tx, nav)
            price_marks.put_prices(tx, key, priced)
            on_valued(tx, tuple(nav.session for nav in navs))
    return newest.at(str(as_of.day), closes, dues.get("", ()))


def _dues_between(
    ledger: Ledger, key: BookKey, sessions: Sequence[Session], as_of: Session
) -> dict[str, tuple[DueAction, ...]]:
    """Return the actions since the newest NAV, by the session at whose close they have taken effect; '' after the last.

    A session without data is not valued: its actions act on the next one's prices.
    """
    with ledger.reading() as connection:
        last = books.last_nav(connection, key)
        found = () if last is None else action_rows.between(connection, last.session, str(as_of.day))
    days = [str(s.day) for s in sessions]
    by_day: dict[str, tuple[DueAction, ...]] = {}
    for due in found:
        at = bisect_left(days, due.session)
        day = days[at] if at < len(days) else ""
        by_day[day] = (*by_day.get(day, ()), due)
    return by_day


def _priced(
    closes: Closes, day: str, before: Mapping[str, price_marks.Priced], assets: Collection[str]
) -> dict[str, price_marks.Priced]:
    """Return the newest accepted prices on or before a day that has some, with their dates; else those of `before`."""
    known = {asset: priced for asset, priced in before.items() if asset in assets}
    stop = int(np.searchsorted(closes.dates, np.datetime64(day, "D") + 1))
    block = closes.prices[:stop]
    valid = np.isfinite(block) & (block > 0.0)
    newest = stop - 1 - np.argmax(valid[::-1], axis=0)
    for asset in np.flatnonzero(valid.any(axis=0)):
        if closes.names[asset] in assets:
            price = decimal(float(block[newest[asset], asset]))
            day_of = str(closes.dates[newest[asset]].astype("datetime64[D]"))
            known[closes.names[asset]] = price_marks.Priced(price, day_of)
    return known


def newest_prices(
    ledger: Ledger,
    calendar: Calendar,
    key: BookKey,
    as_of: Session,
    closes_since: ClosesSince,
    actions: Sequence[Action] = (),
) -> dict[str, Decimal]:
    """Return the prices that `follow` would return, without changing anything. actions: all that the data list."""
    _, closes, before = _unvalued(ledger, calendar, key, as_of, closes_since)
    with ledger.reading() as connection:
        last = books.last_nav(connection, key)
    if last is not None:
        found = (scheduled(action, calendar) for action in actions)
        dues = [due for due in found if due is not None and last.session < due.session <= str(as_of.day)]
        before = action_rows.restated(before, dues)
    return closes.last(str(as_of.day), before)


def _unvalued(
    ledger: Ledger, calendar: Calendar, key: BookKey, as_of: Session, closes_since: ClosesSince
) -> tuple[tuple[Session, ...], Closes, dict[str, Decimal]]:
    """Return the sessions with data and no NAV up to the as-of one, their closes, and the prices known before."""
    with ledger.reading() as connection:
        last = books.last_nav(connection, key)
    before = _prices_before(ledger, key)
    sessions: tuple[Session, ...] = (as_of,)  # of a new book
    if last is not None:
        since = date.fromisoformat(last.session)
        sessions = tuple(s for s in calendar.sessions(since, as_of.day) if s.day > since) if since < as_of.day else ()
    closes = closes_since(str(sessions[0].day if sessions else as_of.day))
    return tuple(s for s in sessions if closes.has(str(s.day))), closes, before


def _prices_before(ledger: Ledger, key: BookKey) -> dict[str, Decimal]:
    """Return the prices of the newest NAV's positions, and for other assets the price of the newest run, in the units
    of that NAV's session.
    """
    with ledger.reading() as connection:
        last = books.last_nav(connection, key)
        judged = price_marks.last_prices(connection, key, "" if last is None else last.session)
        return judged | {asset: one.price for asset, one in (price_marks.valued_at(connection, key) or {}).items()}


def nav_at(connection: sqlite3.Connection, key: BookKey, session: Session, prices: Mapping[str, Decimal]) -> Nav:
    """Return the NAV of the book at a session's close, at these prices."""
    now = standing(connection, key, prices)
    cash, held = now.book.cash, dict(now.positions)
    for fill in books.fills_of_book(connection, key, after=session.close):
        cash -= fill.cash
        held[fill.asset] = held.get(fill.asset, ZERO) - fill.side.sign * fill.quantity
    cash -= books.charged(connection, key, after=session.close)
    owed = now.book.receivables
    for entry in action_rows.entries_of_book(connection, key, after=str(session.day)):
        cash, owed = cash - entry.amounts.cash, owed - entry.amounts.receivable
        held[entry.asset] = held.get(entry.asset, ZERO) - entry.amounts.change
        if entry.into:
            held[entry.into] = held.get(entry.into, ZERO) - entry.amounts.into_change
    for taken in adjustments.of_book(connection, key, after=str(session.day)):
        cash -= taken.cash
        held[taken.asset] = held.get(taken.asset, ZERO) - taken.change
    # Now `held`, `cash` and `owed` are as of the close. Quantities are in that session's units, as `prices` are.
    values = [quantity * now.prices[asset] for asset, quantity in held.items() if asset in now.prices]
    net, gross = sum(values, ZERO), sum((abs(v) for v in values), ZERO)
    worth = _cents(cash + owed + net)
    return Nav(key, str(session.day), worth, _cents(cash), _cents(gross), _cents(net), _cents(owed))


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_EVEN)
