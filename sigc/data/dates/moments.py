"""Instants from which rows are usable: closes of sessions, delays, publications.

Sources on different clocks are compared by instants only (nanoseconds since the epoch, UTC): a traded daily row stands
for its session's close, a value is usable from the instant of its availability. Days beyond a calendar's table get a
session each weekday, at its usual hours.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sigc.data.dates.exchange import ALWAYS, Days, Exchange, Instants, local_instants, utc_offsets
from sigc.data.dates.stamps import Stamps
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.panel import Dates
from sigc.source_words import Available

DAY_NS = 86_400_000_000_000
_AHEAD = np.timedelta64(30, "D")  # margin of days: a delay may end after the last date


def days_of(dates: Dates) -> Days:
    """Return the days of labels."""
    return np.asarray(dates.astype("datetime64[D]"))


def covering(exchange: Exchange, days: Days, ahead: int = 0) -> Exchange:
    """Return the exchange with sessions around all given days, also those beyond its table."""
    if not len(days):
        return exchange
    low, high = days.min() - _AHEAD, days.max() + _AHEAD + np.timedelta64(2 * ahead, "D")
    if low >= exchange.since and high <= exchange.until:
        return exchange
    before = np.arange(low, exchange.since) if low < exchange.since else np.empty(0, "datetime64[D]")
    after = np.arange(exchange.until + 1, high + 1) if high > exchange.until else np.empty(0, "datetime64[D]")
    parts = [_usual(exchange, d) for d in (before, after)]
    return replace(
        exchange,
        days=np.concatenate([parts[0][0], exchange.days, parts[1][0]]),
        opens=np.concatenate([parts[0][1], exchange.opens, parts[1][1]]),
        closes=np.concatenate([parts[0][2], exchange.closes, parts[1][2]]),
        since=min(low, exchange.since),
        until=max(high, exchange.until),
    )


def _usual(exchange: Exchange, days: Days) -> tuple[Days, Instants, Instants]:
    """Return usual sessions for days beyond the table."""
    if exchange.name == ALWAYS:
        midnight = days.astype("datetime64[ns]").view("i8")
        return days, midnight, midnight + DAY_NS
    some = days[np.is_busday(days)]
    last = exchange.opens[-1:] if len(exchange.opens) else np.array([14 * DAY_NS // 24], "i8")
    length = int(exchange.hours * 3.6e12)
    hour = (last + utc_offsets(last, exchange.zone) * 1_000_000_000) % DAY_NS
    opens = local_instants(some.astype("datetime64[ns]").view("i8") + hour[0], exchange.zone).instants
    return some, opens, opens + length


def closes(exchange: Exchange, days: Days) -> Instants:
    """Return the close of each day's session; for a day without one, its end on the exchange's clocks."""
    wide = covering(exchange, days)
    at = np.minimum(np.searchsorted(wide.days, days), len(wide.days) - 1)
    is_session = wide.days[at] == days
    found = wide.closes[at].copy()
    if not is_session.all():
        ends = (days[~is_session] + 1).astype("datetime64[ns]").view("i8")
        found[~is_session] = local_instants(ends, exchange.zone).instants - 1
    return found


def usable(exchange: Exchange, days: Days, available: Available | None) -> Instants:
    """Return the instant from which a value of each day is usable: the open of the first session on or after day +
    delay.

    Without a delay: the close of its own session; for a day without a session, the next one's open.
    """
    count = 0 if available is None else available.count
    wide = covering(exchange, days, count)
    if count and available is not None and available.unit == "sessions":
        return wide.opens[np.searchsorted(wide.days, days, side="right") - 1 + count]
    at = np.searchsorted(wide.days, days + np.timedelta64(count, "D"))
    if count:
        return wide.opens[at]
    return np.where(wide.days[at] == days, wide.closes[at], wide.opens[at])


def published(spec: SourceSpec, file: str, stamps: Stamps, exchange: Exchange, name: str) -> Instants:
    """Return the instants from which values are usable, by their publication column.

    A date counts from the next session's open. So does a stamp at midnight without an offset, which tells no more than
    a date; any other stamp is an instant. Raise E201 for an hour that clocks show twice or never.
    """
    is_date = stamps.clock % DAY_NS == 0
    if stamps.offsets is not None and not is_date.all():
        is_date = np.zeros(len(is_date), bool)
    found = np.empty(len(stamps.clock), "i8")
    days = stamps.clock[is_date].view("datetime64[ns]").astype("datetime64[D]")
    if len(days):
        wide = covering(exchange, days)
        found[is_date] = wide.opens[np.searchsorted(wide.days, days, side="right")]
    timed = np.flatnonzero(~is_date)
    if len(timed):
        found[timed] = _instants(spec, file, stamps, timed, exchange, name)
    return found


def _instants(
    spec: SourceSpec, file: str, stamps: Stamps, rows: NDArray[np.intp], exchange: Exchange, name: str
) -> Instants:
    clock = stamps.clock[rows]
    if stamps.offsets is not None:
        return np.asarray(clock - stamps.offsets[rows] * 1_000_000_000)
    local = local_instants(clock, exchange.zone)
    for wrong, what in ((local.twice, "comes twice"), (local.never, "is skipped")):
        if len(wrong):
            shown = str(np.datetime64(int(clock[wrong[0]]), "ns").astype("datetime64[s]")).replace("T", " ")
            message = f"row {int(rows[wrong[0]]) + 2}, column '{name}': {shown} {what} on clocks of {exchange.zone}"
            raise problem(spec, "E201", file, message, "write stamps with an offset, or say zone=")
    return local.instants


def newest_session(exchange: Exchange, instants: Instants, available: Available | None) -> Days:
    """Return the newest session with a usable value at each instant; NaT before the first."""
    count = 0 if available is None else available.count
    days = covering(exchange, instants.view("datetime64[ns]").astype("datetime64[D]"), count).days
    at = np.searchsorted(usable(exchange, days, available), instants, side="right") - 1
    return np.where(at >= 0, days[np.maximum(at, 0)], np.datetime64("NaT"))
