"""The frontier of a run: the tasks that can start now, given the stored blocks. No clock, no threads, no arrays.

    frontier = Frontier(plan, store, slice_bytes)
    while not frontier.finished:
        for task in frontier.ready(limit): ...     # each is handed out once
        frontier.complete(outcome)                 # an outcome makes more ready

A free stage's block is ready when every carried block its leaves touch is known. A chained stage has at most one task
at a time: the key of its next block contains the state after the one before. A block whose key is stored is skipped, so
a restated row is recomputed just as far as its bytes matter.

The last block of the grid grows: if its first rows are stored (a *tip*), only the rows after them are computed and
appended.
"""

from __future__ import annotations

import numpy as np

from sigc.blocks.block import DIGEST_BYTES, Block, BlockFacts, BlockStore, digest
from sigc.blocks.checksummed import seal, unseal
from sigc.engine.core.carry_history import CarryHistories
from sigc.engine.core.reads import read_of
from sigc.engine.core.task import Output, Piece, Read, RunReport, Task, TaskOutcome
from sigc.engine.kernel.costs import KernelCosts
from sigc.errors import Diagnostic, SigcError
from sigc.plan.expr import SOURCE, Expr, walk
from sigc.plan.halo import needs, scope
from sigc.plan.key import Recipe
from sigc.plan.plan import Plan, PlanStage, is_leaf, is_read, memory


