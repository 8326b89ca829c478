"""`sigc reconcile`: ledger and broker compared, each difference with its likely cause; adopted on request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import CONFIG, JSON, WORK_DIR
from sigc_cli.shell_completion import daemons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigc.rpc.messages.books import DifferenceTold, ReconcileReply


@click.command(short_help="Compare the ledger with the broker; adopt what differs.")
@click.option("--adopt", is_flag=True, help="Take what the broker holds into the ledger; needs --reason.")
@click.option("--reason", default="", help="Reason, kept with each entry.")
@click.option("--book", default="", metavar="STRATEGY[/PORTFOLIO]", help="The book that the differences belong to.")
@click.option("--name", metavar="NAME", shell_complete=daemons, help="The daemon of that name.")
@click.option("--address", metavar="HOST:PORT", help="Address of the daemon.")
@JSON
@CONFIG
@WORK_DIR
def command(
    adopt: bool,
    reason: str,
    book: str,
    name: str | None,
    address: str | None,
    as_json: bool,
    config: Path | None,
    work_dir: Path | None,
) -> None:
    """Print "ledger and broker agree", or each difference in assets, cash and orders with its likely cause.

    With --adopt the ledger takes what the broker holds, by adjusting entries that the audit has; nothing is traded, and
    the next run sizes on what is really held. Splits, renamings and ends are of every book that holds the asset. Other
    differences are of --book, or of the only book; with several books and none named, of the book `unassigned`.

    By the daemon, or in this process when none runs. Exit 7 when something differs still.
    """
    from sigc.errors import Diagnostic, SigcError
    from sigc.rpc.client import NoDaemonError
    from sigc.rpc.messages.books import AdoptRequest, ReconcileReply, ReconcileRequest
    from sigc_cli.daemon_call import daemon, print_json

    if adopt and not reason.strip():
        raise SigcError(Diagnostic("E002", "--adopt needs --reason '...'"))
    if not adopt and (reason or book):
        raise SigcError(Diagnostic("E002", "--reason and --book are for --adopt"))
    strategy, _, portfolio = book.partition("/")
    try:
        with daemon(config, address, name) as client:
            if adopt:
                asked = AdoptRequest(reason, strategy, portfolio)
                done = client.post("book/adopt", asked, reply=ReconcileReply)
            else:
                done = client.post("book/reconcile", ReconcileRequest(), reply=ReconcileReply)
    except NoDaemonError as gone:
        if not gone.is_refused or address is not None:
            raise
        done = _here(adopt, reason, book, name, config, work_dir)
    if as_json:
        print_json(done)
    else:
        click.echo(_text(done, is_adopted=adopt))
    if done.left if adopt else done.differences:
        raise SystemExit(7)


def _here(
    is_adopting: bool, reason: str, book: str, name: str | None, config: Path | None, work_dir: Path | None
) -> ReconcileReply:
    from sigc.daemon.runner import Adopting
    from sigc_cli.assembly.workdir import work_dir as place_of
    from sigc_cli.commands.book import key_of
    from sigc_cli.text.run_view import render
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.assembly.trading import TradeOptions, trading, user
    from sigc_pipelines.service.reconciled import reconciled

    loaded = configuration(Choices(config=config))
    place = place_of(loaded, work_dir, name)
    click.echo(f"no daemon answers: done in this process, with the ledger of {place}", err=True)
    with trading(loaded.config, place, TradeOptions(), render) as (desk, _):
        if not is_adopting:
            return reconciled(desk)
        key = None
        if book:
            with desk.ledger.reading() as connection:
                key = key_of(connection, book)
        return reconciled(desk, Adopting(user(), reason, key))


def _text(done: ReconcileReply, *, is_adopted: bool) -> str:
    from sigc_pipelines.text.table import table

    if not done.differences:
        return "ledger and broker agree"
    parts = [_differences(done.differences)]
    if done.adopted:
        heads = ("entry", "book", "asset", "change", "cash", "cause", "counts from")
        rows = [heads]
        for one in done.adopted:
            book = f"{one.strategy}/{one.portfolio}"
            rows.append((str(one.number), book, one.asset or "-", one.change, one.cash, one.cause, one.session))
        parts.append(f"adopted:\n{table(rows)}")
    if is_adopted:
        parts.append(f"still different:\n{_differences(done.left)}" if done.left else "ledger and broker agree now")
    else:
        how = "sigc reconcile --adopt --reason '...'"
        parts.append(f"no run trades until they agree; to take what the broker has: {how}")
    return "\n\n".join(parts)


def _differences(found: Sequence[DifferenceTold]) -> str:
    from sigc_pipelines.text.table import table

    heads = ("of", "ledger", "broker", "likely cause")
    return table([heads, *((one.subject, one.ledger, one.broker, one.text) for one in found)])
