"""`sigc status`: the state of the daemon and its strategies."""

from __future__ import annotations

import time
from pathlib import Path

import click

from sigc_cli.daemon_call import daemon, print_json, which
from sigc_cli.options import JSON

_WATCH_EVERY_S = 2.0


@click.command(short_help="Print the state of the daemon and its strategies.")
@click.option("--detailed", is_flag=True, help="Show workers, cache, queue, connections, checks, versions too.")
@click.option("--watch", is_flag=True, help="Refresh every two seconds, until interrupted.")
@JSON
@which
def command(
    detailed: bool, watch: bool, as_json: bool, address: str | None, name: str | None, config: Path | None
) -> None:
    """Print the state of the daemon and its strategies."""
    from sigc.rpc.messages.status import StatusReply
    from sigc_cli.text.daemon_text import status_block

    with daemon(config, address, name) as client:
        while True:
            found = client.get("status", {"is_detailed": detailed}, reply=StatusReply)
            if watch and not as_json:
                click.clear()
            if as_json:
                print_json(found)
            else:
                click.echo(status_block(found))
            if not watch:
                return
            time.sleep(_WATCH_EVERY_S)
