"""`sigc run FILE --dry-run`: load and compute for one date, in this process."""

from __future__ import annotations

import time
from pathlib import Path

import click

from sigc_cli.options import JSON, PARAMS, STRATEGY, choices, work


@click.command()
@STRATEGY
@click.option("--dry-run", is_flag=True, help="Load and compute; trade nothing.")
@click.option("--date", default="", metavar="DATE", help="As of the last row on or before this date.")
@click.option("--portfolio", default="", help="Which portfolio (default: the first).")
@PARAMS
@JSON
@work
def command(
    file: Path,
    dry_run: bool,
    date: str,
    portfolio: str,
    params: tuple[str, ...],
    as_json: bool,
    config: Path | None,
    engine: str,
    threads: int,
    no_cache: bool,
) -> None:
    """Run FILE for one date: the as-of date, the wanted weights, the time of each stage.

    No row after the date is read. Trading needs the ledger, which this version has not: say --dry-run.
    """
    import numpy as np

    from sigc_cli import show
    from sigc_cli.build import compile_file, configuration, parameters, workspace
    from sigc_cli.complain import complain
    from sigc_cli.dates import day
    from sigc_pipelines.compute import load
    from sigc_pipelines.dry_run import dry_run as run
    from sigc_pipelines.dry_run import staleness

    if not dry_run:
        raise click.UsageError("this version computes and does not trade: add --dry-run")
    chosen = choices(config, engine, threads, no_cache)
    begun = time.perf_counter()
    compiled = compile_file(file, parameters(params))
    bar = show.ProgressBar()
    settings = configuration(chosen).config
    with workspace(settings, chosen, bar) as space:
        try:
            at = time.perf_counter()
            loaded = load(compiled.strategy, space, until=day(date))
            load_s = time.perf_counter() - at
            done = run(loaded, space, portfolio)
        finally:
            bar.close()
    limit = settings.data.validation.max_stale_hours
    stale = () if date else staleness(loaded, np.datetime64("now"), limit)
    complain([*compiled.warnings, *loaded.findings, *stale])
    held = {n: w for n, w in zip(done.names, done.weights.tolist(), strict=True) if w != 0.0 and w == w}
    times = {"compile": at - begun, "load": load_s, "compute": done.report.seconds}
    if as_json:
        data = {"strategy": compiled.strategy.name, "portfolio": done.portfolio, "as_of": done.as_of, "dry_run": True}
        data |= {"weights": held, "digest": done.digest, "seconds": times, "data": dict(done.digests)}
        click.echo(show.dump(data))
        return
    click.echo(f"{compiled.strategy.name} ({done.portfolio}), dry run as of {done.as_of}")
    gross, net = sum(abs(w) for w in held.values()), sum(held.values())
    click.echo(f"{len(held)} of {len(done.names)} assets, gross {gross:.4f}, net {net:+.4f}, digest {done.digest[:16]}")
    rows = [("asset", "weight"), *((n, f"{w:+.6f}") for n, w in sorted(held.items(), key=lambda x: (-abs(x[1]), x[0])))]
    click.echo("\n" + show.table(rows[:41]))
    if len(rows) > 41:
        click.echo(f"... and {len(rows) - 41} more (--json prints all)")
    click.echo("\n" + ", ".join(f"{k} {1000 * v:.0f} ms" for k, v in times.items()))
    click.echo(show.work(done.report), err=True)
