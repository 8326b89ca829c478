"""Blocks of rows, their facts, and the protocol of their stores.

A block is the unit of storage: the rows of one calendar period of one node (a data source, a signal, the
output of a carried operator). `BlockFacts` are what the planner needs of a stored block without opening it:
small, sent between processes, kept beside the block.

Neighbours: `sigc.cache` keeps blocks on disk, `sigc.data` fills source blocks, `sigc.plan` computes keys.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.growable import GrowableArrays, owner
from sigc.panel import Dates, Floats, Panel

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """Rows [start, stop) of the date grid; `label` names the period (`2016`, `2016-03`)."""

    number: int
    start: int
    stop: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """The facts of a stored block, known without opening it.

    key: where it is stored (hex). name, label: for people (`momentum`, `2016`). rows: how many.
    digests: one row digest after the other (`DIGEST_BYTES` each), so that a reader of part of the block can
    detect changes of that part. state: digest of the carried state after the last row, '' if none.
    source: the kind of entry: `source`, `signal`, `carried`.
    """

    key: str
    name: str
    label: str
    rows: int
    digests: bytes = b""
    state: str = ""
    source: str = "signal"


@dataclass(frozen=True, slots=True, eq=False)
class CarryState:
    """State vectors of carried operators after a block: values (components, assets), by asset name."""

    names: tuple[str, ...]
    values: Floats


Place = Callable[[int, int], Floats]
"""Memory for the values of a block of so many rows and assets, not filled."""


class ReadBuffer:
    """Memory for blocks that are read one after the other; blocks of the same width are adjacent in it.

    So `concat` of them copies nothing. rows: of all of them together, as far as known.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._free: Floats | None = None

    def place(self, rows: int, width: int) -> Floats:
        """Return the memory of the next block, not filled."""
        if self._free is None:
            # Allocated at the first block: the width is not known before.
            self._free = np.empty((self._rows, width))
        if self._free.shape[1] != width or len(self._free) < rows:
            return np.empty((rows, width))
        taken, self._free = self._free[:rows], self._free[rows:]
        return taken


class BlockStore(Protocol):
    """The protocol of a store of blocks by key: the parquet cache, or memory. Safe under threads and processes.

    A block exists whole or not at all; a damaged one is dropped, noted in `incidents`, and reads as absent.
    """

    def facts(self, key: str) -> BlockFacts | None: ...
    def read(self, key: str, place: Place | None = None) -> Panel | None:
        """Return a block's values, None if it is absent. place: allocates memory for values not in memory yet."""
        ...

    def read_carry(self, key: str) -> CarryState | None: ...
    def write(self, facts: BlockFacts, panel: Panel, carry: CarryState | None = None) -> None: ...
    def note(self, name: str, text: str) -> None:
        """Keep a small text under a name (manifests, tips), replacing the old one atomically."""
        ...

    def noted(self, name: str) -> str | None: ...
    def lease(self, keys: Iterable[str]) -> AbstractContextManager[None]:
        """Protect `keys` from eviction while the context is open."""
        ...

    def incidents(self) -> tuple[str, ...]:
        """Return the damaged blocks dropped since this store was opened, one sentence each."""
        ...


def row_digests(panel: Panel) -> bytes:
    """Return one digest a row over its date, the names of its valid assets and their values.

    Assets that are missing in a row are not included, so adding an asset changes no earlier row.
    Category rows are digested by label text, not by code.
    """
    out = bytearray()
    names_before: bytes | None = None
    names_digest = b""
    encoded = _encoded(panel.names)
    stamps = panel.dates.view("i8")
    labels = None if panel.labels is None else _encoded(panel.labels)
    for row in range(len(stamps)):
        values = panel.values[row]
        valid = ~np.isnan(values)
        mask = valid.tobytes()
        # Most rows have the same valid assets as the row before: their names are hashed once.
        if mask != names_before:
            names_before = mask
            names_digest = hashlib.sha256(encoded[valid].tobytes()).digest()
        content = values[valid] if labels is None else labels[values[valid].astype(np.intp)]
        state = hashlib.sha256(stamps[row].tobytes())
        state.update(names_digest)
        state.update(content.tobytes())
        out += state.digest()[:DIGEST_BYTES]
    return bytes(out)


