"""Conversion of columns to a panel by their layout: wide, long, fields of one instrument, static.

A bad cell is an error that names file, row and column; rows count from 1, the header is row 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigc.data.dates.exchange import Exchange
from sigc.data.dates.stamps import Dated, settle, stamps_of
from sigc.data.formats.cells import codes, is_text, numbers, plain, texts
from sigc.data.formats.layout import TableLayout
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Dates, Panel

EPOCH: Dates = np.zeros(1, "datetime64[ns]")


@dataclass(frozen=True, slots=True, eq=False)
class ShapedPanel:
    """A panel, and the decisions about its rows; None for a static one. is_long: each asset has its own dates."""

    panel: Panel
    dated: Dated | None
    findings: tuple[Diagnostic, ...] = ()
    is_long: bool = False


def to_panel(
    spec: SourceSpec, file: str, table: Any, how: TableLayout, exchange: Exchange, *, any_order: bool = False
) -> ShapedPanel:
    """Return the panel of a table. any_order: rows of a long table may be unsorted. Raise E201 with row and column."""
    if table.num_rows == 0:
        raise problem(spec, "E201", file, "has no rows")
    if how.shape == "static":
        return ShapedPanel(_static(spec, file, table, how), None, how.findings)
    dated = settle(spec, file, stamps_of(spec, file, table[how.date], how.date), exchange, how.date)
    if dated.keep is not None:
        if not len(dated.keep):
            raise problem(spec, "E201", file, "has no rows within sessions")
        table = table.take(dated.keep)
    rows = _Rows(dated.dates, dated.keep)
    made = (
        _long(spec, file, table, how, rows, any_order) if how.shape == "long" else _wide(spec, file, table, how, rows)
    )
    return ShapedPanel(made.panel, dated, (*how.findings, *dated.findings, *made.findings), how.shape == "long")


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The dates of a table's rows, and their numbers in the file (None: all)."""

    dates: Dates
    keep: NDArray[np.intp] | None

    def number(self, row: int) -> int:
        """Return the number of a row in the file; the header is row 1."""
        return (row if self.keep is None else int(self.keep[row])) + 2


def _wide(spec: SourceSpec, file: str, table: Any, how: TableLayout, rows: _Rows) -> ShapedPanel:
    check_ascending(spec, file, rows.dates, rows.keep)
    columns = (how.value,) if how.shape == "fields" else how.values
    held = (spec.options.symbol,) if how.shape == "fields" else how.names
    order = sorted(range(len(columns)), key=lambda i: held[i])
    names = tuple(held[i] for i in order)
    values = np.empty((table.num_rows, len(names)))
    if spec.dtype == "category":
        written = [texts(table[columns[i]]) for i in order]
        labels = tuple(sorted({t for column in written for t in column if t is not None}))
        for i, column in enumerate(written):
            values[:, i] = codes(column, labels)
        return ShapedPanel(Panel(rows.dates, names, values, labels), None)
    for i, at in enumerate(order):
        values[:, i] = numbers(spec, file, table[columns[at]], columns[at])
    return ShapedPanel(Panel(rows.dates, names, values), None)


def _long(spec: SourceSpec, file: str, table: Any, how: TableLayout, rows: _Rows, any_order: bool) -> ShapedPanel:
    names, column, findings = assets_of(spec, file, table[how.asset], how.asset, rows.keep)
    dates = rows.dates
    unique_dates, row = np.unique(dates, return_inverse=True)
    cell = row.astype(np.int64) * len(names) + column
    _check_long(spec, file, rows, names, cell, column, any_order)
    values = np.full((len(unique_dates), len(names)), np.nan)
    labels = None
    if spec.dtype == "category":
        written = texts(table[how.value])
        labels = tuple(sorted({t for t in written if t is not None}))
        values.reshape(-1)[cell] = codes(written, labels)
    else:
        values.reshape(-1)[cell] = numbers(spec, file, table[how.value], how.value)
    return ShapedPanel(Panel(unique_dates, names, values, labels), None, findings)


