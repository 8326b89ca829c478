"""Blocks that are truncated, flipped, deleted or evicted: the run ends with the right bytes and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigc.blocks import MemoryStore
from sigc.cache.parquet import ParquetStore
from tests.engine.test_laws import assert_same, everything
from tests.world import workspace, write_world


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
    store = ParquetStore(tmp_path / "cache", memory_bytes=0)
    everything(tmp_path, "momentum", workspace(store))
    from sigc.cache.upkeep import clear, matching

    gone = {e.key for e in matching(tmp_path / "cache", "prices_2016")}
    clear(tmp_path / "cache", "m*")
    fresh = ParquetStore(tmp_path / "cache", memory_bytes=0)
    assert gone
    original = fresh.facts

    def facts_then_lose(key: str) -> object:
        """Answer as long as the plan is made, then let the block go."""
        found = original(key)
        if key in gone and found is not None:
            for path in (tmp_path / "cache").glob(f"blocks/*/{key}.*"):
                path.unlink()
            gone.discard(key)
        return found

    fresh.facts = facts_then_lose  # type: ignore[method-assign, assignment]
    found, report = everything(tmp_path, "momentum", workspace(fresh))
    assert_same(found, right)
    assert any("gone" in text for text in report.incidents)
