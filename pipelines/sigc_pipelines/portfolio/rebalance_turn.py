"""Test of a run's as-of row: is it a rebalance row of its book? A scheduled run trades by it, as the backtest does.

    turn = turn_of(connection, key, rebalance, rows, as_of)
    turn.due      the row that is to be traded: the as-of row, or an earlier one that no run has traded yet; '' for none
    turn.next     when the book is rebalanced after that, in words

The book's anchor, the as-of day of its first run, is its first row: rows are counted from it, and nothing moves it. A
row stays due until a run on it or after it has traded (`runs.traded_before`): one that was missed, refused, or of which
every order was denied is made up for by the next scheduled run.

The as-of session counts as a row though the data lack it: a run on it goes on to the checks, which refuse stale data.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np

from sigc.data.dates.exchange import Days
from sigc.errors import Diagnostic, SigcError
from sigc.lang.semantics.rebalance import Rebalance
from sigc.store.ledger import books, runs
from sigc.store.ledger.records import BookKey
from sigc_pipelines.portfolio.rebalance import RowDays, due_rows, named_sessions, text_of

_DAY, _YEAR = np.timedelta64(1, "D"), np.timedelta64(400, "D")


@dataclass(frozen=True, slots=True)
class RebalanceTurn:
    """due: the ISO date of the rebalance row that a run as of now trades, '' for none. next: the one after, in words.

    rule: the rebalance in words; '' where each row is one, of which nothing need be told.
    """

    due: str
    next: str = ""
    rule: str = ""

    def told(self, as_of: str) -> str:
        """Return the addition to a run's message: the row it makes up for, and the next rebalance."""
        late = f", for the rebalance of {self.due}" if self.due and self.due < as_of and self.rule else ""
        return late + (f"; next rebalance {self.next}" if self.next else "")


def turn_of(
    connection: sqlite3.Connection, key: BookKey, rebalance: Rebalance, rows: RowDays, as_of: str
) -> RebalanceTurn:
    """Return the turn of a book as of a day. rows: of the grid, at least up to that day. Raises E402, and E801 without
    its first rows.

    A book that is not open yet would open now.
    """
    book = books.book(connection, key)
    now = np.datetime64(as_of, "D")
    anchor = np.datetime64(as_of if book is None else book.anchor, "D")
    days = rows.days[: int(np.searchsorted(rows.days, now, side="right"))]
    if rows.of_sessions and not (len(days) and days[-1] == now):
        days = np.append(days, now)
    own = RowDays(days[np.searchsorted(days, anchor) :], rows.exchange, rows.of_sessions)
    before = _sessions_lost(days, anchor, rows, rebalance)
    due = due_rows(rebalance, own) if not before else (np.arange(len(own.days)) + before) % (rebalance.rows or 1) == 0
    traded = runs.traded_before(connection, key.strategy, key.portfolio, as_of)
    open_ones = own.days[due & (own.days > np.datetime64(traded, "D"))] if traded else own.days[due]
    rule = "" if rebalance.rows == 1 else text_of(rebalance)
    next_one = _next(rebalance, own, now, len(own.days) - 1 + before) if rule else ""
    return RebalanceTurn(str(open_ones[-1]) if len(open_ones) else "", next_one, rule)


def _sessions_lost(days: Days, anchor: np.datetime64, rows: RowDays, rebalance: Rebalance) -> int:
    """Return the number of sessions between the anchor and a file whose history was cut off, by the calendar."""
    if not len(days) or days[0] <= anchor or rebalance.rows in (None, 1):
        return 0
    if not rows.of_sessions:
        message = f"the traded panel begins on {days[0]}, and rows are counted from {anchor}, when the book was opened"
        raise SigcError(Diagnostic("E801", message, hint=f"load rows from {anchor} on"))
    place = rows.exchange.place(np.array([anchor, days[0]]))
    return int(place[1] - place[0])


def _next(rebalance: Rebalance, own: RowDays, now: np.datetime64, at: int) -> str:
    """Return the first rebalance row after a day, given the book's row number `at` of that day; '' beyond the
    calendar.
    """
    sessions = own.exchange.days
    if rebalance.rows is None:
        until = min(now + _YEAR, sessions[-1] - _DAY)
        coming = named_sessions(rebalance.word, own.exchange, now + _DAY, until) if now < until else sessions[:0]
        return f"as of {coming[0]}" if len(coming) else ""
    left = rebalance.rows - max(0, at) % rebalance.rows
    rows = f"in {left} row{'' if left == 1 else 's'}"
    place = int(own.exchange.place(np.array([now]))[0]) + left
    known = own.of_sessions == "sessions" and place < len(sessions)
    return f"as of {sessions[place]}, {rows}" if known else rows
