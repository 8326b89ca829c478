"""Corporate actions of files: both forms, every format, every error; real ones."""

from __future__ import annotations

import datetime
import random
import timeit
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.actions import Action, ActionKind
from sigc.data.actions.action_files import CorporateActions, digest_of, held_actions, read_actions, rows_of_prices
from sigc.data.actions.corporate_kinds import WORDS
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError
from tests.data.ways import NYSE, spec_of
from tests.needs import module

EXCHANGE = NYSE.of()
LONG = """\
date,ticker,kind,value,into,ratio,cash,pay_date,id
2014-06-09,AAPL,Stock Split,7:1,,,,,
2014-08-07,AAPL,Cash Dividend,0.47,,,,2014-08-14,d1
2014-08-07,AAPL,dividend,,,,0.03,2014-08-14,d2
2022-06-09,FB,rename,,META,,,,
2013-09-30,SAI,spin-off,,SAIC,0.142857,,,
2013-09-30,OLD,spinoff,,,,5.5,2013-10-15,
2016-09-07,EMC,MERGER,,DELL,0.11146,24.05,,
2008-09-18,LEH,delist,0.03,,,,,
"""
ACTIONS = (
    Action(date(2008, 9, 18), "LEH", ActionKind.DELIST, value=0.03),
    Action(date(2013, 9, 30), "OLD", ActionKind.SPINOFF, Fraction(0), 5.5, pay_date=date(2013, 10, 15)),
    Action(date(2013, 9, 30), "SAI", ActionKind.SPINOFF, Fraction(1, 7), into="SAIC"),
    Action(date(2014, 6, 9), "AAPL", ActionKind.SPLIT, Fraction(7)),
    Action(date(2014, 8, 7), "AAPL", ActionKind.DIVIDEND, cash=0.47, pay_date=date(2014, 8, 14), id="d1"),
    Action(date(2014, 8, 7), "AAPL", ActionKind.DIVIDEND, cash=0.03, pay_date=date(2014, 8, 14), id="d2"),
    Action(date(2016, 9, 7), "EMC", ActionKind.MERGE, Fraction("0.11146"), 24.05, "DELL"),
    Action(date(2022, 6, 9), "FB", ActionKind.RENAME, into="META"),
)


def spec(**said: Any) -> SourceSpec:
    return replace(spec_of("acts.csv", "corporate_actions", **said), is_actions=True)


def read(folder: Path, text: str, **said: Any) -> CorporateActions:
    (folder / "acts.csv").write_text(text)
    return read_actions(spec(**said), [str(folder / "acts.csv")], EXCHANGE)


def refused(folder: Path, text: str, **said: Any) -> str:
    with pytest.raises(SigcError) as raised:
        read(folder, text, **said)
    first = raised.value.diagnostics[0]
    return f"{first.code} {first.message.split('acts.csv ')[-1]} ({first.hint})"


# -- the long form -----------------------------------------------------------------------------------------------


def test_the_long_form(tmp_path: Path) -> None:
    assert read(tmp_path, LONG) == CorporateActions(ACTIONS)


def _parquet(folder: Path, frame: pd.DataFrame) -> CorporateActions:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "a.parquet")
    return read_actions(spec(), [str(folder / "a.parquet")], EXCHANGE)


def _arrow(folder: Path, frame: pd.DataFrame) -> CorporateActions:
    feather.write_feather(pa.Table.from_pandas(frame, preserve_index=False), str(folder / "a.arrow"))
    return read_actions(spec(), [str(folder / "a.arrow")], EXCHANGE)


def _frame(_: Path, frame: pd.DataFrame) -> CorporateActions:
    return held_actions(spec(), frame, EXCHANGE)


def _indexed(_: Path, frame: pd.DataFrame) -> CorporateActions:
    return held_actions(spec(), frame.set_index("date"), EXCHANGE)


def _table(_: Path, frame: pd.DataFrame) -> CorporateActions:
    return held_actions(spec(), pa.Table.from_pandas(frame, preserve_index=False), EXCHANGE)


def _polars(_: Path, frame: pd.DataFrame) -> CorporateActions:
    polars = module("polars")
    return held_actions(spec(), polars.from_pandas(frame), EXCHANGE)


ELSEWHERE = (_parquet, _arrow, _frame, _indexed, _table, _polars)


