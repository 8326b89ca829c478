"""Orders in the ledger: intents and their states; each change is written with its audit record.

    planned -> sending -> acknowledged | rejected | unknown        the outcome of one request
    unknown -> acknowledged | rejected | planned                   looked up: found, refused, or certainly absent
    planned -> denied | expired | cancelled                        never sent
    acknowledged -> partially_filled -> filled | cancelled | expired
    expired | cancelled -> acknowledged                            given up as absent, and then it arrived after all

After a crash `sending` means `unknown`: the order may or may not be in the broker's book.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import (
    BookKey,
    Filled,
    Intent,
    IntentState,
    OrderType,
    RunKey,
    RunKind,
    Side,
    TimeInForce,
)

S = IntentState
# Allowed predecessors of each state.
_FROM: Mapping[IntentState, frozenset[IntentState]] = MappingProxyType(
    {
        S.PLANNED: frozenset({S.SENDING, S.UNKNOWN}),
        S.SENDING: frozenset({S.PLANNED}),
        S.UNKNOWN: frozenset({S.SENDING}),
        S.ACKNOWLEDGED: frozenset({S.SENDING, S.UNKNOWN, S.PLANNED}),
        S.PARTIALLY_FILLED: frozenset({S.SENDING, S.UNKNOWN, S.PLANNED, S.ACKNOWLEDGED, S.PARTIALLY_FILLED}),
        S.FILLED: frozenset(S) - {S.FILLED},
        S.CANCELLED: frozenset({S.PLANNED, S.SENDING, S.UNKNOWN, S.ACKNOWLEDGED, S.PARTIALLY_FILLED}),
        S.EXPIRED: frozenset({S.PLANNED, S.SENDING, S.UNKNOWN, S.ACKNOWLEDGED, S.PARTIALLY_FILLED}),
        S.REJECTED: frozenset({S.SENDING, S.UNKNOWN, S.ACKNOWLEDGED}),
        S.DENIED: frozenset({S.PLANNED}),
    }
)
# Exactly as in the index `intents_in_flight`, or SQLite does not use it.
_IN_FLIGHT = "('planned', 'sending', 'unknown', 'acknowledged', 'partially_filled')"
# Events after which other orders may have more room, or less. A run's own denials are left out: it accounts for them.
_TURNS = (*(f"order.{state}" for state in (S.CANCELLED, S.EXPIRED, S.REJECTED)), "order.arrived")
# Exactly as in the index `intents_given_up_by_time`.
_GIVEN_UP = "i.state IN ('expired', 'cancelled') AND i.attempts > 0 AND i.broker_order_id = ''"
_COLUMNS = (
    "i.client_order_id, i.run, r.strategy, r.portfolio, r.session, r.kind, r.slot, i.place, i.asset, i.side,"
    " i.quantity, i.reference, i.order_type, i.limit_price, i.time_in_force, i.parent, i.slice, i.not_before, i.state,"
    " i.filled, i.broker_order_id, i.sent_at, i.attempts, i.message"
)
# CROSS JOIN fixes the order of the tables: from orders to runs, or from runs to orders. SQLite, free to choose, would
# begin with all runs of a book.
_SELECT = f"SELECT {_COLUMNS} FROM intents i CROSS JOIN runs r ON r.id = i.run"  # noqa: S608
_SELECT_BY_RUN = f"SELECT {_COLUMNS} FROM runs r CROSS JOIN intents i ON i.run = r.id"  # noqa: S608


class ImpossibleError(Exception):
    """A state transition that is not allowed: an internal error, never the market's."""


def plan(tx: Transaction, intents: Iterable[Intent]) -> None:
    """Insert the orders of a run, before any of them is sent."""
    for intent in intents:
        tx.connection.execute(
            "INSERT INTO intents (client_order_id, run, place, asset, side, quantity, reference, order_type,"
            " limit_price, time_in_force, parent, slice, not_before, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(intent.client_order_id, intent.run, intent.place, intent.asset, intent.side, str(intent.quantity)),
                *(str(intent.reference), intent.order_type, _decimal_text(intent.limit), intent.time_in_force),
                *(intent.parent, intent.slice, _time_text(intent.not_before), intent.state),
            ),
        )
        said: dict[str, object] = {"asset": intent.asset, "side": intent.side, "quantity": intent.quantity}
        said |= {"reference": intent.reference, "type": intent.order_type, "limit": intent.limit}
        if intent.parent:
            said |= {"parent": intent.parent, "slice": intent.slice}
        if intent.not_before is not None:
            said |= {"not_before": intent.not_before}
        tx.audit(event("order.planned", intent, said))


