"""`sigc positions`: what each book holds, its cash and its worth at the last closes."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.options import CONFIG, JSON, WORK_DIR


@click.command()
@click.option("--strategy", default="", help="Of one strategy.")
@JSON
@CONFIG
@WORK_DIR
def command(strategy: str, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """Show the positions, cash and NAV of every book."""
    from sigc_cli import ledger_view
    from sigc_cli.reading import ledger

    with ledger(config, work_dir) as (connection, _):
        found = ledger_view.books_of(connection, strategy)
    click.echo(ledger_view.dump(found) if as_json else ledger_view.books(found))
