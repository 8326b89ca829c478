"""Kinds of input that such readers got wrong, each over csv, parquet, arrow and a frame alike."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sigc
from sigc.data.dates.exchange import Exchanges
from sigc.errors import SigcError
from sigc.source_words import Frequency
from tests.data.ways import NYSE, UNDECLARED, WAYS, cells, from_file, from_frame, from_parquet, given
from tests.needs import module

DAYS = ["2024-03-06", "2024-03-07", "2024-03-08"]
TOKYO = Exchanges("XTKS", is_declared=True)

Way = Callable[..., Any]
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda w: w.__name__)


def refusal(way: Callable[[], object]) -> str:
    with pytest.raises(SigcError) as caught:
        way()
    (found,) = caught.value.diagnostics
    return f"{found.code} {found.message} | {found.hint}"


# -- names -------------------------------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("code", ["000001", "TRUE", "1e5", "NA", "nan", "null", "1.0", "0x10", "-", "2024-01-02"])
def test_codes_are_text(tmp_path: Path, way: Way, code: str) -> None:
    columns = {"date": DAYS, "ticker": [code, "B", code], "close": [1.0, 2.0, 3.0]}
    assert set(way(tmp_path, columns)[1].names) == {code, "B"}
    labels = {"ticker": ["A", "B", "C"], "sector": [code, "x", code]}
    assert way(tmp_path, labels, name="sectors", dtype="category")[0].labels == tuple(sorted([code, "x"]))


@each_way
def test_an_empty_name_is_an_error(tmp_path: Path, way: Way) -> None:
    columns = {"date": DAYS, "ticker": ["A", "", "A"], "close": [1.0, 2.0, 3.0]}
    assert "E201" in refusal(lambda: way(tmp_path, columns))
    assert "row 3, column 'ticker': the asset is missing" in refusal(lambda: way(tmp_path, columns))


@each_way
def test_names_that_meet_without_their_blanks(tmp_path: Path, way: Way) -> None:
    columns = {"date": DAYS, "ticker": ["AAPL ", "AAPL", " AAPL"], "close": [1.0, 2.0, 3.0]}
    source, panel = way(tmp_path, columns)
    assert cells(panel) == {"AAPL": {"2024-03-06": 1.0, "2024-03-07": 2.0, "2024-03-08": 3.0}}
    assert [f.message for f in source.findings if "blanks" in f.message] != []
    wide = {"date": DAYS, "AAPL ": [1.0, 2.0, 3.0], "AAPL": [1.0, 2.0, 3.0]}
    assert "two columns 'AAPL'" in refusal(lambda: way(tmp_path, wide))
    assert way(tmp_path, {"date": DAYS, " AAPL": [1.0, 2.0, 3.0]})[1].names == ("AAPL",)


@each_way
@pytest.mark.parametrize("word", ["SID", "RIC", "DAY", "DT", "TIME", "NAME", "SYMBOL", "Date2"])
@pytest.mark.parametrize("values", [[20.0, 21.5, 22.0], [20, 21, 22]])
def test_assets_may_be_called_like_columns(tmp_path: Path, way: Way, word: str, values: list[float]) -> None:
    panel = way(tmp_path, {"date": DAYS, "AAPL": [10.0, 11.0, 12.0], word: values})[1]
    assert cells(panel)[word] == dict(zip(DAYS, map(float, values), strict=True))
    assert "AAPL" in panel.names


@each_way
def test_whole_numbers_as_codes(tmp_path: Path, way: Way) -> None:
    columns = {"date": [DAYS[0], DAYS[0], DAYS[1]], "permno": [10001, 10002, 10001], "close": [1.0, 2.0, 3.0]}
    assert cells(way(tmp_path, columns)[1]) == {
        "10001": {DAYS[0]: 1.0, DAYS[1]: 3.0},
        "10002": {DAYS[0]: 2.0, DAYS[1]: None},
    }


@each_way
def test_a_column_that_could_hold_assets_or_be_one(tmp_path: Path, way: Way) -> None:
    told = refusal(lambda: way(tmp_path, {"date": DAYS, "AAPL": [10.0, 11.0, 12.0], "SID": [7, 7, 7]}))
    assert "column 'SID' could hold the assets, or be an asset of its own" in told
    assert "symbol_col=SID" in told


@each_way
@pytest.mark.parametrize("index", ["Unnamed: 0", "__index_level_0__", "Unnamed: 3"])
def test_a_stored_row_index_is_no_asset(tmp_path: Path, way: Way, index: str) -> None:
    source, panel = way(tmp_path, {index: [7, 3, 9], "date": DAYS, "A": [1.0, 2.0, 3.0]})
    assert panel.names == ("A",)
    assert any("stored row index" in f.message for f in source.findings)


def test_the_index_that_pandas_writes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": pd.to_datetime(DAYS), "A": [1.0, 2.0, 3.0]})[1:]  # rows 1 and 2: no range
    frame.index = pd.Index([4, 9], name="row")
    frame.to_parquet(tmp_path / "p.parquet")
    source, panel = from_file(tmp_path, "p.parquet")
    assert panel.names == ("A",)
    assert any("'row' is a stored row index" in f.message for f in source.findings)
    frame.set_index("date").to_parquet(tmp_path / "q.parquet")  # an index of dates is the dates
    assert cells(from_file(tmp_path, "q.parquet")[1]) == {"A": {DAYS[1]: 2.0, DAYS[2]: 3.0}}
    pd.DataFrame({"A": [1.0, 2.0, 3.0]}, index=pd.to_datetime(DAYS)).to_csv(tmp_path / "p.csv")  # unnamed
    assert cells(from_file(tmp_path, "p.csv")[1]) == {"A": dict(zip(DAYS, [1.0, 2.0, 3.0], strict=True))}


@each_way
def test_fields_of_one_instrument(tmp_path: Path, way: Way) -> None:
    columns = {
        "Date": DAYS,
        "Open": [1.0, 2.0, 3.0],
        "High": [2.0, 3.0, 4.0],
        "Close": [1.5, 2.5, 3.5],
        "Volume": [1, 2, 3],
    }
    told = refusal(lambda: way(tmp_path, columns))
    assert told.startswith("E201")
    assert 'symbol="SPY"' in told
    assert cells(way(tmp_path, columns, symbol="SPY")[1]) == {"SPY": dict(zip(DAYS, [1.5, 2.5, 3.5], strict=True))}
    assert cells(way(tmp_path, columns, symbol="SPY", name="volume")[1])["SPY"][DAYS[0]] == 1.0


def test_one_column_of_closes_is_traded_under_no_name_of_a_field(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("date,close\n2024-03-06,1\n2024-03-07,2\n2024-03-08,3\n")
    text = 'data:\n  prices: load csv from "p.csv"{}\nportfolio main:\n  weights = prices * 0 + 1\n  backtest\n'
    (tmp_path / "s.sig").write_text(text.format(""))
    with pytest.raises(SigcError, match="which is not its name"):
        sigc.compile(tmp_path / "s.sig", cache="memory").backtest()
    (tmp_path / "s.sig").write_text(text.format(' symbol="SPY"'))
    assert list(sigc.compile(tmp_path / "s.sig", cache="memory").backtest().weights.columns) == ["SPY"]


@each_way
def test_tickers_that_are_fields_beside_others_stay_tickers(tmp_path: Path, way: Way) -> None:
    columns = {"date": DAYS, "AAPL": [1.0, 2.0, 3.0], "LOW": [1.0, 2.0, 3.0], "OPEN": [1.0, 2.0, 3.0]}
    assert way(tmp_path, columns)[1].names == ("AAPL", "LOW", "OPEN")


@each_way
def test_a_column_of_codes_under_another_name(tmp_path: Path, way: Way) -> None:
    columns = {"date": [DAYS[0], DAYS[0]], "code": ["A", "B"], "close": [1.0, 2.0]}
    assert "say symbol_col=code" in refusal(lambda: way(tmp_path, columns))
    assert way(tmp_path, columns, symbol_col="code")[1].names == ("A", "B")


# -- dates -------------------------------------------------------------------------------------------------------

LABELS = dict(zip(DAYS, [1.0, 2.0, 3.0], strict=True))


@each_way
@pytest.mark.parametrize(
    "written",
    [
        "{}",
        "{} 00:00",
        "{} 00:00:00",
        "{}T00:00:00.000",
        "{} 00:00:00+09:00",
        "{} 00:00:00-05:00",
        "{} 00:00:00 +0530",
        "{}T00:00:00Z",
        "{} 16:00",  # the close: its own session
        "{} 09:30:00",
        "{} 16:30",  # after the close: the session that closed
        "{} 05:00:00+00:00",  # midnight in New York
        "{}T21:00:00Z",  # 16:00 there
    ],
)
def test_daily_stamps_are_labels_of_sessions(tmp_path: Path, way: Way, written: str) -> None:
    columns = {"date": [written.format(d) for d in DAYS], "A": [1.0, 2.0, 3.0]}
    if written.endswith("T00:00:00Z"):
        told = refusal(
            lambda: way(tmp_path, columns)
        )  # 8 March as written, 7 March on clocks of New York: both sessions
        assert "2024-03-06 as written, and 2024-03-05 on clocks of America/New_York" in told
        assert cells(way(tmp_path, columns, zone="UTC")[1]) == {"A": LABELS}
    else:
        assert cells(way(tmp_path, columns)[1]) == {"A": LABELS}


@pytest.mark.parametrize(
    ("zone", "hour", "exchanges"),
    [
        ("Asia/Tokyo", 0, NYSE),
        ("Asia/Tokyo", 0, TOKYO),
        ("America/New_York", 0, NYSE),
        ("America/New_York", 16, NYSE),
        ("Asia/Tokyo", 15, TOKYO),
        ("Australia/Sydney", 0, NYSE),
        ("Pacific/Auckland", 0, TOKYO),
        ("Pacific/Honolulu", 0, NYSE),
    ],
)
def test_stamps_with_a_zone(tmp_path: Path, zone: str, hour: int, exchanges: Exchanges) -> None:
    stamps = pd.to_datetime(DAYS).tz_localize(zone) + pd.Timedelta(hours=hour)
    for way in (from_parquet, from_frame):
        assert cells(way(tmp_path, {"date": stamps, "A": [1.0, 2.0, 3.0]}, exchanges)[1]) == {"A": LABELS}
    wide = pd.DataFrame({"A": [1.0, 2.0, 3.0]}, index=stamps)
    assert cells(given(wide, exchanges)[1]) == {"A": LABELS}


def test_tokyo_midnights_kept_in_utc(tmp_path: Path) -> None:
    """Instants at midnight of the exchange's own zone are its labels: 8 March is 15:00 of 7 March in UTC."""
    stamps = pd.to_datetime(DAYS).tz_localize("Asia/Tokyo").tz_convert("UTC")
    for way in (from_parquet, from_frame):
        assert cells(way(tmp_path, {"date": stamps, "A": [1.0, 2.0, 3.0]}, TOKYO)[1]) == {"A": LABELS}