def sending(tx: Transaction, intent: Intent, at: datetime) -> None:
    """Mark an order before its request: from here on it may be in the broker's book."""
    _move(tx, intent, S.SENDING, "order.sending", {"attempt": intent.attempts + 1})
    tx.connection.execute(
        "UPDATE intents SET sent_at = ?, attempts = attempts + 1 WHERE client_order_id = ?",
        (at.isoformat(), intent.client_order_id),
    )


def rescheduled(tx: Transaction, intent: Intent, not_before: datetime) -> None:
    """Give a slice that was not sent yet another time."""
    tx.connection.execute(
        "UPDATE intents SET not_before = ? WHERE client_order_id = ?", (not_before.isoformat(), intent.client_order_id)
    )
    said = {"slice": intent.slice, "was": intent.not_before, "not_before": not_before}
    tx.audit(event("order.rescheduled", intent, said))


def acknowledged(tx: Transaction, intent: Intent, broker_order_id: str) -> None:
    """Record that the broker has the order. The state is left unchanged if fills arrived before."""
    tx.connection.execute(
        "UPDATE intents SET broker_order_id = ? WHERE client_order_id = ?", (broker_order_id, intent.client_order_id)
    )
    if state_of(tx.connection, intent.client_order_id) in _FROM[S.ACKNOWLEDGED]:
        _move(tx, intent, S.ACKNOWLEDGED, "order.acknowledged", {"broker_order_id": broker_order_id})


def arrived(tx: Transaction, intent: Intent, broker_order_id: str) -> None:
    """Record that an order given up as absent is in the broker's book after all."""
    tx.connection.execute(
        "UPDATE intents SET state = ?, broker_order_id = ? WHERE client_order_id = ?",
        (S.ACKNOWLEDGED, broker_order_id, intent.client_order_id),
    )
    tx.audit(event("order.arrived", intent, {"was": intent.state, "broker_order_id": broker_order_id}))


def moved(tx: Transaction, intent: Intent, to: IntentState, message: str = "") -> None:
    """Change an order's state. Raise ImpossibleError for a transition that is not allowed."""
    _move(tx, intent, to, f"order.{'absent' if to is S.PLANNED else to}", {"message": message})


def filled(tx: Transaction, intent: Intent, quantity: Decimal) -> None:
    """Add to the filled quantity, and set the state that follows from it."""
    total = intent.filled + quantity
    state = intent.state
    if total >= intent.quantity:
        state = S.FILLED
    elif state in _FROM[S.PARTIALLY_FILLED]:
        state = S.PARTIALLY_FILLED  # a late fill leaves a cancelled order cancelled
    tx.connection.execute(
        "UPDATE intents SET filled = ?, state = ? WHERE client_order_id = ?",
        (str(total), state, intent.client_order_id),
    )


def get(connection: sqlite3.Connection, client_order_id: str) -> Intent | None:
    """Return the order of that client order id, None without one."""
    row = connection.execute(f"{_SELECT} WHERE i.client_order_id = ?", (client_order_id,)).fetchone()
    return None if row is None else _intent(row)


def state_of(connection: sqlite3.Connection, client_order_id: str) -> IntentState:
    """Return an order's current state."""
    (state,) = connection.execute("SELECT state FROM intents WHERE client_order_id = ?", (client_order_id,)).fetchone()
    return IntentState(state)


def of_run(connection: sqlite3.Connection, run: str) -> tuple[Intent, ...]:
    """Return the orders of a run, in order of their place."""
    return _many(connection, "WHERE i.run = ? ORDER BY i.place", run)


