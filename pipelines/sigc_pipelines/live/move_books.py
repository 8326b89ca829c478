"""Changes of books by a person, in the ledger and at a simulated broker."""

from __future__ import annotations

from datetime import date

from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import book_moves
from sigc.store.ledger.adjustments import Adjustment
from sigc.store.ledger.book_moves import BookMove, BookMover
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.session import moment
from sigc_pipelines.live.trading import Trading


def move_books(trading: Trading, what: BookMove, who: str, reason: str) -> tuple[Adjustment, ...]:
    """Carry out a change, after what the broker tells. Return its entries. Raise SigcError E312, E804, E601 with
    nothing changed.
    """
    calendar = trading.calendar

    def session_after(day: str) -> str:
        return str(calendar.after(date.fromisoformat(day)).day)

    as_of = moment(calendar, trading.clock.now(), trading.config.execution.cut_off).as_of
    by = BookMover(who, reason, str(as_of.day), as_of.close, session_after)
    try:
        settle(trading.ledger, trading.broker)
    except UnreachableError as silent:
        raise SigcError(Diagnostic("E601", str(silent), hint="nothing was changed")) from silent
    with trading.ledger.transaction("adopt") as tx:
        return book_moves.move(tx, by, what)
