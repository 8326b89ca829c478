"""Tasks put together for workers: worth sending, in order, each once, and never so that a thread goes without."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sigc.blocks import Block
from sigc.engine.dask import batches
from sigc.engine.task import Task

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
        assert sum(t.cost_ns for t in batch[:-1]) < WORTH_NS
    if idle <= 1:  # every thread has something to do: only the last batch may be worth less
        assert all(sum(t.cost_ns for t in batch) >= WORTH_NS or len(batch) == 32 for batch in found[:-1])


def test_small_tasks_are_spread_over_idle_threads() -> None:
    assert [len(batch) for batch in batches([task(n, 1) for n in range(6)], 2)] == [3, 3]
    assert [len(batch) for batch in batches([task(n, WORTH_NS) for n in range(3)], 2)] == [1, 1, 1]
    assert batches([], 2) == []