@pytest.mark.parametrize("way", ELSEWHERE)
def test_every_format_gives_the_same_actions(tmp_path: Path, way: Callable[..., CorporateActions]) -> None:
    (tmp_path / "l.csv").write_text(LONG)
    frame = pd.read_csv(tmp_path / "l.csv", parse_dates=["date", "pay_date"])
    assert way(tmp_path, frame) == CorporateActions(ACTIONS)
    assert way(tmp_path, pd.read_csv(tmp_path / "l.csv", dtype=str)) == CorporateActions(ACTIONS)  # all of it as text


@pytest.mark.parametrize("way", ELSEWHERE)
def test_splits_and_dividends_as_columns_in_every_format(tmp_path: Path, way: Callable[..., CorporateActions]) -> None:
    text = "date,ticker,dividend,split\n2014-06-09,AAPL,0,7.000007\n2014-08-07,AAPL,0.47,1\n2015-06-25,KO,,\n"
    (tmp_path / "c.csv").write_text(text)
    frame = pd.read_csv(tmp_path / "c.csv", parse_dates=["date"])
    wanted = CorporateActions(
        (
            Action(date(2014, 6, 9), "AAPL", ActionKind.SPLIT, Fraction(7)),
            Action(date(2014, 8, 7), "AAPL", ActionKind.DIVIDEND, cash=0.47),
        )
    )
    assert way(tmp_path, frame) == read(tmp_path, text) == wanted


def _types(table: pa.Table, text: pa.DataType) -> pa.Table:
    kinds = [text if f.type in (pa.string(), pa.large_string()) else f.type for f in table.schema]
    return table.cast(pa.schema(list(zip(table.schema.names, kinds, strict=True))))


@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_every_type_of_text_in_several_batches(tmp_path: Path, text: pa.DataType) -> None:
    (tmp_path / "l.csv").write_text(LONG)
    frame = pd.read_csv(tmp_path / "l.csv", parse_dates=["date", "pay_date"])
    table = _types(pa.Table.from_pandas(frame, preserve_index=False), text)
    parts = pa.concat_tables([table.slice(0, 3), table.slice(3, 2), table.slice(5)])
    assert held_actions(spec(), parts, EXCHANGE) == CorporateActions(ACTIONS)
    labelled = frame.astype(dict.fromkeys(["ticker", "kind", "into", "id"], "category"))
    assert held_actions(spec(), labelled, EXCHANGE) == CorporateActions(ACTIONS)


def test_cells_of_every_type_mean_what_they_say(tmp_path: Path) -> None:
    day = pa.array([date(2014, 8, 7)] * 3)
    wanted = (
        Action(date(2014, 8, 7), "10001", ActionKind.RENAME, into="10003"),
        Action(date(2014, 8, 7), "10002", ActionKind.DIVIDEND, cash=0.47, id="5"),
        Action(date(2014, 8, 7), "10004", ActionKind.DIVIDEND, cash=2.0, id="6"),
    )
    for value in (pa.float32(), pa.float64(), pa.decimal128(9, 2), pa.string()):
        table = pa.table(
            {
                "date": day,
                "permno": [10001, 10002, 10004],
                "kind": ["rename", "dividend", "dividend"],
                "value": pa.array([None, "0.47", "2"]).cast(value),
                "into": [10003.0, None, None],  # as pandas has whole numbers with missing ones
                "id": [None, 5, 6],
                "pay_date": pa.nulls(3),
                "ratio": pa.nulls(3),
            }
        )
        assert held_actions(spec(), table, EXCHANGE) == CorporateActions(wanted), value
    columns = {"date": day, "ticker": ["A", "B", "C"], "dividend": pa.nulls(3)}
    for kind in (pa.decimal128(9, 2), pa.float32(), pa.string(), pa.int64()):
        split = pa.array(["7", None, "1"]).cast(kind)
        for column in (split, split.dictionary_encode()):
            found = held_actions(spec(), pa.table({**columns, "split": column}), EXCHANGE)
            assert found.actions == (Action(date(2014, 8, 7), "A", ActionKind.SPLIT, Fraction(7)),)


def test_rows_stand_in_any_order_and_in_several_files(tmp_path: Path) -> None:
    head, *rows = LONG.splitlines()
    random.Random(7).shuffle(rows)
    for name, part in (("a.csv", rows[:3]), ("b.csv", rows[3:])):
        (tmp_path / name).write_text("\n".join([head, *part]) + "\n")
    files = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert read_actions(spec(), files, EXCHANGE) == CorporateActions(ACTIONS)


