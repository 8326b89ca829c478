"""Options of sources and words of `rebal=`: what is declared is parsed, checked, formatted and arrives."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sigc.data.sources.spec import SourceSpec
from sigc.lang.check import check_text
from sigc.lang.semantics.rebalance import CALENDAR_WORDS, ROWS, Rebalance
from sigc.lang.syntax.format import format
from sigc.lang.syntax.parse import parse
from sigc.plan.lower import lower
from sigc.plan.strategy import Backtest
from sigc.source_options import OPTIONS, SourceOptions
from sigc.source_words import AsOf, Available, Frequency

# What is written, and the value that arrives.
GOOD: list[tuple[str, str, Any]] = [
    ("date_format", '"%d.%m.%Y"', "%d.%m.%Y"),
    ("date_format", '"%d.%m.%Y %H:%M"', "%d.%m.%Y %H:%M"),
    ("decimal", '","', ","),
    ("zone", '"America/New_York"', "America/New_York"),
    ("zone", "UTC", "UTC"),
    ("calendar", "XNYS", "XNYS"),
    ("hours", "extended", "extended"),
    ("frequency", "months", Frequency("months")),
    ("frequency", "78", Frequency("bars", 78)),
    ("periods", "252", 252.0),
    ("symbol", '"000001"', "000001"),
    ("symbol_from", "filename", "filename"),
    ("asof", "true", AsOf()),
    ("asof", "false", None),
    ("asof", "400d", AsOf(400)),
    ("available_after", "1d", Available(1, "days")),
    ("available_after", '"2 sessions"', Available(2, "sessions")),
    ("available_after", "0", Available()),
    ("available_after", "published", Available(column="published")),
    ("adjusted", "true", True),
    ("traded", "close", "close"),
    ("mask_anomalies", "true", True),
    ("max_anomalies_pct", "0.5", 0.5),
    ("max_return", "0.8", 0.8),
    ("allow_negative", "true", True),
    ("ended_after", "5", 5),
]
BAD = [
    ("date_format", '"DD/MM/YYYY"', "%d"),
    ("date_format", '"%H:%M"', "%d"),
    ("zone", '"Europe/Berln"', "did you mean 'Europe/Berlin'?"),
    ("hours", "extnded", "did you mean 'extended'?"),
    ("frequency", "session", "did you mean 'sessions'?"),
    ("frequency", "0.5", "bars a session"),
    ("periods", "0", "above 0"),
    ("periods", "-252", "above 0"),
    ("symbol", "000001", "in quotes"),
    ("symbol_from", "folder", "filename"),
    ("asof", "0d", "400d"),
    ("asof", "yes", "400d"),
    ("available_after", "2", "1d"),
    ("available_after", '"2 weeks"', "1d"),
    ("adjusted", "yes", "true or false"),
    ("adjusted", "1", "true or false"),
    ("max_anomalies_pct", "101", "0 to 100"),
    ("max_return", "-0.5", "above 0"),
    ("ended_after", "2.5", "whole number 1 or more"),
    ("adjust", "splits", "did you mean 'split'?"),
    ("dtype", "float", "did you mean 'float"),
    ("column", "1", "in quotes"),
]


def short(name: str, value: str) -> str:
    return f'data:\n  prices: load csv from "p.csv" {name}={value}\nsignal a:\n  emit prices\n'


def long(name: str, value: str) -> str:
    columns = "  columns:\n    close: Numeric as prices\n    sector: Category as sectors\n"
    tail = "signal a:\n  emit neutralize(prices, by=sectors)\n"
    return f'data:\n  source = "p.csv"\n{columns}  options:\n    {name} = {value}\n{tail}'


def spec_of(text: str) -> SourceSpec:
    checked = check_text(text, "t.sig")
    assert not checked.diagnostics, checked.diagnostics
    return next(s for s in lower(checked).data if s.name == "prices")


@pytest.mark.parametrize("form", [short, long])
@pytest.mark.parametrize(("name", "value", "meaning"), GOOD)
def test_an_option_arrives(form: Any, name: str, value: str, meaning: Any) -> None:
    text = form(name, value)
    assert getattr(spec_of(text).options, name) == meaning
    module, _ = parse(text, "t.sig")
    again, errors = parse(format(module), "t.sig")
    assert not errors
    assert again == module


def test_every_option_has_an_example_and_its_line_in_the_documentation() -> None:
    documented = (Path(__file__).parent.parent.parent / "docs" / "data.md").read_text(encoding="utf-8")
    own = {f.name for f in dataclasses.fields(SourceOptions)}
    assert {name for name, _, _ in GOOD} == own
    assert {name for name in own | set(OPTIONS) if f"{name}" not in documented} == set()


@pytest.mark.parametrize(("name", "value", "told"), BAD)
def test_a_wrong_value_says_what_is_expected(name: str, value: str, told: str) -> None:
    (found,) = check_text(short(name, value), "t.sig").diagnostics
    assert found.code == "E101"
    assert told in f"{found.expected} {found.hint}"
    assert found.span is not None
    assert found.span.column == short(name, value).splitlines()[1].index(f"{name}=") + len(name) + 2


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_mistyped_option_names_the_nearest(name: str) -> None:
    (found,) = check_text(short(name + "x", "1"), "t.sig").diagnostics
    assert (found.code, found.hint) == ("E101", f"did you mean '{name}'?")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('sectors: load sector from "s.csv" max_return=0.5', "E101"),  # labels have no returns
        ('corporate_actions: load csv from "a.csv" asof=true', "E101"),  # actions have their own rule
        ('roe: load csv from "f.csv" adjust=split', "E101"),  # neither a price nor a count of shares
        ('stocks: load csv from "f.csv" adjust=split_div', "E101"),
        ('prices: load csv from "p.csv" symbol=BRK.B', "E001"),
        ('prices: load csv from "p.csv" zone=Europe/Berlin', "E001"),
        ('prices: load csv from "p.csv" adjusted=true adjusted=false', "E004"),
    ],
)
def test_options_that_can_not_be(text: str, code: str) -> None:
    found = check_text(f"data:\n  {text}\n", "t.sig").diagnostics
    assert [d.code for d in found if d.severity == "error"] == [code]
    assert found[0].hint


def backtest_of(line: str) -> Backtest:
    text = f'data:\n  prices: load csv from "p.csv"\nportfolio p:\n  weights = rank(prices)\n  backtest {line}\n'
    module, errors = parse(text, "t.sig")
    assert not errors
    assert parse(format(module), "t.sig")[0] == module
    checked = check_text(text, "t.sig")
    assert checked.ok, checked.diagnostics
    found = lower(checked).portfolios[0].backtest
    assert found is not None
    return found


@pytest.mark.parametrize("word", CALENDAR_WORDS)
def test_words_of_the_calendar_arrive_without_rows(word: str) -> None:
    assert backtest_of(f"rebal={word}").rebalance == Rebalance(None, word)


@pytest.mark.parametrize(("word", "rows"), ROWS.items())
def test_words_of_rows_keep_them(word: str, rows: int) -> None:
    assert backtest_of(f"rebal={word}").rebalance == Rebalance(rows, word)


@pytest.mark.parametrize(("written", "rows"), [("21", 21), ("21d", 21), ("5 * 4 + 1", 21), ("1", 1)])
def test_numbers_of_rows(written: str, rows: int) -> None:
    assert backtest_of(f"rebal={written} benchmark=market from 2020-01-02").rebalance == Rebalance(rows)


def test_a_mistyped_word_names_the_nearest() -> None:
    text = (
        'data:\n  prices: load csv from "p.csv"\nportfolio p:\n  weights = rank(prices)\n  backtest rebal=month_ends\n'
    )
    (found,) = check_text(text, "t.sig").diagnostics
    assert (found.code, found.hint) == ("E002", "did you mean 'month_end'?")


def test_the_return_of_what_ends() -> None:
    assert backtest_of("delisting_return=-0.3 rebal=5").delisting_return == -0.3
    assert backtest_of("rebal=5").delisting_return is None
    text = 'data:\n  prices: load csv from "p.csv"\nportfolio p:\n  weights = rank(prices)\n  backtest delisting_return=-2\n'
    (found,) = check_text(text, "t.sig").diagnostics
    assert (found.code, found.expected) == ("E101", "-1 (all is lost) or more")
