"""The kill switch: cancel the open orders of halted strategies, and close their positions if that is asked for.

    in a daemon     runs under way end by the halt, and look their own orders up; `cancel_open` waits for both
    alone           what is open at the broker is cancelled first; then `recover` resolves the rest, which is cancelled

It may be called again at any time, also after a crash in the middle: it begins with what the ledger and the broker say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from sigc.errors import Diagnostic, SigcError
from sigc.rpc.messages.kill import ClosingSession, KeptPosition, KilledOrder, KillReply
from sigc.store.ledger import books, halting
from sigc.store.ledger.records import ZERO, BookKey, Intent
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.recover import recover
from sigc_pipelines.live.session import Moment, moment
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.stopping.cancel_open import ask_to_cancel, cancel_open, open_orders
from sigc_pipelines.stopping.closing_out import ClosedBook, close_out


def kill(
    trading: Trading, strategy: str, who: str, reason: str, *, is_flatten: bool = False, is_alone: bool = False
) -> KillReply:
    """Halt a strategy, or '' for all, cancel its open orders, and with is_flatten close its positions.

    is_alone: no run is under way in this process, and what an earlier one left is resolved here. Raises SigcError.
    """
    quick = trading.config.execution.model_copy(update={"fill_wait_s": 0.0})  # fills are not waited for
    trading = replace(trading, config=trading.config.model_copy(update={"execution": quick}))
    with trading.ledger.transaction("control") as tx:
        halting.halt_by_hand(tx, strategy, who, reason)
    before = open_orders(trading.ledger, strategy)
    if is_alone:
        ask_to_cancel(trading, before, who, reason)
        recover(trading, strategy=strategy)
    cancelled = cancel_open(trading, before, strategy, who, reason)
    reply = KillReply(told(cancelled.cancelled), told(cancelled.filled), told(cancelled.left))
    if not is_flatten:
        return reply
    with trading.ledger.reading() as connection:
        keys = [b.key for b in books.books(connection) if strategy in ("", b.key.strategy)]
    return closed(trading, keys, who, reason, reply)


def closed(trading: Trading, keys: Iterable[BookKey], who: str, reason: str, reply: KillReply) -> KillReply:
    """Close the positions of books of which no order is open. Return the reply with it. Raise SigcError E601."""
    at, theirs = moment(trading.calendar, trading.clock.now(), trading.config.execution.cut_off), _held(trading)
    done = []
    for key in keys:
        done.append(close_out(trading, key, at, theirs, who, reason))
        for intent in done[-1].orders:  # what one book sells, another book can't sell again
            theirs[intent.asset] = theirs.get(intent.asset, ZERO) + intent.side.sign * intent.quantity
    orders = told((intent, intent.filled) for book in done for intent in book.orders)
    kept = tuple(one for book in done for one in _kept(book))
    return replace(reply, closing=orders, kept=kept, session=_session(trading, at))


def _held(trading: Trading) -> dict[str, Decimal]:
    """Return what the broker holds. Raises SigcError E601 if it does not answer."""
    try:
        return dict(trading.broker.positions())
    except UnreachableError as silent:
        hint = "the orders were cancelled as far as it answered; run it again"
        raise SigcError(Diagnostic("E601", f"positions were not closed: {silent}", hint=hint)) from silent


def _session(trading: Trading, at: Moment) -> ClosingSession:
    is_open = at.session.open <= trading.clock.now() < at.cut_off
    return ClosingSession(str(at.session.day), at.session.open, at.cut_off, is_open)


def _kept(book: ClosedBook) -> Iterable[KeptPosition]:
    for one in book.kept:
        yield KeptPosition(book.key.strategy, book.key.portfolio, one.asset, f"{one.quantity:f}", one.why)


def told(found: Iterable[tuple[Intent, Decimal]]) -> tuple[KilledOrder, ...]:
    """Return orders as messages, each with what was filled meanwhile."""
    return tuple(
        KilledOrder(
            id=i.client_order_id,
            run=i.run,
            strategy=i.key.strategy,
            asset=i.asset,
            side=str(i.side),
            quantity=f"{i.quantity:f}",
            filled=f"{i.filled:f}",
            new_fill=f"{new:f}",
            state=str(i.state),
            message=i.message,
        )
        for i, new in found
    )
