"""Statements of a book over a span of sessions, and its blotter: every execution, with what it realised.

Of a span: the NAV before and after it, and what lies between them:

    NAV after = NAV before + realised + unrealised + commissions + dividends + charges + transfers

unrealised is the change of what is not realised: of the marks of open lots, and of what was unrealised before and is
realised now. What is learned later (a late action, say) counts in the session that it is of; NAVs stay as they were
told, so that such a span shows it in unrealised.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from sigc.store.history.lots import BookRecord, SessionFill, book_events
from sigc.store.ledger import books
from sigc.store.ledger.records import BookKey, Fill, Nav

_CENT = Decimal("0.01")
_SHOWN = Decimal("0.000001")  # of prices and of shares


@dataclass(frozen=True, slots=True)
class OpenLot:
    """Shares that came together and are still held. cost: money for all; negative amounts are of a short position."""

    asset: str
    session: str
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class BlotterLine:
    """A fill in the blotter. realised: profit of the lots that it closed, before commission."""

    session: str
    fill: Fill
    realised: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """A book from the session `since` to `until`, both included. Money is in cents, gains are positive.

    before: the NAV at the last close before the span, the capital of a book without one. charges: by kind.
    """

    book: BookKey
    since: str
    until: str
    before: Decimal
    after: Decimal
    realised: Decimal
    unrealised: Decimal
    commissions: Decimal
    dividends: Decimal
    charges: Mapping[str, Decimal]
    transfers: Decimal
    lots: tuple[OpenLot, ...]
    executions: tuple[BlotterLine, ...]


def statement(connection: sqlite3.Connection, key: BookKey, since: str, until: str) -> Statement | None:
    """Return the statement of a book from one day to another (ISO dates, both included); None before it was valued."""
    book, navs = books.book(connection, key), books.navs(connection, key)
    inside = [nav for nav in navs if since <= nav.session <= until]
    if book is None or not inside:
        return None
    earlier = [nav for nav in navs if nav.session < since]
    before, last = (earlier[-1].nav if earlier else book.capital), inside[-1]
    found, executions = BookRecord(), list[BlotterLine]()
    start = _Totals.of(found)
    for event in book_events(connection, key):
        if event.session > last.session:
            break
        if event.session < since:
            found.take(event)
            start = _Totals.of(found)
            continue
        found.take(event)
        if isinstance(event, SessionFill):
            realised = found.realised_of[event.fill.execution_id]
            executions.append(BlotterLine(event.session, event.fill, _money(realised)))
    return _told(key, (since, last), before, start, found, tuple(executions))


@dataclass(frozen=True, slots=True)
class _Totals:
    realised: Fraction
    commissions: Fraction
    dividends: Fraction
    charges: Mapping[str, Fraction]
    transfers: Fraction

    @staticmethod
    def of(found: BookRecord) -> _Totals:
        return _Totals(found.realised, found.commissions, found.dividends, dict(found.charges), found.transfers)


def _told(
    key: BookKey,
    span: tuple[str, Nav],
    before: Decimal,
    start: _Totals,
    found: BookRecord,
    executions: tuple[BlotterLine, ...],
) -> Statement:
    since, last = span
    realised = _money(found.realised - start.realised)
    commissions = _money(found.commissions - start.commissions)
    dividends = _money(found.dividends - start.dividends)
    transfers = _money(found.transfers - start.transfers)
    charges = {
        kind: _money(amount - start.charges.get(kind, Fraction(0)))
        for kind, amount in sorted(found.charges.items())
        if amount != start.charges.get(kind, Fraction(0))
    }
    after, before = _cents(last.nav), _cents(before)
    explained = realised + commissions + dividends + transfers + sum(charges.values(), Decimal(0))
    open_lots = tuple(
        OpenLot(asset, lot.session, _exact(lot.quantity), _money(lot.cost))
        for asset, own in sorted(found.lots.items())
        for lot in own
    )
    return Statement(
        book=key,
        since=since,
        until=last.session,
        before=before,
        after=after,
        realised=realised,
        unrealised=after - before - explained,
        commissions=commissions,
        dividends=dividends,
        charges=charges,
        transfers=transfers,
        lots=open_lots,
        executions=executions,
    )


def _money(amount: Fraction) -> Decimal:
    """Return money in cents, half to even."""
    return _cents(Decimal(amount.numerator) / Decimal(amount.denominator))


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_EVEN) + 0  # no negative zero


def _exact(number: Fraction) -> Decimal:
    """Return a number of shares, whole where it is, else to six decimals."""
    found = Decimal(number.numerator) / Decimal(number.denominator)
    return found if number.denominator == 1 else found.quantize(_SHOWN, ROUND_HALF_EVEN)
