"""Orders at a broker that lets none cross zero, and that pays for buys by filled sales only.

    long 60, wanted short 40: one order of 100   ->   sell 60 (slice 1), sell 40 (slice 2), under one parent

The second part waits until the first is filled, also when the first has to be sent again. An order also waits while an
opposite one is open in its asset (a wash trade), and a buy while sales are open and the account's buying power is not
enough without them. What still waits at the cut-off ends unsent. Everything is read from the ledger, so a process that
died goes on in the same state.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from sigc.store.ledger import books, orders
from sigc.store.ledger.records import ZERO, Intent, IntentState, Run, Side
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.sizing import Order, client_order_id

if TYPE_CHECKING:
    from sigc_pipelines.live.send_orders import Desk

_RESERVE = Decimal("1.05")  # a market order reserves more than its value: up to 4 % at Alpaca
_LONGEST_LOOK_S = 30.0


def account_positions(connection: sqlite3.Connection) -> dict[str, Decimal]:
    """Return the quantity by asset of all books together, as the broker has it."""
    found: dict[str, Decimal] = {}
    for one in books.positions(connection):
        found[one.asset] = found.get(one.asset, ZERO) + one.quantity
    return found


def split_reversals(
    intents: Sequence[Intent], run: Run, ledger: str, positions: Mapping[str, Decimal], short_lot: Decimal
) -> tuple[Intent, ...]:
    """Return the intents with each that would cross zero in two parts. positions: of the account, signed.

    A part that opens a short position is rounded towards zero to short_lot.
    """
    left = {asset: abs(quantity) for asset, quantity in positions.items()}  # what may still be closed
    parts: list[Intent] = []
    split = set[str]()
    for one in intents:
        closable = left.get(one.asset, ZERO) if positions.get(one.asset, ZERO) * one.side.sign < 0 else ZERO
        left[one.asset] = closable - min(closable, one.quantity)
        if closable <= 0 or one.quantity <= closable:
            parts.append(one)
            continue
        split.add(one.asset)
        rest = one.quantity - closable
        if one.side is Side.SELL:
            rest = (rest / short_lot).to_integral_value(ROUND_DOWN) * short_lot
        parts += [replace(one, quantity=closable), *([replace(one, quantity=rest)] if rest else [])]
    return _named(parts, split, intents, run, ledger)


def _named(
    parts: Sequence[Intent], split: set[str], whole: Sequence[Intent], run: Run, ledger: str
) -> tuple[Intent, ...]:
    """Give the parts of these assets their numbers and ids, and all their places."""
    parents = {one.asset: one.parent or one.client_order_id for one in whole}
    numbers: dict[str, int] = {}
    named = []
    for place, one in enumerate(parts):
        part = replace(one, place=place)
        if one.asset in split:
            numbers[one.asset] = number = numbers.get(one.asset, 0) + 1
            order = Order(one.asset, one.side, one.quantity, one.reference)
            id = client_order_id(ledger, run, order, number)
            part = replace(part, client_order_id=id, slice=number, parent=parents[one.asset])
        named.append(part)
    return tuple(named)


class FillGate:
    """Holds the orders of one run back until fills make room for them. Holds none at a broker that asks for no such
    thing.
    """

    def __init__(self, desk: Desk, commit: Callable[[], None]) -> None:
        """commit: writes down the answers that came, before fills of their orders are booked."""
        self._desk, self._commit, can = desk, commit, desk.broker.capabilities()
        self._no_crossing, self._pays_late = not can.crosses_zero, can.frees_on_fill
        self._wait_s = desk.settings.lookup_backoff_s
        self._looks = desk.clock.now()

    def held_until(self, intent: Intent) -> datetime | None:
        """Return when to look again at an order that can't be sent yet; None for one that can."""
        if not self.why_held(intent):
            return None
        if self._looks <= self._desk.clock.now():
            self._look()
            if not self.why_held(intent):
                return None
        return self._looks

    def why_held(self, intent: Intent) -> str:
        """Return why an order can't be sent yet, '' if it can."""
        if not (self._no_crossing or self._pays_late):
            return ""
        with self._desk.ledger.reading() as connection:
            position = books.quantity_of_all(connection, intent.asset) * intent.side.sign
            flying = orders.in_flight_of(connection, intent.asset)
            is_selling = orders.has_open_sales(connection)
        if self._no_crossing and (why := _crossing(intent, position, flying)):
            return why
        if self._pays_late and is_selling and position >= 0:
            return self._beyond_power(intent)
        return ""

    def _look(self) -> None:
        """Read what was filled meanwhile; the next look comes later if it was nothing."""
        self._commit()
        with suppress(UnreachableError):
            if settle(self._desk.ledger, self._desk.broker):
                self._wait_s = self._desk.settings.lookup_backoff_s
        self._looks = self._desk.clock.now() + timedelta(seconds=self._wait_s)
        self._wait_s = min(_LONGEST_LOOK_S, 2 * self._wait_s)

    def _beyond_power(self, intent: Intent) -> str:
        need = intent.quantity * max(intent.reference, intent.limit or ZERO) * _RESERVE
        try:
            power = self._desk.broker.account().buying_power  # less what open orders reserve
        except UnreachableError:
            return "the broker does not tell the buying power"
        if need > power:
            return f"{need:.2f} of buying power are needed, and sales that would pay for it are not filled yet"
        return ""


def _crossing(intent: Intent, position: Decimal, flying: Sequence[Intent]) -> str:
    """Return why an order would cross zero, meet an opposite one, or overtake the part before it.

    position: in the order's direction; flying: the asset's orders that may still be filled.
    """
    others = [i for i in flying if i.client_order_id != intent.client_order_id]
    there = [i for i in others if i.state is not IntentState.PLANNED]
    if any(i.side is not intent.side for i in there):
        return f"an opposite order in {intent.asset} is open"
    if position >= 0:
        return ""
    if intent.quantity > -position - sum((i.remaining for i in there), ZERO):
        return f"{-position} {intent.asset} are to be closed first"
    # A smaller part that went first would leave too little to close for the part before it, which would then wait for
    # ever.
    parts = [i for i in others if i.parent and i.parent == intent.parent]
    is_reversal = intent.quantity + sum((i.remaining for i in parts), ZERO) > -position
    if is_reversal and any(i.slice < intent.slice for i in parts):
        return "the part before it comes first"
    return ""
