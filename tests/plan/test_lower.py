"""Sources and raw leaves as a strategy's text has them, by literals: what the lines of a data section come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigc.data.sources.spec import SourceSpec
from sigc.lang.check import check_text
from sigc.plan.expr import SOURCE, Expr
from sigc.plan.lower import lower
from sigc.plan.strategy import Strategy

LONG = """data:
  source = "bars.parquet"
  columns:
    day: Date
    ticker: Symbol
    close: Numeric as prices
    volume: Numeric
    sector: Category as sectors
  options:
    adjust = split_div
data fund:
  source = "fund.parquet"
  columns:
    asof: Date
    permno: Symbol
    roe: Numeric
"""
SHORT = """data:
  prices: load csv from "p.csv" adjust=split dtype=float32 date_col=Day symbol_col=Ticker column=Last max_return=0.5
  volume: load csv from "v.csv"
  groups: load sector from "s.csv"
"""


def strategy(text: str) -> Strategy:
    checked = check_text(text, "/somewhere/t.sig")
    assert checked.ok, checked.diagnostics
    return lower(checked)


@pytest.fixture(scope="module")
def long() -> dict[str, SourceSpec]:
    """Two files of several columns."""
    text = f"{LONG}signal a:\n  emit neutralize(prices / volume, sectors) + fund.roe\n"
    return {spec.name: spec for spec in strategy(text).data}


@pytest.fixture(scope="module")
def short() -> dict[str, SourceSpec]:
    """Files of one value."""
    text = f"{SHORT}signal a:\n  emit neutralize(prices / volume, groups)\n"
    return {spec.name: spec for spec in strategy(text).data}


def test_columns_of_a_file_share_its_dates_and_assets_and_no_others(long: dict[str, SourceSpec]) -> None:
    assert set(long) == {"prices", "volume", "sectors", "fund.roe"}
    seen = {name: (s.path, s.column, s.date_col, s.symbol_col) for name, s in long.items()}
    assert seen == {
        "prices": ("bars.parquet", "close", "day", "ticker"),
        "volume": ("bars.parquet", "volume", "day", "ticker"),
        "sectors": ("bars.parquet", "sector", "day", "ticker"),
        "fund.roe": ("fund.parquet", "roe", "asof", "permno"),
    }
    assert {s.base for s in long.values()} == {str(Path("/somewhere"))}


def test_labels_are_never_adjusted_and_numbers_as_the_options_say(long: dict[str, SourceSpec]) -> None:
    assert {name: (s.dtype, s.adjust, s.is_volume) for name, s in long.items()} == {
        "prices": ("float64", "split_div", False),
        "volume": ("float64", "split_div", True),
        "sectors": ("category", "none", False),
        "fund.roe": ("float64", "none", False),
    }


def test_options_name_columns_and_types(short: dict[str, SourceSpec]) -> None:
    prices = short["prices"]
    assert (prices.column, prices.date_col, prices.symbol_col) == ("Last", "Day", "Ticker")
    assert (prices.dtype, prices.adjust, prices.format, prices.is_volume) == ("float32", "split", "csv", False)
    assert prices.options.max_return == 0.5
    assert (short["groups"].dtype, short["volume"].dtype) == ("category", "float64")
    assert [name for name, s in short.items() if s.is_volume] == ["volume"]
    assert (short["volume"].column, short["volume"].date_col, short["volume"].symbol_col) == ("", "", "")


def emitted(text: str) -> Expr:
    return dict(strategy(text).signals)["a"]


def test_raw_is_the_leaf_below_the_factor_or_the_leaf_itself() -> None:
    plain = 'data:\n  prices: load csv from "p.csv"\nsignal a:\n  emit raw(prices)\n'
    found = emitted(plain)
    assert (found.op, found.arguments) == (SOURCE, {"name": "prices"})
    seen = emitted(f"{SHORT}signal a:\n  emit prices\n")
    assert (seen.op, seen.given) == ("rescale", ("x", "factor"))
    assert [i.op for i in seen.inputs] == [SOURCE, SOURCE]
    below = emitted(f"{SHORT}signal a:\n  emit raw(prices)\n")
    assert (below.op, below.arguments) == (SOURCE, {"name": "prices"})
