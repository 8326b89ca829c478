"""`sigc restart`."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.daemon_call import daemon, print_json, wait_until_ready, which
from sigc_cli.options import JSON


@click.command(short_help="Stop the daemon and start it again.")
@click.option("--timeout", type=click.FloatRange(0, 86_400), metavar="S", help="Seconds that runs may take to finish.")
@JSON
@which
def command(timeout: float | None, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Stop the daemon and start it again, as the same process with the same arguments; return when it is ready."""
    from sigc.rpc.messages.requests import StatusReply, StopReply, StopRequest

    with daemon(config, address, name) as client:
        before = client.get("status", reply=StatusReply)
        client.post("restart", StopRequest(False, timeout), reply=StopReply)
        now = wait_until_ready(client, before)
    if as_json:
        print_json(now)
    else:
        click.echo(f"daemon '{now.name}' is ready again: PID {now.pid}")
