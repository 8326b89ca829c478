"""`sigc book`: the books there are, effects of corporate actions on one; an asset or a strategy renamed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import CONFIG, JSON, WORK_DIR, ledger_options
from sigc_cli.shell_completion import daemons

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from sigc.rpc.client import Client
    from sigc.rpc.messages.books import BookedAction, RenameStrategyReply
    from sigc.store.ledger.records import BookKey
    from sigc_pipelines.live.trading import Trading


@click.group(short_help="List books; look at their corporate actions; rename an asset or a strategy.")
def command() -> None:
    """List books; look at their corporate actions; rename an asset or a strategy.

    BOOK is STRATEGY or STRATEGY/PORTFOLIO. What a broker holds and nobody claims is in the book `unassigned`.
    """


@command.command()
@click.argument("book")
@click.option(
    "-n", "most", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Number of entries."
)
@JSON
@ledger_options
def actions(book: str, most: int, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """Show what corporate actions did to BOOK, the newest first."""
    from sigc.rpc.messages.books import told
    from sigc.store.ledger import action_rows
    from sigc_cli.daemon_call import print_json
    from sigc_cli.daemon_or_ledger import ledger

    with ledger(config, work_dir) as (connection, _):
        found = action_rows.entries_of_book(connection, key_of(connection, book), most=most)
    entries = tuple(told(entry) for entry in found)
    if as_json:
        print_json(entries)
    else:
        click.echo(_text(entries))


@command.command("rename-asset")
@click.argument("book")
@click.argument("old")
@click.argument("new")
@click.option("--reason", required=True, help="Reason, kept with the change.")
@click.option("--name", metavar="NAME", shell_complete=daemons, help="The daemon of that name.")
@click.option("--address", metavar="HOST:PORT", help="Address of the daemon.")
@JSON
@CONFIG
@WORK_DIR
def rename_asset(
    book: str,
    old: str,
    new: str,
    reason: str,
    name: str | None,
    address: str | None,
    as_json: bool,
    config: Path | None,
    work_dir: Path | None,
) -> None:
    """Rename the asset OLD to NEW in BOOK, in each other book that holds it, and in a paper broker's book.

    By the daemon, or in this process when none runs. Nothing is traded. Refused while NEW is held, or orders are open.
    """
    from sigc.rpc.messages.books import RenameReply, RenameRequest, told
    from sigc_cli.daemon_call import print_json
    from sigc_cli.daemon_or_ledger import by_daemon_or_here
    from sigc_pipelines.assembly.trading import user
    from sigc_pipelines.live.rename_asset import rename_asset as rename

    strategy, _, portfolio = book.partition("/")

    def ask(client: Client) -> tuple[BookedAction, ...]:
        asked = RenameRequest(strategy, old, new, reason, portfolio)
        return client.post("book/rename-asset", asked, reply=RenameReply).entries

    def here(desk: Trading) -> tuple[BookedAction, ...]:
        with desk.ledger.reading() as connection:
            key = key_of(connection, book)
        return tuple(told(entry) for entry in rename(desk, key, old, new, user(), reason))

    entries = by_daemon_or_here((config, address, name), work_dir, ask, here)
    if as_json:
        print_json(entries)
    else:
        click.echo(_text(entries))


@command.command("list")
@JSON
@ledger_options
def list_books(as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """List all books: capital, cash, positions, newest NAV, and whether a configured strategy owns them."""
    from sigc.daemon.configured.configured import configured
    from sigc_cli.daemon_call import print_json
    from sigc_cli.daemon_or_ledger import ledger_of
    from sigc_cli.text.ledger_view import book_list, listed_books

    with ledger_of((config, None, None), work_dir) as (connection, _, loaded):
        found = listed_books(connection, {strategy.name for strategy in configured(loaded).strategies})
    if as_json:
        print_json(found)
    else:
        click.echo(book_list(found))


@command.command()
@click.argument("old")
@click.argument("new")
@click.option("--reason", required=True, help="Reason, kept with the change.")
@click.option("--name", metavar="NAME", shell_complete=daemons, help="The daemon of that name.")
@click.option("--address", metavar="HOST:PORT", help="Address of the daemon.")
@JSON
@CONFIG
@WORK_DIR
def rename(
    old: str,
    new: str,
    reason: str,
    name: str | None,
    address: str | None,
    as_json: bool,
    config: Path | None,
    work_dir: Path | None,
) -> None:
    """Let the books of the strategy OLD go on as those of NEW, after its name has changed in the configuration.

    By the daemon, or in this process when none runs. Nothing is traded.
    """
    from sigc.rpc.messages.books import RenameStrategyReply, RenameStrategyRequest
    from sigc.store.ledger.book_rename import rename_strategy
    from sigc_cli.daemon_call import print_json
    from sigc_cli.daemon_or_ledger import by_daemon_or_here
    from sigc_pipelines.assembly.trading import user

    def ask(client: Client) -> RenameStrategyReply:
        asked = RenameStrategyRequest(old, new, reason)
        return client.post("book/rename", asked, reply=RenameStrategyReply)

    def here(desk: Trading) -> RenameStrategyReply:
        with desk.ledger.transaction("control") as tx:
            keys = rename_strategy(tx, old, new, user(), reason)
        return RenameStrategyReply(tuple(key.portfolio for key in keys))

    done = by_daemon_or_here((config, address, name), work_dir, ask, here)
    if as_json:
        print_json(done)
    else:
        click.echo("\n".join(f"{old}/{portfolio} is {new}/{portfolio} now" for portfolio in done.portfolios))


def key_of(connection: sqlite3.Connection, book: str) -> BookKey:
    """Return the key of STRATEGY or STRATEGY/PORTFOLIO. Raises SigcError E312.

    The book `unassigned` may be named before it exists.
    """
    from sigc.errors import Diagnostic, SigcError, did_you_mean
    from sigc.store.history import history
    from sigc.store.ledger import books
    from sigc.store.ledger.records import UNASSIGNED

    strategy, _, portfolio = book.partition("/")
    if strategy == UNASSIGNED.strategy and portfolio in ("", UNASSIGNED.portfolio):
        return UNASSIGNED
    found = history.book_of(connection, strategy, portfolio)
    if found is None:
        known = [one.key.strategy for one in books.books(connection)]
        hint = did_you_mean(strategy, known) or "`sigc positions` shows those there are"
        raise SigcError(Diagnostic("E312", f"there is no book '{book}'", hint=hint))
    return found.key


def _text(entries: Sequence[BookedAction]) -> str:
    from sigc_pipelines.text.table import table

    if not entries:
        return "no corporate actions"
    heads = ("entry", "asset", "kind", "ex-date", "shares", "into", "cash", "owed", "counts from", "booked", "reason")
    rows = [heads]
    for one in entries:
        into = f"{one.into_change} {one.into}" if one.into else ""
        why = one.reason + (f" of {one.corrects}" if one.corrects else "")
        cells = (str(one.number), one.asset, one.kind, one.ex_date, one.change, into, one.cash, one.receivable)
        rows.append((*cells, one.session, f"{one.at:%Y-%m-%d %H:%M} UTC", why))
    return table(rows)
