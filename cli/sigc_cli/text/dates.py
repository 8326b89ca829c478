"""Dates and times of the command line."""

from __future__ import annotations

import datetime

from sigc.errors import Diagnostic, SigcError


def day(text: str) -> str:
    """Return an ISO date as given, checked; '' stays ''. Raises E500."""
    if not text:
        return ""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise SigcError(Diagnostic("E500", f"invalid date '{text}'", hint="write YYYY-MM-DD")) from None


def since(text: str, zone: str) -> str:
    """Return an instant from a date or time (in `zone` where it names none), or a length of time before now; ISO in
    UTC.

    '' stays ''. Raises E500.
    """
    from zoneinfo import ZoneInfo

    from sigc.store.history.query import span_of_time
    from sigc_cli.local_audit import instant

    if not text:
        return ""
    if text[-1:].isalpha() and text[:1].isdigit() and "T" not in text:
        at: datetime.datetime | None = datetime.datetime.now(datetime.UTC) - span_of_time(text)
    else:
        at = instant(text, ZoneInfo(zone))
    return "" if at is None else at.astimezone(datetime.UTC).isoformat()
