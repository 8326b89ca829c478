"""Coverage of each source on a row: number of assets with a value, date of the newest, rows that only repeat.

Unknown is not zero: a source that is late, empty or half missing on a row tells nothing on it, and a book that is traded
by what is left of it would sell what it merely does not know. `checks/data.py` refuses a run on such a row, and a
backtest keeps its book there (`doubtful`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigc.data.catalog import Source
from sigc.engine.core.gather import source_panel
from sigc.errors import Diagnostic, Severity
from sigc.ops.declare import ValueKind
from sigc.panel import Floats
from sigc.plan.expr import SOURCE, walk
from sigc.plan.grid import Grid, Leaf
from sigc.plan.strategy import Portfolio
from sigc_pipelines.checks.view import FEW_ASSETS, SourceView
from sigc_pipelines.compute import Loaded, Workspace
from sigc_pipelines.portfolio.constraints import BETA_KEYS, BOOK_KEYS, SECTOR_KEYS, VOLUME_KEYS

_AT_ONCE = 512  # rows
MEAN_ROWS = 20  # whose mean the assets with a value are compared with
FIELDS = ("open", "high", "low", "close", "vwap")  # that may repeat beside the traded prices and the volume
_USUAL_DAYS = {"weeks": 10, "months": 38}  # between two rows, with the days that a week-end or a holiday adds
_DAY = np.timedelta64(1, "D")

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SourceRows:
    """A source over rows of the grid. counts: assets with a value, (rows,); newest: ISO day of the newest value, by row.

    late: rows on which the newest value is older than it should be. off: rows on which it has none, and need not have
    any, as they are no sessions of its own. assets: how many it has on the grid.
    """

    name: str
    is_read: bool
    is_static: bool
    assets: int
    counts: Counts
    newest: tuple[str, ...]
    late: Flags
    off: Flags

    def at(self, row: int) -> SourceView:
        """Return the coverage of one row."""
        past = self.counts[max(0, row - MEAN_ROWS) : row]
        mean = float(past.mean()) if len(past) and not self.off[row] else float(self.counts[row])
        return SourceView(
            self.name,
            self.is_read,
            self.is_static,
            self.assets,
            int(self.counts[row]),
            mean,
            self.newest[row],
            bool(self.late[row]),
        )


def names_read(loaded: Loaded, book: Portfolio) -> frozenset[str]:
    """Return the sources that a portfolio's weights, constraints and valuation use."""
    leaves, keys = loaded.grid.leaves, {c.name for c in book.constraints}
    found = {str(n.arguments["name"]) for n in walk([book.weights]) if n.op == SOURCE} | {loaded.money}
    categories = [s.name for s in loaded.catalog.sources.values() if s.kind is ValueKind.CATEGORY][:1]
    found |= set(categories) if keys & SECTOR_KEYS else set()
    found |= {"volume"} if keys & VOLUME_KEYS else set()
    found |= {"market_cap"} if "min_market_cap" in keys else set()
    found |= {"benchmark_weights"} if keys & BOOK_KEYS else set()
    if keys & BETA_KEYS and book.backtest is not None:
        found.add(book.backtest.benchmark)
    return frozenset(name for name in found & leaves.keys() if not leaves[name].source.spec.is_factor)


def cover(
    loaded: Loaded, workspace: Workspace, book: Portfolio, low: int, stop: int, known: Mapping[str, Floats]
) -> tuple[SourceRows, ...]:
    """Return the coverage of every source over the rows [low, stop) of the grid. known: values that need not be read
    again.
    """
    read = names_read(loaded, book)
    return tuple(
        _rows(loaded.grid, name, leaf, name in read, low, _counts(loaded, workspace, name, low, stop, known))
        for name, leaf in sorted(loaded.grid.leaves.items())
        if not leaf.source.spec.is_factor
    )


def doubtful(
    loaded: Loaded, workspace: Workspace, book: Portfolio, low: int, stop: int, known: Mapping[str, Floats]
) -> tuple[Flags, tuple[Diagnostic, ...]]:
    """Return the rows on which a book is kept because a source that it reads is late or incomplete, and the
    findings.
    """
    read = names_read(loaded, book)
    rows = tuple(
        _rows(loaded.grid, name, leaf, True, low, _counts(loaded, workspace, name, low, stop, known))
        for name, leaf in sorted(loaded.grid.leaves.items())
        if name in read and not leaf.source.static
    )
    found = {one.name: _is_doubtful(one, workspace.max_coverage_drop) for one in rows}
    told = [
        f"'{name}' on {int(where.sum())}, first on {loaded.grid.days[low + int(np.argmax(where))]}"
        for name, where in found.items()
        if where.any()
    ]
    every = np.logical_or.reduce([np.zeros(stop - low, np.bool_), *found.values()])
    if not told:
        return every, ()
    message = (
        f"the book is kept on {int(every.sum())} rows, on which sources are late or lack values: {'; '.join(told)}"
    )
    return every, (Diagnostic("W002", message, severity=Severity.WARNING),)


