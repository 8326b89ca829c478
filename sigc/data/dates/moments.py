"""When rows can be used, as instants: the closes of sessions, delays, publications.

Two sources on different clocks meet in instants alone (nanoseconds since the epoch, UTC): a traded daily row stands for
its session's close, a value can be used from the instant that it is available. Days beyond a calendar's table have a
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
_AHEAD = np.timedelta64(30, "D")  # a delay may end so many days after the last date


def days_of(dates: Dates) -> Days:
    """The days of labels."""
    return np.asarray(dates.astype("datetime64[D]"))


def covering(exchange: Exchange, days: Days, ahead: int = 0) -> Exchange:
    """The exchange with sessions around all of some days, also those that its table does not answer for."""
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
    """Sessions of days that no table has."""
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
    """The close of each day's session; of a day without one, its end on the exchange's clocks."""
    wide = covering(exchange, days)
    at = np.minimum(np.searchsorted(wide.days, days), len(wide.days) - 1)
    is_session = wide.days[at] == days
    found = wide.closes[at].copy()
    if not is_session.all():
        ends = (days[~is_session] + 1).astype("datetime64[ns]").view("i8")
        found[~is_session] = local_instants(ends, exchange.zone).instants - 1
    return found


def usable(exchange: Exchange, days: Days, available: Available | None) -> Instants:
    """When a value of each day can be used: from the open of the first session on or after day and delay.

    Without a delay from the close of its own session; a day without a session has the next one's open.
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
    """When values can be used by the column of their publication.

    A date counts from the next session, and so does a stamp at midnight without an offset, which says no more than a
    date; any other stamp is an instant. Raises E201 for an hour that clocks show twice or never.
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
    """The newest session whose value can be used at each instant; NaT before the first."""
    count = 0 if available is None else available.count
    days = covering(exchange, instants.view("datetime64[ns]").astype("datetime64[D]"), count).days
    at = np.searchsorted(usable(exchange, days, available), instants, side="right") - 1
    return np.where(at >= 0, days[np.maximum(at, 0)], np.datetime64("NaT"))
