"""The sessions of an exchange as arrays: the session of a stamp, and rows outside of sessions.

    exchanges = Exchanges("nyse", is_declared=False)      the schedule's calendar
    exchange  = exchanges.of(options)                     a source's own, by `calendar=` and `zone=`

Days are datetime64[D], instants int64 nanoseconds since the epoch, UTC.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.block import digest
from sigc.calendar.calendar import FIRST, open_calendar
from sigc.config.settings import ScheduleSettings

Days = NDArray[np.datetime64]
Instants = NDArray[np.int64]
_SLOT_NS = 900_000_000_000  # UTC offsets change on quarters of an hour only
ALWAYS = "always"


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """An exchange's sessions: `days` ascending, with their `opens` and `closes`. zone: of its clocks.

    is_declared: a source or a configuration names the calendar. since, until: the range of days that the table covers.
    """

    name: str
    zone: str
    is_declared: bool
    days: Days
    opens: Instants
    closes: Instants
    since: np.datetime64
    until: np.datetime64

    def covers(self, days: Days) -> NDArray[np.bool_]:
        """Return True for each day that the table covers."""
        return np.asarray((days >= self.since) & (days <= self.until))

    def has(self, days: Days) -> NDArray[np.bool_]:
        """Return True for each day with a session."""
        at = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
        return np.asarray(self.days[at] == days)

    def is_inside(self, instants: Instants) -> NDArray[np.bool_]:
        """Return True for each instant within a session, open and close inclusive."""
        at = np.searchsorted(self.closes, instants)
        known = np.minimum(at, len(self.closes) - 1)
        return np.asarray((at < len(self.closes)) & (self.opens[known] <= instants))

    def session_of(self, instants: Instants) -> Days:
        """Return the session that runs at each instant, else the last one that closed; NaT before the first."""
        running = np.searchsorted(self.opens, instants, side="right") - 1
        return np.where(running >= 0, self.days[np.maximum(running, 0)], np.datetime64("NaT"))

    def next_session(self, days: Days) -> Days:
        """Return the first session on or after each day; NaT beyond the table."""
        at = np.searchsorted(self.days, days)
        return np.where(at < len(self.days), self.days[np.minimum(at, len(self.days) - 1)], np.datetime64("NaT"))

    def place(self, days: Days) -> NDArray[np.intp]:
        """Return the number of sessions before each day."""
        return np.searchsorted(self.days, days)

    def is_like(self, other: Exchange) -> bool:
        """Return True for an exchange with the same sessions, under any name."""
        return self.name == other.name or (
            np.array_equal(self.days, other.days) and np.array_equal(self.closes, other.closes)
        )

    @property
    def hours(self) -> float:
        """Return the usual length of a session, in hours."""
        return float(np.median(self.closes - self.opens)) / 3.6e12 if len(self.days) else 24.0


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The default calendar of sources: the schedule's.

    is_declared: a configuration names it. directory: of stored tables, '' for the user's cache. zone: of the calendar
    `weekdays`.
    """

    calendar: str = "nyse"
    zone: str = "America/New_York"
    is_declared: bool = False
    directory: str = ""
    overrides: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, calendar: str = "", zone: str = "") -> Exchange:
        """Return the exchange of a source with these options. Raise E402 for an unknown calendar."""
        own = not calendar or calendar == self.calendar
        found = _opened(
            calendar or self.calendar,
            self.zone,
            self.directory or str(_cache_directory()),
            _Overrides(self.overrides if own else {}),
        )
        return Exchange(
            found.name,
            zone or found.zone,
            self.is_declared or bool(calendar),
            found.days,
            found.opens,
            found.closes,
            found.since,
            found.until,
        )

    @property
    def mark(self) -> str:
        """Return a digest of everything that determines the sessions."""
        return digest(self.calendar, self.zone, str(self.is_declared), repr(sorted(self.overrides.items())), _version())


NYSE = Exchanges()


def exchanges_of(schedule: ScheduleSettings, directory: Path | None = None) -> Exchanges:
    """Return the calendar of a configuration. directory: of stored tables, None for the user's cache."""
    return Exchanges(
        schedule.calendar,
        schedule.timezone,
        "calendar" in schedule.model_fields_set,
        str(directory or ""),
        schedule.overrides,
    )


class _Overrides:
    """Overrides of a calendar as a cache key: equal if their texts are."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self.given = given
        self._text = repr(sorted(given.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Overrides) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@lru_cache(maxsize=32)
def _opened(name: str, zone: str, directory: str, overrides: _Overrides) -> Exchange:
    calendar = open_calendar(name, Path(directory), overrides.given, zone=zone)
    table = calendar.table
    days = np.array([s.day.toordinal() for s in table], "i8") - FIRST.toordinal()
    return Exchange(
        name=name,
        zone=calendar.zone,
        is_declared=True,
        days=np.datetime64(FIRST) + days.astype("timedelta64[D]"),
        opens=np.array([s.open.timestamp() for s in table]).astype("i8") * 1_000_000_000,
        closes=np.array([s.close.timestamp() for s in table]).astype("i8") * 1_000_000_000,
        since=np.datetime64(calendar.since),
        until=np.datetime64(calendar.until),
    )


def _cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sigc" / "calendars"


@lru_cache(maxsize=1)
def _version() -> str:
    from importlib.metadata import version

    return version("exchange_calendars")


def utc_offsets(instants: Instants, zone: str) -> Instants:
    """Return the offset of a zone's clocks from UTC at each instant, in seconds."""
    place = ZoneInfo(zone)
    slots, inverse = np.unique(instants // _SLOT_NS, return_inverse=True)
    ahead = [
        _offset_s(datetime.fromtimestamp(s * _SLOT_NS // 1_000_000_000, UTC).astimezone(place)) for s in slots.tolist()
    ]
    return np.array(ahead, "i8")[inverse]


@dataclass(frozen=True, slots=True, eq=False)
class LocalTimes:
    """Clock times of a zone as instants. twice, never: rows whose clock time occurs twice, or not at all."""

    instants: Instants
    twice: NDArray[np.intp]
    never: NDArray[np.intp]


def local_instants(clock: Instants, zone: str) -> LocalTimes:
    """Return clock times (ns, as if UTC) of a zone as instants; a repeated hour counts as its first occurrence."""
    place = ZoneInfo(zone)
    slots, inverse = np.unique(clock // _SLOT_NS, return_inverse=True)
    # fold=0 and fold=1 differ where clocks change: backwards the time occurs twice, forwards never (PEP 495).
    first, second = [], []
    for slot in slots.tolist():
        at = datetime.fromtimestamp(slot * _SLOT_NS // 1_000_000_000, UTC).replace(tzinfo=place)
        first.append(_offset_s(at))
        second.append(_offset_s(at.replace(fold=1)))
    before, after = np.array(first, "i8")[inverse], np.array(second, "i8")[inverse]
    return LocalTimes(clock - before * 1_000_000_000, np.flatnonzero(before > after), np.flatnonzero(before < after))


def _offset_s(at: datetime) -> int:
    offset = at.utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
