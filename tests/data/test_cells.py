"""Columns of arrow as numpy: what arrow itself makes of them, whatever their pieces."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sigc.data.formats.cells import numbers
from sigc.data.sources.spec import SourceSpec

Piece = tuple[list[float | None], int]
PIECES = st.lists(
    st.tuples(st.lists(st.none() | st.floats(allow_infinity=False), max_size=20), st.integers(0, 20)), max_size=4
)


@given(PIECES, st.sampled_from((pa.float64(), pa.float32(), pa.int16())))
def test_numbers_are_those_of_arrow(pieces: list[Piece], kind: pa.DataType) -> None:
    arrays = [pa.array(_of(values, kind), kind).slice(begin) for values, begin in pieces]
    column = pa.chunked_array(arrays, kind)
    found = numbers(SourceSpec("prices", "prices.parquet"), "prices.parquet", column, "A")
    np.testing.assert_array_equal(found, np.array([np.nan if v is None else v for v in column.to_pylist()], float))


def _of(values: list[float | None], kind: pa.DataType) -> list[float | None]:
    if pa.types.is_integer(kind):
        return [None if v is None or v != v else round(v) % 1000 for v in values]
    return [None if v is None else float(np.float32(v / 1e300)) for v in values]
