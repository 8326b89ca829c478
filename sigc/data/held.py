"""Sources given from memory instead of files: frames of a notebook, converted once, put into any store.

    held = hold(spec, frame, settings)       shaped and checked as a file's columns are
    held = grow(spec, held, later, settings) with rows after the last: what was converted stays
    put(held, store)                         its blocks, where the store lacks them

All blocks are rows of one array, so that whoever reads them one after the other gets a view. The last one grows into
spare rows: of a day appended, that day is checked, digested and copied, not the block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from sigc.blocks import DIGEST_BYTES, BlockStore, Facts, MemoryStore, concat, grid, lengthened, row_digests
from sigc.config import DataSettings
from sigc.data.convert import facts_of, store_panels, stripped
from sigc.data.manifest import Converted, SourceBlock
from sigc.data.shape import check_ascending, layout, to_panel
from sigc.data.spec import SourceSpec
from sigc.data.table import problem
from sigc.panel import Panel
from sigc.spare import Spare

WHERE = "the frame"


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """The columns of a frame, looked through once: `names` ordered, `at`: where each stands (None: as ordered)."""

    columns: Any
    names: tuple[str, ...]
    at: list[int] | None


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A source in memory. panels: its blocks by key, with what is known of each. header: of the frame given last, if it
    was of floats by dates. spare: where the last block grows."""

    converted: Converted
    panels: Mapping[str, tuple[Facts, Panel]]
    header: Header | None = None
    spare: Spare = field(default_factory=Spare)


def hold(spec: SourceSpec, given: Any, settings: DataSettings) -> Held:
    """A pandas frame (dates x assets; or long, static: as files may be) or a `Panel`, converted.

    `adjust` of the spec is for files: what is given from memory is taken as it is.

    Raises E201 and E202, as for a file.
    """
    panel, static, header = _shaped(spec, given)
    store = MemoryStore()
    converted = store_panels(spec, [panel], store, settings, static=static)
    return Held(converted, _in_one(converted, store), header)


def grow(spec: SourceSpec, held: Held, given: Any, settings: DataSettings) -> Held:
    """The source with later rows at its end. Raises E201 for rows that are not later, or of other assets."""
    of = held.converted
    panel, static, header = _shaped(spec, given, held.header)
    if static or of.static or of.category or not (panel.names == of.names or set(panel.names) <= set(of.names)):
        raise problem(spec, "E201", WHERE, "can't be appended: give the whole source anew")
    if not len(panel.dates) or panel.dates[0] <= of.dates[-1]:
        raise problem(spec, "E201", WHERE, f"has rows that are not after {_day(of.dates[-1])}")
    last = of.blocks[-1]
    grown, panels = _lengthened(spec, held, panel) or _converted(spec, held, panel, settings)
    converted = replace(
        of,
        dates=np.concatenate([of.dates[: last.start], grown.dates]),
        digests=of.digests[: DIGEST_BYTES * last.start] + grown.digests,
        blocks=of.blocks[:-1]
        + tuple(SourceBlock(last.start + b.start, last.start + b.stop, b.key) for b in grown.blocks),
    )
    kept = {b.key: held.panels[b.key] for b in of.blocks[:-1]}
    return Held(converted, kept | panels, header, held.spare)


def _lengthened(spec: SourceSpec, held: Held, later: Panel) -> tuple[Converted, dict[str, tuple[Facts, Panel]]] | None:
    """The last block with later rows of the same period and assets; None for any others."""
    of, last = held.converted, held.converted.blocks[-1]
    _, before = held.panels[last.key]
    periods = grid(np.concatenate([before.dates, later.dates]))
    rows = stripped(later)
    if len(periods) > 1 or later.labels is not None or not set(rows.names) <= set(before.names):
        return None
    rows = concat([rows], before.names)
    panel = lengthened(before, rows, held.spare)
    digests = of.digests[DIGEST_BYTES * last.start :] + row_digests(rows)
    facts = facts_of(spec, periods[0].label, digests)
    blocks = (SourceBlock(0, len(panel.dates), facts.key),)
    return replace(of, dates=panel.dates, digests=digests, blocks=blocks), {facts.key: (facts, panel)}


