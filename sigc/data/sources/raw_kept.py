"""Stored events of the files of an as-of folder, so that only new files are read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sigc.blocks.block import BlockFacts, BlockStore, digest
from sigc.blocks.checksummed import seal, unseal
from sigc.data.events import RawEvents
from sigc.data.manifest import RowDecisions
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, Severity
from sigc.panel import Panel
from sigc.source_words import Frequency

_COLUMNS = ("asset", "born", "published", "usable", "values", "where")
_TIMES = ("born", "published", "usable")  # whole microseconds, which floats hold exactly


def keep(spec: SourceSpec, store: BlockStore, name: str, raw: RawEvents) -> None:
    """Store the events of a file under a name that is a digest of all their inputs."""
    if not len(raw.asset):
        return
    columns = [getattr(raw, c) // 1_000 if c in _TIMES else getattr(raw, c) for c in _COLUMNS]
    panel = Panel(np.arange(len(raw.asset)).view("datetime64[ns]"), _COLUMNS, np.column_stack(columns))
    store.write(BlockFacts(_key(name), spec.name, "events", len(raw.asset), source="source"), panel)
    store.note(name, seal(_text(raw)))


def recall(store: BlockStore, name: str) -> RawEvents | None:
    """Return the events of a name; None if there are none, or they are unreadable."""
    text = unseal(store.noted(name))
    panel = store.read(_key(name)) if text else None
    if panel is None:
        return None
    try:
        return _raw(json.loads(text), panel)
    except (ValueError, KeyError, TypeError):
        return None


def _key(name: str) -> str:
    return digest("events of a file", name)


def _text(raw: RawEvents) -> str:
    rows = [raw.rows.frequency.word, raw.rows.frequency.bars, raw.rows.calendar, raw.rows.zone]
    findings = [[f.code, f.message, f.hint] for f in raw.findings]
    said = {"file": raw.file, "names": raw.names, "labels": raw.labels, "by_label": raw.by_label}
    return json.dumps({**said, "rows": rows, "findings": findings})


def _raw(said: dict[str, Any], panel: Panel) -> RawEvents:
    columns = dict(zip(panel.names, panel.values.T, strict=True))
    times = {c: columns[c].astype("i8") * 1_000 for c in _TIMES}
    word, bars, calendar, zone = said["rows"]
    labels = said["labels"]
    return RawEvents(
        file=str(said["file"]),
        names=tuple(said["names"]),
        asset=columns["asset"].astype(np.intp),
        values=np.ascontiguousarray(columns["values"]),
        where=columns["where"].astype("i8"),
        labels=None if labels is None else tuple(labels),
        by_label=bool(said["by_label"]),
        rows=RowDecisions(Frequency(word, bars), calendar, zone),
        findings=tuple(Diagnostic(c, m, None, Severity.WARNING, hint=h) for c, m, h in said["findings"]),
        **times,
    )
