"""`sigc run FILE`: one run of one portfolio for one date, traded by the configured broker or dry."""

from __future__ import annotations

from pathlib import Path

import click

from sigc_cli.options import JSON, PARAMS, STRATEGY, WORK_DIR, choices, work


@click.command()
@STRATEGY
@click.option("--dry-run", is_flag=True, help="Show the orders that would go out; trade nothing.")
@click.option("--date", default="", metavar="DATE", help="As of the last session on or before this date.")
@click.option("--portfolio", default="", help="Which portfolio (default: the first).")
@click.option("--slot", default="", help="The scheduled fire, where a session is traded several times.")
@click.option("--force", is_flag=True, help="Although it was traded, or is paused: a new revision; needs --reason.")
@click.option("--accept-differences", is_flag=True, help="Between ledger and broker; needs --reason.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the audit with who.")
@WORK_DIR
@PARAMS
@JSON
@work
def command(
    file: Path,
    dry_run: bool,
    date: str,
    portfolio: str,
    slot: str,
    force: bool,
    accept_differences: bool,
    reason: str,
    work_dir: Path | None,
    params: tuple[str, ...],
    as_json: bool,
    config: Path | None,
    engine: str,
    threads: int,
    no_cache: bool,
) -> None:
    """Run FILE for one date: load, compute, validate, execute, audit.

    No row after the date is read. A session is traded once; a wanted repeat is --force with a --reason.
    """
    from sigc.errors import SigcError
    from sigc_cli import show, show_run
    from sigc_cli.build import compile_file, configuration, parameters, workspace
    from sigc_cli.build_trading import Wish, request, trading, user
    from sigc_cli.complain import complain
    from sigc_cli.dates import day
    from sigc_cli.workdir import work_dir as place_of
    from sigc_pipelines.backtest import pick_of
    from sigc_pipelines.feed import FreshFeed
    from sigc_pipelines.run import carry_out

    chosen = choices(config, engine, threads, no_cache)
    wish = Wish(day(date), portfolio, dry_run, force, accept_differences, reason, slot)
    compiled = compile_file(file, parameters(params))
    loaded = configuration(chosen)
    settings = loaded.config
    asked = request(compiled.strategy, pick_of(compiled.strategy, portfolio).name, settings, wish, user())
    complain(compiled.warnings)
    bar = show.ProgressBar()
    with (
        workspace(settings, chosen, bar) as space,
        trading(settings, place_of(loaded, work_dir), wish) as (desk, earlier),
    ):
        for verdict in earlier:
            click.echo(f"{verdict.run}: {verdict.outcome}, {verdict.message}", err=True)
        try:
            ended = carry_out(desk, asked, FreshFeed(compiled.strategy, space, settings.execution.capital))
        finally:
            bar.close()
        click.echo(show.dump(show_run.as_data(ended)) if as_json else show_run.text(ended))
    if ended.problems:
        raise SigcError(*ended.problems)
    if ended.run.outcome == "unresolved":
        raise SigcError(show_run.unresolved(ended))
