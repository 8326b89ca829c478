"""`sigc runs`: past runs from the ledger: a list, one whole, two beside each other, what the audit says, cancelling."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.options import CONFIG, JSON, WORK_DIR


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Look at runs: list (the default), show, diff, logs, cancel."""
    if context.invoked_subcommand is None:
        context.invoke(list_runs)


@command.command("list")
@click.option("--strategy", default="", help="Of one strategy.")
@click.option("-n", "most", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@JSON
@CONFIG
@WORK_DIR
def list_runs(
    strategy: str = "",
    most: int = 20,
    as_json: bool = False,
    config: Path | None = None,
    work_dir: Path | None = None,
) -> None:
    """The newest runs."""
    from sigc.store import runs
    from sigc_cli import ledger_view
    from sigc_cli.reading import ledger

    with ledger(config, work_dir) as (connection, _):
        found = runs.recent(connection, most, strategy)
    click.echo(ledger_view.dump(found) if as_json else ledger_view.runs(found))


@command.command()
@click.argument("id")
@JSON
@CONFIG
@WORK_DIR
def show(id: str, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """One run: stages and what they found, and its orders; with --json its weights and fills too."""
    from sigc_cli import ledger_view
    from sigc_cli.reading import ledger
    from sigc_pipelines.artifacts import account_of

    with ledger(config, work_dir) as (connection, place):
        account = account_of(connection, place, id)
    click.echo(ledger_view.dump(account) if as_json else ledger_view.account(account))


@command.command()
@click.argument("first")
@click.argument("second")
@JSON
@CONFIG
@WORK_DIR
def diff(first: str, second: str, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """What differs between two runs: inputs, weights, orders. Exit code 1 when anything does."""
    from sigc_cli import ledger_view
    from sigc_cli.reading import ledger
    from sigc_cli.table import table
    from sigc_pipelines.artifacts import account_of

    with ledger(config, work_dir) as (connection, place):
        found = ledger_view.differences(*(account_of(connection, place, id) for id in (first, second)))
    rows = [("what", first, second), *found]
    click.echo(ledger_view.dump(found) if as_json else table(rows) if found else "nothing differs")
    if found:
        raise SystemExit(1)


@command.command()
@click.argument("id")
@JSON
@CONFIG
@WORK_DIR
def logs(id: str, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """What the audit says of a run, in order."""
    from sigc_cli import ledger_view
    from sigc_cli.reading import ledger

    with ledger(config, work_dir) as (connection, _):
        found = ledger_view.records_of(connection, id)
    click.echo(ledger_view.dump(found) if as_json else "\n".join(ledger_view.record_line(r) for r in found))


@command.command()
@click.argument("id")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit with who.")
@CONFIG
@WORK_DIR
def cancel(id: str, reason: str, config: Path | None, work_dir: Path | None) -> None:
    """End a run, and take its open orders from the broker's book; what the broker can't be asked about stays.

    Goes to the daemon when one answers.
    """
    from sigc.errors import Diagnostic, SigcError

    left = None if work_dir is not None else _cancel_by_daemon(id, reason, config)
    left = _cancel_here(id, reason, config, work_dir) if left is None else left
    click.echo(f"{id}: open orders were cancelled" + (f", {left} not reached" if left else ""))
    if left:
        raise SigcError(Diagnostic("E601", f"{left} orders could not be cancelled", hint="run it again"))


def _cancel_by_daemon(id: str, reason: str, config: Path | None) -> int | None:
    """How many orders the daemon could not reach; None when nobody listens."""
    from sigc.daemon.client import NoDaemonError
    from sigc.daemon.messages import CancelReply, CancelRequest
    from sigc_cli.remote import daemon

    try:
        with daemon(config, None, None) as client:
            return client.post("runs/cancel", CancelRequest(id, reason), reply=CancelReply).left
    except NoDaemonError as gone:
        if not gone.is_refused:
            raise
        return None


def _cancel_here(id: str, reason: str, config: Path | None, work_dir: Path | None) -> int:
    from sigc.store import runs
    from sigc_cli.build import Choices, configuration
    from sigc_cli.build_trading import Wish, trading, user
    from sigc_cli.workdir import work_dir as place_of
    from sigc_pipelines.settle import cancel as cancel_orders

    loaded = configuration(Choices(config=config))
    place = place_of(loaded, work_dir)
    with trading(loaded.config, place, Wish(is_dry=True)) as (desk, _):
        with desk.ledger.reading() as connection:
            run = runs.find(connection, id)
        return len(cancel_orders(desk.ledger, desk.broker, run, user(), reason))
