"""What the broker reports, taken into the ledger: fills and charges by their ids, and orders that came to an end.

A stream of fills would be a hint; this sweep of the broker's books is the truth. It may be called at any time, by
anyone who holds the ledger, and twice in a row: what is known already is passed over.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from sigc.failpoint import failpoint
from sigc.store import books, orders
from sigc.store.ledger import Ledger
from sigc.store.records import UNRESOLVED, WORKING, Fill, Intent, IntentState
from sigc_pipelines.brokers.protocol import Broker, BrokerOrder, OrderStatus, UnreachableError

_LISTED_BEFORE = timedelta(hours=1)
_ENDED = {
    OrderStatus.CANCELLED: IntentState.CANCELLED,
    OrderStatus.EXPIRED: IntentState.EXPIRED,
    OrderStatus.REJECTED: IntentState.REJECTED,
}


def settle(ledger: Ledger, broker: Broker) -> tuple[Fill, ...]:
    """Take in what is new; the fills that were. Raises UnreachableError when the broker does not answer.

    Statuses are read after fills: an order that ended with more filled than we know of waits for the next sweep.
    """
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
    with ledger.transaction("fills") as tx:
        return books.take_in(tx, found.fills, found.charges, found.cursor)


def _take_ends(ledger: Ledger, broker: Broker) -> None:
    with ledger.reading() as connection:
        working = {i.client_order_id: i for i in orders.in_flight(connection) if i.state in WORKING}
    if not working:
        return
    since = min(i.sent_at for i in working.values() if i.sent_at is not None) - _LISTED_BEFORE
    listed = [o for o in broker.orders(since) if o.request.client_order_id in working]
    ended = [
        (working[o.request.client_order_id], o) for o in listed if _has_ended(working[o.request.client_order_id], o)
    ]
    if ended:
        with ledger.transaction("expire") as tx:
            for intent, order in ended:
                orders.moved(tx, intent, _ENDED[order.status], order.message)


def _has_ended(intent: Intent, order: BrokerOrder) -> bool:
    return order.status in _ENDED and order.filled == intent.filled


def cancel(ledger: Ledger, broker: Broker, run: str) -> tuple[Intent, ...]:
    """Take the open orders of a run from the book; those that could not be reached, or whose outcome is not known.

    What was never sent is cancelled here; what is at the broker ends when the broker says so, in a later `settle`.
    """
    with ledger.reading() as connection:
        found = orders.of_run(connection, run)
    planned = [i for i in found if i.state is IntentState.PLANNED]
    if planned:
        with ledger.transaction("cancel") as tx:
            for intent in planned:
                orders.moved(tx, intent, IntentState.CANCELLED, "cancelled before it was sent")
    left = [i for i in found if i.state in UNRESOLVED]
    for intent in found:
        if intent.state in WORKING:
            failpoint("cancel-call:before")
            try:
                broker.cancel(intent.client_order_id)
            except UnreachableError:
                left.append(intent)
            failpoint("cancel-call:after")
    with suppress(UnreachableError):  # what was cancelled is seen by a later sweep
        settle(ledger, broker)
    return tuple(left)
