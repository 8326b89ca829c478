"""The book of a backtest: wanted weights in, held weights and returns out. Accounting of the language
reference, section 5.

Weights are decided at the close of row t, traded then, and earn from row t + 1. The book starts flat.
Between rebalances target weights are held; with `drift` they move with the returns.

    gross[t]    = sum(held[t-1] * returns[t])
    turnover[t] = sum(|held[t] - before[t]|)      before: held[t-1], drifted where asked
    net[t]      = gross[t] - cost[t]

Neighbours: `costs.py` prices the trades, `constraints.py` adjusts a wanted book, `performance.py` measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigc.ops.jit import frozen
from sigc.panel import Floats
from sigc_pipelines.rebalance import Due

# row, wanted weights, weights held before -> weights to hold
Adjust = Callable[[int, Floats, Floats], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """held: (rows, assets) weights after each row; without assets where only figures were kept. gross, turnover:
    (rows,).

    exposures: gross and net, the sums of absolute weights and of weights, (rows,) each. missing: held assets without a
    return, (rows,) counts; their return counted as 0. moved: what was traded, where it is not the change of what was
    held.
    """

    held: Floats
    gross: Floats
    turnover: Floats
    exposures: tuple[Floats, Floats]
    missing: NDArray[np.int64]
    moved: Floats | None = None

    @property
    def trades(self) -> Floats:
        """(rows, assets) what was traded, as weights."""
        if self.moved is not None:
            return self.moved
        return np.diff(self.held, axis=0, prepend=np.zeros((1, self.held.shape[1])))


def keep_book(
    wanted: Floats,
    returns: Floats,
    *,
    due: Due | None = None,
    drift: bool = False,
    adjust: Adjust | None = None,
) -> Book:
    """Hold `wanted` weights (rows, assets; NaN counts as 0) over close-to-close `returns` of the same shape.

    due: the rows on which it is traded (rows,), None for all. adjust: what constraints leave of a wanted book.
    """
    from sigc.ops.loops import books

    rows = len(wanted)
    if not drift and adjust is None:
        return _as_wanted(wanted if due is None or due.all() else wanted[_last_due(due)], returns)
    clean = np.where(np.isnan(wanted), 0.0, wanted)
    earned = np.where(np.isnan(returns), 0.0, returns)
    held, trades = _sequential(clean, earned, np.ones(rows, bool) if due is None else due, drift, adjust)
    into = np.vstack([np.zeros((1, wanted.shape[1])), held[:-1]])
    missing = ((into != 0.0) & np.isnan(returns)).sum(axis=1)
    gross, turnover = (into * earned).sum(axis=1), np.abs(trades).sum(axis=1)
    return Book(held, gross, turnover, books.exposures(frozen(held)), missing, trades)


def _last_due(due: Due) -> NDArray[np.intp]:
    """The last row that was due, for each row. The first is due."""
    return np.maximum.accumulate(np.where(due, np.arange(len(due)), 0))


def _as_wanted(held: Floats, returns: Floats) -> Book:
    """The book that holds just what is wanted."""
    from sigc.ops.loops import books

    figures = np.empty((books.FIGURES, len(held)))
    books.followed(held, returns, np.zeros(held.shape[1]), figures)
    if figures[books.MISSING].any():
        held = np.where(np.isnan(held), 0.0, held)
    return book_of(held, figures)


def book_of(held: Floats, figures: Floats) -> Book:
    """The book of such figures by row (`sigc.ops.loops.books`)."""
    from sigc.ops.loops import books

    exposures = (figures[books.GROSS], figures[books.NET])
    missing = figures[books.UNPRICED].astype(np.int64)
    return Book(held, figures[books.EARNED], figures[books.TURNOVER], exposures, missing)


def _sequential(wanted: Floats, earned: Floats, due: Due, drift: bool, adjust: Adjust | None) -> tuple[Floats, Floats]:
    held = np.zeros_like(wanted)
    trades = np.zeros_like(wanted)
    now = np.zeros(wanted.shape[1])
    for row in range(len(wanted)):
        if drift:
            now = drifted(now, earned[row])
        if due[row]:
            target = wanted[row] if adjust is None else adjust(row, wanted[row], now)
            trades[row] = target - now
            now = target
        held[row] = now
    return held, trades


def drifted(weights: Floats, returns: Floats) -> Floats:
    """Weights after a row of returns without trading: w (1 + r) / (1 + w.r); a book worth nothing is flat."""
    growth = 1.0 + float((weights * returns).sum())
    moved: Floats = weights * (1.0 + returns)
    return moved / growth if growth > 0.0 else np.zeros_like(weights)
