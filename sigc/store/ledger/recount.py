"""A recomputation of the books from the beginning, by fills, charges and entries: the check of their invariant.

cash         capital + cash of its fills + its shares of charges + cash of its action and adjusting entries
receivables  sum of its action entries
position     sum of its fills + changes of its entries, of the asset itself and of those that became it
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal

from sigc.store.ledger import action_rows, adjustments, books
from sigc.store.ledger.records import ZERO, BookKey


def faults(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return one text for each number of a book that differs from the sum of its fills, charges and entries; empty if
    none.
    """
    return tuple(text for book in books.books(connection) for text in _of_book(connection, book))


def _of_book(connection: sqlite3.Connection, book: books.Book) -> Iterator[str]:
    cash, owed, held = recounted(connection, book.key, book.capital)
    name = f"{book.key.strategy} ({book.key.portfolio})"
    if cash != book.cash:
        yield f"{name}: cash is {book.cash}, its fills, charges and entries come to {cash}"
    if owed != book.receivables:
        yield f"{name}: receivables are {book.receivables}, its actions come to {owed}"
    kept = books.quantities(connection, book.key)
    for asset in sorted({*kept, *held}):
        if kept.get(asset, ZERO) != held.get(asset, ZERO):
            yield f"{name}: {asset} is {kept.get(asset, ZERO)}, its fills and entries come to {held.get(asset, ZERO)}"


def recounted(
    connection: sqlite3.Connection, key: BookKey, capital: Decimal
) -> tuple[Decimal, Decimal, dict[str, Decimal]]:
    """Return (cash, receivables, quantities by asset without zeros), recomputed."""
    cash, owed = capital + books.charged(connection, key), ZERO
    held: dict[str, Decimal] = {}
    for fill in books.fills_of_book(connection, key):
        cash += fill.cash
        held[fill.asset] = held.get(fill.asset, ZERO) + fill.side.sign * fill.quantity
    for entry in action_rows.entries_of_book(connection, key):
        amounts = entry.amounts
        cash, owed = cash + amounts.cash, owed + amounts.receivable
        held[entry.asset] = held.get(entry.asset, ZERO) + amounts.change
        if entry.into:
            held[entry.into] = held.get(entry.into, ZERO) + amounts.into_change
    for adjusted in adjustments.of_book(connection, key):
        cash += adjusted.cash
        held[adjusted.asset] = held.get(adjusted.asset, ZERO) + adjusted.change
    return cash, owed, {asset: quantity for asset, quantity in held.items() if quantity}
