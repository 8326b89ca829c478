"""The bytes of a block as a parquet file: the same as parquet's own writer makes, without a copy of the values.

    PAR1 | page of dates | pages of values | foot | length of the foot | PAR1

Every column is required, plain, uncompressed: the values of a page lie in the file as in memory. A list has levels
before its values, which mark the begin of rows; they follow from the shape alone. A general writer counts them cell by
cell, and copies the data several times: it takes seven times as long.

The footer describes the columns twice: in parquet's own schema, and in arrow's, by which readers recognise a fixed-size
list. https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import base64
import functools
import struct as binary
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from sigc.cache.thrift import ThriftValue, flag, i32, i64, listed, struct, text, varint
from sigc.panel import Dates, Floats

_MAGIC = b"PAR1"
_MOST_BYTES = 1 << 30  # per page: its length is a signed 32-bit number
_INT64, _DOUBLE = 2, 5
_REQUIRED, _REPEATED = 0, 2
_LIST = 3
_PLAIN, _LEVELS = 0, 3  # encodings
_DATA_PAGE = 0
Bytes = bytes | memoryview


@dataclass(frozen=True, slots=True)
class _Column:
    """The place of a column in the file."""

    path: tuple[str, ...]
    type: int
    cells: int
    start: int
    bytes: int


def pieces(
    dates: Dates | None, values: Floats, notes: Mapping[str, str], page_bytes: int = _MOST_BYTES
) -> Iterator[Bytes]:
    """Yield the file piece by piece: columns `date` (none for None) and `values`, both contiguous.

    notes: key-value metadata of the footer. page_bytes: maximum of one page, at least one row. A column without cells
    has no page.
    """
    yield _MAGIC
    at = len(_MAGIC)
    columns: list[_Column] = []
    for path, kind, array in _columns(dates, values):
        begun = at
        for page in _pages(array, page_bytes):
            yield from page
            at += sum(len(part) for part in page)
        columns.append(_Column(path, kind, array.size, begun, at - begun))
    foot = _foot(dates is not None, values, columns, notes).raw
    yield foot + binary.pack("<I", len(foot)) + _MAGIC


def _columns(dates: Dates | None, values: Floats) -> Iterator[tuple[tuple[str, ...], int, Dates | Floats]]:
    if dates is not None and dates.size:
        yield ("date",), _INT64, dates
    if values.size:
        yield ("values", "list", "element"), _DOUBLE, values


def _pages(array: Dates | Floats, most: int) -> Iterator[tuple[Bytes, ...]]:
    """Yield (head, levels of a list's rows, values); each page has whole rows."""
    width = array.shape[1] if array.ndim == 2 else 1
    step = max(1, most // (8 * width))
    for low in range(0, len(array), step):
        part = array[low : low + step]
        levels = _levels(len(part), width) if array.ndim == 2 else b""
        size = i32(len(levels) + part.nbytes)
        about = struct({1: i32(part.size), 2: i32(_PLAIN), 3: i32(_LEVELS), 4: i32(_LEVELS)})
        yield struct({1: i32(_DATA_PAGE), 2: size, 3: size, 5: about}).raw, levels, part.view("i8").data.cast("B")


@functools.lru_cache(maxsize=64)
def _levels(rows: int, width: int) -> bytes:
    """Return the levels in run-length code. Repetition: 0 at the begin of a row, else 1. Definition: 1, no cell is
    absent.
    """
    row = varint(1 << 1) + b"\0" + (varint((width - 1) << 1) + b"\1" if width > 1 else b"")
    repetition, definition = rows * row, varint(rows * width << 1) + b"\1"
    return binary.pack("<I", len(repetition)) + repetition + binary.pack("<I", len(definition)) + definition


def _foot(is_dated: bool, values: Floats, columns: list[_Column], notes: Mapping[str, str]) -> ThriftValue:
    rows, width = values.shape
    notes = {**notes, "ARROW:schema": _arrow_schema(is_dated, width)}
    chunks = [_chunk(column) for column in columns]
    size = i64(sum(column.bytes for column in columns))
    return struct(
        {
            1: i32(1),
            2: listed(_schema(is_dated, width)),
            3: i64(rows if columns else 0),
            4: listed([struct({1: listed(chunks), 2: size, 3: i64(rows)})] if columns else []),
            5: listed([struct({1: text(key), 2: text(value)}) for key, value in notes.items()]),
            6: text("sigc"),
        }
    )


def _chunk(of: _Column) -> ThriftValue:
    encodings = listed([i32(_PLAIN), i32(_LEVELS)])
    path = listed([text(part) for part in of.path])
    size = i64(of.bytes)
    about = {1: i32(of.type), 2: encodings, 3: path, 4: i32(0), 5: i64(of.cells), 6: size, 7: size, 9: i64(of.start)}
    return struct({2: i64(of.start), 3: struct(about)})


def _schema(is_dated: bool, width: int) -> list[ThriftValue]:
    """Return the tree of columns, each node before its children."""
    columns: list[ThriftValue] = []
    if is_dated:
        nanoseconds = struct({8: struct({1: flag(False), 2: struct({3: struct({})})})})
        columns.append(struct({1: i32(_INT64), 3: i32(_REQUIRED), 4: text("date"), 10: nanoseconds}))
    if width:
        as_list = {6: i32(_LIST), 10: struct({3: struct({})})}
        columns += [
            struct({3: i32(_REQUIRED), 4: text("values"), 5: i32(1), **as_list}),
            struct({3: i32(_REPEATED), 4: text("list"), 5: i32(1)}),
            struct({1: i32(_DOUBLE), 3: i32(_REQUIRED), 4: text("element")}),
        ]
    return [struct({4: text("schema"), 5: i32(is_dated + (width > 0))}), *columns]


@functools.lru_cache(maxsize=64)
def _arrow_schema(is_dated: bool, width: int) -> str:
    date = pa.field("date", pa.timestamp("ns"), nullable=False)
    cell = pa.field("element", pa.float64(), nullable=False)
    fields = [date] if is_dated else []
    fields += [pa.field("values", pa.list_(cell, width), nullable=False)] if width else []
    return base64.b64encode(pa.schema(fields).serialize()).decode()
