"""Adjusting entries: changes of a book that no order of sigc made, so that the ledger says what the broker holds.

A person adopts a difference between ledger and broker (`sigc reconcile --adopt`), or moves shares and money
(`book_moves.py`); each entry has its cause, who wrote it, and why. Entries are append-only, one row each, audited as
`book.adjusted`.

An entry may stand for fills that the broker has not told yet (`client_order_id`). When such a fill is told after all,
`take_back` writes the opposite entry in the same transaction, so that it does not count twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import action_rows
from sigc.store.ledger.accounts import add_cash, moved, position, put_position, rescaled
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import ZERO, BookKey, Fill

_COLUMNS = (
    "number, strategy, portfolio, asset, change, cash, price, cause, client_order_id, session, since, at, who, reason,"
    " worth"
)


class GapCause(StrEnum):
    """The likely cause of a difference between ledger and broker, or what a person did to a book."""

    FILL_MISSING = "fill_missing"  # an order of ours has filled more at the broker than it has told
    FILL_TWICE = "fill_twice"  # the ledger has more fills of an order than the broker
    TRADE = "trade"  # an order that sigc did not send: a person, or another program
    RESTORED = "restored"  # an order of ours that the ledger does not know: it is an older copy
    SPLIT = "split"
    RENAME = "rename"
    MERGER = "merger"
    SPIN_OFF = "spin_off"
    DELISTING = "delisting"
    RECALL = "recall"  # a short position was bought in
    DIVIDEND = "dividend"
    FEE = "fee"
    TRANSFER = "transfer"  # cash or shares that came or left without a trade, from another book too
    ACCOUNT = "account"  # the account is another one, or was closed
    ORDER_GONE = "order_gone"  # an order that is open in the ledger alone
    ORDER_UNKNOWN = "order_unknown"  # an order of ours that is open at the broker alone
    DEPOSIT = "deposit"  # cash that a person put into the book, and into the account
    WITHDRAWAL = "withdrawal"  # cash that a person took out of both
    WRITE_OFF = "write_off"  # a worthless position that a person took out of the book


PAID = frozenset({GapCause.DEPOSIT, GapCause.WITHDRAWAL})


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of a book. asset: '' for cash alone. change: of its quantity; cash: of the book's cash (money).

    price: the cost per share of shares that come; None keeps the cost of the whole position, as a split does. session:
    the first in whose NAV it counts. since: the instant from which it counts against corporate actions. worth: of a
    share that moves at its cost, by its last accepted price; None: `price` is its worth, as far as that is known.
    """

    book: BookKey
    asset: str
    change: Decimal
    cash: Decimal
    cause: GapCause
    price: Decimal | None
    session: str
    since: datetime
    who: str
    reason: str
    client_order_id: str = ""
    at: datetime | None = None
    number: int = 0
    worth: Decimal | None = None


def adjust(tx: Transaction, entries: Iterable[Adjustment]) -> tuple[Adjustment, ...]:
    """Write entries, and change positions and cash by them."""
    return tuple(_adjust(tx, entry) for entry in entries)


def _adjust(tx: Transaction, entry: Adjustment) -> Adjustment:
    key = entry.book
    price, worth = (None if one is None else str(one) for one in (entry.price, entry.worth))
    made = tx.connection.execute(
        "INSERT INTO adjustments (strategy, portfolio, asset, change, cash, price, cause, client_order_id, session,"
        " since, at, who, reason, worth) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(key.strategy, key.portfolio, entry.asset, str(entry.change), str(entry.cash), price, entry.cause),
            *(entry.client_order_id, entry.session, entry.since.isoformat(), tx.at.isoformat()),
            *(entry.who, tx.hide(entry.reason), worth),
        ),
    )
    add_cash(tx, key, entry.cash)
    if entry.asset and entry.change:
        held, average = position(tx, key, entry.asset)
        if entry.price is None:
            after = held + entry.change
            put_position(tx, key, entry.asset, after, rescaled(average, held, after))
        else:
            put_position(tx, key, entry.asset, *moved(held, average, entry.change, entry.price))
    number = int(made.lastrowid or 0)
    said: dict[str, object] = {
        "number": number,
        "asset": entry.asset,
        "change": entry.change,
        "cash": entry.cash,
        "price": entry.price,
        "cause": entry.cause,
        "client_order_id": entry.client_order_id,
        "session": entry.session,
        "since": entry.since,
        "reason": entry.reason,
    }
    said |= {} if entry.worth is None else {"worth": entry.worth}
    tx.audit(AuditEvent("book.adjusted", said, "", key.strategy, key.portfolio, entry.who))
    return replace(entry, number=number, at=tx.at)


