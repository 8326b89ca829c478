"""Tables of as-of sources as events: a cell, its date, its publication; or an interval, its two ends.

raw = cells_of(spec, file, table, how, exchange)       long, wide or of one instrument
raw = intervals_of(spec, file, table, how)             asset, from, to: both ends inclusive, open where empty
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigc.data.dates.exchange import Exchange, Instants
from sigc.data.dates.moments import days_of, published, usable
from sigc.data.dates.stamps import Dated, settle, stamps_of
from sigc.data.events import RawEvents
from sigc.data.formats.cells import codes, numbers, texts
from sigc.data.formats.layout import TableLayout
from sigc.data.formats.shape import assets_of
from sigc.data.manifest import RowDecisions
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, Severity
from sigc.panel import Dates, Floats, Panel

DAY_NS = 86_400_000_000_000
OPEN = int(np.datetime64("1678-01-01", "ns").astype("i8"))  # the first day of an interval without one


def check_said(spec: SourceSpec, file: str) -> tuple[Diagnostic, ...]:
    """Return findings about the declaration of an as-of source. Raise E201 if it can't be as-of."""
    if spec.adjust != "none":
        raise problem(spec, "E201", file, "can't be both adjusted and as-of", "leave out adjust= or asof=")
    if spec.options.available_after is not None:
        return ()
    message = (
        f"source '{spec.name}' is as-of and does not say when its values are available: each counts from the close of "
        "its own date, which is look-ahead where the date is the end of a fiscal period"
    )
    hint = "say available_after= with a delay (45d), the column of the publication, or 0 if that is right"
    return (Diagnostic("W002", message, spec.span, Severity.WARNING, hint=hint),)


def cells_of(spec: SourceSpec, file: str, table: Any, how: TableLayout, exchange: Exchange) -> RawEvents:
    """Return the non-missing cells of a table as events. Raise E201 with row and column."""
    if table.num_rows == 0:
        raise problem(spec, "E201", file, "has no rows")
    if how.shape == "static":
        raise problem(spec, "E201", file, "has no dates, so nothing of it can be as-of", "leave out asof=")
    dated = settle(spec, file, stamps_of(spec, file, table[how.date], how.date), exchange, how.date)
    # Row numbers of the file, for errors: the header is row 1. Rows that `settle` left out do not shift them.
    number = np.arange(dated.count) + 2 if dated.keep is None else dated.keep + 2
    order, since = _times(spec, file, table, how, dated, exchange)
    if dated.keep is not None:
        table = table.take(dated.keep)
    names, asset, row, values, labels, findings = _cells(spec, file, table, how)
    there = ~np.isnan(values)
    raw = RawEvents(
        file, names, asset, dated.dates.view("i8")[row], order[row], since[row], values, number[row], labels,
        rows=RowDecisions(dated.frequency, dated.calendar, dated.zone),
        findings=(*how.findings, *dated.findings, *findings),
    )  # fmt: skip
    return raw.take(there)


def cells_of_panel(panel: Panel, rows: RowDecisions, spec: SourceSpec, exchange: Exchange) -> RawEvents:
    """Return the non-missing cells of a panel as events."""
    since = _since(spec, panel.dates, exchange, is_intraday=rows.is_intraday)
    row, asset = np.nonzero(~np.isnan(panel.values))
    none = np.zeros(len(row), "i8")
    return RawEvents(
        "the frame", panel.names, asset, panel.dates.view("i8")[row], none, since[row], panel.values[row, asset],
        row + 2, panel.labels, rows=rows,
    )  # fmt: skip


def _times(
    spec: SourceSpec, file: str, table: Any, how: TableLayout, dated: Dated, exchange: Exchange
) -> tuple[Instants, Instants]:
    """Return, for each row kept, the order of its restatements and the instant from which it is usable (ns)."""
    if not how.published:
        return np.zeros(len(dated.dates), "i8"), _since(spec, dated.dates, exchange, is_intraday=dated.is_intraday)
    stamps = stamps_of(spec, file, table[how.published], how.published)
    since = published(spec, file, stamps, exchange, how.published)
    order = stamps.clock if stamps.offsets is None else stamps.clock - stamps.offsets * 1_000_000_000
    return (order, since) if dated.keep is None else (order[dated.keep], since[dated.keep])


def _since(spec: SourceSpec, dates: Dates, exchange: Exchange, *, is_intraday: bool) -> Instants:
    """Return the instants of use without a publication: by the delay alone. A bar without one is usable at its own."""
    said = spec.options.available_after
    if is_intraday and (said is None or not said.count):
        return dates.view("i8")
    return usable(exchange, days_of(dates), said)


Cells = tuple[
    tuple[str, ...], NDArray[np.intp], NDArray[np.intp], Floats, tuple[str, ...] | None, tuple[Diagnostic, ...]
]


