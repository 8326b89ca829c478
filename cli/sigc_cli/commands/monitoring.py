"""`sigc monitoring export-dashboard`: the shipped Grafana dashboard."""

from __future__ import annotations

from pathlib import Path

import click

from sigc.errors import Diagnostic, SigcError


@click.group(short_help="Print the shipped Grafana dashboard.")
def command() -> None:
    """Files for monitoring by other tools."""


@command.command("export-dashboard")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file instead.")
def export_dashboard(output: Path | None) -> None:
    """Print the Grafana dashboard as JSON: import it, or put it where Grafana provisions from."""
    from sigc_cli.grafana import text

    if output is None:
        click.echo(text(), nl=False)
        return
    try:
        output.write_text(text(), encoding="utf-8")
    except OSError as failure:
        raise SigcError(Diagnostic("E200", f"can't write {output}: {failure.strerror}")) from failure
