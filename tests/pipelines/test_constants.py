"""`nan`, `mask` and numbers where panels are meant, computed on a small panel with gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import sigc
from sigc.errors import SigcError

DAYS = pd.date_range("2024-01-01", periods=6, freq="D", name="date")
PRICES = pd.DataFrame(
    {
        "A": [10.0, 11, 12, 13, 14, 15],
        "B": [20.0, np.nan, 22, 23, 21, np.nan],
        "C": [np.nan, np.nan, np.nan, 5, 6, 7],  # listed late
    },
    index=DAYS,
)
HEAD = 'data:\n  prices: load csv from "p.csv"\nsignal a:\n  emit '
HERE = PRICES.notna()


def emitted(emit: str) -> pd.DataFrame:
    frame: pd.DataFrame = sigc.compile(HEAD + emit + "\n", data={"prices": PRICES}, cache=False).signals("a")
    return frame


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert np.array_equal(found.to_numpy(), expected.to_numpy(dtype=float), equal_nan=True), f"{found}\n{expected}"


@pytest.mark.parametrize("number", [1.0, -2.5, 0.0])
def test_an_emitted_number_is_where_prices_are(number: float) -> None:
    """An asset without a price can't be traded, so a constant is not there either."""
    same(emitted(f"{number}"), PRICES.where(PRICES.isna(), number))


@pytest.mark.parametrize(
    ("emit", "expected"),
    [
        ("scale(1)", HERE.div(HERE.sum(axis=1), axis=0).where(HERE)),  # equal weights of what can be traded
        ("count(1)", HERE.astype(float).mul(0).add(HERE.sum(axis=1), axis=0).where(HERE)),
        ("prices * 0 + rank(7)", PRICES.where(~HERE, 0.5)),
        ("lag(3, 1)", HERE.shift(1, fill_value=False).astype(float).mul(3).replace(0, np.nan)),
        ("where(prices > 15, 1, 0)", (PRICES > 15).astype(float)),
        ("max(prices, 12)", PRICES.clip(lower=12)),
        ("where(prices > 15, nan, 0)", PRICES.gt(15).astype(float).replace({1: np.nan})),
        ("where(prices > 15, prices, nan)", PRICES.where(PRICES > 15)),
        ("mask(prices, prices > 15)", PRICES.where(PRICES > 15)),
        ("mask(1, prices > 15)", PRICES.where(PRICES > 15) * 0 + 1),
        ("prices.mask(lag(prices) > 0)", PRICES.where(PRICES.shift(1).notna())),  # a missing condition: missing
        ("coalesce(prices, nan, 1)", PRICES.fillna(1)),
        ("prices + nan", PRICES * np.nan),
        ("nan + 1", PRICES * np.nan),
        ("nan", PRICES * np.nan),
    ],
)
def test_values(emit: str, expected: pd.DataFrame) -> None:
    same(emitted(emit), expected)


@pytest.mark.parametrize(
    ("emit", "code", "told"),
    [
        ("lag(prices, nan)", "E101", "not missing"),
        ("where(prices == nan, 1, 0)", "E101", "is_nan(x)"),
        ("where(prices != nan, 1, 0)", "E101", "not is_nan(x)"),
        ("rolling_corr(prices, 20)", "E100", "rolling_corr(x, y, window=20"),  # a window at the wrong place
        ("1[AAPL]", "E100", "a panel"),
        ("neutralize(prices, by=1)", "E100", "category"),
    ],
)
def test_what_a_number_can_not_be(emit: str, code: str, told: str) -> None:
    with pytest.raises(SigcError) as raised:
        emitted(emit)
    (found,) = raised.value.diagnostics
    assert found.code == code
    assert told in f"{found.message} {found.expected} {found.hint}"


def test_weights_are_no_bare_number() -> None:
    """It fits two readings: in each asset, or of the whole book."""
    text = 'data:\n  prices: load csv from "p.csv"\nportfolio p:\n  weights = 0.5\n'
    with pytest.raises(SigcError) as raised:
        sigc.compile(text)
    (found,) = raised.value.diagnostics
    assert (found.code, found.hint) == ("E100", "0.5 * scale(1) is 0.5 of the book in equal weights")
    assert sigc.compile(text.replace("0.5", "0.5 * scale(1)")).params == {}


@pytest.mark.parametrize("line", ["costs = tc.bps(nan)", "backtest delisting_return=nan"])
def test_numbers_of_a_book_are_there(line: str) -> None:
    text = f'data:\n  prices: load csv from "p.csv"\nportfolio p:\n  weights = scale(1)\n  {line}\n'
    with pytest.raises(SigcError) as raised:
        sigc.compile(text)
    assert [d.code for d in raised.value.diagnostics] == ["E101"]
