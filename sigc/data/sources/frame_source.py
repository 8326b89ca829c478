"""Sources from memory instead of files: frames of a notebook, converted once, put into any store.

    held = hold(spec, frame, settings)       shaped and checked like a file's columns
    held = grow(spec, held, later, settings) with later rows: converted rows stay
    put(held, store)                         write the blocks that the store lacks

All blocks are rows of one array, so that reading them in order gives views. The last one grows into spare rows:
appending a day validates, hashes and copies only that day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sigc.actions import in_order
from sigc.blocks.block import DIGEST_BYTES, BlockFacts, BlockStore, MemoryStore, concat, grid, lengthened, row_digests
from sigc.blocks.growable import GrowableArrays
from sigc.config.settings import DataSettings
from sigc.data import asof
from sigc.data.convert import Ways, facts_of, store_panels, stripped
from sigc.data.dates.exchange import NYSE, Exchanges
from sigc.data.dates.stamps import Dated, Stamps, settle
from sigc.data.events import RawEvents, late, store_events, together
from sigc.data.formats.arrow import ArrowTable
from sigc.data.formats.layout import is_plain, layout, may_be_intervals
from sigc.data.formats.shape import check_ascending, to_panel
from sigc.data.manifest import NO_ROWS, Converted, RowDecisions, SourceBlock
from sigc.data.masks import AcceptedMask
from sigc.data.source_errors import problem
from sigc.data.sources.frames import WHERE, table_of
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic
from sigc.panel import Panel

if TYPE_CHECKING:
    from sigc.data.actions.action_files import CorporateActions


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """The checked columns of a frame: `names` sorted, `at`: the position of each (None: already sorted)."""

    columns: Any
    names: tuple[str, ...]
    at: list[int] | None


@dataclass(frozen=True, slots=True, eq=False)
class MemoryFrame:
    """A source in memory. panels: its blocks by key, with their facts.

    header: of the last frame, if it was of floats by dates. spare: the growing last block. mask: the state of
    acceptance, if values are masked. raw: all events so far, of an as-of source. acts: its corporate actions, None if
    it declares none.
    """

    converted: Converted
    panels: Mapping[str, tuple[BlockFacts, Panel]]
    header: Header | None = None
    spare: GrowableArrays = field(default_factory=GrowableArrays)
    mask: AcceptedMask | None = None
    raw: RawEvents | None = None
    acts: CorporateActions | None = None


def hold(spec: SourceSpec, given: Any, settings: DataSettings, exchanges: Exchanges = NYSE) -> MemoryFrame:
    """Convert a notebook's data (see `sigc.data.sources.frames`), or a `Panel`.

    exchanges: the schedule's calendar. Raise E201 and E202, as for a file.
    """
    if spec.is_actions:
        return MemoryFrame(_no_rows(), {}, acts=_acts(spec, given, exchanges))
    raw = _events(spec, given, exchanges)
    if raw is not None:
        return _held(spec, raw, () if raw.by_label else asof.check_said(spec, WHERE))
    made = _shaped(spec, given, exchanges)
    store = MemoryStore()
    ways = Ways(store, settings, exchanges)
    mask = AcceptedMask(spec, made.rows.frequency)
    converted = store_panels(spec, [mask.panel(made.panel)], ways, made.rows, static=made.static, is_long=made.is_long)
    converted = replace(converted, findings=(*made.findings, *mask.findings(), *converted.findings))
    acts = _acts(spec, given, exchanges) if spec.adjust != "none" and made.is_long and _tells_actions(given) else None
    return MemoryFrame(converted, _in_one(converted, store), made.header, mask=mask, acts=acts)


def _no_rows() -> Converted:
    """Return an empty source, for one that holds only corporate actions."""
    return Converted(np.empty(0, "datetime64[ns]"), (), b"", (), (), category=False, static=False, findings=())


def _acts(spec: SourceSpec, given: Any, exchanges: Exchanges) -> CorporateActions:
    from sigc.data.actions.action_files import held_actions

    return held_actions(spec, given, exchanges.of(spec.options.calendar, spec.options.zone))


def _tells_actions(given: Any) -> bool:
    """Return True for a long frame of prices with a column of splits or dividends."""
    from sigc.data.actions.corporate_columns import named

    names = [str(name) for name in _columns(given)]
    return any(named(SourceSpec("", ""), WHERE, names, role) for role in ("split", "dividend"))


def grow(
    spec: SourceSpec, held: MemoryFrame, given: Any, settings: DataSettings, exchanges: Exchanges = NYSE
) -> MemoryFrame:
    """Return the source with later rows appended. Raise E201 for rows that are not later, or of other assets."""
    if spec.is_actions:
        return replace(held, acts=_more_acts(spec, held, given, exchanges))
    if held.raw is not None:
        return _more_events(spec, held, held.raw, given, exchanges)
    of = held.converted
    made = _shaped(_decided(spec, of.rows), given, exchanges, held.header)
    panel = made.panel
    if made.static or of.static or of.category or not (panel.names == of.names or set(panel.names) <= set(of.names)):
        raise problem(spec, "E201", WHERE, "can't be appended: give the whole source again")
    if not len(panel.dates) or panel.dates[0] <= of.dates[-1]:
        raise problem(spec, "E201", WHERE, f"has rows that are not after {_day(of.dates[-1])}")
    last = of.blocks[-1]
    # A copy: `held` stays as it was, also if the rows are refused.
    mask = None if held.mask is None else held.mask.copy()
    panel = panel if mask is None else mask.panel(panel)
    grown, panels = _lengthened(spec, held, panel) or _converted(
        spec, held, panel, Ways(MemoryStore(), settings, exchanges)
    )
    converted = replace(
        of,
        dates=np.concatenate([of.dates[: last.start], grown.dates]),
        digests=of.digests[: DIGEST_BYTES * last.start] + grown.digests,
        blocks=of.blocks[:-1]
        + tuple(SourceBlock(last.start + b.start, last.start + b.stop, b.key) for b in grown.blocks),
        findings=of.findings if mask is None else (*of.findings, *mask.findings()),
    )
    kept = {b.key: held.panels[b.key] for b in of.blocks[:-1]}
    acts = held.acts if held.acts is None or not _tells_actions(given) else _more_acts(spec, held, given, exchanges)
    return MemoryFrame(converted, kept | panels, made.header, held.spare, mask, acts=acts)


def _more_acts(spec: SourceSpec, held: MemoryFrame, given: Any, exchanges: Exchanges) -> CorporateActions:
    """Return the known actions and later ones."""
    later = _acts(spec, given, exchanges)
    known = () if held.acts is None else held.acts.actions
    return replace(later, actions=in_order((*known, *later.actions)))


def _events(spec: SourceSpec, given: Any, exchanges: Exchanges) -> RawEvents | None:
    """Return the events of data that is as-of or holds intervals, else None."""
    exchange = exchanges.of(spec.options.calendar, spec.options.zone)
    if isinstance(given, Panel):
        if spec.options.asof is None:
            return None
        dated = settle(spec, WHERE, Stamps(given.dates.view("i8")), exchange, "date")
        return asof.cells_of_panel(given, _rows(dated), spec, exchange)
    if spec.options.asof is None and (_is_wide(given) or not may_be_intervals(_columns(given))):
        return None
    own, arrow = table_of(spec, given)
    table = ArrowTable(arrow)
    how = layout(own, WHERE, table.head(), table.indices)
    read = table.read(how.columns, ())
    if how.shape == "intervals":
        return asof.intervals_of(own, WHERE, read, how, exchange).in_microseconds()
    return asof.cells_of(own, WHERE, read, how, exchange).in_microseconds() if spec.options.asof is not None else None


def _columns(given: Any) -> list[Any]:
    names = getattr(given, "column_names", None)  # `columns` of an arrow table are its data, not names
    return list(getattr(given, "columns", ()) if names is None else names)


def _held(spec: SourceSpec, raw: RawEvents, findings: tuple[Diagnostic, ...] = ()) -> MemoryFrame:
    store = MemoryStore()
    converted = store_events(spec, raw, store)
    converted = replace(converted, findings=(*findings, *converted.findings))
    return MemoryFrame(converted, {b.key: _stored(store, b.key) for b in converted.blocks}, raw=raw)


def _more_events(spec: SourceSpec, held: MemoryFrame, raw: RawEvents, given: Any, exchanges: Exchanges) -> MemoryFrame:
    """Return an as-of source with more rows, which may restate old ones; late rows are findings."""
    later = _events(_decided(spec, raw.rows), given, exchanges)
    if later is None or later.by_label != raw.by_label:
        raise problem(spec, "E201", WHERE, "can't be appended: give the whole source again")
    # Row numbers, which errors name, go on after the known ones as if all rows were of one frame.
    later = replace(later, where=later.where + int(raw.where.max(initial=0)))
    both = together([raw, later])
    store = MemoryStore()
    put(held, store)
    found = late(spec, held.converted, store, both)
    return _held(spec, both, (*held.converted.findings, *found))


def _stored(store: MemoryStore, key: str) -> tuple[BlockFacts, Panel]:
    facts, panel = store.facts(key), store.read(key)
    if facts is None or panel is None:
        raise KeyError(key)
    return facts, panel


def _decided(spec: SourceSpec, rows: RowDecisions) -> SourceSpec:
    """Return the declaration for later rows: the first rows decided the frequency."""
    return spec if rows is NO_ROWS else replace(spec, options=replace(spec.options, frequency=rows.frequency))


def _lengthened(
    spec: SourceSpec, held: MemoryFrame, later: Panel
) -> tuple[Converted, dict[str, tuple[BlockFacts, Panel]]] | None:
    """Append later rows of the same period and assets to the last block; None for any others."""
    of, last = held.converted, held.converted.blocks[-1]
    _, before = held.panels[last.key]
    periods = grid(np.concatenate([before.dates, later.dates]))
    rows = stripped(later)
    if len(periods) > 1 or later.labels is not None or not set(rows.names) <= set(before.names):
        return None
    rows = concat([rows], before.names)
    panel = lengthened(before, rows, held.spare)
    # Only the new rows are hashed: a digest is of one row, and those of the rows before are known.
    digests = of.digests[DIGEST_BYTES * last.start :] + row_digests(rows)
    facts = facts_of(spec, periods[0].label, digests)
    blocks = (SourceBlock(0, len(panel.dates), facts.key),)
    return replace(of, dates=panel.dates, digests=digests, blocks=blocks), {facts.key: (facts, panel)}


def _converted(
    spec: SourceSpec, held: MemoryFrame, later: Panel, ways: Ways
) -> tuple[Converted, dict[str, tuple[BlockFacts, Panel]]]:
    """Rebuild the last block with later rows, cut on the calendar."""
    of, last = held.converted, held.converted.blocks[-1]
    _, before = held.panels[last.key]
    known = of.digests[DIGEST_BYTES * last.start :]
    grown = store_panels(spec, [concat([before, later])], ways, of.rows, static=False, known=known)
    store = ways.store
    if not isinstance(store, MemoryStore):
        raise TypeError("blocks that grow are kept in memory")
    return grown, _in_one(grown, store)


def _day(date: Any) -> str:
    return str(date.astype("datetime64[D]"))


def put(held: MemoryFrame, store: BlockStore) -> None:
    """Store the blocks that the store lacks."""
    for key, (facts, panel) in held.panels.items():
        if store.facts(key) is None:
            store.write(facts, panel)


@dataclass(frozen=True, slots=True, eq=False)
class _Shaped:
    """The data as a panel, and the decisions about its rows. header: of a frame of floats by dates. is_long: each asset
    has its own dates.
    """

    panel: Panel
    rows: RowDecisions
    static: bool = False
    findings: tuple[Diagnostic, ...] = ()
    header: Header | None = None
    is_long: bool = False


def _shaped(spec: SourceSpec, given: Any, exchanges: Exchanges, known: Header | None = None) -> _Shaped:
    """Return the data as a panel. known: the header of the frame before."""
    exchange = exchanges.of(spec.options.calendar, spec.options.zone)
    if isinstance(given, Panel):
        dated = settle(spec, WHERE, Stamps(given.dates.view("i8")), exchange, "date")
        return _Shaped(given, _rows(dated), findings=dated.findings, header=known)
    numbers = _numbers(spec, given, known)
    if numbers is not None:
        panel, header = numbers
        dated = settle(spec, WHERE, Stamps(panel.dates.view("i8")), exchange, "date")
        return _Shaped(panel, _rows(dated), findings=dated.findings, header=header)
    own, arrow = table_of(spec, given)
    table = ArrowTable(arrow)
    how = layout(own, WHERE, table.head(), table.indices)
    made = to_panel(own, WHERE, table.read(how.columns, ()), how, exchange, any_order=True)
    rows = NO_ROWS if made.dated is None else _rows(made.dated)
    return _Shaped(made.panel, rows, made.dated is None, made.findings, known, how.shape == "long")


def _rows(dated: Dated) -> RowDecisions:
    return RowDecisions(dated.frequency, dated.calendar, dated.zone)


def _numbers(spec: SourceSpec, frame: Any, known: Header | None) -> tuple[Panel, Header] | None:
    """Return a frame of only floats by days without a copy, and its header; None for any other."""
    if not hasattr(frame, "columns") or not _is_wide(frame) or frame.index.tz is not None or spec.dtype != "float64":
        return None
    if spec.column or spec.options.symbol or getattr(frame.columns, "nlevels", 1) > 1:
        return None
    header = known if known is not None and known.columns.equals(frame.columns) else _header(frame.columns)
    if header is None:
        return None
    values = frame.to_numpy()
    if values.dtype != np.float64 or not values.size or frame.index.hasnans or np.isinf(values).any():
        return None  # the slow path, column by column, reports the error
    dates = frame.index.to_numpy().astype("datetime64[ns]")
    if (dates.view("i8") % 86_400_000_000_000).any():
        return None
    check_ascending(spec, WHERE, dates)
    return Panel(dates, header.names, values if header.at is None else values[:, header.at]), header


def _header(columns: Any) -> Header | None:
    """Return the header of columns that all name assets, each once; else None."""
    given = columns.tolist()
    if not all(isinstance(name, str) for name in given) or len(set(given)) < len(given) or not is_plain(tuple(given)):
        return None
    names = sorted(given)
    at = {name: i for i, name in enumerate(given)}
    return Header(columns, tuple(names), None if names == given else [at[n] for n in names])


def _is_wide(frame: Any) -> bool:
    return str(getattr(getattr(frame, "index", None), "dtype", "")).startswith("datetime64")


def _in_one(converted: Converted, store: MemoryStore) -> dict[str, tuple[BlockFacts, Panel]]:
    """Return the blocks as rows of one array, if they have the same assets."""
    whole = np.empty((len(converted.dates), len(converted.names)))
    found = {}
    for block in converted.blocks:
        facts, panel = _stored(store, block.key)
        if panel.names == converted.names:
            rows = whole[block.start : block.stop]
            rows[:] = panel.values
            panel = Panel(panel.dates, panel.names, rows, panel.labels)
        found[block.key] = (facts, panel)
    return found