def test_midnight_utc_where_one_reading_gives_sessions_only(tmp_path: Path) -> None:
    friday = ["2024-03-04", "2024-03-08"]  # 3 March was a Sunday
    columns = {"date": [f"{d}T00:00:00Z" for d in friday], "A": [1.0, 2.0]}
    for way in WAYS:
        assert cells(way(tmp_path, columns)[1]) == {"A": {"2024-03-04": 1.0, "2024-03-08": 2.0}}


@each_way
@pytest.mark.parametrize(
    "bad",
    [
        "9999-12-31",
        "1500-01-01",
        "2024-02-30",
        "2024-13-01",
        "2024-3-8",
        "2024-03",
        "soon",
        "20240230",
        "31/12/2024",
        "0",
        "NaT",
        "8.3.2024",
        "1709856000",
    ],
)
def test_what_is_no_date_is_told_with_its_row(tmp_path: Path, way: Way, bad: str) -> None:
    told = refusal(lambda: way(tmp_path, {"date": ["2024-03-06", bad], "A": [1.0, 2.0]}))
    assert told.startswith("E201")
    assert "row 3, column 'date'" in told


def test_far_dates_of_typed_columns(tmp_path: Path) -> None:
    far = [datetime.date(2024, 3, 6), datetime.date(9999, 12, 31)]
    for way in (from_parquet, from_frame):
        assert "row 3, column 'date': '9999-12-31' is not a date" in refusal(
            partial(way, tmp_path, {"date": far, "A": [1.0, 2.0]})
        )
    stamps = pa.array([datetime.datetime(2024, 3, 6), datetime.datetime(1492, 10, 12)], pa.timestamp("s"))  # noqa: DTZ001
    pq.write_table(pa.table({"date": stamps, "A": [1.0, 2.0]}), tmp_path / "s.parquet")
    assert "row 3, column 'date': '1492-10-12" in refusal(lambda: from_file(tmp_path, "s.parquet"))


