"""`sigc convert IN OUT`: one data file format to another, and wide to long and back."""

from __future__ import annotations

from pathlib import Path

import click

from sigc.errors import Diagnostic, SigcError
from sigc_cli.options import SOURCE_OPTIONS


@click.command(short_help="Convert a data file between csv, parquet and arrow.")
@click.argument("source", type=click.Path(path_type=Path), metavar="IN")
@click.argument("target", type=click.Path(path_type=Path), metavar="OUT")
@click.option("--column", default="", help="Value column of a long file.")
@click.option("--shape", type=click.Choice(["wide", "long"]), default="wide", show_default=True, help="Shape of OUT.")
@click.option("--adjust", type=click.Choice(["none", "split", "split_div"]), default="none", show_default=True)
@SOURCE_OPTIONS
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
def command(
    source: Path, target: Path, column: str, shape: str, adjust: str, options: tuple[str, ...], force: bool
) -> None:
    """Convert a data file (csv, parquet, arrow by extension), checked as a strategy would read it."""
    from sigc_cli.datafile import read_file, write_file

    if target.exists() and not force:
        raise SigcError(Diagnostic("E200", f"'{target}' already exists", hint="use --force to replace it"))
    panel = read_file(source, column=column, adjust=adjust, options=options).panel
    write_file(panel, target, shape)
    click.echo(f"{target}: {len(panel.dates)} rows x {len(panel.names)} assets")
