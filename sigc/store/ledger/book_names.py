"""Books by the names that people type: STRATEGY or STRATEGY/PORTFOLIO."""

from __future__ import annotations

import sqlite3

from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.store.ledger import books
from sigc.store.ledger.records import UNASSIGNED, BookKey


def name_of(key: BookKey) -> str:
    """Return a book's name.

    >>> name_of(BookKey("momentum", "main"))
    'momentum/main'
    """
    return f"{key.strategy}/{key.portfolio}"


def named(connection: sqlite3.Connection, text: str) -> BookKey:
    """Return the key of STRATEGY/PORTFOLIO, or of the first book of STRATEGY. Raise SigcError E312 without one.

    The book `unassigned` may be named before it exists.
    """
    strategy, _, portfolio = text.partition("/")
    if strategy == UNASSIGNED.strategy and portfolio in ("", UNASSIGNED.portfolio):
        return UNASSIGNED
    known = [one.key for one in books.books(connection)]
    for key in known:
        if key.strategy == strategy and portfolio in ("", key.portfolio):
            return key
    hint = did_you_mean(strategy, [key.strategy for key in known]) or "`sigc book list` shows those there are"
    raise SigcError(Diagnostic("E312", f"there is no book '{text}'", hint=hint))
