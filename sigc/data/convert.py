"""Conversion of a file to stored source blocks, once per version: a manifest records the result.

    1. a manifest of (file, version, options, calendar) exists: done
    2. open, recognise the layout, shape; cut on the calendar; store the blocks the store lacks
    3. write the manifest

A block's key is the digest of its rows, so unchanged blocks of a changed file keep their keys. Large wide parquet files
stream through (`stream.py`): memory is bounded by the block. Other files are read whole, if memory permits. The first
file of a source decides about its rows (frequency, calendar), for all its files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from sigc.actions import Action, digest_of
from sigc.blocks.block import DIGEST_BYTES, Block, BlockFacts, BlockStore, concat, digest, grid, row_digests
from sigc.config.settings import DataSettings
from sigc.data import asof
from sigc.data.dates.exchange import NYSE, Exchange, Exchanges
from sigc.data.dates.frequency import infer
from sigc.data.dates.stamps import Dated
from sigc.data.events import RawEvents, late, store_events, together
from sigc.data.formats.layout import layout
from sigc.data.formats.parquet import ParquetFile
from sigc.data.formats.shape import ShapedPanel, check_ascending, to_panel
from sigc.data.formats.stream import dated_in, streamed
from sigc.data.formats.table import opened
from sigc.data.manifest import NO_ROWS, Converted, Manifests, RowDecisions, SourceBlock
from sigc.data.masks import AcceptedMask
from sigc.data.missing_cells import MissingCells
from sigc.data.source_errors import problem
from sigc.data.sources import by_file, raw_kept
from sigc.data.sources.folder import joined, remembered
from sigc.data.sources.locate import SourceFiles, version_now
from sigc.data.sources.spec import SourceSpec
from sigc.data.spans import Spans, spans_of
from sigc.data.spans import joined as joined_spans
from sigc.panel import Dates, Panel, canonical

FORMAT = "4"  # version of source blocks and manifests
_STREAM_CELLS = 20_000_000  # a wide parquet file with more cells is read in batches
_FEW_FILES = 2
_MOST_READS = 3  # attempts to read a file that changes meanwhile
_STREAM_SHARE = 8  # also above 1/8 of the memory limit: table, panel and block exist at once


@dataclass(frozen=True, slots=True)
class Ways:
    """The environment of a conversion: the block store, data settings, the schedule's calendar."""

    store: BlockStore
    settings: DataSettings
    exchanges: Exchanges = NYSE

    def exchange(self, spec: SourceSpec) -> Exchange:
        """Return the exchange of a source's sessions. Raise E402 for an unknown calendar."""
        return self.exchanges.of(spec.options.calendar, spec.options.zone)


def convert(
    spec: SourceSpec, place: SourceFiles, acts: Sequence[Action], ways: Ways, *, thorough: bool = False
) -> Converted:
    """Convert every new or changed file of a source. Raise `SigcError` for invalid content.

    acts: corporate actions, which explain jumps if these are masked. thorough: also convert files whose blocks are no
    longer all in the store.
    """
    manifests = Manifests(ways.store, thorough)
    if spec.options.asof is not None:
        return _as_events(spec, place, manifests, ways)
    acts = acts if spec.options.mask_anomalies else ()
    if spec.options.symbol_from or (spec.options.mask_anomalies and len(place.files) > 1):
        # The last accepted price carries over from file to file, so a folder is masked as one.
        return _as_one(spec, place, acts, manifests, ways)
    since = (digest_of(acts),) if acts else ()

    def name_of(spec: SourceSpec, file: str, version: str) -> str:
        return "source-" + digest(FORMAT, file, version, _options(spec), ways.exchanges.mark, *since)

    def named(spec: SourceSpec, at: int) -> tuple[str, str]:
        return place.files[at], name_of(spec, place.files[at], place.versions[at])

    def part(file: str, name: str, spec: SourceSpec = spec) -> tuple[str, Converted]:
        known = manifests.recall(name)
        if known is None:
            version, known = _settled(spec, file, place, lambda: _convert_file(spec, file, acts, ways))
            manifests.keep(name_of(spec, file, version), known)
        return file, known

    first = part(*named(spec, 0))
    if len(place.files) == 1:
        return first[1]
    later = _decided(spec, first[1].rows)
    rest = [named(later, at) for at in range(1, len(place.files))]

    def any_part(file: str, name: str) -> tuple[str, Converted]:
        return first if file == first[0] else part(file, name, later)

    all_named = [named(spec, 0), *rest]
    if len(all_named) > _FEW_FILES:
        whole = remembered(spec, all_named, any_part, manifests)
    else:
        whole = joined(spec, [any_part(*n) for n in all_named])
    return _of_one_frequency(spec, whole, ways)


