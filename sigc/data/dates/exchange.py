"""The sessions of an exchange as arrays, for rows of data: which day a stamp belongs to, which rows are outside.

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
_SLOT_NS = 900_000_000_000  # offsets change at quarters of an hour, never within one
ALWAYS = "always"


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """An exchange's sessions: `days` ascending, with their `opens` and `closes`. zone: of its clocks.

    is_declared: a source or a configuration names the calendar. since, until: the days that the table answers for.
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
        """True for each day that the table answers for."""
        return np.asarray((days >= self.since) & (days <= self.until))

    def has(self, days: Days) -> NDArray[np.bool_]:
        """True for each day that has a session."""
        at = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
        return np.asarray(self.days[at] == days)

    def is_inside(self, instants: Instants) -> NDArray[np.bool_]:
        """True for each instant of a session, its open and its close included."""
        at = np.searchsorted(self.closes, instants)
        known = np.minimum(at, len(self.closes) - 1)
        return np.asarray((at < len(self.closes)) & (self.opens[known] <= instants))

    def session_of(self, instants: Instants) -> Days:
        """The session that runs at each instant, else the last one that closed. NaT before the first."""
        running = np.searchsorted(self.opens, instants, side="right") - 1
        return np.where(running >= 0, self.days[np.maximum(running, 0)], np.datetime64("NaT"))

    def next_session(self, days: Days) -> Days:
        """The first session on or after each day; NaT beyond the table."""
        at = np.searchsorted(self.days, days)
        return np.where(at < len(self.days), self.days[np.minimum(at, len(self.days) - 1)], np.datetime64("NaT"))

    def place(self, days: Days) -> NDArray[np.intp]:
        """The number of sessions before each day."""
        return np.searchsorted(self.days, days)

    def is_like(self, other: Exchange) -> bool:
        """True for one of the same sessions, by whatever name."""
        return self.name == other.name or (
            np.array_equal(self.days, other.days) and np.array_equal(self.closes, other.closes)
        )

    @property
    def hours(self) -> float:
        """The usual length of a session, in hours."""
        return float(np.median(self.closes - self.opens)) / 3.6e12 if len(self.days) else 24.0


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The calendar that a source has unless it names one: the schedule's.

    is_declared: a configuration names it. directory: where tables are kept, '' for the user's cache. zone: of the
    calendar `weekdays`.
    """

    calendar: str = "nyse"
    zone: str = "America/New_York"
    is_declared: bool = False
    directory: str = ""
    overrides: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, calendar: str = "", zone: str = "") -> Exchange:
        """The exchange of a source with these options. Raises E402 for a calendar that there is not."""
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
        """A digest of all that decides what sessions are."""
        return digest(self.calendar, self.zone, str(self.is_declared), repr(sorted(self.overrides.items())), _version())


NYSE = Exchanges()


def exchanges_of(schedule: ScheduleSettings, directory: Path | None = None) -> Exchanges:
    """The calendar of a configuration. directory: where tables are kept, None for the user's cache."""
    return Exchanges(
        schedule.calendar,
        schedule.timezone,
        "calendar" in schedule.model_fields_set,
        str(directory or ""),
        schedule.overrides,
    )


class _Overrides:
    """Overrides of a calendar as a part of a key: equal by their text."""

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
    """Seconds that clocks of a zone are ahead of UTC at each instant."""
    place = ZoneInfo(zone)
    slots, inverse = np.unique(instants // _SLOT_NS, return_inverse=True)
    ahead = [
        _offset_s(datetime.fromtimestamp(s * _SLOT_NS // 1_000_000_000, UTC).astimezone(place)) for s in slots.tolist()
    ]
    return np.array(ahead, "i8")[inverse]


@dataclass(frozen=True, slots=True, eq=False)
class LocalTimes:
    """Clock times of a zone as instants. twice, never: rows whose clock time there is twice, or not at all."""

    instants: Instants
    twice: NDArray[np.intp]
    never: NDArray[np.intp]


def local_instants(clock: Instants, zone: str) -> LocalTimes:
    """Clock times (nanoseconds, as if they were UTC) of a zone as instants; an hour that comes twice as its first."""
    place = ZoneInfo(zone)
    slots, inverse = np.unique(clock // _SLOT_NS, return_inverse=True)
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
