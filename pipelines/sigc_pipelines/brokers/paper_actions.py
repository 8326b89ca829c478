"""Corporate actions in the paper broker's book: their due effects by a session, less the booked ones.

Quantities are those of the whole account. Cash is a charge of the kind `action ...`, which the ledger recognizes as its
own booking. Orders sent before the last close before the ex-date are in old units, and expire.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sigc.actions import ActionKind
from sigc.store.ledger.action_effects import EFFECT, ENDS_ORDERS, Amounts, DueAction, Key, Move, effects, steps
from sigc.store.ledger.action_rows import restated
from sigc.store.ledger.records import ZERO, BookKey, Charge, Side
from sigc_pipelines.brokers import paper_rows as rows
from sigc_pipelines.brokers.paper_file import instant_text
from sigc_pipelines.brokers.paper_match import TICK
from sigc_pipelines.brokers.paper_rows import ONE, PaperHolding
from sigc_pipelines.brokers.protocol import OrderStatus

ACCOUNT = BookKey("", "")
_Part = tuple[Key, str, str]  # action, step, into


def act(book: sqlite3.Connection, session: str, at: datetime, dues: Sequence[DueAction], step: Decimal) -> None:
    """Bring the book to the state that these actions should have left when `session` begins.

    A session before one whose actions are booked already changes nothing: the later call has done it.
    """
    # Booked is the difference between due and done: a repeat books nothing, a corrected action its correction.
    if not dues or session < _through(book):
        return
    held = rows.holdings(book, {name for due in dues for name in (due.action.asset, due.action.into) if name})
    before = dict(held)
    _expire(book, dues, held)  # first: holdings must not count orders in units that have ended
    done = _done(book, dues)
    wanted = _wanted(book, session, dues, held, done, step)
    charges, first = [], []
    for due in sorted(dues, key=lambda d: (d.before, d.session, d.key)):
        for part in sorted({p for p in (*wanted, *done) if p[0] == due.key}):
            difference = wanted.get(part, Amounts()) - done.get(part, Amounts())
            if not difference:
                continue
            # A price is restated once, by the first booking of an effect; a payment changes no price.
            if part not in done and part[1] == EFFECT:
                first.append(due)
            number = _note(book, part, difference, session)
            _move(held, due, difference)
            if difference.cash:
                id = f"{rows.book_name(book)}:action:{number}"
                charges.append(Charge(id, f"action {due.action.kind}", due.action.asset, difference.cash, at))
    _reprice(held, first)
    rows.insert_activities(book, (), charges)
    rows.change_holdings(book, before, held, sum((c.amount for c in charges), ZERO))


def announce(book: sqlite3.Connection, dues: Sequence[DueAction]) -> None:
    """Record splits of the next session: until its close, holdings are in other units than open orders."""
    splits = {due.action.asset: due for due in dues if due.action.kind is ActionKind.SPLIT}
    before = {a: h for a, h in rows.holdings(book, splits).items() if h.session < splits[a].session}
    after = {asset: replace(h, coming=splits[asset].action.ratio) for asset, h in before.items()}
    rows.change_holdings(book, before, after, ZERO)


def _through(book: sqlite3.Connection) -> str:
    row = book.execute("SELECT session FROM acted ORDER BY number DESC LIMIT 1").fetchone()
    return "" if row is None else str(row[0])


def _expire(book: sqlite3.Connection, dues: Iterable[DueAction], held: dict[str, PaperHolding]) -> None:
    for due in dues:
        asset = due.action.asset
        if due.action.kind not in ENDS_ORDERS or asset not in held:
            continue
        closed = rows.open_orders(book, due.before, [asset])[asset]
        why = f"{asset} had a {due.action.kind} on {due.session}, which ends open orders"
        rows.close_orders(book, [replace(order, status=OrderStatus.EXPIRED, message=why) for order in closed])
        for order in closed:
            held[asset] = held[asset].opened(order.request.side, order.filled - order.request.quantity)


def _done(book: sqlite3.Connection, dues: Iterable[DueAction]) -> dict[_Part, Amounts]:
    """Return the booked amounts of each action, by step."""
    found: dict[_Part, Amounts] = {}
    for due in dues:
        entries = book.execute(
            "SELECT step, into_asset, change, into_change, cash, receivable FROM acted"
            " WHERE asset = ? AND kind = ? AND ex_date = ? AND id = ?",
            due.key,
        )
        for step, into, *amounts in entries:
            part = (due.key, step, into)
            found[part] = found.get(part, Amounts()) + Amounts(*map(Decimal, amounts))
    return found


def _wanted(
    book: sqlite3.Connection,
    session: str,
    dues: Sequence[DueAction],
    held: Mapping[str, PaperHolding],
    done: Mapping[_Part, Amounts],
    step: Decimal,
) -> dict[_Part, Amounts]:
    """Return the due amounts of each action, by step."""
    assets = {name for due in dues for name in (due.action.asset, due.action.into) if name}
    first = min(due.before for due in dues)
    moves = [move for asset in sorted(assets) for move in _moves(book, asset, first)]
    # `base`: quantities at the earliest of these closes, found by taking later fills and booked effects out again.
    base = {asset: held[asset].quantity if asset in held else ZERO for asset in assets}
    for move in moves:
        base[move.asset] -= move.change
    for (key, _, into), amounts in done.items():
        base[key[0]] -= amounts.change
        if into:
            base[into] = base.get(into, ZERO) - amounts.into_change
    found = effects(dues, {asset: {ACCOUNT: quantity} for asset, quantity in base.items()}, moves, step)
    return {
        (due.key, name, due.action.into): amounts
        for due in dues
        if (due.key, ACCOUNT) in found
        for name, amounts in steps(due, found[due.key, ACCOUNT], session).items()
    }


def _moves(book: sqlite3.Connection, asset: str, after: datetime) -> list[Move]:
    found = book.execute(
        "SELECT at, side, quantity FROM fills WHERE asset = ? AND at > ?", (asset, instant_text(after))
    )
    return [Move(ACCOUNT, asset, datetime.fromisoformat(at), Side(s).sign * Decimal(q)) for at, s, q in found]


def _note(book: sqlite3.Connection, part: _Part, amounts: Amounts, session: str) -> int:
    key, step, into = part
    made = book.execute(
        "INSERT INTO acted VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(*key, step, into, str(amounts.change), str(amounts.into_change)),
            *(str(amounts.cash), str(amounts.receivable), session),
        ),
    )
    return int(made.lastrowid or 0)


def _move(held: dict[str, PaperHolding], due: DueAction, amounts: Amounts) -> None:
    asset, into = due.action.asset, due.action.into
    own = held.get(asset, PaperHolding(asset))
    if amounts.change:
        coming = ONE if due.action.kind is ActionKind.SPLIT else own.coming
        held[asset] = replace(own, quantity=own.quantity + amounts.change, coming=coming)
    if amounts.into_change:
        new = held.get(into, PaperHolding(into, session=own.session))  # a short one is charged for from here on
        held[into] = replace(new, quantity=new.quantity + amounts.into_change)


def _reprice(held: dict[str, PaperHolding], dues: Sequence[DueAction]) -> None:
    """Restate last prices into the units of a session, for assets not marked in it yet. dues: booked for the first
    time.
    """
    fresh = [d for d in dues if d.action.asset in held and held[d.action.asset].session < d.session]
    prices = {asset: h.price for asset, h in held.items() if h.price is not None}
    after = restated(prices, fresh)
    for due in fresh:
        for asset in (due.action.asset, due.action.into):
            if asset in held and asset in after:
                held[asset] = replace(held[asset], price=after[asset].quantize(TICK))