@each_way
def test_dates_by_a_format(tmp_path: Path, way: Way) -> None:
    columns = {"date": ["06.03.2024", "07.03.2024", "08.03.2024"], "A": [1.0, 2.0, 3.0]}
    assert 'date_format="%d.%m.%Y"' in refusal(lambda: way(tmp_path, columns))
    assert cells(way(tmp_path, columns, date_format="%d.%m.%Y")[1]) == {"A": LABELS}


@each_way
def test_slashed_dates(tmp_path: Path, way: Way) -> None:
    source, panel = way(tmp_path, {"date": ["03/06/2024", "03/07/2024", "03/08/2024"], "A": [1.0, 2.0, 3.0]})
    assert cells(panel) == {"A": LABELS}
    assert any("reads as MM/DD/YYYY and as DD/MM/YYYY" in f.message for f in source.findings)
    source, _ = way(tmp_path, {"date": ["03/11/2024", "03/13/2024"], "A": [1.0, 2.0]})
    assert not any("reads as" in f.message for f in source.findings)
    assert 'date_format="%d/%m/%Y"' in refusal(lambda: way(tmp_path, {"date": ["13/03/2024"], "A": [1.0]}))


@each_way
def test_whole_numbers_as_dates(tmp_path: Path, way: Way) -> None:
    assert cells(way(tmp_path, {"date": [20240306, 20240307, 20240308], "A": [1.0, 2.0, 3.0]})[1]) == {"A": LABELS}


