"""Readers of option values: each converts a text to a value, or raises a ValueError that says what is expected."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sigc.errors import did_you_mean

Written: TypeAlias = float | str  # a number; or a word, a text, `400d`
Read: TypeAlias = Callable[[Written], Any]

_FREQUENCIES = ("sessions", "weeks", "months", "all_days", "irregular")
_DELAY = re.compile(r"(\d+)\s*(d|days?|sessions?)")
_DAY = datetime.datetime(2024, 3, 8, 14, 35, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class AsOf:
    """As-of joining: each row takes the newest value that was available. max_age_days: None for any age."""

    max_age_days: int | None = None


@dataclass(frozen=True, slots=True)
class Available:
    """The availability of a value: from the first session on or after its date and a delay, or as a column says.

    column: the publication's, '' for a delay of `count` calendar days or sessions.
    """

    count: int = 0
    unit: str = "days"  # days | sessions
    column: str = ""


@dataclass(frozen=True, slots=True)
class Frequency:
    """The meaning of a row: a word (sessions, weeks, months, all_days, irregular), or one of `bars` bars a session."""

    word: str
    bars: int | None = None


def text(what: str) -> Read:
    """Return a reader of a text or word as written. It refuses a number, which would lose its zeros."""

    def read(written: Written) -> str:
        if isinstance(written, float) or not written:
            raise ValueError(f"{what} in quotes")
        return written

    return read


def one_of(*words: str, default: str = "") -> Read:
    """Return a reader of one of some words. default: "any" accepts other words too."""

    def read(written: Written) -> str:
        if isinstance(written, str) and (written in words or (default == "any" and written.isidentifier())):
            return written
        hint = did_you_mean(written, words) if isinstance(written, str) else ""
        raise ValueError(f"{'one of ' if len(words) > 1 else ''}{', '.join(words)}{'; ' + hint if hint else ''}")

    return read


def flag(written: Written) -> bool:
    """Return the value of true or false."""
    if written not in ("true", "false"):
        raise ValueError("true or false")
    return written == "true"


def number(*, low: float, high: float = float("inf"), above: bool = False, whole: bool = False) -> Read:
    """Return a reader of a number in [low, high], or in (low, high] with `above`."""
    bound = f"above {low:g}" if above else f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"

    def read(written: Written) -> float | int:
        fits = isinstance(written, float) and (low < written if above else low <= written) and written <= high
        if not isinstance(written, float) or not fits or (whole and written != int(written)):
            raise ValueError(f"a {'whole ' if whole else ''}number {bound}")
        return int(written) if whole else written

    return read


def date_format(written: Written) -> str:
    """Return a strptime format by which a date can be written and read back."""
    if isinstance(written, str):
        try:
            back = datetime.datetime.strptime(_DAY.strftime(written), written)  # noqa: DTZ007
        except ValueError:
            back = None
        if back is not None and back.date() == _DAY.date():
            return written
    raise ValueError('day, month and year by %d, %m, %Y: "%d.%m.%Y"')


def zone(written: Written) -> str:
    """Return a zone of the tz database."""
    import zoneinfo

    if isinstance(written, str):
        try:
            zoneinfo.ZoneInfo(written)
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            hint = did_you_mean(written, zoneinfo.available_timezones())
            raise ValueError("a zone such as Europe/Berlin" + (f"; {hint}" if hint else "")) from None
        return written
    raise ValueError("a zone such as Europe/Berlin")


def frequency(written: Written) -> Frequency:
    """Return the frequency of a word, or of a number of bars a session."""
    if isinstance(written, float) and written >= 1 and written == int(written):
        return Frequency("bars", int(written))
    if isinstance(written, str) and written in _FREQUENCIES:
        return Frequency(written)
    hint = did_you_mean(written, _FREQUENCIES) if isinstance(written, str) else ""
    words = f"{', '.join(_FREQUENCIES)}, or a number of bars a session"
    raise ValueError(words + (f"; {hint}" if hint else ""))


def asof(written: Written) -> AsOf | None:
    """Return the value of true, false, or a longest age in days (`400d`)."""
    if written in ("true", "false"):
        return AsOf() if written == "true" else None
    age = _DELAY.fullmatch(written) if isinstance(written, str) else None
    if age is None or not age[2].startswith("d") or int(age[1]) < 1:
        raise ValueError("true, or a longest age such as 400d")
    return AsOf(int(age[1]))


def availability(written: Written) -> Available:
    """Return a delay (`1d`, "2 sessions", 0), or the name of a column."""
    if written == 0.0:
        return Available()
    if isinstance(written, str):
        delay = _DELAY.fullmatch(written)
        if delay is not None:
            return Available(int(delay[1]), "sessions" if delay[2].startswith("s") else "days")
        if written and not written[0].isdigit():
            return Available(column=written)
    raise ValueError('a delay such as 1d or "2 sessions", or the column of the publication')
