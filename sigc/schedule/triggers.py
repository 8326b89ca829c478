"""Triggers of jobs: cron expressions in a named zone, and instants relative to a session's open or close.

    parse_trigger   "0 9 * * 1-5" -> Cron, "close-15m" -> Relative
    fires_between   all fires in (after, until]
    next_fires      the next n

Local times become instants by one rule. cronsim works in local wall-clock time without zones; then

    a time that exists once           is that instant
    a time skipped by a clock change  is the end of the gap, and several such times are one fire
    a time that repeats               is its first instant; but an expression with * for the hour means every hour,
                                      and fires in both, as the hours really pass

In New York the clocks skip 02:00 to 03:00 on 2024-03-10, so a job at 02:30 runs at 03:00, which is 07:00 UTC:

>>> [at.isoformat() for at in fires_between(Cron("30 2 * * *", "America/New_York"), _DAY, _DAY + timedelta(days=1))]
['2024-03-10T07:00:00+00:00']
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from sigc.calendar.sessions import Calendar, Session
from sigc.errors import Diagnostic, SigcError, did_you_mean

T = TypeVar("T")

_DAY = datetime(2024, 3, 10, tzinfo=UTC)  # of the example above
_ONE_DAY = timedelta(days=1)
_HORIZON = timedelta(days=50 * 366)  # cronsim searches no farther
_RELATIVE = re.compile(r"(open|close)(?:([+-])(?=\d)(?:(\d{1,2})h)?(?:(\d{1,4})m)?(?:(\d{1,5})s)?)?")


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields (minute, hour, day of month, month, day of week) in a zone's local time."""

    text: str
    zone: str

    @property
    def hourly(self) -> bool:
        """Return True if it fires every hour, so that a repeated hour counts twice."""
        return self.text.split()[1] in ("*", "*/1")


@dataclass(frozen=True, slots=True)
class Relative:
    """An offset from the open or the close of each session."""

    anchor: Literal["open", "close"]
    offset: timedelta = timedelta(0)

    def of(self, session: Session) -> datetime:
        """Return the instant in this session."""
        return (session.open if self.anchor == "open" else session.close) + self.offset


Trigger: TypeAlias = Cron | Relative


def parse_trigger(text: str, zone: str) -> Trigger:
    """Return the trigger of a text. Raise SigcError (E402) for an invalid trigger or an unknown zone.

    >>> parse_trigger("close-1h30m", "UTC")
    Relative(anchor='close', offset=datetime.timedelta(days=-1, seconds=81000))
    """
    if text.split("+")[0].split("-")[0].strip() in ("open", "close"):
        return parse_relative(text)
    check_zone(zone)
    try:
        if len(text.split()) != 5:
            raise CronSimError("Wrong number of fields")
        # The first fire is computed: an expression may be valid and still never fire (31 February).
        next(CronSim(text, datetime(2024, 1, 1)))  # noqa: DTZ001  # local wall-clock time
    except StopIteration as never:
        raise SigcError(Diagnostic("E402", f"'{text}' never fires")) from never
    except (CronSimError, ValueError, OverflowError) as bad:
        expected = "minute hour day-of-month month day-of-week, or open+5m, close-15m"
        message = f"invalid cron expression '{text}' ({str(bad).lower()})"
        raise SigcError(Diagnostic("E402", message, expected=expected)) from bad
    return Cron(" ".join(text.split()), zone)


def parse_relative(text: str) -> Relative:
    """Return the trigger of `open+5m`, `close-1h30m`, `open`. Raise SigcError (E402)."""
    found = _RELATIVE.fullmatch(text.replace(" ", ""))
    if found is None:
        raise SigcError(
            Diagnostic("E402", f"invalid time of a session '{text}'", expected="such as open+5m, close-15m")
        )
    anchor, sign, hours, minutes, seconds = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0))
    if offset >= _ONE_DAY:
        raise SigcError(
            Diagnostic(
                "E402", f"invalid time of a session '{text}': a day or more from it", expected="less than 24 hours"
            )
        )
    return Relative("open" if anchor == "open" else "close", -offset if sign == "-" else offset)