def _settled(spec: SourceSpec, file: str, place: SourceFiles, make: Callable[[], Converted]) -> tuple[str, Converted]:
    """Convert a file; return its version, equal before and after, and the result. Raise E201 if it keeps changing."""
    version = place.versions[place.files.index(file)]
    for _ in range(_MOST_READS):
        made = make()
        now = version_now(spec, file)
        if now == version:
            return version, made
        version = now
    hint = "write under another name, then rename: no reader then sees half a file"
    raise problem(spec, "E201", file, "changes while it is read", hint)


def _decided(spec: SourceSpec, rows: RowDecisions) -> SourceSpec:
    """Return the declaration for the files after the first, which decided if rows are bars of a session."""
    if not rows.is_intraday:
        return spec
    calendar = spec.options.calendar or (rows.calendar if rows.calendar == "always" else "")
    return replace(spec, options=replace(spec.options, frequency=rows.frequency, calendar=calendar))


def _of_one_frequency(spec: SourceSpec, whole: Converted, ways: Ways) -> Converted:
    """Return the source with the frequency of all its daily rows, not of its first file."""
    if whole.static or whole.rows.is_intraday or spec.options.frequency is not None:
        return whole
    return replace(whole, rows=replace(whole.rows, frequency=infer(whole.dates, ways.exchange(spec))))


def _as_one(
    spec: SourceSpec, place: SourceFiles, acts: Sequence[Action], manifests: Manifests, ways: Ways
) -> Converted:
    versions = (*place.files, *place.versions, *((digest_of(acts),) if acts else ()))
    name = "source-" + digest(FORMAT, _options(spec), ways.exchanges.mark, *versions)
    known = manifests.recall(name)
    if known is None:
        if spec.options.symbol_from:
            shaped = [by_file.whole(spec, place.files, lambda own, file: _shaped(own, file, ways))]
        else:
            shaped = sorted((_shaped(spec, file, ways) for file in place.files), key=_first_date)
        whole = concat([s.panel for s in shaped])
        check_ascending(spec, place.text, whole.dates)
        rows = _rows(shaped[0].dated)
        mask = AcceptedMask(spec, rows.frequency, acts)
        is_long = any(s.is_long for s in shaped)
        known = store_panels(spec, [mask.panel(whole)], ways, rows, static=False, is_long=is_long)
        told = (*(f for s in shaped for f in s.findings), *mask.findings())
        known = replace(known, findings=(*told, *known.findings))
        manifests.keep(name, known)
    return known


def _as_events(spec: SourceSpec, place: SourceFiles, manifests: Manifests, ways: Ways) -> Converted:
    """Convert all files of an as-of source as one: a filing of today may restate one of years ago."""
    name = "source-" + digest(FORMAT, _options(spec), ways.exchanges.mark, *place.files, *place.versions)
    last = "last-" + digest(FORMAT, _options(spec), place.text)
    known = manifests.recall(name)
    if known is None:
        said = asof.check_said(spec, place.files[0])
        raw = together([_file_events(spec, place, at, ways) for at in range(len(place.files))])
        known = store_events(spec, raw, ways.store)
        # The last conversion of these files, whatever their version then: `late` compares with it.
        before = manifests.recall(ways.store.noted(last) or last)
        findings = late(spec, before, ways.store, raw) if before is not None and before.events is not None else ()
        known = replace(known, findings=(*said, *known.findings, *findings))
        manifests.keep(name, known)
    if ways.store.noted(last) != name:
        ways.store.note(last, name)
    return known


