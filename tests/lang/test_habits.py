"""Habits of other languages: one error each, whose hint names the way of this one."""

from __future__ import annotations

import pytest

from sigc.errors import Diagnostic, Severity
from sigc.lang import habits
from sigc.lang.check import check_text
from sigc.lang.vocabulary import SECTIONS
from sigc.ops.table import names

DATA = 'data:\n  prices: load csv from "p.csv"\n  volume: load csv from "v.csv"\n  sectors: load sector from "s.csv"\n'

EXPRESSIONS = [
    ("shift(prices, 1)", "write lag(x, n)"),
    ("prices.shift(5)", "write lag(x, n)"),
    ("prices.shift(-1)", "write lead(x, n), which looks ahead"),
    ("prices if volume > 0 else 0", "write where(cond, a, b)"),
    ("volume > 0 ? prices : 0", "write where(cond, a, b)"),
    ("iff(volume > 0, prices, 0)", "write where(cond, a, b)"),
    ("prices[BRK.B]", 'write the name in quotes: ["BRK.B"]'),
    ("prices[BF-B]", 'write the name in quotes: ["BF-B"]'),
    ("df.rolling(20).mean()", "write rolling_mean(df, 20)"),
    ("prices.rolling(window=20).std()", "write rolling_std(prices, 20)"),
    ("prices.rolling(20, min_periods=5).mean()", "write rolling_mean(prices, 20, min_periods=5)"),
    ("prices.rolling(20).corr(volume)", "write rolling_corr(prices, volume, 20)"),
    ("prices.rolling(20).quantile(0.9)", "write rolling_quantile(prices, 20, 0.9)"),
    ("prices.ewm(span=20).mean()", "write ema(x, span)"),
    ("prices.groupby(sectors).mean()", "write group_mean(prices, sectors)"),
    ("prices.expanding().mean()", "there are no other windows since the start"),
    ("prices > 1 && volume > 0", "write 'and'"),
    ("prices > 1 || volume > 0", "write 'or'"),
    ("(prices > 1) & (volume > 0)", "write 'and'"),
    ("(prices > 1) | (volume > 0)", "write 'or'"),
    ("prices > 1 AND volume > 0", "write 'and'"),
    ("!prices", "write 'not'"),
    ("~prices", "write 'not'"),
    ("prices = 5", "'==' compares"),
    ("prices ^ 2", "powers are written with **"),
    ("prices.iloc[-1]", "lag(x, n)"),
    ("prices[-1]", "lag(x, n)"),
    ("prices[1:5]", "lag(x, n)"),
    ("prices.values", "a panel is used as it is"),
    ("np.log(prices)", "write log(...), without 'np.'"),
    ("np.where(prices > 1, 1, 0)", "write where(...), without 'np.'"),
    ("pd.isnull(prices)", "write is_nan(x), without 'pd.'"),
    ("where(prices > 1, True, 0)", "write true"),
    ("where(prices > 1, 1, False)", "write false"),
    ("where(prices > 1, 1, None)", "write nan"),
    ("where(prices > 1, 1, np.nan)", "write nan"),
    ("where(prices > 1, 1, NaN)", "write nan"),
    ("prices is nan", "is_nan(x)"),
    ("clip(prices, lo=0, hi=inf)", "leave the bound out"),
    ("prices.rank(axis=1)", "the operator says it"),
    ("prices.fillna(method=1)", "write ffill(x)"),
    ("prices.apply(lambda x: x)", "write a fn"),
    ("prices * 5%", "0.05"),
    ("RSI(prices, 14)", "did you mean 'rsi'?"),
    ("prices \N{MINUS SIGN} 1", "write -"),
    ("prices \N{GREATER-THAN OR EQUAL TO} 1", "write >="),
    ("prices\N{NO-BREAK SPACE}+ 1", "write a plain one"),
    ("$prices", "named without a sign"),
]
BODIES = [
    ("return prices", "write emit EXPRESSION"),
    ("def f(x): prices", "write fn NAME(x): EXPRESSION"),
    ("x == rank(prices)\n  emit x", "'==' compares"),
    ("x := rank(prices)\n  emit x", "write x = EXPRESSION"),
    ("x += prices\n  emit x", "write x = x + ..."),
    ("let x = prices\n  emit x", "written without let"),
    ("var x = prices\n  emit x", "NAME = EXPRESSION"),
    ("x = prices; y = volume\n  emit x", "one statement a line"),
    ("for i in range(3)\n  emit prices", "there are no loops"),
    ("if prices > 1: x\n  emit prices", "write where(cond, a, b)"),
    ("emit: prices", "without ':'"),
    ("emit = prices", "without '='"),
    ("print(prices)\n  emit prices", "emit"),
]
SECTION = [
    ("def f(x):\n  return x\n", "write fn NAME(x)"),
    ("import numpy as np\n", 'write import "FILE.sig"'),
    ("from lib import f\n", 'write import "FILE.sig"'),
    ("class A:\n  x = 1\n", "there are no classes"),
    ("strategy a:\n  emit prices\n", "write signal NAME:"),
    ("signal a(x):\n  emit x\n", "signal NAME:"),
    ("fn f(x) = x\n", "in the place of '='"),
    ("fn f(x): return x\n", "a fn is an expression"),
    ("macro m(x):\n  return x\n", "write emit EXPRESSION"),
    ("portfolio p:\n  weights: rank(prices)\n", "write weights = EXPRESSION"),
    ("portfolio p:\n  weights = rank(prices)\n  backtest to today\n", "or leave it out"),
    ("params:\n  flag = True\n", "a flag is 1 or 0"),
    ('data:\n  x = load("p.csv")\n', "write NAME: load csv from"),
    ('data:\n  x: load csv "p.csv"\n', "write x: load csv from"),
]


