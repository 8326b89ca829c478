"""Comparison of ledger and broker: a run trades only when both agree.

Positions are compared as the sum over all books, in the units of the newest session whose corporate actions both
sides have applied (`due_actions.py`). Cash, without receivables, is compared where the account is ours alone: at a
simulation. Orders differ when a working order is missing at the broker, or an open order of ours is unknown to the
ledger: an old copy of either side was restored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sigc.clock import Clock
from sigc.errors import Severity
from sigc.store.ledger import action_rows, books, orders, runs
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import WORKING, ZERO, Finding, Intent, RunKey
from sigc_pipelines.brokers.protocol import Broker, UnreachableError, simulation
from sigc_pipelines.live.apply_fills import LISTED_BEFORE, settle
from sigc_pipelines.live.sizing import PREFIX
from sigc_pipelines.prices.units import restated_positions

CASH = "(cash)"
_SHOWN = 5
_LAG_S = 2.0  # by which a broker's reads may be behind each other, with no order in flight
_LONGEST_BREAK = timedelta(days=7)  # between two sessions


@dataclass(frozen=True, slots=True, order=True)
class BrokerDifference:
    """An asset (or `CASH`, or an order by its id) with different amounts in ledger and broker.

    The amount of an order is its open quantity.
    """

    asset: str
    ledger: Decimal
    broker: Decimal

    @property
    def excess(self) -> Decimal:
        """Return what the broker has beyond the ledger, negative for less."""
        return self.broker - self.ledger

    @property
    def is_order(self) -> bool:
        """Return True for the open quantity of an order of sigc."""
        return self.asset.startswith(PREFIX)

    def __str__(self) -> str:
        return f"{self.asset}: ledger {self.ledger}, broker {self.broker}"


def differences(ledger: Ledger, broker: Broker) -> tuple[BrokerDifference, ...]:
    """Return every difference, by asset. Raises UnreachableError."""
    theirs = broker.positions()
    account = broker.account() if simulation(broker) is not None else None
    with ledger.reading() as connection:
        ours: dict[str, Decimal] = {}
        for position in books.positions(connection):
            ours[position.asset] = ours.get(position.asset, ZERO) + position.quantity
        cash = sum((b.cash for b in books.books(connection)), ZERO)
        coming = () if account is not None else _coming(connection, ledger.clock.now())
    last = max((due.session for due in coming), default="")
    after = restated_positions(ours, [due.action for due in coming], last, step=broker.capabilities().quantity_step)
    found = [
        BrokerDifference(asset, ours.get(asset, ZERO), theirs.get(asset, ZERO))
        for asset in sorted({*ours, *theirs})
        if theirs.get(asset, ZERO) not in (ours.get(asset, ZERO), after.get(asset, ZERO))
    ]
    if account is not None and account.cash != cash:
        found.append(BrokerDifference(CASH, cash, account.cash))
    found += [BrokerDifference(i.client_order_id, i.remaining, ZERO) for i in _missing(ledger, broker)]
    return (*found, *_unknown(ledger, broker))


def _coming(connection: sqlite3.Connection, now: datetime) -> tuple[DueAction, ...]:
    """Return the listed actions that a broker that trades may have applied, and the ledger has not: the close before
    them has passed, their own session has not been booked.
    """
    through, _ = action_rows.progress(connection)
    last = str((now + _LONGEST_BREAK).date())
    return tuple(due for due in action_rows.between(connection, through, last) if due.before <= now)


def _missing(ledger: Ledger, broker: Broker) -> tuple[Intent, ...]:
    """Return the orders that work in the ledger and are missing from the broker's book."""
    with ledger.reading() as connection:
        working = [i for i in orders.in_flight(connection) if i.state in WORKING]
    since = min((i.sent_at for i in working if i.sent_at is not None), default=None)
    if since is None:
        return ()
    listed = {o.request.client_order_id for o in broker.orders(since - LISTED_BEFORE)}
    return tuple(i for i in working if i.client_order_id not in listed)


def _unknown(ledger: Ledger, broker: Broker) -> tuple[BrokerDifference, ...]:
    """Return the orders that are open at the broker under an id of ours and are missing from the ledger."""
    open = [o for o in broker.orders(ledger.clock.now()) if o.status.is_open]
    ours = [o for o in open if o.request.client_order_id.startswith(PREFIX)]
    with ledger.reading() as connection:
        return tuple(
            BrokerDifference(o.request.client_order_id, ZERO, o.request.quantity - o.filled)
            for o in ours
            if orders.get(connection, o.request.client_order_id) is None
        )


def settled_differences(
    ledger: Ledger, broker: Broker, clock: Clock, patience_s: float
) -> tuple[BrokerDifference, ...]:
    """Return the differences that remain after fills on their way have had time to arrive.

    patience_s: how long to wait for them, and for a broker that does not answer; without orders in flight differences
    are waited for `_LAG_S` at most. Raises UnreachableError when the broker does not answer for so long.
    """
    begun = clock.now()
    until = begun + timedelta(seconds=patience_s)
    with ledger.reading() as connection:
        is_in_flight = bool(orders.in_flight(connection))
    settled_by = until if is_in_flight else begun + timedelta(seconds=min(patience_s, _LAG_S))
    wait = 0.1
    while True:
        # Taken before the reads: the last comparison begins after the patience is over.
        now = clock.now()
        is_over = now >= until
        try:
            settle(ledger, broker)
            found = differences(ledger, broker)
            if not found or now >= settled_by:
                return found
        except UnreachableError:
            if is_over:
                raise
        clock.sleep(wait)
        wait = min(2 * wait, 5.0)


def glance(ledger: Ledger, broker: Broker, key: RunKey) -> tuple[Finding, ...]:
    """Return what would keep a trade from going on as things stand (E601, E602), for a run that changes nothing.

    Differences that a trade would resolve first do not count: fills that the ledger has not booked, and cash while
    orders are in flight or a book is not funded yet. Reads only, and does not wait. A past session, which cannot be
    traded any more, has no findings.
    """
    with ledger.reading() as connection:
        if runs.last_session(connection, key.strategy, key.portfolio) > key.session:
            return ()
    try:
        found = differences(ledger, broker)
        unbooked = _unbooked(ledger, broker) if found else frozenset()
    except UnreachableError as silent:
        text = f"the broker does not say what it holds, so a trade would fail: {silent}"
        return (Finding("E601", Severity.WARNING, text),)
    with ledger.reading() as connection:
        is_open = bool(orders.in_flight(connection)) or not all(
            runs.last_session(connection, b.key.strategy, b.key.portfolio) for b in books.books(connection)
        )
    left = [d for d in found if d.asset not in unbooked and not (d.asset == CASH and is_open)]
    return (Finding("E602", Severity.WARNING, f"{_text(left)}, so a trade would fail (E602)"),) if left else ()


def _unbooked(ledger: Ledger, broker: Broker) -> frozenset[str]:
    """Return the assets and orders of which the broker has filled more than the ledger knows."""
    with ledger.reading() as connection:
        open = orders.in_flight(connection)
    since = min((i.sent_at for i in open if i.sent_at is not None), default=None)
    listed = {} if since is None else {o.request.client_order_id: o for o in broker.orders(since - LISTED_BEFORE)}
    ahead = [i for i in open if i.client_order_id in listed and listed[i.client_order_id].filled > i.filled]
    return frozenset({i.asset for i in ahead} | {i.client_order_id for i in ahead})


def _text(found: Sequence[BrokerDifference]) -> str:
    shown = "; ".join(map(str, found[:_SHOWN])) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    return f"ledger and broker differ: {shown}"
