"""Books of record: what each share cost and what it brought, by lot, first in, first out (FIFO).

    record(events)      lots, realised profit, dividends, charges of a book, from its first event on
    book_events(...)    a book's events from the ledger: actions, fills, adjustments, charges, by session

A lot is what one fill bought or sold short. A fill that reduces the position closes the oldest lots first, and realises
their profit: proceeds less cost, without commission, which is told apart. Corporate actions move lots: a split gives
each more shares for the same cost, a renaming and a merger take the cost along, a spin-off's shares cost nothing; what
was paid for a fraction, or at the end of an asset, closes lots at that price. Dividends count from the ex-date.

Exact, in fractions. At every point of time, of what is told here:

    cash + receivables = capital + realised + commissions + dividends + charges + transfers - cost of the open lots
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from sigc.store.ledger import action_rows, adjustments, books
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.records import BookKey, Fill

_NONE = Fraction(0)
_INCOME = {GapCause.DIVIDEND: "dividend", GapCause.FEE: "fee"}
ACTIONS, FILLS, ADJUSTED, CHARGED = range(4)  # the order within a session


@dataclass(frozen=True, slots=True)
class SessionFill:
    """A fill and the session that its order was for."""

    session: str
    fill: Fill


@dataclass(frozen=True, slots=True)
class BookCharge:
    """A book's share of a charge, and the day it was made. amount: the change of cash."""

    session: str
    kind: str
    asset: str
    amount: Decimal


BookEvent = ActionEntry | SessionFill | Adjustment | BookCharge


@dataclass(slots=True)
class Lot:
    """Shares that came together. quantity: negative for a short one; cost: of all, negative for a short one's proceeds.

    session: the one in which it was opened.
    """

    session: str
    quantity: Fraction
    cost: Fraction


@dataclass(slots=True)
class BookRecord:
    """A book of record. Amounts are money, gains are positive; charges by kind, fees are negative.

    transfers: money that came or left without a trade; realised_of: realised profit by execution id of its fill.
    """

    lots: dict[str, deque[Lot]] = field(default_factory=dict)
    realised: Fraction = _NONE
    commissions: Fraction = _NONE
    dividends: Fraction = _NONE
    charges: dict[str, Fraction] = field(default_factory=dict)
    transfers: Fraction = _NONE
    realised_of: dict[str, Fraction] = field(default_factory=dict)

    @property
    def open_cost(self) -> Fraction:
        """Return the cost of all open lots: money paid for long ones less money got for short ones."""
        return sum((lot.cost for lots in self.lots.values() for lot in lots), _NONE)

    def held(self, asset: str) -> Fraction:
        """Return the quantity of an asset."""
        return sum((lot.quantity for lot in self.lots.get(asset, ())), _NONE)

    def take(self, event: BookEvent) -> None:
        """Take in the next event."""
        match event:
            case SessionFill():
                self._fill(event)
            case ActionEntry():
                self._act(event)
            case Adjustment():
                self._adjust(event)
            case BookCharge():
                self.charges[event.kind] = self.charges.get(event.kind, _NONE) + Fraction(event.amount)

    def _fill(self, event: SessionFill) -> None:
        fill = event.fill
        self.commissions -= Fraction(fill.commission)
        change = fill.side.sign * Fraction(fill.quantity)
        realised = self._trade(fill.asset, event.session, change, -change * Fraction(fill.price))
        self.realised_of[fill.execution_id] = realised

    def _trade(self, asset: str, session: str, change: Fraction, money: Fraction) -> Fraction:
        """Change a position for money (negative: paid). Return what it realised."""
        lots = self.lots.setdefault(asset, deque())
        left, realised = change, _NONE
        while left and lots and lots[0].quantity * left < 0:
            first = lots[0]
            size = min(abs(left), abs(first.quantity))
            part, share = size / abs(first.quantity), size / abs(change)
            realised += money * share - first.cost * part
            first.cost -= first.cost * part
            first.quantity -= size if first.quantity > 0 else -size
            left += size if left < 0 else -size
            if not first.quantity:
                lots.popleft()
        if left:
            lots.append(Lot(session, left, -money * (left / change)))
        if not lots:
            del self.lots[asset]
        self.realised += realised
        return realised

    def _act(self, entry: ActionEntry) -> None:
        amounts = entry.amounts
        money = Fraction(amounts.cash) + Fraction(amounts.receivable)
        change, fraction = Fraction(amounts.change), Fraction(amounts.fraction)
        if entry.kind == "dividend" or not (change or amounts.into_change or fraction):
            self._earn(entry.kind, money)
        elif entry.kind == "split":
            self._scale(entry.asset, entry.session, change + fraction)
            self._out(entry.asset, entry.session, fraction, money)
        elif entry.into:
            into = Fraction(amounts.into_change) + fraction
            cost = self._leave(entry.asset, change)
            self._come(entry, into, cost)
            self._out(entry.into, entry.session, fraction, money)
        else:
            self._out(entry.asset, entry.session, -change, money)

    def _earn(self, kind: str, money: Fraction) -> None:
        """Take in money that no share came or left for: a dividend, or a later word on the value of an end."""
        if kind in ("delist", "merge", "split"):
            self.realised += money
        else:
            self.dividends += money

    def _out(self, asset: str, session: str, quantity: Fraction, money: Fraction) -> None:
        """Close shares for money; money alone is realised."""
        if quantity:
            self._trade(asset, session, -quantity, money)
        else:
            self.realised += money

    def _scale(self, asset: str, session: str, change: Fraction) -> None:
        """Give each lot of an asset more or fewer shares for the same cost, `change` in all."""
        held = self.held(asset)
        if not held or not held + change:
            self._trade(asset, session, change, _NONE)
            return
        for lot in self.lots[asset]:
            lot.quantity *= (held + change) / held

    def _leave(self, asset: str, change: Fraction) -> list[tuple[str, Fraction, Fraction]]:
        """Take shares out of the oldest lots at their cost. Return (session, part of all, cost) of each."""
        taken: list[tuple[str, Fraction, Fraction]] = []
        lots = self.lots.get(asset, deque())
        left = change
        while left and lots and lots[0].quantity * left < 0:
            first = lots[0]
            part = min(abs(left) / abs(first.quantity), Fraction(1))
            size, cost = first.quantity * part, first.cost * part
            taken.append((first.session, abs(size / change), cost))
            first.quantity, first.cost, left = first.quantity - size, first.cost - cost, left + size
            if not first.quantity:
                lots.popleft()
        if not lots:
            self.lots.pop(asset, None)
        return taken

    def _come(self, entry: ActionEntry, quantity: Fraction, cost: list[tuple[str, Fraction, Fraction]]) -> None:
        """Put shares of the new asset into lots of the sessions and the cost of the old ones."""
        if not quantity:
            self.realised -= sum((paid for _, _, paid in cost), _NONE)
            return
        for session, part, paid in cost or [(entry.session, Fraction(1), _NONE)]:
            self.lots.setdefault(entry.into, deque()).append(Lot(session, quantity * part, paid))

    def _adjust(self, entry: Adjustment) -> None:
        change, money = Fraction(entry.change), Fraction(entry.cash)
        if entry.asset and change and entry.price is None:
            self._scale(entry.asset, entry.session, change)
        elif entry.asset and change:
            value = -change * Fraction(entry.price or 0)
            self._trade(entry.asset, entry.session, change, value)
            money -= value
        kind = _INCOME.get(entry.cause)
        if kind == "dividend":
            self.dividends += money
        elif kind is not None:
            self.charges[kind] = self.charges.get(kind, _NONE) + money
        else:
            self.transfers += money


