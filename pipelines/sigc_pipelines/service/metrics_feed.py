"""Metrics of the daemon's sources as last read, and of its books as the ledger has them.

Counts of fills and orders are the ledger's own, so that what comes in after a run is counted too; they begin at what
was there before this daemon.
"""

from __future__ import annotations

import sqlite3

import numpy as np

from sigc import metrics as m
from sigc.clock import Clock
from sigc.data.catalog import Catalog, Source
from sigc.metrics import DaemonMetrics
from sigc.store.ledger import book_counts, books, orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import IN_FLIGHT, UNRESOLVED, BookKey, IntentState, Nav

_ENDS = tuple(sorted(set(IntentState) - IN_FLIGHT))


def count_from_here(metrics: DaemonMetrics, ledger: Ledger) -> None:
    """Take what the ledger has by now as counted: earlier daemons counted it."""
    with ledger.reading() as connection:
        for book in books.books(connection):
            strategy = book.key.strategy
            metrics.begin_at(m.TRADES, _fills(connection, strategy), strategy=strategy)
            for state, count in _ended(connection, strategy).items():
                metrics.begin_at(m.ORDERS, count, strategy=strategy, status=state)


def tell_sources(metrics: DaemonMetrics, clock: Clock, strategy: str, catalog: Catalog) -> None:
    """Set the metrics of a strategy's sources: rows and age (none for a static one). Sources it no longer has are
    removed.
    """
    for name, source in catalog.sources.items():
        metrics.put(m.DATA_ROWS, len(source.dates), strategy=strategy, source=name)
        if not source.static and len(source.dates):
            newest = newest_s(source)
            metrics.follow(
                m.DATA_AGE,
                lambda newest=newest: clock.now().timestamp() - newest,  # type: ignore[misc]
                strategy=strategy,
                source=name,
            )
    for metric in (m.DATA_ROWS, m.DATA_AGE):
        metrics.keep_only(metric, "source", catalog.sources.keys(), strategy=strategy)


def newest_s(source: Source) -> float:
    """Return the newest date of a source's values, in seconds since the epoch. For an as-of source: the value's date,
    not its availability.
    """
    if source.events is not None:
        return float(source.events.newest[-1]) * 86_400.0
    return float(source.dates[-1].astype("datetime64[ms]").astype(np.int64)) / 1000


def tell_book(metrics: DaemonMetrics, ledger: Ledger, key: BookKey) -> None:
    """Set the metrics of a book as it is now."""
    strategy = key.strategy
    with ledger.reading() as connection:
        held = sum(1 for p in books.positions(connection, key) if p.quantity)
        navs, highest = books.last_navs(connection, key, 2), books.highest_nav(connection, key)
        turnovers = runs.past_turnovers(connection, strategy, key.portfolio, 1)
        fills, ended = _fills(connection, strategy), _ended(connection, strategy)
    metrics.put(m.POSITIONS, held, strategy=strategy)
    metrics.reach(m.TRADES, fills, strategy=strategy)
    for state, count in ended.items():
        metrics.reach(m.ORDERS, count, strategy=strategy, status=state)
    if turnovers:
        metrics.put(m.TURNOVER, turnovers[-1], strategy=strategy)
    if navs and highest is not None:
        _tell_navs(metrics, strategy, navs, float(highest))


def tell_doubts(metrics: DaemonMetrics, ledger: Ledger, run: str, strategy: str) -> None:
    """Count the orders of a run without a known outcome."""
    with ledger.reading() as connection:
        doubtful = sum(1 for i in orders.of_run(connection, run) if i.state in UNRESOLVED)
    metrics.add(m.ORDERS, doubtful, strategy=strategy, status=IntentState.UNKNOWN)


def _tell_navs(metrics: DaemonMetrics, strategy: str, navs: tuple[Nav, ...], highest: float) -> None:
    last, worth = navs[-1], [float(nav.nav) for nav in navs]
    metrics.put(m.NAV, worth[-1], strategy=strategy)
    if worth[-1]:
        metrics.put(m.GROSS, float(last.gross / last.nav), strategy=strategy)
        metrics.put(m.NET, float(last.net / last.nav), strategy=strategy)
    if highest > 0:
        metrics.put(m.DRAWDOWN, 1 - worth[-1] / highest, strategy=strategy)
    if len(worth) > 1 and worth[-2]:
        metrics.put(m.DAILY_RETURN, worth[-1] / worth[-2] - 1, strategy=strategy)


def _fills(connection: sqlite3.Connection, strategy: str) -> int:
    return sum(book_counts.fills(connection, b.key) for b in books.books(connection) if b.key.strategy == strategy)


def _ended(connection: sqlite3.Connection, strategy: str) -> dict[str, int]:
    """Return the orders of a strategy by their end; every kind of end, also with 0."""
    total = dict.fromkeys(map(str, _ENDS), 0)
    for book in books.books(connection):
        if book.key.strategy == strategy:
            for state, count in book_counts.ended(connection, book.key).items():
                total[state] += count
    return total
