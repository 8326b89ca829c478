"""`sigc backtest FILE`: compute, account, print; results as json, csv or parquet; an HTML report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import JSON, PARAMS, STRATEGY, choices, work

if TYPE_CHECKING:
    from sigc.config.settings import Config
    from sigc_pipelines.assembly.parts import Compiled
    from sigc_pipelines.backtest.replay import Replay
    from sigc_pipelines.compute import Workspace
    from sigc_pipelines.research.backtested import Backtested


@click.command(short_help="Backtest a strategy and print its results.")
@STRATEGY
@click.option("--start", default="", metavar="DATE", help="First date (default: the file's).")
@click.option("--end", default="", metavar="DATE", help="Last date, inclusive.")
@click.option("--portfolio", default="", help="Portfolio (default: the first).")
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
    from sigc_cli.diagnostics import complain
    from sigc_cli.text.dates import day
    from sigc_cli.text.results import check_output, write
    from sigc_pipelines.assembly.parts import compile_file, configuration, parameters, workspace
    from sigc_pipelines.research.backtested import backtested
    from sigc_pipelines.text import results_text as show

    check_output(output)
    chosen = choices(config, engine, threads, no_cache)
    settings = configuration(chosen).config
    compiled = compile_file(file, parameters(params))
    overrides = {k: v for k, v in (("start", day(start)), ("end", day(end))) if v}
    bar = show.ProgressBar()
    with workspace(settings, chosen, bar) as space:
        try:
            money = settings.backtest.capital if capital is None else capital
            replayed = None
            if with_orders:
                made, replayed = _replayed(compiled, space, portfolio, settings, money, overrides)
            else:
                made = backtested(compiled, space, portfolio, money, overrides)
            loaded, result, validated = made.loaded, made.result, made.validated
        finally:
            bar.close()
        for incident in result.report.incidents:
            click.echo(f"note: {incident}", err=True)
        click.echo(show.work(result.report), err=True)
        if as_json:
            complain(result.findings)
            click.echo(show.dump(show.as_data(result, validated)))
        else:
            click.echo(show.results(result))
            if replayed is not None:
                click.echo("\n" + show.replayed(replayed))
            if validated is not None:
                click.echo("\n" + show.validated(validated))
            if result.findings:
                click.echo("\n" + show.findings(result.findings))
        if output is not None:
            write(result, output)
        if report is not None:
            from sigc_cli.text.results import write_report

            path = write_report(result, loaded, space, (output or file).with_suffix(".html"), replayed)
            click.echo(f"report: {path}", err=True)


def _replayed(
    compiled: Compiled, space: Workspace, portfolio: str, config: Config, capital: float, overrides: dict[str, str]
) -> tuple[Backtested, Replay]:
    import datetime
    from dataclasses import replace

    from sigc_pipelines.assembly.trading import calendar_of
    from sigc_pipelines.backtest.backtest import pick
    from sigc_pipelines.backtest.replay import replay
    from sigc_pipelines.compute import load
    from sigc_pipelines.research.backtested import Backtested, with_warnings

    directory = Path(config.daemon.cache.directory).expanduser()
    calendar = calendar_of(config, directory, datetime.datetime.now(datetime.UTC))
    loaded = load(compiled.strategy, space)
    done = replay(loaded, space, pick(loaded, portfolio), config, calendar, capital=capital, overrides=overrides)
    done = replace(done, result=with_warnings(done.result, compiled))
    return Backtested(loaded, done.result, None), done
