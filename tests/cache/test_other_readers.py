"""Blocks are open to other tools: DuckDB and Polars, whose readers of parquet are their own, find every bit in them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.cache.layout import pieces
from sigc.panel import Floats
from tests.cache.test_layout import DAYS, cells

SHAPES = (st.integers(1, 300), st.integers(1, 40), st.booleans(), st.sampled_from([1, 200, 1 << 30]))
ODD = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, np.finfo(np.float64).max])


def block(folder: Path, rows: int, width: int, is_dated: bool, page_bytes: int) -> tuple[Path, Floats]:
    """A block as the cache writes it, with every odd number in it. page_bytes: 1 for a page a row."""
    values = cells(rows, width)
    values.flat[: len(ODD)] = ODD[: values.size]
    path = folder / f"{rows}-{width}-{is_dated}-{page_bytes}.parquet"
    path.write_bytes(b"".join(pieces(DAYS[:rows] if is_dated else None, values, {"note": "é"}, page_bytes)))
    return path, values


@settings(max_examples=25)
@given(*SHAPES)
def test_duckdb_reads_every_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: int, width: int, is_dated: bool, page_bytes: int
) -> None:
    path, values = block(tmp_path_factory.mktemp("duck"), rows, width, is_dated, page_bytes)
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchnumpy()
    assert sorted(found) == ["date"] * is_dated + ["values"]
    assert np.array([list(row) for row in found["values"]], np.float64).tobytes() == values.tobytes()
    if is_dated:
        assert np.array(found["date"], "datetime64[ns]").tobytes() == DAYS[:rows].tobytes()


@settings(max_examples=25)
@given(*SHAPES)
def test_polars_reads_every_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: int, width: int, is_dated: bool, page_bytes: int
) -> None:
    path, values = block(tmp_path_factory.mktemp("polars"), rows, width, is_dated, page_bytes)
    found = pl.read_parquet(path, use_pyarrow=False)
    assert found.columns == ["date"] * is_dated + ["values"]
    assert np.array(found["values"].to_list()).tobytes() == values.tobytes()
    if is_dated:
        assert found["date"].to_numpy().astype("datetime64[ns]").tobytes() == DAYS[:rows].tobytes()
