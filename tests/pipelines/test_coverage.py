"""What there is of each source, row by row: against plain dates and counts, of real files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc_pipelines.compute import Loaded, Workspace, load
from sigc_pipelines.prices.coverage import Flags, SourceRows, _is_doubtful, cover, doubtful, names_read, repeated
from tests.world import WEEKDAYS, workspace, write_strategy

ROWS, NAMES = 130, tuple("ABCDEF")
DAYS = pd.bdate_range("2023-01-02", periods=ROWS)
NAN = float("nan")
TEXT = """data:
  prices: load csv from "prices.csv"
  gaps: load csv from "gaps.csv"
  weekly: load csv from "weekly.csv" asof=400d available_after={delay}
  monthly: load csv from "monthly.csv" asof=400d available_after={delay}
  daily: load csv from "daily.csv" asof=400d available_after={delay}
  every: load csv from "every.csv" asof=400d available_after={delay}
  odd: load csv from "odd.csv" asof=400d available_after={delay}
  few: load csv from "few.csv"
  sectors: load sector from "sectors.csv"
  zones: load sector from "sectors.csv"
signal s:
  emit weekly + monthly + daily + every + odd + gaps
portfolio main:
  weights = s
  backtest
"""
LAST = DAYS[79]
OWN = {  # dates of values, which end on or before the 80th row
    "weekly": pd.date_range("2022-12-16", LAST, freq="W-FRI"),
    "monthly": pd.date_range("2022-10-31", LAST, freq="ME"),
    "daily": DAYS[2:80],
    "every": pd.date_range("2022-12-20", LAST, freq="D"),
    "odd": pd.DatetimeIndex(["2022-11-01", "2022-11-05", "2022-12-30", "2023-01-02", "2023-02-20", "2023-02-22"]),
}


def world(folder: Path, delay: str = "0", text: str = TEXT) -> tuple[Loaded, Workspace]:
    def write(name: str, dates: pd.DatetimeIndex, names: tuple[str, ...] = NAMES, hidden: Flags | None = None) -> None:
        values = np.random.default_rng(len(name)).uniform(50, 51, (len(dates), len(names))).round(2)
        frame = pd.DataFrame(values if hidden is None else np.where(hidden, NAN, values), dates, list(names))
        frame.rename_axis("date").to_csv(folder / f"{name}.csv")

    write("prices", DAYS)
    write("gaps", DAYS[:100].delete([3, 50, 51]), hidden=np.arange(97)[:, None] % 7 < np.arange(6) - 3)
    write("few", DAYS.delete(20), (*NAMES[:2], "Z"))
    for name, dates in OWN.items():
        write(name, dates)
    (folder / "sectors.csv").write_text("ticker,sector\nA,X\nB,Y\n")
    space = workspace(MemoryStore(), exchanges=WEEKDAYS)
    return load(write_strategy(folder, text.format(delay=delay)), space), space


def rows_of(folder: Path, delay: str = "0", low: int = 0, stop: int = ROWS) -> dict[str, SourceRows]:
    loaded, space = world(folder, delay)
    book = loaded.strategy.portfolios[0]
    return {one.name: one for one in cover(loaded, space, book, low, stop, {})}


def newest(name: str, delay: str) -> list[pd.Timestamp | None]:
    """The newest date that was known on each row."""

    def usable(of: pd.Timestamp) -> pd.Timestamp:
        if "sessions" in delay:  # a date that is none counts as the session before it
            return pd.Timestamp(np.busday_offset(np.datetime64(of, "D"), 2, roll="backward"))
        return of + pd.Timedelta(days=int(delay.removesuffix("d")))

    known = []
    for day in DAYS:
        at = [d for d in OWN[name] if usable(d) <= day]
        known.append(at[-1] if at else None)
    return known


@pytest.mark.parametrize("delay", ["0", "3d", '"2 sessions"'])
@pytest.mark.parametrize("name", OWN)
def test_an_as_of_source_is_late_by_its_own_frequency(name: str, delay: str, tmp_path: Path) -> None:
    found, days = rows_of(tmp_path, delay)[name], int(delay.strip('"').split()[0].removesuffix("d"))
    known = newest(name, delay)
    assert [n or None for n in found.newest] == [None if d is None else str(d.date()) for d in known]
    late = []
    for day, date in zip(DAYS, known, strict=True):
        if date is None or name == "odd":
            late.append(False)
        elif name == "daily":
            at = day - pd.Timedelta(days=0 if "sessions" in delay else days)
            late.append(
                bool(
                    np.busday_count(date.date(), np.busday_offset(at.date(), 0, roll="backward"))
                    > (3 if "sessions" in delay else 1)
                )
            )
        else:
            late.append((day - date).days > {"weekly": 10, "monthly": 38, "every": 1}[name] + days)
    assert found.late.tolist() == late
    assert any(late) or name == "odd"
    assert found.is_read
    assert not found.is_static
    assert found.assets == 6


@pytest.mark.parametrize("low", [0, 40, 51])
def test_a_panel_is_late_on_rows_without_a_value(low: int, tmp_path: Path) -> None:
    found = rows_of(tmp_path, low=low)
    frame = pd.read_csv(tmp_path / "gaps.csv", index_col="date", parse_dates=True).reindex(DAYS[low:])
    counts = frame.notna().sum(axis=1)
    gaps = found["gaps"]
    assert gaps.counts.tolist() == counts.tolist()
    assert gaps.late.tolist() == (counts == 0).tolist()
    assert not gaps.off.any()
    seen = counts.index.to_series().where(counts > 0).ffill()
    assert gaps.newest == tuple("" if d is pd.NaT else str(d.date()) for d in seen)
    assert found["prices"].newest == tuple(str(d.date()) for d in DAYS[low:])
    assert not found["prices"].late.any()


def test_what_is_known_of_each_source(tmp_path: Path) -> None:
    found = rows_of(tmp_path, stop=5)
    assert sorted(found) == sorted(["prices", "gaps", "few", "sectors", "zones", *OWN])
    static, few = found["sectors"], found["few"]
    loaded, space = world(tmp_path)
    given = {"gaps": np.where(np.arange(6) < 2, NAN, np.ones((5, 6)))}
    known = {one.name: one for one in cover(loaded, space, loaded.strategy.portfolios[0], 0, 5, given)}
    assert known["gaps"].counts.tolist() == [4] * 5
    assert (static.is_static, static.assets, static.newest) == (True, 2, ("",) * 5)
    assert static.counts.tolist() == [2] * 5
    assert not (static.late | static.off).any()
    assert (few.is_read, few.is_static, few.assets, few.counts.tolist()) == (False, False, 2, [2] * 5)
    assert [n for n, one in found.items() if one.is_read] == [
        "daily",
        "every",
        "gaps",
        "monthly",
        "odd",
        "prices",
        "weekly",
    ]


def test_a_source_is_late_by_its_own_calendar(tmp_path: Path) -> None:
    """New York is closed on some weekdays; on a session of its own that lacks a row the source is late."""
    text = TEXT.replace('"gaps.csv"', '"own.csv" calendar=nyse')
    closed = pd.DatetimeIndex(["2023-01-02", "2023-01-16", "2023-02-20", "2023-04-07", "2023-05-29", "2023-06-19"])
    own = DAYS.difference(closed).delete([40, 41])
    frame = pd.DataFrame(np.random.default_rng(1).uniform(5, 6, (len(own), 6)), own, list(NAMES))
    frame.rename_axis("date").to_csv(tmp_path / "own.csv")
    loaded, space = world(tmp_path, text=text)
    (gaps,) = [s for s in cover(loaded, space, loaded.strategy.portfolios[0], 0, ROWS, {}) if s.name == "gaps"]
    assert DAYS[gaps.off].tolist() == [closed[0]]  # on later ones it goes on with the value that it has
    assert DAYS[gaps.late].tolist() == DAYS.difference(closed)[[40, 41]].tolist()


KEYS = [
    ("max_gross = 1", set()),
    ("max_sector = 0.1", {"sectors"}),
    ("sector_deviation = 0.1", {"sectors", "benchmark_weights"}),
    ("max_tracking_error = 0.1", {"benchmark_weights"}),
    ("min_adv = 5", {"volume"}),
    ("max_participation = 5", {"volume"}),
    ("min_market_cap = 5", {"market_cap"}),
    ("max_beta = 0.5", {"index"}),
]


@pytest.mark.parametrize(("limit", "read"), KEYS)
def test_a_limit_reads_its_source(limit: str, read: set[str], tmp_path: Path) -> None:
    lines = TEXT.splitlines()
    more = [f'  {n}: load csv from "prices.csv"' for n in ("volume", "market_cap", "benchmark_weights", "index")]
    kept = [line for line in lines if not line.startswith(("  weekly", "  monthly", "  daily", "  every", "  odd"))]
    text = "\n".join([*kept[:4], *more, *kept[4:]]).replace(
        "emit weekly + monthly + daily + every + odd + gaps", "emit gaps"
    )
    text = text.replace("  backtest", f"  constraints:\n    {limit}\n  backtest benchmark=index")
    loaded, _ = world(tmp_path, text=text)
    assert names_read(loaded, loaded.strategy.portfolios[0]) == {"gaps", "prices"} | read


def source_rows(
    counts: list[int], *, assets: int = 9, off: tuple[int, ...] = (), late: tuple[int, ...] = ()
) -> SourceRows:
    number = len(counts)
    flags = [np.isin(np.arange(number), of) for of in (late, off)]
    return SourceRows("s", True, False, assets, np.array(counts), tuple(map(str, range(number))), *flags)


def test_a_row_beside_the_twenty_before_it() -> None:
    rows = source_rows([100, *range(1, 31)], off=(25,), late=(26,))
    first, early, later, off, late = (rows.at(at) for at in (0, 2, 24, 25, 26))
    assert (first.values, first.mean, first.newest) == (100, 100.0, "0")
    assert (early.values, early.mean, early.newest, early.is_late) == (2, 50.5, "2", False)
    assert (later.values, later.mean) == (24, 13.5)  # of 4 to 23
    assert (off.values, off.mean) == (25, 25.0)  # no session of its own
    assert (late.mean, late.is_late, late.name, late.is_read, late.is_static, late.assets) == (
        15.5,
        True,
        "s",
        True,
        False,
        9,
    )


def test_rows_that_lack_too_much_of_what_there_was() -> None:
    counts = np.random.default_rng(1).choice([0, 4, 5, 6, 9, 10], 60).tolist()
    rows = source_rows(counts, off=(30, 31), late=(3, 40))
    expected = []
    for at, count in enumerate(counts):
        before = counts[max(0, at - 20) : at] or [0]
        less = count < 0.7 * sum(before) / len(before) - 1e-9 and at not in (30, 31)
        expected.append(less or at in (3, 40))
    assert _is_doubtful(rows, 0.3).tolist() == expected
    few = source_rows(counts, assets=4, late=(3,))
    assert np.flatnonzero(_is_doubtful(few, 0.3)).tolist() == [3]
    assert _is_doubtful(source_rows([10, 6]), 0.35).tolist() == [False, True]
    five = source_rows([10, 7, 5], assets=5)
    assert _is_doubtful(five, 0.3).tolist() == [False, False, True]


def test_the_rows_on_which_a_book_is_kept_are_told(tmp_path: Path) -> None:
    text = "\n".join(line for line in TEXT.splitlines() if "asof" not in line)
    loaded, space = world(tmp_path, text=text.replace("weekly + monthly + daily + every + odd + ", "") + "\n")
    book, space = loaded.strategy.portfolios[0], replace(space, max_coverage_drop=0.5)
    where, (told,) = doubtful(loaded, space, book, 2, 60, {})
    assert np.flatnonzero(where).tolist() == [1, 48, 49]
    assert told.message == (
        "the book is kept on 3 rows, on which sources are late or lack values: 'gaps' on 3, first on 2023-01-05"
    )
    nothing = {name: np.full((58, 6), NAN) for name in ("prices", "gaps")}
    assert doubtful(loaded, space, book, 2, 60, nothing)[0].all()
    assert doubtful(loaded, space, book, 1, 59, nothing)[0].all()
    assert not doubtful(loaded, space, book, 0, 58, nothing)[0].any()  # before a first value nothing is late
    whole = {name: np.ones((58, 6)) for name in ("prices", "gaps")}
    assert doubtful(loaded, space, book, 2, 60, whole)[1] == ()


def test_what_only_repeats() -> None:
    random = np.random.default_rng(2)
    fields = {name: random.integers(1, 3, (60, 4)).astype(float) for name in ("close", "open", "volume")}
    for values in fields.values():
        values[30:36, 1] = 7.0
        values[40:42, 2] = NAN
    found, expected = repeated(fields, "volume"), np.zeros((60, 4), bool)
    prices = repeated({n: fields[n] for n in ("close", "open")}, "volume")
    for row in range(1, 60):
        for column in range(4):
            same = {
                n: [bool(v[r, column] == v[r - 1, column]) for r in range(row, max(0, row - 3), -1)]
                for n, v in fields.items()
            }
            long = all(len(s) == 3 and all(s) for s in same.values())
            expected[row, column] = long or (same["volume"][0] and sum(s[0] for s in same.values()) >= 2)
            both = [same["close"], same["open"]]
            assert prices[row, column] == all(len(s) == 3 and all(s) for s in both)
    assert found.tolist() == expected.tolist()
    assert expected.any()
    assert prices.any()
