"""A file to stored blocks, once: the manifest remembers what a version of a file was converted to.

    1. the manifest of (file, version, options): done
    2. read, shape, adjust; cut on the calendar; store the blocks the store lacks
    3. write the manifest

A block's key is the digest of its rows, so unchanged blocks of a changed file keep their keys. Large wide
parquet files stream through (`stream.py`): memory is bounded by the block. Other files are read whole, if they may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress

import numpy as np
import pyarrow.parquet as pq

from sigc.blocks import DIGEST_BYTES, Block, BlockStore, Facts, concat, digest, grid, row_digests
from sigc.config import DataSettings
from sigc.data import adjust
from sigc.data.folder import joined, remembered
from sigc.data.locate import Place
from sigc.data.manifest import Converted, Manifests, SourceBlock
from sigc.data.shape import Layout, check_ascending, layout, to_panel
from sigc.data.spec import SourceSpec
from sigc.data.stream import dates_in, streamed
from sigc.data.table import column_names, format_of, open_file, problem, read_table
from sigc.errors import Diagnostic, Severity
from sigc.panel import Dates, Panel, canonical

FORMAT = "2"  # of source blocks and manifests
_STREAM_CELLS = 20_000_000  # above so many a wide parquet file is read in batches
_FEW_FILES = 2
_STREAM_SHARE = 8  # and above that share of the memory it may take: table, panel and block are there at once


def convert(
    spec: SourceSpec,
    place: Place,
    actions: Place | None,
    store: BlockStore,
    settings: DataSettings,
    *,
    thorough: bool = False,
) -> Converted:
    """Convert every file of a source that is new or changed. Raises `SigcError` for what is wrong in it.

    thorough: also those whose blocks are not all stored any more.
    """
    manifests = Manifests(store, thorough)
    if spec.adjust != "none" and len(place.files) > 1:
        # Factors run through all files, so a folder is adjusted as one.
        return _as_one(spec, place, actions, manifests, settings)
    named = [
        (file, "source-" + digest(FORMAT, file, version, _options(spec), *(actions.versions if actions else ())))
        for file, version in zip(place.files, place.versions, strict=True)
    ]

    def part(file: str, name: str) -> tuple[str, Converted]:
        known = manifests.recall(name)
        if known is None:
            known = _convert_file(spec, file, actions, store, settings)
            manifests.keep(name, known)
        return file, known

    if len(named) > _FEW_FILES:
        return remembered(spec, named, part, manifests)
    return joined(spec, [part(*n) for n in named])


def _as_one(
    spec: SourceSpec, place: Place, actions: Place | None, manifests: Manifests, settings: DataSettings
) -> Converted:
    versions = (*place.files, *place.versions, *(actions.versions if actions else ()))
    name = "source-" + digest(FORMAT, _options(spec), *versions)
    known = manifests.recall(name)
    if known is None:
        panels = [_panel(spec, file, settings) for file in place.files]
        panels.sort(key=lambda p: int(p.dates[0].astype("i8")))
        whole = concat(panels)
        check_ascending(spec, place.text, whole.dates)
        adjusted = _adjusted(spec, place.files, whole, actions, settings)
        known = store_panels(spec, [adjusted], manifests.store, settings, static=False)
        manifests.keep(name, known)
    return known


def _options(spec: SourceSpec) -> str:
    chosen = (spec.name, spec.format, spec.column, spec.date_col, spec.symbol_col, spec.adjust, spec.dtype)
    return repr(chosen)


def _convert_file(
    spec: SourceSpec, file: str, actions: Place | None, store: BlockStore, settings: DataSettings
) -> Converted:
    columns = column_names(spec, file, settings.max_cells)
    how = layout(spec, file, columns)
    plain = how.shape == "wide" and spec.adjust == "none" and spec.dtype != "category"
    if plain and format_of(spec, file) == "parquet":
        rows = _rows(spec, file, len(columns), settings)
        if rows * len(columns) > _at_once(spec):
            dates = dates_in(spec, file, how)
            panels = streamed(spec, file, how, dates)
            return store_panels(spec, panels, store, settings, static=False, rule=_rule(dates))
    panel = _adjusted(spec, (file,), _panel(spec, file, settings, how), actions, settings)
    return store_panels(spec, [panel], store, settings, static=how.shape == "static")


def _at_once(spec: SourceSpec) -> int:
    """Cells up to which a file is read whole."""
    return min(_STREAM_CELLS, spec.memory_bytes // (8 * _STREAM_SHARE)) if spec.memory_bytes else _STREAM_CELLS


def _rows(spec: SourceSpec, file: str, columns: int, settings: DataSettings) -> int:
    with open_file(spec, file) as handle:
        rows = int(pq.ParquetFile(handle).metadata.num_rows)
    if rows * columns > settings.max_cells:
        message = f"declares {rows * columns:,} cells, more than the {settings.max_cells:,} allowed"
        raise problem(spec, "E201", file, message, "raise data.max_cells if that is right")
    return rows


def _panel(spec: SourceSpec, file: str, settings: DataSettings, how: Layout | None = None) -> Panel:
    """The file read whole. how: its layout, where that is known already."""
    how = how or layout(spec, file, column_names(spec, file, settings.max_cells))
    wanted = [how.date, how.asset, how.value] if how.shape != "wide" else [how.date, *how.values]
    table = read_table(spec, file, settings.max_cells, [c for c in wanted if c])
    return to_panel(spec, file, table, how)


def _adjusted(
    spec: SourceSpec, files: tuple[str, ...], panel: Panel, actions: Place | None, settings: DataSettings
) -> Panel:
    if spec.adjust == "none":
        return panel
    split = _action(spec, files, actions, "split", settings)
    dividend = _action(spec, files, actions, "dividend", settings) if spec.adjust == "split_div" else None
    if split is None and dividend is None:
        message = f"asks for adjust={spec.adjust}, and has neither a 'split' nor a 'dividend' column"
        hint = "load a corporate_actions source, or drop adjust="
        raise problem(spec, "E202", files[0], message, hint)
    return adjust.forward(panel, split, dividend)


def _action(
    spec: SourceSpec, files: tuple[str, ...], actions: Place | None, column: str, settings: DataSettings
) -> Panel | None:
    """Splits or dividends: from the corporate actions source, else from the file's own column."""
    panels = []
    for file in actions.files if actions is not None else files:
        own = SourceSpec(
            spec.name,
            file,
            format="" if actions else spec.format,
            column=column,
            span=spec.span,
            timeout_s=spec.timeout_s,
            memory_bytes=spec.memory_bytes,
        )
        names = [n for n, _ in column_names(own, file, settings.max_cells)]
        if column in names:
            panels.append(_panel(own, file, settings))
    return concat(sorted(panels, key=lambda p: int(p.dates[0].astype("i8")))) if panels else None