@functools.lru_cache(maxsize=8)
def _encoded(texts: tuple[str, ...]) -> NDArray[np.bytes_]:
    """Return eight bytes for each text."""
    return np.array([hashlib.blake2b(t.encode(), digest_size=8).digest() for t in texts], dtype="S8")


def digest(*parts: bytes | str) -> str:
    """Return a hex digest of `parts`, each with its length, so that different splits differ."""
    state = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        state.update(len(raw).to_bytes(8, "little"))
        state.update(raw)
    return state.hexdigest()[:40]


def grid(dates: Dates, rule: str = "auto", sessions: Dates | None = None) -> tuple[Block, ...]:
    """Return the blocks of `dates` (ascending datetime64[ns]), cut by the calendar so that appending never moves a cut.

    sessions: the session of each row, if rows are instants; no session is cut. rule: `year`, `month`, `week`; `auto`
    takes years for daily or sparser rows, months for hourly ones, weeks for denser ones; a number cuts every so many
    rows (for blocks that are not looked up again).

    >>> days = np.arange("2019-12-30", "2020-01-03", dtype="datetime64[D]")
    >>> [(b.label, b.start, b.stop) for b in grid(days)]
    [('2019', 0, 2), ('2020', 2, 4)]
    """
    days = (dates if sessions is None else sessions).astype("datetime64[ns]")
    if len(days) == 0:
        return ()
    if rule.isdigit():
        cuts = list(range(0, len(days), int(rule)))
        labels = [f"{days[start].astype('datetime64[D]')} on" for start in cuts]
    else:
        unit = {"year": "Y", "month": "M", "week": "W"}[
            _spacing(dates.astype("datetime64[ns]")) if rule == "auto" else rule
        ]
        cuts = _cuts(days, unit)
        labels = [str(day) for day in days[cuts].astype(f"datetime64[{unit}]")]
    stops = [*cuts[1:], len(days)]
    return tuple(Block(n, a, b, t) for n, (a, b, t) in enumerate(zip(cuts, stops, labels, strict=True)))


def _cuts(days: Dates, unit: str) -> list[int]:
    """Return the first row of each period that has one, searched by period, not row by row."""
    first, last = days[[0, -1]].astype(f"datetime64[{unit}]")
    begins = np.arange(first + 1, last + 1).astype("datetime64[ns]")
    return [0, *np.unique(np.searchsorted(days, begins)).tolist()]


