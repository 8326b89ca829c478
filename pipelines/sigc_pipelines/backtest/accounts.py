"""Accounting of a backtest: wanted weights in, held weights and returns out (language reference, section 5).

Weights are decided and traded at the close of row t, and earn from row t + 1. The book starts flat. Between rebalances
target weights are held; with `drift` they move with the returns.

    gross[t]    = sum(held[t-1] * returns[t])
    turnover[t] = sum(|held[t] - before[t]|)      before: held[t-1], drifted where asked
    net[t]      = gross[t] - cost[t]

If a held or wanted asset lacks a price, or a due row has no defined weight, the book is walked row by row
(`sigc.ops.loops.accounts`): an untradable asset stays, a return over a gap is earned on the row where the price is
back, an ended asset leaves. The figures of the plain way show if a walk is needed (`is_plain`), so plain books do not
pay for it.

Neighbours: `quotes.py` accepts prices, `costs.py` prices the trades, `constraints.py` adjusts a wanted book,
`performance.py` measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sigc.ops.jit import frozen
from sigc.panel import Floats
from sigc_pipelines.portfolio.rebalance import Due
from sigc_pipelines.prices.quotes import Quotes

Flags = NDArray[np.bool_]
# row, wanted weights, weights held before, which assets can be traded -> weights to hold
Adjust = Callable[[int, Floats, Floats, Flags], Floats]


@dataclass(frozen=True, slots=True)
class AssetEvent:
    """An asset that ended (`is_end`), with its share of the book; or came back after that, with the booked return.

    is_declared: ended by a corporate action; else presumed from missing prices.
    """

    is_end: bool
    row: int
    column: int
    share: float
    is_declared: bool


_ROWS_AT_ONCE = 64  # the opening is mostly found in the first of these chunks


@dataclass(frozen=True, slots=True, eq=False)
class BacktestAccounts:
    """held: (rows, assets) weights after each row; without assets where only figures were kept. gross, turnover:
    (rows,).

    exposures: gross and net, the sums of absolute weights and of weights, (rows,) each. missing: held assets without a
    price, (rows,) counts. moved: trades, where they differ from the change of the held weights. events: ends of assets.
    undecided: due rows without a defined weight. ruined: the row on which all was lost, -1 for none.
    """

    held: Floats
    gross: Floats
    turnover: Floats
    exposures: tuple[Floats, Floats]
    missing: NDArray[np.int64]
    moved: Floats | None = None
    events: tuple[AssetEvent, ...] = ()
    undecided: int = 0
    ruined: int = -1

    @property
    def trades(self) -> Floats:
        """Traded weights, (rows, assets)."""
        if self.moved is not None:
            return self.moved
        return np.diff(self.held, axis=0, prepend=np.zeros((1, self.held.shape[1])))


def keep_book(
    wanted: Floats,
    quotes: Quotes,
    *,
    due: Due | None = None,
    drift: bool = False,
    adjust: Adjust | None = None,
) -> BacktestAccounts:
    """Hold `wanted` weights (rows, assets; NaN counts as 0 beside defined ones) over `quotes` of that shape.

    due: the rows on which it is traded (rows,), None for all; if nothing can be decided on the first of them, the first
    row on which it can be is due too. adjust: applies the constraints to a wanted book.
    """
    due = np.ones(len(wanted), bool) if due is None else due
    if not due.all():
        due = _from_the_first(due, wanted, quotes.prices)
    if adjust is not None:
        return _adjusted(wanted, quotes, due, drift, adjust)
    # Drifting weights depend on the row before, so only an undrifted book can be computed in one go.
    if not drift:
        held = wanted if due.all() else wanted[_last_due(due)]
        book, is_whole = _as_wanted(held, quotes)
        if is_whole:
            return book
    return _walked(wanted, quotes, due, drift)


def _from_the_first(due: Due, wanted: Floats, prices: Floats) -> Due:
    """Return the due rows, plus the first row on which anything can be decided: a book stays due until it opens."""
    for low in range(int(np.argmax(due)), len(due), _ROWS_AT_ONCE):
        rows = slice(low, low + _ROWS_AT_ONCE)
        defined, priced = wanted[rows] == wanted[rows], prices[rows] == prices[rows]
        # x == x is False for NaN alone. A row without any price decides too: all of it stays pending.
        ready = (defined & priced).any(axis=1) | (defined.any(axis=1) & ~priced.any(axis=1))
        if ready.any():
            first = low + int(np.argmax(ready))
            if not due[first]:
                due = due.copy()
                due[first] = True
            break
    return due


def _last_due(due: Due) -> NDArray[np.intp]:
    """Return the last row that was due, for each row. The first is due."""
    return np.maximum.accumulate(np.where(due, np.arange(len(due)), 0))


def _as_wanted(held: Floats, quotes: Quotes) -> tuple[BacktestAccounts, bool]:
    """Return the book that holds exactly the wanted weights, and True if that is possible."""
    from sigc.ops.loops import books

    figures = np.empty((books.FIGURES, len(held)))
    books.followed(held, quotes.returns, np.zeros(held.shape[1]), figures)
    is_whole = is_plain(figures, held[-1:], quotes)
    if figures[books.MISSING].any():
        held = np.where(np.isnan(held), 0.0, held)
    return book_of(held, figures), is_whole


def is_plain(figures: Floats, last: Floats, quotes: Quotes) -> bool:
    """Return True if a book of such figures can be held as wanted: nothing is held or bought without a price, and each
    row after the opening has a weight. last: (1, assets) the weights of the last row.
    """
    from sigc.ops.loops import books

    if figures[books.UNPRICED].any() or quotes.ends is not None:
        return False
    # A book that goes flat on a row with missing weights may be undecided there, not sold: only a walk can tell.
    size = figures[books.GROSS]
    if ((size[1:] == 0.0) & (figures[books.MISSING, 1:] > 0.0) & (size[:-1] > 0.0)).any():
        return False
    # The last row earns nothing, so the figures do not show a weight without a price there.
    return not (np.isnan(quotes.prices[-1:]) & (np.abs(last) > 0.0)).any()


def book_of(held: Floats, figures: Floats) -> BacktestAccounts:
    """Return the book of such figures by row (`sigc.ops.loops.books`)."""
    from sigc.ops.loops import books

    exposures = (figures[books.GROSS], figures[books.NET])
    missing = figures[books.UNPRICED].astype(np.int64)
    return BacktestAccounts(held, figures[books.EARNED], figures[books.TURNOVER], exposures, missing)


def _walked(wanted: Floats, quotes: Quotes, due: Due, drift: bool) -> BacktestAccounts:
    from sigc.ops.loops import accounts

    held, trades, figures, events, undecided = accounts.keep(
        wanted, quotes.prices, quotes.raw, due, drift, quotes.ended_after, quotes.delisting_return, quotes.ends
    )
    return _of_walk(held, trades, figures, events, undecided)


def _adjusted(wanted: Floats, quotes: Quotes, due: Due, drift: bool, adjust: Adjust) -> BacktestAccounts:
    """Return the book of a walk row by row, as constraints depend on the held weights."""
    from sigc.ops.loops import accounts

    kept = accounts.room(wanted.shape[1])
    state, numbers, events = kept
    given = frozen(wanted), frozen(quotes.prices), frozen(quotes.raw)
    ends = accounts.no_ends(wanted.shape[1]) if quotes.ends is None else quotes.ends
    how = drift, quotes.ended_after, quotes.delisting_return, ends
    held, trades, figures = np.empty(wanted.shape), np.zeros(wanted.shape), np.zeros((accounts.FIGURES, len(wanted)))
    for row in range(len(wanted)):
        todo = accounts.open_row(row, given, bool(due[row]), how, kept, figures)
        asked, tradable = state[accounts.TARGET].copy(), np.isfinite(quotes.prices[row])
        if todo != accounts.NOTHING:
            # PART: only pending changes are made on this row; all other assets stay as they are.
            if todo == accounts.PART:
                tradable &= np.isin(state[accounts.PENDING], (accounts.UNDONE, accounts.SCALED))
            # Positions without a decision stay as they are, and do not use up limits of the others.
            undecided_on = state[accounts.PENDING] == accounts.KEPT
            beside = np.where(undecided_on, 0.0, state[accounts.HELD])
            state[accounts.TARGET] = adjust(row, asked, beside, tradable & ~undecided_on)
        accounts.close_row(row, todo, given[1], state, held, trades, figures)
        # With nothing stuck, a change that the constraints cut is final; it must not stay pending as "scaled".
        if todo != accounts.NOTHING and not _has_stuck(state, quotes.prices[row]):
            by_limits = tradable & (state[accounts.PENDING] == accounts.SCALED) & (asked == state[accounts.WANT])
            state[accounts.PENDING, by_limits] = 0.0
    count, undecided = int(numbers[accounts.COUNT]), int(numbers[accounts.UNDECIDED])
    return _of_walk(held, trades, figures, events[:count], undecided)


def _has_stuck(state: Floats, prices: Floats) -> bool:
    from sigc.ops.loops import accounts

    pending, is_held = state[accounts.PENDING], state[accounts.HELD] != 0.0
    unpriced = np.isnan(prices) & (is_held | (pending == accounts.UNDONE))
    return bool((unpriced | (is_held & (pending == accounts.KEPT))).any())


def _of_walk(held: Floats, trades: Floats, figures: Floats, events: Floats, undecided: int) -> BacktestAccounts:
    from sigc.ops.loops import accounts, books

    return BacktestAccounts(
        held=held,
        gross=figures[accounts.GROSS],
        turnover=figures[accounts.TURNOVER],
        exposures=books.exposures(frozen(held)),
        missing=figures[accounts.MISSING].astype(np.int64),
        moved=trades,
        events=tuple(
            AssetEvent(k != accounts.BACK, int(t), int(j), float(share), k == accounts.CLOSED)
            for k, t, j, share in events.tolist()
        ),
        undecided=undecided,
    )


def targets(wanted: Floats, held: Floats, priced: Flags) -> Floats:
    """Return the weights to trade to (assets,), where only `priced` assets can be traded beside the held ones. With all
    priced: the wanted weights, missing ones as 0.
    """
    if priced.all():
        return np.where(np.isnan(wanted), 0.0, wanted)
    from sigc.ops.loops import accounts

    return accounts.scaled(wanted, held, priced)


def until_ruin(book: BacktestAccounts, costs: Floats) -> tuple[BacktestAccounts, Floats]:
    """Return the book and its costs up to the row on which all is lost: the loss is -100 % there, and the book is flat
    after.
    """
    gone = np.flatnonzero(book.gross - costs <= -1.0)
    if not len(gone):
        return book, costs
    # Net is exactly -1 on that row: the loss counts first, costs get what is left of the book.
    row = int(gone[0])
    gross, paid = book.gross.copy(), costs.copy()
    gross[row] = max(-1.0, gross[row])
    paid[row] = gross[row] + 1.0
    gross[row + 1 :] = paid[row + 1 :] = 0.0

    def stopped(values: Floats) -> Floats:
        out = values.copy()
        out[row:] = 0
        return out

    flat = replace(
        book,
        held=stopped(book.held),
        gross=gross,
        turnover=stopped(book.turnover),
        exposures=(stopped(book.exposures[0]), stopped(book.exposures[1])),
        missing=np.where(np.arange(len(gross)) <= row, book.missing, 0),
        moved=None if book.moved is None else stopped(book.moved),
        events=tuple(e for e in book.events if e.row <= row),
        ruined=row,
    )
    return flat, paid
