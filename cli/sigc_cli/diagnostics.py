"""Diagnostics on stderr: for people, with the source line when its file can be read; with --json a line of JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from sigc.config.secret import masked
from sigc.errors import Diagnostic, Severity, Span, render

_MOST = 1_000_000  # bytes of a source that is read again for its line


def complain(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str] | None = None) -> None:
    """Print every diagnostic, errors in red on a terminal; with --json as one line `{"diagnostics": [...]}`."""
    diagnostics = tuple(diagnostics)
    if wants_json() and diagnostics:
        import json

        click.echo(json.dumps({"diagnostics": [as_json(found) for found in diagnostics]}), err=True)
        return
    for found in diagnostics:
        text = render(found, sources if sources is not None else _read(found.span))
        colour = "red" if found.severity is Severity.ERROR else "yellow"
        head, _, rest = text.partition("\n")
        click.echo(click.style(head, fg=colour), err=True)
        if rest:
            click.echo(rest, err=True)


def wants_json() -> bool:
    """Return True if the command line asks for JSON."""
    arguments = sys.argv[1:]
    return "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)


def as_json(found: Diagnostic) -> dict[str, object]:
    """Return a diagnostic as plain data."""
    span = found.span
    place = {} if span is None else {"path": span.path, "line": span.line, "column": span.column, "length": span.length}
    return {
        "code": found.code,
        "severity": str(found.severity),
        "message": found.message,
        "hint": found.hint,
        **place,
    }


def _read(span: Span | None) -> dict[str, str]:
    if span is None:
        return {}
    path = Path(span.path)
    try:
        if path.stat().st_size > _MOST:
            return {}
        text = path.read_text(encoding="utf-8", errors="replace")
        return {span.path: masked(text, by_name=path.suffix in (".yaml", ".yml"))}
    except OSError:
        return {}
