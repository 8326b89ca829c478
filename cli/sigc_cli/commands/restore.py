"""`sigc restore`: a copy that `sigc backup` made, put in place of what is in the work dir."""

from __future__ import annotations

from pathlib import Path

import click

from sigc.words import counted
from sigc_cli.options import JSON, ledger_options


@click.command(short_help="Bring a backup back; everything is halted until a person has compared it.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--reason", required=True, help="Reason, kept with the record of it.")
@click.option("--keep-paper", is_flag=True, help="Leave the paper broker's book as it is: it moved on.")
@JSON
@ledger_options
def command(
    folder: Path, reason: str, keep_paper: bool, as_json: bool, work_dir: Path | None, config: Path | None
) -> None:
    """Put the backup in FOLDER in place of what is in the work dir, which is kept aside there.

    No daemon may run. What was traded since the copy is not in it: everything is halted, and `sigc reconcile` tells
    what the broker has beyond it.
    """
    from sigc.clock import SystemClock
    from sigc.store.backup import restore
    from sigc_cli.assembly.workdir import work_dir as place_of
    from sigc_cli.daemon_call import print_json
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.assembly.trading import sign_of, user

    loaded = configuration(Choices(config=config))
    place = place_of(loaded, work_dir)
    done = restore(
        folder,
        place,
        SystemClock(),
        who=user(),
        reason=reason,
        sign=sign_of(loaded.config),
        keeps_paper=keep_paper,
    )
    if as_json:
        print_json(done)
        return
    click.echo(f"{place} is as it was at {done.backup.taken[:19]}: record {done.backup.seq}")
    if done.aside is not None:
        gone = f", with {counted(done.lost, 'record')} that the copy has not" if done.lost else ""
        click.echo(f"what was there is in {done.aside}{gone}", err=True)
    click.echo("everything is halted; next: start the daemon, then", err=True)
    click.echo("    sigc reconcile\n    sigc safety resume --reason '...'", err=True)