@each_way
def test_rows_off_the_calendar_are_told(tmp_path: Path, way: Way) -> None:
    source, panel = way(tmp_path, {"date": ["2024-03-28", "2024-03-29", "2024-04-01"], "A": [1.0, 2.0, 3.0]})
    assert len(panel.dates) == 3
    assert any("2024-03-29" in f.message and "no session of calendar 'nyse'" in f.message for f in source.findings)


@each_way
def test_a_mixture_of_dates_and_times_is_refused(tmp_path: Path, way: Way) -> None:
    for pair in (["2024-03-06", "2024-03-07 16:00"], ["2024-03-06 16:00", "2024-03-07 16:00Z"]):
        assert "mixes dates with and without" in refusal(partial(way, tmp_path, {"date": pair, "A": [1.0, 2.0]}))


# -- intraday ----------------------------------------------------------------------------------------------------


def hours(day: str, first: int, count: int, tail: str = "") -> list[str]:
    return [f"{day} {h:02d}:00:00{tail}" for h in range(first, first + count)]


@each_way
def test_hours_are_instants(tmp_path: Path, way: Way) -> None:
    columns = {"date": hours("2024-03-08", 10, 7) + hours("2024-03-11", 10, 7), "A": np.arange(14.0)}
    source, panel = way(tmp_path, columns)
    assert source.rows.frequency == Frequency("bars", 7)
    assert str(panel.dates[0]) == "2024-03-08T15:00:00.000000000"  # EST
    assert str(panel.dates[7]) == "2024-03-11T14:00:00.000000000"  # EDT
    assert source.sessions is not None
    assert [str(d) for d in np.unique(source.sessions.astype("datetime64[D]"))] == ["2024-03-08", "2024-03-11"]


