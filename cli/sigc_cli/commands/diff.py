"""`sigc diff A B`: two strategies by what they compute, or two results by their figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from sigc.errors import Diagnostic, SigcError


@click.command(short_help="Compare two strategies, or two results.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
def command(a: Path, b: Path) -> None:
    """Compare two .sig files (what changed in meaning) or two .json results. Exit 1 if they differ."""
    lines = _results(a, b) if a.suffix == b.suffix == ".json" else _strategies(a, b)
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("no difference")
    raise click.exceptions.Exit(1 if lines else 0)


def _strategies(a: Path, b: Path) -> list[str]:
    from sigc_pipelines.assembly.parts import compile_file

    left, right = compile_file(a).strategy, compile_file(b).strategy
    lines = _dicts("parameter", dict(left.params), dict(right.params))
    sources = [{s.name: f"{s.path} ({s.adjust}, {s.dtype})" for s in one.data} for one in (left, right)]
    lines += _dicts("data", *sources)
    shapes = [{n: r.shape[:12] for n, r in one.roots.items()} for one in (left, right)]
    lines += _dicts("computes", *shapes)
    books = [{p.name: _book(p) for p in one.portfolios} for one in (left, right)]
    return lines + _dicts("portfolio", *books)


def _book(portfolio: object) -> str:
    from dataclasses import fields, is_dataclass

    def plain(value: object) -> object:
        if is_dataclass(value):
            return [(f.name, plain(getattr(value, f.name))) for f in fields(value) if f.name not in ("span", "weights")]
        return [plain(v) for v in value] if isinstance(value, tuple) else value

    return str(plain(portfolio))


def _results(a: Path, b: Path) -> list[str]:
    loaded = []
    for path in (a, b):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            loaded.append({**data["metrics"], **{f"param {k}": v for k, v in data["params"].items()}})
        except (OSError, ValueError, KeyError, TypeError) as failure:
            hint = "write results with sigc backtest -o FILE.json"
            raise SigcError(Diagnostic("E201", f"'{path}' holds no results: {failure}", hint=hint)) from failure
    return _dicts("", loaded[0], loaded[1])


def _dicts(what: str, a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    lines = []
    for key in sorted({*a, *b}):
        if a.get(key) != b.get(key):
            name = f"{what} {key}".strip()
            if key not in a:
                lines.append(f"+ {name}: {b[key]}")
            elif key not in b:
                lines.append(f"- {name}: {a[key]}")
            else:
                lines.append(f"~ {name}: {a[key]} -> {b[key]}")
    return lines
