"""Closing of positions by breakers: what a tripped `flatten` asks for, once for each book and session.

A breaker trips in a transaction; its positions are closed right after, by whoever valued the book. A process that dies
in between leaves the breaker tripped: the next look at the book, at the latest after the next start, closes them. What
`max_adv_pct` keeps is closed in the next session, as long as the breaker is tripped.
"""

from __future__ import annotations

from dataclasses import replace

from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import books, breakers, runs
from sigc.store.ledger.breakers import TrippedBreaker
from sigc.store.ledger.records import ZERO, BookKey, RunKey, RunKind
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.session import Moment, moment
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.stopping.cancel_open import cancel_open, open_orders
from sigc_pipelines.stopping.closing_out import SLOT, ClosedBook, close_out


def close_by_breakers(trading: Trading) -> tuple[ClosedBook, ...]:
    """Close what tripped breakers with the action flatten want closed. Return what was done; nothing if all is.

    Raises SigcError E601 while the broker does not answer; it is then to be called again.
    """
    with trading.ledger.reading() as connection:
        wanted = [one for one in breakers.tripped(connection) if one.action == "flatten"]
        known = {book.key: books.quantities(connection, book.key) for book in books.books(connection)} if wanted else {}
    at = moment(trading.calendar, trading.clock.now(), trading.config.execution.cut_off)
    due = {
        key: one
        for one in wanted
        for key, held in known.items()
        if held
        and one.strategy in ("", key.strategy)
        and one.book in (None, key)
        and not _is_done(trading, key, at, one)
    }
    if not due:
        return ()
    quick = trading.config.execution.model_copy(update={"fill_wait_s": 0.0})  # fills are not waited for
    trading = replace(trading, config=trading.config.model_copy(update={"execution": quick}))
    for key, one in due.items():
        who, reason = one.halt.who, one.text
        cancel_open(trading, open_orders(trading.ledger, key.strategy), key.strategy, who, reason)
    try:
        theirs = dict(trading.broker.positions())
    except UnreachableError as silent:
        message = f"positions that a breaker closes are open still: {silent}"
        raise SigcError(Diagnostic("E601", message, hint="it is tried again; or sigc kill --flatten")) from silent
    closed = []
    for key, one in due.items():
        closed.append(close_out(trading, key, at, theirs, one.halt.who, one.text))
        for intent in closed[-1].orders:  # what one book sells, another book can't sell again
            theirs[intent.asset] = theirs.get(intent.asset, ZERO) + intent.side.sign * intent.quantity
    return tuple(closed)


def _is_done(trading: Trading, key: BookKey, at: Moment, one: TrippedBreaker) -> bool:
    """Return True if a closing run of the coming session has begun since the breaker tripped."""
    slot = RunKey(key.strategy, key.portfolio, str(at.session.day), RunKind.TRADE, SLOT)
    with trading.ledger.reading() as connection:
        of_session = runs.of_session(connection, key.strategy, slot.session)
    return any(run.key == slot and run.started >= one.at for run in of_session)
