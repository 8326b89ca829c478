"""Changes of books by hand from the command line: amounts, the change by a daemon or here, and its entries as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc.errors import Diagnostic, SigcError
from sigc.rpc.messages.books import BookedAction, BookMovedReply, told_adjustment
from sigc.words import local_time
from sigc_cli.daemon_call import print_json
from sigc_cli.daemon_or_ledger import by_daemon_or_here
from sigc_cli.text.ledger_view import entries
from sigc_pipelines.assembly.trading import user
from sigc_pipelines.live.move_books import move_books
from sigc_pipelines.text.table import table

if TYPE_CHECKING:
    import sqlite3

    from sigc.rpc.client import Client
    from sigc.store.ledger.book_moves import BookMove
    from sigc_pipelines.live.trading import Trading


def amount_of(text: str) -> Decimal:
    """Return a positive amount. Raise SigcError E002."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal(0)
    if not (found.is_finite() and 0 < found < Decimal(10) ** 15 and found == round(found, 10)):
        raise SigcError(Diagnostic("E002", f"'{text}' is no positive amount", hint="such as 100 or 2500.50"))
    return found


def moved(
    verb: str,
    asked: object,
    what: Callable[[sqlite3.Connection], BookMove],
    reason: str,
    target: tuple[Path | None, str | None, str | None],
    work_dir: Path | None,
) -> BookMovedReply:
    """Return the entries of a change, made by the daemon or here. what: returns the change, named by a ledger."""
    if not reason.strip():
        raise SigcError(Diagnostic("E002", "a change of a book needs a reason", hint="--reason '...'"))

    def ask(client: Client) -> BookMovedReply:
        return client.post(verb, asked, reply=BookMovedReply)

    def here(desk: Trading) -> BookMovedReply:
        with desk.ledger.reading() as connection:
            change = what(connection)
        return BookMovedReply(tuple(map(told_adjustment, move_books(desk, change, user(), reason))))

    return by_daemon_or_here(target, work_dir, ask, here)


def show(done: BookMovedReply, *, as_json: bool) -> None:
    """Print the entries of a change."""
    if as_json:
        print_json(done)
    else:
        click.echo(entries(done.entries))


def actions_text(found: Sequence[BookedAction], zone: str) -> str:
    """Return effects of corporate actions as a table. zone: of its times."""
    if not found:
        return "no corporate actions"
    heads = ("entry", "asset", "kind", "ex-date", "shares", "into", "cash", "owed", "counts from", "booked", "reason")
    rows = [heads]
    for one in found:
        into = f"{one.into_change} {one.into}" if one.into else ""
        why = one.reason + (f" of {one.corrects}" if one.corrects else "")
        cells = (str(one.number), one.asset, one.kind, one.ex_date, one.change, into, one.cash, one.receivable)
        rows.append((*cells, one.session, local_time(one.at, zone), why))
    return table(rows)
