"""Books in the ledger: cash and positions per (strategy, portfolio), changed by fills and charges, valued at closes.

A fill is identified by the broker's execution id; recording it is idempotent. A broker report is stored in one
transaction (`take_in`): its fills, its charges and the cursor for the next request.

Invariant of every commit: cash = capital + cash of the book's fills + its charges + cash of its entries; receivables =
sum of its entries' receivables; a position = sum of its fills and of its entries' changes (`action_booking.py` and
`adjustments.py` write entries, `proof.py` checks the sums by the audit chain).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import action_booking as booking
from sigc.store.ledger import action_rows, adjustments, orders
from sigc.store.ledger.accounts import add_cash, holders, moved, position, put_position
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import ZERO, BookKey, Charge, Fill, Nav, Position, RunKey, Side

_CENT = Decimal("0.01")
_OF_ACTION = "action "  # prefix of the charges by which a simulated broker books a corporate action
_DIVIDEND, _NEAR = "dividend", timedelta(days=10)  # a broker pays late: five sessions, a weekend and a holiday
_OF_BOOK = "JOIN intents i USING (client_order_id) JOIN runs r ON r.id = i.run WHERE r.strategy = ? AND r.portfolio = ?"


@dataclass(frozen=True, slots=True)
class Book:
    """A book's money. opened: the instant at which it got its capital. anchor: the as-of day of its first run.

    receivables: money that corporate actions owe it, less money it owes because of them. funded: the name of its
    deposit at a simulated broker.
    """

    key: BookKey
    capital: Decimal
    cash: Decimal
    opened: datetime
    anchor: str
    receivables: Decimal = ZERO
    funded: str = ""


def open_book(tx: Transaction, key: BookKey, capital: Decimal, at: datetime, anchor: str = "") -> Book:
    """Return the book; open it with its capital if it does not exist. anchor: the as-of day of its first run."""
    known = book(tx.connection, key)
    if known is not None:
        return known
    anchor = anchor or str(at.date())
    taken = {one.funded for one in books(tx.connection)}
    first = f"{key.strategy}/{key.portfolio}"
    funded = first if first not in taken else f"{first}/{at.isoformat()}"  # a renamed book had that name before
    tx.connection.execute(
        "INSERT INTO books (strategy, portfolio, capital, cash, opened, anchor, funded) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key.strategy, key.portfolio, str(capital), str(capital), at.isoformat(), anchor, funded),
    )
    action_rows.put_watermark(tx, key, "", anchor, "opened")  # it held nothing before
    said = {"capital": capital, "anchor": anchor}
    tx.audit(AuditEvent("book.opened", said, strategy=key.strategy, portfolio=key.portfolio))
    return Book(key, capital, capital, at, anchor, funded=funded)


def book(connection: sqlite3.Connection, key: BookKey) -> Book | None:
    """Return a book, None before it is opened."""
    row = connection.execute(
        "SELECT capital, cash, opened, anchor, receivables, funded FROM books WHERE strategy = ? AND portfolio = ?",
        (key.strategy, key.portfolio),
    ).fetchone()
    return None if row is None else _book(key, *row)


def books(connection: sqlite3.Connection) -> tuple[Book, ...]:
    """Return all books, by key."""
    rows = connection.execute(
        "SELECT strategy, portfolio, capital, cash, opened, anchor, receivables, funded FROM books"
        " ORDER BY strategy, portfolio"
    )
    return tuple(_book(BookKey(s, p), *rest) for s, p, *rest in rows)


def _book(key: BookKey, capital: str, cash: str, opened: str, anchor: str, owed: str, funded: str) -> Book:
    return Book(key, Decimal(capital), Decimal(cash), datetime.fromisoformat(opened), anchor, Decimal(owed), funded)


def positions(connection: sqlite3.Connection, key: BookKey | None = None) -> tuple[Position, ...]:
    """Return the positions of a book, or of every book, by asset."""
    rows = connection.execute(
        "SELECT strategy, portfolio, asset, quantity, average_price FROM positions"
        " WHERE ? IS NULL OR (strategy = ? AND portfolio = ?) ORDER BY strategy, portfolio, asset",
        (None, None, None) if key is None else (key.strategy, key.strategy, key.portfolio),
    )
    return tuple(Position(BookKey(s, p), a, Decimal(q), Decimal(c)) for s, p, a, q, c in rows)


def quantities(connection: sqlite3.Connection, key: BookKey) -> dict[str, Decimal]:
    """Return the quantity by asset of a book, without zeros."""
    return {p.asset: p.quantity for p in positions(connection, key)}


def quantity_of_all(connection: sqlite3.Connection, asset: str) -> Decimal:
    """Return what all books together hold of an asset, signed."""
    rows = connection.execute("SELECT quantity FROM positions WHERE asset = ?", (asset,))
    return sum((Decimal(quantity) for (quantity,) in rows), ZERO)


def cursor(connection: sqlite3.Connection) -> str:
    """Return the position up to which the broker's activities are recorded."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'activities'").fetchone()
    return "" if row is None else str(row[0])


