"""The computation of one task: read leaves, evaluate, store. The same function in this process and on workers.

1. per slice of rows: read each leaf over [start - need, stop), on the assets that occur in it
2. evaluate the nodes (`evaluate.py`)
3. join the rows to their stored prefix, drop assets without a valid row, store under the key
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import compress

import numpy as np

from sigc.blocks.block import (
    DIGEST_BYTES,
    BlockFacts,
    BlockStore,
    CarryState,
    ReadBuffer,
    concat,
    digest,
    lengthened,
    places,
    recode,
    row_digests,
)
from sigc.engine.core.reads import BlockLostError, read_events
from sigc.engine.core.task import Output, Read, Task, TaskOutcome
from sigc.engine.kernel.calls import Slice, is_category
from sigc.engine.kernel.evaluate import Target, evaluate
from sigc.engine.kernel.memory_arena import MemoryArena
from sigc.engine.kernel.timed import TimedStore
from sigc.engine.kernel.trial_figures import TrialBooks, TrialPart
from sigc.ops.declare import REGISTRY
from sigc.ops.declare import Carry as CarryRule
from sigc.panel import Floats, Panel, canonical

_CACHES = 16 << 20  # bytes of results in memory; larger ones are no longer in a CPU cache when they are read


@dataclass(slots=True, eq=False)
class _Made:
    """The intermediate results of a task.

    carries, by node shape: the state after the last row. prefixes, parts, by the key of an output: its stored first
    rows, and the computed ones. seconds: by node shape; cold: shapes, see `Slice`.
    """

    carries: dict[str, CarryState]
    prefixes: dict[str, Panel | None]
    parts: dict[str, list[Panel]]
    seconds: dict[str, float] = field(default_factory=dict)
    cold: set[str] = field(default_factory=set)


def run_block(
    task: Task, store: BlockStore, where: str = "", room: MemoryArena | None = None, books: TrialBooks | None = None
) -> TaskOutcome:
    """Compute and store the outputs of `task`. Nothing is stored if a block it reads is lost.

    room: arrays for results that stay in memory. books: they take all results that are not carried, instead of the
    store.
    """
    begun = time.perf_counter()
    store = timed = TimedStore(store)
    try:
        made = _Made(
            carries={o.node.shape: _carry(o, store) for o in task.outputs if o.node.carried},
            prefixes={o.key: _prefix(o, store) for o in task.outputs},
            parts={o.key: [] for o in task.outputs},
        )
        for start, stop in _slices(task):
            _run_slice(task, store, start, stop, made, room, books)
    except BlockLostError as lost:
        return TaskOutcome(task.number, lost=(str(lost),), where=where)
    facts = [_stored(task, o, made, store, room) if made.parts[o.key] else _taken(task, o) for o in task.outputs]
    rows = (task.block.stop - task.start) * len(task.outputs)
    return TaskOutcome(
        number=task.number,
        facts=tuple(facts),
        seconds=tuple(made.seconds.items()),
        cold=tuple(sorted(made.cold)),
        rows=rows,
        where=where,
        busy_s=time.perf_counter() - begun,
        reading_s=timed.reading_s,
        writing_s=timed.writing_s,
    )


def _slices(task: Task) -> Iterator[tuple[int, int]]:
    for start in range(task.start, task.block.stop, task.slice_rows):
        yield start, min(task.block.stop, start + task.slice_rows)


def _run_slice(
    task: Task,
    store: BlockStore,
    start: int,
    stop: int,
    made: _Made,
    room: MemoryArena | None,
    books: TrialBooks | None,
) -> None:
    carries = made.carries
    panels = [read_leaf(read, store, max(0, start - task.need[read.leaf.shape]), stop) for read in task.reads]
    names = task.names if task.keep_all else _occurring(task, panels, carries)
    dates = task.dates[start - task.block.start : stop - task.block.start]
    where = f"block {task.block.label or task.block.number}"
    past = room is not None and 8 * task.grid_rows * len(names) * len(task.outputs) > _CACHES
    at = Slice(start, stop, names, task.labels, where, past, seconds=made.seconds, cold=made.cold)
    wanted = {o.node.shape: _target(task, o, at, room, books) for o in task.outputs}
    if names:
        leaves = {r.leaf.shape: lay_leaf(r, p, names, task.labels) for r, p in zip(task.reads, panels, strict=True)}
        at.carries = {s: _spread(c, names, _initial(task, s)) for s, c in carries.items()}
        evaluate(task.order, task.need, leaves, wanted, at)
        for shape in carries:
            carries[shape] = _gathered(names, at.carries[shape], _initial(task, shape))
    for output in task.outputs:
        values = wanted[output.node.shape]
        if isinstance(values, TrialPart):
            values.end()
        else:
            labels = task.labels if names and is_category(output.node) else None
            made.parts[output.key].append(Panel(dates, names, values, labels))


def _target(task: Task, output: Output, at: Slice, room: MemoryArena | None, books: TrialBooks | None) -> Target:
    """Return the array (or book) for the rows of an output; not filled."""
    if books is not None and not output.node.carried:
        return books.part(output.node.shape, at)
    if room is None or output.prefix or not at.names:
        return np.empty((at.stop - at.start, len(at.names)))
    return room.rows(output.node.shape, task.grid_rows, len(at.names), at.start, at.stop)


def read_leaf(read: Read, store: BlockStore, low: int, stop: int) -> Panel:
    """Return the rows [low, stop) of a leaf over the assets it has there. Raise `BlockLostError`."""
    if read.asof is not None:
        return read_events(read, read.asof, store, low, stop)
    rows = read.rows[low - read.low : stop - read.low]
    valid = rows >= 0
    if not valid.any():
        return Panel(np.zeros(len(rows), "datetime64[ns]"), (), np.empty((len(rows), 0)))
    first, last = int(rows[valid].min()), int(rows[valid].max()) + 1
    panels, begun = [], None
    pieces = [p for p in read.pieces if p.start < last and p.stop > first]
    # All pieces are read into one buffer, so that a range over several blocks is a view, not a copy.
    shelf = ReadBuffer(sum(p.stop - p.start for p in pieces))
    for piece in pieces:
        panel = store.read(piece.key, shelf.place)
        if panel is None:
            raise BlockLostError(piece.key)
        a, b = max(first, piece.start), min(last, piece.stop)
        begun = a if begun is None else begun
        panels.append(panel.rows(a - piece.start, b - piece.start))
    whole = panels[0] if len(panels) == 1 else concat(panels)
    offset = rows - (begun or 0)
    if valid.all() and np.array_equal(offset, np.arange(len(whole.dates))):
        return whole
    values = whole.values[np.where(valid, offset, 0)]
    values[~valid] = np.nan
    return Panel(np.zeros(len(rows), "datetime64[ns]"), whole.names, values, whole.labels)


def _occurring(task: Task, panels: list[Panel], carries: dict[str, CarryState]) -> tuple[str, ...]:
    """Return the traded assets that occur in any leaf or state: all others stay missing in any result."""
    parts = [p.names for p, r in zip(panels, task.reads, strict=True) if not r.broadcast]
    parts += [c.names for c in carries.values()]
    if any(names == task.names for names in parts):
        return task.names
    found = set[str]().union(*parts)
    if len(found) >= len(task.names) and found.issuperset(task.names):
        return task.names
    return tuple(n for n in task.names if n in found)


def lay_leaf(read: Read, panel: Panel, names: tuple[str, ...], labels: tuple[str, ...]) -> Floats:
    """Return the panel's values over `names`, with its label codes converted to the plan's `labels`."""
    values = recode(panel, labels)
    if read.broadcast:
        column = values if values.shape[1] else np.full((len(values), 1), np.nan)
        return np.repeat(column, len(names), axis=1)
    if panel.names == names:
        return values
    columns = places(names, panel.names)
    if (columns >= 0).all():
        return np.ascontiguousarray(values[:, columns])
    out = np.full((len(values), len(names)), np.nan)
    here = columns >= 0
    out[:, here] = values[:, columns[here]]
    return out


def _carry(output: Output, store: BlockStore) -> CarryState:
    if not output.carry:
        rule = REGISTRY[output.node.op].lookback
        width = len(rule.initial) if isinstance(rule, CarryRule) else 0
        return CarryState((), np.empty((width, 0)))
    carry = store.read_carry(output.carry)
    if carry is None:
        raise BlockLostError(output.carry)
    return carry


def _initial(task: Task, shape: str) -> Floats:
    op = next(o.node.op for o in task.outputs if o.node.shape == shape)
    rule = REGISTRY[op].lookback
    return np.array(rule.initial if isinstance(rule, CarryRule) else (), dtype=np.float64)


def _spread(carry: CarryState, names: tuple[str, ...], initial: Floats) -> Floats:
    state = np.tile(initial[:, None], (1, len(names)))
    at = places(names, carry.names)
    state[:, at >= 0] = carry.values[:, at[at >= 0]]
    return state


def _gathered(names: tuple[str, ...], state: Floats, initial: Floats) -> CarryState:
    """Return the state without assets never seen, so that adding such assets changes no byte."""
    state = canonical(state)
    start = canonical(initial[:, None])
    # Compare bits, not values: NaN equals NaN here.
    seen = (state.view("i8") != start.view("i8")).any(axis=0)
    if seen.all():
        return CarryState(names, state)
    return CarryState(tuple(compress(names, seen.tolist())), np.ascontiguousarray(state[:, seen]))


def _prefix(output: Output, store: BlockStore) -> Panel | None:
    if not output.prefix:
        return None
    panel = store.read(output.prefix)
    if panel is None:
        raise BlockLostError(output.prefix)
    return panel


def _stored(task: Task, output: Output, made: _Made, store: BlockStore, room: MemoryArena | None) -> BlockFacts:
    panel = _joined(made.prefixes[output.key], made.parts[output.key], room)
    carry = made.carries.get(output.node.shape)
    facts = BlockFacts(
        key=output.key,
        name=output.name,
        label=task.block.label,
        rows=len(panel.dates),
        digests=_digests(output, panel, store) if carry is not None else b"",
        state=digest("\n".join(carry.names), carry.values.tobytes()) if carry is not None else "",
        source="carried" if carry is not None else "signal",
    )
    store.write(facts, panel, carry)
    return facts


def _joined(prefix: Panel | None, parts: list[Panel], room: MemoryArena | None) -> Panel:
    """Return all rows, over the assets valid in one of them. In memory, a stored prefix grows in place."""
    valid = [_valid(p) for p in parts]
    if prefix is None:
        return concat(parts, _united(valid))
    names = _united([prefix.names, *valid])
    if room is not None and names == prefix.names and all(p.labels == prefix.labels for p in parts):
        return lengthened(prefix, concat(parts, names), room.spare)
    return concat([prefix, *parts], names)


def _taken(task: Task, output: Output) -> BlockFacts:
    """Return the facts of a result that books took; no block is stored under its key."""
    return BlockFacts(output.key, output.name, task.block.label, len(task.dates))


def _digests(output: Output, panel: Panel, store: BlockStore) -> bytes:
    """Return a digest per row; those of the stored prefix are known."""
    prefix = store.facts(output.prefix) if output.prefix else None
    known = b"" if prefix is None else prefix.digests
    return known + row_digests(panel.rows(len(known) // DIGEST_BYTES, len(panel.dates)))


def _united(names: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the sorted union of names."""
    if all(n == names[0] for n in names):
        return names[0]
    found = set[str]().union(*names)
    return names[0] if len(found) == len(names[0]) else tuple(sorted(found))


def _valid(panel: Panel) -> tuple[str, ...]:
    """Return the assets with a valid cell; most have one in the last row already."""
    seen = np.zeros(len(panel.names), dtype=bool)
    for row in panel.values[::-1]:
        seen |= row == row
        if seen.all():
            return panel.names
    return tuple(compress(panel.names, seen.tolist()))
