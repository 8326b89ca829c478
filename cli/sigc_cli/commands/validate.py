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
@JSON
def command(file: Path, column: str, dtype: str, as_json: bool) -> None:
    """Check a data file: dates, duplicates, text among numbers, gaps; of prices, jumps and what is not positive."""
    import numpy as np

    from sigc_cli.complain import complain
    from sigc_cli.datafile import price_findings, read_file
    from sigc_cli.show import percent

    panel, findings = read_file(file, column=column, dtype=dtype)
    findings = (*findings, *price_findings(file, panel, column))
    missing = float(np.isnan(panel.values).mean()) if panel.values.size else 1.0
    static = len(panel.dates) == 1 and panel.dates[0] == np.datetime64(0, "ns")
    day = panel.dates.astype("datetime64[D]")
    facts = {
        "file": str(file),
        "kind": "labels" if panel.labels is not None else "numbers",
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
    span = "constant in time" if static else f"{day[0]} to {day[-1]}, {len(day)} rows"
    click.echo(f"{file}: ok")
    click.echo(f"  {facts['kind']}, {len(panel.names)} assets, {span}, {percent(missing)} missing")
