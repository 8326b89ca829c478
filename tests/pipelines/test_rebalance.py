"""The rows of `rebal=`: words of the calendar against the periods of pandas, whatever rows a file has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.data.dates.exchange import NYSE, Exchanges
from sigc.errors import SigcError
from sigc.lang.semantics.rebalance import CALENDAR_WORDS, ROWS, Rebalance
from sigc_pipelines.backtest.backtest import backtest, pick
from sigc_pipelines.compute import load
from sigc_pipelines.portfolio.rebalance import RowDays, due_rows, named_sessions, row_days, text_of
from tests.world import workspace, write_strategy, write_wide

FREQUENCY = {"week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}
CALENDARS = ("nyse", "XTKS", "XTAE")  # the last one trades Sunday to Thursday


def named(word: str, calendar: str, first: str, last: str) -> list[str]:
    """The sessions that a word names, by the periods of pandas over all sessions that the calendar has."""
    unit, _, side = word.partition("_")
    wide = pd.DatetimeIndex(days_of(calendar, "2009-01-01", "2026-01-31"))
    groups = pd.Series(wide).groupby(wide.to_period(FREQUENCY[unit]))
    found = groups.first() if side == "start" else groups.last()
    return [str(d.date()) for d in found if first <= str(d.date()) <= last]


def days_of(calendar: str, first: str, last: str) -> np.ndarray:
    days = Exchanges().of(calendar).days
    return days[(days >= np.datetime64(first)) & (days <= np.datetime64(last))]


def due(word: str, days: np.ndarray, calendar: str = "nyse") -> list[str]:
    rows = RowDays(days, Exchanges().of(calendar))
    return [str(d) for d in days[due_rows(Rebalance.of_word(word), rows)]]


@pytest.mark.parametrize("word", CALENDAR_WORDS)
@pytest.mark.parametrize("calendar", CALENDARS)
def test_words_name_sessions_of_the_calendar(word: str, calendar: str) -> None:
    first, last = "2010-02-16", "2023-08-10"
    days = days_of(calendar, first, last)
    assert due(word, days, calendar) == sorted({str(days[0]), *named(word, calendar, first, last)})


@pytest.mark.parametrize("word", CALENDAR_WORDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_session_without_a_row_is_made_up_for_by_the_next_row(word: str, seed: int) -> None:
    """Whatever rows are missing: for each session that is named, the first row on or after it."""
    days = days_of("nyse", "2015-01-05", "2017-06-30")
    days = days[np.random.default_rng(seed).random(len(days)) < 0.6]
    expected = {days[0]}
    for name in named(word, "nyse", str(days[0]), str(days[-1])):
        expected.add(days[days >= np.datetime64(name)][0])
    assert due(word, days) == sorted(str(d) for d in expected)


@pytest.mark.parametrize("word", CALENDAR_WORDS)
def test_later_rows_change_nothing(word: str) -> None:
    """What a run sees, rows up to its own, says what the backtest of all rows says."""
    days = days_of("nyse", "2021-11-01", "2022-03-15")
    whole = due(word, days)
    for stop in range(1, len(days)):
        assert due(word, days[:stop]) == [d for d in whole if d <= str(days[stop - 1])]


def test_bars_of_a_session() -> None:
    """`start` is the first bar of the session, `end` the last that there is; of a session without bars the next bar."""
    sessions = days_of("nyse", "2024-02-26", "2024-03-06")
    days = np.repeat(sessions, 3)[:-1]

    def places(word: str, of: np.ndarray) -> list[int]:
        return np.flatnonzero(due_rows(Rebalance.of_word(word), RowDays(of, NYSE.of(), "bars"))).tolist()

    friday = int(np.searchsorted(days, np.datetime64("2024-03-01")))
    assert places("month_start", days) == [0, friday]
    assert places("month_end", days) == [0, friday - 1]
    assert places("month_end", np.delete(days, friday - 1)) == [0, friday - 2]
    without = days[days != np.datetime64("2024-02-29")]
    assert places("month_end", without) == [0, int(np.searchsorted(without, np.datetime64("2024-03-01")))]


def test_rows_beyond_the_calendar_are_refused_in_a_sentence() -> None:
    exchange = NYSE.of()
    days = np.array([exchange.days[-2], exchange.days[-1]])
    with pytest.raises(SigcError, match=r"rebal=month_end needs sessions from .* the calendar '.*' is known from"):
        due_rows(Rebalance.of_word("month_end"), RowDays(days, exchange))
    assert due_rows(Rebalance(1), RowDays(days, exchange)).all()
    assert due_rows(Rebalance.of_word("month_end"), RowDays(days[:0], exchange)).tolist() == []


def test_the_last_session_of_a_calendar_is_too_late_to_ask_for() -> None:
    """Whether it is the last of its month is not known."""
    exchange = NYSE.of()
    since, last, beyond = exchange.days[-30], exchange.days[-2], exchange.days[-1]
    assert list(named_sessions("week_start", exchange, since, last))[-1] <= last
    with pytest.raises(SigcError, match="known from"):
        named_sessions("week_start", exchange, since, beyond)
    with pytest.raises(SigcError, match="known from"):
        named_sessions("week_start", exchange, exchange.since - np.timedelta64(1, "D"), last)


def test_a_calendar_that_begins_with_the_end_of_a_month() -> None:
    days = np.array(["2024-02-29", "2024-03-01", "2024-03-28", "2024-04-01", "2024-04-02"], "datetime64[D]")
    exchange = replace(NYSE.of(), days=days, since=days[0])
    found = [str(d) for d in named_sessions("month_end", exchange, days[0], days[-2])]
    assert found == ["2024-02-29", "2024-03-28"]


TEXT = """data:
  prices: load parquet from "prices.parquet"{options}
