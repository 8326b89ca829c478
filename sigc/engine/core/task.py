"""Messages between the controller and workers: a `Task` out, a `TaskOutcome` back.

Neither contains arrays of data: a task names the stored blocks to read, an outcome the facts of those written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.block import Block, BlockFacts
from sigc.data.manifest import Events
from sigc.panel import Dates
from sigc.plan.expr import Expr
from sigc.plan.row_alignment import RowMoments


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A stored block of a leaf: its rows [start, stop) in the leaf's own coordinates."""

    key: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class AsOfRead:
    """The conversion of events to rows: the moments of the rows, the maximum age of values, the labels of codes."""

    moments: RowMoments
    events: Events
    labels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """The read of the rows [low, stop) of a leaf: `rows` gives, per grid row, the row among `pieces` (-1: none).

    A carried leaf has the grid's own coordinates. asof: for an as-of source, whose blocks hold events.
    """

    leaf: Expr
    name: str
    low: int
    rows: NDArray[np.intp]
    pieces: tuple[Piece, ...]
    broadcast: bool = False
    asof: AsOfRead | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """One block to store. prefix: the stored block of its first rows, to which the rest is appended ('' = none).

    carry: the key of the state before the first computed row ('' = initial state).
    """

    node: Expr
    key: str
    name: str
    prefix: str = ""
    carry: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A task: compute the rows [start, block.stop) of `outputs` and store them (after their prefix) under their keys.

    order, need: of the nodes that these outputs need, see `sigc.plan.halo`. dates: of the whole block. slice_rows: the
    maximum number of rows at a time. grid_rows: of the whole grid. cost_ns: estimated, for batching.
    """

    number: int
    stage: int
    block: Block
    start: int
    outputs: tuple[Output, ...]
    order: tuple[Expr, ...]
    need: Mapping[str, int]
    reads: tuple[Read, ...]
    dates: Dates
    names: tuple[str, ...]
    labels: tuple[str, ...]
    slice_rows: int
    keep_all: bool
    grid_rows: int
    cost_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class TaskOutcome:
    """The outcome of a task. lost: keys of blocks it found missing (then nothing was stored).

    seconds: by node shape; cold: shapes whose seconds may include compilation. busy_s: from begin to end; reading_s,
    writing_s: the parts spent on blocks, their checksums included.
    """

    number: int
    facts: tuple[BlockFacts, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()
    rows: int = 0
    lost: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()
    where: str = ""
    busy_s: float = 0.0
    reading_s: float = 0.0
    writing_s: float = 0.0
    cold: tuple[str, ...] = ()


@dataclass(slots=True)
class RunReport:
    """The report of a run: numbers of blocks by node name that were computed, joined to a stored prefix, or found
    stored.

    seconds: from begin to end. busy_s, node_seconds (by node shape), reading_s, writing_s: of all tasks together.
    """

    computed: dict[str, int] = field(default_factory=dict)
    joined: dict[str, int] = field(default_factory=dict)
    cached: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    tasks: int = 0
    seconds: float = 0.0
    node_seconds: dict[str, float] = field(default_factory=dict)
    busy_s: float = 0.0
    reading_s: float = 0.0
    writing_s: float = 0.0
    incidents: list[str] = field(default_factory=list)

    def add(self, later: RunReport) -> None:
        """Add the blocks, times and incidents of a later run."""
        for mine, theirs in ((self.computed, later.computed), (self.joined, later.joined)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.rows += later.rows
        self.tasks += later.tasks
        self.seconds += later.seconds
        self.busy_s += later.busy_s
        self.reading_s += later.reading_s
        self.writing_s += later.writing_s
        self.incidents += later.incidents
        for shape, seconds in later.node_seconds.items():
            self.node_seconds[shape] = self.node_seconds.get(shape, 0.0) + seconds

    @property
    def blocks_computed(self) -> int:
        return sum(self.computed.values())

    @property
    def blocks_cached(self) -> int:
        return sum(self.cached.values())


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run. `total` grows while carried chains become known."""

    done: int
    cached: int
    failed: int
    total: int
    rows: int
    seconds: float

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds if self.seconds > 0 else 0.0