def first(text: str) -> list[Diagnostic]:
    return [d for d in check_text(DATA + text, "t.sig").diagnostics if d.severity is Severity.ERROR]


@pytest.mark.parametrize(("emit", "hint"), EXPRESSIONS)
def test_expressions(emit: str, hint: str) -> None:
    (found,) = first(f"signal a:\n  emit {emit}\n")
    assert hint in found.hint


@pytest.mark.parametrize(("body", "hint"), BODIES)
def test_statements(body: str, hint: str) -> None:
    (found,) = first(f"signal a:\n  {body}\n")
    assert hint in found.hint


@pytest.mark.parametrize(("text", "hint"), SECTION)
def test_sections(text: str, hint: str) -> None:
    (found,) = first(text)
    assert hint in found.hint


@pytest.mark.parametrize(("left", "right"), [("“", "”"), ("„", "“"), ("'", "'"), ("‘", "’"), ("`", "`")])
def test_quotes(left: str, right: str) -> None:
    for text in (
        f"data:\n  x: load csv from {left}p.csv{right}\n",
        f"signal a:\n  emit sectors == {left}Tech{right}\n",
    ):
        found = first(text)
        assert len(found) == 2  # one a quote
        assert all("strings take" in d.hint for d in found)


@pytest.mark.parametrize("line", ["rebal = 21", "max_position = 0.05"])
def test_options_among_locals(line: str) -> None:
    found = check_text(f"{DATA}portfolio p:\n  weights = rank(prices)\n  {line}\n", "t.sig").diagnostics
    assert [d.code for d in found if "belong" in d.hint] == ["W001"]


@pytest.mark.parametrize("text", ["prices ** 2", "prices.pct_change()", "prices.diff(5)", "isnan(prices)", "\tprices"])
def test_what_is_typed_from_habit_and_right(text: str) -> None:
    assert not first(f"signal a:\n\temit {text}\n")


def test_hints_are_of_what_is_not_known() -> None:
    """A hint for a word that the language knows would never be read."""
    known = set(names())
    assert not known & (habits.FUNCTIONS.keys() | habits.REMARKS.keys())
    assert habits.STATEMENTS.keys() & set(SECTIONS) <= {"signal", "portfolio", "import"}
