"""As-of sources: cells as events, ordered by the instant from which they are usable.

    raw       = cells(...) or intervals(...)       one event per cell: asset, date, publication, usable from
    converted = store_events(spec, raw, ways)      those that are ever the newest, in blocks by that instant

The newest value is that of the latest date, then of the latest publication. An event older than one usable before it is
dropped, so a late restatement of the second quarter never replaces the third.

A block holds for each asset its newest event before the block, then those within it, in order: so the newest value of
any row is found in one block. Its panel stacks three of the same shape (events, assets): usable from, date (both in
microseconds since the epoch), value. The digest of a row covers all newest values at that time, so that a restatement
changes exactly the rows on which it shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.block import BlockFacts, BlockStore, digest, grid
from sigc.data.dates.exchange import Instants
from sigc.data.manifest import NO_ROWS, Converted, Events, RowDecisions, SourceBlock
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, Severity
from sigc.ops.jit import frozen
from sigc.panel import Dates, Floats, Panel, canonical

FORMAT = "1"  # version of event blocks
DAY_US = 86_400_000_000
_DAY_NS = 1_000 * DAY_US
_STACKED = 3


@dataclass(frozen=True, slots=True, eq=False)
class RawEvents:
    """Events as read, in any order. names: assets, ordered. asset: (events,) index into names.

    born: the value's date; published: the order of restatements; usable: from when on; all in nanoseconds. where: the
    row of each in its file. labels: of a category, whose codes are `values`. by_label: `usable` are session labels, not
    instants.
    """

    file: str
    names: tuple[str, ...]
    asset: NDArray[np.intp]
    born: Instants
    published: Instants
    usable: Instants
    values: Floats
    where: NDArray[np.int64]
    labels: tuple[str, ...] | None = None
    by_label: bool = False
    rows: RowDecisions = NO_ROWS
    findings: tuple[Diagnostic, ...] = ()

    def take(self, some: NDArray[np.intp] | NDArray[np.bool_]) -> RawEvents:
        """Return some of the events, by index or mask."""
        return replace(
            self,
            asset=self.asset[some],
            born=self.born[some],
            published=self.published[some],
            usable=self.usable[some],
            values=self.values[some],
            where=self.where[some],
        )

    def in_microseconds(self) -> RawEvents:
        """Return the events in whole microseconds, which floats hold exactly; `usable` is rounded up, others down."""
        return replace(
            self,
            born=self.born // 1_000 * 1_000,
            published=self.published // 1_000 * 1_000,
            usable=-(-self.usable // 1_000) * 1_000,
        )


def together(parts: Sequence[RawEvents]) -> RawEvents:
    """Return the events of several files as one."""
    if len(parts) == 1:
        return parts[0]
    names = tuple(sorted({n for p in parts for n in p.names}))
    labels = None
    if any(p.labels is not None for p in parts):
        labels = tuple(sorted({t for p in parts for t in p.labels or ()}))
    own = {n: i for i, n in enumerate(names)}
    assets = [np.array([own[n] for n in p.names], np.intp)[p.asset] for p in parts]
    values = [p.values if labels is None else _recoded(p, labels) for p in parts]
    return RawEvents(
        file=parts[0].file,
        names=names,
        asset=np.concatenate(assets),
        born=np.concatenate([p.born for p in parts]),
        published=np.concatenate([p.published for p in parts]),
        usable=np.concatenate([p.usable for p in parts]),
        values=np.concatenate(values),
        where=np.concatenate([p.where for p in parts]),
        labels=labels,
        by_label=parts[0].by_label,
        rows=parts[0].rows,
        findings=tuple(dict.fromkeys(f for p in parts for f in p.findings)),
    )


def _recoded(part: RawEvents, labels: tuple[str, ...]) -> Floats:
    place = {t: float(i) for i, t in enumerate(labels)}
    codes = np.array([*(place[t] for t in part.labels or ()), np.nan])
    found: Floats = codes[np.where(np.isnan(part.values), -1, part.values).astype(np.intp)]
    return found


# -- what is ever the newest -------------------------------------------------------------------------------------


def accepted(spec: SourceSpec, raw: RawEvents) -> RawEvents:
    """Return the events that are the newest of their asset when they become usable, by asset and that instant.

    Raise E201 for two of the same asset, date and publication.
    """
    order = np.lexsort((raw.published, raw.born, raw.usable, raw.asset))
    some = raw.take(order)
    age = np.lexsort((some.published, some.born))
    steps = (np.diff(some.born[age]) != 0) | (np.diff(some.published[age]) != 0)
    # rank: the order by (date, publication). Events are sorted by (asset, usable); one is kept only if its rank exceeds
    # all earlier ones of its asset. `key` makes that one running maximum over all assets.
    rank = np.empty(len(order), "i8")
    rank[age] = np.concatenate([[0], np.cumsum(steps)]) if len(order) else 0
    _refuse_twice(spec, some, rank)
    key = some.asset.astype("i8") * (len(order) + 1) + rank
    before = np.concatenate([[-1], np.maximum.accumulate(key)[:-1]]) if len(order) else key
    some = some.take(key > before)
    # Of several that become usable at one instant the last, the newest, counts.
    last = np.ones(len(some.asset), bool)
    last[:-1] = (np.diff(some.asset) != 0) | (np.diff(some.usable) != 0)
    return some.take(last)


def _refuse_twice(spec: SourceSpec, raw: RawEvents, rank: NDArray[np.int64]) -> None:
    order = np.lexsort((raw.where, rank, raw.asset))
    same = (np.diff(rank[order]) == 0) & (np.diff(raw.asset[order]) == 0)
    if same.any():
        at = int(np.flatnonzero(same)[0])
        one, other = int(order[at]), int(order[at + 1])
        day = _day(int(raw.born[one]))
        hint = ""
        if spec.options.available_after is None or not spec.options.available_after.column:
            hint = "if it is a restatement, name its column of publication with available_after="
        message = f"has {day} of '{raw.names[raw.asset[one]]}' twice, published at the same time: rows {raw.where[one]}"
        raise problem(spec, "E201", raw.file, f"{message} and {raw.where[other]}", hint)


def _day(instant_ns: int) -> str:
    return str(np.datetime64(instant_ns, "ns").astype("datetime64[D]"))


# -- to blocks ---------------------------------------------------------------------------------------------------


def store_events(spec: SourceSpec, raw: RawEvents, store: BlockStore) -> Converted:
    """Store the newest events of `raw` in blocks, and return the source. Raise E201 for a duplicate event."""
    kept = accepted(spec, raw)
    if not len(kept.asset):
        raise problem(spec, "E201", raw.file, "has no value at all")
    usable_us = -(-kept.usable // 1_000)  # rounded up: never before it is usable
    stamps, row = np.unique(usable_us, return_inverse=True)
    dates = (stamps * 1_000).view("datetime64[ns]")
    blocks = []
    for period in grid(dates, _rule(kept, dates)):
        panel = _block(kept, usable_us, stamps, period.start, period.stop)
        facts = _facts(spec, period.label, panel, kept.labels)
        if store.facts(facts.key) is None:
            store.write(facts, panel)
        blocks.append(SourceBlock(period.start, period.stop, facts.key))
    born = np.full(len(stamps), np.iinfo("i8").min)
    np.maximum.at(born, row, kept.born // _DAY_NS)
    longest = None if spec.options.asof is None or raw.by_label else spec.options.asof.max_age_days
    return Converted(
        dates=dates,
        names=kept.names,
        digests=_digests(kept, row, len(stamps)),
        blocks=tuple(blocks),
        labels=kept.labels or (),
        category=kept.labels is not None,
        static=False,
        findings=raw.findings,
        rows=raw.rows,
        events=Events(longest, raw.by_label, np.maximum.accumulate(born)),
    )


def _rule(raw: RawEvents, dates: Dates) -> str:
    """Return the block length: years, as events are few; bars are cut like bars."""
    if not raw.rows.is_intraday:
        return "year"
    return {4: "year", 7: "month"}.get(len(grid(dates)[0].label), "week")


def _block(kept: RawEvents, usable_us: Instants, stamps: Instants, start: int, stop: int) -> Panel:
    """Return the newest event of each asset before the rows [start, stop), and those within them."""
    first = stamps[start]
    inside = (usable_us >= first) & (usable_us <= stamps[stop - 1])
    before = usable_us < first
    newest = before.copy()
    newest[:-1] &= ~(before[1:] & (kept.asset[1:] == kept.asset[:-1]))
    at = np.flatnonzero(inside | newest)
    asset = kept.asset[at]
    begins = np.flatnonzero(np.concatenate([[True], np.diff(asset) != 0]))
    column = np.cumsum(np.concatenate([[0], np.diff(asset) != 0]))
    place = np.arange(len(at)) - begins[column]
    events = int(place.max()) + 1
    values = np.full((_STACKED, events, len(begins)), np.nan)
    values[0, place, column] = usable_us[at]
    values[1, place, column] = kept.born[at] // 1_000
    values[2, place, column] = kept.values[at]
    names = tuple(kept.names[i] for i in asset[begins])
    dates = np.arange(_STACKED * events).view("datetime64[ns]")
    return Panel(dates, names, canonical(values.reshape(-1, len(begins))))


def _facts(spec: SourceSpec, label: str, panel: Panel, labels: tuple[str, ...] | None) -> BlockFacts:
    content = digest("events", FORMAT, "\n".join(panel.names), "\n".join(labels or ()), panel.values.tobytes())
    return BlockFacts(content, spec.name, label, len(panel.dates), source="source")


def _digests(kept: RawEvents, row: NDArray[np.intp], rows: int) -> bytes:
    """Return a digest for each row: a sum over assets of digests of their newest value, so that updates are cheap.

    Sums of digests modulo 2**64 as in Bellare and Micciancio, A New Paradigm for Collision-free Hashing (1997): an
    event adds its own digest and subtracts that of the one it replaces.
    """
    values = canonical(kept.values)
    if kept.labels is None:
        content = np.repeat(values.view(np.uint64)[:, None], 2, axis=1)
    else:
        content = _words((*kept.labels, ""))[np.where(np.isnan(values), -1, values).astype(np.intp)]
    born = (kept.born // 1_000).view(np.uint64)[:, None]
    own = mixed(mixed(_words(kept.names)[kept.asset] ^ born) ^ content)
    change = own.copy()
    again = kept.asset[1:] == kept.asset[:-1]
    change[1:][again] -= own[:-1][again]
    order = np.argsort(row, kind="stable")
    total = np.add.reduceat(change[order], np.searchsorted(row[order], np.arange(rows)), axis=0)
    return np.cumsum(total, axis=0, dtype=np.uint64).tobytes()


def _words(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return two words of digest for each text."""
    raw = b"".join(hashlib.blake2b(t.encode(), digest_size=16).digest() for t in texts)
    return np.frombuffer(raw, np.uint64).reshape(-1, 2)


def mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each word, as splitmix64 does (Steele, Lea and Flood, 2014)."""
    found = words + np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))


# -- from blocks -------------------------------------------------------------------------------------------------


def newest(panel: Panel, rows_us: Instants, days: NDArray[np.int64], events: Events) -> Floats:
    """Return the newest value at each row, from the block in which the rows lie.

    rows_us: ascending, on the clock of the block's events. days: of the rows, for the age of values.
    """
    from sigc.ops.loops import asof

    at, born, value = panel.values.reshape(_STACKED, -1, len(panel.names))
    longest = np.inf if events.max_age_days is None else float(events.max_age_days) * DAY_US
    # Ages are in days: the time of day of a bar does not make it older.
    day = np.floor(born / DAY_US) * DAY_US
    out: Floats = asof.newest(
        frozen(np.ascontiguousarray(at)), frozen(day), frozen(np.ascontiguousarray(value)),
        frozen(rows_us.astype(np.float64)), frozen(days.astype(np.float64) * DAY_US), longest,
    )  # fmt: skip
    return out


def late(spec: SourceSpec, before: Converted, store: BlockStore, raw: RawEvents) -> tuple[Diagnostic, ...]:
    """Return a finding for rows that are new since the last conversion but claim to have been usable by then."""
    if not len(before.dates) or raw.by_label:
        return ()
    known = set()
    for block in before.blocks:
        panel = store.read(block.key)
        if panel is None:
            return ()
        known |= _listed(panel, before.labels)
    until = int(before.dates[-1].astype("i8"))
    kept = accepted(spec, raw)
    found = []
    for at in np.flatnonzero(kept.usable < until).tolist():
        value = kept.values[at]
        shown = kept.labels[int(value)] if kept.labels is not None else float(value + 0.0)
        name = kept.names[kept.asset[at]]
        if (name, int(-(-kept.usable[at] // 1_000)), int(kept.born[at] // 1_000), shown) not in known:
            found.append((int(kept.usable[at]), int(kept.born[at]), name))
    if not found:
        return ()
    first = ", ".join(f"'{n}' of {_day(b)} (from {_day(u)} on)" for u, b, n in sorted(found)[:3])
    message = (
        f"source '{spec.name}': {len(found):,} row{'s' if len(found) > 1 else ''} came or changed after the time from "
        f"which they count: {first}{', ...' if len(found) > 3 else ''}; what was computed for those days is restated"
    )
    hint = "the file got these rows later than it states: give the time of delivery as the publication"
    return (Diagnostic("W002", message, spec.span, Severity.WARNING, hint=hint),)


def _listed(panel: Panel, labels: tuple[str, ...]) -> set[tuple[str, int, int, float | str]]:
    at, born, value = panel.values.reshape(_STACKED, -1, len(panel.names))
    found = set()
    for k, j in zip(*np.nonzero(~np.isnan(at)), strict=True):
        shown = labels[int(value[k, j])] if labels and value[k, j] == value[k, j] else float(value[k, j])
        found.add((panel.names[j], int(at[k, j]), int(born[k, j]), shown))
    return found
