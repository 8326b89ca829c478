"""An intent as the request that a broker is sent, and the broker's answer as the ledger keeps it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sigc.store.ledger import orders
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import Intent, IntentState
from sigc_pipelines.brokers.protocol import Broker, BrokerOrder, OrderRequest, OrderStatus
from sigc_pipelines.live.apply_fills import LISTED_BEFORE


def request_of(intent: Intent) -> OrderRequest:
    """Return an intent as an order request."""
    return OrderRequest(
        client_order_id=intent.client_order_id,
        asset=intent.asset,
        side=intent.side,
        quantity=intent.quantity,
        order_type=intent.order_type,
        limit=intent.limit,
        time_in_force=intent.time_in_force,
    )


def look_up(broker: Broker, intent: Intent, since: datetime) -> BrokerOrder | None:
    """Look an order up by two different reads: by its id, and in the list of all. None when neither has it.

    since: the earliest instant at which it may have been sent. Raises UnreachableError.
    """
    id = intent.client_order_id
    found = broker.order(id)
    if found is not None:
        return found
    # Each read may lag on its own and miss a fresh order: only an absence from both counts.
    listed = broker.orders((intent.sent_at or since) - LISTED_BEFORE)
    return next((o for o in listed if o.request.client_order_id == id), None)


def record_answer(tx: Transaction, intent: Intent, answer: BrokerOrder) -> None:
    """Record the broker's state of a sent order. Fills are applied elsewhere (`apply_fills`)."""
    # The limit is not part of an order's id (`client_order_id`), so it is not compared.
    if replace(answer.request, limit=None) != replace(request_of(intent), limit=None):
        why = f"the broker holds another order under this id: {answer.request.side} {answer.request.quantity}"
        tx.audit(orders.event("order.mismatch", intent, {"message": why}))
    if answer.status is OrderStatus.REJECTED:
        orders.moved(tx, intent, IntentState.REJECTED, answer.message)
    else:
        orders.acknowledged(tx, intent, answer.broker_order_id)
