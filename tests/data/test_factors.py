"""Prices are stored as traded; signals see them times a factor made of corporate actions; money never does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sigc
from sigc.blocks.block import BlockStore, MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.engine.core.gather import gather, source_panel
from sigc.errors import SigcError
from sigc.panel import Floats, Panel
from sigc_pipelines.backtest.backtest import backtest, pick
from sigc_pipelines.compute import Loaded, compute, load
from tests.world import workspace, write_strategy

ROWS = 60
DAYS = pd.bdate_range("2023-10-02", periods=ROWS)
NAMES = ("A", "B", "C", "D")


ACTS = (  # row, asset, split, dividend: A pays twice, B acts in its gap, C never, D splits and pays on one day
    (10, "A", 4.0, 0.0),
    (25, "A", 1.0, 0.5),
    (40, "A", 1.0, 0.25),
    (20, "B", 0.5, 0.0),
    (21, "B", 1.0, 0.3),
    (45, "D", 2.0, 0.4),
)


def as_traded() -> Floats:
    """Random closes in the units of their own day: B without a price on some days, D listed late."""
    random = np.random.default_rng(3)
    values: Floats = 50 * np.exp(random.normal(0, 0.01, (ROWS, 4)).cumsum(axis=0))
    values[19:23, 1] = np.nan
    values[:30, 3] = np.nan
    for row, name, split, _ in ACTS:
        values[row:, NAMES.index(name)] /= split
    return np.round(values, 4)


def reference(raw: Floats, *, dividends: bool) -> Floats:
    """Forward adjusted, asset by asset and row by row in plain Python."""
    out = raw.copy()
    for column, name in enumerate(NAMES):
        factor, split, cash = 1.0, 1.0, 0.0
        for row in range(len(raw)):
            for at, asset, ratio, paid in ACTS:
                if (at, asset) == (row, name):
                    split, cash = split * ratio, cash / ratio + (paid if dividends else 0.0)
            price = float(raw[row, column])
            if price == price:
                factor *= split * (1 + cash / price)
                split, cash = 1.0, 0.0
                out[row, column] = price * factor
    return out


SIG = """data:
  prices: load csv from "p.csv" adjust={adjust}
  corporate_actions: load csv from "a.csv"
signal seen:
  emit prices
signal traded:
  emit raw(prices)
portfolio main:
  weights = scale(rank(prices))
  backtest rebal=21
"""


Acts = tuple[tuple[int, str, float, float], ...]


def write_prices(folder: Path, rows: int = ROWS) -> None:
    pd.DataFrame(as_traded()[:rows], DAYS[:rows], NAMES).rename_axis("date").to_csv(folder / "p.csv")


def written(folder: Path, adjust: str, rows: int = ROWS, actions: Acts = ACTS) -> Path:
    write_prices(folder, rows)
    lines = [f"{DAYS[row]:%Y-%m-%d},{name},{split},{paid}\n" for row, name, split, paid in actions]
    (folder / "a.csv").write_text("date,ticker,split,dividend\n" + "".join(lines))
    (folder / "s.sig").write_text(SIG.format(adjust=adjust))
    return folder


def loaded_of(folder: Path, adjust: str = "split_div", store: BlockStore | None = None) -> tuple[Loaded, BlockStore]:
    store = MemoryStore() if store is None else store
    return load(write_strategy(folder, SIG.format(adjust=adjust)), workspace(store)), store


def seen(folder: Path, adjust: str, name: str = "seen", store: BlockStore | None = None) -> Panel:
    loaded, store = loaded_of(folder, adjust, store)
    return gather(compute(loaded, loaded.strategy.roots, workspace(store)), name)


@pytest.mark.parametrize("adjust", ["split", "split_div"])
def test_signals_see_adjusted_prices_and_raw_gives_those_of_the_file(tmp_path: Path, adjust: str) -> None:
    written(tmp_path, adjust)
    expected = reference(as_traded(), dividends=adjust == "split_div")
    found = seen(tmp_path, adjust)
    assert np.allclose(found.values, expected, rtol=1e-12, equal_nan=True)
    assert np.array_equal(seen(tmp_path, adjust, "traded").values, as_traded(), equal_nan=True)


def test_money_reads_the_file_whatever_adjust_says(tmp_path: Path) -> None:
    for adjust in ("none", "split", "split_div"):
        written(tmp_path, adjust)
        loaded, store = loaded_of(tmp_path, adjust)
        found = source_panel(loaded.grid, store, "prices", 0, ROWS)
        assert np.array_equal(found.values, as_traded(), equal_nan=True)


def test_a_later_action_changes_later_rows_of_its_asset_alone(tmp_path: Path) -> None:
    written(tmp_path, "split_div", actions=ACTS[:-1])
    before = seen(tmp_path, "split_div")
    written(tmp_path, "split_div")
    after = seen(tmp_path, "split_div")
    assert before.rows(0, 45).equals(after.rows(0, 45))
    assert np.array_equal(before.values[:, :3], after.values[:, :3], equal_nan=True)
    assert (after.values[45:, 3] > 1.9 * before.values[45:, 3]).all()


@pytest.mark.parametrize("stop", [1, 11, 21, 24, 45, 59])
def test_no_later_row_enters(tmp_path: Path, stop: int) -> None:
    written(tmp_path, "split_div")
    whole = seen(tmp_path, "split_div")
    written(tmp_path, "split_div", rows=stop)
    assert seen(tmp_path, "split_div").equals(whole.rows(0, stop))


def test_appended_equals_fresh_and_stores_what_is_new(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path / "cache")
    for rows in (24, 46, ROWS):
        written(tmp_path, "split_div", rows=rows)
        grown = seen(tmp_path, "split_div", store=store)
    assert grown.equals(seen(tmp_path, "split_div"))
    kept = blocks_in(tmp_path / "cache")
    written(tmp_path, "split_div", actions=ACTS[::-1])  # the same in another order, as vendors write daily
    assert seen(tmp_path, "split_div", store=store).equals(grown)
    assert blocks_in(tmp_path / "cache") == kept


def blocks_in(folder: Path) -> set[str]:
    found = {p.name for p in folder.rglob("*.parquet")}
    assert found
    return found


def test_returns_of_a_book_are_total_returns_whatever_signals_see(tmp_path: Path) -> None:
    """A book of A alone from the first row: its value is that of the shares, with dividends reinvested at the close."""
    raw = as_traded()
    for adjust in ("none", "split", "split_div"):
        written(tmp_path, adjust)
        text = SIG.format(adjust=adjust).replace("scale(rank(prices))", "where(prices == prices[A], 1, 0)")
        text = text.replace("rebal=21", "rebal=1")
        store = MemoryStore()
        loaded = load(write_strategy(tmp_path, text), workspace(store))
        found = backtest(loaded, workspace(store), pick(loaded))
        shares = 1.0
        for row, name, split, paid in ACTS:
            if name == "A":
                shares *= split * (1 + paid / raw[row, 0])
        expected = shares * raw[-1, 0] / raw[0, 0] - 1
        assert np.prod(1 + found.returns) - 1 == pytest.approx(expected, rel=1e-9)


def test_volume_is_adjusted_the_other_way(tmp_path: Path) -> None:
    rows = [
        f"{d:%Y-%m-%d},A,{p},{v},{s}\n"
        for d, p, v, s in zip(DAYS[:4], (100, 25, 26, 27), (10, 40, 44, 48), (1, 4, 1, 1), strict=True)
    ]
    (tmp_path / "bars.csv").write_text("date,ticker,close,volume,split\n" + "".join(rows))
    text = """data:
  close: load csv from "bars.csv" column=close adjust=split
  volume: load csv from "bars.csv" column=volume adjust=split
