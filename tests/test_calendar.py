"""Trading calendars: the exchange's own days and hours, laws of the questions, the cached table, overrides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.calendar.calendar import age_alarm, open_calendar
from sigc.calendar.sessions import Calendar
from sigc.errors import Severity, SigcError

ROOT = Path(__file__).parent.parent
TODAY = date(2026, 3, 2)
NEW_YORK = ZoneInfo("America/New_York")
_OPENED: dict[str, Calendar] = {}


def nyse() -> Calendar:
    if "nyse" not in _OPENED:
        _OPENED["nyse"] = open_calendar("nyse", None, today=TODAY)
    return _OPENED["nyse"]


@cache
def _table() -> tuple[str, bytes]:
    """Name and content of the file that holds the NYSE's table."""
    with TemporaryDirectory() as folder:
        open_calendar("nyse", Path(folder), today=TODAY)
        (path,) = Path(folder).iterdir()
        return path.name, path.read_bytes()


def stored(folder: Path) -> Path:
    """A folder's file of the NYSE, as an earlier process left it."""
    name, content = _table()
    (folder / name).write_bytes(content)
    return folder / name


def local(calendar: Calendar, day: date) -> tuple[str, str]:
    session = calendar.session_on(day)
    assert session is not None
    zone = ZoneInfo(calendar.zone)
    return f"{session.open.astimezone(zone):%H:%M}", f"{session.close.astimezone(zone):%H:%M}"


def codes(raised: pytest.ExceptionInfo[SigcError]) -> list[str]:
    return [d.code for d in raised.value.diagnostics]


@pytest.mark.parametrize(
    "day",
    [
        "2023-12-25",
        "2024-01-15",
        "2024-03-29",
        "2022-06-20",
        "2023-06-19",
        "2024-11-28",
        "2025-01-09",
        "2001-09-11",
        "2024-07-06",
    ],
)
def test_the_nyse_is_closed(day: str) -> None:
    assert nyse().session_on(date.fromisoformat(day)) is None


@pytest.mark.parametrize("day", ["2021-06-18", "2021-06-21", "2024-07-05", "2024-12-26", "1990-01-02", "2026-03-02"])
def test_the_nyse_trades_a_full_day(day: str) -> None:
    assert local(nyse(), date.fromisoformat(day)) == ("09:30", "16:00")


@pytest.mark.parametrize("day", ["2024-07-03", "2024-11-29", "2024-12-24", "2023-07-03", "2025-11-28"])
def test_the_nyse_closes_at_one_on_half_days(day: str) -> None:
    assert local(nyse(), date.fromisoformat(day)) == ("09:30", "13:00")


def test_the_open_moves_in_utc_when_the_clocks_change() -> None:
    days = [date(2024, 3, 8), date(2024, 3, 11), date(2024, 11, 1), date(2024, 11, 4)]
    opens = [s.open.hour * 60 + s.open.minute for d in days if (s := nyse().session_on(d))]
    assert opens == [14 * 60 + 30, 13 * 60 + 30, 13 * 60 + 30, 14 * 60 + 30]


def test_names_of_one_exchange() -> None:
    assert all(open_calendar(n, None, today=TODAY).table == nyse().table for n in ("us", "xnys"))


@pytest.mark.parametrize(("off_s", "day"), [(-1, date(2024, 7, 2)), (0, date(2024, 7, 3)), (1, date(2024, 7, 3))])
def test_a_session_is_complete_at_its_close(off_s: int, day: date) -> None:
    close = datetime(2024, 7, 3, 13, tzinfo=NEW_YORK)
    assert nyse().last_complete(close + timedelta(seconds=off_s)).day == day


def test_a_session_is_open_from_its_open_to_before_its_close() -> None:
    opens, closes = datetime(2024, 7, 3, 9, 30, tzinfo=NEW_YORK), datetime(2024, 7, 3, 13, tzinfo=NEW_YORK)
    second = timedelta(seconds=1)
    asked = (opens - second, opens, closes - second, closes)
    assert [nyse().is_open(at) for at in asked] == [False, True, True, False]
    assert [nyse().current_or_next(at).day.day for at in asked] == [3, 3, 3, 5]


