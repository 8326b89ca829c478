"""Errors as values: where (`Span`), what is wrong and what to do (`Diagnostic`), and the caret printer.

Errors in a user's source are never raised one by one: a stage collects all of them and passes them on. One exception
class, `SigcError`, carries them through functions that can't return them.
The exit code of a command is the class of the first error (`exit_code`).

Neighbours: the explanations of the codes are in `sigc.lang.codes`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

_MOST_SHOWN = 200  # characters of a source line


class Severity(StrEnum):
    """The severity of a finding: an error stops a run, a denial one order."""

    INFO = "info"
    WARNING = "warning"
    DENIAL = "denial"
    ERROR = "error"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A piece of one line of a file. Lines and columns count from 1, in characters."""

    path: str
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: its code (`E002`), where it is, what is wrong, what was expected, what to do.

    `via` lists the places through which the span was reached (a macro call, an import), innermost first.
    """

    code: str
    message: str
    span: Span | None = None
    severity: Severity = Severity.ERROR
    expected: str = ""
    hint: str = ""
    via: tuple[Span, ...] = ()


def placed(found: Diagnostic) -> str:
    """Return a diagnostic in one line with its place and hint, for whoever does not have the file before them.

    >>> placed(Diagnostic("E002", "unknown function 'zcsore'", Span("a.sig", 3, 5), hint="did you mean 'zscore'?"))
    "E002: unknown function 'zcsore' (a.sig:3; did you mean 'zscore'?)"
    >>> placed(Diagnostic("E601", "no answer", hint="run it again"))
    'E601: no answer'
    """
    if found.span is None:
        return f"{found.code}: {found.message}"
    more = f"; {found.hint}" if found.hint else ""
    return f"{found.code}: {found.message} ({found.span.path}:{found.span.line}{more})"


class SigcError(Exception):
    """The exception that carries diagnostics through code that can't return them. Always holds at least one.

    sources: text by path, for carets, if whoever raised it has them.
    """

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(f"{d.code}: {d.message}" for d in diagnostics))
        self.diagnostics = diagnostics
        self.sources: Mapping[str, str] = {}

    # Exceptions are pickled by their `args`, here one text; workers of the cluster must send the diagnostics
    # themselves.
    def __reduce__(self) -> tuple[type[SigcError], tuple[Diagnostic, ...], dict[str, object]]:
        return type(self), self.diagnostics, {"sources": dict(self.sources)}


def exit_code(diagnostics: Iterable[Diagnostic]) -> int:
    """Return the exit code of the first error among `diagnostics`, 0 without one.

    >>> exit_code([Diagnostic("E103", "look-ahead")])
    3
    """
    for found in diagnostics:
        if found.severity is Severity.ERROR:
            return _class_of(found.code)
    return 0


def _class_of(code: str) -> int:
    by_code = {"E302": 4, "E311": 12, "E312": 1, "E900": 10, "E901": 11}
    if code in by_code:
        return by_code[code]
    by_class = {"E0": 2, "E1": 3, "E2": 4, "E3": 5, "E4": 6, "E5": 4, "E6": 7, "E8": 8}
    return by_class.get(code[:2], 1)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint for a mistyped `word`, '' if nothing in `known` is near."""
    # Sorted: the same hint in every process, whatever the order of a set.
    near = difflib.get_close_matches(word, sorted(set(known)), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else ""


def render(found: Diagnostic, sources: Mapping[str, str]) -> str:
    """Return a diagnostic as text, with the source line underlined if `sources` (path -> text) has it.

    >>> print(render(Diagnostic("E002", "unknown name 'prces'", Span("m.sig", 1, 5, 5)), {"m.sig": "r = prces"}))
    m.sig:1:5: error[E002]: unknown name 'prces'
       1 | r = prces
         |     ^^^^^
    """
    head = f"{found.severity}[{found.code}]: {found.message}"
    if found.expected:
        head += f" (expected {found.expected})"
    if found.span is None:
        return head + (f"\n  help: {found.hint}" if found.hint else "")
    span = found.span
    lines = [f"{span.path}:{span.line}:{span.column}: {head}"]
    excerpt = _excerpt(span, sources)
    if excerpt:
        if found.hint:
            excerpt[-1] += f" {found.hint}"
        lines += excerpt
    elif found.hint:
        lines.append(f"  help: {found.hint}")
    lines += [f"  via {at.path}:{at.line}:{at.column}" for at in found.via]
    return "\n".join(lines)


def _excerpt(span: Span, sources: Mapping[str, str]) -> list[str]:
    text = sources.get(span.path)
    if text is None:
        return []
    rows = text.splitlines()
    if not 1 <= span.line <= len(rows):
        return []
    row, column = _window(rows[span.line - 1], span.column)
    # Tabs keep their place under the caret: the padding repeats them.
    pad = "".join("\t" if c == "\t" else " " for c in row[: column - 1])
    carets = "^" * max(1, min(span.length, max(1, len(row) - column + 1)))
    gutter = f"{span.line:>4}"
    return [f"{gutter} | {row}", f"{' ' * len(gutter)} | {pad}{carets}"]


def _window(row: str, column: int) -> tuple[str, int]:
    """Return the part of a long line around a column, and the column in it: a line of a megabyte is not printed.

    >>> _window("[" * 1000, 500)[1], len(_window("[" * 1000, 500)[0])
    (82, 202)
    """
    if len(row) <= _MOST_SHOWN:
        return row, column
    low = max(0, min(column - 1 - _MOST_SHOWN // 2 + 20, len(row) - _MOST_SHOWN))
    head, tail = "…" if low else "", "…" if low + _MOST_SHOWN < len(row) else ""
    return f"{head}{row[low : low + _MOST_SHOWN]}{tail}", column - low + len(head)
