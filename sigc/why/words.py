"""Instants and numbers as text of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from sigc.store.ledger.records import Finding, Intent, IntentState
from sigc.words import counted as counted
from sigc.words import local_time


def when(at: datetime | None, zone: str) -> str:
    """Return an instant in the local time of a zone (UTC for an unknown zone), with the zone; `-` for None.

    >>> from datetime import UTC
    >>> when(datetime(2024, 1, 15, 14, tzinfo=UTC), "America/New_York")
    '2024-01-15 09:00:00 EST'
    """
    return "-" if at is None else local_time(at, zone)


def plain(value: Decimal) -> str:
    """Return a decimal without exponent and trailing zeros.

    >>> plain(Decimal("10.500")), plain(Decimal("1E+2")), plain(Decimal("0"))
    ('10.5', '100', '0')
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(value: float) -> str:
    """Return a measured value with six digits.

    >>> number(0.25), number(1234567.0), number(-0.0)
    ('0.25', '1.23457e+06', '0')
    """
    return f"{value + 0.0:.6g}"


def finding(found: Finding, most: int = 5) -> str:
    """Return a finding with its check, the measured value and its limit, and the first of its assets.

    >>> from sigc.errors import Severity
    >>> finding(Finding("gross", Severity.ERROR, "gross is 1.2", ("A",), 1.2, 1.0))
    'check gross: gross is 1.2 (value 1.2, limit 1; A)'
    """
    about = [f"value {number(found.value)}"] if found.value is not None else []
    about += [f"limit {number(found.limit)}"] if found.limit is not None else []
    text = ", ".join(about)
    if found.assets and not all(asset in found.message for asset in found.assets[:most]):
        text += ("; " if text else "") + named(found.assets, most)
    return f"check {found.check}: {found.message}" + (f" ({text})" if text else "")


def named(assets: Iterable[str], most: int = 5) -> str:
    """Return the first of some assets, and the number of the others.

    >>> named(["A", "B", "C"], 2)
    'A, B and 1 more'
    """
    listed = list(assets)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def states(intents: Iterable[Intent]) -> str:
    """Return the number of orders in each state, such as `3 filled, 1 denied`."""
    found: dict[IntentState, int] = {}
    for intent in intents:
        found[intent.state] = found.get(intent.state, 0) + 1
    return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(found.items()))
