"""Sources on other clocks: UTC, Tokyo, New York, daily and bars, over a change of clocks. References are pandas' instants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.engine.core.gather import gather, source_panel
from sigc.errors import SigcError
from sigc_pipelines.compute import compute, load
from tests.world import workspace, write_strategy

# New York's clocks go forward on 10 March; Tokyo has a holiday on the 20th, New York on the 29th.
NEW_YORK = pd.bdate_range("2024-02-26", "2024-04-05").drop([pd.Timestamp("2024-03-29")])
TOKYO = pd.bdate_range("2024-02-26", "2024-04-05").drop([pd.Timestamp("2024-03-20")])
ALWAYS = pd.date_range("2024-02-26", "2024-04-05")
SESSIONS = {
    "XNYS": (NEW_YORK, "America/New_York", "09:30", "16:00"),
    "XTKS": (TOKYO, "Asia/Tokyo", "09:00", "15:00"),
    "always": (ALWAYS, "UTC", "00:00", "24:00"),
}
NAMES = ["A", "B"]


def at(calendar: str, time: str) -> pd.DatetimeIndex:
    """A time of day of each session, in UTC."""
    days, zone, _, _ = SESSIONS[calendar]
    return (days + pd.Timedelta(f"{time}:00")).tz_localize(zone).tz_convert("UTC")


def daily(calendar: str) -> Any:
    days = SESSIONS[calendar][0]
    return pd.DataFrame({n: days.day_of_year + 1000.0 * i for i, n in enumerate(NAMES)}, days)


def bars(calendar: str, minutes: int = 30) -> Any:
    """Bars that are stamped at their end."""
    _, _, first, last = SESSIONS[calendar]
    steps = pd.timedelta_range(first + ":00", last + ":00", freq=f"{minutes}min")[1:]
    stamps = pd.DatetimeIndex(sorted(t for s in steps for t in at(calendar, str(s)[7:12])))
    return pd.DataFrame({n: np.arange(len(stamps)) + 1e6 * i for i, n in enumerate(NAMES)}, stamps)


def write(path: Path, frame: Any) -> None:
    stamps = frame.index.strftime("%Y-%m-%dT%H:%M:%SZ" if frame.index.tz is not None else "%Y-%m-%d")
    frame.set_axis(stamps).rename_axis("date").to_csv(path)


def laid(folder: Path, traded: pd.DataFrame, on: str, other: pd.DataFrame, said: str, rule: str = "auto") -> Any:
    """The other source as a signal sees it, which is how pipelines read it too."""
    write(folder / "prices.csv", traded)
    write(folder / "other.csv", other)
    text = (
        f'data:\n  prices: load csv from "prices.csv" calendar={on}\n  other: load csv from "other.csv" {said}\n'
        "signal a:\n  emit other\n"
    )
    space = workspace(MemoryStore(), rule=rule)
    loaded = load(write_strategy(folder, text), space)
    found = gather(compute(loaded, loaded.strategy.roots, space), "a")
    assert source_panel(loaded.grid, space.store, "other", 3, len(found.dates)).equals(found.rows(3, len(found.dates)))
    return pd.DataFrame(found.values, traded.index, NAMES)


def newest(other: pd.DataFrame, usable: Any, when: Any) -> Any:
    """Of each instant the last row that could be used by then."""
    place = usable.searchsorted(when, side="right") - 1
    return np.where((place >= 0)[:, None], other.to_numpy()[np.maximum(place, 0)], np.nan)


def same(found: Any, expected: Any) -> None:
    assert np.array_equal(found.to_numpy(), expected, equal_nan=True), found[(found != expected).any(axis=1)]


@pytest.mark.parametrize("asof", ["", " asof=true available_after=0"])
@pytest.mark.parametrize("other", list(SESSIONS))
@pytest.mark.parametrize("on", list(SESSIONS))
def test_daily_rows_onto_daily_rows(tmp_path: Path, on: str, other: str, asof: str) -> None:
    found = laid(tmp_path, daily(on), on, daily(other), f"calendar={other}{asof}")
    closes = {calendar: at(calendar, SESSIONS[calendar][3]) for calendar in SESSIONS}
    same(found, newest(daily(other), closes[other], closes[on]))
    if (on, other) == ("XNYS", "XTKS"):
        assert found.loc["2024-03-19", "A"] == found.loc["2024-03-20", "A"] == pd.Timestamp("2024-03-19").day_of_year
    if (on, other) == ("XTKS", "XNYS"):
        assert found.loc["2024-03-12", "A"] == pd.Timestamp("2024-03-11").day_of_year


@pytest.mark.parametrize("other", ["XNYS", "XTKS", "always"])
def test_daily_rows_onto_bars_are_those_of_the_session_before(tmp_path: Path, other: str) -> None:
    traded = bars("XNYS")
    found = laid(tmp_path, traded, "XNYS", daily(other), f"calendar={other}")
    opens = at("XNYS", "09:30")
    session = opens[opens.searchsorted(traded.index, side="right") - 1]
    same(found, newest(daily(other), at(other, SESSIONS[other][3]), session))
    assert found.groupby(found.index.date).nunique().max().max() <= 1


@pytest.mark.parametrize(
    ("said", "time", "later"), [("0", "16:00", 0), ("1d", "09:30", 1), ('"1 session"', "09:30", 1)]
)
@pytest.mark.parametrize("asof", ["", " asof=true"])
def test_a_delay_says_otherwise(tmp_path: Path, said: str, time: str, later: int, asof: str) -> None:
    """0 is its own session, from its close on; a day on, the next one's open."""
    traded = bars("XNYS")
    found = laid(tmp_path, traded, "XNYS", daily("XNYS"), f"calendar=XNYS available_after={said}{asof}")
    usable = at("XNYS", time)[later:]
    own = daily("XNYS")[: len(usable)]
    same(found, newest(own, usable, traded.index))


