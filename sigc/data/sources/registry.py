"""The registry of sources from outside: entry points of the group `sigc.sources`, named by the word after `load`.

[project.entry-points."sigc.sources"]
warehouse = "desk_data:open_warehouse"        an `Opener`: from a source's declaration to a `RowSource`

prices: load warehouse from "select * from closes"
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import pyarrow as pa

from sigc.data.source_errors import problem
from sigc.data.sources.source import Opener, RowSource, Table
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError

_GROUP = "sigc.sources"
_HEAD_ROWS = 2_000


@lru_cache(maxsize=32)
def opener(word: str) -> Opener | None:
    """Return the opener of a format; None if no installed package has one."""
    from importlib.metadata import entry_points

    found = [e for e in entry_points(group=_GROUP) if e.name == word]
    return found[0].load() if found else None


def is_outside(spec: SourceSpec) -> bool:
    """Return True for a source of an installed package."""
    return bool(spec.format) and spec.format.isidentifier() and opener(spec.format) is not None


def open_outside(spec: SourceSpec) -> RowSource:
    """Open the source. Raise E200 with the package's message."""
    made = opener(spec.format)
    if made is None:
        raise SigcError(Diagnostic("E200", f"source '{spec.name}': no package opens '{spec.format}'", spec.span))
    try:
        return made(spec)
    except SigcError:
        raise
    except Exception as failure:  # every package raises its own errors
        raise problem(spec, "E200", spec.path, f"can't be opened: {type(failure).__name__}: {failure}") from failure


class RowTable:
    """The rows of a source from outside as a table."""

    indices: frozenset[str] = frozenset()

    def __init__(self, spec: SourceSpec, source: RowSource, max_cells: int) -> None:
        self._spec, self._source, self._max_cells = spec, source, max_cells

    def head(self) -> Any:
        """Return the first rows, all columns."""
        schema, batches, rows = self._source.schema(), [], 0
        for batch in self._source.rows(schema.names):
            batches.append(batch)
            rows += batch.num_rows
            if rows >= _HEAD_ROWS:
                break
        return pa.Table.from_batches(batches, schema=batches[0].schema if batches else schema).slice(0, _HEAD_ROWS)

    def read(self, columns: Collection[str], numbers: Collection[str]) -> Any:  # noqa: ARG002
        """Return some columns. Raise E201 for more cells than allowed."""
        batches, cells = [], 0
        for batch in self._source.rows(list(columns)):
            batches.append(batch)
            cells += batch.num_rows * len(columns)
            if cells > self._max_cells:
                message = f"has more than the {self._max_cells:,} cells allowed"
                raise problem(self._spec, "E201", self._spec.path, message, "raise data.max_cells if that is right")
        schema = batches[0].schema if batches else pa.schema([self._source.schema().field(c) for c in columns])
        return pa.Table.from_batches(batches, schema=schema)


@contextmanager
def outside_table(spec: SourceSpec, max_cells: int) -> Iterator[Table]:
    """Open a source from outside as a table. Raise E201 with the package's message."""
    try:
        yield RowTable(spec, open_outside(spec), max_cells)
    except SigcError:
        raise
    except Exception as failure:  # every package raises its own errors
        raise problem(spec, "E201", spec.path, f"can't be read: {type(failure).__name__}: {failure}") from failure
