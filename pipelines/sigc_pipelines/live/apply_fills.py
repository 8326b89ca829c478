"""Apply the broker's report to the ledger: fills and charges by their ids, and orders that ended.

A stream of fills would be a hint; this sweep of the broker's book is the truth. It is idempotent: it may be called at
any time by any holder of the ledger, and skips what is known.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from sigc.failpoint import failpoint
from sigc.store.ledger import books, control, orders, runs
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import UNRESOLVED, WORKING, Fill, Intent, IntentState, Run
from sigc_pipelines.brokers.protocol import Broker, BrokerOrder, OrderStatus, RejectedError, UnreachableError

LISTED_BEFORE = timedelta(
    hours=1
)  # how far the broker's clock may be behind ours, in requests for orders since an instant
_MAY_STILL_ARRIVE = timedelta(days=5)  # an order given up as absent is looked for in the broker's list this long
_ENDED = {
    OrderStatus.CANCELLED: IntentState.CANCELLED,
    OrderStatus.EXPIRED: IntentState.EXPIRED,
    OrderStatus.REJECTED: IntentState.REJECTED,
}


def settle(ledger: Ledger, broker: Broker) -> tuple[Fill, ...]:
    """Apply new fills, charges and ended orders to the ledger. Return the new fills.

    An order that ended with more filled than the ledger knows waits for the next sweep. An order that was given up as
    absent and is in the broker's book after all is in flight again. Raises UnreachableError.
    """
    # Fills before statuses: an order that reads as ended has all its fills in this sweep or in the next one.
    new = _take_in(ledger, broker)
    _take_ends(ledger, broker)
    return new


def _take_in(ledger: Ledger, broker: Broker) -> tuple[Fill, ...]:
    with ledger.reading() as connection:
        cursor = books.cursor(connection)
    failpoint("sweep:before")
    found = broker.activities(cursor)
    failpoint("sweep:after")
    if not found.fills and not found.charges and found.cursor == cursor:
        return ()
    with ledger.transaction("fills") as tx:  # the cursor moves in the transaction that books: a crash reads them again
        return books.take_in(tx, found.fills, found.charges, found.cursor)


def _take_ends(ledger: Ledger, broker: Broker) -> None:
    with ledger.reading() as connection:
        working = {i.client_order_id: i for i in orders.in_flight(connection) if i.state in WORKING}
        absent = {i.client_order_id: i for i in orders.given_up(connection, ledger.clock.now() - _MAY_STILL_ARRIVE)}
    known = [i.sent_at for i in (*working.values(), *absent.values()) if i.sent_at is not None]
    if not known:
        return
    listed = {o.request.client_order_id: o for o in broker.orders(min(known) - LISTED_BEFORE)}
    ended = [(i, listed[id]) for id, i in working.items() if id in listed and _has_ended(i, listed[id])]
    here = [(i, listed[id]) for id, i in absent.items() if id in listed and listed[id].status.is_open]
    if ended or here:
        with ledger.transaction("expire") as tx:
            for intent, order in ended:
                if orders.state_of(tx.connection, intent.client_order_id) not in WORKING:
                    continue  # a sweep in another thread was faster
                orders.moved(tx, intent, _ENDED[order.status], order.message or _why(tx, intent, order.status))
            for intent, order in here:
                if orders.state_of(tx.connection, intent.client_order_id) is not intent.state:
                    continue
                orders.arrived(tx, intent, order.broker_order_id)


def _why(tx: Transaction, intent: Intent, status: OrderStatus) -> str:
    """Return the reason of an order's end where the broker gives none."""
    asked = control.get(tx.connection, control.CANCELLED, intent.run)
    if status is OrderStatus.CANCELLED and asked is not None:
        return f"cancelled {asked.by}"
    return f"the broker reports it as {status} without a reason"


def _has_ended(intent: Intent, order: BrokerOrder) -> bool:
    # FILLED is not in _ENDED: the fills themselves end such an order.
    return order.status in _ENDED and order.filled == intent.filled


def cancel(ledger: Ledger, broker: Broker, run: Run, who: str, reason: str) -> tuple[Intent, ...]:
    """End the orders of a run: send no more of them, and cancel the open ones at the broker.

    Return the orders that could not be reached or have no known outcome: they are not sent again, and one that is found
    in the book later is cancelled by calling this again. The cancel survives a crash.
    """
    # The mark is durable before any request: a process that dies here sends nothing more after its restart.
    with ledger.transaction("cancel") as tx:
        control.put(tx, control.CANCELLED, run.id, "by hand", who, reason)
        tx.audit(runs.event("run.cancel", run, {"by": who, "reason": reason}))
        asked = control.get(tx.connection, control.CANCELLED, run.id)
        by = asked.by if asked is not None else ""
        for intent in orders.of_run(tx.connection, run.id):
            if intent.state is IntentState.PLANNED:
                orders.moved(tx, intent, IntentState.CANCELLED, f"cancelled before it was sent, {by}")
    with ledger.reading() as connection:
        found = orders.of_run(connection, run.id)
    left = [i for i in found if i.state in UNRESOLVED]
    for intent in found:
        if intent.state in WORKING:
            failpoint("cancel-call:before")
            try:
                broker.cancel(intent.client_order_id)
            except (UnreachableError, RejectedError):
                left.append(intent)
            failpoint("cancel-call:after")
    with suppress(UnreachableError):  # a later sweep sees the cancelled orders
        settle(ledger, broker)
    return tuple(left)