def take_in(tx: Transaction, fills: tuple[Fill, ...], charges: tuple[Charge, ...], to: str) -> tuple[Fill, ...]:
    """Record a broker report, skip what is known already, and return the new fills.

    A fill from before a booked corporate action causes a correction of that action, in the same transaction.
    """
    # Order: fills, then corrections, then charges, which are shared by the positions that result.
    new = tuple(f for f in fills if _add_fill(tx, f))
    if new:
        booking.book_again(tx)
    for charge in charges:
        _add_charge(tx, charge)
    tx.connection.execute(
        "INSERT INTO meta (key, value) VALUES ('activities', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (to,),
    )
    return new


def _add_fill(tx: Transaction, fill: Fill) -> bool:
    added = tx.connection.execute(
        "INSERT OR IGNORE INTO fills (execution_id, client_order_id, asset, side, quantity, price, commission, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(fill.execution_id, fill.client_order_id, fill.asset, fill.side, str(fill.quantity), str(fill.price)),
            *(str(fill.commission), fill.at.isoformat()),
        ),
    )
    if added.rowcount == 0:
        return False
    said: dict[str, object] = {
        "execution_id": fill.execution_id,
        "client_order_id": fill.client_order_id,
        "asset": fill.asset,
    }
    said |= {"side": fill.side, "quantity": fill.quantity, "price": fill.price, "commission": fill.commission}
    intent = orders.get(tx.connection, fill.client_order_id)
    if intent is None:
        tx.audit(AuditEvent("fill.foreign", said | {"at": fill.at}))  # an order that this ledger did not send
        return True
    # The fill is new (INSERT OR IGNORE inserted it), so order, position and cash change exactly once.
    orders.filled(tx, intent, fill.quantity)
    key = BookKey(intent.key.strategy, intent.key.portfolio)
    adjustments.take_back(tx, key, fill)  # first: the fill brings its own cost
    held = _move_position(tx, key, fill)
    add_cash(tx, key, fill.cash)
    action_rows.fill_came(tx, fill.asset, fill.at)
    name = "fill" if intent.filled + fill.quantity <= intent.quantity else "fill.excess"
    said |= {"at": fill.at, "slippage_bps": _slippage_bps(fill, intent.reference), "position": held}
    tx.audit(AuditEvent(name, said, intent.run, key.strategy, key.portfolio))
    return True


def _slippage_bps(fill: Fill, reference: Decimal) -> float:
    """Return how much worse than the order's reference price the fill is, in basis points; negative if better."""
    return round(float((fill.price / reference - 1) * fill.side.sign * 10_000), 4) if reference else 0.0


def _move_position(tx: Transaction, key: BookKey, fill: Fill) -> Decimal:
    after, price = moved_position(*position(tx, key, fill.asset), fill)
    put_position(tx, key, fill.asset, after, price)
    return after


def moved_position(held: Decimal, average: Decimal, fill: Fill) -> tuple[Decimal, Decimal]:
    """Return (quantity, average price) after a fill: averaged when it adds, kept when it reduces, new when it turns.

    >>> at = datetime(2024, 1, 2)
    >>> fill = Fill("e1", "o1", "AAPL", Side.BUY, Decimal(10), Decimal(30), ZERO, at)
    >>> moved_position(Decimal(10), Decimal(20), fill)
    (Decimal('20'), Decimal('25.0000000000'))
    """
    return moved(held, average, fill.side.sign * fill.quantity, fill.price)


def _add_charge(tx: Transaction, charge: Charge) -> None:
    added = tx.connection.execute(
        "INSERT OR IGNORE INTO charges (id, kind, asset, amount, at) VALUES (?, ?, ?, ?, ?)",
        (charge.id, charge.kind, charge.asset, str(charge.amount), charge.at.isoformat()),
    )
    if added.rowcount == 0:
        return
    said: dict[str, object] = {
        "id": charge.id,
        "kind": charge.kind,
        "asset": charge.asset,
        "amount": charge.amount,
        "at": charge.at,
    }
    if _is_booked(tx.connection, charge):
        tx.audit(AuditEvent("charge.of_action", said))
        return
    shares = _shares(tx.connection, charge)
    if not shares:
        tx.audit(AuditEvent("charge.foreign", said))
    for key, amount in shares.items():
        add_cash(tx, key, amount)
        tx.connection.execute(
            "INSERT INTO charge_shares (id, strategy, portfolio, amount) VALUES (?, ?, ?, ?)",
            (charge.id, key.strategy, key.portfolio, str(amount)),
        )
        tx.audit(AuditEvent("charge", said | {"share": amount}, strategy=key.strategy, portfolio=key.portfolio))