@each_way
def test_the_hour_that_comes_twice(tmp_path: Path, way: Way) -> None:
    naive = {"date": hours("2024-11-03", 0, 4), "A": [1.0, 2.0, 3.0, 4.0]}
    told = refusal(lambda: way(tmp_path, naive, UNDECLARED))
    assert "2024-11-03 01:00:00 comes twice on clocks of America/New_York" in told
    skipped = {"date": hours("2024-03-10", 0, 4), "A": [1.0, 2.0, 3.0, 4.0]}
    assert "2024-03-10 02:00:00 is skipped" in refusal(lambda: way(tmp_path, skipped, UNDECLARED))
    both = ["2024-11-03 00:00-04:00", "2024-11-03 01:00-04:00", "2024-11-03 01:00-05:00", "2024-11-03 02:00-05:00"]
    panel = way(tmp_path, {"date": both, "A": [1.0, 2.0, 3.0, 4.0]}, UNDECLARED)[1]
    assert [str(d)[11:16] for d in panel.dates] == ["04:00", "05:00", "06:00", "07:00"]


@each_way
def test_rows_outside_of_sessions(tmp_path: Path, way: Way) -> None:
    columns = {"date": hours("2024-03-08", 8, 10) + hours("2024-03-11", 8, 10), "A": np.arange(20.0)}
    source, panel = way(tmp_path, columns)
    assert len(panel.dates) == 14  # 10:00 to 16:00
    assert [f.message for f in source.findings if "6 of 20 rows are outside" in f.message] != []
    assert len(way(tmp_path, columns, hours="extended")[1].dates) == 20
    tokyo = {"date": hours("2024-03-08", 9, 6, "+09:00"), "A": np.arange(6.0)}
    assert "calendar 'nyse'" in refusal(lambda: way(tmp_path, tokyo))
    assert len(way(tmp_path, tokyo, calendar="XTKS")[1].dates) == 6


# -- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1,234.5", "without thousands marks"),
        ("1.234,5", "without thousands marks"),
        ("1,5", 'decimal=","'),
        ("$10", "without a currency"),
        ("5%", "without a currency"),
        ("1_000", ""),
        ("0x1A", ""),
        ("abc", "say dtype=category"),
        ("inf", ""),
        ("-Infinity", ""),
    ],
)
def test_what_is_no_number_is_told_with_its_row(tmp_path: Path, text: str, told: str) -> None:
    columns = {"date": DAYS[:2], "A": ["1.5", text]}
    for way in WAYS:
        found = refusal(partial(way, tmp_path, columns))
        assert found.startswith("E201")
        assert "row 3, column 'A'" in found
        assert told in found


@each_way
def test_numbers_in_text_and_in_other_types(tmp_path: Path, way: Way) -> None:
    text = ["1.5", "+2", ".5", "1e3", "-0.25", "7.", "", "NaN", "null"]
    days = [str(d) for d in np.arange("2024-03-04", "2024-03-13", dtype="datetime64[D]")]
    found = cells(way(tmp_path, {"date": days, "A": text})[1])["A"]
    assert list(found.values()) == [1.5, 2.0, 0.5, 1000.0, -0.25, 7.0, None, None, None]
    typed = [Decimal("10.1000"), Decimal("10.2000"), None]
    assert list(cells(way(tmp_path, {"date": DAYS, "A": typed})[1])["A"].values()) == [10.1, 10.2, None]
    flags = [True, False, None]
    assert list(cells(way(tmp_path, {"date": DAYS, "A": flags})[1])["A"].values()) == [1.0, 0.0, None]
    whole = pa.array([1, 2, None], pa.int16()) if way is not WAYS[3] else [1, 2, None]
    if way is not WAYS[0]:
        assert list(cells(way(tmp_path, {"date": DAYS, "A": whole})[1])["A"].values()) == [1.0, 2.0, None]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_dialects_of_csv(tmp_path: Path, mark: str) -> None:
    (tmp_path / "p.csv").write_bytes(
        f"\ufeffdate{mark}A{mark}B\r\n2024-03-06{mark}1,5{mark}2\n2024-03-07{mark}2,5{mark}\r\n".encode()
    )
    assert 'decimal=","' in refusal(lambda: from_file(tmp_path, "p.csv"))
    panel = from_file(tmp_path, "p.csv", decimal=",")[1]
    assert cells(panel) == {"A": {DAYS[0]: 1.5, DAYS[1]: 2.5}, "B": {DAYS[0]: 2.0, DAYS[1]: None}}


