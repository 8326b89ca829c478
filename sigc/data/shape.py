"""Columns to a panel: wide (a date, then a column an asset), long (date, asset, value), static (asset, label).

Every bad cell is an error that names file, row and column; rows count from 1 with the header as row 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigc.data.spec import SourceSpec
from sigc.data.table import problem
from sigc.errors import did_you_mean
from sigc.panel import Dates, Floats, Panel

_DATE_NAMES = ("date", "datetime", "timestamp", "time", "day", "trade_date", "dt", "as_of")
_ASSET_NAMES = (
    "ticker",
    "symbol",
    "asset",
    "name",
    "security",
    "instrument",
    "permno",
    "isin",
    "sedol",
    "cusip",
    "sid",
    "ric",
)
_PRICE_NAMES = ("prices", "price", "px", "close")
_SLASHED = re.compile(r"^(\d{4})/(\d{1,2})/(\d{1,2})$")
_AMERICAN = re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4})$")
EPOCH: Dates = np.zeros(1, "datetime64[ns]")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is laid out: `wide`, `long` or `static`; which columns say date, asset and value."""

    shape: str
    date: str
    asset: str
    value: str
    values: tuple[str, ...]


def layout(spec: SourceSpec, file: str, columns: list[tuple[str, Any]]) -> Layout:
    """Recognise the layout from names and types of the columns. Raises E201, E202."""
    names = [n for n, _ in columns]
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise problem(spec, "E201", file, f"has two columns '{twice}'")
    for wanted in (spec.date_col, spec.symbol_col, spec.column):
        if wanted and wanted not in names:
            raise problem(spec, "E202", file, f"has no column '{wanted}'", did_you_mean(wanted, names))
    asset = spec.symbol_col or next((n for n in names if n.lower() in _ASSET_NAMES), "")
    date = spec.date_col or _date_column(columns, asset)
    others = [n for n in names if n not in (date, asset)]
    if not date:
        if asset and others:
            return Layout("static", "", asset, _value(spec, file, others, columns), ())
        raise problem(spec, "E202", file, "has no date column", "name it with date_col=")
    if asset:
        return Layout("long", date, asset, _value(spec, file, others, columns), ())
    if not others:
        raise problem(spec, "E202", file, "has no column beside the date")
    return Layout("wide", date, "", "", (spec.column,) if spec.column else tuple(others))


def _date_column(columns: list[tuple[str, Any]], asset: str) -> str:
    """The first column of a date type, else the first named like one."""
    for name, kind in columns:
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            return name
    return next((n for n, _ in columns if n.lower() in _DATE_NAMES and n != asset), "")


def _value(spec: SourceSpec, file: str, others: list[str], columns: list[tuple[str, Any]]) -> str:
    if spec.column:
        return spec.column
    short = spec.name.rpartition(".")[2]
    by_lower = {n.lower(): n for n in others}
    wanted = [short.lower(), short.lower().rstrip("s")]
    if short in _PRICE_NAMES:
        wanted += list(_PRICE_NAMES)
    for name in wanted:
        if name in by_lower:
            return by_lower[name]
    kinds = dict(columns)
    numeric = [n for n in others if _is_number(kinds[n])]
    if spec.dtype != "category" and len(numeric) == 1:
        return numeric[0]
    if len(others) == 1:
        return others[0]
    hint = f"name one of {', '.join(others[:8])} with 'columns:' in a long-form data section"
    raise problem(spec, "E202", file, f"has several columns and none is called '{short}'", hint)


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def to_panel(spec: SourceSpec, file: str, table: Any, how: Layout) -> Panel:
    """The panel of a table. Raises E201 with the row and column of what is wrong."""
    if table.num_rows == 0:
        raise problem(spec, "E201", file, "has no rows")
    match how.shape:
        case "static":
            return _static(spec, file, table, how)
        case "long":
            return _long(spec, file, table, how)
        case _:
            return _wide(spec, file, table, how)


