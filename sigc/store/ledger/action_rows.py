"""Rows of corporate actions in the ledger: listed actions, booked entries, watermarks.

An action is stored once some book holds or held its asset; `due` is the session at which it is processed next. Entries
are append-only, one row each: a correction is a further entry.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import groupby

from sigc.actions import Action, ActionKind
from sigc.store.ledger.action_effects import Amounts, DueAction, Key
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import BookKey

_ACTION = (
    "SELECT asset, kind, ex_date, id, ratio, cash, into_asset, value, total_return, pay_date, session, before,"
    " pay_session, price, due, vanished FROM actions"
)
_ENTRY = (
    "SELECT number, strategy, portfolio, asset, kind, ex_date, id, step, into_asset, change, into_change, fraction,"
    " cash, receivable, session, pay_session, at, reason, corrects FROM action_entries"
)
BY_HAND = "by hand"  # prefix of the ids of manual actions, which no list has
_THROUGH, _STEP = "actions.through", "actions.step"


@dataclass(frozen=True, slots=True)
class StoredAction:
    """An action as stored. next: the session at which it is processed next, '' for none. vanished: ISO instant at which
    its list lost it.
    """

    due: DueAction
    next: str
    vanished: str = ""


@dataclass(frozen=True, slots=True)
class ActionEntry:
    """An entry of an action for one book. change: of the asset; into_change: of `into` (shares); cash, receivable:
    money.

    step: the effect, or the payment of a receivable. session: the first in which it counts. fraction: shares paid in
    cash. corrects: the number of an earlier entry, None for the first. reason: the cause of the entry.
    """

    book: BookKey
    asset: str
    kind: str
    ex_date: str
    id: str
    step: str
    into: str
    amounts: Amounts
    session: str
    pay_session: str
    at: datetime
    reason: str
    corrects: int | None = None
    number: int = 0

    @property
    def key(self) -> Key:
        """Return the action's key."""
        return self.asset, self.kind, self.ex_date, self.id


def put_action(tx: Transaction, due: DueAction, next: str, vanished: str = "") -> None:
    """Store an action; replace the one with the same key."""
    action = due.action
    tx.connection.execute(
        "INSERT OR REPLACE INTO actions (asset, kind, ex_date, id, ratio, cash, into_asset, value, total_return,"
        " pay_date, session, before, pay_session, price, due, vanished)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(*due.key, str(action.ratio), repr(float(action.cash)), action.into, _text(action.value)),
            *(_text(action.total_return), _text(action.pay_date), due.session, due.before.isoformat()),
            *(due.pay_session, _text(due.price), next, vanished),
        ),
    )


def drop_action(tx: Transaction, key: Key) -> None:
    """Delete an action of which nothing was booked."""
    tx.connection.execute("DELETE FROM actions WHERE asset = ? AND kind = ? AND ex_date = ? AND id = ?", key)


def put_price(tx: Transaction, key: Key, price: Decimal) -> None:
    """Store the price at the close before an action, so that later corrections use the same one."""
    where = "asset = ? AND kind = ? AND ex_date = ? AND id = ?"
    tx.connection.execute(f"UPDATE actions SET price = ? WHERE {where}", (str(price), *key))  # noqa: S608


def put_next(tx: Transaction, key: Key, next: str) -> None:
    """Set the session at which an action is processed next, '' for never."""
    where = "asset = ? AND kind = ? AND ex_date = ? AND id = ?"
    tx.connection.execute(f"UPDATE actions SET due = ? WHERE {where}", (next, *key))  # noqa: S608


def fill_came(tx: Transaction, asset: str, at: datetime) -> None:
    """Mark as due the actions that apply to a newly known fill."""
    # The fill may have given a book a position at the close before the action, for which nothing is booked yet.
    tx.connection.execute("UPDATE actions SET due = session WHERE asset = ? AND before >= ?", (asset, at.isoformat()))


def listed(connection: sqlite3.Connection, asset: str) -> tuple[StoredAction, ...]:
    """Return all stored actions of an asset, by date."""
    return _kept(connection.execute(f"{_ACTION} WHERE asset = ? ORDER BY ex_date, kind, id", (asset,)))


def due_until(connection: sqlite3.Connection, through: str) -> tuple[StoredAction, ...]:
    """Return the actions that are due at sessions up to `through`, by due session."""
    where = "WHERE due <> '' AND due <= ? ORDER BY due"
    return _kept(connection.execute(f"{_ACTION} {where}", (through,)))


