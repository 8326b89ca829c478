"""A replay of the audit chain: the state that its records come to, by which `proof.py` judges the tables.

Average prices, watermarks and lists of actions are not replayed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sigc.store.ledger.breakers import renamed
from sigc.store.ledger.records import ZERO, BookKey

RENAMED = "book.renamed"
OF_CONTROL = ("control.set", "control.dropped")
OF_BOOKS = (
    *("book.opened", RENAMED, "book.adjusted", "fill", "fill.excess", "charge"),
    *("action.booked", "action.corrected"),
)
_FOREIGN = "fill.foreign"
_OWN = ("fill", "fill.excess")
# Of a fill's record: its book, and what `take_fill` needs.
_OF_FILL = (
    *("strategy", "portfolio", "payload.asset", "payload.side"),
    *("payload.quantity", "payload.price", "payload.commission"),
)
# States of an order that a fill makes a partially filled one; others stay as they are until all is filled.
_WORKING = frozenset({"planned", "sending", "unknown", "acknowledged", "partially_filled"})
_STATES = _WORKING | {"filled", "cancelled", "expired", "rejected", "denied"}
_BY_EVENT = {"absent": "planned", "arrived": "acknowledged"}  # else the event is named after the state


@dataclass(slots=True)
class ReplayedOrder:
    """An order. told: as it was planned."""

    told: Mapping[str, Any]
    state: str = "planned"
    filled: Decimal = ZERO


@dataclass(slots=True)
class Replayed:
    """The state that a chain comes to."""

    control: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)  # value, who, reason
    capital: dict[BookKey, Decimal] = field(default_factory=dict)
    cash: dict[BookKey, Decimal] = field(default_factory=dict)
    owed: dict[BookKey, Decimal] = field(default_factory=dict)
    held: dict[tuple[BookKey, str], Decimal] = field(default_factory=dict)
    navs: dict[tuple[BookKey, str], Mapping[str, Any]] = field(default_factory=dict)
    orders: dict[str, ReplayedOrder] = field(default_factory=dict)
    fills: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    # By number, or by charge and book: what of it is money or shares.
    actions: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    adjustments: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    shares: dict[tuple[str, BookKey], str] = field(default_factory=dict)

    def take(self, event: str, book: BookKey, who: str, said: Mapping[str, Any]) -> None:
        """Take in one record."""
        match event:
            case "control.set":
                self.control[said["name"], said["scope"]] = (said["value"], who, said["reason"])
            case "control.dropped":
                self.control.pop((said["name"], said["scope"]), None)
            case "book.opened":
                self.capital[book] = self.cash[book] = Decimal(said["capital"])
            case "book.renamed":
                self._rename(said["old"], said["new"])
            case "book.adjusted":
                self.adjustments[said["number"]] = said
                self._pay(book, said["cash"])
                self._move(book, said["asset"], said["change"])
            case "charge":
                self.shares[said["id"], book] = said["share"]
                self._pay(book, said["share"])
            case "action.booked" | "action.corrected":
                self.actions[said["entry"]] = said
                self._pay(book, said["cash"])
                self.owed[book] = self.owed.get(book, ZERO) + Decimal(said["receivable"])
                self._move(book, said["asset"], said["change"])
                self._move(book, said["into"], said["into_change"])
            case "fill" | "fill.excess" | "fill.foreign":
                self._fill(book, said, is_own=event != _FOREIGN)
            case "nav":
                self.navs[book, said["session"]] = said
            case _:
                self._order(event.removeprefix("order."), said)

    def take_fill(self, book: BookKey, asset: str, side: str, quantity: str, price: str, commission: str) -> None:
        """Take in a fill of the ledger's own as money and shares alone: nothing of its order."""
        self._book_fill(book, asset, side, Decimal(quantity), price, commission)

    def _pay(self, book: BookKey, amount: str) -> None:
        self.cash[book] = self.cash.get(book, ZERO) + Decimal(amount)

    def _move(self, book: BookKey, asset: str, change: str | Decimal) -> None:
        if asset:
            self.held[book, asset] = self.held.get((book, asset), ZERO) + Decimal(change)

    def _fill(self, book: BookKey, said: Mapping[str, Any], *, is_own: bool) -> None:
        self.fills[said["execution_id"]] = said
        if not is_own:
            return
        quantity = Decimal(said["quantity"])
        self._book_fill(book, said["asset"], said["side"], quantity, said["price"], said["commission"])
        order = self.orders.get(said["client_order_id"])
        if order is not None:
            order.filled += quantity
            if order.filled >= Decimal(order.told["quantity"]):
                order.state = "filled"
            elif order.state in _WORKING:
                order.state = "partially_filled"

    def _book_fill(self, book: BookKey, asset: str, side: str, quantity: Decimal, price: str, commission: str) -> None:
        signed = quantity if side == "buy" else -quantity
        self.held[book, asset] = self.held.get((book, asset), ZERO) + signed
        self.cash[book] = self.cash.get(book, ZERO) - signed * Decimal(price) - Decimal(commission)

    def _order(self, change: str, said: Mapping[str, Any]) -> None:
        if change == "planned":
            self.orders[said["client_order_id"]] = ReplayedOrder(said)
            return
        order, state = self.orders.get(said.get("client_order_id", "")), _BY_EVENT.get(change, change)
        if order is not None and state in _STATES:
            order.state = state

    def _rename(self, old: str, new: str) -> None:
        def moved(book: BookKey) -> BookKey:
            return BookKey(new, book.portfolio) if book.strategy == old else book

        self.control = {(n, renamed(n, scope, old, new)): told for (n, scope), told in self.control.items()}
        self.capital = {moved(book): amount for book, amount in self.capital.items()}
        self.cash = {moved(book): amount for book, amount in self.cash.items()}
        self.owed = {moved(book): amount for book, amount in self.owed.items()}
        self.held = {(moved(book), asset): quantity for (book, asset), quantity in self.held.items()}
        self.shares = {(id, moved(book)): amount for (id, book), amount in self.shares.items()}
        self.navs = {(moved(book), session): told for (book, session), told in self.navs.items()}


def replay(connection: sqlite3.Connection, names: tuple[str, ...] | None) -> Replayed:
    """Return the state that the chain comes to.

    names: replay these events only, and of fills what they did to books; None: all, with each fill and order.
    """
    found = Replayed()
    if names is None:
        for (text,) in connection.execute("SELECT record FROM audit ORDER BY seq"):
            _take(found, json.loads(text))
        return found
    # Most records are fills. SQLite reads what is needed of them, faster than the whole record is read here.
    fields = ", ".join(f"json_extract(record, '$.{name}')" for name in ("event", *_OF_FILL))
    marks = ", ".join("?" * len(names))
    query = f"SELECT record, {fields} FROM audit WHERE event IN ({marks}) ORDER BY seq"  # noqa: S608
    keys: dict[tuple[str, str], BookKey] = {}  # one object a book: equal ones are compared much slower
    for text, event, strategy, portfolio, *values in connection.execute(query, names):
        if event in _OWN:
            book = keys.get((strategy, portfolio))
            if book is None:
                book = keys[strategy, portfolio] = BookKey(strategy, portfolio)
            found.take_fill(book, *values)
        else:
            _take(found, json.loads(text))
    return found


def _take(found: Replayed, one: Mapping[str, Any]) -> None:
    event = one["event"]
    if event in OF_BOOKS or event in OF_CONTROL or event in ("nav", _FOREIGN) or event.startswith("order."):
        found.take(event, BookKey(one["strategy"], one["portfolio"]), one["who"], one["payload"])
