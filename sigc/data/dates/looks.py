"""Recognition of dates in a column of text or whole numbers."""

from __future__ import annotations

from typing import Any

from sigc.data.dates.stamps import is_written_date
from sigc.data.formats.cells import texts

_FIRST = 50


def looks_like_dates(column: Any, date_format: str = "") -> bool:
    """Return True if at least half of the first 50 cells are dates: a bad one among them is reported later, with its
    row.
    """
    some = [t for t in texts(column.slice(0, _FIRST)) if t is not None]
    return bool(some) and 2 * sum(is_written_date(t, date_format) for t in some) >= len(some)
