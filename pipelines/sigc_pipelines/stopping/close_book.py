"""Close one book: cancel its open orders, and close its positions by orders that only reduce. Nothing is halted.

A book that its strategy would fill again is refused. One whose strategy is halted, or not configured any more, is not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sigc.errors import Diagnostic, SigcError
from sigc.rpc.messages.kill import KillReply
from sigc.store.ledger import books, breakers, runs
from sigc.store.ledger.book_names import name_of
from sigc.store.ledger.records import BookKey
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.stopping.cancel_open import cancel_open, open_orders
from sigc_pipelines.stopping.kill_switch import closed, told


def close_book(trading: Trading, key: BookKey, owners: Collection[str], who: str, reason: str) -> KillReply:
    """Close a book. owners: the strategies of the configuration.

    Raise SigcError: E312 without such a book; E804 if its strategy would trade it again, or a run of it is under way;
    E601 if the broker does not answer. It may be called again: it begins with what ledger and broker say.
    """
    quick = trading.config.execution.model_copy(update={"fill_wait_s": 0.0})  # fills are not waited for
    trading = replace(trading, config=trading.config.model_copy(update={"execution": quick}))
    with trading.ledger.reading() as connection:
        if books.book(connection, key) is None:
            hint = "`sigc book list` shows those there are"
            raise SigcError(Diagnostic("E312", f"there is no book {name_of(key)}", hint=hint))
        if key.strategy in owners and breakers.halt_of(connection, key.strategy) is None:
            message = f"'{key.strategy}' trades {name_of(key)}, and would open its positions again"
            hint = f"`sigc kill --flatten {key.strategy}` halts it first"
            raise SigcError(Diagnostic("E804", message, hint=hint))
        going = [run.id for run in runs.left_open(connection) if BookKey(run.key.strategy, run.key.portfolio) == key]
    if going:
        raise SigcError(Diagnostic("E804", f"the run {going[0]} is under way", hint="wait for its end, or cancel it"))
    before = open_orders(trading.ledger, key.strategy, key.portfolio)
    done = cancel_open(trading, before, key.strategy, who, reason, portfolio=key.portfolio)
    reply = KillReply(told(done.cancelled), told(done.filled), told(done.left))
    return closed(trading, (key,), who, reason, reply)
