"""The worth of books by session, from the ledger, with the money that came or left without being earned.

What is a flow: cash and shares that a person moved, or adopted as a transfer or because the account is another one
(`adjustments.py`); shares of another book count at their last accepted price, not at their cost. Trades, dividends,
fees and interest are earned. A book that is opened beside others brings its capital to all of them as a flow. NAVs at
prices as declared (of an older sigc) begin no comparison with those after.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from decimal import Decimal

from sigc.store.history.breaker_values import CloseWorth, WorthHistory
from sigc.store.ledger import adjustments, books, price_marks
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.records import ZERO, BookKey, Nav

_FLOWS = frozenset({GapCause.TRANSFER, GapCause.ACCOUNT, *adjustments.PAID})


def of_book(connection: sqlite3.Connection, key: BookKey) -> WorthHistory:
    """Return the history of a book, empty before it is opened. One without capital begins at its first worth."""
    book = books.book(connection, key)
    if book is None:
        return WorthHistory(ZERO, ())
    base, closes = _closes(connection, book)
    while base <= 0 and closes and not book.capital:
        base, closes = closes[0].nav, closes[1:]
    return WorthHistory(base, closes)


def of_all(connection: sqlite3.Connection) -> WorthHistory:
    """Return the history of all books together, at the closes of which every book is valued.

    A book that lacks two or more of the newest closes is counted at its last worth from then on, and named as late: it
    must not keep the others from being judged.
    """
    read = {book.key: _closes(connection, book) for book in books.books(connection)}
    known = {key: {close.session: close for close in closes} for key, (_, closes) in read.items() if closes}
    sessions = sorted({session for closes in known.values() for session in closes})
    late = {key for key, closes in known.items() if len(sessions) > 1 and max(closes) < sessions[-2]}
    end = min((max(closes) for key, closes in known.items() if key not in late), default="")
    bases = {key: read[key][0] for key in known}
    begins = {key: min(closes) for key, closes in known.items()}
    first = sessions[0] if sessions else ""
    total = sum((bases[key] for key in known if begins[key] == first), ZERO)
    found, last = [], dict[BookKey, Decimal]()
    for session in (one for one in sessions if one <= end):
        flow: Decimal | None = ZERO
        for key, closes in known.items():
            close = closes.get(session)
            if close is None:
                continue
            last[key] = close.nav
            came = bases[key] if begins[key] == session and session != first else ZERO
            flow = None if flow is None or close.flow is None else flow + close.flow + came
        found.append(CloseWorth(session, sum(last.values(), ZERO), flow))
    names = tuple(f"{key.strategy}/{key.portfolio} since {max(known[key])}" for key in sorted(late))
    return WorthHistory(total, tuple(found), names)


def _closes(connection: sqlite3.Connection, book: books.Book) -> tuple[Decimal, tuple[CloseWorth, ...]]:
    """Return the money that a book began with, and its closes."""
    navs, base = list(books.navs(connection, book.key)), book.capital
    declared = [nav for nav in navs if nav.basis != "traded"]
    if declared:
        # The last close at other prices is left out too: the step from it to the next is no return.
        navs = [nav for nav in navs if nav.session > declared[-1].session]
        base = navs[0].nav if navs else base
        navs = navs[1:]
    entries = [e for e in adjustments.of_book(connection, book.key) if e.cause in _FLOWS]
    prices = _prices(connection, book.key, navs) if any(e.change and not (e.price or e.worth) for e in entries) else {}
    return base, tuple(CloseWorth(n.session, n.nav, _flow(before, n, entries, prices)) for before, n in _pairs(navs))


def _pairs(navs: list[Nav]) -> list[tuple[str, Nav]]:
    """Return each NAV with the session before it: entries that count in between are of its session."""
    return list(zip(["", *(nav.session for nav in navs)], navs, strict=False))


def _flow(before: str, nav: Nav, entries: list[Adjustment], prices: Mapping[str, Decimal]) -> Decimal | None:
    total = ZERO
    for entry in entries:
        if not before < entry.session <= nav.session:
            continue
        price = entry.worth or entry.price or prices.get(entry.asset)
        if entry.change and price is None:
            return None  # shares came or left, and nobody knows what they are worth
        total += entry.cash + (entry.change * price if price is not None else ZERO)
    return total


def _prices(connection: sqlite3.Connection, key: BookKey, navs: list[Nav]) -> dict[str, Decimal]:
    through = navs[-1].session if navs else ""
    judged = price_marks.last_prices(connection, key, through)
    return judged | {asset: one.price for asset, one in (price_marks.valued_at(connection, key) or {}).items()}
