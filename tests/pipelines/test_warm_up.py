"""Figures count from the first row with a defined weight: warm-up is left out, a trend model's cash is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sigc.blocks.block import MemoryStore
from sigc.lang.check import check_file
from sigc.plan.lower import lower
from sigc_pipelines.backtest.backtest import BacktestRun, backtest, pick
from sigc_pipelines.backtest.trials import field, search
from sigc_pipelines.compute import load
from tests.world import workspace, write_strategy, write_wide

ROWS = 80
TEXT = """data:
  prices: load parquet from "prices.parquet"
  late: load parquet from "late.parquet"
  switch: load parquet from "switch.parquet"
params:
  n = [5, 10]
portfolio main:
  weights = {weights}
  backtest rebal={rebal}{range}
"""


def made(folder: Path, weights: str, rebal: int = 1, range: str = "") -> BacktestRun:
    dates = np.arange(np.datetime64("2023-01-02"), 200)
    dates = dates[np.is_busday(dates)][:ROWS]
    values = np.random.default_rng(4).uniform(50, 60, (ROWS, 3))
    write_wide(folder / "prices.parquet", dates, values, ("A", "B", "C"))
    write_wide(folder / "late.parquet", dates[30:], values[30:], ("A", "B", "C"))
    switch = np.ones((ROWS, 3))
    switch[40] = 0.0
    write_wide(folder / "switch.parquet", dates, switch, ("A", "B", "C"))
    space = workspace(MemoryStore())
    loaded = load(write_strategy(folder, TEXT.format(weights=weights, rebal=rebal, range=range)), space)
    return backtest(loaded, space, pick(loaded))


@pytest.mark.parametrize(
    ("weights", "left_out"),
    [
        ("rank(prices)", 0),
        ("ret(prices, 7)", 7),
        ("long_short(ret(prices, 7))", 7),  # which fills its zeros where there is no score yet
        ("long_short(rolling_mean(ret(prices, 7), 5))", 11),
        ("long_short(late)", 30),
        ("long_short(ret(late, 7))", 37),
        ("prices * 0", 0),  # cash is a weight
        ("where(ret(prices, 7) > 100, 1, 0)", 7),  # a trend that is never up: in cash from its first row on
        ("rolling_mean(prices, 10, min_periods=3) / 1000", 2),  # defined before its window is full
        ("prices / 0", ROWS),
    ],
)
@pytest.mark.parametrize("rebal", [1, 6])
def test_rows_before_the_first_defined_weight(tmp_path: Path, weights: str, left_out: int, rebal: int) -> None:
    result = made(tmp_path, weights, rebal)
    assert (result.left_out, result.metrics.bars) == (left_out, ROWS - left_out)


@pytest.mark.parametrize("weights", ["long_short({})", "long_only({}, top=0.5)", "0.5 * long_short({})"])
def test_a_score_that_is_missing_throughout_sells_nothing(tmp_path: Path, weights: str) -> None:
    """All sources are whole, and a division by zero leaves no score on a row: the book of the row before is kept."""
    result = made(tmp_path, weights.format("ret(prices, 7) / switch"))
    row = 40
    held = result.weights.values
    assert np.abs(held[row - 1]).sum() > 0.4
    assert result.turnover[row] == 0.0
    assert np.array_equal(held[row], held[row - 1])
    assert any("no weight was defined on 1 rows: the book was kept" in f.message for f in result.findings)


def test_history_before_the_range_is_no_warm_up(tmp_path: Path) -> None:
    result = made(tmp_path, "long_short(ret(prices, 7))", range=" from 2023-02-01")
    assert result.left_out == 0
    again = made(tmp_path, "long_short(ret(prices, 7))", range=" from 2023-01-09")
    assert again.left_out == 2
    cash = made(tmp_path, "where(ret(prices, 7) > 100, 1, 0)", range=" from 2023-01-09")
    assert cash.left_out == 2


def test_warm_up_dilutes_no_figure(tmp_path: Path) -> None:
    """The figures are those of the same book that begins where the first does."""
    whole = made(tmp_path, "long_short(ret(prices, 7))")
    part = made(tmp_path, "long_short(ret(prices, 7))", range=f" from {whole.dates[7].astype('datetime64[D]')}")
    assert part.metrics == whole.metrics


@pytest.mark.parametrize(
    ("weights", "range", "left_out"),
    [
        ("long_short(ret(prices, n))", "", [5, 10]),
        ("where(ret(prices, n) > 100, 1, 0)", "", [5, 10]),
        ("where(ret(prices, n) > 100, 1, 0)", " from 2023-01-05", [2, 7]),
    ],
)
def test_a_search_counts_as_a_backtest_does(weights: str, range: str, left_out: list[int], tmp_path: Path) -> None:
    """Where weights are stored, and where only figures by row are kept."""
    made(tmp_path, weights, range=range)
    checked = check_file(tmp_path / "s.sig")
    for passing in (0, 1):
        space = workspace(MemoryStore())
        space = space if not passing else type(space)(space.store, space.engine, passing=1)
        loaded = load(lower(checked), space)
        found = search(field(lambda p: lower(checked, p), loaded, space, "main"))
        assert [s.left_out for s in found.scored] == left_out
        for one in found.scored:
            alone = load(lower(checked, one.params), space)
            assert backtest(alone, space, pick(alone)).metrics == one.metrics
