"""The Dask engine: tasks on workers, fed in a window, so that tasks stay in the hundreds.

The strategy's DAG is the graph: no dask.array, no HighLevelGraph, no futures that depend on futures. A
future carries one or several tasks (batched until they are worth 0.2 s); what comes back are facts.

Neighbours: `cluster.py` opens the client this engine is handed, `drive.py` feeds it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import uuid
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distributed import Client, get_worker
from distributed.scheduler import KilledWorker

from sigc.blocks import BlockStore
from sigc.cache.parquet import ParquetStore
from sigc.engine.drive import EngineLostError
from sigc.engine.run_block import run_block
from sigc.engine.task import Outcome, Task
from sigc.errors import Diagnostic, SigcError
from sigc.ops.fingerprint import kernel_digests

EVENTS = "sigc-workers"  # the topic on which the scheduler tells of workers that come and go
_WORTH_A_BATCH_NS = 200_000_000
_BATCHES_PER_THREAD = 3
_MOST_IN_A_BATCH = 32
_WORKER_MEMORY_BYTES = 32 << 20  # of blocks kept by a worker: its tasks rarely read one twice
_RESTARTED_WITHIN_S = 30
_MOST_HANGS = 2  # deadlines missed in a row, workers restarted each time


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where workers open the same cache."""

    directory: str
    max_size_gb: float
    is_trusted: bool = False


_stores: dict[StoreAddress, ParquetStore] = {}
_stores_lock = threading.Lock()


def open_store(address: StoreAddress) -> BlockStore:
    """The cache at `address`, one per process."""
    with _stores_lock:
        if address not in _stores:
            _stores[address] = ParquetStore(
                Path(address.directory), address.max_size_gb, _WORKER_MEMORY_BYTES, is_trusted=address.is_trusted
            )
        return _stores[address]


def run_batch(tasks: tuple[Task, ...], address: StoreAddress) -> list[Outcome]:
    """Run tasks one after the other on a worker."""
    store = open_store(address)
    before = len(store.incidents())
    where = str(get_worker().address)
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


