"""Batches of tasks on a worker: the cache is opened by its address, the tasks run one after the other."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path

from distributed import get_worker

from sigc.blocks.block import BlockStore
from sigc.cache.parquet import ParquetStore
from sigc.engine.core.run_block import run_block
from sigc.engine.core.task import Task, TaskOutcome

_WORKER_MEMORY_BYTES = 32 << 20  # block cache of a worker: small, as its tasks rarely read a block twice


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """The address by which workers open the same cache."""

    directory: str
    max_size_gb: float
    is_trusted: bool = False


_stores: dict[StoreAddress, ParquetStore] = {}
_stores_lock = threading.Lock()


def open_store(address: StoreAddress) -> BlockStore:
    """Return the cache at `address`, one per process."""
    with _stores_lock:
        if address not in _stores:
            _stores[address] = ParquetStore(
                Path(address.directory), address.max_size_gb, _WORKER_MEMORY_BYTES, is_trusted=address.is_trusted
            )
        return _stores[address]


def run_batch(tasks: tuple[Task, ...], address: StoreAddress) -> list[TaskOutcome]:
    """Run tasks one after the other on a worker (`join.carry_out` has checked the proof)."""
    where = str(get_worker().address)
    store = open_store(address)
    before = len(store.incidents())
    outcomes = []
    for task in tasks:
        outcome = run_block(task, store, where)
        outcomes.append(outcome)
        if outcome.lost:
            break
    found = store.incidents()[before:]
    if found:
        outcomes[0] = replace(outcomes[0], incidents=found)
    return outcomes