def _cells(spec: SourceSpec, file: str, table: Any, how: TableLayout) -> Cells:
    """Return names; of each cell its asset, row and value; labels of a category; findings."""
    rows = np.arange(table.num_rows)
    if how.shape == "long":
        names, asset, findings = assets_of(spec, file, table[how.asset], how.asset)
        values, labels = _column(spec, file, table, [how.value])
        return names, asset, rows, values, labels, findings
    columns = [how.value] if how.shape == "fields" else list(how.values)
    held = (spec.options.symbol,) if how.shape == "fields" else how.names
    names = tuple(sorted(held))
    place = np.array([names.index(n) for n in held], np.intp)
    values, labels = _column(spec, file, table, columns)
    return names, np.repeat(place, len(rows)), np.tile(rows, len(columns)), values, labels, ()


def _column(spec: SourceSpec, file: str, table: Any, columns: list[str]) -> tuple[Floats, tuple[str, ...] | None]:
    """Return the values of columns one after the other, and the labels of a category."""
    if spec.dtype != "category":
        return np.concatenate([numbers(spec, file, table[c], c) for c in columns]), None
    written = [t for c in columns for t in texts(table[c])]
    labels = tuple(sorted({t for t in written if t is not None}))
    return codes(written, labels), labels


# -- intervals ---------------------------------------------------------------------------------------------------


def intervals_of(spec: SourceSpec, file: str, table: Any, how: TableLayout, exchange: Exchange) -> RawEvents:
    """Return the ends of intervals as events: 1 (or the value) from the first day on, 0 (or missing) after the last.

    Raise E201 for one that ends before it begins, and for two of an asset that overlap, with their rows.
    """
    if table.num_rows == 0:
        raise problem(spec, "E201", file, "has no rows")
    said = spec.options.available_after
    if said is not None and (said.count or said.column):
        raise problem(spec, "E201", file, "holds intervals, which count from their first day", "drop available_after=")
    names, asset, findings = assets_of(spec, file, table[how.asset], how.asset)
    since, until = (days_where_written(spec, file, table[c], c) for c in (how.date, how.until))
    since[since == np.iinfo("i8").min] = OPEN
    is_open = until == np.iinfo("i8").min
    until[is_open] = np.iinfo("i8").max
    order = np.lexsort((since, asset))
    asset, since, until = asset[order], since[order], until[order]
    _check_intervals(spec, file, names, asset, since, until, order + 2)
    inside, outside, labels = np.ones(len(order)), np.zeros(len(order)), None
    if how.value:
        inside, labels = _column(spec, file, table, [how.value])
        inside, outside = inside[order], np.full(len(order), np.nan)
    # No end event where the next interval begins the day after: its begin would have the same instant.
    follows = np.zeros(len(order), bool)
    follows[:-1] = (np.diff(asset) == 0) & (since[1:] == until[:-1] + DAY_NS)
    ends = np.flatnonzero((until < np.iinfo("i8").max) & ~follows)
    first = np.flatnonzero(np.diff(asset, prepend=-1) != 0)
    first = first[since[first] > OPEN]  # an asset is outside before its first interval
    at = np.concatenate([since, until[ends] + DAY_NS, np.full(len(first), OPEN)])
    whose = np.concatenate([asset, asset[ends], asset[first]])
    values = np.concatenate([inside, outside[ends], outside[first]])
    rows = RowDecisions(calendar=exchange.name, zone=exchange.zone)
    where = np.concatenate([order, order[ends], order[first]]) + 2
    return RawEvents(
        file, names, whose, at, np.zeros(len(at), "i8"), at, values, where, labels, by_label=True, rows=rows,
        findings=(*how.findings, *findings),
    )  # fmt: skip


def days_where_written(spec: SourceSpec, file: str, column: Any, name: str) -> Instants:
    """Return the days of a column in ns, the smallest integer for an empty cell. Raise E201 for an invalid date."""
    gone = np.array([t is None for t in texts(column)])
    found = np.full(len(gone), np.iinfo("i8").min)
    if not gone.all():
        # Empty cells are replaced by the first date. That one is parsed by itself first, so that errors name the row of
        # the file.
        first = int(np.flatnonzero(~gone)[0])
        stamps_of(spec, file, column.slice(first, 1), name, first)
        filled = column.take(pa.array(np.where(gone, first, np.arange(len(gone)))))
        clock = stamps_of(spec, file, filled, name).clock
        found[~gone] = (clock - clock % DAY_NS)[~gone]
    return found


def _check_intervals(
    spec: SourceSpec,
    file: str,
    names: tuple[str, ...],
    asset: NDArray[np.intp],
    since: Instants,
    until: Instants,
    number: NDArray[np.intp],
) -> None:
    back = np.flatnonzero(until < since)
    if len(back):
        at = int(back[0])
        raise problem(
            spec, "E201", file, f"row {number[at]}: the interval of '{names[asset[at]]}' ends before it begins"
        )
    over = np.flatnonzero((np.diff(asset) == 0) & (since[1:] <= until[:-1]))
    if len(over):
        at = int(over[0])
        message = f"has two intervals of '{names[asset[at]]}' that overlap: rows {number[at]} and {number[at + 1]}"
        raise problem(spec, "E201", file, message)
