"""Alignment of sources to the traded panel: the source row for each row of the panel.

    by labels     the same calendar and frequency: equal dates
    by sessions   another calendar, daily rows onto bars, bars onto daily rows: the newest session by then
    by events     as-of sources: the newest usable event

Sources on different clocks are compared as instants: a daily row of the traded panel stands for its session's close; a
daily row of a source is usable from its own session's close on, or after its declared delay. So New York uses a Tokyo
row of the same date, and Tokyo a New York row on the next date.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.block import DIGEST_BYTES
from sigc.data.catalog import Source
from sigc.data.dates.exchange import Exchange, Instants
from sigc.data.dates.moments import closes, covering, days_of, newest_session
from sigc.data.events import mixed
from sigc.panel import Dates

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class RowMoments:
    """The moments of the grid's rows, for as-of reads. stamps_us: on the clock of the source's events, in microseconds.
    days: of the rows, since the epoch.
    """

    stamps_us: Instants
    days: NDArray[np.int64]

    def rows(self, start: int, stop: int) -> RowMoments:
        """Return the moments of the rows [start, stop)."""
        return RowMoments(self.stamps_us[start:stop], self.days[start:stop])


@dataclass(eq=False)
class TradedRows:
    """The rows of the traded panel. sessions: of each row, if rows are bars."""

    traded: Source
    dates: Dates
    sessions: Dates | None

    @cached_property
    def exchange(self) -> Exchange:
        """Return the exchange of their sessions."""
        return self.traded.exchange()

    @cached_property
    def labels(self) -> Dates:
        """Return the session of each row."""
        return self.dates if self.sessions is None else self.sessions

    @cached_property
    def days(self) -> NDArray[np.datetime64]:
        """Return the labels as days."""
        return days_of(self.labels)

    @cached_property
    def instants(self) -> Instants:
        """Return the instant that each row stands for."""
        return closes(self.exchange, self.days) if self.sessions is None else self.dates.view("i8")

    @cached_property
    def opens(self) -> Instants:
        """Return the open of each row's session: earlier values are known at all of its bars."""
        wide = covering(self.exchange, self.days)
        return wide.opens[np.searchsorted(wide.days, self.days, side="right") - 1]


def rows_by_labels(source: Source, dates: Dates) -> Rows:
    """Return the source row with the same date as each row of the grid, -1 for none."""
    own = source.dates
    if len(own) == 0:
        return np.full(len(dates), -1, np.intp)
    at = np.searchsorted(own, dates)
    at[at == len(own)] = 0
    return np.where(own[at] == dates, at, -1).astype(np.intp)


def is_on_same_clock(source: Source, ground: TradedRows) -> bool:
    """Return True if equal dates of the source and the traded panel mean the same row."""
    said = source.spec.options.available_after
    if said is not None and (said.count or source.rows.is_intraday != ground.traded.rows.is_intraday):
        return False
    if source.rows.is_intraday and ground.traded.rows.is_intraday:
        return True
    if source.rows.is_intraday or ground.traded.rows.is_intraday:
        return False
    if source.rows == ground.traded.rows or not source.rows.calendar or not ground.traded.rows.calendar:
        return _is_always(source) == _is_always(ground.traded)
    if {source.rows.frequency.word, ground.traded.rows.frequency.word} & {"weeks", "months", "irregular"}:
        return source.rows.calendar == ground.traded.rows.calendar  # labels of periods are not sessions
    return source.exchange().is_like(ground.exchange)


def _is_always(source: Source) -> bool:
    return source.rows.frequency.word == "all_days"


def rows_by_session(source: Source, ground: TradedRows) -> Rows:
    """Return the source row of the newest session at each row of the grid, -1 if the source lacks it."""
    if source.sessions is not None:
        return _last_bars(source, source.sessions, ground)
    said = source.spec.options.available_after
    instants = ground.opens if ground.sessions is not None and said is None else ground.instants
    days = newest_session(source.exchange(), instants, said)
    known = ~np.isnat(days)
    found = np.full(len(days), -1, np.intp)
    found[known] = rows_by_labels(source, days[known].astype("datetime64[ns]"))
    return found


def _last_bars(source: Source, sessions: Dates, ground: TradedRows) -> Rows:
    """Return the last bar by each row of the grid, if it belongs to the session that ran then, or ended last."""
    instants = ground.instants
    at = np.searchsorted(source.dates.view("i8"), instants, side="right") - 1
    exchange = covering(source.exchange(), instants.view("datetime64[ns]").astype("datetime64[D]"))
    right = exchange.session_of(instants).astype("datetime64[ns]")
    return np.where((at >= 0) & (sessions[np.maximum(at, 0)] == right), at, -1).astype(np.intp)


def rows_by_event(source: Source, ground: TradedRows) -> tuple[Rows, RowMoments]:
    """Return the newest usable event of an as-of source at each row of the grid (-1 before the first), and the
    moments.
    """
    by_label = source.events is not None and source.events.by_label
    stamps = ground.labels.view("i8") if by_label else ground.instants
    at = np.searchsorted(source.dates.view("i8"), stamps, side="right") - 1
    return at.astype(np.intp), RowMoments(stamps // 1_000, ground.days.view("i8"))


def aged(digests: NDArray[np.uint8], days: NDArray[np.int64], longest: int) -> NDArray[np.uint8]:
    """Return row digests that change from day to day, for values with a maximum age."""
    words = np.ascontiguousarray(digests).view(np.uint64).reshape(-1, DIGEST_BYTES // 8)
    return (
        (words + mixed(mixed(days.astype(np.uint64)) ^ np.uint64(longest))[:, None])
        .view(np.uint8)
        .reshape(-1, DIGEST_BYTES)
    )
