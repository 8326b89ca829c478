"""The plan: the stored nodes, the order of stages, and the work of one task.

Stages are cut only at carried operators (ema, cumsum, ...). A carried node's blocks form a chain: each
needs the state after the one before. Everything else of a block runs in one task.

    1. level(node) = the number of carried operators on the longest path below it
    2. per level a chained stage that stores the carried nodes of that level
    3. per level a free stage that stores the roots whose inputs are complete by then

`sigc.engine.core.drive` skips what is stored already; it walks the plan block by block, as the key of a carried block
is known only when the state before it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sigc.blocks.block import Block
from sigc.plan.expr import CONSTANT, SOURCE, Expr, walk
from sigc.plan.grid import Grid
from sigc.plan.halo import needs, peak_rows, scope
from sigc.plan.key import Recipe
from sigc.plan.rules.fuse import groups
from sigc.plan.strategy import Strategy


@dataclass(frozen=True, slots=True, eq=False)
class PlanStage:
    """A stage. outputs: the nodes it stores. order: the nodes it computes, inputs first, leaves included. need: see
    `halo`.
    """

    number: int
    chained: bool
    outputs: tuple[Expr, ...]
    order: tuple[Expr, ...]
    need: Mapping[str, int]

    @property
    def reach(self) -> int:
        """Return the longest need of any leaf."""
        return max(self.need.values(), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The nodes to store: `roots` by name, for the rows of `blocks`; names by node shape for people."""

    strategies: tuple[Strategy, ...]
    grid: Grid
    blocks: tuple[Block, ...]
    stages: tuple[PlanStage, ...]
    roots: Mapping[str, Expr]
    names: Mapping[str, str]
    recipes: Mapping[str, Recipe]


def is_leaf(node: Expr) -> bool:
    """Return True for nodes that a stage reads: sources, and the stored output of a carried operator."""
    return node.op == SOURCE or node.carried


def is_read(node: Expr, outputs: Collection[str]) -> bool:
    """Return True if a task with these outputs (shapes) reads a node. A source is read even if it is an output."""
    return node.op == SOURCE or (node.carried and node.shape not in outputs)


def make_plan(
    strategies: Iterable[Strategy],
    grid: Grid,
    roots: Mapping[str, Expr],
    start: int = 0,
    stop: int | None = None,
) -> Plan:
    """Plan the blocks that touch the rows [start, stop) of the grid for all `roots` as one DAG."""
    stop = len(grid.dates) if stop is None else stop
    nodes = walk(roots.values())
    level = _levels(nodes)
    stages: list[PlanStage] = []
    for depth in range(max(level.values(), default=0) + 1):
        carried = [n for n in nodes if n.carried and level[n.shape] == depth]
        free = [r for r in roots.values() if not r.carried and level[r.shape] == depth]
        for outputs, chained in ((carried, True), (free, False)):
            if outputs:
                stages.append(_stage(len(stages), chained, _unique(outputs)))
    stored = {o.shape: o for s in stages for o in s.outputs}
    return Plan(
        strategies=tuple(strategies),
        grid=grid,
        blocks=tuple(b for b in grid.blocks if b.stop > start and b.start < stop),
        stages=tuple(stages),
        roots=dict(roots),
        names=_names(roots, stored),
        recipes={shape: Recipe(node, grid) for shape, node in stored.items()},
    )


def _stage(number: int, chained: bool, outputs: tuple[Expr, ...]) -> PlanStage:
    order = scope(outputs, is_leaf)
    return PlanStage(number, chained, outputs, tuple(order), needs(order, outputs, is_leaf))


def _unique(nodes: Iterable[Expr]) -> tuple[Expr, ...]:
    return tuple({n.shape: n for n in nodes}.values())


def _levels(nodes: list[Expr]) -> dict[str, int]:
    level: dict[str, int] = {}
    for node in nodes:
        level[node.shape] = max((level[i.shape] + (1 if i.carried else 0) for i in node.inputs), default=0)
    return level


def _names(roots: Mapping[str, Expr], stored: Mapping[str, Expr]) -> dict[str, str]:
    """Return a name for every stored node: a root's own, else `ROOT.op` after the first root that reads it."""
    names: dict[str, str] = {}
    for name, root in roots.items():
        names.setdefault(root.shape, name)
    for name, root in roots.items():
        for node in walk([root]):
            if node.shape in stored:
                names.setdefault(node.shape, f"{name}.{node.op}")
    return names


def memory(stage: PlanStage, rows: int, assets: int) -> int:
    """Return the estimated peak bytes of one task of `stage` over `rows` rows: arrays alive, plus outputs being
    stored.
    """
    leaves, work = _work(stage)
    return 8 * assets * (peak_rows(work, stage.need, rows, leaves) + 2 * rows * len(stage.outputs))


@lru_cache(maxsize=16)
def _work(stage: PlanStage) -> tuple[tuple[Expr, ...], tuple[tuple[Expr, ...], ...]]:
    """Return the nodes that a stage reads, and the groups that it computes."""
    own = {o.shape for o in stage.outputs}
    leaves = tuple(n for n in stage.order if is_read(n, own))
    given = {n.shape for n in (*leaves, *(n for n in stage.order if n.op == CONSTANT))}
    return leaves, groups(stage.order, own, given)


def least_memory(plan: Plan) -> tuple[int, Block | None]:
    """Return the bytes that any way of computing the plan needs, and the block that needs them.

    For one task alone, cut to slices of one row: the largest stored block of a source that it reads, the arrays alive
    for that row, and the block that it stores. Every asset of the universe counts.
    """
    most: tuple[int, Block | None] = (0, None)
    for stage in plan.stages:
        leaves, work = _work(stage)
        row = peak_rows(work, stage.need, 1, leaves)
        for block in plan.blocks:
            rows = block.stop - block.start
            found = 8 * len(plan.grid.names) * ((rows if leaves else 0) + row + rows * len(stage.outputs))
            if found > most[0]:
                most = (found, block)
    return most
