"""Queries of the ledger's past with bounded cost: pages of runs, orders and fills; the track of a book.

Read-only functions over a connection; none takes more than some milliseconds on ten years of sessions, 5,000 positions
and 100,000 orders. Pages continue from a key that an index has in order, never from an offset, so that rows added
meanwhile neither repeat nor hide one. Sums of a run are in `run_totals`, kept by triggers.

Numbers are floats, for display. Exact ones are in `orders.py` and `books.py`. Positions are in `holding.py`, audit
records in `recent.py`.
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sigc.store.history import book_worth
from sigc.store.history.conditions import conditions
from sigc.store.history.track import Close, Day, days
from sigc.store.ledger import adjustments, books, orders
from sigc.store.ledger.records import BookKey, Filled
from sigc.store.ledger.waiting import waiting_of
from sigc.store.ledger.waiting_orders import WaitingOrders

# Exactly the states of the indexes intents_in_flight and intents_ended_early.
_OPEN = ("planned", "sending", "unknown", "acknowledged", "partially_filled")
_EARLY = ("cancelled", "expired", "rejected", "denied")


class CursorError(Exception):
    """A cursor of another list."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run in a line: a run order of the daemon, or a run without a daemon.

    at: its start; filled: open, all, part or none of what the broker took of its orders, '' for a run without any.
    waiting: its orders that wait for the open.
    """

    id: str
    strategy: str
    portfolio: str
    kind: str
    at: datetime
    finished: datetime | None
    outcome: str
    message: str
    session: str
    as_of: str
    job: str
    who: str
    reason: str
    filled: str = ""
    waiting: WaitingOrders | None = None


@dataclass(frozen=True, slots=True)
class OrderTotals:
    """The totals of a run's orders, in money. referenced: its fills at the prices that their orders were sized by.

    slippage: how much worse the fills were, in money and basis points; negative if better.
    """

    orders: int = 0
    ordered: float = 0.0
    fills: int = 0
    traded: float = 0.0
    commission: float = 0.0
    slippage: float = 0.0
    referenced: float = 0.0
    slippage_bps: float = 0.0


@dataclass(frozen=True, slots=True)
class PastOrder:
    """An order in a line. price: its limit, else the one it was sized by. sent: None if it never was."""

    client_order_id: str
    run: str
    strategy: str
    portfolio: str
    session: str
    asset: str
    side: str
    quantity: float
    price: float
    state: str
    filled: float
    sent: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class PastFill:
    """An execution in a line. run, strategy: '' if the order is not in this ledger."""

    execution_id: str
    client_order_id: str
    run: str
    strategy: str
    asset: str
    side: str
    quantity: float
    price: float
    commission: float
    slippage_bps: float
    at: datetime


@dataclass(frozen=True, slots=True)
class BookTrack:
    """A book and its sessions, with the totals of its orders by session."""

    book: books.Book
    days: tuple[Day, ...]
    totals: Mapping[str, OrderTotals] = field(default_factory=dict)


def book_of(connection: sqlite3.Connection, strategy: str, portfolio: str = "") -> books.Book | None:
    """Return the book of a strategy: of that portfolio, else its first; None without one."""
    found = (b for b in books.books(connection) if b.key.strategy == strategy and portfolio in ("", b.key.portfolio))
    return next(found, None)


def track_mark(connection: sqlite3.Connection, key: BookKey) -> tuple[object, ...]:
    """Return a value that changes whenever a book's track may: its newest session, the newest order and fill of all."""
    found: tuple[object, ...] = connection.execute(
        "SELECT (SELECT max(session) FROM nav WHERE strategy = ? AND portfolio = ?),"
        " (SELECT max(number) FROM intents), (SELECT max(number) FROM fills)",
        (key.strategy, key.portfolio),
    ).fetchone()
    return found


