"""`sigc init [FOLDER]`: a project that runs at once."""

from __future__ import annotations

from pathlib import Path

import click

from sigc.errors import Diagnostic, SigcError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--data/--no-data", default=True, help="Write a small synthetic universe to data/.")
def command(folder: Path, data: bool) -> None:
    """Scaffold a project in FOLDER: a strategy, a configuration, data. Existing files are not touched."""
    from sigc_cli.starter_files import CONFIG, MOMENTUM, README
    from sigc_cli.synthetic_universe import write_universe

    files = {
        folder / "strategies" / "momentum.sig": MOMENTUM.replace("PLACE/", ""),
        folder / "sigc.yaml": CONFIG,
        folder / "README.md": README,
        folder / ".gitignore": ".sigc/\n*.html\n",
    }
    there = [p for p in files if p.exists()]
    if there:
        raise SigcError(Diagnostic("E200", f"'{there[0]}' is there already", hint="choose an empty folder"))
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if data:
        write_universe(folder / "data", assets=100, days=756, with_actions=True)
    for path in files:
        click.echo(f"wrote {path}")
    click.echo(f"next: cd {folder} && sigc backtest strategies/momentum.sig")
