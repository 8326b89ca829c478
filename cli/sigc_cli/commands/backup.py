"""`sigc backup`: a copy of the work dir of a daemon that may be running."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from sigc_cli.options import JSON, ledger_options


@click.command(short_help="Copy ledger, paper book and audit, beside a daemon that runs.")
@click.argument("folder", type=click.Path(path_type=Path))
@JSON
@ledger_options
def command(folder: Path, as_json: bool, work_dir: Path | None, config: Path | None) -> None:
    """Copy the work dir to FOLDER, which must be empty or not there yet: ledger, paper book, audit, files of runs.

    A daemon may go on meanwhile. Tokens, logs and the cache are not copied. `sigc restore FOLDER` brings it back.
    """
    from contextlib import closing

    from sigc.store.backup import backup
    from sigc.store.ledger.connection import FILE, connect_reader
    from sigc.store.ledger.proof import faults, shown
    from sigc_cli.assembly.workdir import work_dir as place_of
    from sigc_cli.daemon_call import print_json
    from sigc_pipelines.assembly.parts import Choices, configuration

    made = backup(place_of(configuration(Choices(config=config)), work_dir), folder, datetime.now(UTC))
    if as_json:
        print_json(made)
    else:
        click.echo(f"{folder}: ledger {made.ledger} up to record {made.seq}, {len(made.files)} files")
    with closing(connect_reader(folder / FILE)) as connection:
        found = faults(connection)
    if found:
        click.echo(f"warning: it can't be restored, as it is not what its audit comes to: {shown(found)}", err=True)
