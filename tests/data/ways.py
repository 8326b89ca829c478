"""One table as a quant may have it: csv, parquet, arrow, a frame; each read the way a strategy reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import Source, load, read
from sigc.data.dates.exchange import Exchanges
from sigc.data.sources.frame_source import hold
from sigc.data.sources.spec import SourceSpec
from sigc.panel import Panel
from sigc.source_options import SourceOptions

Columns = Mapping[str, Any]
NYSE = Exchanges("nyse", is_declared=True)
UNDECLARED = Exchanges()


def from_csv(folder: Path, columns: Columns, exchanges: Exchanges = NYSE, **said: Any) -> tuple[Source, Panel]:
    pd.DataFrame(columns).to_csv(folder / "p.csv", index=False)
    return from_file(folder, "p.csv", exchanges, **said)


def from_parquet(folder: Path, columns: Columns, exchanges: Exchanges = NYSE, **said: Any) -> tuple[Source, Panel]:
    pq.write_table(pa.table(dict(columns)), folder / "p.parquet")
    return from_file(folder, "p.parquet", exchanges, **said)


def from_arrow(folder: Path, columns: Columns, exchanges: Exchanges = NYSE, **said: Any) -> tuple[Source, Panel]:
    feather.write_feather(pa.table(dict(columns)), str(folder / "p.arrow"))
    return from_file(folder, "p.arrow", exchanges, **said)


def from_frame(folder: Path, columns: Columns, exchanges: Exchanges = NYSE, **said: Any) -> tuple[Source, Panel]:
    return given(pd.DataFrame(columns), exchanges, **said)


WAYS: tuple[Callable[..., tuple[Source, Panel]], ...] = (from_csv, from_parquet, from_arrow, from_frame)


def from_file(folder: Path, file: str, exchanges: Exchanges = NYSE, **said: Any) -> tuple[Source, Panel]:
    """A file of a folder, read as a source `prices`. said: fields of its spec, or of its options."""
    store = MemoryStore()
    spec = spec_of(file, **said)
    source = load([replace(spec, base=str(folder))], store, DataSettings(), exchanges=exchanges).sources[spec.name]
    return source, read(source, store, 0, len(source.dates))


def given(frame: Any, exchanges: Exchanges = NYSE, **said: Any) -> tuple[Source, Panel]:
    """Anything in memory, as a source `prices`."""
    store = MemoryStore()
    spec = spec_of("nowhere.csv", **said)
    held = {spec.name: hold(spec, frame, DataSettings(), exchanges)}
    source = load([spec], store, DataSettings(), held=held, exchanges=exchanges).sources[spec.name]
    return source, read(source, store, 0, len(source.dates))


def spec_of(file: str, name: str = "prices", **said: Any) -> SourceSpec:
    """A spec, from fields of its own and options by name."""
    own = {k: said.pop(k) for k in tuple(said) if k in SourceSpec.__dataclass_fields__}
    return SourceSpec(name, file, options=SourceOptions(**said), **own)


def cells(panel: Panel) -> dict[str, dict[str, float | str | None]]:
    """The cells of a panel by asset and date, with the time where there is one."""
    days = [str(d.astype("datetime64[s]")).replace("T00:00:00", "") for d in panel.dates]
    frame = panel.to_pandas()
    return {n: {d: (None if pd.isna(v) else v) for d, v in zip(days, frame[n], strict=True)} for n in panel.names}
