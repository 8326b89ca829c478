"""Corporate actions, booked as entries: each entry is the target effect of an action minus what is booked of it
already.

One algorithm serves all cases: a new action, a late one, a repeated one, a changed amount, and a fill that becomes
known after an action that applies to it. It is idempotent: a repeated action has no difference to book.

    components(...)   the actions that are due, with all actions connected to them since the first
    book(...)         write entries, positions, cash and receivables in a transaction, audited
    plan_rename(...)  record a manual rename of an asset; it is booked in the same way

The cost depends on the fills of those assets since the first due action, not on the ledger's age.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby

from sigc.actions import Action, ActionKind
from sigc.errors import Diagnostic, SigcError
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import action_rows as rows
from sigc.store.ledger import adjustments, orders, runs
from sigc.store.ledger.accounts import add_cash, holders, moved, position, put_position, rescaled
from sigc.store.ledger.action_effects import (
    EFFECT,
    PAYMENT,
    Amounts,
    DueAction,
    Effect,
    Key,
    Move,
    can_be_valued,
    effects,
    in_order,
    is_past,
    steps,
)
from sigc.store.ledger.action_rows import BY_HAND, ActionEntry, StoredAction
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import ZERO, BookKey, RunKind, Side

_Part = tuple[BookKey, str, str]  # book, step, into
_Arrival = tuple[BookKey, str, Decimal, Decimal]  # book, asset, shares that come, price at which they were held


@dataclass(frozen=True, slots=True)
class Component:
    """Actions connected by their assets, in order, since the first that is due (`before`: its instant)."""

    dues: tuple[DueAction, ...]
    assets: frozenset[str]
    before: datetime


def components(connection: sqlite3.Connection, through: str) -> tuple[Component, ...]:
    """Return the components that are due once all sessions up to `through` have begun; empty if none is."""
    # Never step back: a caller with an older session must not undo what a later one has booked.
    through = max(through, rows.progress(connection)[0])
    waiting = {k.due.key: k.due for k in rows.due_until(connection, through)}
    found = []
    while waiting:
        # The earliest due action sets the start; every action that it could influence joins its component.
        before, first = min((d.before, k) for k, d in waiting.items())
        together = {k.due.key: k for k in rows.hang_together(connection, first[0], before, through)}
        found.append(_component(together, before))
        waiting = {k: d for k, d in waiting.items() if k not in together}
    return tuple(found)


def _component(together: Mapping[Key, StoredAction], before: datetime) -> Component:
    dues = in_order(k.due for k in together.values())
    names = {n for due in dues for n in (due.action.asset, due.action.into) if n}
    return Component(tuple(dues), frozenset(names), before)


def book(tx: Transaction, through: str, step: Decimal) -> tuple[ActionEntry, ...]:
    """Book all actions due once all sessions up to `through` have begun. step: quantities are multiples of it."""
    found = components(tx.connection, through)
    if not found:
        return ()
    known, _ = rows.progress(tx.connection)
    through = max(through, known)
    booked = [entry for one in found for entry in _book(tx, one, through, step)]
    rows.put_progress(tx, through, step)
    return tuple(booked)


def book_again(tx: Transaction) -> tuple[ActionEntry, ...]:
    """Book the changes that newly known fills make to actions that were booked before."""
    return book(tx, *rows.progress(tx.connection))


# Entries are append-only. So recompute every effect of the component from the positions before it, and book only the
# difference between the effect and the entries under the action's key.
def _book(tx: Transaction, one: Component, through: str, step: Decimal) -> list[ActionEntry]:
    before = {due.key: rows.entries_of(tx.connection, due.key) for due in one.dues}
    moves = [m for asset in sorted(one.assets) for m in _moves(tx.connection, asset, one.before)]
    marks = rows.watermarks(tx.connection)
    # What was booked up to a watermark stands, whatever becomes known of it: an adopted position includes it.
    kept = {due.key: [e for e in before[due.key] if is_past(due, e.book, marks)] for due in one.dues}
    free = {due.key: [e for e in before[due.key] if not is_past(due, e.book, marks)] for due in one.dues}
    base = _base(tx.connection, one, moves, [e for own in free.values() for e in own])
    found = effects(one.dues, base, moves, step, marks)
    by_key: dict[Key, dict[BookKey, Effect]] = {}
    for (key, holder), effect in found.items():
        by_key.setdefault(key, {})[holder] = effect
    made: list[tuple[DueAction, ActionEntry]] = []
    for due in one.dues:
        wanted = {
            (holder, name, due.action.into): amounts
            for holder, effect in by_key.get(due.key, {}).items()
            for name, amounts in steps(due, effect, through).items()
        }
        wanted |= _standing(due, kept[due.key], through)
        made += [(due, entry) for entry in _corrected(tx, due, wanted, before[due.key])]
        # Come back at the pay session for an effect that leaves a receivable; at its own session for a delisting whose
        # value
        # is still unknown.
        is_owed = any(amounts.receivable for (_, name, _), amounts in wanted.items() if name == EFFECT)
        next = due.pay_session if is_owed and due.pay_session > through else ""
        rows.put_next(tx, due.key, next if can_be_valued(due) else due.session)
    _move(tx, made)
    return [entry for _, entry in made]


def _standing(due: DueAction, booked: Iterable[ActionEntry], through: str) -> dict[_Part, Amounts]:
    """Return the amounts of entries that stand: as they are booked, and what they owe is paid once it is due."""
    found: dict[_Part, Amounts] = {}
    for entry in booked:
        part = (entry.book, entry.step, entry.into)
        found[part] = found.get(part, Amounts()) + entry.amounts
    for (holder, step, into), amounts in tuple(found.items()):
        if step == EFFECT and amounts.receivable and due.pay_session <= through:
            found[holder, PAYMENT, into] = Amounts(cash=amounts.receivable, receivable=-amounts.receivable)
    return found


def _base(
    connection: sqlite3.Connection, one: Component, moves: Iterable[Move], entries: Iterable[ActionEntry]
) -> dict[str, dict[BookKey, Decimal]]:
    """Return the quantities before the first action: the current ones, less later fills, less later entries."""
    base: dict[str, dict[BookKey, Decimal]] = {asset: {} for asset in one.assets}
    for asset in one.assets:
        held = connection.execute("SELECT strategy, portfolio, quantity FROM positions WHERE asset = ?", (asset,))
        base[asset] = {BookKey(s, p): Decimal(q) for s, p, q in held}

    def less(asset: str, book: BookKey, change: Decimal) -> None:
        own = base.setdefault(asset, {})
        own[book] = own.get(book, ZERO) - change

    for move in moves:
        less(move.asset, move.holder, move.change)
    for entry in entries:
        less(entry.asset, entry.book, entry.amounts.change)
        if entry.into:
            less(entry.into, entry.book, entry.amounts.into_change)
    return base


def _moves(connection: sqlite3.Connection, asset: str, after: datetime) -> list[Move]:
    found = connection.execute(
        "SELECT r.strategy, r.portfolio, f.at, f.side, f.quantity FROM fills f"
        " CROSS JOIN intents i USING (client_order_id) CROSS JOIN runs r ON r.id = i.run"
        " WHERE f.asset = ? AND f.at > ?",
        (asset, after.isoformat()),
    )
    fills = [
        Move(BookKey(s, p), asset, datetime.fromisoformat(at), Side(side).sign * Decimal(q))
        for s, p, at, side, q in found
    ]
    return fills + [Move(a.book, asset, a.since, a.change) for a in adjustments.of_asset(connection, asset, after)]


def _corrected(
    tx: Transaction, due: DueAction, wanted: Mapping[_Part, Amounts], booked: Iterable[ActionEntry]
) -> list[ActionEntry]:
    """Book the difference between the effects that an action should have and those booked of it."""
    known: dict[_Part, Amounts] = {}
    last: dict[tuple[BookKey, str], int] = {}
    for entry in booked:
        part = (entry.book, entry.step, entry.into)
        known[part] = known.get(part, Amounts()) + entry.amounts
        last[entry.book, entry.step] = entry.number
    made = []
    # A part in `known` alone is reversed: its action changed, or the holder turned out to hold nothing.
    for part in sorted({*wanted, *known}):
        holder, step, into = part
        difference = wanted.get(part, Amounts()) - known.get(part, Amounts())
        if difference:
            corrects = last.get((holder, step))
            entry = ActionEntry(
                *(holder, *due.key, step, into, difference),
                due.session if step == EFFECT else due.pay_session,
                due.pay_session,
                tx.at,
                "correction" if corrects else _reason(tx.connection, due, holder, step),
                corrects,
            )
            made.append(_write(tx, entry))
    return made


def _reason(connection: sqlite3.Connection, due: DueAction, holder: BookKey, step: str) -> str:
    if step == PAYMENT:
        return "payment"
    if due.action.id.startswith(BY_HAND):
        return BY_HAND
    (valued,) = connection.execute(
        "SELECT max(session) FROM nav WHERE strategy = ? AND portfolio = ?", (holder.strategy, holder.portfolio)
    ).fetchone()
    return "late" if valued is not None and valued >= due.session else "new"


def _write(tx: Transaction, entry: ActionEntry) -> ActionEntry:
    entry = replace(entry, number=rows.put_entry(tx, entry))
    amounts = entry.amounts
    add_cash(tx, entry.book, amounts.cash, amounts.receivable)
    name = "action.corrected" if entry.corrects else "action.booked"
    said = {
        "entry": entry.number,
        "asset": entry.asset,
        "kind": entry.kind,
        "ex_date": entry.ex_date,
        "id": entry.id,
        "step": entry.step,
        "into": entry.into,
        "change": amounts.change,
        "into_change": amounts.into_change,
        "fraction": amounts.fraction,
        "cash": amounts.cash,
        "receivable": amounts.receivable,
        "session": entry.session,
        "pay_session": entry.pay_session,
        "reason": entry.reason,
    }
    if entry.corrects:
        said["corrects"] = entry.corrects
    tx.audit(AuditEvent(name, said, strategy=entry.book.strategy, portfolio=entry.book.portfolio))
    return entry


def _move(tx: Transaction, made: Iterable[tuple[DueAction, ActionEntry]]) -> None:
    """Change positions in the order of `effects`, so that the costs of two assets never mix.

    Renamed shares arrive after all renames of the session have left their old names; shares from spin-offs and mergers
    arrive after all actions of the session.
    """
    for _, session in groupby(made, key=lambda m: m[0].before):
        delivered: list[_Arrival] = []
        for is_rename, group in groupby(session, key=lambda m: m[0].action.kind is ActionKind.RENAME):
            came = [arrival for due, entry in group for arrival in _leave(tx, due, entry)]
            if is_rename:
                _arrive(tx, came)
            else:
                delivered += came
        _arrive(tx, delivered)


def _leave(tx: Transaction, due: DueAction, entry: ActionEntry) -> Iterator[_Arrival]:
    """Change the position in the action's asset, and yield the shares of `into` that it becomes.

    Cost basis: a rename or merger moves it to the new shares; a spin-off leaves it with the parent, and the new shares
    cost nothing.
    """
    amounts = entry.amounts
    held, average = position(tx, entry.book, entry.asset)
    if amounts.change:
        after = held + amounts.change
        if due.action.kind is ActionKind.SPLIT:
            cost = rescaled(average, held, after + amounts.fraction) if held else _split_price(due)
            put_position(tx, entry.book, entry.asset, after, cost)
        else:
            put_position(tx, entry.book, entry.asset, *moved(held, average, amounts.change, average))
    if amounts.into_change:
        # The whole entitlement: less than into_change where rounding gave this book more than its due.
        came = amounts.into_change + amounts.fraction
        price = abs(average * amounts.change / came) if came else ZERO
        yield entry.book, entry.into, amounts.into_change, price


def _arrive(tx: Transaction, arrivals: Iterable[_Arrival]) -> None:
    for book, asset, change, price in arrivals:
        put_position(tx, book, asset, *moved(*position(tx, book, asset), change, price))


def _split_price(due: DueAction) -> Decimal:
    """Return the pre-split price per new share: the cost of the shares that a split leaves when the book holds none
    now.
    """
    ratio = due.action.ratio
    return ZERO if due.price is None else rescaled(due.price, Decimal(ratio.denominator), Decimal(ratio.numerator))


def book_split(tx: Transaction, asset: str, ratio: Fraction, at: tuple[str, datetime, str], step: Decimal) -> None:
    """Book a split that the broker has applied, in every book that holds the asset, whatever the lists say of it.

    at: the session from which it counts, the instant of the close before it, and the session up to which listed actions
    leave these positions alone.
    """
    session, before, until = at
    id = f"{BY_HAND} {tx.at.astimezone(UTC).isoformat()}"
    due = DueAction(
        Action(date.fromisoformat(session), asset, ActionKind.SPLIT, ratio, id=id), session, before, session
    )
    rows.put_action(tx, due, "")
    _book(tx, Component((due,), frozenset({asset}), before), session, step)
    for holder in holders(tx.connection, asset):
        rows.put_watermark(tx, holder, asset, until, "adopted")


def plan_rename(tx: Transaction, key: BookKey, old: str, new: str, who: str, reason: str) -> DueAction:
    """Record a manual rename of an asset, in every book that holds it; `book` moves the positions.

    Watermarks of the old name are copied to the new one. Raise SigcError E312 if the book does not hold `old`, and E804
    if a book holds `new` already, an order in either is open, or a trading run is in progress.
    """
    held = tx.connection.execute("SELECT strategy, portfolio, asset FROM positions WHERE asset IN (?, ?)", (old, new))
    holders = {(BookKey(s, p), asset) for s, p, asset in held}
    if old == new or (key, old) not in holders:
        message = f"the book {key.strategy} ({key.portfolio}) does not hold '{old}'"
        raise SigcError(Diagnostic("E312", message, hint="`sigc positions` shows what it holds"))
    if any(asset == new for _, asset in holders):
        raise SigcError(Diagnostic("E804", f"'{new}' is held already: two positions can't be told apart afterwards"))
    open = [i.client_order_id for i in orders.in_flight(tx.connection) if i.asset in (old, new)]
    if open:
        hint = "cancel it, or wait for its end"
        raise SigcError(Diagnostic("E804", f"an order in '{old}' or '{new}' is open: {open[0]}", hint=hint))
    going = [run.id for run in runs.left_open(tx.connection) if run.key.kind is RunKind.TRADE]
    if going:
        raise SigcError(Diagnostic("E804", f"the run {going[0]} is under way", hint="wait for its end"))
    (valued,) = tx.connection.execute(
        "SELECT max(session) FROM nav WHERE strategy = ? AND portfolio = ?", (key.strategy, key.portfolio)
    ).fetchone()
    last = max(rows.progress(tx.connection)[0], valued or str(tx.at.date()))
    day = date.fromisoformat(last) + timedelta(days=1)  # effective after the last valued session, so no NAV changes
    action = Action(day, old, ActionKind.RENAME, into=new, id=f"{BY_HAND} {tx.at.astimezone(UTC).isoformat()}")
    due = DueAction(action, str(day), tx.at, str(day))
    said = {"old": old, "new": new, "reason": reason}
    tx.audit(AuditEvent("book.rename_asset", said, strategy=key.strategy, portfolio=key.portfolio, who=who))
    rows.put_action(tx, due, due.session)
    for (holder, asset), session in rows.watermarks(tx.connection).items():
        if asset == old:
            rows.put_watermark(tx, holder, new, session, f"renamed from {old}")
    return due
