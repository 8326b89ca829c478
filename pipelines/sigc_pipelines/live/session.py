"""When a run happens: what it may know (as of), what it trades for (session), and until when it may send (cut-off).

    as_of      the last session that is complete at the moment of the run: no row after it is read
    session    the one whose cut-off comes next

The morning of the 3rd: as of the 2nd, for the 3rd. The evening of the 3rd: as of the 3rd, for the 4th.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sigc.calendar.sessions import Calendar, Session
from sigc.errors import Diagnostic, SigcError

_AFTER_CLOSE = timedelta(minutes=1)
_UNIT = {"m": "minutes", "h": "hours"}


@dataclass(frozen=True, slots=True)
class Moment:
    """as_of, session: what they are called by. cut_off: after it nothing is sent."""

    as_of: Session
    session: Session
    cut_off: datetime


def moment(calendar: Calendar, now: datetime, cut_off: str) -> Moment:
    """The moment `now`. cut_off: such as `close-5m`. Raises E402 where the calendar does not reach."""
    complete = calendar.last_complete(now)
    session = calendar.after(complete.day)
    ends = cut_off_of(session, cut_off)
    if ends <= now:
        session = calendar.after(session.day)
        ends = cut_off_of(session, cut_off)
    return Moment(complete, session, ends)


def instant_of(calendar: Calendar, day: str) -> datetime:
    """A minute after the close of the last session on or before a day: when a run as of that day could have begun."""
    try:
        asked = date.fromisoformat(day)
    except ValueError:
        raise SigcError(Diagnostic("E500", f"'{day}' is no date", hint="such as 2024-01-15")) from None
    return calendar.before_or_on(asked).close + _AFTER_CLOSE


def cut_off_of(session: Session, text: str) -> datetime:
    """An instant against a session.

    >>> from datetime import UTC
    >>> day = Session(date(2024, 1, 2), datetime(2024, 1, 2, 14, 30, tzinfo=UTC), datetime(2024, 1, 2, 21, tzinfo=UTC))
    >>> cut_off_of(day, "close-5m").isoformat()
    '2024-01-02T20:55:00+00:00'
    """
    found = re.fullmatch(r"(open|close)(?:([+-])(\d+)([mh]))?", text)
    if found is None:
        raise SigcError(Diagnostic("E402", f"execution.cut_off '{text}' is none", hint="such as close-5m or open+2h"))
    end, sign, count, unit = found.groups()
    at = session.open if end == "open" else session.close
    if sign is None:
        return at
    shift = timedelta(**{_UNIT[unit]: int(count)})
    return at + shift if sign == "+" else at - shift
