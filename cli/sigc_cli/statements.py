"""The statements that a command line asks for."""

from __future__ import annotations

import calendar
import re
import sqlite3
from datetime import date

from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.store.history.statement import Statement, statement
from sigc.store.ledger import books


def statements_of(connection: sqlite3.Connection, strategy: str, day: str, month: str) -> tuple[Statement, ...]:
    """Return the statements of a strategy's books ('' for all) of a day or a month; neither: of the newest close.

    Raise SigcError: E312 for an unknown strategy, or a span without a close; E500 for an invalid date; E002 for both.
    """
    keys = [book.key for book in books.books(connection) if strategy in ("", book.key.strategy)]
    if not keys:
        known = sorted({book.key.strategy for book in books.books(connection)})
        hint = did_you_mean(strategy, known) or "`sigc positions` shows those there are"
        what = f"there is no book of '{strategy}'" if strategy else "there is no book yet"
        raise SigcError(Diagnostic("E312", what, hint=hint))
    since, until = _span(day, month)
    if not until:
        closes = [nav.session for key in keys if (nav := books.last_nav(connection, key)) is not None]
        since = until = max(closes, default="")
    found = tuple(one for key in keys if (one := statement(connection, key, since, until)) is not None)
    if not found:
        span = f"from {since} to {until}" if since != until else f"on {until}" if until else "yet"
        raise SigcError(Diagnostic("E312", f"no book was valued {span}", hint="`sigc report` shows the whole track"))
    return found


def _span(day: str, month: str) -> tuple[str, str]:
    """Return the first and the last day that are meant, '' for the newest."""
    if day and month:
        raise SigcError(Diagnostic("E002", "--date and --month exclude each other"))
    if month:
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
            raise SigcError(Diagnostic("E500", f"invalid month '{month}'", hint="such as 2024-01"))
        year, number = map(int, month.split("-"))
        return f"{month}-01", f"{month}-{calendar.monthrange(year, number)[1]:02d}"
    if not day:
        return "", ""
    try:
        return day, str(date.fromisoformat(day))
    except ValueError:
        raise SigcError(Diagnostic("E500", f"invalid date '{day}'", hint="such as 2024-01-15")) from None