def track(connection: sqlite3.Connection, book: books.Book) -> BookTrack:
    """Return all sessions of a book, with the orders of each."""
    key = (book.key.strategy, book.key.portfolio)
    rows = connection.execute(
        "SELECT session, CAST(nav AS REAL), CAST(gross AS REAL), CAST(net AS REAL) FROM nav"
        " WHERE strategy = ? AND portfolio = ? ORDER BY session",
        key,
    )
    closes = [Close(*row) for row in rows]
    totals = _totals(connection, "r.strategy = ? AND r.portfolio = ? AND r.traded = 1", key)
    ordered = {session: one.ordered for session, one in totals.items()}
    return BookTrack(book, days(float(book.capital), closes, ordered, _flows(connection, book.key)), totals)


def _flows(connection: sqlite3.Connection, key: BookKey) -> dict[str, float | None]:
    """Return the money that came or left without being earned, by the session whose close has it."""
    if not adjustments.of_book(connection, key):
        return {}
    worth = book_worth.of_book(connection, key).closes
    return {close.session: None if close.flow is None else float(close.flow) for close in worth}


def _totals(connection: sqlite3.Connection, where: str, values: Sequence[object]) -> dict[str, OrderTotals]:
    """Return the totals of runs, summed by the session that they traded for."""
    rows = connection.execute(
        "SELECT r.session, sum(t.orders), sum(t.ordered), sum(t.fills), sum(t.traded), sum(t.commission),"  # noqa: S608
        f" sum(t.slippage), sum(t.referenced) FROM runs r JOIN run_totals t ON t.run = r.id WHERE {where}"
        " GROUP BY r.session",
        values,
    )
    return {session: _total(*row) for session, *row in rows}


def _total(
    count: int, ordered: float, fills: int, traded: float, commission: float, slippage: float, referenced: float
) -> OrderTotals:
    bps = 1e4 * slippage / referenced if referenced else 0.0
    return OrderTotals(count, ordered, fills, traded, commission, slippage, referenced, bps)


def summed(totals: Iterable[OrderTotals]) -> OrderTotals:
    """Return several totals as one; slippage in basis points is weighted by the filled value."""
    found = list(totals)
    return _total(
        sum(t.orders for t in found),
        sum(t.ordered for t in found),
        sum(t.fills for t in found),
        sum(t.traded for t in found),
        sum(t.commission for t in found),
        sum(t.slippage for t in found),
        sum(t.referenced for t in found),
    )


def totals_of(connection: sqlite3.Connection, run: str) -> OrderTotals:
    """Return the totals of a run's orders; zeros without orders."""
    row = connection.execute(
        "SELECT orders, ordered, fills, traded, commission, slippage, referenced FROM run_totals WHERE run = ?", (run,)
    ).fetchone()
    return OrderTotals() if row is None else _total(*row)


@dataclass(frozen=True, slots=True)
class RunsWanted:
    """A selection of runs: '' for any. before: the `cursor` of the last one seen; since: an ISO instant in UTC."""

    strategy: str = ""
    kind: str = ""
    outcome: str = ""
    before: str = ""
    most: int = 50
    since: str = ""


def runs_page(connection: sqlite3.Connection, wanted: RunsWanted, now: datetime | None = None) -> tuple[PastRun, ...]:
    """Return runs by start, newest first: run orders of the daemon, and runs without a daemon.

    now: at which orders may wait for the open; None: that is not looked at.
    """
    ordered = (
        "SELECT o.id, o.strategy, o.portfolio, o.kind, o.asked, ifnull(o.finished, ''), o.outcome, o.message,"
        " o.session, o.as_of, o.job, o.who, o.reason FROM run_orders o WHERE 1"
    )
    alone = (
        "SELECT o.id, o.strategy, o.portfolio, o.kind, o.started, ifnull(o.finished, ''), o.outcome, o.message,"
        " o.session, o.as_of, '', o.who, o.reason FROM runs o"
        " WHERE NOT EXISTS (SELECT 1 FROM run_orders d WHERE d.id = o.id)"
    )
    found = [_runs(connection, text, at, wanted) for text, at in ((ordered, "asked"), (alone, "started"))]
    # Both lists come sorted from an index; the merge reads no more of them than a page.
    merged = heapq.merge(*found, key=lambda run: (run.at, run.id), reverse=True)
    page = tuple(itertools.islice(merged, wanted.most))
    filled = orders.filled_of(connection, [run.id for run in page])
    open_ = [id for id, what in filled.items() if what is Filled.OPEN]
    waiting = {} if now is None else waiting_of(connection, open_, now)
    return tuple(replace(run, filled=filled.get(run.id, ""), waiting=waiting.get(run.id)) for run in page)