def test_days_around_a_long_weekend() -> None:
    assert nyse().before_or_on(date(2024, 9, 2)).day == date(2024, 8, 30)
    assert nyse().before_or_on(date(2024, 9, 3)).day == date(2024, 9, 3)
    assert nyse().after(date(2024, 8, 30)).day == date(2024, 9, 3)
    assert [s.day.day for s in nyse().sessions(date(2024, 8, 30), date(2024, 9, 4))] == [30, 3, 4]
    assert nyse().sessions(date(2024, 9, 4), date(2024, 8, 30)) == ()


@pytest.mark.parametrize("day", [date(1989, 12, 31), date(2027, 3, 3)])
def test_no_answer_outside_the_table(day: date) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=NEW_YORK)
    for ask in (nyse().session_on, nyse().before_or_on, nyse().after, lambda d: nyse().sessions(d, d)):
        with pytest.raises(SigcError) as raised:
            ask(day)
        assert codes(raised) == ["E402"]
        assert "1990-01-01 to 2027-03-02" in str(raised.value)
        assert raised.value.diagnostics[0].hint
    for at in (nyse().last_complete, nyse().current_or_next, nyse().is_open):
        with pytest.raises(SigcError):
            at(noon)


def test_no_answer_at_the_edges_of_the_table() -> None:
    with pytest.raises(SigcError):
        nyse().before_or_on(date(1990, 1, 1))
    with pytest.raises(SigcError):
        nyse().after(date(2027, 3, 2))
    with pytest.raises(ValueError, match="no time zone"):
        nyse().last_complete(datetime(2024, 7, 3, 13))  # noqa: DTZ001


INSTANTS = st.datetimes(datetime(1990, 2, 1), datetime(2027, 2, 15), timezones=st.just(UTC))  # noqa: DTZ001
NAMES = st.sampled_from(["nyse", "always", "weekdays", "CMES"])


def opened(name: str) -> Calendar:
    if name not in _OPENED:
        _OPENED[name] = nyse() if name == "nyse" else open_calendar(name, None, today=TODAY)
    return _OPENED[name]


@given(NAMES, INSTANTS)
def test_laws_of_instants(name: str, now: datetime) -> None:
    calendar = opened(name)
    last, coming = calendar.last_complete(now), calendar.current_or_next(now)
    assert last.close <= now < coming.close
    assert calendar.after(last.day) == coming
    assert calendar.is_open(now) == any(s.open <= now < s.close for s in (last, coming))


@given(NAMES, INSTANTS, st.integers(0, 30))
def test_laws_of_days(name: str, now: datetime, days: int) -> None:
    calendar, day = opened(name), now.date()
    last = day - timedelta(days=days)
    held = [s for s in calendar.table if last <= s.day <= day]
    assert calendar.sessions(last, day) == tuple(held)
    found = calendar.session_on(day)
    before, after = calendar.before_or_on(day), calendar.after(day)
    assert before.day <= day < after.day
    assert (found is not None) == (before.day == day)
    at = bisect_right([s.day for s in calendar.table], day)
    assert calendar.table[at - 1 : at + 1] == (before, after)


@pytest.mark.parametrize("name", ["nyse", "always", "weekdays", "CMES", "XHKG", "24/7"])
def test_sessions_are_in_order(name: str) -> None:
    table = opened(name).table
    assert all(s.open < s.close and s.open.tzinfo is UTC for s in table)
    assert all(a.day < b.day and a.close <= b.open for a, b in pairwise(table))


def test_always_and_weekdays() -> None:
    always = open_calendar("always", None, today=TODAY)
    assert always.until == date(2027, 3, 2)
    assert [s.open for s in always.sessions(TODAY, TODAY)] == [datetime(2026, 3, 2, tzinfo=UTC)]
    assert always.is_open(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
    weekdays = open_calendar("weekdays", None, today=TODAY, zone="Asia/Tokyo")
    assert local(weekdays, date(2026, 1, 1)) == ("09:30", "16:00")
    assert weekdays.zone == "Asia/Tokyo"
    assert weekdays.session_on(date(2026, 2, 28)) is None


def test_a_calendars_own_bounds_are_kept() -> None:
    assert open_calendar("XTKS", None, today=TODAY).since == date(1997, 1, 1)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("nysee", "did you mean 'nyse'?"), ("xloon", "did you mean 'xlon'?"), ("alwys", "always"), ("", "nyse")],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(SigcError) as raised:
        open_calendar(name, None, today=TODAY)
    assert codes(raised) == ["E402"]
    assert hint in raised.value.diagnostics[0].hint