def test_names_are_never_retyped(tmp_path: Path) -> None:
    text = (
        "date,ticker,kind,into\n2020-01-02,000001,rename,000002\n2020-01-02,TRUE,rename,1e5\n2020-01-02, NA ,rename,X\n"
    )
    found = [(a.asset, a.into) for a in read(tmp_path, text).actions]
    assert found == [("000001", "000002"), ("NA", "X"), ("TRUE", "1e5")]


def test_dates_are_read_as_in_any_source(tmp_path: Path) -> None:
    text = "ex_date,symbol,kind,value,pay_date\n09.06.2014,AAPL,split,7,\n07.08.2014,AAPL,dividend,0.47,14.08.2014\n"
    found = read(tmp_path, text, date_format="%d.%m.%Y").actions
    assert [(a.ex_date, a.pay_date) for a in found] == [
        (date(2014, 6, 9), None),
        (date(2014, 8, 7), date(2014, 8, 14)),
    ]
    instants = "date,ticker,kind,value\n2014-06-09T13:30:00Z,AAPL,split,7\n"
    assert read(tmp_path, instants).actions[0].ex_date == date(2014, 6, 9)
    assert read(tmp_path, "day,ticker,kind,value\n2014-06-08,AAPL,split,7\n").findings == ()  # a Sunday


def test_decimal_commas(tmp_path: Path) -> None:
    text = "date;ticker;kind;value\n2014-08-07;AAPL;dividend;0,47\n2020-08-31;TSLA;split;1,5\n"
    found = read(tmp_path, text, decimal=",").actions
    assert [(a.cash, a.ratio) for a in found] == [(0.47, 1), (0.0, Fraction(3, 2))]


def test_one_asset_needs_no_column(tmp_path: Path) -> None:
    assert read(tmp_path, "date,split\n2014-06-09,7\n", symbol="AAPL").actions[0].asset == "AAPL"
    (tmp_path / "SPY.csv").write_text("date,dividend\n2024-03-15,1.59\n")
    assert read_actions(spec(symbol_from="filename"), [str(tmp_path / "SPY.csv")], EXCHANGE).actions == (
        Action(date(2024, 3, 15), "SPY", ActionKind.DIVIDEND, cash=1.59),
    )


def test_the_column_of_ex_dates(tmp_path: Path) -> None:
    for head in ("when,ticker,kind,value", "Ex-Date,ticker,kind,value", "as_of,type,ticker,kind,value"):
        cells = "2014-06-09,x,AAPL,split,7" if "type" in head else "2014-06-09,AAPL,split,7"
        assert read(tmp_path, f"{head}\n{cells}\n").actions == ACTIONS[3:4]
    both = "date,ex_date,declared,ticker,kind,value\n2014-04-23,2014-06-09,2014-04-23,AAPL,split,7\n"
    assert read(tmp_path, both).actions == ACTIONS[3:4]
    assert read(tmp_path, both, date_col="date").actions == (replace(ACTIONS[3], ex_date=date(2014, 4, 23)),)
    said = "announced,on,ticker,kind,value\n2014-04-23,2014-06-09,AAPL,split,7\n"
    assert read(tmp_path, said).actions == ACTIONS[3:4]
    frame = pd.DataFrame({"on": pd.to_datetime(["2014-06-09"]), "ticker": ["AAPL"], "split": [7]})
    assert held_actions(spec(), frame, EXCHANGE).actions == ACTIONS[3:4]


def test_the_column_of_assets(tmp_path: Path) -> None:
    text = "date,name,ticker,kind,value,mine\n2014-06-09,Apple Inc,AAPL,split,7,320193\n"
    assert read(tmp_path, text).actions == ACTIONS[3:4]
    assert read(tmp_path, text, symbol_col="mine").actions[0].asset == "320193"
    assert "E202 has no column 'mime' (did you mean 'mine'?)" in refused(tmp_path, text, symbol_col="mime")


@pytest.mark.parametrize("word", sorted(WORDS))
def test_words_of_kinds(tmp_path: Path, word: str) -> None:
    kind = WORDS[word]
    cells = {"split": "1:4,,,", "dividend": "0.5,,,", "rename": ",B,,", "delist": "3,,,"}.get(kind, ",B,0.5,2")
    for shown in (word, word.upper(), word.replace(" ", "_"), word.replace(" ", "-")):
        found = read(tmp_path, f"date,ticker,kind,value,into,ratio,cash\n2020-01-02,A,{shown},{cells}\n").actions
        assert [a.kind for a in found] == [kind]


