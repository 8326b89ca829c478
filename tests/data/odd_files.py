"""Odd data files, and what sigc says of each: `python -m tests.data.odd_files > docs/odd-data.md`.

A text of `says` stands in the error (with its code), or in a finding; '' where silence is right, for the reason given.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sigc.errors import SigcError
from tests.data.ways import UNDECLARED, from_file

Make = str | bytes | Callable[[Path], str]


@dataclass(frozen=True)
class Odd:
    """title: what is odd. content: of `p.csv`, or a function that writes and names a file. says: see above. why: the
    reason for it."""

    title: str
    content: Make
    says: str
    why: str
    options: tuple[tuple[str, Any], ...] = ()


def _hive(folder: Path) -> str:
    for day, value in (("2024-03-07", 1), ("2024-03-08", 2)):
        (folder / f"px/ticker=A/day={day}").mkdir(parents=True)
        (folder / f"px/ticker=A/day={day}/part-0.csv").write_text(f"close\n{value}\n")
    return "px"


def _readme(folder: Path) -> str:
    (folder / "px").mkdir()
    (folder / "px/a.csv").write_text("date,A\n2024-03-08,1\n")
    (folder / "px/notes.md").write_text("read me")
    return "px"


def _overlap(folder: Path) -> str:
    (folder / "px").mkdir()
    (folder / "px/a.csv").write_text("date,A\n2024-03-07,1\n2024-03-08,2\n")
    (folder / "px/b.csv").write_text("date,A\n2024-03-08,2\n2024-03-11,3\n")
    return "px"


def _by_file(folder: Path) -> str:
    (folder / "px").mkdir()
    for name in ("AAPL", "MSFT"):
        (folder / f"px/{name}.csv").write_text("date,open,close\n2024-03-07,1,2\n2024-03-08,3,4\n")
    return "px"


def _indexed(folder: Path) -> str:
    frame = pd.DataFrame({"date": pd.to_datetime(["2024-03-07", "2024-03-08"]), "A": [1.0, 2.0]}, index=[5, 9])
    frame.to_parquet(folder / "p.parquet")
    return "p.parquet"


def _far(folder: Path) -> str:
    pd.DataFrame({"date": pd.array(["9999-12-31"], "datetime64[s]"), "A": [1.0]}).to_parquet(folder / "p.parquet")
    return "p.parquet"


def _no_extension(folder: Path) -> str:
    (folder / "prices").write_text("date,A\n2024-03-08,1\n")
    return "prices"


def _cut(folder: Path) -> str:
    pd.DataFrame({"date": pd.to_datetime(["2024-03-08"]), "A": [1.0]}).to_parquet(folder / "w.parquet")
    (folder / "p.parquet").write_bytes((folder / "w.parquet").read_bytes()[:-20])
    return "p.parquet"


_SYMBOL = (("symbol", "SPY"),)
ODD = (
    Odd("empty file", "", "E201 is empty", "nothing can be said of it"),
    Odd("header only", "date,A\n", "E201 has no rows", "a source without rows is a mistake upstream"),
    Odd("one row", "date,A\n2024-03-08,1\n", "", "one session is data; too few rows for a window is told by the run (E302)"),
    Odd("mixed line ends", b"date,A\r\n2024-03-07,1\n2024-03-08,2\r\n", "", "line ends carry no meaning"),
    Odd("byte order mark", b"\xef\xbb\xbfdate,A\n2024-03-08,1\n", "", "the mark is no part of the name"),
    Odd("UTF-16", "date,A\n2024-03-08,1\n".encode("utf-16"), "E201", "only UTF-8 is read"),
    Odd("Latin-1 in a name", "date,\xc4\n2024-03-08,1\n".encode("latin-1"), "E201", "only UTF-8 is read"),
    Odd("blank lines between rows", "date,A\n\n2024-03-07,1\n\n2024-03-08,2\n\n", "", "a blank line holds no row"),
    Odd("a row of three cells under two names", "date,A\n2024-03-08,1,2\n", "E201", "cells cannot be placed"),
    Odd("semicolons", "date;A\n2024-03-08;1.5\n", "", "the header has no comma: one reading"),
    Odd("semicolons, decimal commas", "date;A\n2024-03-08;1,5\n", 'E201 decimal=","', "1,5 is not a number until it is said"),
    Odd("the same, said", "date;A\n2024-03-08;1,5\n", "", "decimal= was written", (("decimal", ","),)),
    Odd("thousands marks", 'date,A\n2024-03-08,"1,234.5"\n', "E201 thousands marks", "a separator can be a decimal mark"),
    Odd("a currency sign", "date,A\n2024-03-08,$10\n", "E201 currency", "units are not guessed"),
    Odd("text among numbers", "date,A\n2024-03-07,1\n2024-03-08,halted\n", "E201 row 3, column 'A'", "is it missing, or wrong?"),
    Odd("infinite price", "date,A\n2024-03-08,inf\n", "E201 infinite", "no price is"),
    Odd("one date twice", "date,A\n2024-03-08,1\n2024-03-08,2\n", "E201 twice, row 3", "which one counts?"),
    Odd("newest row first", "date,A\n2024-03-08,2\n2024-03-07,1\n", "E201 not sorted", "a file out of order may be a broken one"),
    Odd("two columns of one name", "date,A,A\n2024-03-08,1,2\n", "E201 two columns 'A'", "which one counts?"),
    Odd("names that differ by a blank", "date,ticker,close\n2024-03-07,A ,1\n2024-03-08,A,2\n", "W002 blanks", "one asset, and it is told"),
    Odd("codes with zeros", "date,ticker,close\n2024-03-08,000001,1\n", "", "names are text, as written"),
    Odd("a ticker called TRUE", "date,ticker,close\n2024-03-08,TRUE,1\n", "", "names are text, as written"),
    Odd("a ticker called NA", "date,ticker,close\n2024-03-08,NA,1\n", "", "in text only an empty cell is missing"),
    Odd("a ticker called SID", "date,SID,AAPL\n2024-03-07,20.5,1\n2024-03-08,21,2\n", "", "its values do not repeat over dates: an asset"),
    Odd("whole numbers under SID", "date,SID,AAPL\n2024-03-07,7,1\n2024-03-08,7,2\n", "E202 could hold the assets", "fits two readings"),
    Odd("row numbers saved by pandas", "Unnamed: 0,date,A\n0,2024-03-07,1\n1,2024-03-08,2\n", "W002 stored row index", "no asset; told, so that it is not missed"),
    Odd("the index in a parquet file", _indexed, "W002 stored row index", "no asset"),
    Odd("open, high, low, close of one stock", "Date,Open,High,Low,Close\n2024-03-08,1,2,0.5,1.5\n", 'E201 symbol="SPY"', "fields are not four stocks"),
    Odd("the same, said", "Date,Open,High,Low,Close\n2024-03-08,1,2,0.5,1.5\n", "", "symbol= was written", _SYMBOL),
    Odd("one file an instrument", _by_file, "E201 symbol=", "files of fields do not say whose"),
    Odd("the same, said", _by_file, "", "symbol_from=filename was written", (("symbol_from", "filename"),)),
    Odd("year 9999", _far, "E201 not a date", "beyond nanoseconds it would wrap around"),
    Odd("30 February", "date,A\n2024-02-30,1\n", "E201 not a date", "the calendar has no such day"),
    Odd("a month without a day", "date,A\n2024-03,1\n", "E201 not a date", "which day is not guessed"),
    Odd("day first, with dots", "date,A\n08.03.2024,1\n", "E201 date_format", "how dates are written is said"),
    Odd("slashed dates that read both ways", "date,A\n03/04/2024,1\n03/05/2024,2\n", "W002 reads as MM/DD", "read as MM/DD/YYYY, and told"),
    Odd("slashed, day first", "date,A\n13/03/2024,1\n", "E201 date_format", "there is no month 13"),
    Odd("seconds since 1970", "date,A\n1709856000,1\n", "E201 not a date", "a number is no date written out"),
    Odd("a 16:30 stamp on daily rows", "date,A\n2024-03-07 16:30,1\n2024-03-08 16:30,2\n", "", "after the close: of the session that closed"),
    Odd("midnight in Tokyo", "date,A\n2024-03-07 00:00+09:00,1\n2024-03-08 00:00+09:00,2\n", "", "labels as written"),
    Odd("midnight UTC, both readings sessions", "date,A\n2024-03-07T00:00Z,1\n2024-03-08T00:00Z,2\n", "E201 as written, and", "off by a day is look-ahead"),
    Odd("dates with and without a time", "date,A\n2024-03-07,1\n2024-03-08 16:00,2\n", "E201 mixes", "two kinds of label"),
    Odd("a Good Friday row", "date,A\n2024-03-28,1\n2024-03-29,2\n", "W002 no session", "traded on no exchange day"),
    Odd("the hour that comes twice, naive", "date,A\n2024-11-03 00:00,1\n2024-11-03 01:00,2\n2024-11-03 02:00,3\n", "E201 comes twice", "which of the two?"),
    Odd("an hour that is skipped, naive", "date,A\n2024-03-10 01:00,1\n2024-03-10 02:00,2\n2024-03-10 03:00,3\n", "E201 skipped", "no clock of that zone shows it"),
    Odd("bars of the night, no calendar said", "date,A\n2024-03-07 01:00,1\n2024-03-07 02:00,2\n2024-03-07 03:00,3\n", "W002 outside the sessions", "kept: nobody said whose sessions they are"),
    Odd("hive partitions", _hive, "", "what the folders say is a column"),
    Odd("a folder with a note in it", _readme, "E200 notes.md", "a folder is read whole, or not"),
    Odd("two files with the same day", _overlap, "E201 another file", "which one counts?"),
    Odd("no extension", _no_extension, "E200 extension", "the format is not guessed"),
    Odd("a parquet file cut short", _cut, "E201 not a readable parquet", "half a file is no data"),
)  # fmt: skip


def told(odd: Odd) -> tuple[str, str]:
    """Code and text of what sigc says; ('', '') for silence."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        name = "p.csv"
        match odd.content:
            case str() as text:
                (folder / name).write_text(text)
            case bytes() as raw:
                (folder / name).write_bytes(raw)
            case _ as make:
                name = make(folder)
        said = dict(odd.options)
        try:
            source, _ = from_file(folder, name, UNDECLARED, **said)
        except SigcError as error:
            first = error.diagnostics[0]
            text = first.message + (f"; {first.hint}" if first.hint else "")
            return first.code, _short(text, place)
        found = source.findings
        return (found[0].code, _short(found[0].message, place)) if found else ("", "")


def _short(text: str, place: str) -> str:
    return text.replace(f"{place}/", "").replace("source 'prices': ", "").replace("|", "/")


def page() -> str:
    """The table of all."""
    lines = [
        "# Odd data files",
        "",
        "What sigc says of files that such readers get wrong, and where silence is right. Made by",
        "`python -m tests.data.odd_files`; each line is a test.",
        "",
        "| file | sigc says | because |",
        "|---|---|---|",
    ]
    for odd in ODD:
        code, text = told(odd)
        lines.append(f"| {odd.title} | {f'{code}: {text}' if code else 'nothing'} | {odd.why} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
