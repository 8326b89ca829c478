"""Evidence for the causes of differences: what broker, ledger and listed actions tell of the days before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from sigc.store.ledger import action_rows, adjustments, books, orders
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO
from sigc_pipelines.brokers.protocol import Broker
from sigc_pipelines.live.sizing import PREFIX
from sigc_pipelines.reconcile.causes import Evidence, ForeignTrade, OrderGap
from sigc_pipelines.reconcile.differences import BrokerDifference

_LOOK_BACK = timedelta(days=7)  # for orders whose fills differ, and for actions
_LOOK_AHEAD = timedelta(days=4)  # for actions that a broker has applied before their session


def gathered(ledger: Ledger, broker: Broker, found: Iterable[BrokerDifference]) -> Evidence:
    """Return the evidence for these differences. Raises UnreachableError."""
    names = {one.asset for one in found}
    now = ledger.clock.now()
    listed = {o.request.client_order_id: o for o in broker.orders(now - _LOOK_BACK)}
    gaps = []
    with ledger.reading() as connection:
        for id, order in listed.items():
            intent = orders.get(connection, id) if order.request.asset in names else None
            if intent is not None and intent.filled != order.filled:
                quantity = intent.side.sign * (order.filled - intent.filled)
                gap = OrderGap(id, intent.asset, quantity, intent.reference)
                if not _is_adopted(connection, gap):
                    gaps.append(gap)
        around = str((now - _LOOK_BACK).date()), str((now + _LOOK_AHEAD).date())
        actions = [due.action for due in action_rows.between(connection, *around)]
        held: dict[str, Decimal] = {}
        for one in books.positions(connection):
            held[one.asset] = held.get(one.asset, ZERO) + one.quantity
        trades = _foreign_trades(connection, names)
    return Evidence(tuple(gaps), trades, tuple(actions), held, broker.account().equity)


def _is_adopted(connection: sqlite3.Connection, gap: OrderGap) -> bool:
    """Return True if an adjusting entry stands for these fills already."""
    entries = adjustments.of_order(connection, gap.client_order_id)
    return sum((entry.change for entry in entries), ZERO) == gap.quantity


def _foreign_trades(connection: sqlite3.Connection, assets: Iterable[str]) -> tuple[ForeignTrade, ...]:
    """Return the trades of orders that the ledger did not send, less what of them was adopted."""
    wanted, by_order = set(assets), dict[tuple[str, str], tuple[Decimal, Decimal]]()
    for fill in books.foreign_fills(connection):
        if fill.asset in wanted:
            key = (fill.client_order_id, fill.asset)
            quantity, cash = by_order.get(key, (ZERO, ZERO))
            by_order[key] = (quantity + fill.side.sign * fill.quantity, cash + fill.cash)
    found = []
    for (id, asset), (quantity, cash) in by_order.items():
        own = [entry for entry in adjustments.of_order(connection, id) if entry.asset == asset]
        left = quantity - sum((entry.change for entry in own), ZERO)
        if left:
            rest = cash - sum((entry.cash for entry in own), ZERO)
            found.append(ForeignTrade(id, asset, left, rest, id.startswith(PREFIX)))
    return tuple(found)
