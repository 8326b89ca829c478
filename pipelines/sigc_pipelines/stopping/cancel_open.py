"""Cancel all open orders of a strategy, or of all, that is halted: ask the broker, and wait until it says so."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from sigc.store.ledger import orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import WORKING, Intent, IntentState
from sigc_pipelines.brokers.protocol import RejectedError, UnreachableError
from sigc_pipelines.live.apply_fills import cancel, settle
from sigc_pipelines.live.trading import Trading

_ROUNDS = 60  # looks at the broker, `lookup_backoff_s` apart: 30 s by default


@dataclass(frozen=True, slots=True)
class CancelledOrders:
    """The orders that were open, as they stand now, each with what was filled meanwhile.

    cancelled: taken back by the broker, or ended unfilled. left: open still, or without a known outcome.
    """

    cancelled: tuple[tuple[Intent, Decimal], ...]
    filled: tuple[tuple[Intent, Decimal], ...]
    left: tuple[tuple[Intent, Decimal], ...]


def open_orders(ledger: Ledger, strategy: str, portfolio: str = "") -> tuple[Intent, ...]:
    """Return the orders that the broker may have: of a strategy, or '' for all; of a portfolio, or '' for each."""
    with ledger.reading() as connection:
        flying = orders.in_flight(connection)
    return tuple(
        i
        for i in flying
        if strategy in ("", i.key.strategy)
        and portfolio in ("", i.key.portfolio)
        and i.state is not IntentState.PLANNED
    )


def ask_to_cancel(trading: Trading, open_: Collection[Intent], who: str, reason: str) -> None:
    """Ask the broker to cancel these orders, and mark their runs as cancelled. What can't be reached stays open."""
    for id in dict.fromkeys(intent.run for intent in open_):
        with trading.ledger.reading() as connection:
            run = runs.find(connection, id)
        cancel(trading.ledger, trading.broker, run, who, reason)


def cancel_open(
    trading: Trading,
    before: Collection[Intent],
    strategy: str,
    who: str,
    reason: str,
    rounds: int = _ROUNDS,
    portfolio: str = "",
) -> CancelledOrders:
    """Cancel all open orders and wait for the broker's word. before: the orders that were open when it began.

    An order without a known outcome is cancelled once it is found in the book; who looks it up is the run under way, or
    recovery.
    """
    found = open_orders(trading.ledger, strategy, portfolio)
    ask_to_cancel(trading, found, who, reason)
    known = {i.client_order_id: i for i in (*found, *before)}
    for _ in range(rounds):
        left = open_orders(trading.ledger, strategy, portfolio)
        if not left:
            break
        for intent in left:
            known.setdefault(intent.client_order_id, intent)
            if intent.state in WORKING:
                with suppress(UnreachableError, RejectedError):
                    trading.broker.cancel(intent.client_order_id)  # no effect on one that is not open any more
        with suppress(UnreachableError):
            settle(trading.ledger, trading.broker)
        if open_orders(trading.ledger, strategy, portfolio):
            trading.clock.sleep(trading.config.execution.lookup_backoff_s)
    with trading.ledger.reading() as connection:
        now = [orders.get(connection, id) for id in known]
    ends = [(i, i.filled - known[i.client_order_id].filled) for i in now if i is not None]
    still = {i.client_order_id for i in open_orders(trading.ledger, strategy, portfolio)}
    return CancelledOrders(
        tuple(e for e in ends if e[0].client_order_id not in still and e[0].state is not IntentState.FILLED),
        tuple(e for e in ends if e[0].client_order_id not in still and e[0].state is IntentState.FILLED),
        tuple(e for e in ends if e[0].client_order_id in still),
    )
