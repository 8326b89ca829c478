"""When a run happens, on the real calendar of New York: what it knows, what it trades for, until when it sends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.calendar.calendar import open_calendar
from sigc.calendar.sessions import Calendar
from sigc.errors import SigcError
from sigc_pipelines.live.session import cut_off_of, instant_of, moment

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def nyse(tmp_path_factory: pytest.TempPathFactory) -> Calendar:
    return open_calendar("nyse", tmp_path_factory.mktemp("calendars"), today=date(2025, 1, 15))


def at(text: str) -> datetime:
    """An instant in New York."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "as_of", "session", "ends"),
    [
        ("2024-07-01 08:00", "2024-06-28", "2024-07-01", "2024-07-01 15:55"),  # a Monday morning
        ("2024-07-01 15:54", "2024-06-28", "2024-07-01", "2024-07-01 15:55"),
        ("2024-07-01 15:55", "2024-06-28", "2024-07-02", "2024-07-02 15:55"),  # the cut-off: the next one comes
        ("2024-07-01 16:00", "2024-07-01", "2024-07-02", "2024-07-02 15:55"),
        ("2024-07-01 23:59", "2024-07-01", "2024-07-02", "2024-07-02 15:55"),
        # Half days, and the holiday after.
        ("2024-07-03 09:00", "2024-07-02", "2024-07-03", "2024-07-03 12:55"),
        ("2024-07-03 12:56", "2024-07-02", "2024-07-05", "2024-07-05 15:55"),
        ("2024-07-03 13:00", "2024-07-03", "2024-07-05", "2024-07-05 15:55"),
        ("2024-07-04 10:00", "2024-07-03", "2024-07-05", "2024-07-05 15:55"),
        ("2024-11-29 12:54", "2024-11-27", "2024-11-29", "2024-11-29 12:55"),
        ("2024-11-29 13:01", "2024-11-29", "2024-12-02", "2024-12-02 15:55"),
        ("2024-11-28 12:00", "2024-11-27", "2024-11-29", "2024-11-29 12:55"),  # Thanksgiving
        # A weekend, one with a holiday behind it, and the Sundays on which clocks change.
        ("2024-06-29 12:00", "2024-06-28", "2024-07-01", "2024-07-01 15:55"),
        ("2024-09-01 12:00", "2024-08-30", "2024-09-03", "2024-09-03 15:55"),
        ("2024-03-10 12:00", "2024-03-08", "2024-03-11", "2024-03-11 15:55"),
        ("2024-11-03 12:00", "2024-11-01", "2024-11-04", "2024-11-04 15:55"),
    ],
)
def test_moments(nyse: Calendar, now: str, as_of: str, session: str, ends: str) -> None:
    found = moment(nyse, at(now), "close-5m")
    assert (str(found.as_of.day), str(found.session.day), found.cut_off) == (as_of, session, at(ends))


@pytest.mark.parametrize(
    ("day", "as_of", "close"),
    [
        ("2024-07-03", "2024-07-03", "2024-07-03 13:00"),
        ("2024-07-04", "2024-07-03", "2024-07-03 13:00"),
        ("2024-07-07", "2024-07-05", "2024-07-05 16:00"),
        ("2024-11-29", "2024-11-29", "2024-11-29 13:00"),
        ("2024-12-25", "2024-12-24", "2024-12-24 13:00"),
    ],
)
def test_a_date_is_the_last_session_on_or_before_it(nyse: Calendar, day: str, as_of: str, close: str) -> None:
    instant = instant_of(nyse, day)
    assert instant == at(close) + timedelta(minutes=1)
    assert str(moment(nyse, instant, "close-5m").as_of.day) == as_of


@pytest.mark.parametrize("day", ["2024-13-01", "soon", "1492-10-12"])
def test_a_date_that_is_none(nyse: Calendar, day: str) -> None:
    with pytest.raises(SigcError):
        instant_of(nyse, day)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("close", "2024-07-03 13:00"),
        ("close-5m", "2024-07-03 12:55"),
        ("close+1h", "2024-07-03 14:00"),
        ("open", "2024-07-03 09:30"),
        ("open-30m", "2024-07-03 09:00"),
        ("open+2h", "2024-07-03 11:30"),
    ],
)
def test_cut_offs(nyse: Calendar, text: str, ends: str) -> None:
    session = nyse.session_on(date(2024, 7, 3))
    assert session is not None
    assert cut_off_of(session, text) == at(ends)


def test_a_cut_off_that_is_none(nyse: Calendar) -> None:
    with pytest.raises(SigcError, match="invalid execution.cut_off 'noon'"):
        moment(nyse, at("2024-07-03 09:00"), "noon")


@given(st.integers(0, 365 * 24 * 60 - 1), st.sampled_from(["close-5m", "open-30m", "open+2h", "close", "close+30m"]))
def test_whenever_it_is(nyse: Calendar, minute: int, text: str) -> None:
    """What is known is past, what is traded for comes after it, and its cut-off is the next."""
    now = datetime(2024, 1, 2, tzinfo=UTC) + timedelta(minutes=minute)
    found = moment(nyse, now, text)
    assert found.as_of.close <= now < found.cut_off
    assert found.as_of.day < found.session.day
    before = nyse.before_or_on(found.session.day - timedelta(days=1))
    assert before.day == found.as_of.day or cut_off_of(before, text) <= now
