"""The drive of a plan to its end: ready tasks to an executor, outcomes back, reports, a restart after a loss.

    1. hand out ready tasks, no more than the executor's window
    2. wait for an outcome and process it; more tasks become ready
    3. when a task finds an expected block missing: drop the frontier, restore the sources, and start
       again with a look at every block; everything stored since is found

Executors: `local.py` (threads in this process), `dask.py` (workers).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from sigc.blocks.block import BlockStore
from sigc.engine.core.carry_history import CarryHistories
from sigc.engine.core.frontier import Frontier
from sigc.engine.core.task import Progress, RunReport, Task, TaskOutcome
from sigc.errors import Diagnostic, SigcError
from sigc.plan.plan import Plan
from sigc.words import counted

_LOSSES = 3  # of the same block; more mean another problem


class EngineLostError(Exception):
    """The engine itself is gone (its scheduler died). Stored blocks stay: another engine can continue."""


class Executor(Protocol):
    """The place where tasks run. `window` bounds the tasks in flight; `slice_bytes` the memory of a task."""

    @property
    def window(self) -> int: ...
    @property
    def slice_bytes(self) -> int: ...
    def prepare(self, operators: Collection[str]) -> None:
        """Check, before the first task of a run, that these operators compute the same everywhere."""
        ...

    def submit(self, tasks: Sequence[Task]) -> None: ...
    def next(self) -> TaskOutcome:
        """Wait for one outcome. Raise `SigcError` for a failed task, or `EngineLostError`."""
        ...

    def cancel(self) -> None:
        """Drop tasks that have not started; wait for those that have."""
        ...

    def incidents(self) -> list[str]:
        """Return the incidents repaired since the last call, one sentence each."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """A finished run: `frontier` knows the key of each block.

    again: recomputes blocks that have gone since, if one is damaged when it is gathered.
    """

    plan: Plan
    frontier: Frontier
    store: BlockStore
    report: RunReport
    again: Callable[[], Computed] | None = None


def drive(
    plan: Plan,
    store: BlockStore,
    executor: Executor,
    *,
    progress: Callable[[Progress], None] | None = None,
    restore: Callable[[], Plan] | None = None,
) -> Computed:
    """Compute and store everything that `plan` asks for. restore: rebuilds lost source blocks, and the plan."""
    begun = time.perf_counter()
    earlier: list[RunReport] = []
    told = len(store.incidents())
    executor.prepare({n.op for s in plan.stages for n in s.order})
    losses: dict[str, int] = {}
    while max(losses.values(), default=0) < _LOSSES:
        # After a loss, notes of chains are not trusted: they are not checked against stored blocks.
        frontier = Frontier(plan, store, executor.slice_bytes, None if losses else CarryHistories(store))
        # The lease keeps other processes from evicting the blocks that this run counts on.
        with store.lease(frontier.keys()):
            lost = _run(frontier, executor, progress, begun)
        if not lost:
            report = _total(earlier, frontier.report)
            report.incidents += [*store.incidents()[told:], *executor.incidents()]
            report.seconds = time.perf_counter() - begun
            frontier.costs.save(store)
            return Computed(plan, frontier, store, report)
        for key in lost:
            losses[key] = losses.get(key, 0) + 1
        frontier.report.incidents.append(f"{counted(len(lost), 'stored block')} missing, recomputed")
        earlier.append(frontier.report)
        plan = restore() if restore is not None else plan
    message = f"stored blocks are removed faster than they are computed ({', '.join(lost[:3])})"
    raise SigcError(Diagnostic("E300", message, hint="is the cache larger than max_size_gb allows?"))


def _run(
    frontier: Frontier, executor: Executor, progress: Callable[[Progress], None] | None, begun: float
) -> tuple[str, ...]:
    """Run to the end, or to the first lost block, whose key is returned."""
    flying = 0
    try:
        while True:
            batch = frontier.ready(executor.window - flying)
            if batch:
                executor.submit(batch)
                flying += len(batch)
                frontier.report.tasks += len(batch)
            if flying == 0:
                if not frontier.finished:
                    raise RuntimeError("internal error: no task is ready, and the plan is not finished")
                if progress is not None:  # also for a plan whose blocks are all stored
                    progress(_progress(frontier, begun))
                return ()
            outcome = executor.next()
            flying -= 1
            if outcome.lost:
                executor.cancel()
                return outcome.lost
            frontier.complete(outcome)
            frontier.report.incidents += outcome.incidents
            if progress is not None:
                progress(_progress(frontier, begun))
    except BaseException:
        executor.cancel()
        raise


def _progress(frontier: Frontier, begun: float) -> Progress:
    report = frontier.report
    return Progress(
        done=report.blocks_computed + sum(report.joined.values()),
        cached=report.blocks_cached,
        failed=0,
        total=frontier.total,
        rows=report.rows,
        seconds=time.perf_counter() - begun,
    )


def _total(earlier: list[RunReport], last: RunReport) -> RunReport:
    for report in reversed(earlier):
        found = last.incidents
        last.incidents = []
        last.add(report)
        last.incidents += found
    return last
