"""Sessions of a trading calendar, and its queries: on a day, before, after, at an instant."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sigc.errors import Diagnostic, SigcError

RENEWAL = "run sigc reload; if that does not help, upgrade the package exchange_calendars, which knows the holidays"


@dataclass(frozen=True, slots=True, order=True)
class Session:
    """One trading day: its date, and the instants (UTC) of open and close."""

    day: date
    open: datetime
    close: datetime


@dataclass(frozen=True, slots=True)
class Calendar:
    """All sessions of an exchange from the day `since` to the day `until`, in order and without overlap.

    `zone` is the exchange's. Every method raises SigcError (E402) outside the table.

    >>> from datetime import UTC
    >>> day = Session(date(2024, 7, 3), datetime(2024, 7, 3, 13, 30, tzinfo=UTC), datetime(2024, 7, 3, 17, tzinfo=UTC))
    >>> tiny = Calendar("tiny", "America/New_York", (day,), date(2024, 7, 1), date(2024, 7, 4))
    >>> tiny.is_open(datetime(2024, 7, 3, 16, 59, tzinfo=UTC))
    True
    >>> tiny.session_on(date(2024, 7, 4)) is None
    True
    """

    name: str
    zone: str
    table: tuple[Session, ...] = field(repr=False)
    since: date
    until: date

    def sessions(self, first: date, last: date) -> tuple[Session, ...]:
        """Return the sessions of the days `first` to `last`, inclusive; none if the range is reversed."""
        self._within(first)
        self._within(last)
        return self.table[bisect_left(self.table, first, key=_day) : bisect_right(self.table, last, key=_day)]

    def session_on(self, day: date) -> Session | None:
        """Return the session of that day, None on a weekend or holiday."""
        self._within(day)
        at = bisect_left(self.table, day, key=_day)
        return self.table[at] if at < len(self.table) and self.table[at].day == day else None

    def before_or_on(self, day: date) -> Session:
        """Return the session of that day, else the last one before it."""
        self._within(day)
        return self._nth(bisect_right(self.table, day, key=_day) - 1, day)

    def after(self, day: date) -> Session:
        """Return the first session of a later day."""
        self._within(day)
        return self._nth(bisect_right(self.table, day, key=_day), day)

    def last_complete(self, now: datetime) -> Session:
        """Return the latest session that has closed: its close is at or before `now`."""
        day = self._local_day(now)
        return self._nth(bisect_right(self.table, now, key=_close) - 1, day)

    def current_or_next(self, now: datetime) -> Session:
        """Return the session open at `now`, else the next one: the first whose close is after `now`."""
        day = self._local_day(now)
        return self._nth(bisect_right(self.table, now, key=_close), day)

    def is_open(self, now: datetime) -> bool:
        """Return True if a session is open: from its open, inclusive, to its close, exclusive."""
        return self.current_or_next(now).open <= now

    def _within(self, day: date) -> None:
        if not self.since <= day <= self.until:
            raise SigcError(_uncovered(self, day))

    def _local_day(self, now: datetime) -> date:
        if now.tzinfo is None:
            raise ValueError(f"{now} has no time zone")
        day = now.astimezone(ZoneInfo(self.zone)).date()
        self._within(day)
        return day

    def _nth(self, at: int, asked: date) -> Session:
        if not 0 <= at < len(self.table):
            raise SigcError(_uncovered(self, asked))
        return self.table[at]


def _uncovered(calendar: Calendar, day: date) -> Diagnostic:
    message = f"calendar '{calendar.name}' covers {calendar.since} to {calendar.until}, which does not answer for {day}"
    return Diagnostic("E402", message, hint=RENEWAL if day >= calendar.until else "ask for a later date")


def _day(session: Session) -> date:
    return session.day


def _close(session: Session) -> datetime:
    return session.close