def test_unknown_zones() -> None:
    with pytest.raises(SigcError) as raised:
        open_calendar("weekdays", None, zone="Amerika/New_York", today=TODAY)
    assert "America/New_York" in raised.value.diagnostics[0].hint


# The table on disk.


def test_a_table_is_computed_once(tmp_path: Path) -> None:
    first = open_calendar("nyse", tmp_path / "new", today=TODAY)
    (path,) = (tmp_path / "new").iterdir()
    # A table whose closes were all moved, under a right digest: what comes back shows where it came from.
    kept = json.loads(path.read_text())
    kept["content"]["sessions"] = [[day, opens, closes + 60] for day, opens, closes in kept["content"]["sessions"]]
    path.write_text(json.dumps(_sealed(kept["content"])))
    assert open_calendar("nyse", tmp_path / "new", today=TODAY).table[0].close == first.table[0].close + timedelta(
        minutes=1
    )
    assert open_calendar("nyse", tmp_path / "new", today=TODAY + timedelta(days=276)).table[0] == first.table[0]


def _sealed(content: dict[str, object]) -> dict[str, object]:
    from sigc.calendar.calendar import _digest

    return {"digest": _digest(content), "content": content}


def test_a_table_is_renewed_before_it_runs_out(tmp_path: Path) -> None:
    assert open_calendar("nyse", tmp_path, today=TODAY).until == date(2027, 3, 2)
    assert open_calendar("nyse", tmp_path, today=TODAY + timedelta(days=275)).until == date(2027, 3, 2)
    assert open_calendar("nyse", tmp_path, today=TODAY + timedelta(days=276)).until == date(2027, 12, 3)


def test_a_table_of_another_version_is_computed_again(tmp_path: Path) -> None:
    path = stored(tmp_path)
    content = json.loads(path.read_text())["content"]
    path.write_text(json.dumps(_sealed(content | {"version": "0", "sessions": []})))
    assert open_calendar("nyse", tmp_path, today=TODAY) == nyse()