signal price:
  emit close
signal shares:
  emit volume
signal dollars:
  emit raw(close) * raw(volume)
"""
    space = workspace(MemoryStore())
    loaded = load(write_strategy(tmp_path, text), space)
    made = compute(loaded, loaded.strategy.roots, space)
    assert gather(made, "price").values[:, 0].tolist() == [100, 100, 104, 108]
    assert gather(made, "shares").values[:, 0].tolist() == [10, 10, 11, 12]
    assert gather(made, "dollars").values[:, 0].tolist() == [1000, 1000, 1144, 1296]


def test_adjusting_needs_actions(tmp_path: Path) -> None:
    write_prices(tmp_path)
    text = 'data:\n  prices: load csv from "p.csv" adjust=split\nsignal a:\n  emit prices\n'
    with pytest.raises(SigcError, match="neither a 'split' nor a 'dividend' column"):
        load(write_strategy(tmp_path, text), workspace(MemoryStore()))


def frame_of_prices() -> pd.DataFrame:
    return pd.DataFrame(as_traded(), DAYS, NAMES)


def frame_of_actions(acts: Acts = ACTS) -> pd.DataFrame:
    rows = [(DAYS[row], name, split, paid) for row, name, split, paid in acts]
    return pd.DataFrame(rows, columns=["date", "ticker", "split", "dividend"])


@pytest.mark.parametrize("adjust", ["split", "split_div"])
def test_frames_are_adjusted_as_files_are(tmp_path: Path, adjust: str) -> None:
    written(tmp_path, adjust)
    text = SIG.format(adjust=adjust)
    given = {"prices": frame_of_prices(), "corporate_actions": frame_of_actions()}
    found = sigc.compile(text, data=given, cache=False).panels()
    assert found["seen"].equals(seen(tmp_path, adjust))
    assert found["traded"].equals(seen(tmp_path, adjust, "traded"))
    some = sigc.compile(
        text, data={"prices": frame_of_prices()[:46], "corporate_actions": frame_of_actions()}, cache=False
    )
    assert some.append(prices=frame_of_prices()[46:]).panels()["seen"].equals(found["seen"])


def test_actions_are_appended_to_a_frame_of_actions(tmp_path: Path) -> None:
    given = {"prices": frame_of_prices(), "corporate_actions": frame_of_actions(ACTS[:3])}
    text = SIG.format(adjust="split_div")
    grown = sigc.compile(text, data=given, cache=False).append(corporate_actions=frame_of_actions(ACTS[3:]))
    whole = sigc.compile(text, data={**given, "corporate_actions": frame_of_actions()}, cache=False)
    assert grown.panels()["seen"].equals(whole.panels()["seen"])


def test_a_long_frame_says_its_actions_itself() -> None:
    rows = [(d, "A", p, s) for d, p, s in zip(DAYS[:4], (100.0, 25, 26, 27), (1.0, 4, 1, 1), strict=True)]
    frame = pd.DataFrame(rows, columns=["date", "ticker", "close", "split"])
    text = 'data:\n  prices: load csv from "none.csv" column=close adjust=split\nsignal seen:\n  emit prices\n'
    found = sigc.compile(text, data={"prices": frame}, cache=False).panels()["seen"]
    assert found.values[:, 0].tolist() == [100, 100, 104, 108]
    bare = frame.drop(columns="split")
    with pytest.raises(SigcError, match="neither a 'split' nor a 'dividend' column"):
        sigc.compile(text, data={"prices": bare}, cache=False).panels()
