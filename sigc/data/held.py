"""Sources given from memory instead of files: frames of a notebook, converted once, put into any store.

    held = hold(spec, frame, settings)       shaped and checked as a file's columns are
    put(held, store)                         its blocks, where the store lacks them

All blocks are rows of one array, so that whoever reads them one after the other gets a view.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from sigc.blocks import BlockStore, Facts, MemoryStore
from sigc.config import DataSettings
from sigc.data.convert import Converted, store_panels
from sigc.data.shape import layout, to_panel
from sigc.data.spec import SourceSpec
from sigc.data.table import problem
from sigc.panel import Panel

WHERE = "the frame"


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A source in memory. panels: its blocks by key, with what is known of each."""

    converted: Converted
    panels: Mapping[str, tuple[Facts, Panel]]


def hold(spec: SourceSpec, given: Any, settings: DataSettings) -> Held:
    """A pandas frame (dates x assets; or long, static: as files may be) or a `Panel`, converted.

    Raises E201 and E202, as for a file.
    """
    panel, static = (given, False) if isinstance(given, Panel) else _shaped(spec, given)
    store = MemoryStore()
    converted = store_panels(spec, [panel], store, settings, static=static)
    return Held(converted, _in_one(converted, store))


def put(held: Held, store: BlockStore) -> None:
    """Store the blocks that the store lacks."""
    for key, (facts, panel) in held.panels.items():
        if store.facts(key) is None:
            store.write(facts, panel)


def _shaped(spec: SourceSpec, frame: Any) -> tuple[Panel, bool]:
    plain = replace(spec, column="", date_col="", symbol_col="") if _is_wide(frame) else spec
    try:
        table = pa.Table.from_pandas(_with_index(frame), preserve_index=False)
    except (pa.ArrowException, AttributeError, TypeError, ValueError) as failure:
        raise problem(spec, "E201", WHERE, f"is no table of dates and assets: {failure}") from failure
    how = layout(plain, WHERE, [(f.name, f.type) for f in table.schema])
    return to_panel(plain, WHERE, table, how), how.shape == "static"


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
