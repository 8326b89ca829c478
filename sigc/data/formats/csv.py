"""The csv format: every cell is text until a column's role says otherwise, so `000001`, `TRUE` and `NA` stay names.

Delimiters: a comma, else the semicolon, tab or bar in the header. Decimal commas are refused unless `decimal=","` is
declared. Line ends may be mixed; a leading byte order mark is ignored.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from sigc.data.missing_words import MISSING
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec

_HEAD_LINES = 400
_DELIMITERS = (";", "\t", "|")
_MARK = b"\xef\xbb\xbf"


class CsvFile:
    """A csv file, whole in memory as bytes."""

    def __init__(self, spec: SourceSpec, file: str, raw: bytes) -> None:
        if not raw.removeprefix(_MARK).strip():
            raise problem(spec, "E201", file, "is empty")
        self._spec, self._file, self._raw = spec, file, raw
        self._delimiter = _delimiter(raw)
        self._names = _names(raw[: raw.find(b"\n") + 1] or raw, self._delimiter)
        self._header = pacsv.ReadOptions()
        if "" in self._names:  # pandas writes an unnamed index so
            self._names = [n or f"Unnamed: {i}" for i, n in enumerate(self._names)]
            self._header = pacsv.ReadOptions(column_names=self._names, skip_rows=1)
        self.indices: frozenset[str] = frozenset()

    def head(self) -> Any:
        """Return the first rows, every column as text."""
        at = 0
        for _ in range(_HEAD_LINES):
            end = self._raw.find(b"\n", at)
            if end < 0:
                at = len(self._raw)
                break
            at = end + 1
        return self._read(self._raw[:at], dict.fromkeys(self._names, pa.string()), None)

    def read(self, columns: Collection[str], numbers: Collection[str]) -> Any:
        """Return some columns: `numbers` as float64 if all their cells parse, all others as text."""
        kinds = {c: pa.float64() if c in numbers else pa.string() for c in columns}
        try:
            return self._read(self._raw, kinds, list(columns))
        except pa.ArrowInvalid as failure:
            if "conversion error to double" not in str(failure):
                raise
        # As text: bad cells are reported one by one later.
        return self._read(self._raw, dict.fromkeys(columns, pa.string()), list(columns))

    def _read(self, raw: bytes, kinds: dict[str, Any], columns: list[str] | None) -> Any:
        convert = pacsv.ConvertOptions(
            null_values=MISSING,
            strings_can_be_null=False,
            column_types=kinds,
            include_columns=columns,
            decimal_point=self._spec.options.decimal or ".",
        )
        parse = pacsv.ParseOptions(delimiter=self._delimiter, newlines_in_values=b'"' in raw)
        return pacsv.read_csv(io.BytesIO(raw), self._header, parse, convert)


def _names(header_line: bytes, delimiter: str) -> list[str]:
    header = pacsv.open_csv(io.BytesIO(header_line), parse_options=pacsv.ParseOptions(delimiter=delimiter))
    return list(header.schema.names)


def _delimiter(raw: bytes) -> str:
    header = raw.split(b"\n", 1)[0]
    if b"," in header:
        return ","
    return next((d for d in _DELIMITERS if d.encode() in header), ",")