def _moved(whole: bytes) -> bytes:
    """One session's close an hour later, under the old digest."""
    kept = json.loads(whole)
    kept["content"]["sessions"][100][2] += 3600
    return json.dumps(kept).encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:0],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"\xff" * len(whole),
        lambda whole: b"[]"[: len(whole)],
        lambda whole: b"{}"[: len(whole)],
        lambda whole: b"[" * len(whole),
        _moved,
    ],
    ids=["empty", "cut", "noise", "list", "object", "nested", "changed"],
)
def test_a_damaged_table_is_computed_again(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = stored(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    assert open_calendar("nyse", tmp_path, today=TODAY) == nyse()
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_costs_a_computation(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert open_calendar("nyse", tmp_path / "file", today=TODAY) == nyse()


def test_neither_pandas_nor_numpy_come_into_the_process(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sigc.calendar.calendar import open_calendar\n"
        f"for _ in range(2): open_calendar('nyse', Path({str(tmp_path)!r}))\n"
        "print(sorted({'pandas', 'numpy', 'exchange_calendars', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


# Overrides.


def test_overrides() -> None:
    changed = open_calendar(
        "nyse",
        None,
        {
            "holidays": ["2026-02-04", date(2026, 2, 5), "2044-01-01"],
            "half_days": {"2026-02-06": "12:30"},
            "sessions": {
                date(2026, 2, 7): ["10:00", "14:00"],
                "2026-02-10": ["18:00", "16:00"],
                "2044-01-02": ["10:00", "11:00"],
            },
        },
        today=TODAY,
    )
    assert [s.day.day for s in changed.sessions(date(2026, 2, 3), date(2026, 2, 9))] == [3, 6, 7, 9]
    assert local(changed, date(2026, 2, 6)) == ("09:30", "12:30")
    assert local(changed, date(2026, 2, 7)) == ("10:00", "14:00")
    evening = changed.session_on(date(2026, 2, 10))
    assert evening is not None
    assert evening.open.astimezone(NEW_YORK) == datetime(2026, 2, 9, 18, tzinfo=NEW_YORK)
    assert changed.sessions(date(2026, 2, 11), TODAY) == nyse().sessions(date(2026, 2, 11), TODAY)
    assert changed.until == nyse().until


def test_all_mistakes_of_overrides_are_told_at_once() -> None:
    wrong = {
        "hollidays": [],
        "holidays": ["2026-02-30", "2026-02-04"],
        "half_days": {"2026-02-03": 780, "2026-02-04": "13:00", "2026-02-07": "13:00", "2026-02-05": "09:00"},
        "sessions": {"2026-02-09": "10:00", "2026-02-10": ["10:00", "25:00"], "2026-02-11": ["15:00", "14:00"]},
    }
    with pytest.raises(SigcError) as raised:
        open_calendar("nyse", None, wrong, today=TODAY)
    text = str(raised.value)
    for part in (
        "hollidays",
        "2026-02-30",
        "780",
        "2026-02-04",
        "2026-02-07",
        "09:00",
        "2026-02-09",
        "25:00",
        "overlap",
    ):
        assert part in text, part
    assert {d.code for d in raised.value.diagnostics} == {"E401", "E402"}
    assert any("quotes" in d.hint for d in raised.value.diagnostics)
    shapes: list[dict[str, object]] = [{"holidays": "2026-02-04"}, {"holidays": {}}, {"half_days": []}, {"sessions": 1}]
    for shape in shapes:
        with pytest.raises(SigcError):
            open_calendar("always", None, shape, today=TODAY)


# The age alarm.


@pytest.mark.parametrize(("left_days", "told"), [(61, False), (60, False), (59, True), (0, True), (-5, True)])
def test_the_age_alarm(left_days: int, told: bool) -> None:
    noon = datetime(2027, 3, 2, 12, tzinfo=NEW_YORK) - timedelta(days=left_days)
    found = age_alarm(nyse(), noon)
    assert (found is not None) == told
    if found is not None:
        assert (found.code, found.severity) == ("W004", Severity.WARNING)
        assert f" {max(left_days, 0)} more days" in found.message


@pytest.mark.parametrize(
    ("code", "sessions", "closed"),
    [
        # Dates by the exchanges' own notices, not by the package: weeks that changed, and Orthodox Easter Mondays.
        ("XTAE", ["2025-01-05", "2026-01-04", "2026-01-09"], ["2025-01-10", "2026-01-11", "2026-01-18"]),
        ("XKRX", ["1998-12-05", "1998-11-28"], ["1998-12-12", "2000-01-08"]),
        ("ASEX", ["2024-05-07"], ["2024-05-03", "2024-05-06"]),
        ("XBSE", ["2024-05-08"], ["2024-05-03", "2024-05-06"]),
        ("XBEL", ["2024-05-08"], ["2024-05-03", "2024-05-06"]),
        ("XCYS", ["2024-05-08"], ["2024-05-03", "2024-05-06"]),
    ],
)
def test_calendars_whose_week_changed_or_that_keep_orthodox_easter(
    code: str, sessions: list[str], closed: list[str]
) -> None:
    calendar = open_calendar(code, None, today=date(2026, 11, 29))
    assert [d for d in sessions if calendar.session_on(date.fromisoformat(d)) is None] == []
    assert [d for d in closed if calendar.session_on(date.fromisoformat(d)) is not None] == []


def test_every_calendar_of_the_package_is_computed() -> None:
    program = """
import json, sys
from datetime import date
from importlib import util
spec = util.spec_from_file_location("table", sys.argv[1])
made = util.module_from_spec(spec)
spec.loader.exec_module(made)
import exchange_calendars
names = exchange_calendars.get_calendar_names(include_aliases=False)
print(json.dumps({n: len(made.table(n, date(2015, 1, 1), date(2026, 12, 31))["sessions"]) for n in names}))
"""
    file = ROOT / "sigc" / "calendar" / "exchange_table.py"
    told = subprocess.run([sys.executable, "-P", "-c", program, str(file)], check=True, capture_output=True, text=True)
    counts = json.loads(told.stdout)
    assert len(counts) > 60
    assert {n for n, count in counts.items() if not 1_000 < count <= 4_400} == set()
