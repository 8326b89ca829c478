"""`sigc report`: returns, costs and signal quality of a traded strategy."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sigc_cli.options import JSON, ledger_options
from sigc_cli.shell_completion import strategies


@click.command(short_help="Write the report of a traded strategy.")
@click.argument("strategy", shell_complete=strategies)
@click.option("--portfolio", default="", help="Portfolio, if the strategy has several.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write (default: STRATEGY-DATE.html).")
@JSON
@ledger_options
def command(
    strategy: str, portfolio: str, output: Path | None, as_json: bool, config: Path | None, work_dir: Path | None
) -> None:
    """Write the report of STRATEGY from the ledger: one HTML file that needs nothing else."""
    from sigc.errors import SigcError
    from sigc_cli.daemon_or_ledger import ledger
    from sigc_cli.text.live_view import drawn, live_view
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.assembly.trading import entry_of
    from sigc_pipelines.service.reports import file_name, parameters_of, write_report

    loaded = configuration(Choices(config=config))
    try:
        entry = entry_of(loaded, strategy)
        name, params = entry.name, parameters_of(entry)
    except SigcError:  # it was traded, and is configured no more
        name, params = strategy, {}
    with ledger(config, work_dir) as (connection, place):
        view = live_view(connection, place, name, portfolio, params, loaded.config.execution.sizing)
    report = drawn(view)
    path = write_report(report, output or Path(file_name(report, name)))
    click.echo(json.dumps({"file": str(path)}) if as_json else path)
    click.echo(f"{view.nav.figures.sessions} sessions, {view.nav.totals.fills} fills", err=True)
