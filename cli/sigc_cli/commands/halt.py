"""`sigc halt [STRATEGY]`: nothing more is sent, whatever state the daemon is in."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.daemon_call import which
from sigc_cli.options import JSON, WORK_DIR
from sigc_cli.shell_completion import strategies


@click.command(short_help="Halt trading at once: nothing more is sent.")
@click.argument("strategy", required=False, shell_complete=strategies)
@click.option("--reason", default="", help="Reason, kept with the decision.")
@JSON
@WORK_DIR
@which
def command(
    strategy: str | None,
    reason: str,
    as_json: bool,
    work_dir: Path | None,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """Send nothing more of STRATEGY, or of any, by runs under way too. It holds until `sigc safety resume`.

    By the daemon; if none answers within 0.3 s, by the kill file in its work dir, which is read before each
    order is sent. Orders that wait end as denied. Orders at the broker stay open: see `sigc kill`.
    """
    from sigc.rpc.discovery import DaemonOptions
    from sigc_cli.daemon_call import print_json
    from sigc_cli.halting import halt, place_of, print_halt

    place = place_of(DaemonOptions(config, address, name), work_dir)
    done = halt(place, strategy, reason)
    if as_json:
        print_json(done)
    else:
        print_halt(place, done, strategy)
        click.echo("nothing more is sent; orders at the broker stay open: `sigc kill --cancel` takes them back")