@pytest.mark.parametrize(
    ("written", "ratio"),
    [
        ("1.499999", Fraction(3, 2)),
        ("3.000003", Fraction(3)),
        ("0.333333", Fraction(1, 3)),
        ("1:10", Fraction(1, 10)),
        ("3-for-2", Fraction(3, 2)),
        ("1.0317", Fraction(10317, 10000)),
    ],
)
def test_ratios(tmp_path: Path, written: str, ratio: Fraction) -> None:
    for text in (
        f"date,ticker,kind,value\n2020-01-02,A,split,{written}\n",
        f"date,ticker,split\n2020-01-02,A,{written}\n",
    ):
        assert read(tmp_path, text).actions[0].ratio == ratio


def test_what_does_nothing_is_no_action(tmp_path: Path) -> None:
    assert (
        read(tmp_path, "date,ticker,kind,value\n2020-01-02,A,split,1\n2020-01-02,A,dividend,0\n") == CorporateActions()
    )
    assert read(tmp_path, "date,ticker,kind,value\n2020-01-02,A,reverse split,1\n") == CorporateActions()
    assert read(tmp_path, "date,ticker,kind,value\n") == CorporateActions()
    assert (
        read(tmp_path, "date,ticker,split,dividend\n2020-01-02,A,1,0\n2020-01-03,A,0,\n2020-01-06,A,,NaN\n")
        == CorporateActions()
    )


def test_delistings_by_value_by_return_or_by_neither(tmp_path: Path) -> None:
    text = "date,ticker,kind,value,return\n2020-01-02,A,delist,0,\n2020-01-02,B,delist,,-0.3\n2020-01-02,C,delist,,\n"
    assert [(a.value, a.total_return) for a in read(tmp_path, text).actions] == [
        (0.0, None),
        (None, -0.3),
        (None, None),
    ]


def test_dividends_of_a_day_add_up_exactly(tmp_path: Path) -> None:
    text = "date,ticker,kind,value,pay_date\n2020-01-02,A,dividend,0.1,\n2020-01-02,A,dividend,0.2,\n"
    summed = read(tmp_path, text)
    assert summed.findings == ()
    assert [a.cash for a in summed.actions] == [0.3]  # the sum of the floats is 0.30000000000000004
    told = read(tmp_path, text.replace("0.1,\n", "0.1,2020-02-03\n"))
    assert [(a.cash, a.pay_date) for a in told.actions] == [(0.3, date(2020, 2, 3))]
    assert [(f.code, "paid on different days" in f.message) for f in told.findings] == [("W007", True)]


def test_an_action_that_is_written_twice_counts_once(tmp_path: Path) -> None:
    split = "date,ticker,kind,value\n2020-01-02,A,split,2\n2020-01-02,A,split,2:1\n"
    assert [a.ratio for a in read(tmp_path, split).actions] == [2]
    paid = "date,ticker,kind,value,id\n2020-01-02,A,dividend,0.5,x\n2020-01-02,A,dividend,0.5,x\n"
    assert [a.cash for a in read(tmp_path, paid).actions] == [0.5]
    spun = "date,ticker,kind,into,ratio\n2020-01-02,A,spinoff,B,0.5\n2020-01-02,A,spinoff,C,0.25\n"
    assert [a.into for a in read(tmp_path, spun).actions] == ["B", "C"]
    assert [a.into for a in read(tmp_path, f"{spun}2020-01-02,A,spinoff,C,1:4\n").actions] == ["B", "C"]


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ("split,2,A,1,0,0", {"ratio": Fraction(2)}),
        ("split,0.5,,1,,", {"ratio": Fraction(1, 2)}),
        ("split,2,,2:1,,", {"ratio": Fraction(2)}),
        ("reverse split,1:2,,,,", {"ratio": Fraction(1, 2)}),
        ("dividend,0,A,1,0.5,0.0", {"cash": 0.5}),
        ("dividend,0.5,,0,0.5,", {"cash": 0.5}),
        ("rename,0,B,1,0,", {"into": "B"}),
        ("delist,0,,1,0,0.25", {"value": 0.0}),
        ("delist,,,,12.5,", {"value": 12.5}),
        ("delist,,,,,-1", {"total_return": -1.0}),
        ("spinoff,,,1,5,", {"ratio": Fraction(0), "cash": 5.0}),
        ("spinoff,0,B,0.25,0,0", {"ratio": Fraction(1, 4), "into": "B"}),
        ("merge,0,B,0,9,0", {"ratio": Fraction(0), "cash": 9.0, "into": "B"}),
        ("merge,,B,,9,", {"ratio": Fraction(0), "cash": 9.0, "into": "B"}),
        ("merge,,B,1,9,", {"ratio": Fraction(1), "cash": 9.0, "into": "B"}),
        ("merge,,B,0.5,,", {"ratio": Fraction(1, 2), "into": "B"}),
    ],
)
def test_columns_that_are_filled_with_what_means_nothing(tmp_path: Path, cells: str, says: dict[str, Any]) -> None:
    text = f"date,ticker,kind,value,into,ratio,cash,return\n2020-01-02,A,{cells}\n"
    kind = WORDS[cells.split(",", 1)[0]]
    assert read(tmp_path, text) == CorporateActions((Action(date(2020, 1, 2), "A", kind, **says),))


