"""Numbers and times as text: with units, and times that the browser shows in the reader's zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc.words import counted
from sigc_dashboard.html import NONE, Html, tag

NOTHING = "–"
# Kinds of cluster, as `cluster.type` has them.
CLUSTERS: Mapping[str, str] = MappingProxyType(
    {
        "none": "threads of the daemon",
        "local": "workers on this machine",
        "address": "a scheduler elsewhere",
        "class": "workers elsewhere",
    }
)


def size(count: float | None) -> str:
    """Return bytes with their unit.

    >>> size(0), size(1_288_490_189), size(4 << 30), size(None)
    ('0 B', '1.2 GB', '4 GB', '–')
    """
    if count is None:
        return NOTHING
    units = ("B", "kB", "MB", "GB", "TB")
    value = float(count)
    for unit in units:
        if value < 1024 or unit == units[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 or value == int(value) else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a time span, by its two largest units.

    >>> duration(0.42), duration(7), duration(61), duration(9000), duration(310_920)
    ('0.4 s', '7 s', '1 min 1 s', '2 h 30 min', '3 d 14 h')
    """
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    left = int(seconds)
    found: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not found):
            found.append(f"{count} {unit}")
    return " ".join(found[:2])


def share(part: float, whole: float) -> float:
    """Return the part in percent of the whole, at most 100.

    >>> share(1, 4), share(9, 4), share(1, 0)
    (25.0, 100.0, 0.0)
    """
    return min(100.0, max(0.0, 100.0 * part / whole)) if whole > 0 else 0.0


def moment(at: datetime | None, zone: str, form: str = "moment") -> Html:
    """Return an instant. The browser shows it in the reader's zone, beside the exchange's; without script, in the
    exchange's.

    form: moment (14:05, or with its date), or about (with how long ago or ahead too).
    """
    if at is None:
        return tag("span", NOTHING, class_="none")
    there = at.astimezone(zone_of(zone))
    return tag("time", f"{there:%b %d %H:%M}", datetime=at.astimezone(UTC).isoformat(), data_form=form)


def opening(found: WaitingOrders | None, zone: str) -> Html:
    """Return how many orders wait for the open, and until when; nothing for None."""
    if found is None:
        return NONE
    begins = (
        f"{counted(found.planned, 'order')} leave{'s' if found.planned == 1 else ''}"
        if found.planned
        else f"{counted(found.sent, 'order')} may be filled from"
    )
    return tag("small", " ", begins, " ", moment(found.at, zone))


def zone_of(name: str) -> ZoneInfo:
    """Return the zone of that name; UTC for none."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def change(value: float | None, form: str, name: str = "span") -> Html:
    """Return a number with its sign, green above zero and red below; a number that rounds to zero has no colour.

    >>> change(0.0213, ".1%"), change(-0.3, ",.0f")
    ('<span class="up">+2.1%</span>', '<span>+0</span>')
    """
    if value is None:
        return tag("span", NOTHING, class_="none")
    written = format(value, f"+z{form}")
    is_zero = not any(digit in written for digit in "123456789")
    return tag(name, written, class_=None if is_zero else "up" if value > 0 else "down")


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things.

    >>> count(1, "run"), count(1200, "run"), count(2, "strategy", "strategies")
    ('1 run', '1,200 runs', '2 strategies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