def take_back(tx: Transaction, key: BookKey, fill: Fill) -> None:
    """Undo as much of earlier entries as a fill explains that is told only now."""
    entries = of_order(tx.connection, fill.client_order_id)
    own = [entry for entry in entries if entry.book == key and entry.asset == fill.asset]
    left, cash = sum((e.change for e in own), ZERO), sum((e.cash for e in own), ZERO)
    change = fill.side.sign * min(fill.quantity, abs(left))
    if not left or change * left < 0:
        return
    # The share of the adopted cash that belongs to these shares: the fill itself brings the true amount.
    part = cash if change == left else (cash * change / left).quantize(Decimal("0.01"))
    last = own[-1]
    again = replace(last, change=-change, cash=-part, reason=f"the fill {fill.execution_id} was told", who="sigc")
    _adjust(tx, again)


def of_book(connection: sqlite3.Connection, key: BookKey, after: str = "") -> tuple[Adjustment, ...]:
    """Return the entries of a book that count after a session, oldest first."""
    where = "strategy = ? AND portfolio = ? AND session > ? ORDER BY session, number"
    return _many(connection, where, key.strategy, key.portfolio, after)


def of_order(connection: sqlite3.Connection, client_order_id: str) -> tuple[Adjustment, ...]:
    """Return the entries that stand for fills of an order, oldest first."""
    return _many(connection, "client_order_id = ? AND client_order_id <> '' ORDER BY number", client_order_id)


def paid_in(connection: sqlite3.Connection, key: BookKey) -> Decimal:
    """Return the deposits of a book less its withdrawals: what its capital has grown by since it was opened."""
    return sum((e.cash for e in of_book(connection, key) if e.cause in PAID), ZERO)


def of_asset(connection: sqlite3.Connection, asset: str, after: datetime) -> tuple[Adjustment, ...]:
    """Return the entries of an asset in all books that count after an instant, oldest first."""
    return _many(connection, "asset = ? AND since > ? ORDER BY since, number", asset, after.isoformat())


def _many(connection: sqlite3.Connection, where: str, *values: str) -> tuple[Adjustment, ...]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM adjustments WHERE {where}", values)  # noqa: S608
    return tuple(map(_adjustment, rows))


def _adjustment(row: tuple[str, ...]) -> Adjustment:
    number, strategy, portfolio, asset, change, cash, price, cause, order, session, since, at, who, reason, worth = row
    return Adjustment(
        BookKey(strategy, portfolio),
        asset,
        Decimal(change),
        Decimal(cash),
        GapCause(cause),
        None if price is None else Decimal(price),
        session,
        datetime.fromisoformat(since),
        who,
        reason,
        order,
        datetime.fromisoformat(at),
        int(number),
        None if worth is None else Decimal(worth),
    )


def put_watermarks(tx: Transaction, entries: Iterable[Adjustment], until: Mapping[str, str]) -> None:
    """Have corporate actions leave the adjusted positions alone: the broker's state includes them.

    until: by asset, the session up to which.
    """
    known = action_rows.watermarks(tx.connection)
    for book, asset in sorted({(e.book, e.asset) for e in entries if e.asset and e.change}):
        session = max(until[asset], known.get((book, asset), ""))
        action_rows.put_watermark(tx, book, asset, session, "adopted")