# -- errors ------------------------------------------------------------------------------------------------------

HEAD = "date,ticker,kind,value,into,ratio,cash,return,pay_date,id\n"
GOOD = "2020-01-02,A,split,2,,,,,,\n"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("2020-01-03,A,spilt,2,,,,,,", "row 3, column 'kind': unknown kind of action 'spilt' (did you mean 'split'?)"),
        ("2020-01-03,A,stock dividend,2,,,,,,", "as a split: one of 5 % is 1.05"),
        ("2020-01-03,A,,2,,,,,,", "row 3, column 'kind': the kind is missing"),
        ("2020-01-03,A,split,4:0,,,,,,", "row 3, column 'value': invalid ratio '4:0'"),
        ("2020-01-03,A,split,-2,,,,,,", "row 3, column 'value': invalid ratio '-2'"),
        ("2020-01-03,A,split,0,,,,,,", "row 3, column 'value': invalid ratio '0'"),
        ("2020-01-03,A,split,two,,,,,,", "row 3, column 'value': 'two' is not a number"),
        ("2020-01-03,A,split,inf,,,,,,", "row 3, column 'value': the value is infinite"),
        ("2020-01-03,A,split,,,,,,,", "row 3: a split without a ratio"),
        ("2020-01-03,A,split,2,,3,,,,", "row 3: value and ratio of the split differ"),
        ("2020-01-03,A,reverse split,10,,,,,,", "a reverse split of 10 can be 10 for 1, or 1 for 10"),
        ("2020-01-03,A,reverse split,2,,,,,,", "a reverse split of 2 can be 2 for 1, or 1 for 2 (write new shares"),
        ("2020-01-03,A,split,,,,5,,,", "row 3, column 'cash': '5' is not used by a split"),
        (
            "2020-01-03,A,split,2,B,,,,,",
            "row 3, column 'into': 'B' is not used by a split (a split uses value and",
        ),
        ("2020-01-03,A,dividend,1,,2,,,,", "row 3, column 'ratio': '2' is not used by a dividend"),
        ("2020-01-03,A,dividend,1,,4:1,,,,", "row 3, column 'ratio': '4:1' is not used by a dividend"),
        ("2020-01-03,A,dividend,1,,,,0.1,,", "row 3, column 'return': '0.1' is not used by a dividend"),
        ("2020-01-03,A,merge,1,B,,9,,,", "row 3, column 'value': '1' is not used by a merge"),
        ("2020-01-03,A,rename,,B,,1,,,", "row 3, column 'cash': '1' is not used by a rename"),
        ("2020-01-03,A,spinoff,,,2,5,,,", "a spin-off of shares of an unnamed company"),
        ("2020-01-03,A,dividend,-0.5,,,,,,", "row 3: the dividend is negative: -0.5"),
        ("2020-01-03,A,dividend,$1,,,,,,", "row 3, column 'value': '$1' is not a number"),
        ("2020-01-03,A,dividend,,,,,,,", "row 3: a dividend without an amount"),
        ("2020-01-03,A,dividend,1,,,2,,,", "row 3: value and cash of the dividend differ"),
        ("2020-01-03,A,dividend,1,,,,,soon,", "row 3, column 'pay_date': 'soon' is not a date"),
        ("2020-01-03,A,rename,,,,,,,", "row 3, column 'into': a rename without into"),
        ("2020-01-03,A,rename,,A,,,,,", "a rename of 'A' into itself"),
        ("2020-01-03,A,merge,,,0.5,,,,", "row 3, column 'into': a merge without into"),
        ("2020-01-03,A,merge,,B,,,,,", "row 3: a merge with neither ratio nor cash"),
        ("2020-01-03,A,cash merger,20,,,,,,", "as delist, with the cash per share as its value"),
        ("2020-01-03,A,spinoff,,B,,,,,", "row 3, column 'ratio': a spin-off without a ratio"),
        ("2020-01-03,A,spinoff,,,0.5,,,,", "a spin-off of shares of an unnamed company"),
        ("2020-01-03,A,spinoff,,,,,,,", "a spin-off without into, and without cash"),
        ("2020-01-03,A,merge,,B,0.5,-1,,,", "row 3: the cash is negative: -1"),
        ("2020-01-03,A,delist,-1,,,,,,", "row 3: the payment is negative: -1"),
        ("2020-01-03,A,delist,,,,,-1.5,,", "row 3, column 'return': a return of -1.5 is below -1"),
        ("2020-01-03,A,dividend,1,B,,,,,", "row 3, column 'into': 'B' is not used by a dividend"),
        ("2020-01-03,A,merge,2,B,0.5,,,,", "row 3, column 'value': '2' is not used by a merge"),
        ("2020-02-30,A,dividend,1,,,,,,", "row 3, column 'date': '2020-02-30' is not a date"),
        (",A,dividend,1,,,,,,", "row 3, column 'date': the date is missing"),
        ("2020-01-03,,dividend,1,,,,,,", "row 3, column 'ticker': the asset is missing"),
        ("2020-01-02,A,split,3,,,,,,", "has two actions 'split' of 'A' on 2020-01-02: row 2 and row 3, 2:1 and 3:1"),
    ],
)
def test_what_is_refused(tmp_path: Path, row: str, says: str) -> None:
    text = refused(tmp_path, f"{HEAD}{GOOD}{row}\n")
    assert text.startswith("E201")
    assert says in text


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (("split,2,,,,,,", "split,3:2,,,,,,x"), "2:1 and 3:2 (remove one)"),
        (("dividend,1,,,,,,x", "dividend,2,,,,,,x"), "1 and 2 (remove one)"),
        (("dividend,1,,,,,,", "dividend,1,,,,,,"), "1 both times (remove one, or give each an id of its own)"),
        (("rename,,B,,,,,", "rename,,C,,,,,"), "'B' and 'C' (remove one)"),
        (("delist,3,,,,,,", "delist,,,,,-0.5,,"), "3 and -0.5 (remove one)"),
        (("delist,,,,,,,", "delist,0,,,,,,"), "nothing and 0 (remove one)"),
        (("spinoff,,B,0.5,,,,", "spinoff,,B,0.25,,,,"), "1/2 of 'B' and 0 and 1/4 of 'B' and 0 (remove one)"),
        (("merge,,B,0.5,9,,,", "merge,,C,0.5,9,,,"), "1/2 of 'B' and 9 and 1/2 of 'C' and 9 (remove one)"),
    ],
)
def test_two_that_differ(tmp_path: Path, rows: tuple[str, str], says: str) -> None:
    text = HEAD + "".join(f"2020-01-02,A,{r}\n2020-01-02,B,split,2,,,,,,\n" for r in rows)
    assert refused(tmp_path, text).endswith(f"row 2 and row 4, {says}")


