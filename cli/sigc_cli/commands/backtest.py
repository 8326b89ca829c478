"""`sigc backtest FILE`: compute, account, print; results as json, csv or parquet; an HTML report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import JSON, PARAMS, STRATEGY, choices, work

if TYPE_CHECKING:
    from sigc.config import Config
    from sigc.plan.strategy import Portfolio
    from sigc_cli.build import Compiled
    from sigc_pipelines.compute import Loaded, Workspace
    from sigc_pipelines.replay import Replay
    from sigc_pipelines.validation import Validated


@click.command()
@STRATEGY
@click.option("--start", default="", metavar="DATE", help="First date (default: the file's).")
@click.option("--end", default="", metavar="DATE", help="Last date, inclusive.")
@click.option("--portfolio", default="", help="Which portfolio (default: the first).")
@PARAMS
@click.option("--capital", type=float, help="Capital for costs that need it.")
@click.option("--orders", "with_orders", is_flag=True, help="Trade every rebalance with orders, at a paper broker.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write results: .json, .csv or .parquet.")
@click.option("--report", type=click.Choice(["html"]), help="Write a self-contained report beside the output.")
@JSON
@work
def command(
    file: Path,
    start: str,
    end: str,
    portfolio: str,
    params: tuple[str, ...],
    capital: float | None,
    with_orders: bool,
    output: Path | None,
    report: str | None,
    as_json: bool,
    config: Path | None,
    engine: str,
    threads: int,
    no_cache: bool,
) -> None:
    """Backtest FILE and print its results.

    With --orders the stages of a live run are gone through on every rebalance date, with the paper broker and a
    hand-turned clock; what the simple accounting leaves out is listed.
    """
    from sigc_cli import show
    from sigc_cli.build import compile_file, configuration, parameters, workspace
    from sigc_cli.complain import complain
    from sigc_cli.dates import day
    from sigc_cli.results import check_output, write
    from sigc_pipelines.backtest import backtest, pick
    from sigc_pipelines.compute import load

    check_output(output)
    chosen = choices(config, engine, threads, no_cache)
    settings = configuration(chosen).config
    compiled = compile_file(file, parameters(params))
    overrides = {k: v for k, v in (("start", day(start)), ("end", day(end))) if v}
    bar = show.ProgressBar()
    with workspace(settings, chosen, bar) as space:
        try:
            loaded = load(compiled.strategy, space)
            book = pick(loaded, portfolio)
            money = settings.backtest.capital if capital is None else capital
            replayed = None
            if with_orders:
                replayed = _replayed(loaded, space, book, settings, money, overrides)
                result, validated = replayed.result, None
            else:
                result = backtest(loaded, space, book, capital=money, overrides=overrides)
                validated = _validated(loaded, space, compiled, book.name, money, overrides)
        finally:
            bar.close()
        complain([*compiled.warnings, *result.findings])
        for incident in result.report.incidents:
            click.echo(f"note: {incident}", err=True)
        click.echo(show.work(result.report), err=True)
        if as_json:
            click.echo(show.dump(show.as_data(result, validated)))
        else:
            click.echo(show.results(result))
            if replayed is not None:
                click.echo("\n" + show.replayed(replayed))
            if validated is not None:
                click.echo("\n" + show.validated(validated))
        if output is not None:
            write(result, output)
        if report is not None:
            from sigc_cli.results import write_report

            path = write_report(result, loaded, space, (output or file).with_suffix(".html"), replayed)
            click.echo(f"report: {path}", err=True)


def _replayed(
    loaded: Loaded, space: Workspace, book: Portfolio, config: Config, capital: float, overrides: dict[str, str]
) -> Replay:
    import datetime

    from sigc_cli.build_trading import calendar_of
    from sigc_pipelines.replay import replay

    calendar = calendar_of(
        config, Path(config.daemon.cache.directory).expanduser(), datetime.datetime.now(datetime.UTC)
    )
    return replay(loaded, space, book, config, calendar, capital=capital, overrides=overrides)


def _validated(
    loaded: Loaded,
    space: Workspace,
    compiled: Compiled,
    portfolio: str,
    capital: float,
    overrides: dict[str, str],
) -> Validated | None:
    from sigc_pipelines.backtest import pick
    from sigc_pipelines.trials import field
    from sigc_pipelines.validation import validate

    settings = pick(loaded, portfolio).backtest
    if settings is None or settings.validation is None:
        return None
    of = field(compiled.lower, loaded, space, portfolio, capital=capital, overrides=overrides)
    return validate(of, settings.validation)