def run_cursor(run: PastRun) -> str:
    """Return the cursor of the page after this run."""
    return f"{run.at.isoformat()}|{run.id}"


def _runs(connection: sqlite3.Connection, text: str, at: str, wanted: RunsWanted) -> Iterator[PastRun]:
    where, values = conditions(
        {"o.strategy = ?": wanted.strategy, "o.kind = ?": wanted.kind, "o.outcome = ?": wanted.outcome}
    )
    if wanted.since:
        where += f" AND o.{at} >= ?"
        values += (wanted.since,)
    if wanted.before:
        where += f" AND (o.{at}, o.id) < (?, ?)"
        values += wanted.before.partition("|")[::2]
    query = f"{text}{where} ORDER BY o.{at} DESC, o.id DESC LIMIT ?"
    return (_past_run(row) for row in connection.execute(query, (*values, wanted.most)).fetchall())


def _past_run(row: Sequence[Any]) -> PastRun:
    id, strategy, portfolio, kind, at, finished, *rest = row
    return PastRun(id, strategy, portfolio, kind, datetime.fromisoformat(at), _instant(finished), *rest)


def _instant(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@dataclass(frozen=True, slots=True)
class OrdersWanted:
    """A selection of orders: '' for any. state: `open` for those that may still be filled. before: the cursor of a
    page.
    """

    strategy: str = ""
    state: str = ""
    run: str = ""
    before: str = ""
    most: int = 50


_ORDER = (
    "i.client_order_id, i.run, r.strategy, r.portfolio, r.session, i.asset, i.side,"
    " CAST(i.quantity AS REAL), CAST(ifnull(i.limit_price, i.reference) AS REAL), i.state, CAST(i.filled AS REAL),"
    " ifnull(i.sent_at, ''), substr(i.message, 1, 200)"
)


def orders_page(connection: sqlite3.Connection, wanted: OrdersWanted) -> tuple[tuple[PastOrder, ...], str]:
    """Return orders and the next cursor: the newest run's first, each run's from its last to its first.

    Open orders, and those that ended early, are few and have their own index: they come newest first.
    """
    where, values = conditions({"r.strategy = ?": wanted.strategy, "r.id = ?": wanted.run})
    key: tuple[str, ...] = ("i.number",)
    if wanted.state == "open":
        source = f"intents i CROSS JOIN runs r ON r.id = i.run WHERE i.state IN {_OPEN}"
    elif wanted.state in _OPEN:
        source = f"intents i CROSS JOIN runs r ON r.id = i.run WHERE i.state IN {_OPEN} AND i.state = ?"
        values.insert(0, wanted.state)
    elif wanted.state in _EARLY:
        source = f"intents i CROSS JOIN runs r ON r.id = i.run WHERE i.state IN {_EARLY} AND i.state = ?"
        values.insert(0, wanted.state)
    else:
        key, source = ("r.number", "i.place"), "runs r CROSS JOIN intents i ON i.run = r.id WHERE r.traded = 1"
        where += " AND i.state = ?" if wanted.state else ""
        values += [wanted.state] if wanted.state else []
    rows, cursor = _page(connection, key, _ORDER, f"{source}{where}", values, wanted)
    told = ((*own, _instant(sent), message) for *own, sent, message in rows)
    return tuple(PastOrder(*row) for row in told), cursor


def _page(
    connection: sqlite3.Connection,
    key: tuple[str, ...],
    columns: str,
    source: str,
    values: Sequence[object],
    wanted: OrdersWanted | FillsWanted,
) -> tuple[list[tuple[Any, ...]], str]:
    """Return a page of rows by `key`, the greatest first, and its cursor: the key of its last row, '' at the end.

    The first column is compared by itself as well: SQLite enters an index by it, not by a row value over several
    tables.
    """
    before: tuple[int, ...] = ()
    if wanted.before:
        before = tuple(int(part) for part in wanted.before.split("."))
        if len(before) != len(key):
            raise CursorError(f"the cursor '{wanted.before}' belongs to another list")
        source += f" AND {key[0]} <= ? AND ({', '.join(key)}) < ({', '.join('?' * len(key))})"
    ordering = ", ".join(f"{column} DESC" for column in key)
    rows = connection.execute(
        f"SELECT {', '.join(key)}, {columns} FROM {source} ORDER BY {ordering} LIMIT ?",  # noqa: S608
        (*values, *before[:1], *before, wanted.most),
    ).fetchall()
    cursor = ".".join(str(part) for part in rows[-1][: len(key)]) if len(rows) == wanted.most else ""
    return [row[len(key) :] for row in rows], cursor


@dataclass(frozen=True, slots=True)
class FillsWanted:
    """A selection of fills: '' for any."""

    strategy: str = ""
    run: str = ""
    before: str = ""
    most: int = 50


_FILL = (
    "f.execution_id, f.client_order_id, ifnull(r.id, ''), ifnull(r.strategy, ''), f.asset, f.side,"
    " CAST(f.quantity AS REAL), CAST(f.price AS REAL), CAST(f.commission AS REAL),"
    " ifnull((CAST(f.price AS REAL) / CAST(i.reference AS REAL) - 1) * CASE f.side WHEN 'buy' THEN 1e4 ELSE -1e4 END,"
    " 0.0), f.at"
)


def fills_page(connection: sqlite3.Connection, wanted: FillsWanted) -> tuple[tuple[PastFill, ...], str]:
    """Return fills, newest first (of one strategy or run: the newest run's first), and the next cursor."""
    if not wanted.strategy and not wanted.run:
        source = "fills f LEFT JOIN intents i USING (client_order_id) LEFT JOIN runs r ON r.id = i.run WHERE 1"
        rows, cursor = _page(connection, ("f.number",), _FILL, source, (), wanted)
    else:
        where, values = conditions({"r.strategy = ?": wanted.strategy, "r.id = ?": wanted.run})
        source = "runs r CROSS JOIN intents i ON i.run = r.id CROSS JOIN fills f USING (client_order_id)"
        key = ("r.number", "i.place", "f.number")
        rows, cursor = _page(connection, key, _FILL, f"{source} WHERE r.traded = 1{where}", values, wanted)
    told = ((*own, datetime.fromisoformat(at)) for *own, at in rows)
    return tuple(PastFill(*row) for row in told), cursor


def open_orders(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Return the number of orders that may still be filled, by strategy and state."""
    rows = connection.execute(
        "SELECT r.strategy, i.state, count(*) FROM intents i CROSS JOIN runs r ON r.id = i.run"  # noqa: S608
        f" WHERE i.state IN {_OPEN} GROUP BY r.strategy, i.state ORDER BY r.strategy, i.state"
    )
    found: dict[str, dict[str, int]] = {}
    for strategy, state, count in rows:
        found.setdefault(strategy, {})[state] = count
    return found


@dataclass(frozen=True, slots=True)
class TradesWanted:
    """A selection of runs that traded. before: a run's number, 0 for the first page."""

    strategy: str
    portfolio: str = ""
    before: int = 0
    most: int = 250


def trades_page(connection: sqlite3.Connection, wanted: TradesWanted) -> tuple[tuple[PastRun, ...], int]:
    """Return the newest runs of a strategy that traded, and the number at which the next page continues, 0 for none."""
    rows = connection.execute(
        "SELECT number, id, strategy, portfolio, kind, started, ifnull(finished, ''), outcome, message, session, as_of,"
        " '', who, reason FROM runs WHERE strategy = ? AND traded = 1 AND number < ? AND ? IN ('', portfolio)"
        " ORDER BY number DESC LIMIT ?",
        (wanted.strategy, wanted.before or 1 << 62, wanted.portfolio, wanted.most),
    ).fetchall()
    return tuple(_past_run(row[1:]) for row in rows), rows[-1][0] if len(rows) == wanted.most else 0