def test_two_of_one_id_or_of_none(tmp_path: Path) -> None:
    head = "date,ticker,kind,value,id\n"
    same = refused(tmp_path, f"{head}2020-01-02,A,dividend,0.5,\n2020-01-02,A,dividend,0.5,\n")
    assert "row 2 and row 3, 0.5 both times (remove one, or give each an id" in same
    other = refused(tmp_path, f"{head}2020-01-02,A,dividend,0.5,x\n2020-01-02,A,dividend,0.6,x\n")
    assert "row 2 and row 3, 0.5 and 0.6" in other
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"{head}2020-01-02,A,split,{ord(name)},\n")
    with pytest.raises(SigcError, match=r"row 2 and row 2 of .*b\.csv, 97:1 and 98:1"):
        read_actions(spec(), [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], EXCHANGE)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("date,ticker,close\n2020-01-02,A,1\n", "E202 has no column 'kind', and neither 'split' nor 'dividend'"),
        ("date,kind,value\n2020-01-02,split,2\n", "E202 has no column of assets"),
        ("ticker,kind,value\nA,split,2\n", "E202 has no date column"),
        ("record_date,ticker,kind,value\n2020-01-02,A,split,2\n", "E202 has no date column (name the one of ex-dates"),
        ("on,or,ticker,split\n2020-01-02,2020-01-03,A,2\n", "E202 has several columns of dates: 'on', 'or'"),
        ("date,ticker,split,splits,dividend\n2020-01-02,A,2,2,0\n", ""),  # the exact name counts
        ("date,ticker,Splits,stock split\n2020-01-02,A,2,2\n", "E201 has two columns for the split"),
        (
            "date,ticker,dividend\n2020-01-02,A,1\n2020-01-03,A,-1\n",
            "E201 row 3, column 'dividend': the dividend is neg",
        ),
        ("date,ticker,split\n2020-01-02,A,2\n2020-01-02,B,2\n2020-01-02,A,3\n", "row 2 and row 4, 2:1 and 3:1"),
        ("date,ticker,dividend\n2020-01-02,A,2\n2020-01-02,B,2\n2020-01-02,A,2\n", "row 2 and row 4, 2 both times"),
        ("date,ticker,split\n2020-01-02,A,1\n2020-01-03,A,-2\n", "E201 row 3, column 'split': invalid ratio '-2'"),
        (
            "date,ticker,split\n2020-01-02,A,1\n2020-01-03,A,four\n",
            "E201 row 3, column 'split': 'four' is not a number",
        ),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, says: str) -> None:
    if says:
        assert says in refused(tmp_path, text)
    else:
        assert len(read(tmp_path, text).actions) == 1


