"""Single data files for `sigc convert` and `sigc validate`, read and written by the sources' own code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sigc.actions import Action, ActionKind
from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data.actions.adjust import acting, forward
from sigc.data.anomalies import MAX_RETURN
from sigc.data.being_read import being_read
from sigc.data.catalog import Source, load, read
from sigc.data.dates.exchange import NYSE, Exchanges
from sigc.data.formats.layout import layout
from sigc.data.formats.table import opened
from sigc.data.sources.locate import locate
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.panel import Dates, Floats, Panel
from sigc.source_measures import measures
from sigc.source_options import OPTIONS, source_options
from sigc.source_options import read as read_option
from sigc.source_words import Written

if TYPE_CHECKING:
    from sigc.data.actions.action_files import CorporateActions


@dataclass(frozen=True, slots=True, eq=False)
class DataFile:
    """A data file as a strategy would read it. source: with the choices about its format. layout: wide, long, fields,
    static.

    panel: what signals see, adjusted where that was asked for. levels: prices over the corporate actions of the file.
    """

    panel: Panel
    source: Source
    layout: str
    levels: Floats

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        return self.source.findings

    @property
    def missing(self) -> float:
        """Share of cells without a value."""
        return float(np.isnan(self.panel.values).mean()) if self.panel.values.size else 1.0


def read_file(
    path: Path,
    *,
    column: str = "",
    dtype: str = "float64",
    adjust: str = "none",
    options: Sequence[str] = (),
    exchanges: Exchanges = NYSE,
) -> DataFile:
    """Return a file's panel and the choices made about its format. options: of a source, `NAME=VALUE` each.

    Raises what a strategy that loads it would raise, E101 for an option that there is not.
    """
    where, name = path.expanduser().resolve(), path.name.partition(".")[0]
    said = {"column": column, "dtype": dtype, "adjust": adjust} | dict(_written(o) for o in options)
    own = {k: str(said.pop(k)) for k in tuple(said) if k in SourceSpec.__dataclass_fields__}
    spec = SourceSpec(name, str(where), base=str(where.parent), options=source_options(said), **own)  # type: ignore[arg-type]
    store, settings = MemoryStore(), DataSettings()
    spec = replace(spec, is_volume=measures(name, column, "") == "volume")
    catalog = load([spec], store, settings, exchanges=exchanges)
    source = catalog.sources[name]
    panel = read(source, store, 0, len(source.dates))
    levels = panel.values
    if not source.static and source.events is None and panel.labels is None:
        levels = _levels(panel, source, _own_actions(spec, settings, exchanges))
    if adjust != "none":
        panel = replace(panel, values=_adjusted(panel, source, catalog.actions, adjust))
    return DataFile(panel, source, _layout(spec, settings), levels)


def _own_actions(spec: SourceSpec, settings: DataSettings, exchanges: Exchanges) -> tuple[Action, ...]:
    """Return the actions in the columns of the file itself."""
    with being_read(spec.name, spec.path):
        return _actions_in(spec, settings, exchanges)


def _actions_in(spec: SourceSpec, settings: DataSettings, exchanges: Exchanges) -> tuple[Action, ...]:
    from sigc.data.actions.action_files import has_actions, rows_of_prices

    files = locate(spec, settings).files
    if not any(has_actions(spec, file, settings.max_cells) for file in files):
        return ()
    exchange = exchanges.of(spec.options.calendar, spec.options.zone)
    return rows_of_prices(spec, files, exchange, settings.max_cells).actions


def _levels(panel: Panel, source: Source, actions: Sequence[Action]) -> Floats:
    return forward(panel.values, panel.names, _days(panel, source), acting(actions))


def _adjusted(panel: Panel, source: Source, actions: Sequence[Action], adjust: str) -> Floats:
    """Return the file's prices, or its volume, as signals see them."""
    if adjust == "split_div" and not source.spec.is_volume:
        return _levels(panel, source, actions)
    splits = [a for a in acting(actions) if a.kind is ActionKind.SPLIT]
    factor = forward(np.ones(panel.values.shape), panel.names, _days(panel, source), splits)
    return panel.values / factor if source.spec.is_volume else panel.values * factor


