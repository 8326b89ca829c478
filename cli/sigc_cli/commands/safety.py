"""`sigc safety status | halt | resume | test | reset`: what stops trading, its end, and the circuit breakers."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.commands.halt import command as halt
from sigc_cli.daemon_call import which
from sigc_cli.options import JSON, WORK_DIR
from sigc_cli.shell_completion import strategies


@click.group(short_help="Show what stops trading; halt, let it go on; circuit breakers.")
def command() -> None:
    """Show what stops trading, halts and circuit breakers; halt it, and let it go on."""


command.add_command(halt, "halt")


@command.command()
@JSON
@WORK_DIR
@which
def status(as_json: bool, work_dir: Path | None, address: str | None, name: str | None, config: Path | None) -> None:
    """Show the halts and pauses in force, and each circuit breaker with its value and threshold.

    Without a daemon, by ledger, kill file and configuration.
    """
    from sigc.rpc.discovery import DaemonOptions, zone_here
    from sigc_cli.breakers import breakers_text, standing
    from sigc_cli.daemon_call import print_json
    from sigc_cli.halting import place_of, stops_in_force, stops_text

    place = place_of(DaemonOptions(config, address, name), work_dir)
    found, breakers = stops_in_force(place), standing(place)
    if as_json:
        print_json({"stops": found, "breakers": breakers})
    else:
        click.echo(stops_text(found, zone_here(config)))
        if breakers:
            click.echo(breakers_text(breakers, zone_here(config)))


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

    Tripped circuit breakers stay so: see `sigc safety reset`. Orders that the halt ended stay ended. By the daemon
    (role `trade`), or in this process when none runs.
    """
    from sigc.rpc.client import Client, NoDaemonError
    from sigc.rpc.discovery import DaemonOptions, zone_here
    from sigc.rpc.messages.page import HaltReply
    from sigc.rpc.messages.requests import HoldRequest
    from sigc_cli.breakers import breakers_text, standing
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
    what, zone = f"strategy {strategy}" if strategy else "everything", zone_here(config)
    click.echo(f"{what} is no longer halted" if is_changed else f"{what} was not halted")
    click.echo(f"still in force:\n{stops_text(left, zone)}" if left else stops_text(left, zone))
    tripped = [one for one in standing(place) if one.since is not None]
    if tripped:
        click.echo(breakers_text(tripped, zone))


@command.command()
@click.argument("id", required=False)
@JSON
@which
def confirm(id: str | None, as_json: bool, address: str | None, name: str | None, config: Path | None) -> None:
    """Confirm what another token asked for, and have it done (`safety.four_eyes`). Without ID: what waits."""
    from sigc.rpc.discovery import zone_here
    from sigc.rpc.messages.breakers import ConfirmReply, ConfirmRequest, PendingReply
    from sigc.words import local_time
    from sigc_cli.daemon_call import daemon, print_json

    with daemon(config, address, name) as client:
        if id is None:
            calls = client.get("safety/pending", reply=PendingReply).calls
            if as_json:
                print_json(calls)
                return
            for one in calls:
                why = f": {one.reason}" if one.reason else ""
                click.echo(f"{one.id}  {one.what}, by {one.who}{why}, until {local_time(one.until, zone_here(config))}")
            if not calls:
                click.echo("nothing waits for a confirmation")
            return
        done = client.post("safety/confirm", ConfirmRequest(id), reply=ConfirmReply)
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done.what}: {done.done}, asked for by {done.asked_by}, confirmed by {done.confirmed_by}")


@command.command()
@click.argument("breaker")
@click.argument("strategy", required=False, shell_complete=strategies)
@JSON
@WORK_DIR
@which
def test(
    breaker: str,
    strategy: str | None,
    as_json: bool,
    work_dir: Path | None,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """Trip a copy of a circuit breaker: show what would happen. Nothing is changed."""
    from sigc.rpc.discovery import DaemonOptions
    from sigc_cli.breakers import trials, trials_text
    from sigc_cli.daemon_call import print_json
    from sigc_cli.halting import place_of

    found = trials(place_of(DaemonOptions(config, address, name), work_dir), breaker, strategy)
    if as_json:
        print_json(found)
    else:
        click.echo(trials_text(found))


@command.command()
@click.argument("breaker")
@click.argument("strategy", required=False, shell_complete=strategies)
@click.option("--reason", required=True, help="Reason, kept with the decision.")
@JSON
@WORK_DIR
@which
def reset(
    breaker: str,
    strategy: str | None,
    reason: str,
    as_json: bool,
    work_dir: Path | None,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """Reset a tripped circuit breaker, of STRATEGY or wherever it tripped. It is judged from the newest close on.

    By the daemon (role `trade`), or in this process when none runs.
    """
    from sigc.rpc.discovery import DaemonOptions, zone_here
    from sigc_cli.breakers import breakers_text, reset_text
    from sigc_cli.breakers import reset as reset_breaker
    from sigc_cli.daemon_call import print_json
    from sigc_cli.halting import place_of

    reply = reset_breaker(place_of(DaemonOptions(config, address, name), work_dir), breaker, strategy, reason)
    if as_json:
        print_json(reply)
        return
    click.echo(reset_text(breaker, reply))
    if reply.left:
        click.echo(f"still tripped:\n{breakers_text(reply.left, zone_here(config))}")


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
    with Ledger.open(work_dir, SystemClock(), sign=sign) as ledger:
        with ledger.transaction("control") as tx:
            lifted = lift(tx, work_dir, scope, who(), reason)
        return lifted.seen()
