"""Rebalance rows of a book: every n-th from the first, or those that a calendar word names.

    rows = row_days(loaded, workspace, start, stop)     the session of each row, and the exchange
    due  = due_rows(settings.rebalance, rows)           a bool for each

A word names sessions by the exchange's calendar, never by the rows that a file has: `month_end` is the last session of
a month. Its row is due; of intraday rows the last bar of that session (`..._start`: the first). Where that session has
no row, the next row is due, as it would be live. Whether a row is due is thus known when it is there: it takes the row
before, the calendar and, for the last bar of a session, that the session is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sigc.data.dates.exchange import Days, Exchange
from sigc.errors import Diagnostic, SigcError
from sigc.lang.semantics.rebalance import Rebalance
from sigc_pipelines.compute import Loaded, Workspace

Due = NDArray[np.bool_]
_MONDAY = 3  # days from 1970-01-01, a Thursday, back to the Monday of its week


@dataclass(frozen=True, slots=True, eq=False)
class RowDays:
    """The session that each row belongs to, ascending, and the calendar that says which sessions there are.

    of_sessions: `sessions` for a row each session, `bars` for several, '' for rows of another frequency.
    """

    days: Days
    exchange: Exchange
    of_sessions: str = "sessions"

    def part(self, low: int, high: int | None = None) -> RowDays:
        """Return the rows [low, high)."""
        return replace(self, days=self.days[low:high])


def row_days(loaded: Loaded, workspace: Workspace, start: int = 0, stop: int | None = None) -> RowDays:
    """Return the days of the grid's rows [start, stop)."""
    traded = loaded.catalog.sources[loaded.strategy.traded]
    days = loaded.grid.dates if traded.sessions is None else traded.sessions[: len(loaded.grid.dates)]
    exchange = workspace.exchanges.of(traded.rows.calendar, traded.rows.zone)
    word = traded.rows.frequency.word
    of_sessions = word if word in ("sessions", "bars") else ""
    return RowDays(days.astype("datetime64[D]")[start:stop], exchange, of_sessions)


def due_rows(rebalance: Rebalance, rows: RowDays) -> Due:
    """Return True for each row on which a book is rebalanced; always for the first, on which it opens.

    Raises E402 for rows that the calendar's table does not cover.
    """
    if rebalance.rows is not None:
        return every(rebalance.rows, len(rows.days))
    due = _named(rebalance.word, rows)
    due[:1] = True
    return due


def every(count: int, rows: int) -> Due:
    """Return True for every `count`-th row, from the first."""
    return np.asarray(np.arange(rows) % count == 0)


def _named(word: str, rows: RowDays) -> Due:
    """Return the row of each session that a word names, else the next row."""
    days = rows.days
    if not len(days):
        return np.zeros(0, bool)
    named = named_sessions(word, rows.exchange, days[0], days[-1])
    first = np.searchsorted(days, named)  # of the session, or the next row
    if word.endswith("_end"):
        last = np.searchsorted(days, named, side="right") - 1
        first = np.where(days[first] == named, last, first)
    due = np.zeros(len(days), bool)
    due[first] = True
    return due


def named_sessions(word: str, exchange: Exchange, since: np.datetime64, until: np.datetime64) -> Days:
    """Return the sessions of [since, until] that a word names: `month_end` the last of each month. Raises E402."""
    sessions = exchange.days
    if since < exchange.since or until >= sessions[-1]:
        reach = f"the calendar '{exchange.name}' is known from {exchange.since} to before {sessions[-1]}"
        message = f"rebal={word} needs sessions from {since} to {until}; {reach}"
        raise SigcError(Diagnostic("E402", message, hint="take a range within it, or rebal= with a number of rows"))
    unit, _, edge = word.partition("_")
    begin = max(0, int(np.searchsorted(sessions, since)) - 1)
    number = _number(unit, sessions[begin : int(np.searchsorted(sessions, until, side="right")) + 1])
    turns = np.flatnonzero(np.diff(number)) + begin  # the last session of each week, month, ...
    found = sessions[turns + 1 if edge == "start" else turns]
    return np.asarray(found[(found >= since) & (found <= until)])


def _number(unit: str, days: Days) -> NDArray[np.int64]:
    """Return the running number of each day's week, month, quarter or year."""
    match unit:
        case "week":
            return np.asarray((days.astype("i8") + _MONDAY) // 7)
        case "month":
            return days.astype("datetime64[M]").astype("i8")
        case "quarter":
            return np.asarray(days.astype("datetime64[M]").astype("i8") // 3)
    return days.astype("datetime64[Y]").astype("i8")


def text_of(rebalance: Rebalance) -> str:
    """Return a rebalance rule in words.

    >>> text_of(Rebalance.of_word("month_end")), text_of(Rebalance.of_word("monthly")), text_of(Rebalance(5))
    ('month_end', 'monthly (every 21 rows)', 'every 5 rows')
    """
    if rebalance.rows is None:
        return rebalance.word
    rows = "every row" if rebalance.rows == 1 else f"every {rebalance.rows} rows"
    return f"{rebalance.word} ({rows})" if rebalance.word else rows
