"""Instants and numbers in the words of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from sigc.store.ledger.records import Finding, Intent, IntentState


def when(at: datetime | None, zone: str) -> str:
    """An instant on the clocks of a zone (of UTC, where it is none), with the zone; `-` for no instant.

    >>> when(datetime(2024, 1, 15, 14, tzinfo=UTC), "America/New_York")
    '2024-01-15 09:00:00 EST'
    """
    if at is None:
        return "-"
    try:
        clocks: tzinfo = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        clocks = UTC
    return f"{at.astimezone(clocks):%Y-%m-%d %H:%M:%S %Z}"


def plain(value: Decimal) -> str:
    """A decimal without an exponent or empty digits.

    >>> plain(Decimal("10.500")), plain(Decimal("1E+2")), plain(Decimal("0"))
    ('10.5', '100', '0')
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(value: float) -> str:
    """A measured value in six digits.

    >>> number(0.25), number(1234567.0), number(-0.0)
    ('0.25', '1.23457e+06', '0')
    """
    return f"{value + 0.0:.6g}"


def counted(count: int, what: str) -> str:
    """A count with its noun.

    >>> counted(1, "order"), counted(2, "order")
    ('1 order', '2 orders')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"


def finding(found: Finding, most: int = 5) -> str:
    """A finding with its check, what was measured against which limit, and the first of its assets.

    >>> from sigc.store.ledger.records import Weight
    >>> finding(Finding("gross", Weight.ERROR, "gross is 1.2", ("A",), 1.2, 1.0))
    'check gross: gross is 1.2 (value 1.2, limit 1; A)'
    """
    about = [f"value {number(found.value)}"] if found.value is not None else []
    about += [f"limit {number(found.limit)}"] if found.limit is not None else []
    text = ", ".join(about)
    if found.assets and not all(asset in found.message for asset in found.assets[:most]):
        text += ("; " if text else "") + named(found.assets, most)
    return f"check {found.check}: {found.message}" + (f" ({text})" if text else "")


def named(assets: Iterable[str], most: int = 5) -> str:
    """The first of some assets, and how many more there are.

    >>> named(["A", "B", "C"], 2)
    'A, B and 1 more'
    """
    listed = list(assets)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def states(intents: Iterable[Intent]) -> str:
    """How many orders stand where, such as `3 filled, 1 denied`."""
    found: dict[IntentState, int] = {}
    for intent in intents:
        found[intent.state] = found.get(intent.state, 0) + 1
    return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(found.items()))