def record(events: Iterable[BookEvent]) -> BookRecord:
    """Return the record that events come to, in their order."""
    found = BookRecord()
    for event in events:
        found.take(event)
    return found


def book_events(connection: sqlite3.Connection, key: BookKey) -> list[BookEvent]:
    """Return all events of a book, by session; within one: actions, fills, adjustments, charges."""
    parts: tuple[tuple[int, Iterable[BookEvent]], ...] = (
        (ACTIONS, _action_entries(connection, key)),
        (FILLS, _session_fills(connection, key)),
        (ADJUSTED, adjustments.of_book(connection, key)),
        (CHARGED, _book_charges(connection, key)),
    )
    found = [(event.session, rank, number, event) for rank, events in parts for number, event in enumerate(events)]
    return [event for *_, event in sorted(found, key=lambda one: one[:3])]


def _action_entries(connection: sqlite3.Connection, key: BookKey) -> Iterable[ActionEntry]:
    """Return the entries of actions, oldest first, each with all that was corrected of it since.

    A fill that became known late is in its lots before the action is, which then moves what was really held.
    """
    found: dict[tuple[str, ...], ActionEntry] = {}
    for entry in reversed(action_rows.entries_of_book(connection, key)):
        part = (*entry.key, entry.step, entry.into, entry.session)
        first = found.get(part)
        found[part] = entry if first is None else replace(first, amounts=first.amounts + entry.amounts)
    return found.values()


def _session_fills(connection: sqlite3.Connection, key: BookKey) -> Iterator[SessionFill]:
    sessions = dict(
        connection.execute(
            "SELECT i.client_order_id, r.session FROM intents i JOIN runs r ON r.id = i.run"
            " WHERE r.strategy = ? AND r.portfolio = ?",
            (key.strategy, key.portfolio),
        ).fetchall()
    )
    by_time: list[Fill] = sorted(books.fills_of_book(connection, key), key=_executed)
    return (SessionFill(sessions[fill.client_order_id], fill) for fill in by_time)


def _executed(fill: Fill) -> datetime:
    return fill.at


def _book_charges(connection: sqlite3.Connection, key: BookKey) -> Iterator[BookCharge]:
    rows = connection.execute(
        "SELECT substr(c.at, 1, 10), c.kind, c.asset, s.amount FROM charges c CROSS JOIN charge_shares s USING (id)"
        " WHERE s.strategy = ? AND s.portfolio = ? ORDER BY c.at, c.id",
        (key.strategy, key.portfolio),
    )
    return (BookCharge(day, kind, asset, Decimal(amount)) for day, kind, asset, amount in rows)
