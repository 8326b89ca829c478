"""Trading calendars by name: the days with a session, and when each opens and closes.

    open_calendar   a name to a `Calendar`: exchange_calendars in a child process, cached as a file; local overrides
    age_alarm       warns when the table is about to end

Nothing here reads a clock: instants are passed in, aware; results are in UTC. A question about a day outside the
table is refused, never guessed. Neighbours: `exchange_table.py` is the child's program, `overrides.py` applies a
configuration's changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sigc.calendar.overrides import applied
from sigc.calendar.sessions import RENEWAL, Calendar, Session
from sigc.errors import Diagnostic, Severity, SigcError, did_you_mean
from sigc.private import intruder, make_private

FIRST = date(1990, 1, 1)
_AHEAD = timedelta(days=365)
_RENEW = timedelta(days=90)
_ALARM = timedelta(days=60)
_ALIASES = MappingProxyType({"nyse": "XNYS", "nasdaq": "XNYS", "us": "XNYS"})
_OURS = ("always", "weekdays")
_NO_OVERRIDES: Mapping[str, object] = MappingProxyType({})
_CHILD_TIMEOUT_S = 120.0
_FORMAT = 2


def age_alarm(calendar: Calendar, now: datetime) -> Diagnostic | None:
    """Return a W004 if fewer than 60 days after `now` are covered, else None."""
    left = calendar.until - now.astimezone(ZoneInfo(calendar.zone)).date()
    if left >= _ALARM:
        return None
    message = f"the sessions of calendar '{calendar.name}' are known for {max(left.days, 0)} more days only"
    return Diagnostic("W004", message, severity=Severity.WARNING, hint=RENEWAL)


def open_calendar(
    name: str,
    directory: Path | None,
    overrides: Mapping[str, object] = _NO_OVERRIDES,
    *,
    today: date | None = None,
    zone: str = "America/New_York",
) -> Calendar:
    """Return a calendar: nyse, nasdaq, us, any of exchange_calendars, always (24 h UTC), or weekdays (in `zone`).

    An exchange's table is computed in a child process and kept in `directory`; without one, or if it can't be
    written, it is computed each time. It covers 1990 (or the calendar's own bound) to a year after `today`.
    `overrides` (local times of the exchange): {"holidays": [date], "half_days": {date: close}, "sessions":
    {date: [open, close]}}. Raise SigcError: E402 for invalid names, zones and overrides.
    """
    day = today or datetime.now(UTC).date()
    if name in _OURS:
        plain = _made(name, zone, day + _AHEAD)
    else:
        plain = replace(_exchange(_ALIASES.get(name.casefold(), name), name, directory, day), name=name)
    return applied(plain, overrides) if overrides else plain


def _made(name: str, zone: str, last: date) -> Calendar:
    """Return a calendar that needs no table: `always` or `weekdays`."""
    days = (FIRST + timedelta(days=n) for n in range((last - FIRST).days + 1))
    if name == "always":
        dawn = time(tzinfo=UTC)
        nights = (datetime.combine(day, dawn) for day in days)
        table = tuple(Session(at.date(), at, at + timedelta(days=1)) for at in nights)
        return Calendar(name, "UTC", table, FIRST, last)
    try:
        place = ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as unknown:
        import zoneinfo

        hint = did_you_mean(zone, zoneinfo.available_timezones()) or "such as America/New_York"
        raise SigcError(Diagnostic("E402", f"unknown time zone '{zone}'", hint=hint)) from unknown
    opens, closes = time(9, 30, tzinfo=place), time(16, tzinfo=place)
    table = tuple(
        Session(day, datetime.combine(day, opens).astimezone(UTC), datetime.combine(day, closes).astimezone(UTC))
        for day in days
        if day.weekday() < 5
    )
    return Calendar(name, zone, table, FIRST, last)


def _exchange(code: str, name: str, directory: Path | None, today: date) -> Calendar:
    from importlib.metadata import version

    installed = version("exchange_calendars")
    path = directory / f"calendar-{quote(code.casefold(), safe='', errors='replace')}.json" if directory else None
    kept = _read(path, code, installed, today) if path else None
    if kept is not None:
        return kept
    asked = today + _AHEAD
    content = _compute(code, name, asked)
    content |= {"format": _FORMAT, "version": installed, "code": code.casefold(), "asked": asked.isoformat()}
    if path is not None:
        with suppress(OSError):
            _write(path, content)
    return _calendar(content)


def _compute(code: str, name: str, last: date) -> dict[str, Any]:
    """Return the child's result. Raise E402 if it does not know the calendar or fails."""
    program = Path(__file__).with_name("exchange_table.py")
    # -P: neither this folder (its calendar.py would hide Python's) nor the working directory is imported from.
    command = [sys.executable, "-P", str(program), code, FIRST.isoformat(), last.isoformat()]
    hint = "choose another calendar, or another version of exchange_calendars"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_CHILD_TIMEOUT_S, check=True)  # noqa: S603
        content: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as failure:
        said = getattr(failure, "stderr", "") or str(failure)
        why = str(said).strip().splitlines()[-1][:200]
        raise SigcError(Diagnostic("E402", f"calendar '{name}' can't be computed: {why}", hint=hint)) from failure
    if "names" in content:
        raise SigcError(_unknown(name, content["names"]))
    return content


def _unknown(name: str, names: Iterable[str]) -> Diagnostic:
    near = did_you_mean(name.casefold(), [*_ALIASES, *_OURS, *(n.casefold() for n in names)])
    hint = near or "nyse, always, weekdays, or a code of exchange_calendars such as XLON"
    return Diagnostic("E402", f"unknown calendar '{name}'", hint=hint)


def _calendar(content: Mapping[str, Any]) -> Calendar:
    table = tuple(
        Session(date.fromordinal(day), datetime.fromtimestamp(opens, UTC), datetime.fromtimestamp(closes, UTC))
        for day, opens, closes in content["sessions"]
    )
    bounds = date.fromisoformat(content["since"]), date.fromisoformat(content["until"])
    return Calendar(content["code"], content["zone"], table, *bounds)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(path: Path, code: str, installed: str, today: date) -> Calendar | None:
    """Return the file's calendar; None if it is missing, damaged, of another version or about to end.

    None also if others may have written it: the sessions decide when there is trading.
    """
    try:
        if intruder(path):
            return None
        kept = json.loads(path.read_bytes())
        content = kept["content"]
        if kept["digest"] != _digest(content):
            return None
        if (content["format"], content["version"], content["code"]) != (_FORMAT, installed, code.casefold()):
            return None
        # The end that was asked for counts, not the one reached: a calendar that ends early by itself would be
        # computed again at every start.
        if date.fromisoformat(content["asked"]) - today < _RENEW:
            return None
        return _calendar(content)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write the file whole or not at all, even if another process writes it at the same time."""
    make_private(path.parent)
    text = json.dumps({"digest": _digest(content), "content": content})
    handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            # Before the rename: else a power cut could leave the new name with an empty file.
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
