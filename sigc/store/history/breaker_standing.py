"""The breakers of a configuration as they stand: the value of each for every book and for all, tripped or not.

A breaker that is tripped and not configured any more is listed too: it holds until it is reset.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from sigc.config.breaker_settings import BreakerSettings
from sigc.config.settings import SafetySettings
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.store.history import book_worth
from sigc.store.history.breaker_values import (
    BreakerState,
    BreakerValue,
    WorthHistory,
    measured,
    rules_of,
    sessions_of,
)
from sigc.store.ledger import books, breakers
from sigc.store.ledger.breakers import TrippedBreaker
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import BookKey


@dataclass(frozen=True, slots=True)
class StandingBreaker:
    """A breaker of a book, None for all books together. rule: None if it is not configured any more.

    late: books that are missing in its newest close. tripped: None while it has not tripped.
    """

    name: str
    book: BookKey | None
    rule: BreakerSettings | None
    found: BreakerValue
    late: tuple[str, ...] = ()
    tripped: TrippedBreaker | None = None

    @property
    def of(self) -> str:
        """Return whose breaker it is, in words."""
        return "all books" if self.book is None else self.book.strategy

    @property
    def doubt(self) -> str:
        """Return why it can't be evaluated, or not fully; '' if it can."""
        if self.found.state is BreakerState.UNKNOWN:
            return self.found.why
        return f"without {', '.join(self.late)}" if self.late else ""


def standing(
    connection: sqlite3.Connection, limits: SafetySettings, key: BookKey | None = None
) -> tuple[StandingBreaker, ...]:
    """Return every breaker as it stands at the newest close: of each book and of all, or of one book and of all."""
    before = {(one.name, one.book): one for one in breakers.tripped(connection)}
    rules, found = rules_of(limits), list[StandingBreaker]()
    worths = dict(histories(connection, key)) if rules else {}
    for rule in rules:
        for book, history in worths.items():
            value = measured(rule, history.since(breakers.reset_at(connection, rule.name, book)))
            held = before.pop((rule.name, book), None)
            found.append(StandingBreaker(rule.name, book, rule, value, history.late, held))
    gone = [one for one in before.values() if key is None or one.book in (None, key)]
    for one in gone:
        rule_of = next((rule for rule in rules if rule.name == one.name), None)
        value = BreakerValue(BreakerState.REACHED, one.session, one.value)
        found.append(StandingBreaker(one.name, one.book, rule_of, value, (), one))
    return tuple(found)


def histories(
    connection: sqlite3.Connection, key: BookKey | None = None
) -> Iterator[tuple[BookKey | None, WorthHistory]]:
    """Yield the history of one book, or of every one; then, where there are several, of all books together."""
    known = [book.key for book in books.books(connection)]
    for one in known if key is None else [key]:
        yield one, book_worth.of_book(connection, one)
    if len(known) > 1:
        yield None, book_worth.of_all(connection)


def chosen(
    connection: sqlite3.Connection, limits: SafetySettings, name: str, strategy: str = ""
) -> tuple[StandingBreaker, ...]:
    """Return the breakers of that name: of one strategy, or of every book and of all. Raise E901 if there is none."""
    there = standing(connection, limits)
    known = {one.name for one in there} | {rule.name for rule in rules_of(limits)}
    if name not in known:
        hint = did_you_mean(name, known) or f"there are: {', '.join(sorted(known))}"
        hint = hint if known else "none is configured: write them under safety:, then `sigc reload`"
        raise SigcError(Diagnostic("E901", f"there is no breaker '{name}'", hint=hint))
    own = tuple(one for one in there if one.name == name)
    if not strategy:
        return own
    found = tuple(one for one in own if one.book is not None and one.book.strategy == strategy)
    if not found:
        names = sorted({one.book.strategy for one in own if one.book is not None})
        hint = did_you_mean(strategy, names) or (f"there are: {', '.join(names)}" if names else "no book is open yet")
        raise SigcError(Diagnostic("E901", f"there is no book of the strategy '{strategy}'", hint=hint))
    return found


def reset(
    tx: Transaction, limits: SafetySettings, name: str, strategy: str, who: str, reason: str
) -> tuple[TrippedBreaker, ...]:
    """Reset the tripped breakers of a name, of one strategy or wherever they tripped. Return them. Raise E901."""
    worths: dict[BookKey | None, WorthHistory] = {}
    found = []
    for one in chosen(tx.connection, limits, name, strategy):
        if one.tripped is None:
            continue
        if not worths:
            worths = dict(histories(tx.connection))
        history = worths.get(one.book)
        newest = history.closes[-1].session if history is not None and history.closes else one.tripped.session
        breakers.reset(tx, one.tripped, newest, who, reason)
        found.append(one.tripped)
    return tuple(found)


def told(rule: BreakerSettings, value: float, session: str, *, is_all: bool) -> str:
    """Return a reached breaker in words.

    >>> rule = BreakerSettings(name="a", type="loss", threshold=0.02, window="1w")
    >>> told(rule, 0.0312, "2024-01-03", is_all=True)
    'all books lost 3.12 % over 5 sessions to the close of 2024-01-03; the threshold is 2 %'
    """
    who = "all books" if is_all else "the book"
    window = sessions_of(rule)
    over = "the session" if window == 1 else f"{window} sessions"
    match rule.type:
        case "loss":
            what = f"lost {measure(rule.type, value)} over {over} to the close of {session}"
        case "drawdown":
            of = f" of {over}" if window else ""
            verb = "are" if is_all else "is"
            what = f"{verb} {measure(rule.type, value)} below the highest close{of} at that of {session}"
        case "streak":
            what = f"lost in {value:g} sessions in a row, to that of {session}"
        case "volatility":
            verb = "have" if is_all else "has"
            what = f"{verb} a volatility of {measure(rule.type, value)} a year over {over} to the close of {session}"
    return f"{who} {what}; the threshold is {measure(rule.type, rule.threshold)}"


def measure(type: str, value: float) -> str:
    """Return the value of a breaker of a type as text.

    >>> measure("loss", 0.021), measure("streak", 3.0)
    ('2.1 %', '3')
    """
    return f"{value:g}" if type == "streak" else f"{round(100 * value, 4):g} %"