def _is_booked(connection: sqlite3.Connection, charge: Charge) -> bool:
    """Return True if the ledger books the charge itself, as a corporate action.

    True for a simulated broker's action charge, and for a dividend with an entry within ten days: it must not be paid
    twice.
    """
    if charge.kind.startswith(_OF_ACTION):
        return True
    since, until = (str((charge.at + days).date()) for days in (-_NEAR, _NEAR))
    return charge.kind == _DIVIDEND and action_rows.was_booked(connection, charge.asset, _DIVIDEND, since, until)


def _shares(connection: sqlite3.Connection, charge: Charge) -> Mapping[BookKey, Decimal]:
    """Return the share of each book in a charge: by size for books that hold the asset (short, for a fee), else by
    capital.

    If some book is short, only the short ones share. The last book takes the rounding difference.
    """
    held = holders(connection, charge.asset)
    sizes = {key: -quantity for key, quantity in held.items() if quantity < 0} or held
    sizes = sizes or {b.key: b.capital for b in books(connection)}
    total, left = sum(sizes.values(), ZERO), charge.amount
    shares: dict[BookKey, Decimal] = {}
    for key in sorted(sizes):
        is_last = key == max(sizes)
        shares[key] = left if is_last else (charge.amount * sizes[key] / total).quantize(_CENT, ROUND_HALF_EVEN)
        left -= shares[key]
    return shares


def has_traded(connection: sqlite3.Connection, asset: str) -> bool:
    """Return True if any book has a fill of the asset."""
    return connection.execute("SELECT 1 FROM fills WHERE asset = ? LIMIT 1", (asset,)).fetchone() is not None


def fills_of(connection: sqlite3.Connection, run: str) -> tuple[Fill, ...]:
    """Return the fills of a run's orders, in order of arrival."""
    return _fills(connection, "JOIN intents i USING (client_order_id) WHERE i.run = ?", run)


def count_fills(connection: sqlite3.Connection, run: str) -> int:
    """Return the number of fills of a run's orders."""
    query = "SELECT count(*) FROM fills JOIN intents USING (client_order_id) WHERE run = ?"
    return int(connection.execute(query, (run,)).fetchone()[0])


def fills_of_book(connection: sqlite3.Connection, key: BookKey, after: datetime | None = None) -> tuple[Fill, ...]:
    """Return the fills of a book in order of arrival; with `after`, only those executed after that instant."""
    if after is None:
        return _fills(connection, _OF_BOOK, key.strategy, key.portfolio)
    # From the newest fills of all books on: the book's own would be looked for among all orders it ever had.
    where = _OF_BOOK.replace("JOIN", "CROSS JOIN") + " AND f.at > ?"
    return _fills(connection, where, key.strategy, key.portfolio, after.isoformat())


def newest_fill(connection: sqlite3.Connection) -> datetime | None:
    """Return the instant of the newest fill of any book, None before the first."""
    (at,) = connection.execute("SELECT max(at) FROM fills").fetchone()
    return None if at is None else datetime.fromisoformat(at)


def fills_of_session(connection: sqlite3.Connection, key: RunKey) -> tuple[Fill, ...]:
    """Return the fills of all orders of a book for a session."""
    return _fills(connection, f"{_OF_BOOK} AND r.session = ?", key.strategy, key.portfolio, key.session)


def _fills(connection: sqlite3.Connection, where: str, *values: str) -> tuple[Fill, ...]:
    """Return the fills of a condition. The plus in ORDER BY sorts the few rows found: without it SQLite may scan all
    fills.
    """
    rows = connection.execute(
        "SELECT f.execution_id, f.client_order_id, f.asset, f.side, f.quantity, f.price, f.commission, f.at"  # noqa: S608
        f" FROM fills f {where} ORDER BY +f.number",
        values,
    )
    return tuple(
        Fill(e, c, a, Side(s), Decimal(q), Decimal(p), Decimal(m), datetime.fromisoformat(at))
        for e, c, a, s, q, p, m, at in rows
    )


