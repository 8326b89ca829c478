"""`sigc daemon`: run the daemon, here or in the background."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command(short_help="Run the daemon: strategies on schedule.")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the RPC; it never moves to another.")
@click.option("--pid-file", type=click.Path(path_type=Path), help="PID file.")
@click.option(
    "--daemonize/--foreground", "is_background", default=False, help="Go to the background when ready, or stay."
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warn", "error"]), help="Lowest level that is logged.")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Folder of the ledger and all state.")
@click.option("--name", metavar="NAME", help="Name among several daemons (default: from the configuration file's).")
def command(
    config: Path | None,
    port: int | None,
    pid_file: Path | None,
    is_background: bool,
    log_level: str | None,
    work_dir: Path | None,
    name: str | None,
) -> None:
    """Run the daemon: strategies on schedule, controlled by the other commands.

    With --daemonize it returns when the daemon is ready, or with the error that kept it from that.
    """
    from sigc.daemon.lifecycle.launch import launch
    from sigc.daemon.lifecycle.start import StartOptions
    from sigc_cli.assembly.daemon import parts

    options = StartOptions(config, port, pid_file, log_level, work_dir, name, is_background)
    code = launch(options, parts(), os.environ, lambda text, is_error: click.echo(text, err=is_error))
    raise click.exceptions.Exit(code)
