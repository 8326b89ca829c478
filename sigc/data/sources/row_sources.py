"""The built-in sources as `RowSource`: a file of any format, a folder of files, a frame in memory.

The days of rows are those of the date column as written; an intraday row belongs to its day on the written clock.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sigc.blocks.block import digest
from sigc.config.settings import DataSettings
from sigc.data.dates.stamps import stamps_of
from sigc.data.formats.layout import layout
from sigc.data.formats.table import opened
from sigc.data.sources.frames import WHERE, table_of
from sigc.data.sources.locate import locate
from sigc.data.sources.spec import SourceSpec

_DAY_NS = 86_400_000_000_000


class FileSource:
    """One file, local or behind a URL."""

    def __init__(self, spec: SourceSpec, settings: DataSettings | None = None) -> None:
        self._spec, self._settings = spec, settings or DataSettings()

    def fingerprint(self) -> str:
        """Return a digest of the file's version, see `sigc.data.sources.locate.SourceFiles`."""
        return digest(*locate(self._spec, self._settings).versions)

    def schema(self) -> Any:
        """Return the schema; in csv all columns are text."""
        with opened(self._spec, self._file, self._settings.max_cells) as table:
            return table.head().schema

    def rows(
        self, columns: Sequence[str], since: datetime.date | None = None, until: datetime.date | None = None
    ) -> Iterator[Any]:
        """Yield the rows between two days."""
        spec, file = self._spec, self._file
        with opened(spec, file, self._settings.max_cells) as table:
            date = layout(spec, file, table.head(), table.indices).date
            asked = list(dict.fromkeys([*columns, *([date] if date else [])]))
            found = table.read(asked, ())
        yield from _between(spec, file, found, date, since, until).select(list(columns)).to_batches()

    @property
    def _file(self) -> str:
        return locate(self._spec, self._settings).files[0]


class FolderSource:
    """The files of a folder, one after the other by name."""

    def __init__(self, spec: SourceSpec, settings: DataSettings | None = None) -> None:
        self._spec, self._settings = spec, settings or DataSettings()

    def fingerprint(self) -> str:
        """Return a digest of all files."""
        place = locate(self._spec, self._settings)
        return digest(*place.files, *place.versions)

    def schema(self) -> Any:
        """Return the schema of the first file."""
        return self._parts[0].schema()

    def rows(
        self, columns: Sequence[str], since: datetime.date | None = None, until: datetime.date | None = None
    ) -> Iterator[Any]:
        """Yield the rows between two days."""
        for part in self._parts:
            yield from part.rows(columns, since, until)

    @property
    def _parts(self) -> list[FileSource]:
        files = locate(self._spec, self._settings).files
        return [FileSource(replace(self._spec, path=f, base=str(Path(f).parent)), self._settings) for f in files]


class FrameSource:
    """A frame in memory, see `sigc.data.sources.frames`."""

    def __init__(self, spec: SourceSpec, given: Any) -> None:
        self._spec, self._table = table_of(spec, given)

    def fingerprint(self) -> str:
        """Return a digest of the content."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._table.schema) as writer:
            writer.write_table(self._table.combine_chunks())
        return digest(sink.getvalue().to_pybytes())

    def schema(self) -> Any:
        """Return the schema, with the index as columns."""
        return self._table.schema.remove_metadata()

    def rows(
        self, columns: Sequence[str], since: datetime.date | None = None, until: datetime.date | None = None
    ) -> Iterator[Any]:
        """Yield the rows between two days."""
        date = layout(self._spec, WHERE, self._table, frozenset()).date
        found = _between(self._spec, WHERE, self._table.replace_schema_metadata(), date, since, until)
        yield from found.select(list(columns)).to_batches()


def _between(
    spec: SourceSpec, file: str, table: Any, date: str, since: datetime.date | None, until: datetime.date | None
) -> Any:
    if not date or (since is None and until is None) or not table.num_rows:
        return table
    days = stamps_of(spec, file, table[date], date).clock // _DAY_NS
    keep = np.ones(len(days), bool)
    for limit, is_first in ((since, True), (until, False)):
        if limit is not None:
            number = (limit - datetime.date(1970, 1, 1)).days
            keep &= days >= number if is_first else days <= number
    return table.filter(pa.array(keep))