def _check_long(
    spec: SourceSpec,
    file: str,
    rows: _Rows,
    names: tuple[str, ...],
    cell: NDArray[Any],
    column: NDArray[Any],
    any_order: bool,
) -> None:
    """Check that each (date, asset) occurs once, and each asset's dates ascend, unless any order is allowed."""
    order = np.argsort(cell, kind="stable")
    same = np.flatnonzero(np.diff(cell[order]) == 0)
    if len(same):
        at, first = int(order[same[0] + 1]), int(order[same[0]])
        where = f"rows {rows.number(first)} and {rows.number(at)}"
        message = f"has {when(rows.dates[at])} of '{names[column[at]]}' twice: {where}"
        hint = "for restatements, say asof=true and available_after= with the column of their publication"
        raise problem(spec, "E201", file, message, hint)
    if any_order:
        return
    by_asset = np.argsort(column, kind="stable")
    back = (np.diff(rows.dates[by_asset].view("i8")) < 0) & (np.diff(column[by_asset]) == 0)
    if back.any():
        at = int(by_asset[int(np.flatnonzero(back)[0]) + 1])
        message = f"is not sorted by date: row {rows.number(at)} ({when(rows.dates[at])}, '{names[column[at]]}')"
        raise problem(spec, "E201", file, message, "sort it by date")


def _static(spec: SourceSpec, file: str, table: Any, how: TableLayout) -> Panel:
    names, column, _ = assets_of(spec, file, table[how.asset], how.asset)
    count = np.bincount(column, minlength=len(names))
    if (count > 1).any():
        twice = int(np.argmax(count > 1))
        at = int(np.flatnonzero(column == twice)[1])
        raise problem(spec, "E201", file, f"has '{names[twice]}' twice: row {at + 2}")
    place = np.argsort(column)
    if spec.dtype == "category" or (is_text(table[how.value].type) and not _are_numbers(table[how.value])):
        written = texts(table[how.value])
        labels = tuple(sorted({t for t in written if t is not None}))
        return Panel(EPOCH, names, codes(written, labels)[place][None], labels)
    return Panel(EPOCH, names, numbers(spec, file, table[how.value], how.value)[place][None])


def _are_numbers(column: Any) -> bool:
    try:
        numbers(SourceSpec("", ""), "", column, "")
    except SigcError:
        return False
    return True


def assets_of(
    spec: SourceSpec, file: str, column: Any, name: str, keep: NDArray[np.intp] | None = None
) -> tuple[tuple[str, ...], NDArray[np.intp], tuple[Diagnostic, ...]]:
    """Return (sorted assets of a column, index of each row's asset, findings). Blanks around names are trimmed.

    keep: the numbers of these rows in the file. Raise E201 for a missing name.
    """
    whole = plain(column).cast(pa.string())
    whole = pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
    encoded = whole.dictionary_encode()
    written = [str(t) for t in encoded.dictionary.to_pylist()]
    trimmed = [t.strip() for t in written]
    gone = np.asarray(encoded.indices.is_null().to_numpy(zero_copy_only=False))
    place = np.asarray(encoded.indices.fill_null(0).to_numpy(zero_copy_only=False), np.intp)
    empty = [i for i, t in enumerate(trimmed) if not t]
    gone = gone | np.isin(place, empty)
    if gone.any():
        at = int(np.flatnonzero(gone)[0])
        number = (at if keep is None else int(keep[at])) + 2
        raise problem(spec, "E201", file, f"row {number}, column '{name}': the asset is missing")
    names = tuple(sorted(set(trimmed)))
    order = {n: i for i, n in enumerate(names)}
    met = sorted({t for t in trimmed if trimmed.count(t) > 1}) if len(names) < len(trimmed) else []
    findings: tuple[Diagnostic, ...] = ()
    if met:
        message = f"source '{spec.name}': names that differ by blanks around them are one asset: {', '.join(met[:5])}"
        findings = (Diagnostic("W002", message, spec.span, Severity.WARNING),)
    return names, np.array([order[t] for t in trimmed], np.intp)[place], findings


def check_ascending(spec: SourceSpec, file: str, dates: Dates, keep: NDArray[np.intp] | None = None) -> None:
    """Check that dates ascend strictly. keep: the numbers of the rows in the file. Raise E201 with the row."""
    steps = np.diff(dates.view("i8"))
    if (steps <= 0).any():
        at = int(np.flatnonzero(steps <= 0)[0]) + 1
        what = "has the date" if steps[at - 1] == 0 else "is not sorted: the date"
        tail = "twice" if steps[at - 1] == 0 else "comes after a later one"
        number = (at if keep is None else int(keep[at])) + 2
        raise problem(spec, "E201", file, f"{what} {when(dates[at])} {tail}, row {number}")


def when(date: Any) -> str:
    """Return a date for people, with its time if it has one."""
    if date == date.astype("datetime64[D]"):
        return str(date.astype("datetime64[D]"))
    return str(date.astype("datetime64[s]")).replace("T", " ") + " UTC"
