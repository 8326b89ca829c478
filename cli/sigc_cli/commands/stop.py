"""`sigc stop [--force] [--timeout S]`."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.daemon_call import daemon, print_json, wait_until_ended, which
from sigc_cli.options import JSON


@click.command(short_help="Stop the daemon.")
@click.option("--force", is_flag=True, help="Stop at once; interrupted runs are resolved at the next start.")
@click.option("--timeout", type=click.FloatRange(0, 86_400), metavar="S", help="Seconds that runs may take to finish.")
@JSON
@which
def command(
    force: bool, timeout: float | None, as_json: bool, address: str | None, name: str | None, config: Path | None
) -> None:
    """Stop the daemon, and return when it has ended: nothing new begins, runs finish within the time."""
    from sigc.rpc.messages.requests import StopReply, StopRequest

    with daemon(config, address, name) as client:
        reply = client.post("stop", StopRequest(force, timeout), reply=StopReply)
        has_ended = wait_until_ended(reply, client.address, client)
    if as_json:
        print_json({"pid": reply.pid, "has_ended": has_ended})
    elif has_ended:
        click.echo(f"the daemon has ended (PID {reply.pid})")
    raise click.exceptions.Exit(0 if has_ended else 1)
