"""`sigc logs [-f] [--run ID]`: the daemon's log, whole or of one run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sigc_cli.options import JSON, ledger_options
from sigc_cli.shell_completion import runs


@click.command(short_help="Print the daemon's log, of one run too; -f follows it.")
@click.option("-f", "--follow", is_flag=True, help="Follow the log until interrupted.")
@click.option("--run", "run_id", default="", metavar="ID", shell_complete=runs, help="Only lines of that run.")
@click.option("-n", "most", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="Number of lines.")
@JSON
@ledger_options
def command(follow: bool, run_id: str, most: int, as_json: bool, config: Path | None, work_dir: Path | None) -> None:
    """Print the end of the daemon's log file; with --json each line as it is written, or as one.

    Reads the file itself, with and without a daemon. A log that goes to stderr is kept by whoever started the daemon.
    """
    from sigc.host.log_lines import last_lines
    from sigc_cli.log_tail import followed, log_path, shown

    path = log_path(config, work_dir)
    for line in last_lines(path, run_id, most):
        click.echo(_as_json(line) if as_json else shown(line))
    if follow:
        for line in followed(path, run_id):
            click.echo(_as_json(line) if as_json else shown(line))


def _as_json(line: str) -> str:
    """Return a line of the log as JSON, whatever layout it was written in."""
    try:
        json.loads(line)
    except ValueError:
        return json.dumps({"text": line})
    return line