def foreign_fills(connection: sqlite3.Connection) -> tuple[Fill, ...]:
    """Return the fills of orders that this ledger did not send, in order of arrival: they are in no book."""
    told = connection.execute("SELECT record FROM audit WHERE event = 'fill.foreign' ORDER BY seq")
    ids = [str(json.loads(record)["payload"]["execution_id"]) for (record,) in told]
    return tuple(fill for id in ids for fill in _fills(connection, "WHERE f.execution_id = ?", id))


def charged(connection: sqlite3.Connection, key: BookKey, after: datetime | None = None) -> Decimal:
    """Return the sum of the charges of a book; with `after`, only those after that instant."""
    rows = connection.execute(
        "SELECT s.amount FROM charges c CROSS JOIN charge_shares s USING (id)"
        " WHERE s.strategy = ? AND s.portfolio = ? AND c.at > ?",
        (key.strategy, key.portfolio, "" if after is None else after.isoformat()),
    )
    return sum((Decimal(amount) for (amount,) in rows), ZERO)


def charges_by_day(connection: sqlite3.Connection, key: BookKey) -> dict[str, Decimal]:
    """Return the charges of a book, summed by the UTC date of the charge."""
    rows = connection.execute(
        "SELECT c.at, s.amount FROM charges c CROSS JOIN charge_shares s USING (id)"
        " WHERE s.strategy = ? AND s.portfolio = ? ORDER BY c.at",
        (key.strategy, key.portfolio),
    )
    found: dict[str, Decimal] = {}
    for at, amount in rows:
        found[at[:10]] = found.get(at[:10], ZERO) + Decimal(amount)
    return found


def put_nav(tx: Transaction, nav: Nav) -> None:
    """Record the NAV of a book at a close; a known session is left unchanged."""
    key = nav.book
    added = tx.connection.execute(
        "INSERT OR IGNORE INTO nav (strategy, portfolio, session, nav, cash, gross, net, receivables)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(key.strategy, key.portfolio, nav.session, str(nav.nav), str(nav.cash), str(nav.gross), str(nav.net)),
            str(nav.receivables),
        ),
    )
    if added.rowcount:
        said = {"session": nav.session, "nav": nav.nav, "cash": nav.cash, "gross": nav.gross, "net": nav.net}
        said |= {"receivables": nav.receivables} if nav.receivables else {}
        tx.audit(AuditEvent("nav", said, strategy=key.strategy, portfolio=key.portfolio))


def navs(connection: sqlite3.Connection, key: BookKey, after: str = "") -> tuple[Nav, ...]:
    """Return the NAVs of a book at the closes after a session, in order."""
    rows = connection.execute(
        "SELECT session, basis, nav, cash, gross, net, receivables FROM nav WHERE strategy = ? AND portfolio = ?"
        " AND session > ? ORDER BY session",
        (key.strategy, key.portfolio, after),
    )
    return tuple(_nav(key, *row) for row in rows)


def last_nav(connection: sqlite3.Connection, key: BookKey) -> Nav | None:
    """Return the newest NAV of a book, None before the first close."""
    return next(iter(last_navs(connection, key, 1)), None)


def last_navs(connection: sqlite3.Connection, key: BookKey, number: int) -> tuple[Nav, ...]:
    """Return the newest NAVs of a book, so many at most, in order."""
    rows = connection.execute(
        "SELECT session, basis, nav, cash, gross, net, receivables FROM nav WHERE strategy = ? AND portfolio = ?"
        " ORDER BY session DESC LIMIT ?",
        (key.strategy, key.portfolio, number),
    )
    return tuple(_nav(key, *row) for row in rows)[::-1]


def highest_nav(connection: sqlite3.Connection, key: BookKey) -> Decimal | None:
    """Return the highest NAV that a book ever had at a close, None before the first."""
    row = connection.execute(
        "SELECT nav FROM nav WHERE strategy = ? AND portfolio = ? ORDER BY CAST(nav AS REAL) DESC LIMIT 1",
        (key.strategy, key.portfolio),
    ).fetchone()
    return None if row is None else Decimal(row[0])


def _nav(key: BookKey, session: str, basis: str, *money: str) -> Nav:
    nav, cash, gross, net, receivables = (Decimal(v) for v in money)
    return Nav(key, session, nav, cash, gross, net, receivables, basis)


def declared_until(connection: sqlite3.Connection, key: BookKey) -> str:
    """Return the last session whose NAV used prices as declared (by an older sigc), '' for none."""
    (session,) = connection.execute(
        "SELECT max(session) FROM nav WHERE strategy = ? AND portfolio = ? AND basis = 'declared'",
        (key.strategy, key.portfolio),
    ).fetchone()
    return str(session or "")
