"""The check of a file: everything that the text alone decides, all errors at once. It opens no data file.

checked = check_file(Path("momentum.sig"))
checked.ok, checked.diagnostics, checked.program
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sigc.errors import Diagnostic, Severity, Span
from sigc.lang.semantics.imports import Library, library
from sigc.lang.semantics.resolve import MOST_STEPS, Resolver, TooLargeError
from sigc.lang.semantics.values import Program
from sigc.lang.syntax.nodes import Module
from sigc.lang.syntax.parse import parse
from sigc.lang.syntax.source_text import read_text


@dataclass(frozen=True, slots=True, eq=False)
class CheckedFile:
    """A checked file. program: None if it has errors. sources: text by path, for carets."""

    module: Module
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]
    program: Program | None
    library: Library

    @property
    def ok(self) -> bool:
        return self.program is not None


def check_file(path: Path, params: Mapping[str, float] | None = None, roots: tuple[Path, ...] = ()) -> CheckedFile:
    """Check the file at `path`. Raise E200 if it can't be read."""
    return check_text(read_text(path), str(path), params, roots)


def check_text(
    text: str,
    path: str,
    params: Mapping[str, float] | None = None,
    roots: tuple[Path, ...] = (),
    imported: Mapping[str, str] | None = None,
) -> CheckedFile:
    """Check a text. `path` is its name in errors, and the place where imports are searched; roots: more folders for
    them. imported: texts of imports by their path in `CheckedFile.sources`, which are not read then.
    """
    sources = {path: text}
    module, errors = parse(text, path)
    found = list(errors)
    names = library(module, Path(path), roots, sources, found, imported or {})
    resolver = Resolver(module, names, params or {})
    program: Program | None = None
    try:
        program = resolver.program()
    except TooLargeError:
        message = f"the file expands to more than {MOST_STEPS:,} values"
        found.append(Diagnostic("E005", message, Span(path, 1, 1), hint="do macros call each other too often?"))
    except RecursionError:
        message = "definitions or signals are nested too deep"
        found.append(Diagnostic("E005", message, Span(path, 1, 1), hint="merge some of them"))
    # A line with a syntax error has no value: report only the syntax error.
    broken = {(d.span.path, d.span.line) for d in found if d.span and d.code == "E001"}
    found += [d for d in resolver.found if d.span is None or (d.span.path, d.span.line) not in broken]
    unique = _unique(found, broken=bool(errors))
    failed = any(d.severity is Severity.ERROR for d in unique)
    return CheckedFile(module, unique, sources, None if failed else program, names)


def _unique(found: list[Diagnostic], *, broken: bool) -> tuple[Diagnostic, ...]:
    """Return each error once, in the order of the text. In a file that does not parse, unused names are not
    reported.
    """
    first: dict[tuple[str, str, Span | None], Diagnostic] = {}
    for d in found:
        if not (broken and d.code == "W001"):
            first.setdefault((d.code, d.message, d.span), d)
    return tuple(sorted(first.values(), key=lambda d: (d.span or Span("", 0, 0), d.code)))