def test_rows_of_all_seven_days_are_of_no_exchange(tmp_path: Path) -> None:
    """Whatever calendar is configured: of date t they end after New York's close of t."""
    found = laid(tmp_path, daily("XNYS"), "XNYS", daily("always"), "")
    same(found, newest(daily("always"), at("always", "24:00"), at("XNYS", "16:00")))


def test_a_calendar_by_another_name_is_the_same(tmp_path: Path) -> None:
    same(laid(tmp_path, daily("XNYS"), "XNYS", daily("XNYS"), "calendar=nyse"), daily("XNYS").to_numpy())


def test_a_delay_on_daily_rows_moves_them(tmp_path: Path) -> None:
    found = laid(tmp_path, daily("XNYS"), "XNYS", daily("XNYS"), "calendar=XNYS available_after=1d")
    same(found, daily("XNYS").shift(1).to_numpy())


@pytest.mark.parametrize("asof", ["", " asof=true available_after=0"])
@pytest.mark.parametrize("other", ["XNYS", "XTKS"])
def test_bars_onto_daily_rows(tmp_path: Path, other: str, asof: str) -> None:
    """The last bar by the close: of Tokyo that of the same date."""
    found = laid(tmp_path, daily("XNYS"), "XNYS", bars(other), f"calendar={other}{asof}")
    same(found, newest(bars(other), bars(other).index, at("XNYS", "16:00")))


def test_filings_on_bars_count_from_their_instant(tmp_path: Path) -> None:
    traded = bars("XNYS")
    stamps = ["2024-03-08 16:30", "2024-03-09 11:00", "2024-03-11 12:31", "2024-03-12 08:00", "2024-03-12 16:00"]
    (tmp_path / "other.csv").write_text(
        "ticker,period,published,other\n" + "".join(f"A,2023-12-{i + 10},{t},{i}\n" for i, t in enumerate(stamps))
    )
    write(tmp_path / "prices.csv", traded)
    text = (
        'data:\n  prices: load csv from "prices.csv" calendar=XNYS\n'
        '  other: load csv from "other.csv" column=other date_col=period asof=true available_after=published\n'
        "signal a:\n  emit other\n"
    )
    space = workspace(MemoryStore())
    loaded = load(write_strategy(tmp_path, text), space)
    found = gather(compute(loaded, loaded.strategy.roots, space), "a").values[:, 0]
    usable = pd.DatetimeIndex(stamps).tz_localize("America/New_York").tz_convert("UTC")
    place = usable.searchsorted(traded.index, side="right") - 1
    assert np.array_equal(found, np.where(place >= 0, place.astype(float), np.nan), equal_nan=True)


def test_a_row_that_a_session_lacks_is_missing_without_asof(tmp_path: Path) -> None:
    """The newest session, not the newest row: what a provider missed is not what was."""
    other = daily("XTKS").drop(pd.Timestamp("2024-03-12"))
    found = laid(tmp_path, daily("XNYS"), "XNYS", other, "calendar=XTKS")
    assert found.index[found["A"].isna()].tolist() == [pd.Timestamp("2024-03-12")]
    some = bars("XTKS")[bars("XTKS").index.date != pd.Timestamp("2024-03-12").date()]
    found = laid(tmp_path, daily("XNYS"), "XNYS", some, "calendar=XTKS")
    assert found.index[found["A"].isna()].tolist() == [pd.Timestamp("2024-03-12")]
    carried = laid(tmp_path, daily("XNYS"), "XNYS", other, "calendar=XTKS asof=true available_after=0")
    assert carried.loc["2024-03-12", "A"] == pd.Timestamp("2024-03-11").day_of_year


@pytest.mark.parametrize("rule", ["week", "17"])
def test_blocks_of_any_size(tmp_path: Path, rule: str) -> None:
    for said in ("calendar=XTKS", "calendar=XTKS asof=3d available_after=0"):
        whole = laid(tmp_path, bars("XNYS"), "XNYS", daily("XTKS"), said)
        assert whole.equals(laid(tmp_path, bars("XNYS"), "XNYS", daily("XTKS"), said, rule))


def test_sparse_bars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SigcError, match="E203"):
        laid(tmp_path, bars("XNYS"), "XNYS", bars("XNYS", 390), "calendar=XNYS frequency=1")


def test_an_age_counts_days_of_the_row(tmp_path: Path) -> None:
    other = daily("XNYS")[::5]
    found = laid(tmp_path, daily("XNYS"), "XNYS", other, "calendar=XNYS asof=3d available_after=0")
    known = other.reindex(NEW_YORK, method="ffill")
    age = NEW_YORK - pd.Series(other.index, other.index).reindex(NEW_YORK, method="ffill")
    same(found, np.where((age.dt.days <= 3).to_numpy()[:, None], known.to_numpy(), np.nan))
