"""`sigc book`: the books there are, effects of corporate actions on one; changes of books by a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import CONFIG, JSON, WORK_DIR, ledger_options
from sigc_cli.shell_completion import daemons, strategies

if TYPE_CHECKING:
    import sqlite3

    from sigc.rpc.client import Client
    from sigc.rpc.messages.books import BookedAction, RenameStrategyReply
    from sigc.store.ledger.book_moves import BookMove
    from sigc_pipelines.live.trading import Trading


@click.group(short_help="List books; look at their corporate actions; change them by hand.")
def command() -> None:
    """List books; look at their corporate actions; change them by hand.

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
    from sigc.rpc.discovery import zone_here
    from sigc.rpc.messages.books import told
    from sigc.store.ledger import action_rows
    from sigc.store.ledger.book_names import named
    from sigc_cli.book_changes import actions_text
    from sigc_cli.daemon_call import print_json
    from sigc_cli.daemon_or_ledger import ledger

    with ledger(config, work_dir) as (connection, _):
        found = action_rows.entries_of_book(connection, named(connection, book), most=most)
    entries = tuple(told(entry) for entry in found)
    if as_json:
        print_json(entries)
    else:
        click.echo(actions_text(entries, zone_here(config)))


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
    from sigc.rpc.discovery import zone_here
    from sigc.rpc.messages.books import RenameReply, RenameRequest, told
    from sigc.store.ledger.book_names import named
    from sigc_cli.book_changes import actions_text
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
            key = named(connection, book)
        return tuple(told(entry) for entry in rename(desk, key, old, new, user(), reason))

    entries = by_daemon_or_here((config, address, name), work_dir, ask, here)
    if as_json:
        print_json(entries)
    else:
        click.echo(actions_text(entries, zone_here(config)))


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


@command.command()
@click.argument("source", metavar="FROM", shell_complete=strategies)
@click.argument("to", shell_complete=strategies)
@click.argument("asset")
@click.argument("quantity", metavar="QUANTITY|all")
@click.option("--value", "is_paid", is_flag=True, help="Cash moves the other way, at the last accepted price.")
@click.option("--reason", required=True, help="Reason, kept with the change.")
@click.option("--name", metavar="NAME", shell_complete=daemons, help="The daemon of that name.")
@click.option("--address", metavar="HOST:PORT", help="Address of the daemon.")
@JSON
@CONFIG
@WORK_DIR
def transfer(
    source: str,
    to: str,
    asset: str,
    quantity: str,
    is_paid: bool,
    reason: str,
    name: str | None,
    address: str | None,
    as_json: bool,
    config: Path | None,
    work_dir: Path | None,
) -> None:
    """Move QUANTITY shares of ASSET, or all, from the book FROM to the book TO, which exists or is `unassigned`.

    Of a short position the same number is moved. Shares move at their average cost and cash stays; with --value cash
    moves the other way at the last accepted price. Nothing is traded, and neither book shows a return.

    By the daemon, or in this process when none runs. Refused during a run of either book, or while orders in ASSET are
    open.
    """
    from sigc.rpc.messages.books import MoveSharesRequest
    from sigc.store.ledger.book_moves import SharesMoved
    from sigc.store.ledger.book_names import named
    from sigc_cli.book_changes import amount_of, moved, show

    size = None if quantity == "all" else amount_of(quantity)

    def what(connection: sqlite3.Connection) -> BookMove:
        return SharesMoved(named(connection, source), named(connection, to), asset, size, is_paid)

    asked = MoveSharesRequest(source, to, asset, reason, quantity if size is None else f"{size:f}", is_paid)
    show(moved("book/transfer", asked, what, reason, (config, address, name), work_dir), as_json=as_json)


@command.command()
@click.argument("book", shell_complete=strategies)
@click.argument("amount")
@click.option("--reason", required=True, help="Reason, kept with the change.")
@click.option("--name", metavar="NAME", shell_complete=daemons, help="The daemon of that name.")
@click.option("--address", metavar="HOST:PORT", help="Address of the daemon.")
@JSON
@CONFIG
@WORK_DIR
def deposit(
    book: str,
    amount: str,
    reason: str,
    name: str | None,
    address: str | None,
    as_json: bool,
    config: Path | None,
    work_dir: Path | None,
) -> None:
    """Put AMOUNT of money into BOOK: into its cash and into the capital that sizes go by. It is no return.

    A paper broker gets it too; at a broker that trades it must be in the account. By the daemon, or in this process
    when none runs. Refused during a run of the book.
    """
    from sigc.rpc.messages.books import MoveCashRequest
    from sigc.store.ledger.book_moves import CashMoved
    from sigc.store.ledger.book_names import named
    from sigc_cli.book_changes import amount_of, moved, show

    money = amount_of(amount)

    def what(connection: sqlite3.Connection) -> BookMove:
        return CashMoved(named(connection, book), money)

    asked = MoveCashRequest(book, f"{money:f}", reason)
    show(moved("book/deposit", asked, what, reason, (config, address, name), work_dir), as_json=as_json)


