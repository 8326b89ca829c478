"""Tasks put together for workers: worth sending, in order, each once, and never so that a thread goes without."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sigc.blocks.block import Block
from sigc.engine.core.task import Output, Task
from sigc.engine.executors.dask import batches
from sigc.ops.table import operators
from sigc.plan.expr import Expr, source

WORTH_NS = 200_000_000


def task(number: int, cost_ns: int) -> Task:
    dates = np.empty(0, "datetime64[ns]")
    return Task(number, 0, Block(number, 0, 0), 0, (), (), {}, (), dates, (), (), 1, False, 0, cost_ns)


@given(st.lists(st.integers(0, 3 * WORTH_NS), max_size=40), st.integers(-2, 8))
def test_batches(costs: list[int], idle: int) -> None:
    tasks = [task(number, cost) for number, cost in enumerate(costs)]
    found = batches(tasks, idle)
    assert [t.number for batch in found for t in batch] == list(range(len(tasks)))
    assert len(found) >= min(idle, len(tasks))
    for batch in found:
        assert len(batch) == 1 or sum(t.cost_ns for t in batch[:-1]) + batch[-1].cost_ns // 2 < WORTH_NS
    if idle <= 1:  # every thread has something to do: a batch ends where the next task would lead away from the worth
        for batch, later in pairwise(found):
            assert len(batch) == 32 or sum(t.cost_ns for t in batch) + later[0].cost_ns // 2 >= WORTH_NS


def test_small_tasks_are_spread_over_idle_threads() -> None:
    assert [len(batch) for batch in batches([task(n, 1) for n in range(6)], 2)] == [3, 3]
    assert [len(batch) for batch in batches([task(n, WORTH_NS) for n in range(3)], 2)] == [1, 1, 1]
    assert batches([], 2) == []


def test_a_link_of_a_chain_goes_by_itself() -> None:
    operators()
    link = Expr("ema", (source("prices"),), (("span", 5),))
    chained = replace(task(1, 1), outputs=(Output(link, "key", "smooth"),))
    assert [len(batch) for batch in batches([chained, task(2, 1), task(3, 1)], 0)] == [1, 2]
