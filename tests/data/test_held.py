"""Sources given from memory: what files of the same content give, bit for bit, and the same errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sigc
from sigc.blocks import MemoryStore, concat
from sigc.cache.parquet import ParquetStore
from sigc.config import DataSettings
from sigc.data.catalog import load, read
from sigc.data.held import grow, hold
from sigc.data.spec import SourceSpec
from sigc.errors import SigcError
from sigc.panel import Panel

DAYS = pd.bdate_range("2018-12-20", periods=300, name="date")


def frame() -> pd.DataFrame:
    values = np.random.default_rng(3).normal(50, 5, (len(DAYS), 4)).round(2)
    values[5:40, 1] = np.nan
    values[:120, 3] = np.nan  # not there in the first two years
    return pd.DataFrame(values, DAYS, ["B", "A", "D", "C"])


def spec(folder: Path, **more: Any) -> SourceSpec:
    return SourceSpec("prices", "p.parquet", base=str(folder), **more)


def test_given_from_memory_is_as_read_from_a_file(tmp_path: Path) -> None:
    table = frame()
    table.reset_index().to_parquet(tmp_path / "p.parquet")
    from_file, from_memory = MemoryStore(), ParquetStore(tmp_path / "cache")
    held = {"prices": hold(spec(tmp_path), table, DataSettings())}
    one = load([spec(tmp_path)], from_file, DataSettings()).sources["prices"]
    other = load([spec(tmp_path)], from_memory, DataSettings(), held=held).sources["prices"]
    assert one.digests == other.digests
    assert [b.key for b in one.blocks] == [b.key for b in other.blocks]
    assert read(one, from_file, 0, len(DAYS)).equals(read(other, from_memory, 0, len(DAYS)))


def test_long_and_static_frames(tmp_path: Path) -> None:
    table = frame()
    long = table.reset_index().melt("date", var_name="ticker", value_name="price")
    wide = hold(spec(tmp_path), table, DataSettings()).converted
    assert hold(spec(tmp_path), long, DataSettings()).converted.digests == wide.digests
    sectors = pd.Series({"A": "Tech", "B": "Energy"}, name="sector")
    of = hold(SourceSpec("sectors", "s.csv", dtype="category"), sectors, DataSettings()).converted
    assert (of.static, of.labels, of.names) == (True, ("Energy", "Tech"), ("A", "B"))


def test_a_panel_is_taken_as_it_is(tmp_path: Path) -> None:
    table = frame()[["A", "B", "C", "D"]]
    panel = Panel(table.index.to_numpy(), tuple(table.columns), table.to_numpy())
    given = hold(spec(tmp_path), panel, DataSettings()).converted
    assert given.digests == hold(spec(tmp_path), table, DataSettings()).converted.digests


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (frame()[::-1], "is not sorted"),
        (frame().astype(object).replace(np.nan, "x"), "[Cc]ould not convert"),
        (frame() / 0.0, "infinite"),
        (object(), "no table"),
    ],
)
def test_bad_frames_are_told(tmp_path: Path, given: Any, message: str) -> None:
    with pytest.raises(SigcError, match=message):
        hold(spec(tmp_path), given, DataSettings())


def test_blocks_of_one_array_are_joined_without_a_copy(tmp_path: Path) -> None:
    held = hold(spec(tmp_path), frame().drop(columns="C"), DataSettings())
    panels = [panel for _, panel in held.panels.values()]
    assert len(panels) > 1
    whole = concat(panels)
    assert all(np.shares_memory(whole.values, p.values) for p in panels)
    assert not np.shares_memory(concat(panels[::-1]).values, whole.values)
    assert np.array_equal(whole.values, frame()[["A", "B", "D"]].to_numpy(), equal_nan=True)


TEXT = """data:
  prices: load parquet from "p.parquet"
params:
  n: [5, 20]
signal past:
  emit ret(prices, n).rank()
portfolio main:
  weights = past.long_short(top=0.5, bottom=0.5)
"""


def test_a_strategy_on_a_frame(tmp_path: Path) -> None:
    table = frame().drop(columns="C")
    s = sigc.compile(TEXT, data={"prices": table}, cache=False)
    panels = s.panels()
    assert sorted(panels) == ["main.weights", "past"]
    assert s.signals("past").equals(panels["past"].to_pandas())
    assert np.array_equal(s.backtest().weights.to_numpy(), panels["main.weights"].values)
    found = s.optimize()
    assert [dict(trial.params) for trial in found.scored] == [{"n": 5.0}, {"n": 20.0}]
    alone = [s.with_params(n=n).backtest().metrics.sharpe for n in (5, 20)]
    assert [trial.metrics.sharpe for trial in found.scored] == alone
    with pytest.raises(SigcError, match="has no source 'price'"):
        sigc.compile(TEXT, data={"price": table})


def test_blocks_that_nobody_keeps_are_cut_otherwise_and_give_the_same() -> None:
    table = pd.concat([frame(), frame().set_axis(DAYS + pd.Timedelta(days=500))]).drop(columns="C")
    by_calendar = sigc.compile(TEXT, data={"prices": table}, cache="memory").panels()
    for threads in (1, 2, 3):
        passing = sigc.compile(TEXT, data={"prices": table}, cache=False, threads=threads).panels()
        assert all(passing[name].equals(panel) for name, panel in by_calendar.items())


def test_rows_appended_are_as_if_given_at_once(tmp_path: Path) -> None:
    table = frame().drop(columns="C")
    whole = hold(spec(tmp_path), table, DataSettings())
    for cut in (3, 200, 260, 299):
        held = hold(spec(tmp_path), table[:cut], DataSettings())
        for at in range(cut, len(table), 7):
            held = grow(spec(tmp_path), held, table[at : at + 7], DataSettings())
        assert held.converted.digests == whole.converted.digests
        assert [b.key for b in held.converted.blocks] == [b.key for b in whole.converted.blocks]
        assert sorted(held.panels) == sorted(whole.panels)
    for wrong in (table[-1:], table[-1:].rename(columns={"A": "Z"})):
        with pytest.raises(SigcError, match=r"not after 2020-02-12|give the whole source anew"):
            grow(spec(tmp_path), whole, wrong, DataSettings())


def test_a_day_appended_is_computed_alone(tmp_path: Path) -> None:
    table = frame().drop(columns="C")
    grown = sigc.compile(TEXT, data={"prices": table[:-1]}, cache="memory")
    grown.panels()
    grown = grown.append(prices=table[-1:])
    fresh = sigc.compile(TEXT, data={"prices": table}, cache=False)
    last = str(table.index[-1].date())
    assert grown.panels(start=last)["main.weights"].equals(fresh.panels(start=last)["main.weights"])
    assert grown.backtest().metrics == fresh.backtest().metrics
    with pytest.raises(SigcError, match="'close' was not given from memory"):
        grown.append(close=table[-1:])
