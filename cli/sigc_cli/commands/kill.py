"""`sigc kill --cancel | --flatten [STRATEGY]`: the kill switch, whatever state the daemon is in."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.daemon_call import which
from sigc_cli.options import JSON, WORK_DIR
from sigc_cli.shell_completion import strategies


@click.command(short_help="Halt, cancel open orders, close positions.")
@click.argument("strategy", required=False, shell_complete=strategies)
@click.option("--cancel", "is_cancel", is_flag=True, help="Cancel the open orders.")
@click.option("--flatten", "is_flatten", is_flag=True, help="Cancel the open orders, then close the positions.")
@click.option("--reason", default="", help="Reason, kept with the decision.")
@click.option("--yes", is_flag=True, help="Ask nothing: end a daemon that does not answer, close the positions.")
@JSON
@WORK_DIR
@which
def command(
    strategy: str | None,
    is_cancel: bool,
    is_flatten: bool,
    reason: str,
    yes: bool,
    as_json: bool,
    work_dir: Path | None,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """Halt STRATEGY, or everything; then cancel its open orders, and with --flatten close its positions.

    The halt comes first and waits for no answer. A daemon that answers does the rest. If none answers, this process
    does: it ends the daemon's process (after a question), takes the work dir, resolves what is open, cancels, and waits
    for the broker's word. Closing orders only reduce positions; they are the only ones that pass a halt.
    """
    from sigc.errors import Diagnostic, SigcError
    from sigc.rpc.discovery import DaemonOptions, zone_here
    from sigc_cli.daemon_call import print_json
    from sigc_cli.halting import halt, place_of, print_halt
    from sigc_cli.killing import kill, says_yes
    from sigc_cli.text.kill_text import kill_text

    if is_cancel == is_flatten:
        raise click.UsageError("say --cancel, or --flatten")
    place = place_of(DaemonOptions(config, address, name), work_dir)
    done = halt(place, strategy, reason)
    if not as_json:
        print_halt(place, done, strategy)
    if is_flatten and not yes:
        what = f"the positions of {strategy}" if strategy else "all positions"
        if not says_yes(f"Close {what} by orders at the broker?"):
            hint = "what is halted stays so; say --yes, or cancel open orders alone by --cancel"
            raise SigcError(Diagnostic("E901", "nothing was cancelled or closed: nobody said yes", hint=hint))
    reply = kill(place, done, strategy, reason, config, is_flatten=is_flatten, is_sure=yes)
    if as_json:
        print_json(reply)
    else:
        click.echo(kill_text(reply, zone_here(config)))
    raise click.exceptions.Exit(0 if reply.is_done else 7)
