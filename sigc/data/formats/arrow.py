"""Arrow IPC files and streams, read whole; and any arrow table in memory."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc

from sigc.data.formats.parquet import pandas_indices
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec

_HEAD_ROWS = 2_000


class ArrowTable:
    """A table in memory. indices: the columns of a stored pandas index."""

    def __init__(self, table: Any, indices: frozenset[str] | None = None) -> None:
        self._table = table
        self.indices = pandas_indices(table.schema.metadata) if indices is None else indices

    def head(self) -> Any:
        """Return the first rows, all columns."""
        return self._table.slice(0, _HEAD_ROWS)

    def read(self, columns: Collection[str], numbers: Collection[str]) -> Any:  # noqa: ARG002
        """Return some columns."""
        return self._table.select(list(columns))


def open_arrow(spec: SourceSpec, file: str, raw: bytes, max_cells: int) -> ArrowTable:
    """Return the table of an arrow file or stream. Raise E201 for more cells than allowed."""
    try:
        reader = ipc.open_file(io.BytesIO(raw))
        batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
    # Both forms share their extensions: a stream fails as a file.
    except pa.ArrowInvalid:
        reader = ipc.open_stream(io.BytesIO(raw))
        batches = list(reader)
    cells = sum(b.num_rows for b in batches) * len(reader.schema)
    if cells > max_cells:
        message = f"declares {cells:,} cells, more than the {max_cells:,} allowed"
        raise problem(spec, "E201", file, message, "raise data.max_cells if that is right")
    return ArrowTable(pa.Table.from_batches(batches, reader.schema))
