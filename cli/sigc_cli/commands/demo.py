"""`sigc demo`: the main job on a synthetic universe, offline: data, backtest, report, a daemon that trades it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Make a synthetic universe, backtest a strategy on it, trade it on paper; offline.")
@click.option("--directory", type=click.Path(path_type=Path), default=Path("sigc-demo"), show_default=True)
@click.option("--assets", type=click.IntRange(20, 20_000), default=500, show_default=True)
@click.option("--days", type=click.IntRange(300, 20_000), default=1260, show_default=True)
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--leave-running", is_flag=True, help="Leave the daemon running, and print its addresses.")
def command(directory: Path, assets: int, days: int, seed: int, leave_running: bool) -> None:
    """Make a universe of ASSETS x DAYS in DIRECTORY, backtest a momentum strategy on it, trade it on paper.

    The last is done by a daemon with places and ports of its own, which is stopped again.
    """
    from sigc_cli.demo_daemon import DemoDaemon
    from sigc_cli.synthetic_universe import START, sessions

    demo = DemoDaemon(directory)
    demo.refuse_running()
    file = _backtested(directory, assets, days, seed)
    demo.write(file)
    with demo.running(keep=leave_running):
        demo.show([str(day)[:10] for day in sessions(START, days)[-2:]])
    if leave_running:
        click.echo(f"\n{demo.addresses()}\nStop it: sigc stop --config {demo.config}")


def _backtested(directory: Path, assets: int, days: int, seed: int) -> Path:
    """Data, strategy, results and report in DIRECTORY; the strategy's file."""
    from sigc_cli.diagnostics import complain
    from sigc_cli.starter_files import MOMENTUM
    from sigc_cli.synthetic_universe import START, write_universe
    from sigc_cli.text.results import write, write_report
    from sigc_pipelines.assembly.parts import Choices, compile_file, configuration, workspace
    from sigc_pipelines.backtest.backtest import backtest, pick
    from sigc_pipelines.compute import load
    from sigc_pipelines.text import results_text as show

    click.echo(f"Making a synthetic universe: {assets} assets x {days} days in {directory}/data", err=True)
    write_universe(directory / "data", assets, days, START, seed, with_actions=True)
    file = directory / "momentum.sig"
    file.write_text(MOMENTUM.replace("PLACE", "data"), encoding="utf-8")
    compiled = compile_file(file)
    click.echo(f"{file}: ok", err=True)
    overrides = {"daemon.cache.directory": str(directory.resolve() / "cache")}
    choices = Choices(engine="local", overrides=overrides, alone=True)
    settings = configuration(choices).config
    bar = show.ProgressBar()
    with workspace(settings, choices, bar) as space:
        try:
            loaded = load(compiled.strategy, space)
            result = backtest(loaded, space, pick(loaded), capital=settings.backtest.capital)
        finally:
            bar.close()
        complain(result.findings)
        click.echo(show.work(result.report), err=True)
        click.echo(show.results(result))
        write(result, directory / "results.json")
        report = write_report(result, loaded, space, directory / "report.html")
    click.echo(f"\nReport:  {report}\nResults: {directory / 'results.json'}\nAgain:   sigc backtest {file}")
    return file