def hang_together(
    connection: sqlite3.Connection, asset: str, since: datetime, through: str
) -> tuple[StoredAction, ...]:
    """Return all actions connected to an asset: of the asset, of those it becomes, of those that become it,
    transitively.

    Only actions that apply to positions at `since` or later, of sessions up to `through`.
    """
    bounds = (since.isoformat(), through)
    seen: set[str] = set()
    coming, found = [asset], {}
    while coming:
        name = coming.pop()
        if name in seen:
            continue
        seen.add(name)
        own = _kept(connection.execute(f"{_ACTION} WHERE asset = ? AND before >= ? AND session <= ?", (name, *bounds)))
        where = "into_asset = ? AND into_asset <> '' AND before >= ? AND session <= ?"
        into = _kept(connection.execute(f"{_ACTION} WHERE {where}", (name, *bounds)))
        for kept in (*own, *into):
            found[kept.due.key] = kept
            coming += [n for n in (kept.due.action.asset, kept.due.action.into) if n]
    return tuple(found.values())


def between(connection: sqlite3.Connection, after: str, until: str) -> tuple[DueAction, ...]:
    """Return the stored actions with after < session <= until, by session."""
    where = "WHERE session > ? AND session <= ? ORDER BY session"
    return tuple(k.due for k in _kept(connection.execute(f"{_ACTION} {where}", (after, until))))


def by_hand(connection: sqlite3.Connection, after: str, until: str) -> tuple[Action, ...]:
    """Return the splits with after < session <= until that a person has adopted, and no list has."""
    found = (due.action for due in between(connection, after, until))
    return tuple(a for a in found if a.id.startswith(BY_HAND) and a.kind is ActionKind.SPLIT)


def put_entry(tx: Transaction, entry: ActionEntry) -> int:
    """Insert an entry; return its number."""
    a = entry.amounts
    made = tx.connection.execute(
        "INSERT INTO action_entries (strategy, portfolio, asset, kind, ex_date, id, step, into_asset, change,"
        " into_change, fraction, cash, receivable, session, pay_session, at, reason, corrects)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(entry.book.strategy, entry.book.portfolio, *entry.key, entry.step, entry.into, str(a.change)),
            *(str(a.into_change), str(a.fraction), str(a.cash), str(a.receivable), entry.session, entry.pay_session),
            *(entry.at.isoformat(), entry.reason, entry.corrects),
        ),
    )
    return int(made.lastrowid or 0)


def entries_of(connection: sqlite3.Connection, key: Key) -> tuple[ActionEntry, ...]:
    """Return the entries of an action, for all books, in order."""
    where = "WHERE asset = ? AND kind = ? AND ex_date = ? AND id = ? ORDER BY number"
    return tuple(map(_entry, connection.execute(f"{_ENTRY} {where}", key)))


def entries_of_book(
    connection: sqlite3.Connection, key: BookKey, after: str = "", most: int = 1 << 62
) -> tuple[ActionEntry, ...]:
    """Return the entries of a book that count after a session, the newest first, at most `most`."""
    where = "WHERE strategy = ? AND portfolio = ? AND session > ? ORDER BY session DESC, number DESC LIMIT ?"
    return tuple(map(_entry, connection.execute(f"{_ENTRY} {where}", (key.strategy, key.portfolio, after, most))))


def was_booked(connection: sqlite3.Connection, asset: str, kind: str, since: str, until: str) -> bool:
    """Return True if some book has an entry of that kind and asset with an ex-date or pay date between two days."""
    row = connection.execute(
        "SELECT 1 FROM action_entries WHERE asset = ? AND kind = ? AND max(ex_date, pay_session) >= ? AND ex_date <= ?"
        " LIMIT 1",
        (asset, kind, since, until),
    ).fetchone()
    return row is not None


def put_watermark(tx: Transaction, key: BookKey, asset: str, session: str, reason: str) -> None:
    """Set a watermark: actions up to `session` do not affect the book. asset: '' for all."""
    tx.connection.execute(
        "INSERT OR REPLACE INTO action_watermarks (strategy, portfolio, asset, session, reason) VALUES (?, ?, ?, ?, ?)",
        (key.strategy, key.portfolio, asset, session, reason),
    )


def watermarks(connection: sqlite3.Connection) -> dict[tuple[BookKey, str], str]:
    """Return, by book and asset ('' for all), the session up to which actions have no effect."""
    rows = connection.execute("SELECT strategy, portfolio, asset, session FROM action_watermarks")
    return {(BookKey(s, p), asset): session for s, p, asset, session in rows}


