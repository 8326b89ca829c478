"""`sigc why STRATEGY [ASSET] [DATE]`: the course of a session from schedule to orders, or the step that stopped it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from sigc_cli.daemon_call import print_json, which
from sigc_cli.options import JSON, WORK_DIR
from sigc_cli.shell_completion import strategies


@click.command(short_help="Say why a strategy ran or did not run for a session.")
@click.argument("strategy", shell_complete=strategies)
@click.argument("words", nargs=-1, metavar="[ASSET] [DATE]")
@click.option("--run", "run_id", default="", metavar="ID", help="The session of that run, instead of a DATE.")
@JSON
@WORK_DIR
@which
def command(
    strategy: str,
    words: tuple[str, ...],
    run_id: str,
    as_json: bool,
    work_dir: Path | None,
    address: str | None,
    name: str | None,
    config: Path | None,
) -> None:
    """Say why STRATEGY ran or did not run for the session of DATE (YYYY-MM-DD); the last one that was due without it.

    The links of the chain in their order, from the schedule to the fills, and the one that stopped it. With ASSET: its
    signal, rank, wanted weight, what constraints left, what was held, sized, denied, sent, filled. From the daemon that
    answers, else from the ledger.
    """
    from sigc_cli.explain_session import Question, ask
    from sigc_cli.explain_session import text as text_of

    asset, day = _words(words)
    found = ask(Question(strategy, asset, day, run_id), (config, address, name), work_dir)
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(text_of(found)))


def _words(words: tuple[str, ...]) -> tuple[str, date | None]:
    """Return the asset and the date among what follows the strategy. Raises a usage error."""
    asset, day = "", None
    for word in words:
        found = _date(word)
        if found is not None and day is None:
            day = found
        elif found is None and not asset:
            asset = word
        else:
            raise click.UsageError(f"unexpected argument '{word}': give at most an asset and a date")
    return asset, day


def _date(word: str) -> date | None:
    try:
        return date.fromisoformat(word) if len(word) == 10 else None
    except ValueError:
        return None