@command.command()
@click.argument("book", shell_complete=strategies)
@click.argument("amount")
@click.option("--reason", required=True, help="Reason, kept with the change.")
@click.option("--name", metavar="NAME", shell_complete=daemons, help="The daemon of that name.")
@click.option("--address", metavar="HOST:PORT", help="Address of the daemon.")
@JSON
@CONFIG
@WORK_DIR
def withdraw(
    book: str,
    amount: str,
    reason: str,
    name: str | None,
    address: str | None,
    as_json: bool,
    config: Path | None,
    work_dir: Path | None,
) -> None:
    """Take AMOUNT of money out of BOOK: of its cash and of the capital that sizes go by. It is no loss.

    A paper broker pays it out too; at a broker that trades, take it out of the account. By the daemon, or in this
    process when none runs. Refused beyond the book's cash, and during a run of it.
    """
    from sigc.rpc.messages.books import MoveCashRequest
    from sigc.store.ledger.book_moves import CashMoved
    from sigc.store.ledger.book_names import named
    from sigc_cli.book_changes import amount_of, moved, show

    money = amount_of(amount)

    def what(connection: sqlite3.Connection) -> BookMove:
        return CashMoved(named(connection, book), -money)

    asked = MoveCashRequest(book, f"{money:f}", reason)
    show(moved("book/withdraw", asked, what, reason, (config, address, name), work_dir), as_json=as_json)


@command.command("write-off")
@click.argument("book", shell_complete=strategies)
@click.argument("asset")
@click.option("--reason", required=True, help="Reason, kept with the change.")
@click.option("--name", metavar="NAME", shell_complete=daemons, help="The daemon of that name.")
@click.option("--address", metavar="HOST:PORT", help="Address of the daemon.")
@JSON
@CONFIG
@WORK_DIR
def write_off(
    book: str,
    asset: str,
    reason: str,
    name: str | None,
    address: str | None,
    as_json: bool,
    config: Path | None,
    work_dir: Path | None,
) -> None:
    """Take the worthless position in ASSET out of BOOK at a price of 0: its cost is a realised loss.

    It leaves a paper broker's account too; a broker that trades must have taken it out of the account before. By the
    daemon, or in this process when none runs. Refused during a run of the book, and while orders in ASSET are open.
    """
    from sigc.rpc.messages.books import WriteOffRequest
    from sigc.store.ledger.book_moves import WriteOff
    from sigc.store.ledger.book_names import named
    from sigc_cli.book_changes import moved, show

    def what(connection: sqlite3.Connection) -> BookMove:
        return WriteOff(named(connection, book), asset)

    asked = WriteOffRequest(book, asset, reason)
    show(moved("book/write-off", asked, what, reason, (config, address, name), work_dir), as_json=as_json)


@command.command()
@click.argument("book", shell_complete=strategies)
@click.option("--reason", required=True, help="Reason, kept with the orders.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--name", metavar="NAME", shell_complete=daemons, help="The daemon of that name.")
@click.option("--address", metavar="HOST:PORT", help="Address of the daemon.")
@JSON
@CONFIG
@WORK_DIR
def close(
    book: str,
    reason: str,
    yes: bool,
    name: str | None,
    address: str | None,
    as_json: bool,
    config: Path | None,
    work_dir: Path | None,
) -> None:
    """Cancel the open orders of BOOK, and close its positions by orders that only reduce; nothing is halted.

    For a book whose strategy is not configured any more, is halted, or never was (`unassigned`). Its cash stays in
    it. By the daemon, or in this process when none runs and the broker is a simulation.
    Exit 7 if something is left open.
    """
    from sigc.daemon.configured.configured import configured
    from sigc.errors import Diagnostic, SigcError
    from sigc.rpc.discovery import zone_here
    from sigc.rpc.messages.books import CloseBookRequest
    from sigc.rpc.messages.kill import KillReply
    from sigc.store.ledger.book_names import named
    from sigc_cli.daemon_call import print_json
    from sigc_cli.daemon_or_ledger import by_daemon_or_here
    from sigc_cli.killing import says_yes
    from sigc_cli.text.kill_text import kill_text
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.assembly.trading import user
    from sigc_pipelines.stopping.close_book import close_book

    if not yes and not says_yes(f"Close all positions of {book} by orders at the broker?"):
        raise SigcError(Diagnostic("E901", "nothing was cancelled or closed: nobody said yes", hint="say --yes"))

    def ask(client: Client) -> KillReply:
        return client.post("book/close", CloseBookRequest(book, reason), reply=KillReply)

    def here(desk: Trading) -> KillReply:
        if desk.broker.capabilities().is_live:
            hint = "start it by `sigc daemon`; without one, `sigc kill --flatten` closes positions"
            raise SigcError(Diagnostic("E900", "a live broker is traded by the daemon alone", hint=hint))
        owners = {strategy.name for strategy in configured(configuration(Choices(config=config))).strategies}
        with desk.ledger.reading() as connection:
            key = named(connection, book)
        return close_book(desk, key, owners, user(), reason)

    reply = by_daemon_or_here((config, address, name), work_dir, ask, here)
    if as_json:
        print_json(reply)
    else:
        click.echo(kill_text(reply, zone_here(config)))
    raise click.exceptions.Exit(0 if reply.is_done else 7)