def _wide(spec: SourceSpec, file: str, table: Any, how: Layout) -> Panel:
    dates = dates_of(spec, file, table[how.date], how.date)
    check_ascending(spec, file, dates)
    order = sorted(range(len(how.values)), key=lambda i: how.values[i])
    names = tuple(how.values[i] for i in order)
    values = np.empty((table.num_rows, len(names)))
    if spec.dtype == "category":
        texts = [_texts(table[n]) for n in names]
        labels = tuple(sorted({t for column in texts for t in column if t is not None}))
        for i, column in enumerate(texts):
            values[:, i] = _codes(column, labels)
        return Panel(dates, names, values, labels)
    for i, name in enumerate(names):
        values[:, i] = numbers(spec, file, table[name], name)
    return Panel(dates, names, values)


def _long(spec: SourceSpec, file: str, table: Any, how: Layout) -> Panel:
    dates = dates_of(spec, file, table[how.date], how.date)
    assets = _assets(spec, file, table[how.asset], how.asset)
    unique_dates, row = np.unique(dates, return_inverse=True)
    names, column = np.unique(assets, return_inverse=True)
    cell = row.astype(np.int64) * len(names) + column
    _check_long(spec, file, dates, assets, cell, column)
    category = spec.dtype == "category" or _is_text(table[how.value])
    if category and spec.dtype != "category":
        numbers(spec, file, table[how.value], how.value)  # raises: text where numbers are wanted
    values = np.full((len(unique_dates), len(names)), np.nan)
    labels = None
    if category:
        texts = _texts(table[how.value])
        labels = tuple(sorted({t for t in texts if t is not None}))
        values.reshape(-1)[cell] = _codes(texts, labels)
    else:
        values.reshape(-1)[cell] = numbers(spec, file, table[how.value], how.value)
    return Panel(unique_dates, tuple(str(n) for n in names), values, labels)


def _check_long(
    spec: SourceSpec, file: str, dates: Dates, assets: NDArray[Any], cell: NDArray[Any], column: NDArray[Any]
) -> None:
    """Each (date, asset) once; the dates of each asset ascending."""
    order = np.argsort(cell, kind="stable")
    same = np.flatnonzero(np.diff(cell[order]) == 0)
    if len(same):
        at = int(order[same[0] + 1])
        first = int(order[same[0]])
        message = f"has {_day(dates[at])} of '{assets[at]}' twice: rows {first + 2} and {at + 2}"
        raise problem(spec, "E201", file, message)
    by_asset = np.argsort(column, kind="stable")
    back = (np.diff(dates[by_asset].view("i8")) < 0) & (np.diff(column[by_asset]) == 0)
    if back.any():
        at = int(by_asset[int(np.flatnonzero(back)[0]) + 1])
        raise problem(spec, "E201", file, f"is not sorted by date: row {at + 2} ({_day(dates[at])}, '{assets[at]}')")


def _static(spec: SourceSpec, file: str, table: Any, how: Layout) -> Panel:
    assets = _assets(spec, file, table[how.asset], how.asset)
    names, first, count = np.unique(assets, return_index=True, return_counts=True)
    if (count > 1).any():
        twice = names[int(count.argmax())]
        raise problem(spec, "E201", file, f"has '{twice}' twice: row {int(np.flatnonzero(assets == twice)[1]) + 2}")
    text = _is_text(table[how.value])
    if spec.dtype == "category" or text:
        texts = np.array(_texts(table[how.value]), dtype=object)[first]
        labels = tuple(sorted({t for t in texts if t is not None}))
        return Panel(EPOCH, tuple(str(n) for n in names), _codes(list(texts), labels)[None], labels)
    values = numbers(spec, file, table[how.value], how.value)[first]
    return Panel(EPOCH, tuple(str(n) for n in names), values[None])


def _codes(texts: list[str | None], labels: tuple[str, ...]) -> Floats:
    place: dict[str | None, float] = {t: float(i) for i, t in enumerate(labels)}
    return np.array([place.get(t, np.nan) for t in texts], dtype=np.float64)


def _is_text(column: Any) -> bool:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _texts(column: Any) -> list[str | None]:
    return [None if v is None or v == "" else str(v) for v in column.to_pylist()]


def _assets(spec: SourceSpec, file: str, column: Any, name: str) -> NDArray[Any]:
    if column.null_count:
        at = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise problem(spec, "E201", file, f"row {at + 2}, column '{name}': the asset is missing")
    return np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False), dtype=str)


