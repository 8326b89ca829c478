"""`sigc validate FILE`: read a data file as a strategy would, and say what is in it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sigc_cli.options import JSON


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--column", default="", help="Value column of a long file.")
@click.option("--dtype", type=click.Choice(["float64", "float32", "int64", "category"]), default="float64")
@click.option("-o", "--option", "options", multiple=True, help="An option as a strategy has it: asof=400d. Repeatable.")
@JSON
def command(file: Path, column: str, dtype: str, options: tuple[str, ...], as_json: bool) -> None:
    """Check a data file: dates, duplicates, text among numbers, gaps."""
    import numpy as np

    from sigc.data.asof import OPEN
    from sigc_cli.complain import complain
    from sigc_cli.datafile import read_source, spec_of
    from sigc_cli.show import percent

    source, panel, findings = read_source(spec_of(file, options, column=column, dtype=dtype))
    missing = float(np.isnan(panel.values).mean()) if panel.values.size else 1.0
    static = len(panel.dates) == 1 and panel.dates[0] == np.datetime64(0, "ns")
    day = panel.dates.astype("datetime64[D]")
    facts = {
        "file": str(file),
        "kind": "labels" if panel.labels is not None else "numbers",
        "as_of": source.events is not None,
        "rows": len(panel.dates),
        "assets": len(panel.names),
        "first": None if static else str(day[0]),
        "last": None if static else str(day[-1]),
        "missing": missing,
        "findings": [f.message for f in findings],
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    complain(findings)
    if source.events is not None:
        changed = f"{day[0] if day[0] > np.datetime64(OPEN, 'ns') else 'ever'} to {day[-1]}, {len(day)} times"
        click.echo(f"{file}: ok\n  {facts['kind']} as-of, {len(panel.names)} assets, something new from {changed}")
        return
    span = "constant in time" if static else f"{day[0]} to {day[-1]}, {len(day)} rows"
    click.echo(f"{file}: ok")
    click.echo(f"  {facts['kind']}, {len(panel.names)} assets, {span}, {percent(missing)} missing")