def _spacing(days: Dates) -> str:
    if len(days) < 3:
        return "year"
    gaps = np.diff(days.view("i8"))
    middle = [(len(gaps) - 1) // 2, len(gaps) // 2]
    typical = float(np.partition(gaps, middle)[middle].mean()) / 3.6e12  # hours, the median
    return "year" if typical >= 12 else "month" if typical >= 0.5 else "week"


@dataclass(slots=True)
class MemoryStore:
    """The in-memory counterpart of the parquet cache: same contract. spare: its growing arrays."""

    spare: GrowableArrays = field(default_factory=GrowableArrays)
    _facts: dict[str, BlockFacts] = field(default_factory=dict)
    _panels: dict[str, Panel] = field(default_factory=dict)
    _carries: dict[str, CarryState] = field(default_factory=dict)
    _notes: dict[str, str] = field(default_factory=dict)

    def facts(self, key: str) -> BlockFacts | None:
        return self._facts.get(key)

    def read(self, key: str, place: Place | None = None) -> Panel | None:  # noqa: ARG002
        return self._panels.get(key)

    def read_carry(self, key: str) -> CarryState | None:
        return self._carries.get(key)

    def write(self, facts: BlockFacts, panel: Panel, carry: CarryState | None = None) -> None:
        self._panels[facts.key] = panel
        if carry is not None:
            self._carries[facts.key] = carry
        self._facts[facts.key] = facts  # last: a block with facts is whole

    def note(self, name: str, text: str) -> None:
        self._notes[name] = text

    def noted(self, name: str) -> str | None:
        return self._notes.get(name)

    def lease(self, keys: Iterable[str]) -> AbstractContextManager[None]:  # noqa: ARG002
        from contextlib import nullcontext

        return nullcontext()

    def incidents(self) -> tuple[str, ...]:
        return ()


class Overlay(MemoryStore):
    """A store over another one: reads fall through, writes stay here and vanish with it."""

    def __init__(self, base: BlockStore) -> None:
        super().__init__()
        self._base = base

    def facts(self, key: str) -> BlockFacts | None:
        return super().facts(key) or self._base.facts(key)

    def read(self, key: str, place: Place | None = None) -> Panel | None:
        own = super().read(key, place)
        return self._base.read(key, place) if own is None else own

    def read_carry(self, key: str) -> CarryState | None:
        return super().read_carry(key) or self._base.read_carry(key)

    def noted(self, name: str) -> str | None:
        return super().noted(name) or self._base.noted(name)


def concat(panels: Sequence[Panel], names: tuple[str, ...] | None = None) -> Panel:
    """Return panels of consecutive rows as one, over `names` (default: the union, ordered by name).

    Category panels are united over the union of their labels. Rows that are adjacent in memory already are returned
    as a view.
    """
    if panels and all(p.names == (names or panels[0].names) and p.labels == panels[0].labels for p in panels):
        values = _adjoining([p.values for p in panels])
        if values is not None:
            dates = panels[0].dates if len(panels) == 1 else np.concatenate([p.dates for p in panels])
            return Panel(dates, panels[0].names, values, panels[0].labels)
    if names is None:
        names = tuple(sorted({n for p in panels for n in p.names}))
    labels = None
    if any(p.labels is not None for p in panels):
        labels = tuple(sorted({t for p in panels for t in p.labels or ()}))
    values = np.empty((sum(len(p.dates) for p in panels), len(names)))
    at = 0
    for panel in panels:
        values[at : at + len(panel.dates)] = _aligned(panel, names, labels)
        at += len(panel.dates)
    dates = np.concatenate([p.dates for p in panels]) if panels else np.empty(0, "datetime64[ns]")
    return Panel(dates, names, values, labels)


def lengthened(panel: Panel, later: Panel, spare: GrowableArrays) -> Panel:
    """Return `panel` with later rows of the same names and labels, in place if free rows follow in memory."""
    values = spare.longer(panel.values, len(later.dates))
    values[len(panel.dates) :] = later.values
    return Panel(np.concatenate([panel.dates, later.dates]), panel.names, values, panel.labels)


def _adjoining(parts: Sequence[Floats]) -> Floats | None:
    """Return the parts as one array without copying; None unless they are adjacent in one C-ordered memory."""
    first = parts[0]
    if len(parts) == 1:
        return first
    memory = owner(first)
    if first.shape[1] == 0 or not memory.flags.c_contiguous or memory.dtype != first.dtype:
        return None
    at = first.ctypes.data
    for part in parts:
        # The owner counts too: two separate arrays may be adjacent by chance.
        if part.ctypes.data != at or not part.flags.c_contiguous or owner(part) is not memory:
            return None
        at += part.nbytes
    begin = (first.ctypes.data - memory.ctypes.data) // first.itemsize
    flat = memory.reshape(-1)
    size = sum(p.size for p in parts)
    return flat[begin : begin + size].reshape(-1, first.shape[1])


def _aligned(panel: Panel, names: tuple[str, ...], labels: tuple[str, ...] | None) -> Floats:
    values = recode(panel, labels) if labels is not None else panel.values
    if panel.names == names:
        return values
    out = np.full((len(panel.dates), len(names)), np.nan)
    at = places(names, panel.names)
    out[:, at >= 0] = values[:, at[at >= 0]]
    return out


@functools.lru_cache(maxsize=16)
def places(names: tuple[str, ...], among: tuple[str, ...]) -> NDArray[np.intp]:
    """Return the position of each of `names` among others, -1 if it is not there. Read-only.

    >>> places(("A", "B", "C"), ("C", "A")).tolist()
    [1, -1, 0]
    """
    own = {n: i for i, n in enumerate(among)}
    at = np.array([own.get(n, -1) for n in names], dtype=np.intp)
    at.flags.writeable = False
    return at


def recode(panel: Panel, labels: tuple[str, ...]) -> Floats:
    """Return the codes of a category panel as codes into `labels`; a label that is not in them is missing."""
    if panel.labels is None or panel.labels == labels:
        return panel.values
    place = {t: float(i) for i, t in enumerate(labels)}
    # The last entry is the code of a missing value: NaN can't be an index.
    codes = np.array([*(place.get(t, np.nan) for t in panel.labels), np.nan])
    out: Floats = codes[np.where(np.isnan(panel.values), len(panel.labels), panel.values).astype(np.intp)]
    return out