# -- columns of a file of prices ---------------------------------------------------------------------------------


def test_the_columns_of_prices(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "date,ticker,close,volume,Dividends,Stock Splits\n2014-06-06,AAPL,645.57,1,0,0\n2014-06-09,AAPL,93.7,1,0,7\n"
        "2014-08-07,AAPL,94.48,1,0.47,0\n2014-08-07,KO,39.5,1,0,0\n"
    )
    found = rows_of_prices(spec_of("p.csv"), [str(tmp_path / "p.csv")], EXCHANGE)
    assert found.actions == (
        Action(date(2014, 6, 9), "AAPL", ActionKind.SPLIT, Fraction(7)),
        Action(date(2014, 8, 7), "AAPL", ActionKind.DIVIDEND, cash=0.47),
    )
    for wide in ("date,AAPL,KO\n2014-06-06,645.57,41\n", "date,AAPL,SPLIT\n2014-06-06,645.57,41\n"):
        (tmp_path / "w.csv").write_text(wide)
        assert rows_of_prices(spec_of("w.csv"), [str(tmp_path / "w.csv")], EXCHANGE) == CorporateActions()
    (tmp_path / "f.csv").write_text("date,close,dividend\n2014-08-07,94.48,0.47\n")
    one = rows_of_prices(spec_of("f.csv", symbol="AAPL"), [str(tmp_path / "f.csv")], EXCHANGE)
    assert one.actions == found.actions[1:]


def test_bars_act_on_the_day_of_their_session(tmp_path: Path) -> None:
    opens = [f"2014-06-09T{h}:30:00Z" for h in range(14, 20)] + [f"2014-06-10T{h}:30:00Z" for h in range(14, 20)]
    rows = [f"{t},AAPL,93,{7 if i == 0 else 1}" for i, t in enumerate(opens)]
    (tmp_path / "p.csv").write_text(
        "date,ticker,close,split\n2014-06-09T02:00:00Z,AAPL,93,1\n" + "\n".join(rows) + "\n"
    )
    found = rows_of_prices(spec_of("p.csv"), [str(tmp_path / "p.csv")], EXCHANGE)
    assert found.actions == (Action(date(2014, 6, 9), "AAPL", ActionKind.SPLIT, Fraction(7)),)


# -- laws --------------------------------------------------------------------------------------------------------

DAYS = st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1))
NAMES = st.sampled_from(["A", "000001", "TRUE", "BRK.B", "1e5"])
RATIOS = st.builds(Fraction, st.integers(1, 50), st.integers(1, 50)).filter(lambda r: r != 1)
CASH = st.floats(0.001, 1000, allow_nan=False)
PAID = st.none() | DAYS
IDS = st.sampled_from(["", "7", "x-1"])
INTO = st.just("NEW")
ANY = st.one_of(
    st.builds(Action, DAYS, NAMES, st.just(ActionKind.SPLIT), RATIOS, id=IDS),
    st.builds(Action, DAYS, NAMES, st.just(ActionKind.DIVIDEND), cash=CASH, pay_date=PAID, id=IDS),
    st.builds(Action, DAYS, NAMES, st.just(ActionKind.RENAME), into=INTO, id=IDS),
    st.builds(Action, DAYS, NAMES, st.just(ActionKind.DELIST), value=CASH, id=IDS),
    st.builds(Action, DAYS, NAMES, st.just(ActionKind.DELIST), total_return=st.floats(-1, 5), id=IDS),
    st.builds(Action, DAYS, NAMES, st.just(ActionKind.SPINOFF), RATIOS, CASH, INTO, pay_date=PAID, id=IDS),
    st.builds(Action, DAYS, NAMES, st.just(ActionKind.MERGE), RATIOS, CASH, INTO, pay_date=PAID, id=IDS),
)
MANY = st.lists(ANY, max_size=12, unique_by=lambda a: (a.ex_date, a.asset, a.kind))