def store_panels(
    spec: SourceSpec,
    panels: list[Panel] | Iterator[Panel],
    store: BlockStore,
    settings: DataSettings,
    *,
    static: bool,
    known: bytes = b"",
    rule: str = "",
) -> Converted:
    """Cut panels of consecutive rows into calendar blocks and store those that are new.

    known: the digests of the first rows, where these were converted before. rule: how the calendar cuts, '' to find it
    from the rows of the first panel.
    """
    digests = bytearray()
    dates: list[Dates] = []
    blocks: list[SourceBlock] = []
    labels: set[str] = set()
    names: set[str] = set()
    missing = _Missing()
    category = False
    at = 0
    for panel, label in _by_period(panels, static, rule):
        category = category or panel.labels is not None
        labels.update(panel.labels or ())
        names.update(panel.names)
        missing.look(panel)
        clean = stripped(panel)
        del panel  # what a file has next is read while this is alive
        seen = known[DIGEST_BYTES * at : DIGEST_BYTES * (at + len(clean.dates))]
        rows = seen + row_digests(clean.rows(len(seen) // DIGEST_BYTES, len(clean.dates)))
        facts = facts_of(spec, label, rows)
        if store.facts(facts.key) is None:
            store.write(facts, clean)
        digests += rows
        dates.append(clean.dates)
        blocks.append(SourceBlock(at, at + len(clean.dates), facts.key))
        at += len(clean.dates)
        del clean
    return Converted(
        dates=np.concatenate(dates),
        names=tuple(sorted(names)),
        digests=bytes(digests),
        blocks=tuple(blocks),
        labels=tuple(sorted(labels)),
        category=category,
        static=static,
        findings=missing.findings(spec, settings),
    )


def facts_of(spec: SourceSpec, label: str, digests: bytes) -> Facts:
    """Of a source block, by the digests of its rows."""
    return Facts(digest("source", FORMAT, digests), spec.name, label, len(digests) // DIGEST_BYTES, source="source")


def stripped(panel: Panel) -> Panel:
    """The panel as it is stored: canonical, without assets that have no valid cell."""
    values = canonical(panel.values)
    valid = np.atleast_1d(~np.isnan(values).all(axis=0))
    if valid.all():
        return Panel(panel.dates, panel.names, values, panel.labels)
    return Panel(panel.dates, tuple(compress(panel.names, valid.tolist())), values[:, valid], panel.labels)


def _by_period(panels: list[Panel] | Iterator[Panel], static: bool, rule: str) -> Iterator[tuple[Panel, str]]:
    """Panels cut where the calendar of blocks cuts."""
    waiting: list[Panel] = []
    for panel in panels:
        if static:
            yield panel, "static"
            return
        rule = rule or _rule(panel.dates)
        blocks = grid(panel.dates, rule)
        for block in blocks:
            part = panel.rows(block.start, block.stop)
            if waiting and not _same_period(waiting[-1], part, rule):
                yield _flush(waiting, rule)
            waiting.append(part)
    if waiting:
        yield _flush(waiting, rule)


def _rule(dates: Dates) -> str:
    label = grid(dates)[0].label
    return "year" if len(label) == 4 else "month" if len(label) == 7 else "week"


def _same_period(a: Panel, b: Panel, rule: str) -> bool:
    return len(grid(np.concatenate([a.dates[-1:], b.dates[:1]]), rule)) == 1


def _flush(waiting: list[Panel], rule: str) -> tuple[Panel, str]:
    whole = waiting[0] if len(waiting) == 1 else concat(waiting)
    waiting.clear()
    first: Block = grid(whole.dates[:1], rule)[0]
    return whole, first.label


class _Missing:
    """Counts missing cells between an asset's first and last row."""

    def __init__(self) -> None:
        self.cells = 0
        self.missing = 0
        self.gap: dict[str, int] = {}

    def look(self, panel: Panel) -> None:
        holes = np.isnan(panel.values)
        if not holes.any() and not any(self.gap.values()):  # as most are
            self.cells += holes.size
            self.gap.update(dict.fromkeys(panel.names, 0))
            return
        for name, column in zip(panel.names, holes.T, strict=True):
            valid = np.flatnonzero(~column)
            begun = name in self.gap
            if not len(valid):
                if begun:
                    self.gap[name] += len(column)
                continue
            first, last = int(valid[0]), int(valid[-1])
            inside = int(column[first : last + 1].sum())
            before = first + self.gap[name] if begun else 0
            self.missing += inside + before
            self.cells += last - first + 1 + before
            self.gap[name] = len(column) - last - 1

    def findings(self, spec: SourceSpec, settings: DataSettings) -> tuple[Diagnostic, ...]:
        share = self.missing / self.cells if self.cells else 1.0
        limit = settings.validation.max_missing_pct
        if share <= limit:
            return ()
        message = f"source '{spec.name}': {share:.1%} of the cells between first and last rows are missing"
        return (Diagnostic("W002", message, spec.span, Severity.WARNING, hint=f"the limit is {limit:.1%}"),)
