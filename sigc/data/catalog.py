"""Sources as the engine reads them: rows in stored blocks, with dates, names and row digests.

    catalog = load(specs, store, settings)        raises every problem of every source at once
    panel   = read(source, store, start, stop)    rows of the source's own dates

Reading order: `locate` (the files), `table` (their columns), `shape` (columns to a panel), `adjust`, `convert` (panel
to stored blocks, with a manifest so that an unchanged file is not read again).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from sigc.actions import Action
from sigc.blocks.block import BlockStore, concat, digest
from sigc.config.settings import DataSettings
from sigc.data.actions.declared_actions import DeclaredActions
from sigc.data.actions.factor_names import factor_of, parts_of
from sigc.data.actions.factors import convert_factor
from sigc.data.being_read import being_read
from sigc.data.convert import Ways, convert, sessions_of
from sigc.data.dates.exchange import ALWAYS, NYSE, Exchange, Exchanges
from sigc.data.events import newest
from sigc.data.manifest import NO_ROWS, Converted, Events, RowDecisions, SourceBlock
from sigc.data.source_errors import problem
from sigc.data.sources.connections import Connections
from sigc.data.sources.frame_source import MemoryFrame, put
from sigc.data.sources.locate import SourceFiles, locate, together
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError
from sigc.ops.declare import ValueKind
from sigc.panel import Dates, Panel

T = TypeVar("T")
IN_MEMORY = "given from memory"
_NONE: Mapping[str, MemoryFrame] = MappingProxyType({})


def _nothing() -> None:
    """Do nothing: for a source that can't be rebuilt."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A data source, converted.

    dates: of its rows; a static panel has one row, dated 1970-01-01. names: assets, ordered. digests: the row digests,
    concatenated. labels: of a category. rows: their frequency and calendar. sessions: the session of each row, if rows
    are instants. restore: rebuilds blocks that the store has lost; a reader finds that out. events: of an as-of source,
    whose blocks are those of `sigc.data.events`. filled: the share of non-missing cells. exchange: opens its calendar.
    """

    name: str
    kind: ValueKind
    static: bool
    dates: Dates
    names: tuple[str, ...]
    digests: bytes
    blocks: tuple[SourceBlock, ...]
    labels: tuple[str, ...]
    spec: SourceSpec
    path: str
    findings: tuple[Diagnostic, ...] = ()
    restore: Callable[[], object] = _nothing
    rows: RowDecisions = NO_ROWS
    sessions: Dates | None = None
    events: Events | None = None
    filled: float = 1.0
    exchange: Callable[[], Exchange] = NYSE.of

    @property
    def fingerprint(self) -> str:
        """Return a digest of the content, for the record of a run."""
        return digest(self.digests)[:16]


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """All sources of a strategy by name, and the findings. actions: those declared, by ex-date.

    has_actions: True if actions are declared, even if there are none.
    """

    sources: dict[str, Source]
    findings: tuple[Diagnostic, ...]
    actions: tuple[Action, ...] = ()
    has_actions: bool = False


class BlockMissingError(Exception):
    """A block of a source that is not in the store, and that its file no longer yields."""


def load(
    specs: Sequence[SourceSpec],
    store: BlockStore,
    settings: DataSettings,
    ttl_hours: float = 0.0,
    connections: Connections | None = None,
    held: Mapping[str, MemoryFrame] = _NONE,
    *,
    thorough: bool = False,
    exchanges: Exchanges = NYSE,
) -> Catalog:
    """Convert new and changed files, and describe all sources. Raise `SigcError` with every problem found.

    ttl_hours: how long a checked URL is assumed unchanged; local files are checked each time. connections: limits of
    parallel reads, of waiting for an answer, and of the memory for a file. held: sources given from memory, by name;
    their files are not read. exchanges: the schedule's calendar. thorough: rebuild blocks that the store has lost; else
    their reader finds that out.
    """
    ways = connections or Connections()
    specs = [
        replace(spec, timeout_s=ways.timeout_s, memory_bytes=ways.memory_bytes, scratch=ways.scratch) for spec in specs
    ]
    look = partial(_located, store=store, settings=settings, ttl_hours=ttl_hours)
    errors: list[Diagnostic] = []
    read = [s for s in specs if s.name not in held]
    with_what = Ways(store, settings, exchanges)
    actions = DeclaredActions([s for s in specs if s.is_actions], held, look, with_what)
    make = partial(_source, look=look, actions=actions, ways=with_what, thorough=thorough)
    sources = _gathered([s for s in read if not s.is_actions], make, ways, errors)
    for spec in specs:
        if spec.name in held and not spec.is_actions:
            again = partial(put, held[spec.name], store)
            again()
            sources[spec.name] = _described(
                spec, SourceFiles(IN_MEMORY, (), ()), held[spec.name].converted, again, exchanges
            )
    if errors:
        raise SigcError(*errors)
    acting = actions.all_of(specs)
    sources |= _factors(specs, sources, actions, with_what)
    findings = (*(f for s in sources.values() for f in s.findings), *actions.findings())
    return Catalog(sources, findings, acting, bool(actions.declared) or any(s.adjust != "none" for s in specs))


def _factors(
    specs: Sequence[SourceSpec], sources: Mapping[str, Source], actions: DeclaredActions, ways: Ways
) -> dict[str, Source]:
    """Return the factors of all adjusted sources, by name."""
    found: dict[str, Source] = {}
    for name in sorted({factor_of(s, specs) for s in specs if s.name in sources} - {""}):
        found[name] = _factor(name, sources[parts_of(name)[0]], actions, ways)
    return found


def _factor(name: str, closes: Source, actions: DeclaredActions, ways: Ways) -> Source:
    if not actions.are_declared(closes.spec):
        message = f"asks for adjust={closes.spec.adjust}, and has neither a 'split' nor a 'dividend' column"
        hint = "load a corporate_actions source, or drop adjust="
        raise problem(closes.spec, "E202", closes.path, message, hint)
    spec = SourceSpec(name, closes.spec.path, base=closes.spec.base, is_factor=True, span=closes.spec.span)
    acts = actions.of(closes.spec)

    def read_block(key: str) -> Panel:
        return _read_block(closes, ways.store, key)

    def again() -> Source:
        return _factor(name, closes, actions, ways)

    made = convert_factor(spec, parts_of(name)[1], closes, acts, ways.store, read_block)
    return _described(spec, SourceFiles("corporate actions", (), ()), made, again, ways.exchanges)


def _gathered(
    specs: Sequence[SourceSpec], make: Callable[[SourceSpec], T], ways: Connections, errors: list[Diagnostic]
) -> dict[str, T]:
    """Apply `make` to each spec; return the results by name, in order, and collect the errors."""
    made = ways.gather([partial(make, spec) for spec in specs], are_remote=any(spec.is_url for spec in specs))
    found: dict[str, T] = {}
    for spec, one in zip(specs, made, strict=True):
        if isinstance(one, SigcError):
            errors += one.diagnostics
        else:
            found[spec.name] = one
    return found


def _located(spec: SourceSpec, *, store: BlockStore, settings: DataSettings, ttl_hours: float) -> SourceFiles:
    """Locate a source; note the time and version of each check of a URL.

    Notes named `seen-` are from an older sigc, whose versions may be constants: they are ignored.
    """
    if spec.others:
        look = partial(_located, store=store, settings=settings, ttl_hours=ttl_hours)
        return together(spec, [look(one) for one in spec.each])
    note = "looked-" + digest(spec.path)
    at, _, version = (store.noted(note) or "0 ").partition(" ")
    fresh = ttl_hours > 0.0 and time.time() - float(at) < 3600.0 * ttl_hours
    recent = version if fresh else ""
    place = locate(spec, settings, recent)
    if place.remote and not recent:
        store.note(note, f"{time.time():.0f} {place.versions[0]}")
    return place


def _source(
    spec: SourceSpec,
    look: Callable[[SourceSpec], SourceFiles],
    actions: DeclaredActions,
    ways: Ways,
    *,
    thorough: bool,
) -> Source:
    with being_read(spec.name, spec.path):
        place = look(spec)
        acts = actions.of(spec) if spec.options.mask_anomalies else ()
        converted = convert(spec, place, acts, ways, thorough=thorough)
    again = partial(_source, spec, look, actions, ways, thorough=True)
    return _described(spec, place, converted, again, ways.exchanges)


def _described(
    spec: SourceSpec, place: SourceFiles, of: Converted, restore: Callable[[], object], exchanges: Exchanges
) -> Source:
    sessions = None
    if of.rows.is_intraday and of.events is None:
        sessions = sessions_of(of.dates, exchanges.of(of.rows.calendar, of.rows.zone))
    return Source(
        name=spec.name,
        kind=ValueKind.CATEGORY if of.category else ValueKind.PANEL,
        static=of.static,
        dates=of.dates,
        names=of.names,
        digests=of.digests,
        blocks=of.blocks,
        labels=of.labels,
        spec=spec,
        path=place.text,
        findings=tuple(replace(f, span=spec.span) for f in of.findings),
        restore=restore,
        rows=of.rows,
        sessions=sessions,
        events=of.events,
        filled=of.filled,
        exchange=partial(exchanges.of, _calendar(spec, of), of.rows.zone),
    )


def _calendar(spec: SourceSpec, of: Converted) -> str:
    """Return the calendar of a source. Rows on all seven days belong to no exchange, unless declared."""
    if of.rows.frequency.word == "all_days" and not spec.options.calendar:
        return ALWAYS
    return of.rows.calendar


def read(source: Source, store: BlockStore, start: int, stop: int) -> Panel:
    """Return the rows [start, stop) of a source. Raise `BlockMissingError` for a block that can't be rebuilt."""
    panels = []
    for block in source.blocks:
        if block.start < stop and block.stop > start:
            panel = _read_block(source, store, block.key)
            if source.events is not None:
                panel = _at_events(source, panel, block)
            panels.append(panel.rows(max(0, start - block.start), min(stop, block.stop) - block.start))
    if not panels:
        labels = source.labels if source.kind is ValueKind.CATEGORY else None
        return Panel(np.empty(0, "datetime64[ns]"), source.names, np.empty((0, len(source.names))), labels)
    return concat(panels, source.names)


def read_block(source: Source, store: BlockStore, block: SourceBlock) -> Panel:
    """Return one block of a source. Raise `BlockMissingError`."""
    return _read_block(source, store, block.key)


def _at_events(source: Source, panel: Panel, block: SourceBlock) -> Panel:
    """Return the newest values at the rows of an as-of source itself."""
    dates = source.dates[block.start : block.stop]
    stamps = dates.view("i8") // 1_000
    labels = source.labels if source.kind is ValueKind.CATEGORY else None
    if source.events is None:
        raise TypeError("not an as-of source")
    values = newest(panel, stamps, dates.astype("datetime64[D]").view("i8"), source.events)
    return Panel(dates, panel.names, values, labels)


def _read_block(source: Source, store: BlockStore, key: str) -> Panel:
    panel = store.read(key)
    if panel is None:
        # The store lost the block (evicted or damaged): convert the file again, once.
        source.restore()
        panel = store.read(key)
    if panel is None:
        raise BlockMissingError(key)
    return panel
