"""Cash and positions of books, changed by fills (`books.py`), charges, and corporate actions (`action_booking.py`)."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import ZERO, BookKey

# Average prices have ten decimals: a division need not end, and the ledger must store what it computes.
_AVERAGE = Decimal("0.0000000001")


def add_cash(tx: Transaction, key: BookKey, cash: Decimal, receivable: Decimal = ZERO) -> None:
    """Add to a book's cash and to its receivables (money owed to it)."""
    before, owed = tx.connection.execute(
        "SELECT cash, receivables FROM books WHERE strategy = ? AND portfolio = ?", (key.strategy, key.portfolio)
    ).fetchone()
    tx.connection.execute(
        "UPDATE books SET cash = ?, receivables = ? WHERE strategy = ? AND portfolio = ?",
        (str(Decimal(before) + cash), str(Decimal(owed) + receivable), key.strategy, key.portfolio),
    )


def position(tx: Transaction, key: BookKey, asset: str) -> tuple[Decimal, Decimal]:
    """Return (quantity, average price) of an asset in a book; two zeros if it holds none."""
    row = tx.connection.execute(
        "SELECT quantity, average_price FROM positions WHERE strategy = ? AND portfolio = ? AND asset = ?",
        (key.strategy, key.portfolio, asset),
    ).fetchone()
    return (ZERO, ZERO) if row is None else (Decimal(row[0]), Decimal(row[1]))


def holders(connection: sqlite3.Connection, asset: str) -> dict[BookKey, Decimal]:
    """Return the quantity of an asset by book, without zeros."""
    rows = connection.execute("SELECT strategy, portfolio, quantity FROM positions WHERE asset = ?", (asset,))
    return {BookKey(s, p): Decimal(q) for s, p, q in rows}


def put_position(tx: Transaction, key: BookKey, asset: str, quantity: Decimal, average: Decimal) -> None:
    """Set a position; delete it if the quantity is zero."""
    where = (key.strategy, key.portfolio, asset)
    if quantity == 0:
        tx.connection.execute("DELETE FROM positions WHERE strategy = ? AND portfolio = ? AND asset = ?", where)
        return
    tx.connection.execute(
        "INSERT INTO positions (strategy, portfolio, asset, quantity, average_price) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (strategy, portfolio, asset) DO UPDATE SET quantity = excluded.quantity,"
        " average_price = excluded.average_price",
        (*where, str(quantity), str(average)),
    )


def moved(held: Decimal, average: Decimal, change: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
    """Return (quantity, average price) after a change of `change` shares at `price`.

    The price is averaged when the change adds, kept when it reduces, and new when the position changes its sign.

    >>> moved(Decimal(10), Decimal(20), Decimal(10), Decimal(30))
    (Decimal('20'), Decimal('25.0000000000'))
    """
    after = held + change
    if after == 0:
        return ZERO, ZERO
    if held * change >= 0:
        return after, ((held * average + change * price) / after).quantize(_AVERAGE)
    return after, average if held * after > 0 else price


def rescaled(average: Decimal, before: Decimal, after: Decimal) -> Decimal:
    """Return the average price when `before` shares become `after` and their total cost stays (a split)."""
    return (average * before / after).quantize(_AVERAGE) if before and after and before * after > 0 else average
