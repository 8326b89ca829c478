"""`sigc ps`: the daemons that run on this machine."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from sigc_cli.daemon_call import print_json
from sigc_cli.options import JSON


@click.command(short_help="List the daemons that run on this machine.")
@JSON
def command(as_json: bool) -> None:
    """List the daemons that run on this machine: name, PID, address, work directory."""
    from sigc.host.instance import runtime_dirs
    from sigc.host.instances import running
    from sigc_cli.text.daemon_text import table

    found = running(runtime_dirs(os.environ, os.getuid()))
    if as_json:
        print_json([asdict(entry) for entry in found])
    elif found:
        rows = [("name", "pid", "address", "work dir")]
        click.echo(table([*rows, *((e.name, str(e.pid), e.address, e.work_dir) for e in found)]))
    else:
        click.echo("no daemon runs here; start one by `sigc daemon`", err=True)
