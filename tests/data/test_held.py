"""Sources given from memory: what files of the same content give, bit for bit, and the same errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sigc
from sigc.blocks.block import MemoryStore, concat
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import load, read
from sigc.data.sources.frame_source import grow, hold
from sigc.data.sources.spec import SourceSpec
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
        (object(), "not a table"),
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
  prices: load parquet from "p.parquet" max_return=10
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
    assert np.array_equal(s.backtest().weights.to_numpy(), np.nan_to_num(panels["main.weights"].values))  # flat before
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


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("dropped", ["C", "A"])  # C comes in the middle of a year
def test_rows_appended_are_as_if_given_at_once(tmp_path: Path, step: int, dropped: str) -> None:
    table = frame().drop(columns=dropped)
    whole = hold(spec(tmp_path), table, DataSettings())
    for cut in (3, 200, 260, 299):
        held = hold(spec(tmp_path), table[:cut], DataSettings())
        for at in range(cut, len(table), step):
            later = table[at : at + step]
            held = grow(spec(tmp_path), held, later if at % 2 else later[later.columns[::-1]], DataSettings())
        assert held.converted.digests == whole.converted.digests
        assert [b.key for b in held.converted.blocks] == [b.key for b in whole.converted.blocks]
        assert {k: f for k, (f, _) in held.panels.items()} == {k: f for k, (f, _) in whole.panels.items()}
        assert all(held.panels[k][1].equals(panel) for k, (_, panel) in whole.panels.items())
    for wrong in (table[-1:], table[-1:].rename(columns={"B": "Z"})):
        with pytest.raises(SigcError, match=r"not after 2020-02-12|give the whole source again"):
            grow(spec(tmp_path), whole, wrong, DataSettings())


def test_bad_rows_are_told_when_they_are_appended(tmp_path: Path) -> None:
    held = hold(spec(tmp_path), frame()[:-2], DataSettings())
    later = frame()[-2:]
    for wrong, message in (
        (later[::-1], "is not sorted"),
        (later / 0.0, "infinite"),
        (later.assign(B=pd.Series(["x", 1.0], later.index, dtype=object)), "Conversion failed for column B"),
        (later.set_axis(["B", "B", "D", "C"], axis=1), "B"),
    ):
        with pytest.raises(SigcError, match=message):
            grow(spec(tmp_path), held, wrong, DataSettings())


def test_two_that_grow_from_the_same_rows_do_not_meet(tmp_path: Path) -> None:
    table = frame().drop(columns="C")
    held = grow(spec(tmp_path), hold(spec(tmp_path), table[:-2], DataSettings()), table[-2:-1], DataSettings())
    one = grow(spec(tmp_path), held, table[-1:], DataSettings())
    two = grow(spec(tmp_path), held, 2.0 * table[-1:], DataSettings())
    for grown, last in ((one, table[-1:]), (two, 2.0 * table[-1:])):
        fresh = hold(spec(tmp_path), pd.concat([table[:-1], last]), DataSettings())
        assert [(k, f) for k, (f, _) in grown.panels.items()] == [(k, f) for k, (f, _) in fresh.panels.items()]
        assert all(grown.panels[k][1].equals(panel) for k, (_, panel) in fresh.panels.items())


CARRIED = (
    TEXT
    + """signal smooth:
  emit ema(prices, 5) + past
"""
)


@pytest.mark.parametrize("dropped", ["C", "A"])
def test_days_appended_one_by_one_are_as_if_given_at_once(dropped: str) -> None:
    table = frame().drop(columns=dropped)
    table.iloc[140:, 0] = np.nan  # B goes
    grown = sigc.compile(CARRIED, data={"prices": table[:100]}, cache="memory")
    grown.panels()
    seen = []
    for at in range(100, 180):
        grown = grown.append(prices=table[at : at + 1])
        fresh = sigc.compile(CARRIED, data={"prices": table[: at + 1]}, cache=False).panels() if at % 20 == 0 else {}
        found = grown.panels()
        assert all(found[name].equals(panel) for name, panel in fresh.items())
        seen.append((found, {name: panel.values.copy() for name, panel in found.items()}))
    for found, before in seen:  # nothing that was given out has changed
        assert all(np.array_equal(found[name].values, values, equal_nan=True) for name, values in before.items())


def test_strategies_that_grow_from_the_same_do_not_meet() -> None:
    table = frame().drop(columns="C")
    both = sigc.compile(CARRIED, data={"prices": table[:-2]}, cache="memory")
    both.panels()
    both = both.append(prices=table[-2:-1])
    both.panels()
    lasts = (table[-1:], table[-1:] * [2.0, 1.0, 0.5])
    grown = [both.append(prices=last) for last in lasts]
    found = [g.panels() for g in grown]
    for panels, last in zip(found, lasts, strict=True):
        fresh = sigc.compile(CARRIED, data={"prices": pd.concat([table[:-1], last])}, cache=False).panels()
        assert all(panels[name].equals(panel) for name, panel in fresh.items())


def test_of_a_day_appended_no_block_is_copied() -> None:
    table = frame().drop(columns="C")
    grown = sigc.compile(CARRIED, data={"prices": table[:-8]}, cache="memory")
    grown.panels()
    last, days = None, 0
    for at in range(len(table) - 8, len(table)):
        grown = grown.append(prices=table[at : at + 1])
        found = grown.panels(start="2020-01-01")
        days += last is not None and all(np.shares_memory(found[n].values, last[n].values) for n in found)
        last = found
    assert days >= 6


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
