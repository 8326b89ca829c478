"""The account beside a run's orders: all books together, as the checks of `checks/account.py` measure it.

Every book is valued at its own newest prices, in the units of the run's session, and all orders in flight count. It is
built again whenever an order was planned, filled or ended anywhere, and only where a limit of the account is on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

from sigc.clock import Clock
from sigc.config.settings import AccountSettings, SafetySettings
from sigc.store.ledger import books, orders, price_marks
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import ZERO, BookKey, Finding, Intent, IntentState, Run, RunKey
from sigc_pipelines.brokers.protocol import Broker, UnreachableError, simulation
from sigc_pipelines.checks.account import AccountExposure, judge_account
from sigc_pipelines.checks.exposure import Exposure, worst_price
from sigc_pipelines.live.session_units import in_session
from sigc_pipelines.live.valuing import standing

_MINUTE = timedelta(minutes=1)


class AccountJudge:
    """Judges the orders of one run against the account. broker: None for a run that only closes positions."""

    def __init__(self, run: Run, limits: SafetySettings, clock: Clock, broker: Broker | None) -> None:
        self._run, self._limits, self._clock = run, limits, clock
        self._since, self._power = clock.now(), _power(broker, limits.account)
        # A simulation fills at its marks: what is open there until the close would keep others waiting until then.
        self._is_apart = broker is not None and simulation(broker) is None
        self._is_on = broker is not None and limits.account != AccountSettings()
        self._known: list[tuple[tuple[int, ...], Exposure]] = []

    def findings(self, connection: sqlite3.Connection, intent: Intent, own: Exposure) -> tuple[Finding, ...]:
        """Return what the account has against sending an order now. own: the exposure of its book."""
        if not (self._is_on or self._is_apart):
            return ()
        most = self._limits.account.max_orders_a_minute
        account = AccountExposure(
            self._whole(connection) if self._is_on else own,
            orders.sent_since(connection, self._clock.now() - _MINUTE, most) if most else 0,
            self._power,
            self._used(connection, intent) if self._power is not None else ZERO,
            self._opposite(connection, intent) if self._is_apart else (),
        )
        return judge_account(intent, own, account, self._limits)

    def withdraw(self, client_order_id: str) -> None:
        """Count an order no more that was denied: it frees its share for the orders behind it."""
        for _, whole in self._known:
            whole.withdraw(client_order_id)

    def _used(self, connection: sqlite3.Connection, intent: Intent) -> Decimal:
        """Return the value of the orders of all books that were sent since the broker told its buying power."""
        sent = (i for i in orders.in_flight(connection) if i.sent_at is not None and i.sent_at >= self._since)
        return sum((i.quantity * worst_price(i) for i in sent if i.client_order_id != intent.client_order_id), ZERO)

    def _opposite(self, connection: sqlite3.Connection, intent: Intent) -> tuple[Intent, ...]:
        found = orders.in_flight_of(connection, intent.asset)
        return tuple(i for i in found if i.state is not IntentState.PLANNED and _book(i.key) != _book(intent.key))

    def _whole(self, connection: sqlite3.Connection) -> Exposure:
        changes = (*orders.changes(connection), orders.newest(connection))
        if not self._known or self._known[0][0] != changes:
            self._known[:] = [(changes, whole_exposure(connection, self._run))]
        return self._known[0][1]


def whole_exposure(connection: sqlite3.Connection, run: Run) -> Exposure:
    """Return the exposure of all books together, with every order in flight. Assets of the run have its prices."""
    own = price_marks.marks_of(connection, run.id)
    worth, cash = ZERO, ZERO
    positions: dict[str, Decimal] = {}
    marks: dict[str, Mark] = {}
    for book in books.books(connection):
        key = book.key
        prices = _prices(connection, key, own, run.key.session)
        fills = books.fills_of_session(connection, RunKey(key.strategy, key.portfolio, run.key.session))
        now = in_session(connection, run, fills, standing(connection, key, prices))
        worth, cash = worth + now.worth, cash + now.book.cash
        for asset, quantity in now.positions.items():
            positions[asset] = positions.get(asset, ZERO) + quantity
            marks.setdefault(asset, Mark(now.prices.get(asset)))
    flying = orders.in_flight(connection)
    for intent in flying:
        marks.setdefault(intent.asset, Mark(intent.reference))
    return Exposure.of(worth, cash, positions, {**marks, **own}, intents=flying)


def _prices(connection: sqlite3.Connection, key: BookKey, own: Mapping[str, Mark], session: str) -> dict[str, Decimal]:
    known = price_marks.last_prices(connection, key, session)
    return known | {asset: mark.price for asset, mark in own.items() if mark.price is not None}


def _power(broker: Broker | None, limits: AccountSettings) -> Decimal | None:
    if broker is not None and limits.max_buying_power:
        with suppress(UnreachableError):
            return broker.account().buying_power
    return None


def _book(key: RunKey) -> BookKey:
    return BookKey(key.strategy, key.portfolio)
