"""Manifests: the result of converting a version of a file, as a note of the store.

A manifest is trusted: a missing block is found only by its reader, and few of many years are read
(`catalog.Source.restore` rebuilds it). So an unchanged file of any length costs one note.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.block import DIGEST_BYTES, BlockStore
from sigc.blocks.checksummed import seal, unseal
from sigc.data.dates.frequency import SESSIONS
from sigc.data.spans import Spans
from sigc.errors import Diagnostic, Severity
from sigc.panel import Dates
from sigc.source_words import Frequency


@dataclass(frozen=True, slots=True, eq=False)
class SourceBlock:
    """Rows [start, stop) of a source's own dates, stored under `key`."""

    start: int
    stop: int
    key: str


@dataclass(frozen=True, slots=True)
class RowDecisions:
    """The decisions about the rows of a source: their frequency, and the calendar of their sessions."""

    frequency: Frequency = SESSIONS
    calendar: str = ""
    zone: str = ""

    @property
    def is_intraday(self) -> bool:
        return self.frequency.word == "bars"


NO_ROWS = RowDecisions()


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """The as-of facts of a source, whose rows are the instants at which new values become usable.

    max_age_days: older values are missing; None: no limit. by_label: dates are session labels, not instants. newest:
    (rows,) the newest date of a value so far, in days since the epoch.
    """

    max_age_days: int | None
    by_label: bool
    newest: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A source in the store, see `sigc.data.catalog.Source`. spans: if each asset has its own dates, else None."""

    dates: Dates
    names: tuple[str, ...]
    digests: bytes
    blocks: tuple[SourceBlock, ...]
    labels: tuple[str, ...]
    category: bool
    static: bool
    findings: tuple[Diagnostic, ...]
    rows: RowDecisions = NO_ROWS
    events: Events | None = None
    spans: Spans | None = None

    @property
    def filled(self) -> float:
        """Return the share of non-missing cells; 1 if all assets have the source's dates."""
        return 1.0 if self.spans is None else self.spans.filled


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of a store. thorough: ignore a manifest with missing blocks."""

    store: BlockStore
    thorough: bool = False

    def keep(self, name: str, of: Converted) -> None:
        """Store `of` under a name that is a digest of all its inputs."""
        self.store.note(name, seal(_text(of)))

    def recall(self, name: str) -> Converted | None:
        """Return the conversion of a name; None if there is none, or it is unreadable."""
        known = _read(unseal(self.store.noted(name)))
        if known is None or not self.thorough:
            return known
        return known if all(self.store.facts(b.key) is not None for b in known.blocks) else None


def _text(of: Converted) -> str:
    return json.dumps(
        {
            "dates": _packed(of.dates.view("i8").tobytes()),
            "names": of.names,
            "digests": of.digests.hex(),  # four times as fast to read as base64
            "blocks": [[b.start, b.stop, b.key] for b in of.blocks],
            "labels": of.labels,
            "category": of.category,
            "static": of.static,
            "rows": [of.rows.frequency.word, of.rows.frequency.bars, of.rows.calendar, of.rows.zone],
            "events": None if of.events is None else _events_text(of.events),
            "spans": None if of.spans is None else _spans_text(of.spans),
            "findings": [[f.code, f.message, f.hint] for f in of.findings],
        },
        separators=(",", ":"),
    )


def _packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()


def _read(text: str) -> Converted | None:
    """Parse a manifest; None if it is empty, or of another version of sigc."""
    try:
        data = json.loads(text)
        dates = np.frombuffer(zlib.decompress(base64.b64decode(data["dates"])), "i8").view("datetime64[ns]")
        known = Converted(
            dates=dates,
            names=tuple(data["names"]),
            digests=bytes.fromhex(data["digests"]),
            blocks=tuple(SourceBlock(*b) for b in data["blocks"]),
            labels=tuple(data["labels"]),
            category=data["category"],
            static=data["static"],
            findings=tuple(Diagnostic(c, m, None, Severity.WARNING, hint=h) for c, m, h in data["findings"]),
            rows=_rows(*data["rows"]),
            events=None if data["events"] is None else _events(*data["events"]),
            spans=_spans(data),
        )
    except (ValueError, KeyError, TypeError, zlib.error):
        return None
    return known if len(known.digests) == DIGEST_BYTES * len(known.dates) else None


def _events_text(of: Events) -> list[object]:
    return [of.max_age_days, of.by_label, _packed(of.newest.astype("i8").tobytes())]


def _events(max_age_days: int | None, by_label: bool, newest: str) -> Events:
    return Events(max_age_days, by_label, np.frombuffer(zlib.decompress(base64.b64decode(newest)), "i8"))


def _spans_text(of: Spans) -> list[object]:
    return [of.names, *(column.tolist() for column in (of.first, of.last, of.count))]


def _spans(data: Mapping[str, Any]) -> Spans | None:
    """Parse spans. Raise ValueError for an old manifest, which had only a share below 1: its file is read again."""
    if data.get("filled", 1.0) < 1.0:
        raise ValueError("no spans")
    if data.get("spans") is None:
        return None
    names, *columns = data["spans"]
    return Spans(tuple(names), *(np.array(c, np.int64) for c in columns))


def _rows(word: str, bars: int | None, calendar: str, zone: str) -> RowDecisions:
    return RowDecisions(Frequency(word, bars), calendar, zone)