class DaskExecutor:
    """Feeds tasks to the workers of `client`. deadline_s bounds one batch (0: none).

    Raises `SigcError` with a readable cause for a task that failed, or whose workers were killed under it.
    """

    def __init__(self, client: Client, address: StoreAddress, slice_bytes: int, deadline_s: float = 0) -> None:
        self._client = client
        self._address = address
        self._slice_bytes = slice_bytes
        self._deadline_s = deadline_s
        self._batches: dict[str, tuple[Any, tuple[Task, ...]]] = {}
        self._arrived: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._home: deque[Outcome] = deque()
        self._incidents: deque[str] = deque()
        self._threads = 1  # of all workers together, when last asked
        self._tasks_a_batch = 1
        self._hung = 0
        self._scheduler = str(client.scheduler_info()["address"])
        client.subscribe_topic(EVENTS, self._hear)

    @property
    def window(self) -> int:
        """As many tasks as make some batches for every thread.

        None while outcomes wait to be taken in: what they open is asked for at once, so that it makes a batch again.
        """
        if self._home:
            return 0
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        self._threads = max(1, sum(int(w["nthreads"]) for w in workers))
        return _BATCHES_PER_THREAD * self._threads * self._tasks_a_batch

    @property
    def slice_bytes(self) -> int:
        return self._slice_bytes

    def prepare(self, operators: Collection[str]) -> None:
        """Refuse workers whose kernels make other bits than ours of the same data. One that died is skipped.

        One that is silent beyond the deadline is restarted, and asked again.
        """
        ours = kernel_digests(operators)
        answers = self._ask(sorted(operators), self._workers())
        silent = [worker for worker, answer in answers.items() if isinstance(answer, TimeoutError)]
        if silent:
            self._restart(silent)
            answers |= self._ask(sorted(operators), [w for w in self._workers() if w not in answers])
        errors = []
        for worker, theirs in sorted(answers.items()):
            differs = [] if isinstance(theirs, Exception) else sorted(n for n, d in ours.items() if theirs.get(n) != d)
            if differs:
                message = f"worker {worker} computes other bits than this machine: {', '.join(differs)}"
                errors.append(Diagnostic("E402", message, hint="use workers of the same class of CPU"))
        if errors:
            raise SigcError(*errors)

    def submit(self, tasks: Sequence[Task]) -> None:
        mean_ns = sum(task.cost_ns for task in tasks) // max(1, len(tasks))
        self._tasks_a_batch = max(1, min(_MOST_IN_A_BATCH, round(_WORTH_A_BATCH_NS / max(1, mean_ns))))
        for batch in batches(tasks, self._threads - len(self._batches)):
            # A key is used once: a batch that is sent again after a loss must not meet its own earlier result.
            key = f"sigc-{batch[0].outputs[0].key[:16]}-{uuid.uuid4().hex[:8]}"
            first = int(_is_chained(batch[0]))  # what waits for the next link of a chain is the longest way of a run
            future = self._client.submit(run_batch, batch, self._address, key=key, pure=False, priority=first)
            self._batches[key] = (future, batch)
            future.add_done_callback(lambda _, key=key: self._arrived.put(key))

    def next(self) -> Outcome:
        while not self._home:
            key = self._next_key()
            if key in self._batches:  # else it was cancelled
                future, batch = self._batches.pop(key)
                self._home.extend(self._result(future, batch))
        return self._home.popleft()

    def cancel(self) -> None:
        if self._client.status == "running":
            self._client.cancel([f for f, _ in self._batches.values()], force=True)
        self._batches.clear()
        self._home.clear()

    def incidents(self) -> list[str]:
        found = list(self._incidents)
        self._incidents.clear()
        return found

    def close(self) -> None:
        self.cancel()
        if self._client.status == "running":
            self._client.unsubscribe_topic(EVENTS)

    def _next_key(self) -> str:
        """The key of a batch that came home. Workers that are silent beyond the deadline are restarted."""
        while True:
            try:
                key = self._arrived.get(timeout=self._deadline_s or None)
            except queue.Empty:
                self._hung += 1
                if self._hung > _MOST_HANGS:
                    message = f"no block was finished within {self._deadline_s:.0f} s, {self._hung} times in a row"
                    hint = "raise cluster.deadline_s, or make blocks smaller with a lower memory_limit"
                    raise SigcError(Diagnostic("E300", message, hint=hint)) from None
                self._restart_busy()
            else:
                self._hung = 0
                return key

    def _workers(self) -> list[str]:
        return sorted(self._client.scheduler_info(n_workers=-1)["workers"])

    def _ask(self, operators: list[str], workers: list[str]) -> dict[str, Any]:
        """The digests that each worker makes, all at the same time, or what came instead of them."""

        def asked(worker: str) -> Any:
            try:
                limit = {"callback_timeout": self._deadline_s} if self._deadline_s else {}
                ask = self._client._run  # the public one waits for all, however long
                found = self._client.sync(ask, kernel_digests, operators, workers=[worker], on_error="return", **limit)
                return found.get(worker, ConnectionError("is gone"))
            except Exception as failure:
                return failure

        if not workers:
            return {}
        with ThreadPoolExecutor(len(workers), "sigc-ask") as pool:
            return dict(zip(workers, pool.map(asked, workers), strict=True))

    def _restart_busy(self) -> None:
        """Restart the workers that hold tasks; the scheduler sends the tasks again."""
        self._restart([w for w, keys in self._client.processing().items() if keys])

    def _restart(self, workers: list[str]) -> None:
        """End workers that hang and have them started again. Others may end or restart them at the same time."""
        self._incidents.append(f"{len(workers)} worker(s) finished nothing for {self._deadline_s:.0f} s: restarted")
        for worker in workers:
            # Gone by now (KeyError), or not back in time (TimeoutError): the deadline watches over what follows.
            with contextlib.suppress(KeyError, TimeoutError, OSError, ValueError):
                self._client.restart_workers([worker], timeout=_RESTARTED_WITHIN_S)

    def _result(self, future: Any, batch: tuple[Task, ...]) -> list[Outcome]:
        try:
            outcomes: list[Outcome] = future.result()
        except SigcError:
            raise
        except CancelledError as lost:
            raise EngineLostError(f"the scheduler {self._scheduler} was lost") from lost
        except KilledWorker as killed:
            raise SigcError(_killed(killed, batch)) from killed
        except Exception as failure:
            message = f"a worker failed on {_name(batch)}: {type(failure).__name__}: {failure}"
            raise SigcError(Diagnostic("E300", message, batch[0].outputs[0].node.span)) from failure
        return outcomes

    def _hear(self, event: tuple[float, Any]) -> None:
        _, message = event
        self._incidents.append(str(message["text"]))


def batches(tasks: Sequence[Task], idle: int) -> list[tuple[Task, ...]]:
    """Tasks put together until a batch is about worth sending, never so that one of the `idle` threads goes without.

    The nearest to what is worth it, below or above: larger batches leave workers waiting for the last one of a run.
    A link of a carry chain goes by itself: the next one waits for it.
    """
    most = min(_MOST_IN_A_BATCH, max(1, len(tasks) // max(1, idle)))
    found: list[tuple[Task, ...]] = []
    current: list[Task] = []
    cost_ns = 0
    for task in tasks:
        if _is_chained(task):
            found.append((task,))
            continue
        if current and (len(current) >= most or cost_ns + task.cost_ns // 2 >= _WORTH_A_BATCH_NS):
            found.append(tuple(current))
            current, cost_ns = [], 0
        current.append(task)
        cost_ns += task.cost_ns
    if current:
        found.append(tuple(current))
    return found


def _is_chained(task: Task) -> bool:
    return any(output.node.carried for output in task.outputs)


def _name(batch: tuple[Task, ...]) -> str:
    return ", ".join(sorted({f"{o.name} {t.block.label}" for t in batch for o in t.outputs}))


def _killed(killed: KilledWorker, batch: tuple[Task, ...]) -> Diagnostic:
    message = (
        f"workers died {killed.allowed_failures + 1} times while computing {_name(batch)}; "
        f"the last was {killed.last_worker.address}"
    )
    hint = "most often memory: raise cluster.memory_limit or use fewer threads a worker"
    return Diagnostic("E300", message, batch[0].outputs[0].node.span, hint=hint)
