"""Changes of books by a person, in the ledger and at a simulated broker."""

from __future__ import annotations

from datetime import date

from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import book_moves, books
from sigc.store.ledger.adjustments import Adjustment
from sigc.store.ledger.book_moves import BookMove, BookMover, CashMoved, SharesMoved, WriteOff
from sigc.store.ledger.records import ZERO
from sigc_pipelines.brokers.protocol import RejectedError, UnreachableError, simulation
from sigc_pipelines.live.account_capital import refuse_beyond_equity
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.roll_forward import fund
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
        _refuse_at_broker(trading, what)
        with trading.ledger.transaction("adopt") as tx:
            entries = book_moves.move(tx, by, what)
    except UnreachableError as silent:
        raise SigcError(Diagnostic("E601", str(silent), hint="nothing was changed")) from silent
    if isinstance(what, SharesMoved):
        return entries
    try:
        fund(trading)
    except (UnreachableError, RejectedError) as late:
        hint = "the books are changed, and the paper broker is told at the next run"
        raise SigcError(Diagnostic("E601", str(late), hint=hint)) from late
    return entries


def _refuse_at_broker(trading: Trading, what: BookMove) -> None:
    """Raise E804 for what the broker can't follow: it would differ from the ledger then."""
    broker = trading.broker
    is_simulated = simulation(broker) is not None
    match what:
        case CashMoved(amount=amount) if is_simulated and amount < 0:
            cash = broker.account().cash
            if cash < -amount:
                raise SigcError(Diagnostic("E804", f"the paper broker has {cash} of cash, less than {-amount}"))
        case CashMoved(book=book, amount=amount) if amount > 0:
            refuse_beyond_equity(trading, book, amount)
        case WriteOff(book=book, asset=asset) if not is_simulated:
            with trading.ledger.reading() as connection:
                own = books.quantities(connection, book).get(asset, ZERO)
                left = books.quantity_of_all(connection, asset) - own
            held = broker.positions().get(asset, ZERO)
            if own and held != left:
                message = f"the broker holds {held} of {asset}, and without this position the ledger would hold {left}"
                raise SigcError(Diagnostic("E804", message, hint="have the broker take it out of the account first"))
