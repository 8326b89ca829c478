"""`sigc diff-data OLD NEW`: changes between two versions of a data file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc_cli.options import CONFIG, JSON, SOURCE_OPTIONS

if TYPE_CHECKING:
    from sigc.data.difference import DataDifference, RestatedCell

_SHOWN = 5


@click.command(short_help="Say what changed between two versions of a data file.")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--column", default="", help="Value column of a long file.")
@click.option("--dtype", type=click.Choice(["float64", "float32", "int64", "category"]), default="float64")
@SOURCE_OPTIONS
@CONFIG
@JSON
def command(
    old: Path, new: Path, column: str, dtype: str, options: tuple[str, ...], config: Path | None, as_json: bool
) -> None:
    """Say what changed from OLD to NEW: rows, assets, restated cells. Exit 1 if more changed than rows at the end."""
    from sigc.data.dates.exchange import exchanges_of
    from sigc.data.difference import difference
    from sigc_cli.datafile import read_file
    from sigc_pipelines.assembly.parts import Choices, configuration

    exchanges = exchanges_of(configuration(Choices(config=config)).config.schedule)
    panels = [
        read_file(path, column=column, dtype=dtype, options=options, exchanges=exchanges).panel for path in (old, new)
    ]
    found = difference(*panels)
    click.echo(json.dumps(asdict(found), indent=2) if as_json else "\n".join(_lines(found)))
    raise click.exceptions.Exit(0 if found.is_same or found.is_append else 1)


def _lines(found: DataDifference) -> list[str]:
    if found.is_same:
        return ["no difference"]
    lists = (
        ("rows appended", found.appended),
        ("rows added between others", found.rows_between),
        ("rows gone", found.rows_gone),
        ("assets new", found.assets_new),
        ("assets gone", found.assets_gone),
    )
    lines = [f"{name}: {len(of):,} ({_some(of)})" for name, of in lists if of]
    if found.cells:
        by_asset = ", ".join(f"{n} {count:,}" for n, count in found.by_asset[:_SHOWN])
        lines.append(f"cells restated: {found.cells:,} of {len(found.by_asset):,} assets ({by_asset})")
        lines += [f"  {_text(cell)}" for cell in found.shown[:_SHOWN]]
    lines += [f"  all restated cells of {n} by one ratio: {ratio:.10g}" for n, ratio in found.scaled[:_SHOWN]]
    return lines


def _some(of: tuple[str, ...]) -> str:
    return of[0] if len(of) == 1 else f"{of[0]} to {of[-1]}" if len(of) > _SHOWN else ", ".join(of)


def _text(cell: RestatedCell) -> str:
    before, after = (
        "missing" if v is None else f"{v:.10g}" if isinstance(v, float) else v for v in (cell.before, cell.after)
    )
    return f"{cell.date} {cell.asset}: {before} -> {after}"
