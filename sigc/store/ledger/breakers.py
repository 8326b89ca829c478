"""Tripped circuit breakers in the ledger: kept over restarts until a named person resets them.

A breaker trips for a book, or for all books together. Its row is written in one transaction with the NAV that tripped
it, and with the end of the orders that it holds back. While it is tripped:

    halt_trading, flatten   nothing of the strategy (or of any) is sent, like a halt; closing orders pass
    reduce_exposure         only orders that take their position nearer to zero are sent
    pause_30min             no run begins for half an hour; it trips again at a later close that reaches it too
    alert_only              nothing is held back; it trips again likewise

The row of a reset remembers the close at which it was reset: what was lost before it is not judged again.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sigc.store.ledger import control, halting
from sigc.store.ledger.control import Control
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import BookKey

if TYPE_CHECKING:
    from sigc.config.breaker_settings import BreakerSettings

BREAKER = "breaker"
RESET = "breaker_reset"
PAUSE = timedelta(minutes=30)
_STOPS = frozenset({"halt_trading", "flatten"})
_RENEWED = frozenset({"pause_30min", "alert_only"})  # what they do is over by itself, so that they may do it again


@dataclass(frozen=True, slots=True)
class TrippedBreaker:
    """A breaker that has tripped. book: None for all together. session: of the close that tripped it.

    type, threshold, action: as they were then. until: the end of its pause. at: the instant at which it tripped.
    """

    name: str
    book: BookKey | None
    type: str
    action: str
    threshold: float
    value: float
    session: str
    text: str
    at: datetime
    until: datetime | None = None

    @property
    def strategy(self) -> str:
        """Return the strategy that it holds back, '' for all."""
        return "" if self.book is None else self.book.strategy

    @property
    def is_stop(self) -> bool:
        """Return True if nothing is sent while it is tripped."""
        return self.action in _STOPS

    @property
    def is_renewed(self) -> bool:
        """Return True if a later close may trip it again."""
        return self.action in _RENEWED

    @property
    def halt(self) -> Control:
        """Return it as the halt that it is."""
        return Control(control.HALTED, self.strategy, BREAKER, f"the breaker {self.name}", self.text, self.at)


def scope_of(name: str, book: BookKey | None) -> str:
    """Return the scope of a breaker's row.

    >>> scope_of("daily_loss", BookKey("momentum", "main")), scope_of("daily_loss", None)
    ('daily_loss momentum/main', 'daily_loss')
    """
    return name if book is None else f"{name} {book.strategy}/{book.portfolio}"


def _read_scope(scope: str) -> tuple[str, BookKey | None]:
    name, _, book = scope.partition(" ")
    strategy, _, portfolio = book.partition("/")
    return name, BookKey(strategy, portfolio) if book else None


def trip(
    tx: Transaction, rule: BreakerSettings, book: BookKey | None, value: float, session: str, text: str
) -> TrippedBreaker:
    """Trip a breaker, and deny the planned orders that it holds back."""
    until = tx.at + PAUSE if rule.action == "pause_30min" else None
    made = TrippedBreaker(
        *(rule.name, book, rule.type, rule.action, rule.threshold, value, session, text, tx.at, until)
    )
    said = {"type": rule.type, "action": rule.action, "threshold": rule.threshold, "value": value, "session": session}
    said |= {} if until is None else {"until": until.isoformat()}
    control.put(tx, BREAKER, scope_of(rule.name, book), json.dumps(said, sort_keys=True), halting.RULE, text)
    if made.is_stop:
        halting.end_planned(tx, made.strategy, halting.reason_of(made.strategy, made.halt.who, text))
    return made


def reset(tx: Transaction, found: TrippedBreaker, session: str, who: str, reason: str) -> None:
    """Reset a tripped breaker. session: of the newest close, from which on it is judged again; '' for none."""
    scope = scope_of(found.name, found.book)
    control.drop(tx, BREAKER, scope, who, reason)
    control.put(tx, RESET, scope, session, who, reason)


def tripped(connection: sqlite3.Connection) -> tuple[TrippedBreaker, ...]:
    """Return the breakers that are tripped, by name and book."""
    return tuple(map(_tripped, control.every(connection, BREAKER)))


def _tripped(row: Control) -> TrippedBreaker:
    name, book = _read_scope(row.scope)
    said = json.loads(row.value)
    until = datetime.fromisoformat(said["until"]) if "until" in said else None
    return TrippedBreaker(
        name,
        book,
        str(said["type"]),
        str(said["action"]),
        float(said["threshold"]),
        float(said["value"]),
        str(said["session"]),
        row.reason,
        row.at,
        until,
    )


def reset_at(connection: sqlite3.Connection, name: str, book: BookKey | None) -> str:
    """Return the session at whose close a breaker was reset last, '' if it never was."""
    found = control.get(connection, RESET, scope_of(name, book))
    return "" if found is None else found.value


def halt_of(connection: sqlite3.Connection, strategy: str) -> Control | None:
    """Return why nothing of a strategy may be sent: a halt, or a tripped breaker; None if it may."""
    halt = control.holds(connection, control.HALTED, strategy)
    return halt or next((one.halt for one in _of(connection, strategy) if one.is_stop), None)


def halts(connection: sqlite3.Connection) -> tuple[Control, ...]:
    """Return all halts, those of tripped breakers too."""
    return (*control.every(connection, control.HALTED), *(one.halt for one in tripped(connection) if one.is_stop))


def stops(connection: sqlite3.Connection) -> tuple[Control, ...]:
    """Return the halts, those of tripped breakers too, then the pauses in force."""
    return (*halts(connection), *control.every(connection, control.PAUSED))


def pause_of(connection: sqlite3.Connection, strategy: str, now: datetime) -> TrippedBreaker | None:
    """Return the breaker that keeps a run of a strategy from beginning now, the one that lasts longest."""
    found = [(one.until, one) for one in _of(connection, strategy) if one.until is not None and now < one.until]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def reduces_only(connection: sqlite3.Connection, strategy: str) -> TrippedBreaker | None:
    """Return the breaker that lets only reducing orders of a strategy pass, None without one."""
    return next((one for one in _of(connection, strategy) if one.action == "reduce_exposure"), None)


def renamed(name: str, scope: str, old: str, new: str) -> str:
    """Return the scope of a decision under a strategy's new name.

    >>> renamed("breaker", "big one/main", "one", "two"), renamed("halted", "one", "one", "two")
    ('big two/main', 'two')
    """
    if name not in (BREAKER, RESET):
        return new if scope == old else scope
    breaker, book = _read_scope(scope)
    return scope_of(breaker, replace(book, strategy=new)) if book is not None and book.strategy == old else scope


def rename(tx: Transaction, old: str, new: str) -> None:
    """Keep the breakers of a strategy's books under its new name."""
    for row in (*control.every(tx.connection, BREAKER), *control.every(tx.connection, RESET)):
        tx.connection.execute(
            "UPDATE control SET scope = ? WHERE name = ? AND scope = ?",
            (renamed(row.name, row.scope, old, new), row.name, row.scope),
        )


def _of(connection: sqlite3.Connection, strategy: str) -> tuple[TrippedBreaker, ...]:
    return tuple(one for one in tripped(connection) if one.strategy in ("", strategy))
