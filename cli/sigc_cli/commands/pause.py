"""`sigc pause [STRATEGY]`."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.daemon_call import which
from sigc_cli.options import JSON
from sigc_cli.pause_words import hold
from sigc_cli.shell_completion import strategies


@click.command(short_help="Pause all strategies, or one.")
@click.argument("strategy", required=False, shell_complete=strategies)
@click.option("--reason", default="", help="Reason, kept with the decision.")
@JSON
@which
def command(
    strategy: str | None, reason: str, as_json: bool, address: str | None, name: str | None, config: Path | None
) -> None:
    """Start no more runs of STRATEGY, or of any, and hold the orders of those under way, until `sigc resume`."""
    hold("pause", strategy, reason, as_json, (config, address, name))
