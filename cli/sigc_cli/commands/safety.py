"""`sigc safety status | halt | resume`: what stops trading, a halt, and its end."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.commands.halt import command as halt
from sigc_cli.daemon_call import which
from sigc_cli.options import JSON, WORK_DIR
from sigc_cli.shell_completion import strategies


@click.group(short_help="Show what stops trading; halt, and let it go on.")
def command() -> None:
    """Show what stops trading; halt it, and let it go on."""


command.add_command(halt, "halt")


@command.command()
@JSON
@WORK_DIR
@which
def status(as_json: bool, work_dir: Path | None, address: str | None, name: str | None, config: Path | None) -> None:
    """Show the halts and pauses in force: who set each, when and why. Without a daemon, by ledger and kill file."""
    from sigc.rpc.discovery import DaemonOptions
    from sigc_cli.daemon_call import print_json
    from sigc_cli.halting import place_of, stops_in_force, stops_text

    found = stops_in_force(place_of(DaemonOptions(config, address, name), work_dir))
    if as_json:
        print_json(found)
    else:
        click.echo(stops_text(found))


@command.command()
@click.argument("strategy", required=False, shell_complete=strategies)
@click.option("--reason", required=True, help="Reason, kept with the decision.")
@JSON
@WORK_DIR
@which
def resume(
    strategy: str | None,
    reason: str,
    as_json: bool,
    work_dir: Path | None,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """End the halt of STRATEGY, or the one of everything, and show what stops trading still.

    Orders that the halt ended stay ended. By the daemon (role `trade`), or in this process when none runs.
    """
    from sigc.rpc.client import Client, NoDaemonError
    from sigc.rpc.discovery import DaemonOptions
    from sigc.rpc.messages.page import HaltReply
    from sigc.rpc.messages.requests import HoldRequest
    from sigc_cli.daemon_call import print_json
    from sigc_cli.halting import place_of, stops_in_force, stops_text

    place = place_of(DaemonOptions(config, address, name), work_dir)
    is_changed: bool | None = None
    if place.target is not None:
        try:
            with Client(place.target) as client:
                asked = HoldRequest(strategy, reason)
                is_changed = client.post("safety/resume", asked, reply=HaltReply).is_changed
        except NoDaemonError as gone:
            if not gone.is_refused or not place.is_here:
                raise
    if is_changed is None:
        is_changed = _here(place.work_dir, strategy or "", reason, config)
    left = stops_in_force(place)
    if as_json:
        print_json({"is_changed": is_changed, "left": left})
        return
    what = f"strategy {strategy}" if strategy else "everything"
    click.echo(f"{what} is no longer halted" if is_changed else f"{what} was not halted")
    click.echo(f"still in force:\n{stops_text(left)}" if left else stops_text(left))


def _here(work_dir: Path, scope: str, reason: str, config: Path | None) -> bool:
    """End a halt in this process. Raise SigcError E311 while another has the work dir."""
    from sigc.clock import SystemClock
    from sigc.daemon.kill_file_halts import lift
    from sigc.host.kill_file import lift_halt
    from sigc.store.ledger.connection import FILE
    from sigc.store.ledger.ledger import Ledger
    from sigc_cli.halting import be_owner_of, who
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.assembly.trading import sign_of

    click.echo(f"no daemon answers: done in this process, with the ledger of {work_dir}", err=True)
    be_owner_of(work_dir)
    if not (work_dir / FILE).is_file():
        return lift_halt(work_dir, scope)
    sign = sign_of(configuration(Choices(config=config)).config)
    with Ledger.open(work_dir, SystemClock(), sign=sign) as ledger, ledger.transaction("control") as tx:
        return lift(tx, work_dir, scope, who(), reason)
