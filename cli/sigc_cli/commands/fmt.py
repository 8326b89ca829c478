"""`sigc fmt FILE...`: rewrite strategy files in the canonical form."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from sigc.errors import Diagnostic, SigcError


@click.command(short_help="Format strategy files.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Change nothing; print what would change.")
def command(files: tuple[Path, ...], check: bool, diff: bool) -> None:
    """Format strategy files in place. A file with syntax errors is left alone."""
    from sigc.lang.syntax.format import format
    from sigc.lang.syntax.parse import parse
    from sigc.lang.syntax.source_text import read_text

    changed = 0
    broken: list[Diagnostic] = []
    for path in files:
        text = read_text(path)
        module, errors = parse(text, str(path))
        if errors:
            broken += errors
            continue
        formatted = format(module)
        if formatted == text:
            continue
        changed += 1
        if diff:
            rows = difflib.unified_diff(text.splitlines(), formatted.splitlines(), str(path), str(path), lineterm="")
            click.echo("\n".join(rows))
        elif check:
            click.echo(f"{path}: would change")
        else:
            path.write_text(formatted, encoding="utf-8")
            click.echo(f"{path}: formatted")
    if broken:
        raise SigcError(*broken)
    raise click.exceptions.Exit(1 if changed and (check or diff) else 0)
