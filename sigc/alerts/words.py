"""Texts of alerts: instants, spans of time, and the line that names the rule and its runbook entry."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from datetime import datetime

from sigc.words import local_time

RUNBOOK = "sigc runbook"
_SOME = 3
_COMPILED = re.compile(r"^E[01]\d\d: .*?\((.+?):\d+(?:; .*)?\)")


def moment(at: object, zone: str = "") -> str:
    """Return an instant (a datetime or its ISO text) in the local time of a zone, with the zone. Other texts stay.

    >>> moment("2024-01-15T14:00:00+00:00", "America/New_York"), moment("2024-01-15T14:00:00+00:00"), moment("deadline")
    ('2024-01-15 09:00:00 EST', '2024-01-15 14:00:00 UTC', 'deadline')
    """
    found = instant(at)
    if found is None:
        return "" if at is None else str(at)
    return local_time(found, zone)


def instant(at: object) -> datetime | None:
    """Return an instant from a payload; None if it is not one, or has no zone."""
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            return None
    return at if isinstance(at, datetime) and at.tzinfo is not None else None


def span(seconds: float) -> str:
    """Return a span of time in a suitable unit.

    >>> [span(s) for s in (1.2, 119, 900, 7199, 122_399, 86_400 * 3.4)]
    ['1 s', '119 s', '15 min', '120 min', '34 h', '3 days']
    """
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.0f} days"


def some(names: Sequence[str]) -> str:
    """Return the first names and the number of the others.

    >>> some(("A", "B", "C", "D"))
    'A, B, C and 1 more'
    """
    more = f" and {len(names) - _SOME} more" if len(names) > _SOME else ""
    return ", ".join(names[:_SOME]) + more


def lines_of(text: str, command: str, run: str = "") -> str:
    """Return the text of an alert, the run that it is about, and the command that shows more."""
    lines = [text, f"Run: {run}" if run else "", f"Look further: {command}"]
    return "\n".join(line for line in lines if line)


def check_command(message: str) -> str:
    """Return the command that shows all errors of a strategy that does not compile; '' for any other message.

    >>> check_command("E002: unknown function 'zcsore' (a b.sig:3; did you mean 'zscore'?)"), check_command("no prices")
    ("sigc check 'a b.sig'", '')
    """
    found = _COMPILED.match(message)
    return f"sigc check {shlex.quote(found[1])}" if found else ""


def explained(text: str, rule: str, most: int = 4000) -> str:
    """Return the text of an alert with a last line: the rule, and the command that explains it. most: characters.

    >>> explained("no prices", "run_failed")
    'no prices\\nRule: run_failed. Runbook: sigc runbook run_failed'
    """
    last = f"\nRule: {rule}. Runbook: {RUNBOOK} {rule}"
    return text[: most - len(last)] + last
