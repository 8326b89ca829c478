"""A book's history as it goes over the wire, read from the ledger; the live report draws the same."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from sigc.rpc.messages.history import NavReply, NavRequest
from sigc.store.history import history
from sigc.store.history.history import BookTrack, OrderTotals
from sigc.store.history.track import figures, months, thin
from sigc.store.ledger import books
from sigc.store.ledger.books import Book
from sigc.store.ledger.records import BookKey


@dataclass(slots=True)
class BookHistory:
    """Cached tracks of books, rebuilt only after a new valuation, order or fill: pages ask every few seconds.

    Not thread-safe: for one thread.
    """

    _known: dict[BookKey, tuple[object, BookTrack]] = field(default_factory=dict)

    def of(self, connection: sqlite3.Connection, book: Book) -> BookTrack:
        """Return the track of a book as the ledger has it now."""
        # The mark is cheap to read and changes with every row that the track is made of.
        mark = history.track_mark(connection, book.key)
        known = self._known.get(book.key)
        if known is None or known[0] != mark:
            known = self._known[book.key] = (mark, history.track(connection, book))
        return known[1]


def nav_reply(
    connection: sqlite3.Connection, request: NavRequest, tracks: BookHistory | None = None
) -> NavReply | None:
    """Return a book by session, None for a strategy without a book."""
    book = history.book_of(connection, request.strategy, request.portfolio)
    if book is None:
        return None
    track = (tracks or BookHistory()).of(connection, book)
    first, last = str(request.start or ""), str(request.end or "9999")
    chosen = [day for day in track.days if first <= day.session <= last]
    places = thin(request.points, [day.nav for day in chosen], [day.drawdown for day in chosen])
    kept = [chosen[place] for place in places]
    commission, slippage = (_cumulated(track, name) for name in ("commission", "slippage"))
    return NavReply(
        *(book.key.strategy, book.key.portfolio, float(book.capital), round(float(book.cash), 2), book.opened),
        len(chosen),
        tuple(day.session for day in kept),
        tuple(day.nav for day in kept),
        tuple(day.drawdown for day in kept),
        tuple(day.daily for day in kept),
        tuple(day.gross for day in kept),
        tuple(day.net for day in kept),
        tuple(day.turnover for day in kept),
        tuple(commission[day.session] for day in kept),
        tuple(slippage[day.session] for day in kept),
        months(track.days),
        figures(float(book.capital), track.days),
        history.summed(track.totals.values()),
        round(float(book.receivables), 2),
        books.declared_until(connection, book.key),
    )


def _cumulated(track: BookTrack, name: str) -> dict[str, float]:
    """Return by session the running sum of a total since the book was opened."""
    found, so_far, nothing = {}, 0.0, OrderTotals()
    for day in track.days:
        so_far += getattr(track.totals.get(day.session, nothing), name)
        found[day.session] = round(so_far, 2)
    return found