def _fixed(column: Any, dtype: Any) -> NDArray[Any]:
    """A copy of a column of floats or times, NaN where missing. Arrow's own `to_numpy` would load pandas for it."""
    out, at = np.empty(len(column), dtype), 0
    for chunk in column.chunks:
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


def numbers(spec: SourceSpec, file: str, column: Any, name: str, first: int = 0) -> Floats:
    """A column as float64, NaN where missing. first: the row it begins with. Raises E201 for text and infinities."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if _is_number(kind) or pa.types.is_boolean(kind):
        out: Floats = _fixed(column.cast(pa.float64(), safe=False), np.float64)
    else:
        out = _parsed(spec, file, column, name, first)
    if np.isinf(out).any():
        at = int(np.flatnonzero(np.isinf(out))[0])
        raise problem(spec, "E201", file, f"row {first + at + 2}, column '{name}': the value is infinite")
    if spec.dtype == "float32":
        rounded: Floats = out.astype(np.float32).astype(np.float64)
        return rounded
    if spec.dtype == "int64" and not np.array_equal(np.round(out), out, equal_nan=True):
        at = int(np.flatnonzero((np.round(out) != out) & ~np.isnan(out))[0])
        raise problem(spec, "E201", file, f"row {first + at + 2}, column '{name}': {out[at]} is no whole number")
    return out


def _parsed(spec: SourceSpec, file: str, column: Any, name: str, first: int) -> Floats:
    out = np.full(len(column), np.nan)
    for at, value in enumerate(column.to_pylist()):
        text = "" if value is None else str(value).strip()
        if text.lower() in ("", "nan", "na", "n/a", "null", "none"):
            continue
        try:
            out[at] = float(text)
        except ValueError:
            message = f"row {first + at + 2}, column '{name}': '{text[:40]}' is no number"
            hint = "is it a category? say dtype=category" if spec.dtype != "category" else ""
            raise problem(spec, "E201", file, message, hint) from None
    return out


def _local(column: Any) -> Any:
    """Times as clocks of their zone show them."""
    import pyarrow.compute as pc  # half as long to load as all the rest of pyarrow

    return pc.local_timestamp(column)


def dates_of(spec: SourceSpec, file: str, column: Any, name: str) -> Dates:
    """A column as datetime64[ns]. Raises E201 for what is missing or no date."""
    kind = column.type
    if column.null_count:
        at = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise problem(spec, "E201", file, f"row {at + 2}, column '{name}': the date is missing")
    if pa.types.is_timestamp(kind):
        local = _local(column) if kind.tz else column
        return _fixed(local.cast(pa.timestamp("ns")), "datetime64[ns]")
    if pa.types.is_date(kind):
        return _fixed(column.cast(pa.timestamp("ns")), "datetime64[ns]")
    texts = [str(v).strip() for v in column.to_pylist()]
    try:
        return np.array([_iso(t) for t in texts], dtype="datetime64[ns]")
    except ValueError:
        for at, text in enumerate(texts):
            try:
                np.datetime64(_iso(text))
            except ValueError:
                message = f"row {at + 2}, column '{name}': '{text[:40]}' is no date"
                raise problem(spec, "E201", file, message, "write YYYY-MM-DD") from None
        raise


def _iso(text: str) -> str:
    if match := _SLASHED.match(text):
        year, month, day = match.groups()
    elif match := _AMERICAN.match(text):
        month, day, year = match.groups()
    elif len(text) == 8 and text.isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    else:
        if not text or text.isdigit():
            raise ValueError(text)
        return text.removesuffix("Z")
    return f"{year}-{int(month):02d}-{int(day):02d}"


def check_ascending(spec: SourceSpec, file: str, dates: Dates) -> None:
    """Strictly ascending dates. Raises E201 with the row."""
    steps = np.diff(dates.view("i8"))
    if (steps <= 0).any():
        at = int(np.flatnonzero(steps <= 0)[0]) + 1
        what = "has the date" if steps[at - 1] == 0 else "is not sorted: the date"
        tail = "twice" if steps[at - 1] == 0 else "comes after a later one"
        raise problem(spec, "E201", file, f"{what} {_day(dates[at])} {tail}, row {at + 2}")


def _day(date: Any) -> str:
    return str(date.astype("datetime64[D]"))
