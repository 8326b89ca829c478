"""`sigc reload [--plan]`."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.daemon_call import daemon, print_json, which
from sigc_cli.options import JSON


@click.command(short_help="Have the daemon read its configuration again.")
@click.option("--plan", is_flag=True, help="Show what would change, and change nothing.")
@JSON
@which
def command(plan: bool, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Have the daemon read its configuration again.

    All of it and every strategy file is checked first; on any error the old configuration stays.
    """
    from sigc.rpc.messages.requests import ReloadReply, ReloadRequest
    from sigc_cli.diagnostics import complain
    from sigc_cli.text.daemon_text import reload_text

    with daemon(config, address, name, timeout_s=120.0) as client:
        reply = client.post("reload", ReloadRequest(plan), reply=ReloadReply)
    if as_json:
        print_json(reply)
        return
    complain(reply.findings)
    click.echo(reload_text(reply))
