"""Read and write single data files for `sigc convert` and `sigc validate`, through the sources' own code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sigc.blocks import MemoryStore
from sigc.config import DataSettings
from sigc.data.catalog import Source, load, read
from sigc.data.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.panel import Panel
from sigc.source_options import OPTIONS, source_options
from sigc.source_options import read as option

_NUMBER = re.compile(r"\d+(\.\d+)?")


def read_file(
    path: Path, *, column: str = "", dtype: str = "float64", adjust: str = "none"
) -> tuple[Panel, tuple[Diagnostic, ...]]:
    """A file's panel and findings. Raises what a strategy that loads it would raise."""
    where = path.resolve()
    spec = SourceSpec(path.stem, where.name, column=column, dtype=dtype, adjust=adjust, base=str(where.parent))
    _, panel, findings = read_source(spec)
    return panel, findings


def read_source(spec: SourceSpec) -> tuple[Source, Panel, tuple[Diagnostic, ...]]:
    """A source, its panel (of an as-of source what is the newest at each of its changes), its findings."""
    store = MemoryStore()
    catalog = load([spec], store, DataSettings())
    source = catalog.sources[spec.name]
    return source, read(source, store, 0, len(source.dates)), catalog.findings


def spec_of(path: Path, written: Sequence[str], *, column: str = "", dtype: str = "float64") -> SourceSpec:
    """The declaration of a file with options as they are written behind it: `asof=400d`. Raises E101."""
    said: dict[str, float | str] = {}
    for text in written:
        name, mark, value = text.partition("=")
        if not mark or name not in OPTIONS:
            message = f"'{text}' is no option of a source"
            raise SigcError(Diagnostic("E101", message, hint=did_you_mean(name, OPTIONS) or "write NAME=VALUE"))
        said[name] = float(value) if _NUMBER.fullmatch(value) else value
        option(name, said[name])
    where = path.resolve()
    given = {name: str(value) for name, value in said.items()}
    return SourceSpec(
        path.stem,
        where.name,
        format=given.get("format", ""),
        column=column or given.get("column", ""),
        date_col=given.get("date_col", ""),
        symbol_col=given.get("symbol_col", ""),
        adjust=given.get("adjust", "none"),
        dtype=given.get("dtype", dtype),
        base=str(where.parent),
        options=source_options(said),
    )


def write_file(panel: Panel, path: Path, shape: str) -> None:
    """Write a panel by extension, wide or long. Raises E201 for an extension that says no format."""
    import pyarrow as pa

    table: Any = pa.table(_long(panel) if shape == "long" else _wide(panel))
    match path.suffix.lower():
        case ".csv":
            import pyarrow.csv as pacsv

            pacsv.write_csv(table, path)
        case ".parquet" | ".pq":
            import pyarrow.parquet as pq

            pq.write_table(table, path, compression="zstd")
        case ".arrow" | ".feather" | ".ipc":
            import pyarrow.feather as feather

            feather.write_feather(table, path)
        case _:
            raise SigcError(
                Diagnostic("E201", f"can't tell what to write to '{path}'", hint="end it in .csv, .parquet or .arrow")
            )


def _cells(panel: Panel) -> Any:
    if panel.labels is None:
        return panel.values
    texts = np.array([*panel.labels, None], dtype=object)
    return texts[np.where(np.isnan(panel.values), len(panel.labels), panel.values).astype(np.intp)]


def _wide(panel: Panel) -> dict[str, Any]:
    cells = _cells(panel)
    return {"date": _dates(panel), **{n: cells[:, i] for i, n in enumerate(panel.names)}}


def _long(panel: Panel) -> dict[str, Any]:
    cells = _cells(panel)
    row, column = np.nonzero(~np.isnan(panel.values))
    names = np.array(panel.names, dtype=object)
    return {"date": _dates(panel)[row], "asset": names[column], "value": cells[row, column]}


def _dates(panel: Panel) -> Any:
    days = panel.dates.astype("datetime64[D]")
    return days if np.array_equal(days.astype("datetime64[ns]"), panel.dates) else panel.dates
