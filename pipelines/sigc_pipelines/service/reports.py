"""Reports of traded books as files `work_dir/reports/STRATEGY-DATE.html`, with the date of the newest close.

A file is written whole or not at all, and again when the same session is reported anew. Nothing removes old ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.errors import Diagnostic, SigcError
from sigc.private import make_private
from sigc.store.ledger.records import BookKey

if TYPE_CHECKING:
    from sigc.daemon.runner import StrategyEntry

FOLDER = "reports"


@dataclass(frozen=True, slots=True)
class DrawnReport:
    """A report as HTML. session: the newest close that it shows, an ISO date, '' without one."""

    session: str
    html: str


# Draw the report of a book: from the ledger, the work dir's files, the strategy's parameters and what sizes go by.
DrawReport = Callable[[sqlite3.Connection, Path, BookKey, Mapping[str, float], str], DrawnReport]


def write_reports(
    connection: sqlite3.Connection,
    work_dir: Path,
    strategy: str,
    params: Mapping[str, float],
    sizing: str,
    draw: DrawReport,
) -> tuple[Path, ...]:
    """Write the reports of all books of a strategy; none before it has traded. Raises E200."""
    from sigc.store.ledger import books

    keys = [book.key for book in books.books(connection) if book.key.strategy == strategy]
    written = []
    for key in keys:
        report = draw(connection, work_dir, key, params, sizing)
        name = strategy if len(keys) == 1 else f"{strategy}-{key.portfolio}"
        written.append(write_report(report, work_dir / FOLDER / file_name(report, name)))
    return tuple(written)


def file_name(report: DrawnReport, name: str) -> str:
    """Return the name of a report's file."""
    return f"{name}-{report.session or 'empty'}.html"


def write_report(report: DrawnReport, path: Path) -> Path:
    """Write a report beside its place, then move it there. Raises E200."""
    part = path.with_name(f".{path.name}.part")
    try:
        make_private(path.parent)
        part.write_text(report.html, encoding="utf-8")
        part.replace(path)
    except OSError as failure:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SigcError(Diagnostic("E200", f"can't write {path}: {failure.strerror}")) from failure
    return path


def parameters_of(entry: StrategyEntry) -> Mapping[str, float]:
    """Return the parameters of a strategy by its file and the configuration; of a broken file, the latter's."""
    from sigc_pipelines.assembly.parts import compile_file

    try:
        return dict(compile_file(entry.file, entry.params).strategy.params)
    except SigcError:
        return entry.params
