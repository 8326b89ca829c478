"""Cells of a column: numbers, texts, codes of labels. A bad cell is an error that names file, row and column.

Numbers have one grammar in every format: a text in a parquet file is parsed like the same text in a csv file.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigc.data.missing_words import MISSING
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.panel import Floats

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_MISSING = frozenset(MISSING)
_FLAGS = {"true": 1.0, "false": 0.0}


def is_number(kind: Any) -> bool:
    """Return True for a numeric arrow type."""
    kind = values_of(kind)
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def is_text(kind: Any) -> bool:
    """Return True for an arrow type of text."""
    kind = values_of(kind)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def values_of(kind: Any) -> Any:
    """Return the value type of a dictionary type, and any other type unchanged."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def plain(column: Any) -> Any:
    """Return a column without dictionary encoding."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def texts(column: Any) -> list[str | None]:
    """Return a column as texts, None for a missing or empty cell. Surrounding blanks are trimmed."""
    if pa.types.is_null(column.type):
        return [None] * len(column)
    trimmed = (None if v is None else _as_text(v).strip() for v in plain(column).to_pylist())
    return [t or None for t in trimmed]


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.17g}" if value != int(value) else str(int(value))
    return str(value)


def numbers(spec: SourceSpec, file: str, column: Any, name: str, first: int = 0) -> Floats:
    """Return a column as float64, NaN if missing. first: the number of its first row. Raise E201 for text and
    infinities.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_decimal(kind):  # by its text: dividing by a power of ten would round twice
        column = column.cast(pa.string())
        kind = column.type
    if is_number(kind) or pa.types.is_boolean(kind):
        out: Floats = fixed(column.cast(pa.float64(), safe=False), np.float64)
    elif is_text(kind):
        out = _parsed(spec, file, column, name, first)
    else:
        raise problem(spec, "E201", file, f"column '{name}' is of type {kind}, which is not a number")
    if np.isinf(out).any():
        at = int(np.flatnonzero(np.isinf(out))[0])
        raise problem(spec, "E201", file, f"row {first + at + 2}, column '{name}': the value is infinite")
    if spec.dtype == "float32":
        rounded: Floats = out.astype(np.float32).astype(np.float64)
        return rounded
    if spec.dtype == "int64" and not np.array_equal(np.round(out), out, equal_nan=True):
        at = int(np.flatnonzero((np.round(out) != out) & ~np.isnan(out))[0])
        raise problem(spec, "E201", file, f"row {first + at + 2}, column '{name}': {out[at]} is not a whole number")
    return out


def fixed(column: Any, dtype: Any) -> NDArray[Any]:
    """Copy a column of floats or times, NaN if missing. Arrow's own `to_numpy` would import pandas."""
    out, at = np.empty(len(column), dtype), 0
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if len(chunk) == 0:
            continue
        valid, values = chunk.buffers()
        here = out[at : at + len(chunk)]
        here[:] = np.frombuffer(values, dtype, len(chunk), chunk.offset * out.itemsize)
        if chunk.null_count:
            bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
            here[bits[chunk.offset : chunk.offset + len(chunk)] == 0] = np.nan
        at += len(chunk)
    return out


def _parsed(spec: SourceSpec, file: str, column: Any, name: str, first: int) -> Floats:
    """Parse numbers written as text; a column of only true and false becomes 1 and 0."""
    written = ["" if v is None else str(v).strip() for v in column.to_pylist()]
    if _are_flags(written):
        return np.array([_FLAGS.get(t.lower(), np.nan) for t in written])
    out = np.full(len(written), np.nan)
    mark = spec.options.decimal
    for at, text in enumerate(written):
        if text in _MISSING:
            continue
        number = text.replace(",", ".") if mark == "," and "." not in text else text
        if _INFINITE.fullmatch(number):
            out[at] = np.inf
        elif _NUMBER.fullmatch(number):
            out[at] = float(number)
        else:
            message = f"row {first + at + 2}, column '{name}': '{text[:40]}' is not a number"
            raise problem(spec, "E201", file, message, _hint(spec, text))
    return out


def _are_flags(written: list[str]) -> bool:
    seen = {t.lower() for t in written if t not in _MISSING}
    return bool(seen) and seen <= _FLAGS.keys()


def _hint(spec: SourceSpec, text: str) -> str:
    if re.fullmatch(r"[+-]?\d+,\d+", text):
        return f'is the comma a decimal mark? say decimal=","; else write {text.replace(",", "")}'
    if re.fullmatch(r"[+-]?\d{1,3}([,' ]\d{3})+(\.\d+)?", text) or re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?", text):
        return "write numbers without thousands marks, and with a decimal point"
    if re.fullmatch(r"[$€£¥]?\s*[+-]?[\d.,]+\s*[$€£¥%]?", text):
        return "write the number alone, without a currency or a percent sign"
    if spec.is_actions:
        return "a ratio is a number or 4:1, an amount a number"
    return "is it a category? say dtype=category" if spec.dtype != "category" else ""


def codes(written: list[str | None], labels: tuple[str, ...]) -> Floats:
    """Return texts as codes, indices into `labels`, NaN if missing."""
    place: dict[str | None, float] = {t: float(i) for i, t in enumerate(labels)}
    return np.array([place.get(t, np.nan) for t in written], dtype=np.float64)