def in_flight(connection: sqlite3.Connection, book: BookKey | None = None) -> tuple[Intent, ...]:
    """Return the orders that may still be filled, of one book or of all, oldest first."""
    where = f"WHERE i.state IN {_IN_FLIGHT}"
    if book is None:
        return _many(connection, f"{where} ORDER BY i.number")
    return _many(
        connection, f"{where} AND r.strategy = ? AND r.portfolio = ? ORDER BY i.number", book.strategy, book.portfolio
    )


def in_flight_of(connection: sqlite3.Connection, asset: str) -> tuple[Intent, ...]:
    """Return the orders of one asset that may still be filled, of all books, oldest first."""
    where = f"WHERE i.state IN {_IN_FLIGHT} AND i.asset = ? ORDER BY i.number"
    return _many(connection, where, asset)


def has_open_sales(connection: sqlite3.Connection) -> bool:
    """Return True if a sale, of any book, is at the broker or may be there."""
    where = f"i.state IN {_IN_FLIGHT} AND i.state <> 'planned' AND i.side = 'sell'"
    return bool(connection.execute(f"SELECT EXISTS (SELECT 1 FROM intents i WHERE {where})").fetchone()[0])  # noqa: S608


def given_up(connection: sqlite3.Connection, since: datetime) -> tuple[Intent, ...]:
    """Return orders sent at or after `since`, found absent and not sent again, oldest first."""
    # The plus in ORDER BY: sort the few found instead of scanning all by number.
    where = f"WHERE {_GIVEN_UP} AND i.sent_at >= ? ORDER BY +i.number"
    return _many(connection, where, since.isoformat())


def of_session(connection: sqlite3.Connection, key: RunKey) -> tuple[Intent, ...]:
    """Return all orders of a book for a session, of any run, slot and state."""
    where = "WHERE r.strategy = ? AND r.portfolio = ? AND r.session = ? ORDER BY i.number"
    return _read(connection, f"{_SELECT_BY_RUN} {where}", key.strategy, key.portfolio, key.session)


def recent(
    connection: sqlite3.Connection, most: int = 100, strategy: str = "", is_open: bool = False
) -> tuple[Intent, ...]:
    """Return the newest orders first: of one strategy (by run, newest first) or only those in flight, if asked."""
    if is_open:
        where = f"WHERE i.state IN {_IN_FLIGHT} AND ? IN ('', r.strategy)"
        return _many(connection, f"{where} ORDER BY i.number DESC LIMIT ?", strategy, most)
    if not strategy:
        return _many(connection, "ORDER BY i.number DESC LIMIT ?", most)
    # From the newest run on; the other way round SQLite would read all orders of other strategies.
    where = "WHERE r.strategy = ? AND r.traded = 1 ORDER BY r.number DESC, i.place DESC LIMIT ?"
    return _read(connection, f"{_SELECT_BY_RUN} {where}", strategy, most)


