"""`sigc reconcile`: ledger and broker compared, each difference with its likely cause; adopted on request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import CONFIG, JSON, WORK_DIR
from sigc_cli.shell_completion import daemons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigc.rpc.client import Client
    from sigc.rpc.messages.books import DifferenceTold, ReconcileReply
    from sigc_pipelines.live.trading import Trading


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
    from sigc.daemon.runner import Adopting
    from sigc.errors import Diagnostic, SigcError
    from sigc.rpc.messages.books import AdoptRequest, ReconcileReply, ReconcileRequest
    from sigc.store.ledger.book_names import named
    from sigc_cli.daemon_call import print_json
    from sigc_cli.daemon_or_ledger import by_daemon_or_here
    from sigc_pipelines.assembly.trading import user
    from sigc_pipelines.service.reconciled import reconciled

    if adopt and not reason.strip():
        raise SigcError(Diagnostic("E002", "--adopt needs --reason '...'"))
    if not adopt and (reason or book):
        raise SigcError(Diagnostic("E002", "--reason and --book are for --adopt"))
    strategy, _, portfolio = book.partition("/")

    def ask(client: Client) -> ReconcileReply:
        if not adopt:
            return client.post("book/reconcile", ReconcileRequest(), reply=ReconcileReply)
        return client.post("book/adopt", AdoptRequest(reason, strategy, portfolio), reply=ReconcileReply)

    def here(desk: Trading) -> ReconcileReply:
        if not adopt:
            return reconciled(desk)
        with desk.ledger.reading() as connection:
            key = named(connection, book) if book else None
        return reconciled(desk, Adopting(user(), reason, key))

    done = by_daemon_or_here((config, address, name), work_dir, ask, here)
    if as_json:
        print_json(done)
    else:
        click.echo(_text(done, is_adopted=adopt))
    if done.left if adopt else done.differences:
        raise SystemExit(7)


def _text(done: ReconcileReply, *, is_adopted: bool) -> str:
    from sigc_cli.text.ledger_view import entries

    if not done.differences:
        return "ledger and broker agree"
    parts = [_differences(done.differences)]
    if done.adopted:
        parts.append(f"adopted:\n{entries(done.adopted)}")
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
