"""A configuration's changes of an exchange's calendar: holidays, half days, additional sessions.

    {"holidays": ["2025-01-09"], "half_days": {"2025-12-24": "13:00"}, "sessions": {"2025-12-27": ["10:00", "14:00"]}}

Times are local to the exchange. A session that opens after it closes opens on the evening before. Days outside the
calendar are ignored. All errors are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sigc.calendar.sessions import Calendar, Session
from sigc.errors import Diagnostic, SigcError, did_you_mean

_KEYS = ("holidays", "half_days", "sessions")


def applied(plain: Calendar, overrides: Mapping[str, object]) -> Calendar:
    """Return `plain` with `overrides`. Raise SigcError with every error: E401 for unknown keys, E402 for values."""
    wrong = [
        Diagnostic("E401", f"unknown key '{key}' in the overrides of a calendar", hint=did_you_mean(str(key), _KEYS))
        for key in overrides
        if key not in _KEYS
    ]
    holidays = dict(_dated("holidays", overrides.get("holidays", ()), wrong))
    halves = dict(_dated("half_days", overrides.get("half_days", {}), wrong))
    own = dict(_dated("sessions", overrides.get("sessions", {}), wrong))
    twice = holidays.keys() & halves.keys() | holidays.keys() & own.keys() | halves.keys() & own.keys()
    wrong += [
        Diagnostic("E402", f"two overrides of calendar '{plain.name}' are for {day}", hint="keep one")
        for day in sorted(twice)
    ]
    table = {s.day: s for s in plain.table if s.day not in holidays}
    for day, given in sorted(own.items()):
        made = _session(plain.zone, day, given, wrong)
        if made is not None and plain.since <= day <= plain.until:
            table[day] = made
    for day, given in sorted(halves.items()):
        made = _shortened(plain, table.get(day), day, given, wrong)
        if made is not None:
            table[day] = made
    ordered = tuple(table[day] for day in sorted(table))
    for one, other in pairwise(ordered):
        if one.close > other.open:
            message = f"the sessions of {one.day} and {other.day} overlap in calendar '{plain.name}'"
            wrong.append(Diagnostic("E402", message, hint="change their hours"))
    if wrong:
        raise SigcError(*wrong)
    return replace(plain, table=ordered)


def _dated(key: str, given: object, wrong: list[Diagnostic]) -> Iterator[tuple[date, object]]:
    """Yield (day, value) of a mapping by date, or of a list of dates."""
    if key == "holidays" and isinstance(given, Sequence) and not isinstance(given, str):
        entries: list[tuple[object, object]] = [(day, None) for day in given]
    elif key != "holidays" and isinstance(given, Mapping):
        entries = list(given.items())
    else:
        form = "a list of dates" if key == "holidays" else "a mapping by date"
        wrong.append(Diagnostic("E402", f"'{key}' of a calendar's overrides is not {form}", expected=form))
        return
    for day, value in entries:
        try:
            # YAML reads an unquoted date as a date, a quoted one as text.
            yield (day if type(day) is date else date.fromisoformat(str(day))), value
        except ValueError:
            wrong.append(Diagnostic("E402", f"invalid date '{day}' in '{key}'", expected="such as 2025-12-24"))


def _clock(key: str, day: date, given: object, wrong: list[Diagnostic]) -> time | None:
    try:
        if isinstance(given, str):
            found = time.fromisoformat(given)
            if found.tzinfo is None:
                return found
    except ValueError:
        pass
    hint = "put it in quotes: YAML takes 13:00 for a number" if isinstance(given, int) else ""
    wrong.append(
        Diagnostic("E402", f"invalid time '{given}' in '{key}' of {day}", expected="such as '13:00'", hint=hint)
    )
    return None


def _session(zone: str, day: date, given: object, wrong: list[Diagnostic]) -> Session | None:
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != 2:
        wrong.append(Diagnostic("E402", f"invalid hours of {day} in 'sessions'", expected="[open, close]"))
        return None
    opens, closes = (_clock("sessions", day, at, wrong) for at in given)
    if opens is None or closes is None:
        return None
    evening = day - timedelta(days=1) if opens >= closes else day
    return Session(day, _instant(evening, opens, zone), _instant(day, closes, zone))


def _shortened(
    plain: Calendar, session: Session | None, day: date, given: object, wrong: list[Diagnostic]
) -> Session | None:
    closes = _clock("half_days", day, given, wrong)
    if closes is None or not plain.since <= day <= plain.until:
        return None
    if session is None:
        message = f"{day} in 'half_days' has no session in calendar '{plain.name}'"
        wrong.append(Diagnostic("E402", message, hint="give open and close under sessions instead"))
        return None
    made = replace(session, close=_instant(day, closes, plain.zone))
    if made.close <= session.open:
        wrong.append(Diagnostic("E402", f"the close {given} of {day} in 'half_days' is not after its open"))
        return None
    return made


def _instant(day: date, at: time, zone: str) -> datetime:
    return datetime.combine(day, at, tzinfo=ZoneInfo(zone)).astimezone(UTC)