def _days(panel: Panel, source: Source) -> Dates:
    return (panel.dates if source.sessions is None else source.sessions).astype("datetime64[D]")


def read_acts(path: Path, options: Sequence[str] = (), exchanges: Exchanges = NYSE) -> CorporateActions | None:
    """Return the corporate actions of a file that holds nothing else; None for any other file. Raises as `read_file`
    does.
    """
    where = path.expanduser().resolve()
    said = dict(_written(o) for o in options)
    own = {k: str(said.pop(k)) for k in tuple(said) if k in SourceSpec.__dataclass_fields__}
    spec = SourceSpec(path.name.partition(".")[0], str(where), base=str(where.parent), is_actions=True, **own)  # type: ignore[arg-type]
    spec, settings = replace(spec, options=source_options(said)), DataSettings()
    with being_read(spec.name, spec.path):
        return _acts_of(spec, settings, exchanges)


def _acts_of(spec: SourceSpec, settings: DataSettings, exchanges: Exchanges) -> CorporateActions | None:
    from sigc.data.actions.action_files import read_actions
    from sigc.data.actions.corporate_columns import ColumnRoles, roles_of

    files = locate(spec, settings).files
    with opened(spec, files[0], settings.max_cells) as table:
        head = table.head()
    try:
        roles: ColumnRoles = roles_of(spec, files[0], head)
    except SigcError:
        return None
    others = set(head.schema.names) - {getattr(roles, f.name) for f in fields(roles)}
    if not roles.kind and others:
        return None  # prices that have such columns too
    return read_actions(spec, files, exchanges.of(spec.options.calendar, spec.options.zone), settings.max_cells)


def _written(option: str) -> tuple[str, Written]:
    name, mark, text = option.partition("=")
    if not mark or name not in OPTIONS:
        hint = did_you_mean(name, OPTIONS) or f"there are: {', '.join(OPTIONS)}"
        raise SigcError(Diagnostic("E101", f"no option '{name}' of a source", hint=hint))
    try:
        read_option(name, text)
    except SigcError:
        if re.fullmatch(r"-?\d+(\.\d+)?", text):  # a number, where the option takes no text
            return name, float(text)
    return name, text


def _layout(spec: SourceSpec, settings: DataSettings) -> str:
    file = locate(spec, settings).files[0]
    with being_read(spec.name, spec.path), opened(spec, file, settings.max_cells) as table:
        return layout(spec, file, table.head(), table.indices).shape


def price_findings(read: DataFile, column: str = "") -> tuple[Diagnostic, ...]:
    """Return the jumps in a file of prices; its column or name says that it is one. Raises E201 for prices of 0 and
    below.
    """
    source = read.source
    if measures("" if column else source.name, column, "") != "price" or source.static or read.panel.labels is not None:
        return ()
    from sigc_pipelines.prices.quotes import accept_panel

    strict = replace(source.spec, options=replace(source.spec.options, max_anomalies_pct=0.0))
    source, panel = replace(source, spec=strict), read.panel
    return accept_panel(source, panel.values, panel.names, panel.dates, MAX_RETURN, levels=read.levels).findings


def write_file(panel: Panel, path: Path, shape: str) -> None:
    """Write a panel by extension, wide or long. Raises E201 for an extension that says no format."""
    import pyarrow as pa

    table: Any = pa.table(_long(panel) if shape == "long" else _wide(panel))
    if pa.types.is_timestamp(table["date"].type):  # instants: written with their offset
        table = table.set_column(0, "date", table["date"].cast(pa.timestamp("us", "UTC")))
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
                Diagnostic("E201", f"unknown format of '{path}'", hint="end it in .csv, .parquet or .arrow")
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
    return days if np.array_equal(days.astype("datetime64[ns]"), panel.dates) else panel.dates.astype("datetime64[us]")
