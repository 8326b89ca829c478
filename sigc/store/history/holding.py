"""Positions of a book at the newest prices, against its targets: for display, so in floats."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sigc.store.ledger import adjustments, books, price_marks
from sigc.store.ledger.records import BookKey


@dataclass(frozen=True, slots=True)
class Holding:
    """A position at the newest known price. weight, target: held and last wanted, as shares of the same money.

    price, value, weight, unrealised: None without a price. drift: weight less target. priced: ISO date of the price, ''
    without one.
    """

    asset: str
    quantity: float
    average_price: float
    price: float | None
    value: float | None
    weight: float | None
    unrealised: float | None
    target: float
    drift: float | None
    priced: str = ""

    def is_older_than(self, day: str) -> bool:
        """Return True if the price is of an earlier day (an ISO date)."""
        return bool(self.priced) and self.priced < day


def sized_by(connection: sqlite3.Connection, book: books.Book, sizing: str) -> float:
    """Return the money that a book's weights are shares of: its NAV, or its capital with what was paid in since
    (execution.sizing).
    """
    nav = books.last_nav(connection, book.key)
    if sizing == "capital" or nav is None:
        return float(book.capital + adjustments.paid_in(connection, book.key))
    return float(nav.nav)


def holdings(
    connection: sqlite3.Connection, key: BookKey, targets: Mapping[str, float], most: int, money: float
) -> tuple[tuple[Holding, ...], int]:
    """Return a book's largest positions, with targets (weights) that it does not hold, and the number of all.

    Prices are the accepted ones of the newest NAV, each with its date. money: the base of all weights, also of
    `targets`.
    """
    known = price_marks.prices_of(connection, key)
    prices = {asset: float(one.price) for asset, one in known.items()}
    rows = connection.execute(
        "SELECT asset, CAST(quantity AS REAL), CAST(average_price AS REAL) FROM positions"
        " WHERE strategy = ? AND portfolio = ?",
        (key.strategy, key.portfolio),
    ).fetchall()
    missing = targets.keys() - {row[0] for row in rows}
    rows += [(asset, 0.0, 0.0) for asset in missing if targets[asset]]

    def size(row: tuple[str, float, float]) -> tuple[float, str]:
        value = abs(row[1] * (prices.get(row[0]) or row[2]))
        return max(value, abs(targets.get(row[0], 0.0)) * money), row[0]

    largest = heapq.nlargest(most, rows, key=size)
    held = (_holding(a, q, p, prices.get(a), targets.get(a, 0.0), money) for a, q, p in largest)
    dated = (replace(one, priced=known[one.asset].day) if one.asset in known else one for one in held)
    return tuple(dated), len(rows)


def _holding(asset: str, quantity: float, average: float, price: float | None, target: float, money: float) -> Holding:
    if price is None and quantity:
        return Holding(asset, quantity, average, None, None, None, None, target, None)
    value = quantity * (price or 0.0)
    weight = round(value / money, 9) if money > 0.0 else None
    gain = round(value - quantity * average, 2)
    drift = None if weight is None else round(weight - target, 9)
    return Holding(asset, quantity, average, price, round(value, 2), weight, gain, target, drift)
