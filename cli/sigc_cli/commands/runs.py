"""`sigc runs`: past runs from the ledger: a list, one whole, two beside each other, what the audit says, cancelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import JSON, NAMED, ledger_options
from sigc_cli.shell_completion import runs, strategies

if TYPE_CHECKING:
    from sigc.rpc.messages.requests import CancelReply
    from sigc_cli.text.ordered_view import Ordered


@click.group(invoke_without_command=True, short_help="Look at past runs: list, show, diff, logs, cancel.")
@click.pass_context
def command(context: click.Context) -> None:
    """Look at runs: list (the default), show, diff, logs, cancel."""
    if context.invoked_subcommand is None:
        context.invoke(list_runs)


@command.command("list")
@click.option("--strategy", default="", shell_complete=strategies, help="Of one strategy.")
@click.option("--kind", default="", help="By kind: trade, dry, compute, script, report, data_refresh.")
@click.option("--outcome", default="", help="By outcome: done, unchanged, refused, failed, ...; open: not ended.")
@click.option("--since", default="", metavar="WHEN", help="From a date or time on (in schedule.timezone), or 24h, 7d.")
@click.option("-n", "most", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Number of entries.")
@JSON
@ledger_options
def list_runs(
    strategy: str = "",
    kind: str = "",
    outcome: str = "",
    since: str = "",
    most: int = 20,
    as_json: bool = False,
    config: Path | None = None,
    work_dir: Path | None = None,
) -> None:
    """The newest runs, of every kind; with `--outcome`, `--kind`, `--since` and `--strategy` only some."""
    from sigc.clock import SystemClock
    from sigc.store.history.history import RunsWanted, runs_page
    from sigc_cli.daemon_or_ledger import ledger_of
    from sigc_cli.text import ledger_view
    from sigc_cli.text.dates import since as instant

    with ledger_of((config, None, None), work_dir) as (connection, _, loaded):
        zone = loaded.config.schedule.timezone
        wanted = RunsWanted(strategy, kind, outcome, "", most, instant(since, zone))
        found = ledger_view.listed(connection, runs_page(connection, wanted, SystemClock().now()))
    if as_json:
        click.echo(ledger_view.dump([ledger_view.run_data(run, more) for run, more in found]))
    else:
        click.echo(ledger_view.runs([run for run, _ in found], zone))


@command.command()
@click.argument("id", shell_complete=runs)
@click.option("--output", "only_output", is_flag=True, help="Print only the output of a script, report or refresh.")
@JSON
@ledger_options
def show(id: str, only_output: bool, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """One run: of a trade its stages and what they found, and its orders; of any other how it ended and what it said.

    With --json its weights and fills too.
    """
    from sigc.clock import SystemClock
    from sigc_cli.daemon_or_ledger import ledger_of
    from sigc_cli.text import ledger_view, ordered_view
    from sigc_cli.text.ordered_view import command_of
    from sigc_pipelines.records.artifacts import account_of

    with ledger_of((config, None, None), work_dir) as (connection, place, loaded):
        zone = loaded.config.schedule.timezone
        other = ordered_view.find(connection, place, id)
        if other is not None:
            _show_other(other, command_of(loaded, other), zone, only_output=only_output, as_json=as_json)
            return
        account, held = account_of(connection, place, id), ledger_view.held(connection, id, zone, SystemClock().now())
    click.echo(ledger_view.dump(account) if as_json else ledger_view.account(account, zone) + held)


def _show_other(other: Ordered, command: tuple[str, ...], zone: str, *, only_output: bool, as_json: bool) -> None:
    from sigc_cli.text import ledger_view, ordered_view

    if as_json:
        click.echo(ledger_view.dump(other))
    elif not only_output:
        click.echo(ordered_view.text(other, zone, command))
    else:
        said = other.output.rstrip("\n")
        click.echo(said or ordered_view.SILENT, err=not said)


@command.command()
@click.argument("first", shell_complete=runs)
@click.argument("second", shell_complete=runs)
@JSON
@ledger_options
def diff(first: str, second: str, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """Differences between two runs: inputs, weights, orders. Exit code 1 if there are any."""
    from sigc_cli.daemon_or_ledger import ledger
    from sigc_cli.text import ledger_view
    from sigc_pipelines.records.artifacts import account_of
    from sigc_pipelines.text.table import table

    with ledger(config, work_dir) as (connection, place):
        found = ledger_view.differences(*(account_of(connection, place, id) for id in (first, second)))
    rows = [("what", first, second), *found]
    click.echo(ledger_view.dump(found) if as_json else table(rows) if found else "nothing differs")
    if found:
        raise SystemExit(1)


@command.command()
@click.argument("id", shell_complete=runs)
@JSON
@ledger_options
def logs(id: str, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """Audit records of a run, in order."""
    from sigc_cli.daemon_or_ledger import ledger
    from sigc_cli.text import ledger_view

    with ledger(config, work_dir) as (connection, _):
        found = ledger_view.records_of(connection, id)
    click.echo(ledger_view.dump(found) if as_json else "\n".join(ledger_view.record_line(r) for r in found))


@command.command()
@click.argument("id", shell_complete=runs)
@click.option("--reason", required=True, metavar="TEXT", help="Reason, kept in the audit with your name.")
@JSON
@ledger_options
def cancel(id: str, reason: str, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """End a run, and take its open orders from the broker's book; what the broker can't be asked about stays.

    Print the stage that it was in, what became of its orders, and what stays. Goes to the daemon when one answers.
    """
    from sigc.errors import Diagnostic, SigcError
    from sigc.rpc.schema import encode
    from sigc.words import counted
    from sigc_cli.text.cancel_text import cancel_text

    done = None if work_dir is not None else _cancel_by_daemon(id, reason, config)
    done = _cancel_here(id, reason, config, work_dir) if done is None else done
    click.echo(json.dumps({"id": id} | encode(done)) if as_json else cancel_text(id, done))
    if done.left:
        raise SigcError(Diagnostic("E601", f"{counted(done.left, 'order')} not cancelled", hint="run it again"))


def _cancel_by_daemon(id: str, reason: str, config: Path | None) -> CancelReply | None:
    """Cancel by the daemon; None if nobody listens."""
    from sigc.rpc.client import NoDaemonError
    from sigc.rpc.messages.requests import CancelReply, CancelRequest
    from sigc_cli.daemon_call import daemon

    try:
        with daemon(config, None, click.get_current_context().meta.get(NAMED)) as client:
            return client.post("runs/cancel", CancelRequest(id, reason), reply=CancelReply)
    except NoDaemonError as gone:
        if not gone.is_refused:
            raise
        return None


def _cancel_here(id: str, reason: str, config: Path | None, work_dir: Path | None) -> CancelReply:
    from sigc.rpc.messages.requests import CancelReply
    from sigc.store.ledger import runs as store_runs
    from sigc.store.ledger.records import Outcome
    from sigc_cli.assembly.workdir import work_dir as place_of
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.assembly.trading import TradeOptions, trading, user
    from sigc_pipelines.stopping.cancel_run import cancel_run

    loaded = configuration(Choices(config=config))
    place = place_of(loaded, work_dir)
    with trading(loaded.config, place, TradeOptions(is_dry=True)) as (desk, _):
        with desk.ledger.reading() as connection:
            run = store_runs.find(connection, id)
            stages = store_runs.stages_of(connection, id)
        counts, left = cancel_run(desk.ledger, desk.broker, id, user(), reason)
    is_open = run.outcome is Outcome.OPEN
    stage, outcome = (str(stages[-1].name), "") if is_open and stages else ("", "" if is_open else str(run.outcome))
    return CancelReply(is_open, left, run.key.strategy, str(run.key.kind), stage, outcome, counts)
