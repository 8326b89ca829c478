"""Files of blocks are parquet: what its own reader finds in them is what was written, whatever the shape and the pages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.blocks.block import BlockFacts, digest
from sigc.cache import files
from sigc.cache.layout import pieces
from sigc.panel import Floats, Panel

DAYS = np.arange("2020-01-01", "2022-01-01", dtype="datetime64[D]").astype("datetime64[ns]")


def cells(rows: int, width: int) -> Floats:
    values = np.random.default_rng(rows + width).normal(size=(rows, width))
    values[values > 1] = np.nan
    return values


def table(raw: bytes) -> pa.Table:
    found = pq.read_table(pa.BufferReader(raw))
    found.validate(full=True)
    return found


@settings(max_examples=40)
@given(st.integers(0, 300), st.integers(0, 40), st.booleans(), st.sampled_from([1, 200, 1 << 30]))
def test_the_reader_of_parquet_finds_what_was_written(rows: int, width: int, is_dated: bool, page_bytes: int) -> None:
    values, dates = cells(rows, width), DAYS[:rows] if is_dated else None
    raw = b"".join(pieces(dates, values, {"note": "é"}, page_bytes))
    found = table(raw)
    assert pq.read_metadata(pa.BufferReader(raw)).metadata[b"note"].decode() == "é"
    assert found.column_names == ["date"] * is_dated + ["values"] * (width > 0)
    if is_dated:
        assert found["date"].to_numpy().tobytes() == DAYS[:rows].tobytes()
    if width:
        flat = [chunk.flatten().to_numpy() for chunk in found["values"].chunks]
        assert b"".join(part.tobytes() for part in flat) == values.tobytes()


def test_pandas_opens_a_block_and_its_names_are_in_the_foot(tmp_path: Path) -> None:
    panel, key = Panel(DAYS[:30], ("A", "B"), cells(30, 2)), digest("open")
    files.write_panel(tmp_path / "block.parquet", BlockFacts(key, "prices", "2020", 30), panel)
    frame = pd.read_parquet(tmp_path / "block.parquet")
    assert np.stack(frame["values"].tolist()).tobytes() == panel.values.tobytes()
    assert frame["date"].tolist() == pd.DatetimeIndex(panel.dates).tolist()
    notes = pq.read_metadata(tmp_path / "block.parquet").metadata
    assert json.loads(notes[b"sigc.names"]) == ["A", "B"]


@pytest.mark.parametrize("page_bytes", [200, 1 << 30])
def test_a_block_of_several_pages_is_read_and_verified(tmp_path: Path, page_bytes: int) -> None:
    panel, key = Panel(DAYS[:30], ("A", "B"), cells(30, 2)), digest("pages")
    path = tmp_path / "block.parquet"
    files.write_panel(path, BlockFacts(key, "prices", "2020", 30), panel)
    notes = {k.decode(): v.decode() for k, v in pq.read_metadata(path).metadata.items() if k.startswith(b"sigc")}
    path.write_bytes(b"".join(pieces(panel.dates, panel.values, notes, page_bytes)))
    assert files.read_panel(path, key).equals(panel)
