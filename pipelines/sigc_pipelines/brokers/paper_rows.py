"""Rows of the paper broker's book as values, read and written within a transaction of `paper_file.py`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sigc.store.ledger.records import ZERO, Charge, Fill, OrderType, Side, TimeInForce
from sigc_pipelines.brokers.paper_file import instant_text
from sigc_pipelines.brokers.protocol import Activities, BrokerOrder, OrderRequest, OrderStatus

Row = tuple[Any, ...]
ONE = Fraction(1)
_ORDER = (
    "SELECT number, client_order_id, asset, side, quantity, order_type, limit_price, time_in_force, submitted, "
    "status, filled, message, (SELECT book FROM account) FROM orders"
)
_HOLDING = "SELECT asset, quantity, buys, sells, session, price, coming FROM holdings"


@dataclass(frozen=True, slots=True)
class PaperHolding:
    """An asset in the book. buys, sells: open quantities. session: the last one marked. price: the last known one.

    coming: new shares per old one of a split at the next session; open orders are in its units.
    """

    asset: str
    quantity: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO
    session: str = ""
    price: Decimal | None = None
    coming: Fraction = ONE

    @property
    def worth(self) -> Decimal:
        """Value of the position at the last price."""
        return self.quantity * (self.price or ZERO) if self.quantity else ZERO

    @property
    def bound(self) -> Decimal:
        """The largest value, long or short, that open orders can lead to.

        >>> PaperHolding("A", Decimal(100), sells=Decimal(250), price=Decimal(2)).bound  # 100 long to 150 short
        Decimal('300')
        """
        if not (self.quantity or self.buys or self.sells):
            return ZERO
        held, price = self.expected, self.price or ZERO
        if self.coming != 1:  # quantities are in new units here, the price is still in old ones
            price = price * self.coming.denominator / self.coming.numerator
        return max(abs(held + self.buys), abs(held - self.sells)) * price

    @property
    def expected(self) -> Decimal:
        """The quantity in the units of open orders."""
        if self.coming == 1:
            return self.quantity
        return self.quantity * self.coming.numerator / self.coming.denominator

    def opened(self, side: Side, quantity: Decimal) -> PaperHolding:
        """Return the holding with more (less, when negative) in open orders."""
        if side is Side.BUY:
            return replace(self, buys=self.buys + quantity)
        return replace(self, sells=self.sells + quantity)


@dataclass(frozen=True, slots=True)
class Money:
    """The account. worth, bound: the sums over all holdings."""

    cash: Decimal
    worth: Decimal
    bound: Decimal

    def buying_power(self, leverage: Decimal) -> Decimal:
        """Return the amount by which `bound` may grow; negative when it is too large already."""
        return leverage * (self.cash + self.worth) - self.bound


def book_name(book: sqlite3.Connection) -> str:
    """Return the name that tells this book from another one at the same path."""
    (name,) = book.execute("SELECT book FROM account").fetchone()
    return str(name)


def money(book: sqlite3.Connection) -> Money:
    """Return the account."""
    cash, worth, bound = book.execute("SELECT cash, worth, bound FROM account").fetchone()
    return Money(Decimal(cash), Decimal(worth), Decimal(bound))


def put_money(book: sqlite3.Connection, now: Money) -> None:
    """Store the account."""
    book.execute("UPDATE account SET cash = ?, worth = ?, bound = ?", (str(now.cash), str(now.worth), str(now.bound)))


def holding(book: sqlite3.Connection, asset: str) -> PaperHolding:
    """Return an asset's holding, an empty one for a new asset."""
    row = book.execute(f"{_HOLDING} WHERE asset = ?", (asset,)).fetchone()
    return PaperHolding(asset) if row is None else _holding(row)


def holdings(book: sqlite3.Connection, assets: Iterable[str] | None = None) -> dict[str, PaperHolding]:
    """Return all holdings, sorted by asset; or the known ones of `assets`."""
    if assets is None:
        return {row[0]: _holding(row) for row in book.execute(f"{_HOLDING} ORDER BY asset")}
    known = {asset: holding(book, asset) for asset in sorted(assets)}
    return {asset: held for asset, held in known.items() if held != PaperHolding(asset)}


def put_holdings(book: sqlite3.Connection, now: Iterable[PaperHolding]) -> None:
    """Store these holdings."""
    book.executemany(
        "INSERT OR REPLACE INTO holdings VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(h.asset, str(h.quantity), str(h.buys), str(h.sells), h.session),
                *(None if h.price is None else str(h.price), str(h.coming)),
            )
            for h in now
        ],
    )


def change_holdings(
    book: sqlite3.Connection, before: Mapping[str, PaperHolding], after: Mapping[str, PaperHolding], cash: Decimal
) -> None:
    """Store changed holdings, and update the account by their change. cash: added to the account, negative to pay."""
    changed = [held for asset, held in after.items() if before.get(asset) != held]
    put_holdings(book, changed)
    then, now = [before[h.asset] for h in changed if h.asset in before], money(book)
    worth = sum((h.worth for h in changed), ZERO) - sum((h.worth for h in then), ZERO)
    bound = sum((h.bound for h in changed), ZERO) - sum((h.bound for h in then), ZERO)
    put_money(book, Money(now.cash + cash, now.worth + worth, now.bound + bound))