class Frontier:
    """The state of one run of `plan` against `store`.

    slice_bytes bounds the memory of a task. past: notes about blocks before those of the plan, if they are trusted.
    """

    def __init__(
        self, plan: Plan, store: BlockStore, slice_bytes: int = 1 << 30, past: CarryHistories | None = None
    ) -> None:
        self.plan = plan
        self.report = RunReport()
        self.costs = KernelCosts.of(store)
        self._store = store
        self._slice_bytes = slice_bytes
        self._digests = {
            node.shape: plan.grid.leaves[str(node.arguments["name"])].digests
            for node in walk(plan.roots.values())
            if node.op == SOURCE
        }
        self._keys: dict[tuple[str, int], str] = {}
        self._known: dict[str, int] = {}  # number of stored rows of a carried node
        self._states: dict[str, tuple[str, str]] = {}  # digest of the state, and the key under which it is stored
        self._chain: dict[int, int] = {}  # next block of a chained stage
        self._past = past
        self._before: dict[str, list[BlockFacts]] = {}  # blocks of a carried node, without the growing last one
        self._leads: dict[tuple[str, int], str] = {}
        self._open: dict[int, list[Block]] = {}
        self._out: dict[int, Task] = {}
        self._parts: dict[tuple[str, ...], PlanStage] = {}
        self._sliced: dict[tuple[str, ...], int] = {}
        self._tasks = 0
        for stage in plan.stages:
            if stage.chained:
                self._chain[stage.number] = 0
                for node in stage.outputs:
                    self._known[node.shape] = 0
                    self._states[node.shape] = ("", "")
                    self._before[node.shape] = []
                    rows = len(plan.grid.dates)
                    self._digests[node.shape] = np.zeros((rows, DIGEST_BYTES), np.uint8)
            else:
                self._open[stage.number] = list(plan.blocks)

    @property
    def finished(self) -> bool:
        chains = all(at >= self._last for at in self._chain.values())
        return chains and not self._out and not any(self._open.values())

    @property
    def _last(self) -> int:
        return self.plan.blocks[-1].number + 1 if self.plan.blocks else 0

    @property
    def total(self) -> int:
        """Return the number of blocks that this run stores or finds, in all stages."""
        chained = sum(self._last * len(s.outputs) for s in self.plan.stages if s.chained)
        free = sum(len(self.plan.blocks) * len(s.outputs) for s in self.plan.stages if not s.chained)
        return chained + free

    def reached(self, stage: PlanStage) -> bool:
        """Return True if every block of the stage is stored, or handed out."""
        if stage.chained:
            return self._chain[stage.number] >= self._last
        return not self._open[stage.number]

    def key(self, node: Expr, block: Block) -> str:
        """Return the key of an output's block, once it is stored."""
        return self._keys[node.shape, block.number]

    def keys(self) -> list[str]:
        """Return all keys of the run known so far, those of source blocks included."""
        sources = (b.key for leaf in self.plan.grid.leaves.values() for b in leaf.source.blocks)
        return sorted({*self._keys.values(), *sources})

    def ready(self, limit: int) -> list[Task]:
        """Return about `limit` tasks that can start now and were not handed out yet."""
        tasks: list[Task] = []
        for stage in self.plan.stages:
            if len(tasks) < limit:
                tasks += self._advance(stage) if stage.chained else self._release(stage, limit - len(tasks))
        return tasks

    def complete(self, outcome: TaskOutcome) -> None:
        """Process the outcome of a task."""
        task = self._out.pop(outcome.number)
        prefixed = {o.key for o in task.outputs if o.prefix}
        for output, facts in zip(task.outputs, outcome.facts, strict=True):
            counter = self.report.joined if facts.key in prefixed else self.report.computed
            counter[output.name] = counter.get(output.name, 0) + 1
            self._learn(output.node, task.block, facts)
            if task.block.stop == len(self.plan.grid.dates):
                # The last block will grow: note its length and key, so that a later run appends to it.
                self._store.note(self._tip(output.node, task.block), seal(f"{facts.rows} {facts.key}"))
        self.report.rows += outcome.rows
        self.report.busy_s += outcome.busy_s
        self.report.reading_s += outcome.reading_s
        self.report.writing_s += outcome.writing_s
        ops = {node.shape: node.op for node in task.order}
        cells = (task.block.stop - task.start) * len(task.names)
        is_whole = task.start == task.block.start  # else most of the time goes to the rows before, for its windows
        for shape, seconds in outcome.seconds:
            if is_whole and shape not in outcome.cold:
                self.costs.measure(ops[shape], seconds, cells)
            self.report.node_seconds[shape] = self.report.node_seconds.get(shape, 0.0) + seconds

    def _advance(self, stage: PlanStage) -> list[Task]:
        """Skip stored blocks of a chained stage; return the tasks for the next missing one."""
        if any(t.stage == stage.number for t in self._out.values()):
            return []
        if not any(self._known[node.shape] for node in stage.outputs):
            self._jump(stage)
        while (number := self._chain[stage.number]) < self._last:
            block = self.plan.grid.blocks[number]
            if not self._complete_up_to(stage, block.stop):
                return []
            missing = self._missing(stage, block, chained=True)
            if missing:
                return self._hand_out(stage, block, missing)
            self._chain[stage.number] = number + 1
            if number + 1 == self._last:
                self._note_chains(stage)
        return []

    def _release(self, stage: PlanStage, limit: int) -> list[Task]:
        """Return tasks for the blocks of a free stage whose leaves are known."""
        tasks: list[Task] = []
        waiting: list[Block] = []
        for block in self._open[stage.number]:
            if len(tasks) >= limit or not self._complete_up_to(stage, block.stop):
                waiting.append(block)
            else:
                tasks += self._hand_out(stage, block, self._missing(stage, block, chained=False))
        self._open[stage.number] = waiting
        return tasks

    def _complete_up_to(self, stage: PlanStage, stop: int) -> bool:
        own = {o.shape for o in stage.outputs}
        return all(self._known[n.shape] >= stop for n in stage.order if n.shape in self._known and n.shape not in own)

    def _missing(self, stage: PlanStage, block: Block, *, chained: bool) -> list[Output]:
        missing = []
        for node in stage.outputs:
            if chained and self._known[node.shape] >= block.stop:
                continue
            state, carry = self._states.get(node.shape, ("", ""))
            recipe = self.plan.recipes[node.shape]
            key = recipe.key(self.plan.grid.dates, block.start, block.stop, self._digests, state)
            name = self.plan.names[node.shape]
            facts = self._noted(node, block, key) or self._store.facts(key)
            if facts is None:
                missing.append(Output(node, key, name, self._stored_prefix(recipe, block, state), carry))
            else:
                self.report.cached[name] = self.report.cached.get(name, 0) + 1
                self._learn(node, block, facts)
        return missing

    def _learn(self, node: Expr, block: Block, facts: BlockFacts) -> None:
        self._keys[node.shape, block.number] = facts.key
        if node.shape in self._known:
            rows = np.frombuffer(facts.digests, np.uint8).reshape(-1, DIGEST_BYTES)
            self._digests[node.shape][block.start : block.stop] = rows
            self._known[node.shape] = block.stop
            self._states[node.shape] = (facts.state, facts.key)
            if block.number + 1 < len(self.plan.grid.blocks):
                self._before[node.shape].append(facts)

    def _noted(self, node: Expr, block: Block, key: str) -> BlockFacts | None:
        """Return the noted facts of a block that only leads to those of the plan, else None."""
        if self._past is None or node.shape not in self._before or block.number >= self.plan.blocks[0].number:
            return None
        before = self._before[node.shape]
        return self._past.chain(before[0].key if before else key).facts.get(key)

    def _jump(self, stage: PlanStage) -> None:
        """Skip all blocks that only lead to those of the plan, if a note has the result of the same rows."""
        grid, first = self.plan.grid, self.plan.blocks[0].number
        if self._past is None or first == 0:
            return
        for node in stage.outputs:
            start, stop = grid.blocks[0].start, grid.blocks[0].stop
            chain = self._past.chain(self.plan.recipes[node.shape].key(grid.dates, start, stop, self._digests))
            noted = list(chain.facts.values())
            if first <= len(noted) < len(grid.blocks) and chain.lead == self._lead(stage, node, len(noted)):
                for block, facts in zip(grid.blocks, noted[:first], strict=False):
                    self._learn(node, block, facts)
                name = self.plan.names[node.shape]
                self.report.cached[name] = self.report.cached.get(name, 0) + first
        if all(self._known[node.shape] > 0 for node in stage.outputs):
            self._chain[stage.number] = first

    def _lead(self, stage: PlanStage, node: Expr, count: int) -> str:
        """Return a digest of everything that the first `count` blocks of a carried node depend on; '' if not known
        yet.
        """
        blocks = self.plan.grid.blocks[:count]
        stop = blocks[-1].stop
        if not self._complete_up_to(stage, stop):
            return ""
        recipe = self.plan.recipes[node.shape]
        cuts = repr([b.stop for b in blocks])
        return digest(recipe.static, cuts, *(self._rows_before(leaf.shape, stop) for leaf in recipe.leaves))

    def _rows_before(self, leaf: str, stop: int) -> str:
        """Return a digest of the rows [0, stop) of a leaf and their dates."""
        if (leaf, stop) not in self._leads:
            dates = self.plan.grid.dates[:stop].tobytes()
            self._leads[leaf, stop] = digest(dates, self._digests[leaf][:stop].tobytes())
        return self._leads[leaf, stop]

    def _note_chains(self, stage: PlanStage) -> None:
        """Note the blocks that led to a plan that begins late, for the next run."""
        if self._past is not None and self.plan.blocks[0].number > 0:
            for node in stage.outputs:
                before = self._before[node.shape]
                self._past.keep(self._lead(stage, node, len(before)), before)

    def _tip(self, node: Expr, block: Block) -> str:
        first = self.plan.grid.dates[block.start].tobytes()
        return "tip-" + digest(self.plan.recipes[node.shape].static, first)

    def _stored_prefix(self, recipe: Recipe, block: Block, state: str) -> str:
        """Return the key of a stored block with the first rows of `block`, '' if there is none or it is outdated."""
        note = unseal(self._store.noted(self._tip(recipe.node, block)))
        if not note:
            return ""
        rows, key = note.split()
        stop = block.start + int(rows)
        if stop >= block.stop:
            return ""
        # The note may be of other data: the prefix is valid only if its key is the one of today's rows.
        expected = recipe.key(self.plan.grid.dates, block.start, stop, self._digests, state)
        return key if key == expected and self._store.facts(key) is not None else ""

    def _hand_out(self, stage: PlanStage, block: Block, missing: list[Output]) -> list[Task]:
        """Return tasks for the missing outputs of a block: one for all that start at the same row."""
        by_start: dict[int, list[Output]] = {}
        for output in missing:
            start = block.start
            if output.prefix and (facts := self._store.facts(output.prefix)):
                start += facts.rows
            by_start.setdefault(start, []).append(output)
        tasks = []
        for start, outputs in sorted(by_start.items()):
            chosen = tuple(_continued(o) for o in outputs) if stage.chained else tuple(outputs)
            task = self._task(stage, block, start, chosen)
            self._out[task.number] = task
            tasks.append(task)
        return tasks

    def _task(self, stage: PlanStage, block: Block, start: int, outputs: tuple[Output, ...]) -> Task:
        part = self._part(stage, tuple(o.node for o in outputs))
        own = {n.shape for n in part.outputs}
        order, need, grid = part.order, part.need, self.plan.grid
        leaves = [n for n in order if is_read(n, own)]
        self._tasks += 1
        return Task(
            number=self._tasks,
            stage=stage.number,
            block=block,
            start=start,
            outputs=outputs,
            order=order,
            need=need,
            reads=tuple(self._read(n, max(0, start - need[n.shape]), block.stop) for n in leaves),
            dates=grid.dates[block.start : block.stop],
            names=grid.names,
            labels=grid.labels,
            slice_rows=self._slice_rows(part, block.stop - start),
            keep_all=any(self.plan.recipes[s].fills for s in own),
            grid_rows=len(grid.dates),
            cost_ns=self.costs.estimate(order, (block.stop - start) * len(grid.names)),
        )

    def _part(self, stage: PlanStage, outputs: tuple[Expr, ...]) -> PlanStage:
        """Return the part of a stage that these outputs need."""
        if outputs == stage.outputs:
            return stage
        known = tuple(o.shape for o in outputs)
        if known not in self._parts:
            order = scope(outputs, is_leaf)
            self._parts[known] = PlanStage(
                stage.number, stage.chained, outputs, tuple(order), needs(order, outputs, is_leaf)
            )
        return self._parts[known]

    def _slice_rows(self, stage: PlanStage, rows: int) -> int:
        known = (*(o.shape for o in stage.outputs), str(rows))
        if known not in self._sliced:
            self._sliced[known] = self._fitting(stage, rows)
        return self._sliced[known]

    def _fitting(self, stage: PlanStage, rows: int) -> int:
        """Return how many of the rows fit into the memory of a task."""
        assets = len(self.plan.grid.names)
        while rows > 1 and memory(stage, rows, assets) > self._slice_bytes:
            rows = (rows + 1) // 2
        needed = memory(stage, rows, assets)
        if needed > self._slice_bytes:
            names = ", ".join(self.plan.names[o.shape] for o in stage.outputs)
            message = (
                f"computing {names} for one row of {assets} assets takes {needed / 1e6:.0f} MB, more than the "
                f"{self._slice_bytes / 1e6:.0f} MB a worker may use"
            )
            raise SigcError(Diagnostic("E300", message, hint="give workers more memory, or fewer threads"))
        return max(1, rows)

    def _read(self, node: Expr, low: int, stop: int) -> Read:
        if node.op != SOURCE:
            pieces = tuple(
                Piece(self._keys[node.shape, b.number], b.start, b.stop)
                for b in self.plan.grid.blocks
                if b.stop > low and b.start < stop
            )
            return Read(node, self.plan.names[node.shape], low, np.arange(low, stop), pieces)
        name = str(node.arguments["name"])
        return read_of(node, name, self.plan.grid.leaves[name], low, stop)


def _continued(output: Output) -> Output:
    """Return a carried output that continues from the state stored with its prefix, if it has one."""
    if not output.prefix:
        return output
    return Output(output.node, output.key, output.name, output.prefix, output.prefix)


def cost_at_most(plan: Plan, store: BlockStore) -> int:
    """Return the estimated nanoseconds of the plan if nothing is stored."""
    cells = sum(b.stop - b.start for b in plan.blocks) * len(plan.grid.names)
    costs = KernelCosts.of(store)
    return sum(costs.estimate(stage.order, cells) for stage in plan.stages)


def outstanding(plan: Plan, store: BlockStore) -> int:
    """Return the estimated nanoseconds of everything not stored yet, as far as known before the run."""
    frontier = Frontier(plan, store, past=CarryHistories(store))
    seen = sum(task.cost_ns for task in frontier.ready(1 << 62))
    cells = sum(b.stop - b.start for b in plan.blocks) * len(plan.grid.names)
    waiting = [s for s in plan.stages if not frontier.reached(s)]
    return seen + sum(frontier.costs.estimate(s.order, cells) for s in waiting)
