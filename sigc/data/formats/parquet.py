"""The parquet format: types and sizes are declared, so cells are counted before any is read."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sigc.data.missing_words import is_unnamed
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError

_HEAD_ROWS = 2_000


class ParquetFile:
    """An open parquet file. indices: the columns of a stored pandas index."""

    def __init__(self, spec: SourceSpec, file: str, handle: Any, max_cells: int) -> None:
        self._spec, self._file, self._max_cells = spec, file, max_cells
        self._source = pq.ParquetFile(handle)
        self.indices = pandas_indices(self._source.schema_arrow.metadata)

    @property
    def rows(self) -> int:
        return int(self._source.metadata.num_rows)

    def head(self) -> Any:
        """Return the first rows, all columns; float columns, which no layout inspects, as nulls of their type."""
        schema = self._source.schema_arrow
        looked_at = [f.name for f in schema if not pa.types.is_floating(f.type) or is_unnamed(f.name)]
        first = next(self._source.iter_batches(batch_size=_HEAD_ROWS, columns=looked_at, use_threads=False), None)
        if first is None:
            return schema.empty_table()
        absent = {f.type: pa.nulls(first.num_rows, f.type) for f in schema if f.name not in looked_at}
        columns = [first.column(f.name) if f.name in looked_at else absent[f.type] for f in schema]
        return pa.Table.from_arrays(columns, names=schema.names)

    def read(self, columns: Collection[str], numbers: Collection[str]) -> Any:  # noqa: ARG002
        """Return some columns. Raise E201 for more cells than allowed."""
        self.check_size(columns)
        rows, wide = self.rows, len(columns)
        needed = 8 * rows * wide
        if 0 < self._spec.memory_bytes < needed:
            raise too_large(
                self._spec, self._file, f"needs {-(-needed >> 20):,} MB, for {rows:,} rows of {wide:,} columns"
            )
        return self._source.read(columns=list(columns))

    def check_size(self, columns: Collection[str]) -> None:
        """Raise E201 if some columns have more cells than allowed."""
        cells = self.rows * len(columns)
        if cells > self._max_cells:
            message = f"declares {cells:,} cells, more than the {self._max_cells:,} allowed"
            raise problem(self._spec, "E201", self._file, message, "raise data.max_cells if that is right")


def too_large(spec: SourceSpec, file: str, needs: str) -> SigcError:
    """Return the error for a file that needs more memory than allowed."""
    message = f"{needs} to be read; {spec.memory_bytes >> 20:,} MB are allowed"
    hint = "raise daemon.max_memory_mb, split it into a folder of files by date, or write it as wide parquet"
    return problem(spec, "E201", file, message, hint)


def pandas_indices(metadata: Any) -> frozenset[str]:
    """Return the columns that pandas' metadata call an index."""
    try:
        about = json.loads((metadata or {}).get(b"pandas", b"{}"))
        return frozenset(i for i in about.get("index_columns", ()) if isinstance(i, str))
    except (ValueError, AttributeError, TypeError):
        return frozenset()