def find_order(book: sqlite3.Connection, client_order_id: str) -> BrokerOrder | None:
    """Return the order of that id."""
    row = book.execute(f"{_ORDER} WHERE client_order_id = ?", (client_order_id,)).fetchone()
    return None if row is None else _order(row)


def orders_since(book: sqlite3.Connection, since: datetime) -> tuple[BrokerOrder, ...]:
    """Return the orders submitted at or after `since` and all open ones, in the order of submission."""
    # Two searches, each by its index: one with OR would read the whole table.
    found = {row[0]: row for row in book.execute(f"{_ORDER} WHERE status = 'new'")}
    found |= {row[0]: row for row in book.execute(f"{_ORDER} WHERE submitted >= ?", (instant_text(since),))}
    return tuple(_order(found[number]) for number in sorted(found))


def open_orders(book: sqlite3.Connection, before: datetime, assets: Iterable[str]) -> dict[str, list[BrokerOrder]]:
    """Return open orders for these assets submitted before an instant, by asset, in the order of submission."""
    found: dict[str, list[BrokerOrder]] = {asset: [] for asset in assets}
    rows = book.execute(f"{_ORDER} WHERE status = 'new' AND submitted < ? ORDER BY number", (instant_text(before),))
    for row in rows:
        if row[2] in found:
            found[row[2]].append(_order(row))
    return found


def insert_order(book: sqlite3.Connection, request: OrderRequest, at: datetime) -> None:
    """Put a new order into the book."""
    limit = None if request.limit is None else str(request.limit)
    book.execute(
        "INSERT INTO orders VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, 'new', '0', '')",
        (
            request.client_order_id,
            request.asset,
            request.side,
            str(request.quantity),
            request.order_type,
            limit,
            request.time_in_force,
            instant_text(at),
        ),
    )


def close_orders(book: sqlite3.Connection, closed: Iterable[BrokerOrder]) -> None:
    """Store the final state of these orders."""
    book.executemany(
        "UPDATE orders SET status = ?, filled = ?, message = ? WHERE client_order_id = ?",
        [(order.status, str(order.filled), order.message, order.request.client_order_id) for order in closed],
    )


def insert_activities(book: sqlite3.Connection, fills: Iterable[Fill], charges: Iterable[Charge]) -> None:
    """Put fills and charges into the book, each with the next number."""
    book.executemany(
        "INSERT INTO fills VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                fill.execution_id,
                fill.client_order_id,
                fill.asset,
                fill.side,
                str(fill.quantity),
                str(fill.price),
                str(fill.commission),
                instant_text(fill.at),
            )
            for fill in fills
        ],
    )
    book.executemany(
        "INSERT INTO charges VALUES (NULL, ?, ?, ?, ?, ?)",
        [(each.id, each.kind, each.asset, str(each.amount), instant_text(each.at)) for each in charges],
    )


def activities(book: sqlite3.Connection, cursor: str) -> Activities:
    """Return fills and charges after a cursor `book:fill:charge` (the last numbers read). A cursor of another book
    counts as ''.
    """
    name = book_name(book)
    fill, charge = _numbers(cursor, name)
    fills = book.execute("SELECT * FROM fills WHERE number > ? ORDER BY number", (fill,)).fetchall()
    charges = book.execute("SELECT * FROM charges WHERE number > ? ORDER BY number", (charge,)).fetchall()
    read = f"{name}:{fills[-1][0] if fills else fill}:{charges[-1][0] if charges else charge}"
    return Activities(tuple(map(_fill, fills)), tuple(map(_charge, charges)), read)


def _numbers(cursor: str, book: str) -> tuple[int, int]:
    name, _, numbers = cursor.partition(":")
    fill, _, charge = numbers.partition(":")
    return (int(fill), int(charge)) if name == book and fill.isdecimal() and charge.isdecimal() else (0, 0)


def _holding(row: Row) -> PaperHolding:
    asset, quantity, buys, sells, session, price, coming = row
    known = None if price is None else Decimal(price)
    ratio = ONE if coming == "1" else Fraction(coming)
    return PaperHolding(asset, Decimal(quantity), Decimal(buys), Decimal(sells), session, known, ratio)


def _order(row: Row) -> BrokerOrder:
    number, id, asset, side, quantity, order_type, limit, time_in_force, submitted, *end = row
    request = OrderRequest(
        client_order_id=id,
        asset=asset,
        side=Side(side),
        quantity=Decimal(quantity),
        order_type=OrderType(order_type),
        limit=None if limit is None else Decimal(limit),
        time_in_force=TimeInForce(time_in_force),
    )
    status, filled, message, book = end
    at = datetime.fromisoformat(submitted)
    return BrokerOrder(request, f"{book}-{number}", OrderStatus(status), Decimal(filled), at, message)


def _fill(row: Row) -> Fill:
    _, execution_id, client_order_id, asset, side, quantity, price, commission, at = row
    return Fill(
        execution_id=execution_id,
        client_order_id=client_order_id,
        asset=asset,
        side=Side(side),
        quantity=Decimal(quantity),
        price=Decimal(price),
        commission=Decimal(commission),
        at=datetime.fromisoformat(at),
    )


def _charge(row: Row) -> Charge:
    _, id, kind, asset, amount, at = row
    return Charge(id, kind, asset, Decimal(amount), datetime.fromisoformat(at))