def _counts(
    loaded: Loaded, workspace: Workspace, name: str, low: int, stop: int, known: Mapping[str, Floats]
) -> Counts:
    """Return the number of assets with a value, by row."""
    if name in known:
        here: Counts = np.isfinite(known[name]).sum(axis=1).astype(np.int64)
        return here
    parts = [
        np.isfinite(source_panel(loaded.grid, workspace.store, name, at, min(stop, at + _AT_ONCE)).values).sum(axis=1)
        for at in range(low, stop, _AT_ONCE)
    ]
    counts: Counts = np.concatenate(parts).astype(np.int64)
    return counts


def _rows(grid: Grid, name: str, leaf: Leaf, is_read: bool, low: int, counts: Counts) -> SourceRows:
    days = grid.days[low : low + len(counts)]
    assets = len(set(leaf.source.names) & set(grid.names)) or len(leaf.source.names)
    if leaf.source.static:
        nothing = np.zeros(len(days), np.bool_)
        return SourceRows(name, is_read, True, assets, counts, ("",) * len(days), nothing, nothing)
    newest = _newest_of_events(leaf, low, days) if leaf.source.events is not None else _newest(counts, days)
    behind = newest != days
    off = behind & ~_is_own(leaf.source, days)
    late = _is_late(leaf.source, newest, days) if leaf.source.events is not None else behind & ~off
    begun = np.maximum.accumulate(counts > 0) | bool((leaf.rows[:low] >= 0).any())
    told = tuple("" if np.isnat(d) else str(d) for d in newest)
    return SourceRows(name, is_read, False, assets, counts, told, late & begun, off)


def _is_own(source: Source, days: NDArray[np.datetime64]) -> Flags:
    """Return True where a day is a session of a source's own calendar, or its calendar is unknown."""
    exchange = source.exchange()
    known = exchange.covers(days)
    own: Flags = np.ones(len(days), np.bool_)
    own[known] = exchange.has(days[known])
    return own


def _newest(counts: Counts, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return the day of the last row with a value, by row; NaT before the first."""
    place = np.maximum.accumulate(np.where(counts > 0, np.arange(len(counts)), -1))
    made: NDArray[np.datetime64] = np.where(place >= 0, days[np.maximum(place, 0)], np.datetime64("NaT", "D"))
    return made


def _newest_of_events(leaf: Leaf, low: int, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return the newest date of a value that was available, by row."""
    at = leaf.rows[low : low + len(days)]
    known = np.zeros(0, np.int64) if leaf.source.events is None else leaf.source.events.newest
    made = np.full(len(days), np.datetime64("NaT", "D"))
    made[at >= 0] = known[at[at >= 0]].astype("datetime64[D]")
    return made


def _is_late(source: Source, newest: NDArray[np.datetime64], days: NDArray[np.datetime64]) -> Flags:
    """Return True where an as-of source of a known frequency lacks the value that it should have, by its own calendar.

    Its delay is allowed for. An irregular one is as old as it may be by its longest age (`asof=400d`), which coverage sees.
    """
    delay = source.spec.options.available_after
    by_sessions = delay.count if delay is not None and delay.unit == "sessions" else 0
    by_days = delay.count if delay is not None and delay.unit == "days" else 0
    word, there = source.rows.frequency.word, ~np.isnat(newest)
    late = np.zeros(len(days), np.bool_)
    if delay is not None and delay.column:
        return late
    if word == "sessions":
        exchange = source.exchange()
        known = there & exchange.covers(days) & exchange.covers(np.where(there, newest, days))
        behind = exchange.place(days[known] - by_days * _DAY) - exchange.place(newest[known])
        late[known] = behind > 1 + by_sessions
    elif word in _USUAL_DAYS or word == "all_days":
        most = _USUAL_DAYS.get(word, 1) + by_days + by_sessions
        late[there] = (days[there] - newest[there]) > most * _DAY
    return late


def _is_doubtful(one: SourceRows, most: float) -> Flags:
    """Return True for rows on which a source is late or lacks more than a share `most` of its mean count; (rows,)."""
    found = one.late.copy()
    if one.assets < FEW_ASSETS:
        return found
    total = np.concatenate([[0], np.cumsum(one.counts)])
    row = np.arange(len(one.counts))
    first = np.maximum(0, row - MEAN_ROWS)
    mean = (total[row] - total[first]) / np.maximum(1, row - first)
    found |= ~one.off & (one.counts < (1.0 - most) * mean - 1e-9)
    return found


def repeated(fields: Mapping[str, Floats], volume: str) -> Flags:
    """Return True where a row of an asset only repeats the row before it, (rows, assets): at least two fields, the
    volume among them, or all fields for four rows. The first rows of the arrays repeat nothing.
    """
    shape = next(iter(fields.values())).shape
    same = np.zeros(shape, np.int64)
    for values in fields.values():
        same[1:] += values[1:] == values[:-1]
    stale: Flags = np.zeros(shape, np.bool_)
    every = same == len(fields)
    stale[3:] = every[3:] & every[2:-1] & every[1:-2]
    if volume in fields:
        traded = fields[volume]
        stale[1:] |= (traded[1:] == traded[:-1]) & (same[1:] >= 2)
    return stale
