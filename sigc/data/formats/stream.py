"""Streaming of a wide parquet file as panels of consecutive rows: memory holds one panel and one slab, for any length.

A file stores values by column within each row group, and they are needed by row. So a row group is read one slab of
columns at a time. One with more rows than a panel, as in most files, goes through a scratch file: slabs are written one
after the other, each row by row; then each panel is read from all slabs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import pyarrow.parquet as pq

from sigc.blocks.block import grid
from sigc.data.dates.exchange import Exchange
from sigc.data.dates.stamps import Dated, settle, stamps_of
from sigc.data.formats.cells import numbers
from sigc.data.formats.layout import TableLayout
from sigc.data.formats.shape import check_ascending
from sigc.data.formats.table import open_file
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError
from sigc.panel import Dates, Floats, Panel

_SLAB_BYTES = 8 << 20  # size of the columns decoded at a time


def dated_in(spec: SourceSpec, file: str, how: TableLayout, exchange: Exchange) -> Dated:
    """Return the dates of all rows. Raise E201 for invalid ones."""
    with open_file(spec, file) as handle:
        table = pq.ParquetFile(handle).read(columns=[how.date], use_threads=False)
        stamps = stamps_of(spec, file, table[how.date], how.date)
    dated = settle(spec, file, stamps, exchange, how.date)
    check_ascending(spec, file, dated.dates, dated.keep)
    return dated


def streamed(spec: SourceSpec, file: str, how: TableLayout, dated: Dated, rule: str) -> Iterator[Panel]:
    """Yield panels of at most as many rows as the longest calendar period. Raise E201 for invalid content.

    dated: of all rows; dropped rows are read, and left out. rule: the block length.
    """
    if dated.keep is None:
        yield from _streamed(spec, file, how, dated.dates, rule)
        return
    every = np.zeros(dated.count, "datetime64[ns]")
    stays = np.zeros(dated.count, bool)
    every[dated.keep], stays[dated.keep] = dated.dates, True
    # Dropped rows have no date: give each the date before it, so that the calendar cuts stay in order.
    filled = np.maximum.accumulate(every.view("i8")).view("datetime64[ns]")
    at = 0
    for panel in _streamed(spec, file, how, filled, rule):
        rows = stays[at : at + len(panel.dates)]
        at += len(panel.dates)
        if rows.any():
            yield Panel(panel.dates[rows], panel.names, panel.values[rows])


def _streamed(spec: SourceSpec, file: str, how: TableLayout, dates: Dates, rule: str) -> Iterator[Panel]:
    order = sorted(range(len(how.values)), key=lambda i: how.names[i])
    names = tuple(how.names[i] for i in order)
    place = {how.values[i]: at for at, i in enumerate(order)}
    periods = [block.stop for block in grid(dates, rule)]
    longest = max((b - a for a, b in pairwise([0, *periods])), default=0)
    first = 0
    with open_file(spec, file) as handle:
        source = pq.ParquetFile(handle)
        for group in range(source.num_row_groups):
            stop = first + source.metadata.row_group(group).num_rows
            slabs = _slabs(spec, file, source, group, how.values, first, stop - first)
            if stop - first <= longest:
                parts = _direct(slabs, stop - first, place)
            else:
                cuts = [first, *(p for p in periods if first < p < stop), stop]
                parts = _by_scratch(spec, slabs, cuts, place)
            at = first
            for values in parts:
                yield Panel(dates[at : at + len(values)], names, values)
                at += len(values)
            first = stop


def _slabs(
    spec: SourceSpec, file: str, source: Any, group: int, columns: tuple[str, ...], first: int, rows: int
) -> Iterator[tuple[list[str], Floats]]:
    """Yield (names, values (rows, names)) of some columns at a time. first: the group's first row in the file."""
    width = max(1, _SLAB_BYTES // (8 * max(1, rows)))
    for at in range(0, len(columns), width):
        names = list(columns[at : at + width])
        table = source.read_row_group(group, columns=names, use_threads=False)
        values = np.empty((rows, len(names)))
        for i, name in enumerate(names):
            values[:, i] = numbers(spec, file, table[name], name, first)
        yield names, values


def _direct(slabs: Iterator[tuple[list[str], Floats]], rows: int, place: dict[str, int]) -> Iterator[Floats]:
    """Yield all rows at once. place: the column of each name."""
    values = np.empty((rows, len(place)))
    for names, slab in slabs:
        values[:, [place[n] for n in names]] = slab
    if rows:
        yield values


def _by_scratch(
    spec: SourceSpec, slabs: Iterator[tuple[list[str], Floats]], cuts: list[int], place: dict[str, int]
) -> Iterator[Floats]:
    """Yield the rows between each two cuts. Raise E300 if there is no room for the scratch file."""
    with tempfile.TemporaryFile(dir=spec.scratch or None) as scratch:
        columns = [_kept(spec, scratch, names, slab) for names, slab in slabs]
        for start, stop in pairwise(cuts):
            values = np.empty((stop - start, len(place)))
            at = 0
            for names in columns:
                slab = np.empty((stop - start, len(names)))
                # Slabs lie one after the other: skip the rows of all earlier ones, then the rows before this cut in
                # this one.
                scratch.seek(8 * ((cuts[-1] - cuts[0]) * at + (start - cuts[0]) * len(names)))
                scratch.readinto(slab.data.cast("B"))
                values[:, [place[n] for n in names]] = slab
                at += len(names)
            yield values


def _kept(spec: SourceSpec, scratch: BinaryIO, names: list[str], slab: Floats) -> list[str]:
    """Write a slab; return its names."""
    try:
        scratch.write(slab.data)
        scratch.flush()
    except OSError as failure:
        folder = spec.scratch or tempfile.gettempdir()
        message = f"source '{spec.name}' can't be cut into blocks: {folder} does not take a scratch file of its size"
        hint = f"{failure.strerror}; free space, or write it as a folder of files by date"
        raise SigcError(Diagnostic("E300", message, spec.span, hint=hint)) from failure
    return names
