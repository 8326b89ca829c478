"""The frequency of a source: a row is a session, a week, a month, one of n bars of a session, or any day of the week.

It is inferred from the first 20 dates of the source, unless `frequency=` declares it, and stored with the source.
Periods per year follow from frequency and calendar, one constant each (Bacon, Practical Portfolio Performance, 2008:
252 sessions, 52 weeks, 12 months).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sigc.data.dates.exchange import ALWAYS, Exchange
from sigc.panel import Dates
from sigc.source_words import Frequency

FIRST_DATES = 20
_MOST = 0.8  # share of gaps that must agree
_MOST_SESSIONS = 0.65  # tolerate a few holidays missing in a calendar
SESSIONS = Frequency("sessions")
_SESSIONS_A_YEAR = {ALWAYS: 365.0}


def infer(dates: Dates, exchange: Exchange, *, is_always: bool = False) -> Frequency:
    """Return the frequency of dates (daily labels, or instants of intraday rows). One row counts as a session.

    is_always: the rows cover all hours, on any exchange.
    """
    stamps = np.unique(dates.view("i8"))
    days = np.unique(stamps // 86_400_000_000_000)[:FIRST_DATES]
    some = stamps[stamps < (days[-1] + 1) * 86_400_000_000_000] if len(days) else stamps
    if len(some) > 1.5 * len(days):
        return Frequency("bars", _bars(some, exchange, is_always))
    gaps = np.diff(days)
    if not len(gaps):
        return SESSIONS
    labels = days.astype("datetime64[D]")
    place = exchange.place(labels)
    next_session = (np.diff(place) == 1) & exchange.has(labels[:-1]) & exchange.has(labels[1:])
    weekdays = np.busday_count(labels[:-1], labels[1:]) == 1
    on_weekends = float((~np.is_busday(labels)).mean()) > 0.1
    follows = max(float(next_session.mean()), 0.0 if on_weekends else float(weekdays.mean()))
    if follows >= _MOST_SESSIONS:
        return SESSIONS
    for word, low, high in (("all_days", 1, 1), ("weeks", 4, 10), ("months", 25, 36)):
        if float(((gaps >= low) & (gaps <= high)).mean()) >= _MOST:
            return Frequency(word)
    return Frequency("irregular")


def _bars(stamps: np.ndarray, exchange: Exchange, is_always: bool) -> int:
    """Return bars per session: the usual count of a full day; with fewer than three days, the number that fits a
    session.
    """
    days = stamps // 86_400_000_000_000
    counts = np.unique(days, return_counts=True)[1]
    if len(counts) >= 3:
        return int(np.bincount(counts[1:-1]).argmax())
    gaps = np.diff(stamps)[np.diff(days) == 0]
    spacing = float(np.median(gaps)) / 3.6e12 if len(gaps) else 24.0
    hours = 24.0 if is_always or exchange.name == ALWAYS else exchange.hours
    return max(1, int(np.ceil(round(hours / spacing, 9))))


def periods_a_year(frequency: Frequency, calendar: str) -> float | None:
    """Return the rows per year of a frequency on a calendar; None if rows are irregular.

    >>> periods_a_year(Frequency("bars", 7), "nyse")
    1764.0
    """
    sessions = _SESSIONS_A_YEAR.get(calendar, 252.0)
    match frequency.word:
        case "sessions":
            return sessions
        case "bars":
            return sessions * (frequency.bars or 1)
        case "all_days":
            return 365.0
        case "weeks":
            return 52.0
        case "months":
            return 12.0
    return None


@dataclass(frozen=True, slots=True)
class Periods:
    """Rows per year of a source, used to annualise figures. a_year: NaN if rows are irregular.

    text: the number with its reason, printed beside results.
    """

    a_year: float
    text: str

    @property
    def is_known(self) -> bool:
        """Return False if rows are irregular: there are no annual figures then."""
        return not math.isnan(self.a_year)


def periods_of(frequency: Frequency, calendar: str, declared: float | None = None) -> Periods:
    """Return the rows per year of a source. declared: its option `periods=`, which has priority.

    >>> periods_of(Frequency("bars", 7), "nyse").text
    '1764 (7 bars a session of nyse)'
    >>> periods_of(Frequency("irregular"), "nyse").a_year
    nan
    """
    if declared is not None:
        return Periods(declared, f"{declared:g} (periods= of the source)")
    found = periods_a_year(frequency, calendar)
    if found is None:
        return Periods(math.nan, "unknown, as rows are irregular: no figures a year; declare periods= at the source")
    of = f" of {calendar}" if calendar else ""
    what = {
        "sessions": f"sessions{of}",
        "bars": f"{frequency.bars or 1} bars a session{of}",
        "all_days": "all days",
    }.get(frequency.word, frequency.word)
    return Periods(found, f"{found:g} ({what})")
