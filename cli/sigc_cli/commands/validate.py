"""`sigc validate FILE`: content of a data file, read as a strategy would, and the choices made about its format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc.words import counted
from sigc_cli.options import CONFIG, JSON, SOURCE_OPTIONS

if TYPE_CHECKING:
    from sigc.data.actions.action_files import CorporateActions
    from sigc.errors import Diagnostic
    from sigc_cli.datafile import DataFile


@click.command(short_help="Check a data file as sigc would read it.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--column", default="", help="Value column of a long file.")
@click.option("--dtype", type=click.Choice(["float64", "float32", "int64", "category"]), default="float64")
@SOURCE_OPTIONS
@CONFIG
@JSON
def command(file: Path, column: str, dtype: str, options: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Check a data file: names, dates, gaps; of prices, jumps and what is not positive; say how it is read."""
    from sigc.data.dates.exchange import exchanges_of
    from sigc_cli.datafile import price_findings, read_acts, read_file
    from sigc_cli.diagnostics import complain
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.text.results_text import percent

    exchanges = exchanges_of(configuration(Choices(config=config)).config.schedule)
    acts = None if column else read_acts(file, options, exchanges)
    if acts is not None:
        _tell_actions(file, acts, as_json)
        return
    read = read_file(file, column=column, dtype=dtype, options=options, exchanges=exchanges)
    odd = price_findings(read, column)
    facts = {"file": str(file)} | facts_of(read, odd)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    complain((*read.findings, *odd))
    if read.source.events is not None:
        changed = f"{_begin(read)} to {str(facts['last'])[:10]}, {facts['rows']} times"
        click.echo(f"{file}: ok")
        click.echo(
            f"  {facts['kind']} as-of, {counted(read.panel.values.shape[1], 'asset')}, something new from {changed}"
        )
        return
    span = f"{facts['first']} to {facts['last']}, {facts['rows']} rows" if facts["first"] else "constant in time"
    click.echo(f"{file}: ok")
    click.echo(
        f"  {facts['kind']}, {counted(read.panel.values.shape[1], 'asset')}, {span}, {percent(read.missing)} missing"
    )
    click.echo(f"  read as: {facts['layout']}; rows are {facts['frequency']}{_year(facts['periods'])}")


def _tell_actions(file: Path, acts: CorporateActions, as_json: bool) -> None:
    """Print the number of actions of each kind, with their dates."""
    from collections import Counter

    from sigc_cli.diagnostics import complain

    kinds = Counter(a.kind.value for a in acts.actions)
    days = [a.ex_date.isoformat() for a in acts.actions]
    facts: dict[str, object] = {
        "file": str(file),
        "kind": "corporate actions",
        "actions": dict(sorted(kinds.items())),
        "assets": len({a.asset for a in acts.actions}),
        "first": min(days, default=None),
        "last": max(days, default=None),
        "findings": [f.message for f in acts.findings],
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    complain(acts.findings)
    said = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items())) or "none"
    click.echo(f"{file}: ok")
    assets = counted(len({a.asset for a in acts.actions}), "asset")
    click.echo(f"  corporate actions of {assets}, {facts['first']} to {facts['last']}: {said}")


def _begin(read: DataFile) -> str:
    """Return the first day on which an as-of source has something, `ever` for what always was."""
    import numpy as np

    from sigc.data.asof import OPEN

    first = read.panel.dates[0]
    return _day(first)[:10] if first > np.datetime64(OPEN, "ns") else "ever"


def _year(periods: object) -> str:
    return f", {periods:g} periods a year" if isinstance(periods, float) else ""


def facts_of(read: DataFile, odd: tuple[Diagnostic, ...] = ()) -> dict[str, object]:
    """Return the content of a file, and the decisions about it, as plain data."""
    from sigc.data.dates.frequency import periods_a_year

    panel, rows = read.panel, read.source.rows
    static = read.source.static
    first, last = (None, None) if static else (_day(panel.dates[0]), _day(panel.dates[-1]))
    periods = read.source.spec.options.periods or periods_a_year(rows.frequency, rows.calendar)
    words = {"bars": f"{rows.frequency.bars} bars a session", "all_days": "all days"}
    return {
        "kind": "labels" if panel.labels is not None else "numbers",
        "as_of": read.source.events is not None,
        "rows": len(panel.dates),
        "assets": len(panel.names),
        "first": first,
        "last": last,
        "missing": read.missing,
        "layout": read.layout,
        "frequency": "constant"
        if static
        else words.get(rows.frequency.word, rows.frequency.word)
        + (f" of {rows.calendar} ({rows.zone})" if rows.calendar else ""),
        "periods": None if static else periods,
        "findings": [f.message for f in (*read.findings, *odd)],
    }


def _day(date: object) -> str:
    import numpy as np

    stamp = np.datetime64(date)  # type: ignore[call-overload]
    day = stamp.astype("datetime64[D]")
    return str(day) if day == stamp else str(stamp.astype("datetime64[s]")).replace("T", " ") + " UTC"