def changes(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return two numbers: one changes with every fill, one with every order that ends unfilled or is back in flight.

    They are the newest numbers, found at the end of an index: a count would read all rows.
    """
    newest = " UNION ALL ".join("SELECT max(seq) AS last FROM audit WHERE event = ?" for _ in _TURNS)
    found: tuple[int, int] = connection.execute(
        "SELECT (SELECT coalesce(max(number), 0) FROM fills),"  # noqa: S608
        f" (SELECT coalesce(max(last), 0) FROM ({newest}))",
        _TURNS,
    ).fetchone()
    return found


def newest(connection: sqlite3.Connection) -> int:
    """Return the number of the newest order, 0 without one."""
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM intents").fetchone()[0])


def sent_since(connection: sqlite3.Connection, at: datetime, most: int) -> int:
    """Return how many requests for orders were marked after an instant, at most `most`."""
    newest = "SELECT at FROM audit WHERE event = 'order.sending' ORDER BY seq DESC LIMIT ?"
    found = connection.execute(f"SELECT count(*) FROM ({newest}) WHERE at > ?", (most, at.isoformat()))  # noqa: S608
    return int(found.fetchone()[0])


def states_of(connection: sqlite3.Connection, run: str) -> dict[str, int]:
    """Return the number of a run's orders by state."""
    rows = connection.execute("SELECT state, count(*) FROM intents WHERE run = ? GROUP BY state", (run,))
    return dict(rows.fetchall())


def filled_of(connection: sqlite3.Connection, runs: Iterable[str]) -> dict[str, Filled]:
    """Return, by run, how much was filled of the orders that the broker took; runs without any are left out."""
    found = {run: _filled(connection, run) for run in sorted(set(runs))}
    return {run: filled for run, filled in found.items() if filled is not None}


def _filled(connection: sqlite3.Connection, run: str) -> Filled | None:
    """Return the fill state of one run; None if the broker took none of its orders, or there are none."""
    is_open, whole, begun, placed = connection.execute(
        "SELECT ifnull(max(state IN ('planned', 'sending', 'unknown', 'acknowledged', 'partially_filled')), 0),"
        " ifnull(sum(state = 'filled'), 0), ifnull(sum(CAST(filled AS REAL) > 0), 0),"
        " ifnull(sum(state = 'filled' OR broker_order_id <> ''), 0) FROM intents WHERE run = ?",
        (run,),
    ).fetchone()
    if is_open:
        return Filled.OPEN
    if not placed:
        return None
    return Filled.ALL if whole == placed else Filled.PART if begun else Filled.NONE


def counts(connection: sqlite3.Connection, book: BookKey) -> dict[str, int]:
    """Return the number of a book's orders by state."""
    rows = connection.execute(
        "SELECT i.state, count(*) FROM intents i JOIN runs r ON r.id = i.run"
        " WHERE r.strategy = ? AND r.portfolio = ? GROUP BY i.state ORDER BY i.state",
        (book.strategy, book.portfolio),
    )
    return dict(rows.fetchall())


def _move(tx: Transaction, intent: Intent, to: IntentState, name: str, said: Mapping[str, object]) -> None:
    """Change the state; raise if the order's state in the ledger does not allow it."""
    # Read the state again: `intent` may be older than a fill that arrived in the meantime.
    now = state_of(tx.connection, intent.client_order_id)
    if now not in _FROM[to]:
        raise ImpossibleError(f"order {intent.client_order_id} is {now}, it can't become {to}")
    message = said.get("message", intent.message)
    tx.connection.execute(
        "UPDATE intents SET state = ?, message = ? WHERE client_order_id = ?",
        (to, tx.hide(str(message)), intent.client_order_id),
    )
    tx.audit(event(name, intent, {"was": now, **said}))


def event(name: str, intent: Intent, said: Mapping[str, object]) -> AuditEvent:
    """Return an audit event of an order."""
    payload = {"client_order_id": intent.client_order_id, "asset": intent.asset, **said}
    return AuditEvent(name, payload, intent.run, intent.key.strategy, intent.key.portfolio)


def _many(connection: sqlite3.Connection, where: str, *values: object) -> tuple[Intent, ...]:
    return _read(connection, f"{_SELECT} {where}", *values)


def _read(connection: sqlite3.Connection, text: str, *values: object) -> tuple[Intent, ...]:
    return tuple(_intent(row) for row in connection.execute(text, values))


def _intent(row: tuple[str, ...]) -> Intent:
    id, run, strategy, portfolio, session, kind, slot, place, asset, side, quantity, reference, *rest = row
    order_type, limit, time_in_force, parent, slice, not_before, state, done, broker_id, sent_at, attempts, said = rest
    return Intent(
        client_order_id=id,
        run=run,
        key=RunKey(strategy, portfolio, session, RunKind(kind), slot),
        place=int(place),
        asset=asset,
        side=Side(side),
        quantity=Decimal(quantity),
        reference=Decimal(reference),
        order_type=OrderType(order_type),
        limit=Decimal(limit) if limit is not None else None,
        time_in_force=TimeInForce(time_in_force),
        parent=parent,
        slice=int(slice),
        not_before=datetime.fromisoformat(not_before) if not_before is not None else None,
        state=IntentState(state),
        filled=Decimal(done),
        broker_order_id=broker_id,
        sent_at=datetime.fromisoformat(sent_at) if sent_at is not None else None,
        attempts=int(attempts),
        message=said,
    )


def _decimal_text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _time_text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
