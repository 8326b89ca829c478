"""Words that texts for people share: counts with their noun, and instants on the clocks of a zone."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun. many: of more than one, where it is not `one` with an s.

    >>> counted(1, "order"), counted(2, "order"), counted(0, "entry", "entries")
    ('1 order', '2 orders', '0 entries')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def local_time(at: datetime, zone: str) -> str:
    """Return an instant in the local time of a zone (UTC for an unknown zone), with the zone.

    >>> local_time(datetime(2024, 1, 15, 14, tzinfo=UTC), "America/New_York"), zone_of("Nowhere")
    ('2024-01-15 09:00:00 EST', datetime.timezone.utc)
    """
    return f"{at.astimezone(zone_of(zone)):%Y-%m-%d %H:%M:%S %Z}"


def zone_of(name: str) -> tzinfo:
    """Return a time zone, UTC for an unknown one."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC
