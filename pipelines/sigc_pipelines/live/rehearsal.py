"""Rehearsal of a dry run's orders: judged before sending as those of a run are, in a transaction that is taken back.

A trade takes the broker's fills in first; a dry run changes nothing, so it foresees them. What the ledger has in flight
of earlier sessions is filled as far as the broker says, at the newest price, and the rest has ended. A simulation fills
at its next mark only: there, such orders count as filled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sigc.config.settings import SafetySettings
from sigc.store.ledger import accounts, books, control, orders, price_marks, runs
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import ZERO, BookKey, Finding, Intent, IntentState, Run
from sigc_pipelines.brokers.protocol import Broker, UnreachableError, simulation
from sigc_pipelines.checks.account import is_later
from sigc_pipelines.checks.exposure import Bound
from sigc_pipelines.live.apply_fills import LISTED_BEFORE
from sigc_pipelines.live.judging import judge_by
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.live.valuing import BookValue

_OURS = "dry-"  # begins the ids of rehearsed orders, which may be those of orders that were sent


@dataclass(frozen=True, slots=True)
class ForeseenOrder:
    """An order of an earlier session, and the quantity that is filled of it though the ledger does not know yet."""

    order: Intent
    filled: Decimal


class _TakenBackError(Exception):
    """Ends the transaction of a rehearsal."""


def foreseen(connection: sqlite3.Connection, broker: Broker, session: str) -> tuple[ForeseenOrder, ...]:
    """Return the orders of all books that the ledger has in flight for sessions before `session`, oldest first."""
    found = [i for i in orders.in_flight(connection) if i.key.session < session]
    sent = [i for i in found if i.state is not IntentState.PLANNED]
    if not sent or simulation(broker) is not None:
        return tuple(ForeseenOrder(i, i.remaining if i.state is not IntentState.PLANNED else ZERO) for i in found)
    since = min((i.sent_at for i in sent if i.sent_at is not None), default=None)
    try:
        told = () if since is None else broker.orders(since - LISTED_BEFORE)
    except UnreachableError:  # the run says so by itself (E601)
        told = ()
    filled = {one.request.client_order_id: one.filled for one in told}
    return tuple(ForeseenOrder(i, max(filled.get(i.client_order_id, ZERO) - i.filled, ZERO)) for i in found)


def with_orders(now: BookValue, ended: Sequence[ForeseenOrder]) -> BookValue:
    """Return a book after fills at its newest prices: its worth stays."""
    held, prices = dict(now.positions), dict(now.prices)
    priced = sum((q * prices[a] for a, q in held.items() if a in prices), ZERO)
    cash, owed = now.book.cash, now.worth - now.book.cash - priced
    for one in ended:
        asset, change = one.order.asset, one.order.side.sign * one.filled
        price = prices.setdefault(asset, one.order.reference)
        held[asset] = held.get(asset, ZERO) + change
        cash -= change * price
    positions = {asset: quantity for asset, quantity in held.items() if quantity}
    return replace(now, book=replace(now.book, cash=cash, receivables=owed), positions=positions, prices=prices)


def stop_in_force(connection: sqlite3.Connection, strategy: str) -> str:
    """Return the halt or pause that would keep a run of a strategy from trading, '' without one."""
    for name in (control.HALTED, control.PAUSED):
        stop = control.holds(connection, name, strategy)
        if stop is not None:
            what = f"{stop.scope or 'everything'} is {name} by {stop.who}"
            return f"a run would be refused: {what}: {stop.reason or stop.value}"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """The decision of a dry run. at_close: its book as of the last complete session, fills foreseen; marks, bounds,
    limits: those that a run would keep with its decision."""

    trading: Trading
    run: Run
    at_close: BookValue
    ended: Sequence[ForeseenOrder]
    marks: Mapping[str, price_marks.Mark]
    bounds: Mapping[str, Bound]
    limits: SafetySettings

    def judged(self, intents: Sequence[Intent]) -> tuple[tuple[Intent, ...], tuple[Finding, ...]]:
        """Return the orders, those that a run would deny as denied, and the findings against them."""
        judge = judge_by(self.run, self.limits, self.bounds, self.trading.clock, self.trading.broker, passes_halt=True)
        told: list[Finding] = []
        then: list[Intent] = []
        try:
            with self.trading.ledger.transaction("intents") as tx:
                self._set_scene(tx)
                shadows = [_shadow(intent) for intent in intents]
                orders.plan(tx, shadows)
                for intent, shadow in zip(intents, shadows, strict=True):
                    found = judge(tx, shadow)
                    if found and not is_later(found):
                        why = "; ".join(one.message for one in found)
                        orders.moved(tx, shadow, IntentState.DENIED, why)
                        intent = replace(intent, state=IntentState.DENIED, message=why)
                        told += found
                    then.append(intent)
                raise _TakenBackError
        except _TakenBackError:
            return tuple(then), tuple(told)

    def _set_scene(self, tx: Transaction) -> None:
        """Write what a run would have before it sends: the book after its fills, and the prices of its decision."""
        run, now = self.run, self.at_close
        key = BookKey(run.key.strategy, run.key.portfolio)
        book = books.open_book(tx, key, now.book.capital, tx.at, run.as_of)
        for one in self.ended:
            _end(tx, one, key)
        before = books.book(tx.connection, key) or book
        accounts.add_cash(tx, key, now.book.cash - before.cash, now.book.receivables - before.receivables)
        held = books.quantities(tx.connection, key)
        for asset in {*held, *now.positions}:
            quantity = now.positions.get(asset, ZERO)
            accounts.put_position(tx, key, asset, quantity, now.prices.get(asset, ZERO))
        price_marks.put_marks(tx, run.id, self.marks)
        runs.mark_decided(tx, run)


def _end(tx: Transaction, one: ForeseenOrder, own: BookKey) -> None:
    """End an order as it is foreseen. The book of the run itself is set as a whole."""
    key, order = BookKey(one.order.key.strategy, one.order.key.portfolio), one.order
    if one.filled and key != own:
        held, average = accounts.position(tx, key, order.asset)
        change = order.side.sign * one.filled
        accounts.put_position(tx, key, order.asset, *accounts.moved(held, average, change, order.reference))
        accounts.add_cash(tx, key, -change * order.reference)
    if one.filled:
        orders.filled(tx, order, one.filled)
    left = orders.get(tx.connection, order.client_order_id)
    if left is not None and one.filled < order.remaining:
        orders.moved(tx, left, IntentState.EXPIRED, "its session is over")


def _shadow(intent: Intent) -> Intent:
    parent = f"{_OURS}{intent.parent}" if intent.parent else ""
    return replace(intent, client_order_id=f"{_OURS}{intent.client_order_id}", parent=parent)
