"""Blocks that are truncated, flipped, deleted or evicted: the run ends with the right bytes and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigc.blocks.block import MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.cache.upkeep import clear, matching
from sigc.engine.core.gather import gather, source_panel
from sigc.errors import SigcError
from sigc_pipelines.compute import compute, load
from tests.engine.test_laws import assert_same, everything
from tests.world import strategy, workspace, write_world


def _damage(path: Path, how: str) -> None:
    raw = bytearray(path.read_bytes())
    match how:
        case "truncate":
            path.write_bytes(bytes(raw[: len(raw) // 2]))
        case "flip":
            raw[len(raw) // 3] ^= 0x40
            path.write_bytes(bytes(raw))
        case "empty":
            path.write_bytes(b"")
        case _:
            path.unlink()


@pytest.mark.parametrize("how", ["truncate", "flip", "empty", "delete"])
@pytest.mark.parametrize("suffix", [".parquet", ".json", ".carry.parquet"])
def test_damaged_entries_are_computed_again(tmp_path: Path, how: str, suffix: str) -> None:
    write_world(tmp_path, 600)
    right, _ = everything(tmp_path, "carried", workspace(MemoryStore()))
    cache = tmp_path / "cache"
    everything(tmp_path, "carried", workspace(ParquetStore(cache)))
    files = [p for p in sorted(cache.glob("blocks/*/*")) if p.name.partition(".")[2] == suffix[1:]]
    assert files
    for path in files:
        _damage(path, how)
    found, report = everything(tmp_path, "carried", workspace(ParquetStore(cache)))
    assert_same(found, right)
    if suffix == ".json" and how == "delete":
        assert report.blocks_computed > 0
    elif how != "delete" and suffix != ".carry.parquet":
        assert any("damaged" in text for text in report.incidents)


def test_a_source_block_that_vanishes_under_a_plan(tmp_path: Path) -> None:
    write_world(tmp_path, 600)
    right, _ = everything(tmp_path, "momentum", workspace(MemoryStore()))
    cache = tmp_path / "cache"
    everything(tmp_path, "momentum", workspace(ParquetStore(cache)))
    clear(cache, "m*")
    space = workspace(ParquetStore(cache))
    loaded = load(strategy(tmp_path, "momentum"), space)
    assert clear(cache, "prices_2016")[0] == 1
    computed = compute(loaded, loaded.strategy.roots, space)
    assert_same({n: gather(computed, n) for n in loaded.strategy.roots}, right)
    assert any("missing" in text for text in computed.report.incidents)


@pytest.mark.parametrize("how", ["flip", "delete"])
def test_a_source_block_is_lost_where_all_else_is_stored(tmp_path: Path, how: str) -> None:
    write_world(tmp_path, 600)
    cache = tmp_path / "cache"
    everything(tmp_path, "momentum", workspace(ParquetStore(cache)))
    store = ParquetStore(cache)
    loaded = load(strategy(tmp_path, "momentum"), workspace(store))
    right = source_panel(loaded.grid, store, "prices", 0, 600)
    key = matching(cache, "prices_2016")[0].key
    _damage(cache / "blocks" / key[:2] / f"{key}.parquet", how)
    assert source_panel(loaded.grid, ParquetStore(cache), "prices", 0, 600).equals(right)


def test_a_source_block_is_lost_and_its_file_is_another(tmp_path: Path) -> None:
    write_world(tmp_path, 600)
    store = ParquetStore(tmp_path / "cache")
    loaded = load(strategy(tmp_path, "momentum"), workspace(store))
    write_world(tmp_path, 600, changed=(300, 3))
    store.free()
    clear(tmp_path / "cache", "prices_2016")
    with pytest.raises(SigcError, match="block of source 'prices' vanished"):
        source_panel(loaded.grid, store, "prices", 0, 600)
