"""`sigc optimize FILE`: every combination of the parameter grid, computed as one DAG."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from sigc_cli.options import JSON, PARAMS, STRATEGY, choices, work


@click.command(short_help="Search the parameter grid of a strategy.")
@STRATEGY
@click.option("--metric", default="sharpe", show_default=True, help="What to maximise.")
@click.option("--portfolio", default="", help="Portfolio (default: the first).")
@click.option("--start", default="", metavar="DATE", help="First date.")
@click.option("--end", default="", metavar="DATE", help="Last date, inclusive.")
@click.option("--top", "most", type=click.IntRange(1), default=20, show_default=True, help="Number of trials to print.")
@PARAMS
@JSON
@work
def command(
    file: Path,
    metric: str,
    portfolio: str,
    start: str,
    end: str,
    most: int,
    params: tuple[str, ...],
    as_json: bool,
    config: Path | None,
    engine: str,
    threads: int,
    no_cache: bool,
) -> None:
    """Search the parameter grid of FILE (params written as range or list)."""
    from sigc_cli.text.dates import day
    from sigc_pipelines.assembly.parts import compile_file, configuration, parameters, workspace
    from sigc_pipelines.backtest.backtest import pick
    from sigc_pipelines.backtest.trials import field, score, search
    from sigc_pipelines.compute import load
    from sigc_pipelines.text import results_text as show

    chosen = choices(config, engine, threads, no_cache)
    settings = configuration(chosen).config
    compiled = compile_file(file, parameters(params))
    overrides = {k: v for k, v in (("start", day(start)), ("end", day(end))) if v}
    bar = show.ProgressBar()
    with workspace(settings, chosen, bar) as space:
        try:
            loaded = load(compiled.strategy, space)
            book = pick(loaded, portfolio)
            capital = settings.backtest.capital
            found = search(field(compiled.lower, loaded, space, book.name, capital=capital, overrides=overrides))
        finally:
            bar.close()
    score(found.scored[0].metrics, metric)  # an unknown metric is told before anything is printed
    click.echo(show.work(found.report), err=True)
    if as_json:
        trials = [{"params": dict(s.params), "metrics": asdict(s.metrics)} for s in found.scored]
        best = dict(found.best(metric).params)
        click.echo(show.dump({"metric": metric, "best": best, "deflated_sharpe": found.deflated, "trials": trials}))
    else:
        click.echo(show.searched(found, metric, most))
