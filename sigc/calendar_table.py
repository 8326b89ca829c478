"""The program that computes one exchange's sessions, run by `sigc.calendar` as a child.

    python -P calendar_table.py XNYS 1990-01-01 2027-06-30

exchange_calendars costs pandas and most of a second of CPU, which the daemon's process never pays. On stdout goes
one line of JSON: {"zone", "since", "until", "sessions": [[day's ordinal, open, close], ...]} with seconds since the
epoch, or {"names": [...]} when there is no calendar of that name. A calendar's own bounds narrow the range.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from typing import Any


def table(name: str, first: date, last: date) -> dict[str, Any]:
    """The sessions of the calendar `name` (in any case) from `first` to `last`, or the names there are."""
    import exchange_calendars as exchanges

    names = exchanges.get_calendar_names(include_aliases=True)
    known = next((n for n in names if n.casefold() == name.casefold()), None)
    if known is None:
        return {"names": sorted(names)}
    default = exchanges.get_calendar(known)
    low, high = default.bound_min(), default.bound_max()
    since = max(first, low.date()) if low is not None else first
    until = min(last, high.date()) if high is not None else last
    found = exchanges.get_calendar(known, start=since.isoformat(), end=until.isoformat())
    days = (day.date().toordinal() for day in found.sessions)
    opens = (int(at.timestamp()) for at in found.opens)
    closes = (int(at.timestamp()) for at in found.closes)
    rows = [list(row) for row in zip(days, opens, closes, strict=True)]
    return {"zone": str(found.tz), "since": since.isoformat(), "until": until.isoformat(), "sessions": rows}


if __name__ == "__main__":
    made = table(sys.argv[1], date.fromisoformat(sys.argv[2]), date.fromisoformat(sys.argv[3]))
    sys.stdout.write(json.dumps(made) + "\n")
