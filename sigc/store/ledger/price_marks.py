"""Prices in the ledger: those a run's orders were checked against, and those of positions in the newest NAV."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sigc.store.ledger import action_rows, runs
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import BookKey


@dataclass(frozen=True, slots=True)
class Mark:
    """The price and sector that an asset's orders are checked against. price: None if there never was one."""

    price: Decimal | None
    sector: str = ""


def put_marks(tx: Transaction, run: str, marks: Mapping[str, Mark]) -> None:
    """Store the prices and sectors that a run's orders are checked against."""
    tx.connection.executemany(
        "INSERT OR REPLACE INTO marks (run, asset, price, sector) VALUES (?, ?, ?, ?)",
        [(run, asset, None if m.price is None else str(m.price), m.sector) for asset, m in sorted(marks.items())],
    )


def marks_of(connection: sqlite3.Connection, run: str) -> dict[str, Mark]:
    """Return the prices and sectors of a run, by asset."""
    rows = connection.execute("SELECT asset, price, sector FROM marks WHERE run = ? ORDER BY asset", (run,))
    return {asset: Mark(None if price is None else Decimal(price), sector or "") for asset, price, sector in rows}


@dataclass(frozen=True, slots=True)
class Priced:
    """The accepted price of a position, and the ISO date of that price."""

    price: Decimal
    day: str


def put_prices(tx: Transaction, key: BookKey, prices: Mapping[str, Priced]) -> None:
    """Store the prices of a book's positions in its newest NAV."""
    text = json.dumps({asset: [str(p.price), p.day] for asset, p in sorted(prices.items())}, separators=(",", ":"))
    tx.connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_prices_of(key), text),
    )


def valued_at(connection: sqlite3.Connection, key: BookKey) -> dict[str, Priced] | None:
    """Return the prices of a book's positions in its newest NAV, in the units of its session.

    None if they were not stored (by an older sigc, or before the first NAV).
    """
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_prices_of(key),)).fetchone()
    if row is None:
        return None
    return {asset: Priced(Decimal(price), day) for asset, (price, day) in json.loads(row[0]).items()}


def prices_of(connection: sqlite3.Connection, key: BookKey) -> dict[str, Priced]:
    """Return the prices of a book's positions in its newest NAV, by asset.

    For a book last valued by an older sigc: the prices that its newest run was checked against.
    """
    known = valued_at(connection, key)
    if known is not None:
        return known
    run = runs.last_decided(connection, key.strategy, key.portfolio)
    day = runs.find(connection, run).as_of if run else ""
    return {asset: Priced(price, day) for asset, price in last_prices(connection, key).items()}


def _prices_of(key: BookKey) -> str:
    return f"prices of {key.strategy}/{key.portfolio}"


def move_prices(tx: Transaction, old: BookKey, new: BookKey) -> None:
    """Keep the prices of a book under another key."""
    tx.connection.execute("UPDATE meta SET key = ? WHERE key = ?", (_prices_of(new), _prices_of(old)))


def last_prices(connection: sqlite3.Connection, key: BookKey, through: str = "") -> dict[str, Decimal]:
    """Return the prices that the book's newest decided run was checked against, in the units of a later session.

    through: that session; '' for the one up to which corporate actions are booked.
    """
    run = runs.last_decided(connection, key.strategy, key.portfolio)
    if not run:
        return {}
    prices = {asset: mark.price for asset, mark in marks_of(connection, run).items() if mark.price is not None}
    through = through or action_rows.progress(connection)[0]
    (as_of,) = connection.execute("SELECT as_of FROM runs WHERE id = ?", (run,)).fetchone()
    return action_rows.restated(prices, action_rows.between(connection, as_of, through))