def written(actions: list[Action]) -> pd.DataFrame:
    """Actions in the long form, every cell as text."""
    rows = [
        {
            "date": a.ex_date.isoformat(), "ticker": a.asset, "kind": a.kind.value,
            "value": "" if a.value is None else repr(a.value), "into": a.into,
            "ratio": f"{a.ratio.numerator}:{a.ratio.denominator}" if a.ratio != 1 else "",
            "cash": repr(a.cash) if a.cash else "", "id": a.id,
            "return": "" if a.total_return is None else repr(a.total_return),
            "pay_date": a.pay_date.isoformat() if a.pay_date else "",
        }
        for a in actions
    ]  # fmt: skip
    columns = ["date", "ticker", "kind", "value", "into", "ratio", "cash", "id", "return", "pay_date"]
    return pd.DataFrame(rows, columns=columns, dtype=str)


@settings(max_examples=60)
@given(MANY, st.randoms(use_true_random=False))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, actions: list[Action], dice: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("acts")
    found = read(folder, written(actions).to_csv(index=False))
    assert set(found.actions) == set(actions)
    assert len(found.actions) == len(actions)
    assert list(found.actions) == sorted(found.actions, key=lambda a: (a.ex_date, a.asset, a.kind.value, a.id))
    shuffled = dice.sample(actions, len(actions))
    assert read(folder, written(shuffled).to_csv(index=False)) == found
    assert digest_of(shuffled) == digest_of(found.actions)
    assert held_actions(spec(), written(shuffled), EXCHANGE) == found or not actions


def test_a_digest_is_of_what_is_said_of_an_asset() -> None:
    before = digest_of(ACTIONS)
    assert set(before) == {a.asset for a in ACTIONS}
    later = Action(date(2014, 11, 6), "AAPL", ActionKind.DIVIDEND, cash=0.47)
    after = digest_of((later, *ACTIONS))
    assert {a for a in after if after[a] != before.get(a)} == {"AAPL"}
    changed = digest_of(replace(a, cash=a.cash + 0.01) if a.asset == "EMC" else a for a in ACTIONS)
    assert {a for a in changed if changed[a] != before[a]} == {"EMC"}
    for change in ({"pay_date": None}, {"id": "y"}, {"ex_date": date(2014, 8, 8)}):
        assert digest_of([replace(ACTIONS[4], **change)]) != digest_of([ACTIONS[4]])
    assert before["LEH"] == digest_of(ACTIONS[:1])["LEH"] == "2e896f57fea3b4ccdbb7d9108e1d840adcaae0d1"


# -- real ones ---------------------------------------------------------------------------------------------------


def test_real_actions(sp500: Path) -> None:
    file = str(sp500 / "corporate_actions.csv")
    found = read_actions(spec(), [file], EXCHANGE)
    assert min(timeit.repeat(lambda: read_actions(spec(), [file], EXCHANGE), number=1, repeat=3)) < 0.5
    raw = pd.read_csv(file)
    assert Counter(a.kind.value for a in found.actions) == {
        "dividend": int((raw.dividend > 0).sum()),
        "split": int((raw.split != 1).sum()),
    }
    assert Counter(a.kind.value for a in found.actions) == {"dividend": 12968, "split": 113}
    splits = {(a.asset, a.ex_date): a.ratio for a in found.actions if a.kind is ActionKind.SPLIT}
    assert splits["AAPL", date(2014, 6, 9)] == 7
    rounded = raw[raw.split.sub(1.5).abs().between(1e-9, 1e-5)]
    assert len(rounded) == 8
    assert {splits[t, date.fromisoformat(d)] for d, t in zip(rounded.date, rounded.ticker, strict=True)} == {
        Fraction(3, 2)
    }
    assert found.findings == ()
    assert rows_of_prices(spec_of("bars.parquet"), [str(sp500 / "bars.parquet")], EXCHANGE) == found
