"""Reports of books that are traded, as files: `work_dir/reports/STRATEGY-DATE.html`, the date of the newest close.

Written whole or not at all, and again when the same session is reported anew. Nothing removes old ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.errors import Diagnostic, SigcError
from sigc.private import make_private

if TYPE_CHECKING:
    from sigc.daemon.runner import StrategyEntry
    from sigc_dashboard.reports.live_report import LiveView

FOLDER = "reports"


def write_reports(
    connection: sqlite3.Connection, work_dir: Path, entry: StrategyEntry, sizing: str
) -> tuple[Path, ...]:
    """The reports of all books of a strategy; none before it has traded. Raises E200."""
    from sigc.store.ledger import books
    from sigc_cli.text.live_view import live_view

    keys = [book.key for book in books.books(connection) if book.key.strategy == entry.name]
    written = []
    for key in keys:
        view = live_view(connection, work_dir, key.strategy, key.portfolio, parameters_of(entry), sizing)
        name = entry.name if len(keys) == 1 else f"{entry.name}-{key.portfolio}"
        written.append(write_report(view, work_dir / FOLDER / file_name(view, name)))
    return tuple(written)


def file_name(view: LiveView, name: str) -> str:
    """What the report of a book is called."""
    return f"{name}-{view.nav.figures.last or 'empty'}.html"


def write_report(view: LiveView, path: Path) -> Path:
    """Draw it and write it beside its place first. Raises E200."""
    from sigc_dashboard.reports.live_report import render

    text = render(view)
    part = path.with_name(f".{path.name}.part")
    try:
        make_private(path.parent)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as failure:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SigcError(Diagnostic("E200", f"can't write {path}: {failure.strerror}")) from failure
    return path


def parameters_of(entry: StrategyEntry) -> Mapping[str, float]:
    """The parameters of a strategy as its file and the configuration have them now; of a broken file, the latter's."""
    from sigc_cli.assembly.parts import compile_file

    try:
        return dict(compile_file(entry.file, entry.params).strategy.params)
    except SigcError:
        return entry.params
