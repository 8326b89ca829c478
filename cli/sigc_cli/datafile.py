"""Read and write single data files for `sigc convert` and `sigc validate`, through the sources' own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sigc.blocks import MemoryStore
from sigc.config import DataSettings
from sigc.data.anomalies import MAX_RETURN
from sigc.data.catalog import Source, load, read
from sigc.data.exchange import NYSE
from sigc.data.frequency import infer
from sigc.data.manifest import Rows
from sigc.data.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError
from sigc.ops.declare import Kind
from sigc.panel import Panel
from sigc.source_options import SourceOptions

_PRICES = frozenset({"open", "high", "low", "close", "price", "px", "prices", "vwap", "mid"})


def read_file(
    path: Path, *, column: str = "", dtype: str = "float64", adjust: str = "none"
) -> tuple[Panel, tuple[Diagnostic, ...]]:
    """A file's panel and findings. Raises what a strategy that loads it would raise."""
    where = path.resolve()
    spec = SourceSpec(path.stem, where.name, column=column, dtype=dtype, adjust=adjust, base=str(where.parent))
    store = MemoryStore()
    catalog = load([spec], store, DataSettings())
    source = catalog.sources[path.stem]
    return read(source, store, 0, len(source.dates)), catalog.findings


def price_findings(path: Path, panel: Panel, column: str = "") -> tuple[Diagnostic, ...]:
    """What is odd in a file of prices, which its column, or else its name, says it is: jumps. Raises E201 for prices of 0
    and below."""
    if (column or path.stem).lower() not in _PRICES or panel.labels is not None:
        return ()
    from sigc_pipelines.quotes import accept_panel

    spec = SourceSpec(path.stem, path.name, options=SourceOptions(max_anomalies_pct=0.0))
    rows = Rows(infer(panel.dates, NYSE.of("", "")))
    source = Source(spec.name, Kind.PANEL, False, panel.dates, panel.names, b"", (), (), spec, str(path), rows=rows)
    return accept_panel(source, panel.values, panel.names, panel.dates, MAX_RETURN).findings


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
