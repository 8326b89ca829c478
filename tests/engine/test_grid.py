"""Sources laid onto the grid of the traded panel: named sections, indices, static panels, other dates and assets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sigc.blocks.block import MemoryStore
from sigc.engine.core.gather import gather
from sigc.errors import SigcError
from sigc.panel import Panel
from sigc_pipelines.compute import compute, load
from tests.world import NAMES, workspace, write_strategy, write_wide, write_world

HEAD = 'data:\n  prices: load parquet from "prices.parquet"\n'


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_world(tmp_path, 300)
    return tmp_path


def values(folder: Path, text: str, name: str = "a") -> Panel:
    space = workspace(MemoryStore())
    loaded = load(write_strategy(folder, text), space)
    return gather(compute(loaded, loaded.strategy.roots, space), name)


def prices(folder: Path) -> Panel:
    return values(folder, HEAD + "signal a:\n  emit prices\n")


def test_named_sections(world: Path) -> None:
    rows = "".join(f"2015-01-02,{n},{i},{i * i}\n2015-06-01,{n},{i + 1},0\n" for i, n in enumerate(NAMES))
    (world / "f.csv").write_text("date,ticker,roe,pe\n" + rows)
    text = (
        HEAD
        + 'data fundamentals:\n  source = "f.csv"\n  columns:\n    ticker: Symbol\n    date: Date\n    roe: Numeric\n    pe: Numeric as ratio\n'
        + "  options:\n    asof = true\n    available_after = 0\n"
    )
    found = values(world, text + "signal a:\n  emit ffill(fundamentals.roe) + 0 * ffill(fundamentals.ratio)\n")
    assert found.values[0].tolist() == [float(i) for i in range(13)]
    assert found.values[-1].tolist() == [float(i + 1) for i in range(13)]
    bare = values(world, text + "signal a:\n  emit ffill(fundamentals)\n")
    assert bare.values.tobytes() == found.values.tobytes()


def test_an_index_stands_for_all_assets(world: Path) -> None:
    dates = prices(world).dates
    write_wide(world / "m.parquet", dates, np.arange(300.0)[:, None] + 1, ("MARKET",))
    found = values(world, HEAD + '  market: load parquet from "m.parquet"\nsignal a:\n  emit market + 0 * prices\n')
    held = ~np.isnan(found.values)
    assert (found.values == np.arange(1.0, 301.0)[:, None])[held].all()
    assert (held == ~np.isnan(prices(world).values)).all()


def test_a_column_stands_for_all_assets(world: Path) -> None:
    found = values(world, HEAD + "signal a:\n  emit prices - prices[S002]\n")
    plain = prices(world)
    expected = plain.values - plain.values[:, [2]]
    assert np.array_equal(found.values, expected, equal_nan=True)


def test_static_numbers_and_labels(world: Path) -> None:
    (world / "caps.csv").write_text("ticker,cap\n" + "".join(f"{n},{i}\n" for i, n in enumerate(NAMES)))
    found = values(world, HEAD + '  caps: load csv from "caps.csv"\nsignal a:\n  emit caps + 0 * fill_nan(prices, 0)\n')
    assert (found.values == np.arange(13.0)).all()
    labels = HEAD + '  sectors: load csv from "sectors.csv"\nsignal a:\n  emit where(sectors == "Tech", 1, 0)\n'
    assert values(world, labels).values[7].tolist() == [float(i % 3 == 1 and i != 5) for i in range(13)]


def test_corporate_actions_of_their_own(world: Path) -> None:
    day = str(prices(world).dates[100].astype("datetime64[D]"))
    (world / "acts.csv").write_text(f"date,asset,split,dividend\n{day},S002,2,0\n")
    text = 'data:\n  prices: load parquet from "prices.parquet" adjust=split\n  corporate_actions: load csv from "acts.csv"\n'
    found, plain = values(world, text + "signal a:\n  emit prices\n").values, prices(world).values
    assert np.array_equal(found[:100], plain[:100], equal_nan=True)
    assert np.array_equal(found[100:, 2], 2 * plain[100:, 2], equal_nan=True)


def test_other_dates_and_assets(world: Path) -> None:
    dates = prices(world).dates
    write_wide(world / "x.parquet", dates[50:], np.ones((250, 2)), ("S001", "ZZZ"))
    space = workspace(MemoryStore())
    text = HEAD + '  x: load parquet from "x.parquet"\nsignal a:\n  emit x + 0 * prices\n'
    loaded = load(write_strategy(world, text), space)
    assert any("lacks 50 of 300 dates" in f.message for f in loaded.findings)
    found = values(world, text)
    assert found.names == NAMES
    assert np.isnan(found.values[:50]).all()
    assert np.isnan(np.delete(found.values, 1, axis=1)).all()
    cases = (
        (dates, ("Y1", "Y2"), "no asset in common"),
        (dates - np.timedelta64(9999, "D"), ("S001", "S002"), "no date in common"),
    )
    for dated, names, message in cases:
        write_wide(world / "x.parquet", dated, np.ones((300, 2)), names)
        with pytest.raises(SigcError, match=message):
            load(write_strategy(world, text), space)


def test_hourly_rows_are_blocks_of_months(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    hours = np.arange("2020-01-01", "2020-03-20", dtype="datetime64[h]").astype("datetime64[us]")
    table = pa.table(
        {
            "date": pa.array(hours, pa.timestamp("us", "UTC")),
            "A": np.arange(len(hours)) + 1.0,
            "B": np.arange(len(hours)) * 2.0 + 1,
        }
    )
    pq.write_table(table, tmp_path / "prices.parquet")
    text = HEAD + "signal a:\n  emit ema(ret(prices, 30), 10)\n"
    space = workspace(MemoryStore())
    loaded = load(write_strategy(tmp_path, text), space)
    assert [b.label for b in loaded.grid.blocks] == ["2020-01", "2020-02", "2020-03"]
    assert np.isfinite(values(tmp_path, text).values[30:]).all()