portfolio main:
  weights = rank(prices)
  backtest rebal={word}
"""


def written(folder: Path, dates: np.ndarray, word: str, options: str = "") -> list[str]:
    """The dates on which the backtest trades."""
    write_wide(
        folder / "prices.parquet", dates, np.random.default_rng(3).uniform(50, 60, (len(dates), 3)), ("A", "B", "C")
    )
    space = workspace(MemoryStore())
    loaded = load(write_strategy(folder, TEXT.format(word=word, options=options)), space)
    result = backtest(loaded, space, pick(loaded))
    moved = np.any(np.diff(result.weights.values, axis=0, prepend=0.0) != 0.0, axis=1)
    return [str(d) for d in result.dates[moved].astype("datetime64[D]")]


def test_a_backtest_trades_on_its_word(tmp_path: Path) -> None:
    days = days_of("nyse", "2024-01-02", "2024-06-14")
    traded = written(tmp_path, days, "month_end")
    assert set(traded) <= {str(days[0]), *named("month_end", "nyse", str(days[0]), str(days[-1]))}
    assert "2024-03-28" in traded  # Good Friday is the 29th


def rows_of(folder: Path, dates: np.ndarray, options: str = "") -> RowDays:
    values = np.linspace(50, 60, 3 * len(dates)).reshape(-1, 3)
    table = pd.DataFrame(values, pd.Index(dates, name="date"), ("A", "B", "C"))
    table.reset_index().to_parquet(folder / "prices.parquet")
    space = workspace(MemoryStore())
    return row_days(load(write_strategy(folder, TEXT.format(word="1", options=options)), space), space)


def test_a_bar_belongs_to_its_session_not_to_its_date(tmp_path: Path) -> None:
    """Chicago's futures: Monday's session begins at 17:00 on Sunday."""
    hours = [f"2024-03-{day} {hour}:00" for day in ("04", "05", "06", "07") for hour in ("17", "18", "19", "20")]
    found = rows_of(tmp_path, np.array(hours, "datetime64[ns]"), ' calendar=CMES zone="America/Chicago"')
    assert found.of_sessions == "bars"
    assert [str(day) for day in found.days] == [f"2024-03-{day}" for day in ("05", "06", "07", "08") for _ in range(4)]


def test_rows_are_of_sessions_where_they_are_daily(tmp_path: Path) -> None:
    days = days_of("nyse", "2024-01-02", "2024-02-14")
    daily = rows_of(tmp_path, days)
    assert (daily.of_sessions, daily.days.tolist()) == ("sessions", days.tolist())
    weekly = rows_of(tmp_path, np.arange(np.datetime64("2023-01-06"), np.datetime64("2024-01-06"), 7))
    assert (weekly.of_sessions, str(weekly.days[0]), len(weekly.days)) == ("", "2023-01-06", 53)
    assert [str(day) for day in weekly.part(1, 3).days] == ["2023-01-13", "2023-01-20"]


@pytest.mark.parametrize("word", ROWS)
def test_numbers_of_sessions_are_for_sessions(tmp_path: Path, word: str) -> None:
    weeks = np.arange(np.datetime64("2015-01-02"), np.datetime64("2023-01-01"), 7)
    with pytest.raises(SigcError, match=f"rebal={word} is {ROWS[word]} sessions, and rows of 'prices' are weeks") as no:
        written(tmp_path, weeks, word)
    assert no.value.diagnostics[0].code == "E101"
    assert f"rebal={ROWS[word]}" in no.value.diagnostics[0].hint
    assert written(tmp_path, weeks, str(ROWS[word]))
    assert written(tmp_path, days_of("nyse", "2015-01-02", "2017-01-02"), word)


@pytest.mark.parametrize(
    ("rebalance", "text"),
    [
        (Rebalance.of_word("month_end"), "month_end"),
        (Rebalance.of_word("monthly"), "monthly (every 21 rows)"),
        (Rebalance(5), "every 5 rows"),
        (Rebalance(1), "every row"),
    ],
)
def test_how_a_rebalance_is_told(rebalance: Rebalance, text: str) -> None:
    assert text_of(rebalance) == text


@pytest.mark.parametrize(
    ("word", "since", "until", "expected"),
    [
        ("month_start", "2024-03-01", "2024-04-01", ["2024-03-01", "2024-04-01"]),
        ("month_end", "2024-03-28", "2024-03-28", ["2024-03-28"]),  # the 29th is Good Friday
        ("week_start", "2024-05-24", "2024-05-28", ["2024-05-28"]),  # Monday is Memorial Day
        ("quarter_end", "2024-03-29", "2024-06-27", []),
    ],
)
def test_both_ends_of_a_range_are_in_it(word: str, since: str, until: str, expected: list[str]) -> None:
    found = named_sessions(word, NYSE.of(), np.datetime64(since, "D"), np.datetime64(until, "D"))
    assert [str(day) for day in found] == expected


def test_a_calendars_first_day_may_be_asked_for() -> None:
    exchange = NYSE.of()
    days = exchange.days[:300]
    ends = pd.Series(days, index=pd.DatetimeIndex(days)).groupby(lambda day: (day.year, day.month)).last()
    found = named_sessions("month_end", exchange, exchange.since, days[-1])
    assert [str(day) for day in found] == [str(day)[:10] for day in ends.iloc[: len(found)]]
    assert len(found) >= len(ends) - 1