def progress(connection: sqlite3.Connection) -> tuple[str, Decimal]:
    """Return (session up to which actions are booked, '' for none; step of the quantities they were booked in)."""
    rows = dict(connection.execute("SELECT key, value FROM meta WHERE key IN (?, ?)", (_THROUGH, _STEP)).fetchall())
    return rows.get(_THROUGH, ""), Decimal(rows.get(_STEP, "1"))


def put_progress(tx: Transaction, through: str, step: Decimal) -> None:
    """Store the values that `progress` returns."""
    tx.connection.executemany(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [(_THROUGH, through), (_STEP, str(step))]
    )


def restated(prices: Mapping[str, Decimal], dues: Iterable[DueAction]) -> dict[str, Decimal]:
    """Return prices from before some actions in later units: divided by splits, less dividends, under new names.

    A price is left unchanged if a dividend would make it zero or negative.

    >>> split = Action(date(2014, 6, 9), "AAPL", ActionKind.SPLIT, Fraction(7))
    >>> due = DueAction(split, "2014-06-09", datetime(2014, 6, 6, 20), "2014-06-09")
    >>> round(restated({"AAPL": Decimal("645.57")}, [due])["AAPL"], 2)
    Decimal('92.22')
    """
    found = dict(prices)
    order = (ActionKind.SPLIT, ActionKind.DIVIDEND, ActionKind.RENAME)
    # Renames come last in a session: its splits and dividends have the asset's old name.
    acting = sorted((d for d in dues if d.action.kind in order), key=lambda d: (d.session, order.index(d.action.kind)))
    for (_, is_rename), group in groupby(acting, key=lambda d: (d.session, d.action.kind is ActionKind.RENAME)):
        # All renames of a session at once: two assets may exchange their names.
        if is_rename:
            found = renamed(found, {due.action.asset: due.action.into for due in group})
            continue
        for action in (due.action for due in group if due.action.asset in found):
            price = found[action.asset]
            if action.kind is ActionKind.SPLIT:
                found[action.asset] = price * action.ratio.denominator / action.ratio.numerator
            else:
                left = price - Decimal(repr(float(action.cash)))
                found[action.asset] = left if left > 0 else price
    return found


def renamed(prices: Mapping[str, Decimal], names: Mapping[str, str]) -> dict[str, Decimal]:
    """Return prices by asset after simultaneous renames (old name -> new one); a name given up keeps its price.

    If the new name has a price of its own, that one stays, unless another asset had the name until now.

    >>> renamed({"A": Decimal(10), "B": Decimal(40), "N": Decimal(9)}, {"A": "B", "B": "A"})
    {'A': Decimal('40'), 'B': Decimal('10'), 'N': Decimal('9')}
    """
    found = dict(prices)
    # A name given up and taken over on the same day gets the price of the asset that takes it.
    for into in names.keys() & {*names.values()}:
        found.pop(into, None)
    for old, into in names.items():
        if old in prices:
            found.setdefault(into, prices[old])
    return {name: found[name] for name in (*prices, *found) if name in found}


def _kept(rows: Iterable[tuple[str, ...]]) -> tuple[StoredAction, ...]:
    return tuple(_each_kept(rows))


def _each_kept(rows: Iterable[tuple[str, ...]]) -> Iterator[StoredAction]:
    for (
        asset,
        kind,
        ex,
        id,
        ratio,
        cash,
        into,
        value,
        total,
        pay,
        session,
        before,
        pay_session,
        price,
        next,
        gone,
    ) in rows:
        action = Action(
            date.fromisoformat(ex),
            asset,
            ActionKind(kind),
            Fraction(ratio),
            float(cash),
            into,
            None if value is None else float(value),
            None if total is None else float(total),
            None if pay is None else date.fromisoformat(pay),
            id,
        )
        known = None if price is None else Decimal(price)
        yield StoredAction(DueAction(action, session, datetime.fromisoformat(before), pay_session, known), next, gone)


def _entry(row: tuple[str, ...]) -> ActionEntry:
    number, strategy, portfolio, asset, kind, ex, id, step, into, change, into_change, fraction, cash, owed, *rest = row
    session, pay_session, at, reason, corrects = rest
    amounts = Amounts(Decimal(change), Decimal(into_change), Decimal(cash), Decimal(owed), Decimal(fraction))
    return ActionEntry(
        *(BookKey(strategy, portfolio), asset, kind, ex, id, step, into, amounts, session, pay_session),
        datetime.fromisoformat(at),
        reason,
        None if corrects is None else int(corrects),
        int(number),
    )


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case float() | int():
            return repr(float(value))
    return str(value)
