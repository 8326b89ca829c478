"""Conversion of data in memory to an arrow table: frames and series of pandas, polars, arrow tables, dicts of frames.

An index becomes columns: dates (datetimes, `date` objects, texts, periods) become `date`, assets `ticker`. An index of
row numbers is dropped. A period counts as its last day: the value of a month is known when it is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from sigc.data.dates.looks import looks_like_dates
from sigc.data.formats.layout import FIELDS, field_of
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec

WHERE = "the frame"
_DATE, _ASSET = "date", "ticker"


def table_of(spec: SourceSpec, given: Any) -> tuple[SourceSpec, Any]:
    """Return the declaration for the table, and the arrow table itself. Raise E201."""
    try:
        if isinstance(given, pa.Table):
            return spec, given
        if hasattr(given, "to_arrow"):  # polars
            return spec, given.to_arrow()
        if isinstance(given, Mapping):
            given = _of_mapping(spec, given)
        if not hasattr(given, "index"):
            raise problem(spec, "E201", WHERE, f"is a {type(given).__name__}, not a table of dates and assets")
        frame, own = _flat(spec, given)
        _refuse_twice(spec, frame)
        return own, pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, AttributeError, TypeError, ValueError) as failure:
        text = str(failure).splitlines()[0][:200] if str(failure) else type(failure).__name__
        raise problem(spec, "E201", WHERE, f"is not a table of dates and assets: {text}") from failure


def _refuse_twice(spec: SourceSpec, frame: Any) -> None:
    names = list(frame.columns)
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise problem(spec, "E201", WHERE, f"has two columns '{twice}'")


def _of_mapping(spec: SourceSpec, given: Mapping[Any, Any]) -> Any:
    """Combine several frames into one: by asset (each with its fields), or by field (each dates x assets)."""
    import pandas as pd

    if not given:
        raise problem(spec, "E201", WHERE, "is an empty dict")
    by_field = all(field_of(str(k)) in FIELDS for k in given)
    columns = {str(c) for f in given.values() for c in getattr(f, "columns", ())}
    if by_field and not all(field_of(c) in FIELDS for c in columns):
        return pd.concat(given, axis=1)
    parts = {k: f.to_frame("value") if not hasattr(f, "columns") else f for k, f in given.items()}
    return pd.concat(parts, names=[_ASSET])


def _flat(spec: SourceSpec, given: Any) -> tuple[Any, SourceSpec]:
    """Return a frame without an index, and its declaration, which names the columns that were an index."""
    frame = given.to_frame(name=given.name or "value") if not hasattr(given, "columns") else given
    if frame.columns.nlevels > 1:
        frame = _one_field(spec, frame)
    frame = frame.rename_axis(columns=None)
    if frame.index.nlevels > 1:
        return _of_levels(spec, frame)
    return _of_index(spec, frame)


def _of_levels(spec: SourceSpec, frame: Any) -> tuple[Any, SourceSpec]:
    """Flatten an index of dates and assets: the level with dates is the date."""
    levels = [_plain_index(frame.index.get_level_values(i)) for i in range(frame.index.nlevels)]
    dates = [i for i, level in enumerate(levels) if _is_dates(level)]
    if len(levels) != 2 or len(dates) != 1:
        names = ", ".join(map(str, frame.index.names))
        message = f"has an index of {len(levels)} levels ({names}), not one of dates and one of assets"
        raise problem(spec, "E201", WHERE, message)
    flat = _named(frame.reset_index(drop=True))
    flat.insert(0, _free(flat, _ASSET), levels[1 - dates[0]])
    flat.insert(0, _free(flat, _DATE), levels[dates[0]])
    own = replace(spec, date_col=str(flat.columns[0]), symbol_col=str(flat.columns[1]))
    return flat, own


def _of_index(spec: SourceSpec, frame: Any) -> tuple[Any, SourceSpec]:
    index = _plain_index(frame.index)
    flat = _named(frame.reset_index(drop=True))
    if type(frame.index).__name__ == "RangeIndex":
        return flat, spec
    if _is_dates(index):
        name = _free(flat, _DATE)
        flat.insert(0, name, index)
        wide = replace(spec, date_col=name) if not (spec.date_col or spec.symbol_col) else spec
        return flat, replace(wide, date_col=name)
    is_rows = index.dtype.kind in "iuf"
    if is_rows and frame.index.name is None:
        return flat, spec
    name = _free(flat, _ASSET)
    flat.insert(0, name, index)
    return flat, replace(spec, symbol_col=name)


def _named(frame: Any) -> Any:
    """Return a frame with text column names, and periods as their last day."""
    frame = frame.rename(columns=str)
    for name in frame.columns:
        if str(frame.dtypes[name]).startswith("period["):
            frame[name] = frame[name].dt.to_timestamp(how="end").dt.normalize()
    return frame


def _free(frame: Any, name: str) -> str:
    """Return a name that no column has."""
    while name in frame.columns:
        name = f"{name}_"
    return name


def _plain_index(index: Any) -> Any:
    return index.to_timestamp(how="end").normalize() if type(index).__name__ == "PeriodIndex" else index


def _is_dates(index: Any) -> bool:
    """Return True for datetimes, and for dates or texts written as dates."""
    if str(index.dtype).startswith("datetime64"):
        return True
    if index.dtype.kind in "fb" or not len(index):
        return False
    some = pa.array([None if v is None or v != v else str(v) for v in index[:50].tolist()], pa.string())
    return looks_like_dates(some)


def _one_field(spec: SourceSpec, frame: Any) -> Any:
    """Return the source's field from columns (field, asset) or (asset, field)."""
    wanted = [w.lower() for w in (spec.column, spec.name.rpartition(".")[2]) if w]
    wanted += [f for f in ("close", "price") if wanted[-1] in ("prices", "price", "px", "close")]
    for field in wanted:
        for level in range(frame.columns.nlevels):
            keys = frame.columns.get_level_values(level)
            found = next((k for k in keys if field_of(str(k)) in (field, field.rstrip("s"))), None)
            if found is not None and frame.columns.nlevels == 2:
                return frame.xs(found, axis=1, level=level)
    raise problem(
        spec, "E202", WHERE, f"has columns of several levels and none is called '{wanted[0]}'", "name one by column="
    )
