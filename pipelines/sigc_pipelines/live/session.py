"""Times of a run: the data it may use (as of), the session it trades for, and the end of sending (cut-off).

    as_of      the last complete session at the moment of the run: no later row is read
    session    the one whose cut-off comes next

A run in the morning of the 3rd is as of the 2nd, for the 3rd; in the evening it is as of the 3rd, for the 4th.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sigc.calendar.sessions import Calendar, Session
from sigc.errors import Diagnostic, SigcError

_AFTER_CLOSE = timedelta(minutes=1)  # a session is complete only after its close
_UNIT = {"m": "minutes", "h": "hours"}


@dataclass(frozen=True, slots=True)
class Moment:
    """The times of one run. as_of: last complete session. session: the one it trades for. cut_off: nothing is sent
    after it.
    """

    as_of: Session
    session: Session
    cut_off: datetime


def moment(calendar: Calendar, now: datetime, cut_off: str) -> Moment:
    """Return the moment of `now`. cut_off: such as `close-5m`. Raises E402 beyond the calendar."""
    complete = calendar.last_complete(now)
    session = calendar.after(complete.day)
    ends = cut_off_of(session, cut_off)
    if ends <= now:  # too late to send for this session
        session = calendar.after(session.day)
        ends = cut_off_of(session, cut_off)
    return Moment(complete, session, ends)


def instant_of(calendar: Calendar, day: str) -> datetime:
    """Return a minute after the close of the last session on or before a day: the earliest begin of a run as of it."""
    try:
        asked = date.fromisoformat(day)
    except ValueError:
        raise SigcError(Diagnostic("E500", f"invalid date '{day}'", hint="such as 2024-01-15")) from None
    return calendar.before_or_on(asked).close + _AFTER_CLOSE


def cut_off_of(session: Session, text: str) -> datetime:
    """Return the instant that a text like `close-5m` or `open+2h` means in a session. Raises E402.

    >>> from datetime import UTC
    >>> day = Session(date(2024, 1, 2), datetime(2024, 1, 2, 14, 30, tzinfo=UTC), datetime(2024, 1, 2, 21, tzinfo=UTC))
    >>> cut_off_of(day, "close-5m").isoformat()
    '2024-01-02T20:55:00+00:00'
    """
    found = re.fullmatch(r"(open|close)(?:([+-])(\d+)([mh]))?", text)
    if found is None:
        raise SigcError(Diagnostic("E402", f"invalid execution.cut_off '{text}': expected e.g. close-5m or open+2h"))
    end, sign, count, unit = found.groups()
    at = session.open if end == "open" else session.close
    if sign is None:
        return at
    shift = timedelta(**{_UNIT[unit]: int(count)})
    return at + shift if sign == "+" else at - shift