# -- frames ------------------------------------------------------------------------------------------------------


def long_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "date": np.repeat(pd.to_datetime(DAYS), 2),
            "ticker": ["A", "B"] * 3,
            "close": [1.0, 10.0, 2.0, 20.0, 3.0, 30.0],
        }
    )


def shapes() -> dict[str, Any]:
    flat = long_frame()
    wide = flat.pivot_table(index="date", columns="ticker", values="close")
    texts = wide.set_axis(DAYS)
    return {
        "wide": wide,
        "text index": texts,
        "date objects": wide.set_axis([datetime.date.fromisoformat(d) for d in DAYS]),
        "period index": wide.set_axis(pd.PeriodIndex(DAYS, freq="D")),
        "long": flat,
        "long, shuffled": flat.sample(frac=1.0, random_state=3),
        "levels": flat.set_index(["date", "ticker"]),
        "levels, turned": flat.set_index(["ticker", "date"]).sort_index(),
        "levels, other names": flat.set_index(["date", "ticker"]).rename_axis(["datetime", "instrument"]),
        "levels, no names": flat.set_index(["date", "ticker"]).rename_axis([None, None]),
        "series of levels": flat.set_index(["date", "ticker"])["close"],
        "fields by asset": {n: g.drop(columns="ticker").set_index("date") for n, g in flat.groupby("ticker")},
        "series by asset": {n: g.set_index("date")["close"] for n, g in flat.groupby("ticker")},
        "frames by field": {"close": wide, "volume": wide * 0.0},
        "columns of levels": pd.concat({"Close": wide, "Volume": wide * 0.0}, axis=1),
        "columns of levels, turned": pd.concat({"Close": wide, "Volume": wide * 0.0}, axis=1).swaplevel(axis=1),
        "arrow": pa.Table.from_pandas(flat),
        "row numbers as index": flat.set_axis([5, 3, 1, 8, 9, 2]),
    }


@pytest.mark.parametrize("shape", shapes())
def test_frames_as_quants_have_them(shape: str) -> None:
    _, expected = given(long_frame())
    assert cells(expected) == {"A": LABELS, "B": {d: 10.0 * v for d, v in LABELS.items()}}
    assert given(shapes()[shape])[1].equals(expected)


def test_frames_of_polars() -> None:
    polars = module("polars")  # a peer of benchmarks
    assert given(polars.from_pandas(long_frame()))[1].equals(given(long_frame())[1])


def test_months_count_from_their_last_day() -> None:
    frame = pd.DataFrame({"A": [1.0, 2.0]}, index=pd.PeriodIndex(["2024-01", "2024-02"], freq="M"))
    assert cells(given(frame)[1]) == {"A": {"2024-01-31": 1.0, "2024-02-29": 2.0}}


@pytest.mark.parametrize(
    "odd",
    [{}, {"A": 1}, 7, "prices.csv", [1.0, 2.0], np.zeros((2, 2)), pd.DataFrame(), pd.DataFrame({"A": [1.0]})],
    ids=str,
)
def test_what_is_no_table_is_told(odd: Any) -> None:
    assert refusal(lambda: given(odd)).startswith(("E201", "E202"))


# -- folders -----------------------------------------------------------------------------------------------------


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    for place, day, value in (
        ("2023", "2023-12-29", 1),
        ("year=2024/month=1/", "2024-01-02", 2),
        ("year=2024/", "2024-01-03", 3),
    ):
        folder = tmp_path / "px" / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "part.csv").write_text(f"date,A\n{day},{value}\n")
    (tmp_path / "px" / "_SUCCESS").touch()
    (tmp_path / "px" / ".part.csv.tmp").touch()
    panel = from_file(tmp_path, "px")[1]
    assert cells(panel) == {"A": {"2023-12-29": 1.0, "2024-01-02": 2.0, "2024-01-03": 3.0}}
    (tmp_path / "px" / "README").touch()
    assert "holds 'README', which is not a data file" in refusal(lambda: from_file(tmp_path, "px"))
