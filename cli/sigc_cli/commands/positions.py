"""`sigc positions`: positions, cash and worth of each book at the last closes."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.options import JSON, ledger_options
from sigc_cli.shell_completion import strategies


@click.command(short_help="Show positions, cash and NAV of every book.")
@click.option("--strategy", default="", shell_complete=strategies, help="Of one strategy.")
@JSON
@ledger_options
def command(strategy: str, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """Show the positions, cash and NAV of every book."""
    from sigc_cli.daemon_or_ledger import ledger
    from sigc_cli.text import ledger_view

    with ledger(config, work_dir) as (connection, _):
        found = ledger_view.books_of(connection, strategy)
    click.echo(ledger_view.dump(found) if as_json else ledger_view.books(found))