def _converted(
    spec: SourceSpec, held: Held, later: Panel, settings: DataSettings
) -> tuple[Converted, dict[str, tuple[Facts, Panel]]]:
    """The last block with later rows, cut as the calendar cuts."""
    of, last = held.converted, held.converted.blocks[-1]
    _, before = held.panels[last.key]
    store = MemoryStore()
    known = of.digests[DIGEST_BYTES * last.start :]
    grown = store_panels(spec, [concat([before, later])], store, settings, static=False, known=known)
    return grown, _in_one(grown, store)


def _day(date: Any) -> str:
    return str(date.astype("datetime64[D]"))


def put(held: Held, store: BlockStore) -> None:
    """Store the blocks that the store lacks."""
    for key, (facts, panel) in held.panels.items():
        if store.facts(key) is None:
            store.write(facts, panel)


def _shaped(spec: SourceSpec, given: Any, known: Header | None = None) -> tuple[Panel, bool, Header | None]:
    """What is given as a panel, whether it is static, its header. known: that of the frame before."""
    if isinstance(given, Panel):
        return given, False, known
    numbers = _numbers(spec, given, known)
    if numbers is not None:
        return numbers[0], False, numbers[1]
    plain = replace(spec, column="", date_col="", symbol_col="") if _is_wide(given) else spec
    try:
        table = pa.Table.from_pandas(_with_index(given), preserve_index=False)
    except (pa.ArrowException, AttributeError, TypeError, ValueError) as failure:
        raise problem(spec, "E201", WHERE, f"is no table of dates and assets: {failure}") from failure
    how = layout(plain, WHERE, [(f.name, f.type) for f in table.schema])
    return to_panel(plain, WHERE, table, how), how.shape == "static", known


def _numbers(spec: SourceSpec, frame: Any, known: Header | None) -> tuple[Panel, Header] | None:
    """A frame of nothing but floats by dates, taken as it lies, and its header; None for any other."""
    if not hasattr(frame, "columns") or not _is_wide(frame) or frame.index.tz is not None or spec.dtype == "category":
        return None
    header = known if known is not None and known.columns.equals(frame.columns) else _header(frame.columns)
    if header is None:
        return None
    values = frame.to_numpy()
    if values.dtype != np.float64 or not values.size or frame.index.hasnans or np.isinf(values).any():
        return None  # what is wrong is told where columns are read one by one
    dates = frame.index.to_numpy().astype("datetime64[ns]")
    check_ascending(spec, WHERE, dates)
    return Panel(dates, header.names, values if header.at is None else values[:, header.at]), header


def _header(columns: Any) -> Header | None:
    """None for columns that are not all texts, each once."""
    given = columns.tolist()
    if not all(isinstance(name, str) for name in given) or len(set(given)) < len(given):
        return None
    names = sorted(given)
    at = {name: i for i, name in enumerate(given)}
    return Header(columns, tuple(names), None if names == given else [at[n] for n in names])


def _is_wide(frame: Any) -> bool:
    return str(getattr(getattr(frame, "index", None), "dtype", "")).startswith("datetime64")


def _with_index(frame: Any) -> Any:
    """The frame with its index as a column, if that says dates or assets."""
    if hasattr(frame, "to_frame") and not hasattr(frame, "columns"):
        frame = frame.to_frame(name=frame.name or "value")
    index = frame.index
    if type(index).__name__ == "RangeIndex":
        return frame
    name = "date" if _is_wide(frame) else "ticker"
    named = frame.rename_axis(index=index.name or name, columns=None).reset_index()
    return named.rename(columns=str)


def _in_one(converted: Converted, store: MemoryStore) -> dict[str, tuple[Facts, Panel]]:
    """The blocks as rows of one array, where they have the same assets."""
    whole = np.empty((len(converted.dates), len(converted.names)))
    found = {}
    for block in converted.blocks:
        facts, panel = store.facts(block.key), store.read(block.key)
        if facts is None or panel is None:
            raise KeyError(block.key)
        if panel.names == converted.names:
            rows = whole[block.start : block.stop]
            rows[:] = panel.values
            panel = Panel(panel.dates, panel.names, rows, panel.labels)
        found[block.key] = (facts, panel)
    return found