def _file_events(spec: SourceSpec, place: SourceFiles, at: int, ways: Ways) -> RawEvents:
    """Return the events of a file; those of a folder's files are kept, so that only new files are read."""
    file = place.files[at]
    if len(place.files) == 1:
        return _events_in(spec, file, ways)
    name = "events-" + digest(FORMAT, _options(spec), ways.exchanges.mark, file, place.versions[at])
    raw = raw_kept.recall(ways.store, name)
    if raw is None:
        raw = _events_in(spec, file, ways)
        raw_kept.keep(spec, ways.store, name, raw)
    return raw


def _events_in(spec: SourceSpec, file: str, ways: Ways) -> RawEvents:
    with opened(spec, file, ways.settings.max_cells) as table:
        how = layout(spec, file, table.head(), table.indices)
        arrow = table.read(how.columns, how.numbers(spec))
    exchange = ways.exchange(spec)
    of = asof.intervals_of if how.shape == "intervals" else asof.cells_of
    return of(spec, file, arrow, how, exchange).in_microseconds()


def _first_date(shaped: ShapedPanel) -> int:
    return int(shaped.panel.dates[0].astype("i8"))


def _options(spec: SourceSpec) -> str:
    chosen = (spec.name, spec.format, spec.column, spec.date_col, spec.symbol_col, spec.dtype)
    return repr((*chosen, spec.options))


def _convert_file(spec: SourceSpec, file: str, acts: Sequence[Action], ways: Ways) -> Converted:
    with opened(spec, file, ways.settings.max_cells) as table:
        how = layout(spec, file, table.head(), table.indices)
        _refuse_publication(spec, file)
        if how.shape == "intervals":
            arrow = table.read(how.columns, how.numbers(spec))
            return store_events(spec, asof.intervals_of(spec, file, arrow, how, ways.exchange(spec)), ways.store)
        plain = how.shape == "wide" and spec.dtype != "category"
        if plain and isinstance(table, ParquetFile) and table.rows * len(how.columns) > _at_once(spec):
            table.check_size(how.columns)
            dated = dated_in(spec, file, how, ways.exchange(spec))
            mask = AcceptedMask(spec, dated.frequency, acts)
            panels = mask.panels(streamed(spec, file, how, dated, _rule(dated.dates)))
            made = store_panels(spec, panels, ways, _rows(dated), static=False, rule=_rule(dated.dates))
            return replace(made, findings=(*how.findings, *dated.findings, *mask.findings(), *made.findings))
        arrow = table.read(how.columns, how.numbers(spec))
    shaped = to_panel(spec, file, arrow, how, ways.exchange(spec))
    rows, is_static = _rows(shaped.dated), how.shape == "static"
    mask = AcceptedMask(spec, rows.frequency, acts)
    panel = mask.panel(shaped.panel)
    made = store_panels(spec, [panel], ways, rows, static=is_static, is_long=shaped.is_long)
    return replace(made, findings=(*shaped.findings, *mask.findings(), *made.findings))


def _refuse_publication(spec: SourceSpec, file: str) -> None:
    """Refuse a publication column of a source that is not as-of: it would have no meaning."""
    said = spec.options.available_after
    if said is not None and said.column:
        message = f"has its publication in '{said.column}', and is not declared as-of"
        raise problem(spec, "E201", file, message, "say asof=true, or a longest age such as asof=400d")


def _rows(dated: Dated | None) -> RowDecisions:
    return NO_ROWS if dated is None else RowDecisions(dated.frequency, dated.calendar, dated.zone)


