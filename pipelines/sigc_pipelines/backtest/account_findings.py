"""Findings about a book: assets held without a price or ended, rows without weights or absurd ones, ruin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sigc.errors import Diagnostic, Severity
from sigc.panel import Dates
from sigc_pipelines.backtest.accounts import AssetEvent, BacktestAccounts, Flags

_NAMED = 5
_LARGEST_GROSS = 1e6


def findings_of(book: BacktestAccounts, names: Sequence[str], dates: Dates) -> tuple[Diagnostic, ...]:
    """Return warnings with assets and dates, bounded in number and length."""
    is_odd = _beyond(book).any() or book.events or book.undecided or book.ruined >= 0 or book.missing.any()
    days = [str(d) for d in dates.astype("datetime64[D]")] if is_odd else []
    return tuple(Diagnostic("W002", text, severity=Severity.WARNING) for text in _told(book, names, days))


def _told(book: BacktestAccounts, names: Sequence[str], days: Sequence[str]) -> Iterator[str]:
    beyond = _beyond(book)
    if beyond.any():
        row = int(beyond.argmax())
        yield (
            f"weights are beyond any book on {int(beyond.sum())} rows, first {days[row]}, with a gross of "
            f"{book.exposures[0][row]:.3g}: figures mean nothing from there on"
        )
    stuck = int((book.missing > 0).sum())
    if stuck:
        first = days[int((book.missing > 0).argmax())]
        yield (
            f"assets were held without a price on {stuck} rows, first {first}: they stayed as they were, and earned "
            "where their price was back"
        )
    closed = [e for e in book.events if e.is_declared]
    if closed:
        shown = _listed(closed, lambda e: f"{names[e.column]} {days[e.row]} ({e.share:.2%} of the book)")
        yield f"held assets ended, and left at the value of their corporate action: {shown}"
    ended = [e for e in book.events if e.is_end and not e.is_declared]
    if ended:
        shown = _listed(ended, lambda e: f"{names[e.column]} {days[e.row]} ({e.share:.2%} of the book)")
        yield f"held assets had no price for too long and left at their last one: {shown}"
    back = [e for e in book.events if not e.is_end]
    if back:
        shown = _listed(back, lambda e: f"{names[e.column]} {days[e.row]} ({e.share:+.2%} of the book)")
        yield f"assets that had left have a price again, and the difference was booked: {shown}"
    if book.undecided:
        yield f"no weight was defined on {book.undecided} rows: the book was kept as it was"
    if book.ruined >= 0:
        yield f"the book was ruined on {days[book.ruined]}: nothing was left of it, and it stopped there"


def _beyond(book: BacktestAccounts) -> Flags:
    """Return the rows whose gross is infinite or absurdly large."""
    with np.errstate(invalid="ignore"):
        found: Flags = ~(book.exposures[0] <= _LARGEST_GROSS)
    return found


def _listed(events: Sequence[AssetEvent], text: Callable[[AssetEvent], str]) -> str:
    more = f" and {len(events) - _NAMED} more" if len(events) > _NAMED else ""
    return ", ".join(text(e) for e in events[:_NAMED]) + more
