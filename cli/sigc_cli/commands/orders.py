"""`sigc orders`: the newest orders of the ledger and their states."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.options import JSON, ledger_options
from sigc_cli.shell_completion import runs, strategies


@click.command(short_help="Show orders and their states.")
@click.option("--strategy", default="", shell_complete=strategies, help="Of one strategy.")
@click.option("--run", "run_id", default="", metavar="ID", shell_complete=runs, help="Of one run.")
@click.option("--open", "is_open", is_flag=True, help="Only those that may still be filled.")
@click.option("-n", "most", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Number of entries.")
@JSON
@ledger_options
def command(
    strategy: str, run_id: str, is_open: bool, most: int, as_json: bool, config: Path | None, work_dir: Path | None
) -> None:
    """Show orders, newest first; those of a run in the order in which they were sent."""
    from sigc.store.ledger import orders
    from sigc.store.ledger.records import IN_FLIGHT
    from sigc_cli.daemon_or_ledger import ledger
    from sigc_cli.text import ledger_view

    with ledger(config, work_dir) as (connection, _):
        if run_id:
            found = orders.of_run(connection, ledger_view.id_of(connection, run_id))
            found = tuple(o for o in found if not is_open or o.state in IN_FLIGHT)[:most]
        else:
            found = orders.recent(connection, most, strategy, is_open)
    click.echo(ledger_view.dump(found) if as_json else ledger_view.orders(found))