def _at_once(spec: SourceSpec) -> int:
    """Return the number of cells up to which a file is read whole."""
    return min(_STREAM_CELLS, spec.memory_bytes // (8 * _STREAM_SHARE)) if spec.memory_bytes else _STREAM_CELLS


def _shaped(spec: SourceSpec, file: str, ways: Ways) -> ShapedPanel:
    """Return a file read whole."""
    with opened(spec, file, ways.settings.max_cells) as table:
        how = layout(spec, file, table.head(), table.indices)
        arrow = table.read(how.columns, how.numbers(spec))
    return to_panel(spec, file, arrow, how, ways.exchange(spec))


def store_panels(
    spec: SourceSpec,
    panels: list[Panel] | Iterator[Panel],
    ways: Ways,
    of_rows: RowDecisions = NO_ROWS,
    *,
    static: bool,
    known: bytes = b"",
    rule: str = "",
    is_long: bool = False,
) -> Converted:
    """Cut panels of consecutive rows into calendar blocks, and store the new ones.

    of_rows: the decisions about them. known: the digests of the first rows, if these were converted before. rule: the
    block length, '' to derive it from the first panel. is_long: each asset has its own dates.
    """
    digests = bytearray()
    dates: list[Dates] = []
    blocks: list[SourceBlock] = []
    labels: set[str] = set()
    names: set[str] = set()
    missing = MissingCells()
    spans: list[tuple[int, Spans]] = []
    category = False
    at = 0
    cuts = _Cuts(ways, spec, of_rows, rule)
    for panel, label in _by_period(panels, static, cuts):
        category = category or panel.labels is not None
        labels.update(panel.labels or ())
        names.update(panel.names)
        missing.look(panel)
        clean = stripped(panel)
        del panel  # free it before the next panel is read: two would exceed the memory limit
        seen = known[DIGEST_BYTES * at : DIGEST_BYTES * (at + len(clean.dates))]
        rows = seen + row_digests(clean.rows(len(seen) // DIGEST_BYTES, len(clean.dates)))
        facts = facts_of(spec, label, rows)
        if ways.store.facts(facts.key) is None:
            ways.store.write(facts, clean)
        if is_long:
            spans.append((0, spans_of(clean, at)))
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
        findings=missing.findings(spec, ways.settings),
        rows=of_rows,
        spans=joined_spans(spans) if is_long else None,
    )


def facts_of(spec: SourceSpec, label: str, digests: bytes) -> BlockFacts:
    """Return the facts of a source block with these row digests."""
    return BlockFacts(
        digest("source", FORMAT, digests), spec.name, label, len(digests) // DIGEST_BYTES, source="source"
    )


def stripped(panel: Panel) -> Panel:
    """Return the panel as stored: canonical, without assets that have no value."""
    values = canonical(panel.values)
    valid = np.atleast_1d(~np.isnan(values).all(axis=0))
    if valid.all():
        return Panel(panel.dates, panel.names, values, panel.labels)
    return Panel(panel.dates, tuple(compress(panel.names, valid.tolist())), values[:, valid], panel.labels)


@dataclass(slots=True)
class _Cuts:
    """The cuts of rows into calendar blocks; intraday rows are cut between sessions."""

    ways: Ways
    spec: SourceSpec
    rows: RowDecisions
    rule: str

    def grid(self, dates: Dates) -> tuple[Block, ...]:
        """Return the blocks of consecutive rows."""
        self.rule = self.rule or _rule(dates)
        return grid(dates, self.rule, self._sessions(dates))

    def _sessions(self, dates: Dates) -> Dates | None:
        if not self.rows.is_intraday:
            return None
        return sessions_of(dates, self.ways.exchanges.of(self.rows.calendar, self.rows.zone))


def sessions_of(dates: Dates, exchange: Exchange) -> Dates:
    """Return the session of each instant, as a date."""
    found = exchange.session_of(dates.view("i8"))
    own = dates.astype("datetime64[D]")
    return np.where(np.isnat(found), own, found).astype("datetime64[ns]")


def _by_period(panels: list[Panel] | Iterator[Panel], static: bool, cuts: _Cuts) -> Iterator[tuple[Panel, str]]:
    """Yield (panel, label) for each calendar block; consecutive parts of one block are joined."""
    waiting: list[Panel] = []
    for panel in panels:
        if static:
            yield panel, "static"
            return
        for block in cuts.grid(panel.dates):
            part = panel.rows(block.start, block.stop)
            if waiting and not _same_period(waiting[-1], part, cuts):
                yield _flush(waiting, cuts)
            waiting.append(part)
    if waiting:
        yield _flush(waiting, cuts)


def _rule(dates: Dates) -> str:
    label = grid(dates)[0].label
    return "year" if len(label) == 4 else "month" if len(label) == 7 else "week"


def _same_period(a: Panel, b: Panel, cuts: _Cuts) -> bool:
    return len(cuts.grid(np.concatenate([a.dates[-1:], b.dates[:1]]))) == 1


def _flush(waiting: list[Panel], cuts: _Cuts) -> tuple[Panel, str]:
    whole = waiting[0] if len(waiting) == 1 else concat(waiting)
    waiting.clear()
    first: Block = cuts.grid(whole.dates[:1])[0]
    return whole, first.label
