"""`sigc check FILE...`: all errors of each file. Opens no data file without --data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc.errors import Diagnostic, Severity, SigcError, exit_code
from sigc_cli.diagnostics import as_json as plain
from sigc_cli.diagnostics import complain
from sigc_cli.options import CONFIG, JSON, PARAMS

if TYPE_CHECKING:
    from sigc.plan.strategy import Strategy


@click.command(short_help="Check strategy files: all errors, with the place of each.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@PARAMS
@click.option("--data", is_flag=True, help="Read the data too: missing files, bad values, too few rows.")
@click.option("-v", "--verbose", is_flag=True, help="Print the lookback of every signal and portfolio.")
@JSON
@CONFIG
def command(
    files: tuple[Path, ...], params: tuple[str, ...], data: bool, verbose: bool, as_json: bool, config: Path | None
) -> None:
    """Check strategy files. Prints `FILE: ok` for each good one; exits with the class of the first error."""
    from sigc_pipelines.assembly.parts import parameters

    overrides = parameters(params)
    code = 0
    found: list[dict[str, object]] = []
    for path in files:
        diagnostics, sources, lookbacks = _check(path, overrides, data, config)
        code = code or exit_code(diagnostics)
        if as_json:
            found.append({"file": str(path), "diagnostics": [plain(d) for d in diagnostics], "lookback": lookbacks})
            continue
        complain(diagnostics, sources or None)
        if not any(d.severity is Severity.ERROR for d in diagnostics):
            click.echo(f"{path}: ok")
            if verbose:
                for name, rows in lookbacks.items():
                    click.echo(f"  {name}: {'from the first row' if rows is None else f'{rows} rows before'}")
    if as_json:
        from json import dumps

        click.echo(dumps(found, indent=2))
    raise click.exceptions.Exit(code)


def _check(
    path: Path, params: dict[str, float], data: bool, config: Path | None
) -> tuple[tuple[Diagnostic, ...], dict[str, str], dict[str, int | None]]:
    from sigc.lang.check import check_file

    try:
        checked = check_file(path, params)
    except SigcError as error:
        return error.diagnostics, {}, {}
    lookbacks: dict[str, int | None] = {}
    found = checked.diagnostics
    if checked.ok:
        from sigc.plan.expr import lookback
        from sigc.plan.lower import lower

        strategy = lower(checked)
        lookbacks = {name: lookback(root) for name, root in strategy.roots.items()}
        if data:
            found = (*found, *_check_data(strategy, config))
    return found, dict(checked.sources), lookbacks


def _check_data(strategy: Strategy, config: Path | None) -> tuple[Diagnostic, ...]:
    from sigc_pipelines.assembly.parts import Choices, configuration, workspace
    from sigc_pipelines.compute import examine, load

    choices = Choices(config=config)
    with workspace(configuration(choices).config, choices) as space:
        try:
            loaded = load(strategy, space)
        except SigcError as error:
            return error.diagnostics
        return (*loaded.findings, *examine(loaded))
