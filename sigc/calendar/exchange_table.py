"""The program that computes an exchange's sessions, run by `sigc.calendar.calendar` as a child process.

    python -P exchange_table.py XNYS 1990-01-01 2027-06-30

exchange_calendars needs pandas and most of a second of CPU; in a child the daemon's process never pays that. It prints
one line of JSON: {"zone", "since", "until", "sessions": [[day's ordinal, open, close], ...]} with seconds since the
epoch, or {"names": [...]} if there is no calendar of that name. A calendar's own bounds narrow the range.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from typing import Any


def table(name: str, first: date, last: date) -> dict[str, Any]:
    """Return the sessions of the calendar `name` (in any case) from `first` to `last`, or all names if unknown."""
    import exchange_calendars as exchanges

    mend()
    names = exchanges.get_calendar_names(include_aliases=True)
    known = next((n for n in names if n.casefold() == name.casefold()), None)
    if known is None:
        return {"names": sorted(names)}
    low, high = bounds(exchanges.resolve_alias(known))
    since = max(first, low.date()) if low is not None else first
    until = min(last, high.date()) if high is not None else last
    mend_week(exchanges.resolve_alias(known), since, until)
    found = exchanges.get_calendar(known, start=since.isoformat(), end=until.isoformat())
    days = (day.date().toordinal() for day in found.sessions)
    opens = (int(at.timestamp()) for at in found.opens)
    closes = (int(at.timestamp()) for at in found.closes)
    rows = [list(row) for row in zip(days, opens, closes, strict=True)]
    return {"zone": str(found.tz), "since": since.isoformat(), "until": until.isoformat(), "sessions": rows}


def bounds(name: str) -> tuple[Any, Any]:
    """Return the first and last day that a calendar knows, None for no bound."""
    kind = factory(name)
    return kind.bound_min(), kind.bound_max()


def factory(name: str) -> Any:
    """Return the class of a calendar."""
    from exchange_calendars.calendar_utils import global_calendar_dispatcher

    return global_calendar_dispatcher._calendar_factories[name]


def mend() -> None:
    """Make the package's own offset for Orthodox Easter work with pandas 3.1, which renamed the method it overrides.

    Without it Athens, Belgrade, Bucharest and Cyprus can't be computed.
    """
    from exchange_calendars.pandas_extensions.offsets import OrthodoxEaster

    if not hasattr(OrthodoxEaster, "_apply"):
        return

    def add(self: Any, other: Any) -> Any:
        return self._apply(other)

    OrthodoxEaster._add_datetime = add


def mend_week(name: str, since: date, until: date) -> None:
    """Give a calendar whose weekmask changed (Tel Aviv in 2026, Korea in 1998) the days of its own tables.

    pandas 3.1 treats the package's offset of several weekmasks as a plain one. So the days without a session are
    computed
    here and given as holidays of a week of seven days.
    """
    import numpy as np
    import pandas as pd
    from pandas.tseries.offsets import CustomBusinessDay

    kind = factory(name)
    if not hasattr(kind, "special_weekmasks"):
        return

    def day(self: Any) -> Any:
        days = pd.date_range(since, until)
        trades = np.array([self.weekmask[d] == "1" for d in days.dayofweek])
        for first, last, week in self.special_weekmasks:
            inside = (days >= (first or days[0])) & (days <= (last or days[-1]))
            trades[inside] = [week[d] == "1" for d in days[inside].dayofweek]
        off = pd.DatetimeIndex(self.adhoc_holidays)
        if self.regular_holidays is not None:
            off = off.union(self.regular_holidays.holidays(days[0], days[-1]))
        trades &= ~days.isin(off.tz_localize(None))
        return CustomBusinessDay(weekmask="1111111", holidays=days[~trades].tolist())

    import exchange_calendars as exchanges

    exchanges.register_calendar_type(name, type(kind.__name__, (kind,), {"day": property(day)}), force=True)


if __name__ == "__main__":
    made = table(sys.argv[1], date.fromisoformat(sys.argv[2]), date.fromisoformat(sys.argv[3]))
    sys.stdout.write(json.dumps(made) + "\n")