def trigger_text(trigger: Trigger | None) -> str:
    """Return a trigger as it is written in a configuration.

    >>> trigger_text(parse_relative("close-1h30m")), trigger_text(Cron("0 9 * * *", "UTC")), trigger_text(None)
    ('close-1h30m', '0 9 * * *', '')
    """
    match trigger:
        case None:
            return ""
        case Cron(text=text):
            return text
        case Relative(anchor=anchor, offset=offset):
            seconds = int(abs(offset.total_seconds()))
            parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
            text = "".join(f"{number}{unit}" for number, unit in parts if number)
            return anchor + ("" if not text else ("-" if offset.total_seconds() < 0 else "+") + text)


def check_zone(zone: str) -> str:
    """Return the zone itself. Raise SigcError (E402) for an unknown time zone."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as unknown:
        hint = did_you_mean(zone, available_timezones()) or "such as America/New_York"
        raise SigcError(Diagnostic("E402", f"unknown time zone '{zone}'", hint=hint)) from unknown
    return zone


def fires_between(
    trigger: Trigger, after: datetime, until: datetime, calendar: Calendar | None = None
) -> tuple[datetime, ...]:
    """Return the fires later than `after` and not later than `until`, ascending, in UTC.

    Only relative triggers read `calendar`. Raise SigcError (E402) if it does not cover the days.
    """
    if until <= after:
        return ()
    match trigger:
        case Cron():
            return _cron_fires(trigger, after.astimezone(UTC), until.astimezone(UTC))
        case Relative():
            instants = (trigger.of(session) for session in sessions_near(_given(calendar), after, until))
            return tuple(sorted(at for at in instants if after < at <= until))


def next_fires(trigger: Trigger, after: datetime, n: int, calendar: Calendar | None = None) -> tuple[datetime, ...]:
    """Return the next `n` fires later than `after`; fewer at the calendar's end, or if no more come within 50 years."""
    last = None if isinstance(trigger, Cron) else calendar
    return first_of(lambda low, high: fires_between(trigger, low, high, calendar), after, n, last)


def first_of(
    between: Callable[[datetime, datetime], Sequence[T]], after: datetime, n: int, calendar: Calendar | None
) -> tuple[T, ...]:
    """Return the first `n` results of `between(low, high)` after `after`, in windows that double."""
    end = after + _HORIZON if calendar is None else datetime.combine(calendar.until, datetime.min.time(), UTC)
    found: list[T] = []
    width = timedelta(hours=1)
    while len(found) < n and after < end:
        high = min(after + width, end)
        found += between(after, high)
        after, width = high, width * 2
    return tuple(found[:n])


def sessions_near(calendar: Calendar, after: datetime, until: datetime) -> tuple[Session, ...]:
    """Return the sessions from two days before `after` to two days after `until`, as far as the calendar goes.

    Raise SigcError (E402) if `after` or `until` lies outside the calendar.
    """
    zone = ZoneInfo(calendar.zone)
    first, last = after.astimezone(zone).date(), until.astimezone(zone).date()
    calendar.sessions(first, last)  # raises outside the table
    return calendar.sessions(max(first - 2 * _ONE_DAY, calendar.since), min(last + 2 * _ONE_DAY, calendar.until))


def _given(calendar: Calendar | None) -> Calendar:
    if calendar is None:
        raise ValueError("a trigger relative to a session needs a calendar")
    return calendar


def _cron_fires(cron: Cron, after: datetime, until: datetime) -> tuple[datetime, ...]:
    zone = ZoneInfo(cron.zone)
    # Bounds of the wall-clock times within the range. A clock change moves them, and there is at most one a day.
    low = min(_wall(after, zone), _wall(after + _ONE_DAY, zone) - _ONE_DAY)
    high = max(_wall(until, zone), _wall(until - _ONE_DAY, zone) + _ONE_DAY)
    found: set[datetime] = set()
    # cronsim starts after the time it is given, hence one second earlier.
    for local in CronSim(cron.text, low - timedelta(seconds=1)):
        if local > high:
            break
        found.update(_instants(local, zone, cron.hourly))
    return tuple(sorted(at for at in found if after < at <= until))


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def _instants(local: datetime, zone: ZoneInfo, both: bool) -> Iterator[datetime]:
    """Yield the instants at which wall clocks of `zone` show `local`, or the end of the gap if they never do."""
    early = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    late = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if early <= late:
        yield early
        if both:
            yield late
    else:
        # In a gap fold=0 counts by the offset before the change and fold=1 by the one after: the change is between.
        yield _change(zone, late, early)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the first second in (before, after] at which the zone's offset differs from the one at `before`."""
    offset = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)
