"""A cache of the version before prices were stored as traded: its blocks are not taken for those of today."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from sigc.blocks.block import BlockStore, MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.cache.upkeep import verify
from sigc.engine.core.gather import source_panel
from sigc.lang.check import check_file
from sigc.plan.lower import lower
from sigc_pipelines.backtest.backtest import BacktestRun, backtest, pick
from sigc_pipelines.compute import Loaded, load
from tests.world import workspace

FIXTURE = Path(__file__).parent / "fixtures" / "cache-v3.tar.gz"
TOTAL_RETURN = 0.1726  # as that version printed it
SPLIT_ROW = 8


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path)  # noqa: S202 -- of ours
    return tmp_path


def result(folder: Path, store: BlockStore) -> tuple[Loaded, BacktestRun]:
    space = workspace(store)
    loaded = load(lower(check_file(folder / "s.sig")), space)
    return loaded, backtest(loaded, space, pick(loaded))


def test_what_was_converted_before_is_converted_again(old: Path) -> None:
    before = {p.name for p in (old / "cache").rglob("*.parquet")}
    store = ParquetStore(old / "cache")
    loaded, found = result(old, store)
    _, fresh = result(old, MemoryStore())
    assert found.metrics == fresh.metrics
    assert round(found.metrics.total_return, 4) == TOTAL_RETURN
    prices = source_panel(loaded.grid, store, "prices", 0, 20).values[:, 0]
    assert prices[SPLIT_ROW] / prices[SPLIT_ROW - 1] == pytest.approx(1.01 / 4, rel=1e-4)
    assert before < {p.name for p in (old / "cache").rglob("*.parquet")}


def test_the_blocks_of_before_are_whole_and_nobodys(old: Path) -> None:
    result(old, ParquetStore(old / "cache"))
    assert len([*(old / "cache" / "blocks").glob("*/*.json")]) > 2
    assert verify(old / "cache") == []
