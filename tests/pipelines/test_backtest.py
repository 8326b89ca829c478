"""A backtest over files against pandas: what is paid for participation, the range, the delay, the portfolio that is meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.errors import SigcError
from sigc_pipelines.backtest.backtest import Accounts, backtest, pick, pick_of, shifted
from sigc_pipelines.compute import Loaded, Workspace, load
from tests.world import WEEKDAYS, workspace, write_strategy

ROWS, NAMES = 60, list("ABC")
DAYS = pd.bdate_range("2023-01-02", periods=ROWS)
TEXT = """data:
  prices: load csv from "prices.csv"
  volume: load csv from "volume.csv"
signal s:
  emit scale(demean(rank(ret(prices, 2))))
portfolio first:
  weights = s
  costs = {costs}
  {more}
  backtest rebal={rebal} from 2023-02-06 to 2023-03-17
portfolio second:
  weights = s * 0.5
"""


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng(5)
    close = pd.DataFrame(50 * np.exp(random.normal(0, 0.02, (ROWS, 3)).cumsum(axis=0)), DAYS, NAMES).round(4)
    return close, pd.DataFrame(random.integers(1_000, 9_000, (ROWS, 3)).astype(float), DAYS, NAMES)


def made(folder: Path, costs: str = "tc.bps(10)", rebal: int = 1, more: str = "") -> tuple[Loaded, Workspace]:
    for name, frame in zip(("prices", "volume"), frames(), strict=True):
        frame.rename_axis("date").to_csv(folder / f"{name}.csv")
    space = workspace(MemoryStore(), exchanges=WEEKDAYS)
    return load(write_strategy(folder, TEXT.format(costs=costs, rebal=rebal, more=more)), space), space


def wanted(close: pd.DataFrame) -> pd.DataFrame:
    ranked = close.pct_change(2).rank(axis=1)
    centred = ranked.sub(ranked.mean(axis=1), axis=0)
    return centred.div(centred.abs().sum(axis=1), axis=0)


RANGE = slice("2023-02-06", "2023-03-17")


def test_participation_is_by_the_twenty_rows_up_to_each(tmp_path: Path) -> None:
    """Also on the first row of the range, by those before it."""
    loaded, space = made(tmp_path, 'slippage.model("square-root", coef=0.3) + tc.bps(0)')
    found = backtest(loaded, space, pick(loaded), capital=5e5)
    close, volume = frames()
    weights = wanted(close)[RANGE]
    size = weights.diff().fillna(weights).abs()
    dollars, sigma = (close * volume).rolling(20).mean()[RANGE], close.pct_change().rolling(20).std()[RANGE]
    expected = (0.3 * sigma * size * np.sqrt(size * 5e5 / dollars)).sum(axis=1)
    assert np.allclose(found.costs, expected, rtol=1e-9)
    assert found.costs[0] > 0.0
    earned = (weights.shift(1) * close.pct_change()[RANGE]).sum(axis=1)
    assert np.allclose(found.gross, earned)
    assert np.allclose(found.returns, earned - expected)
    assert np.array_equal(found.turnover, size.sum(axis=1)) or np.allclose(found.turnover, size.sum(axis=1))
    assert [str(d)[:10] for d in (found.dates[0], found.dates[-1])] == ["2023-02-06", "2023-03-17"]
    assert (found.strategy, found.portfolio, found.params, found.left_out) == ("s", "first", {}, 0)
    assert set(found.digests) == {"prices", "volume"}


def test_a_range_that_begins_early_has_participation_from_the_twentieth_row_on(tmp_path: Path) -> None:
    """Of slippage alone, a million by default: the first row of the data counts in the first window."""
    loaded, space = made(tmp_path, 'slippage.model("square-root", coef=0.3)')
    text = TEXT.format(costs='slippage.model("square-root", coef=0.3)', rebal=1, more="")
    loaded = load(write_strategy(tmp_path, text.replace("from 2023-02-06", "from 2023-01-24")), space)
    found = backtest(loaded, space, pick(loaded))
    close, volume = frames()
    weights = wanted(close)["2023-01-24":"2023-03-17"]
    size = weights.diff().fillna(weights).abs()
    dollars, sigma = (close * volume).rolling(20).mean(), close.pct_change(fill_method=None).rolling(20).std()
    expected = (0.3 * sigma * size * np.sqrt(size * 1e6 / dollars)).loc[weights.index].sum(axis=1, skipna=False)
    known = expected.notna().to_numpy()
    assert (len(found.costs), int(known.argmax()), bool(known.all())) == (len(expected), 4, False)
    assert np.allclose(found.costs[known], expected[known], rtol=1e-9, atol=0.0)
    assert np.array_equal(found.costs, backtest(loaded, space, pick(loaded), capital=1e6).costs)


def test_without_a_volume_participation_is_by_weight(tmp_path: Path) -> None:
    made(tmp_path)
    text = TEXT.format(costs="slippage.model(model=linear, coef=0.3)", rebal=1, more="")
    space = workspace(MemoryStore(), exchanges=WEEKDAYS)
    loaded = load(write_strategy(tmp_path, text.replace('  volume: load csv from "volume.csv"\n', "")), space)
    weights = wanted(frames()[0])[RANGE]
    assert np.allclose(
        backtest(loaded, space, pick(loaded)).costs, (0.3 * weights.diff().fillna(weights) ** 2).sum(axis=1)
    )


def test_the_portfolio_that_is_meant(tmp_path: Path) -> None:
    loaded, space = made(tmp_path)
    assert [pick(loaded, name).name for name in ("", "first", "second")] == ["first", "first", "second"]
    with pytest.raises(SigcError, match="no portfolio 'secnd'"):
        pick(loaded, "secnd")
    bare = write_strategy(tmp_path, TEXT.partition("portfolio")[0], "bare")
    with pytest.raises(SigcError, match="has no portfolio to backtest"):
        pick_of(bare)
    whole = backtest(loaded, space, pick(loaded, "second"))  # which has no backtest of its own: all rows
    assert (len(whole.dates), whole.left_out, whole.metrics.bars) == (ROWS, 2, ROWS - 2)
    cut = backtest(loaded, space, pick(loaded, "second"), overrides={"start": "2023-02-06", "drift": True})
    assert str(cut.dates[0])[:10] == "2023-02-06"
    assert cut.settings.drift


@pytest.mark.parametrize("more", ["", "constraints:\n    max_position = 0.3"])
def test_a_book_that_begins_later_is_that_of_its_rows(more: str, tmp_path: Path) -> None:
    """Of a window of the accounts, flat before; held from a delayed decision; kept while another is computed."""
    loaded, space = made(tmp_path, rebal=3, more=more)
    portfolio = pick(loaded)
    of = Accounts(loaded, space, portfolio, 1e6, 25, 55)
    weights = wanted(frames()[0]).to_numpy()[25:55]
    returns = frames()[0].pct_change().to_numpy()[25:55]
    book, costs = of.book(weights, 10, 22)
    held = np.repeat(weights[10:22:3], 3, axis=0)
    if more:
        assert (np.abs(book.held) <= 0.3 + 1e-9).all()
        assert np.abs(held).max() > 0.3
        held = book.held
    assert np.allclose(book.held, held)
    earned = np.concatenate([[0.0], (held[:-1] * returns[11:22]).sum(axis=1)])
    assert np.allclose(book.gross, earned)
    assert np.allclose(costs, np.abs(np.diff(held, axis=0, prepend=0.0)).sum(axis=1) * 0.001)
    late = of.held(weights, drift=False, delay=2)
    assert (len(late.gross), len(of.held(weights, drift=False).gross)) == (28, 30)
    assert np.allclose(late.gross[1:], (late.held[:-1] * returns[3:]).sum(axis=1))
    assert of.books(25) is None  # of every third row more must be known than figures
    assert len(of.book(weights)[0].gross) == 30


def test_rows_of_limits_are_those_of_the_accounts() -> None:
    seen = []
    assert shifted(None, 3) is None

    def adjust(row: int, wanted: np.ndarray, held: np.ndarray, can: np.ndarray) -> np.ndarray:
        seen.append((row, held.tolist(), can.tolist()))
        return wanted

    assert shifted(adjust, 0) is adjust
    later = shifted(adjust, 3)
    assert later is not None
    assert later(4, np.ones(1), np.zeros(1), np.ones(1, bool)).tolist() == [1.0]
    assert seen == [(7, [0.0], [True])]
