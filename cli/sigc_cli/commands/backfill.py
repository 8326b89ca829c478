"""`sigc backfill FROM TO`: sessions without a successful run, and dry runs of them."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.daemon_call import which
from sigc_cli.options import JSON, WORK_DIR
from sigc_cli.shell_completion import strategies


@click.command(short_help="Make dry runs of sessions that were not traded, or list them with the reason.")
@click.argument("first", metavar="FROM")
@click.argument("last", metavar="TO")
@click.option("--strategy", "names", multiple=True, shell_complete=strategies, help="Only this strategy; repeatable.")
@click.option("--dry-run", "only_list", is_flag=True, help="Only list the sessions, with the reason for each.")
@JSON
@WORK_DIR
@which
def command(
    first: str,
    last: str,
    names: tuple[str, ...],
    only_list: bool,
    as_json: bool,
    work_dir: Path | None,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """Make a dry run of each session from FROM to TO that was not traded, as of the session before it.

    Traded is a session with a run that ended done, unchanged or partial. One whose runs were refused, failed, were cut
    off, sent nothing or have orders without a known outcome is not.

    Nothing is traded and no book is changed: a session that is past can't be traded any more. The runs keep their
    signals, weights and orders, so that `sigc why STRATEGY ASSET DATE` tells of them. Sessions that have a dry run are
    left out, so it may be repeated. --dry-run makes none.
    """
    from sigc_cli.backfill_gaps import fill, gaps, text
    from sigc_cli.text import ledger_view

    target = (config, address, name)
    found = gaps(target, work_dir, (first, last), names)
    done = found if only_list else [fill(gap, target, work_dir) for gap in found]
    click.echo(ledger_view.dump(done) if as_json else text(done, only_list=only_list))
