"""When jobs fire: clock changes of all zones, sessions of the NYSE, text that is no trigger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.errors import SigcError
from sigc.schedule.triggers import (
    Cron,
    Relative,
    fires_between,
    next_fires,
    parse_relative,
    parse_trigger,
    trigger_text,
)
from tests.daemon.play import NEW_YORK, nyse

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)


def at(text: str, zone: str = "America/New_York") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def walls(found: tuple[datetime, ...], zone: ZoneInfo) -> list[str]:
    return [f"{one.astimezone(zone):%m-%d %H:%M}" for one in found]


# Clock changes.


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """The instants of 2024-2027 at which the zone's offset changes."""
    place, found, low = ZoneInfo(zone), [], FIRST
    while low < LAST:
        if low.astimezone(place).utcoffset() != (low + DAY).astimezone(place).utcoffset():
            found.append(_change(place, low, low + DAY))
        low += DAY
    return tuple(found)


def _change(place: ZoneInfo, low: datetime, high: datetime) -> datetime:
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low).total_seconds() // 2)
        if middle.astimezone(place).utcoffset() == low.astimezone(place).utcoffset():
            low = middle
        else:
            high = middle
    return high


ZONES = sorted(zone for zone in available_timezones() if changes(zone))


def times_of(zone: str, change: datetime) -> list[tuple[int, int]]:
    """Times of day (hour, minute) around a change: before it, skipped or repeated by it, at its ends, midnight."""
    before = (change - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(seconds=1)
    after = change.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    low, high = min(before, after), max(before, after)
    minute = timedelta(minutes=1)
    marks = [low - minute, low, low + (high - low) / 2, high - minute, high]
    return sorted({(mark.hour, mark.minute) for mark in marks} | {(0, 0), (23, 59)})


def day_of(one: datetime, hour: int, minute: int, zone: str) -> date:
    """The local day that a fire stands for: its time is shown then, or skipped by the change that it runs at."""
    local = one.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wanted = local.replace(hour=hour, minute=minute, second=0)
    if local != wanted:
        assert one in changes(zone), (zone, hour, minute, local)
        ended = (one - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        # A gap that ends at midnight belongs to the day before.
        wanted = wanted if ended < wanted < local else wanted - DAY
        assert ended < wanted < local
    return wanted.date()


def check_daily(zone: str, hour: int, minute: int, after: datetime, until: datetime) -> None:
    """Once each local day; at its time, or at the gap's end; at the first of two."""
    place = ZoneInfo(zone)
    found = fires_between(Cron(f"{minute} {hour} * * *", zone), after, until)
    assert all(one.astimezone(place).fold == 0 for one in found)
    counts = Counter(day_of(one, hour, minute, zone) for one in found)
    day, last = after.astimezone(place).date() + DAY, until.astimezone(place).date()
    while day < last:
        assert counts[day] == 1, (zone, hour, minute, day)
        day += DAY


def test_there_are_many_zones_whose_clocks_change() -> None:
    assert len(ZONES) > 150


def test_daily_jobs_fire_once_a_day_around_every_change_of_every_zone() -> None:
    for zone in ZONES:
        for change in changes(zone):
            for hour, minute in times_of(zone, change):
                check_daily(zone, hour, minute, change - 2 * DAY, change + 3 * DAY)


def test_daily_jobs_fire_once_a_day_through_four_years() -> None:
    """At the most awkward time of day of each zone."""
    for zone in ZONES:
        hour, minute = times_of(zone, changes(zone)[0])[2]
        check_daily(zone, hour, minute, FIRST, LAST)


@pytest.mark.soak
def test_daily_jobs_at_all_times_fire_once_a_day() -> None:
    for zone in sorted(available_timezones()):
        for hour, minute in ((0, 0), (2, 30), (12, 0), (23, 59)):
            check_daily(zone, hour, minute, FIRST, LAST)
        for change in changes(zone):
            for quarter in range(96):
                check_daily(zone, quarter // 4, quarter % 4 * 15, change - 2 * DAY, change + 3 * DAY)


def test_a_skipped_time_runs_once_at_the_gaps_end() -> None:
    day = at("2024-03-10"), at("2024-03-11")
    assert walls(fires_between(Cron("30 2 * * *", "America/New_York"), *day), NEW_YORK) == ["03-10 03:00"]
    assert walls(fires_between(Cron("0,30 1-3 * * *", "America/New_York"), *day), NEW_YORK) == [
        "03-10 01:00", "03-10 01:30", "03-10 03:00", "03-10 03:30",
    ]  # fmt: skip


def test_a_repeated_time_runs_once() -> None:
    (found,) = fires_between(Cron("30 1 * * *", "America/New_York"), at("2024-11-03"), at("2024-11-04"))
    assert found == datetime(2024, 11, 3, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(("day", "count"), [("2024-03-10", 23), ("2024-11-03", 25), ("2024-06-03", 24)])
def test_every_hour_means_every_hour_that_passes(day: str, count: int) -> None:
    start = at(day)
    end = (start + 30 * HOUR).astimezone(NEW_YORK).replace(hour=0).astimezone(UTC)
    found = fires_between(Cron("0 * * * *", "America/New_York"), start - timedelta(seconds=1), end - HOUR)
    assert len(found) == count
    assert {b - a for a, b in pairwise(found)} == {HOUR}


def test_a_gap_that_ends_at_midnight() -> None:
    zone = ZoneInfo("America/Nuuk")
    found = fires_between(Cron("30 23 * * *", zone.key), at("2024-03-29 12:00", zone.key), at("2024-04-01", zone.key))
    assert walls(found, zone) == ["03-29 23:30", "03-31 00:00", "03-31 23:30"]


def test_half_an_hour_skipped_in_lord_howe() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    found = fires_between(Cron("0 2 * * *", zone.key), at("2024-10-05", zone.key), at("2024-10-08", zone.key))
    assert walls(found, zone) == ["10-05 02:00", "10-06 02:30", "10-07 02:00"]


@given(
    st.sampled_from(ZONES),
    st.sampled_from(["*/7 * * * *", "15 * * * *", "30 */2 * * *", "0 0 * * *", "5,35 1-3 * * *", "0 9 1,15 * 1"]),
    st.datetimes(datetime(2024, 1, 3), datetime(2027, 12, 1)),  # noqa: DTZ001
    st.lists(st.integers(0, 3 * 86_400), min_size=1, max_size=5),
)
def test_a_range_is_the_sum_of_its_parts(zone: str, text: str, start: datetime, cuts: list[int]) -> None:
    cron, low = Cron(text, zone), start.replace(tzinfo=UTC)
    ends = [low + timedelta(seconds=s) for s in sorted(cuts)]
    parts: list[datetime] = []
    for one, other in zip([low, *ends], ends, strict=False):
        parts += fires_between(cron, one, other)
    whole = fires_between(cron, low, ends[-1])
    assert tuple(parts) == whole
    assert all(a < b for a, b in pairwise(whole))
    assert next_fires(cron, low, len(whole)) == whole
    assert fires_between(cron, ends[-1], low) == ()


@given(st.sampled_from(ZONES), st.data())
def test_every_minute_is_every_minute(zone: str, data: st.DataObject) -> None:
    change = data.draw(st.sampled_from(changes(zone)))
    found = fires_between(Cron("* * * * *", zone), change - 4 * HOUR, change + 4 * HOUR)
    assert found == tuple(change - 4 * HOUR + timedelta(minutes=m) for m in range(1, 481))


# Times of a session.


def test_times_of_a_session_follow_half_days_and_holidays() -> None:
    week = at("2024-07-01"), at("2024-07-06")
    assert walls(fires_between(parse_relative("close-15m"), *week, nyse()), NEW_YORK) == [
        "07-01 15:45", "07-02 15:45", "07-03 12:45", "07-05 15:45",
    ]  # fmt: skip
    assert walls(fires_between(parse_relative("open + 5m"), *week, nyse()), NEW_YORK)[-1] == "07-05 09:35"


def test_times_of_a_session_follow_the_clocks() -> None:
    found = fires_between(Relative("open"), at("2024-03-08"), at("2024-03-12"), nyse())
    assert [one.hour for one in found] == [14, 13]


@given(st.integers(-23 * 60, 23 * 60), st.sampled_from(["open", "close"]), st.integers(0, 12_000))
def test_once_a_session(offset: int, anchor: str, start: int) -> None:
    trigger = parse_relative(f"{anchor}{offset:+d}m")
    low = datetime(1990, 2, 1, tzinfo=UTC) + start * DAY
    found = fires_between(trigger, low, low + 20 * DAY, nyse())
    expected = (trigger.of(session) for session in nyse().table)
    assert found == tuple(sorted(one for one in expected if low < one <= low + 20 * DAY))
    assert next_fires(trigger, low, len(found), nyse()) == found


def test_the_calendars_first_day_is_asked_for() -> None:
    calendar = nyse()
    first = datetime.combine(calendar.since, datetime.min.time(), ZoneInfo(calendar.zone))
    found = fires_between(parse_relative("open"), first, first + 14 * DAY, calendar)
    assert found == tuple(s.open for s in calendar.sessions(calendar.since, calendar.since + 13 * DAY))


def test_the_calendars_end_ends_next_fires_and_refuses_ranges() -> None:
    last = next_fires(Relative("close"), at("2027-02-25"), 100, nyse())
    assert walls(last, NEW_YORK) == ["02-25 16:00", "02-26 16:00", "03-01 16:00"]
    with pytest.raises(SigcError):
        fires_between(Relative("close"), at("2027-02-25"), at("2027-04-01"), nyse())
    with pytest.raises(ValueError, match="needs a calendar"):
        fires_between(Relative("close"), at("2027-02-25"), at("2027-02-26"))


# Text.


@pytest.mark.parametrize(
    "text",
    ["open", "close", "open+1h", "close-1h30m", "open+59m59s", "close-23h59m59s", "open+1s", "close-2m", "0 9 * * 1-5"],
)
def test_a_trigger_is_written_as_it_is_read(text: str) -> None:
    assert trigger_text(parse_trigger(text, "UTC")) == text


def test_hours_and_minutes_are_carried_over() -> None:
    assert trigger_text(parse_relative("open+90m")) == "open+1h30m"
    assert trigger_text(parse_relative("close-3661s")) == "close-1h1m1s"
    assert trigger_text(parse_relative("close-0m")) == "close"


def test_triggers_from_text() -> None:
    assert parse_trigger("0 9 * * 1-5", "Asia/Tokyo") == Cron("0 9 * * 1-5", "Asia/Tokyo")
    assert parse_trigger("  0   9 * * MON-FRI ", "UTC") == Cron("0 9 * * MON-FRI", "UTC")
    assert parse_trigger("open", "UTC") == Relative("open")
    assert parse_trigger("close - 1h15m", "UTC") == Relative("close", timedelta(minutes=-75))
    assert parse_trigger("open+90s", "UTC") == Relative("open", timedelta(seconds=90))


NO_CRON = [
    "",
    "0 9 * *",
    "0 0 9 * * *",
    "60 * * * *",
    "* 24 * * *",
    "0 0 31 2 *",
    "@daily",
    "0 9 * * 1-",
    "* * * * \0",
    "9:30",
]
NO_OFFSET = ["open+", "open5m", "open+5", "open+5x", "close--5m", "open+24h", "close-1500m", "opening"]


@pytest.mark.parametrize("text", [*NO_CRON, *NO_OFFSET])
def test_text_that_is_no_trigger(text: str) -> None:
    with pytest.raises(SigcError) as raised:
        parse_trigger(text, "UTC")
    assert [d.code for d in raised.value.diagnostics] == ["E402"]
    assert raised.value.diagnostics[0].expected


@given(st.text(max_size=20) | st.from_regex(r"[0-9*/,\-L#]{1,4}( [0-9*/,\-L#]{1,4}){4}", fullmatch=True))
def test_any_text_is_a_trigger_or_told(text: str) -> None:
    try:
        trigger = parse_trigger(text, "Europe/Berlin")
    except SigcError:
        return
    found = next_fires(trigger, FIRST, 3, nyse())
    assert found
    assert list(found) == sorted(set(found))


@pytest.mark.parametrize("zone", ["Amerika/New_York", "", "../etc/passwd", "UTC\0"])
def test_unknown_zones(zone: str) -> None:
    with pytest.raises(SigcError) as raised:
        parse_trigger("0 9 * * *", zone)
    assert raised.value.diagnostics[0].hint


def _rare() -> Iterator[tuple[str, str]]:
    yield "0 0 29 2 *", "2028-02-29"
    yield "0 0 * 2 MON#5", "2044-02-29"
    yield "0 12 L * *", "2024-03-31"
    yield "0 12 * * 5L", "2024-03-29"


@pytest.mark.parametrize(("text", "day"), list(_rare()))
def test_rare_days_are_found(text: str, day: str) -> None:
    (found,) = next_fires(parse_trigger(text, "UTC"), datetime(2024, 3, 1, tzinfo=UTC), 1)
    assert found.date().isoformat() == day
