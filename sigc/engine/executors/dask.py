"""The Dask engine: tasks on workers, fed in a window, so that only hundreds of tasks are in flight.

The strategy's DAG is the graph: no dask.array, no HighLevelGraph, no futures that depend on futures. A future carries
one or several tasks (batched until they are worth 0.2 s) and returns facts.

Neighbours: `cluster.py` opens the client, `drive.py` feeds the engine.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import time
import uuid
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from distributed import Client
from distributed.scheduler import KilledWorker

from sigc.engine.core.drive import EngineLostError
from sigc.engine.core.task import Task, TaskOutcome
from sigc.engine.executors.batch import StoreAddress
from sigc.engine.executors.join import EVENTS
from sigc.engine.executors.proof import digests, put_mark, requirement
from sigc.engine.executors.workers import CARRY_OUT, Workers, is_same_cache
from sigc.errors import Diagnostic, SigcError
from sigc.words import counted

_WORTH_A_BATCH_NS = 200_000_000
_BATCHES_PER_THREAD = 3
_MOST_IN_A_BATCH = 32
_RESTARTED_WITHIN_S = 30
_LOOKS_EVERY_S = 2.0  # interval of checks of workers while no batch arrives
_SILENT_S = 60.0  # without a heartbeat; then a worker's batches go elsewhere
_LEAST_SILENT_S = 5.0  # several heartbeats
_MOST_REFUSALS = 50  # per run: workers that are refused and restarted form a loop
_MOST_HANGS = 2  # consecutive missed deadlines, with workers restarted each time


class DaskExecutor:
    """An executor on the workers of `client`. deadline_s bounds one batch (0: none); patience_s a wait for any worker.

    Each batch names the requirement; a worker that does not meet it computes nothing, is reported, and gets no more.
    `next` raises `SigcError` with a readable cause for a task that failed, or whose workers were killed.
    """

    def __init__(
        self,
        client: Client,
        address: StoreAddress,
        slice_bytes: int,
        deadline_s: float = 0,
        patience_s: float = 30.0,
    ) -> None:
        self._client = client
        self._address = address
        self._slice_bytes = slice_bytes
        self._deadline_s = deadline_s
        self._workers = Workers(client, patience_s)
        self._name = f"sigc-run-{uuid.uuid4().hex[:8]}"
        self._required = ""
        self._batches: dict[str, tuple[Any, tuple[Task, ...]]] = {}
        self._arrived: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._home: deque[TaskOutcome] = deque()
        self._incidents: deque[str] = deque()
        self._threads = 1  # of all workers together, at the last request
        self._tasks_a_batch = 1
        self._hung = 0
        self._progress_at = time.monotonic()
        self._alone_since: float | None = None
        self._seen: dict[
            str, tuple[object, float]
        ] = {}  # each worker's last heartbeat, and the time it was first seen here
        self._scheduler = str(client.scheduler_info()["address"])
        client.subscribe_topic(EVENTS, self._hear)

    @property
    def window(self) -> int:
        """Return the number of tasks that gives every thread some batches.

        0 while outcomes wait to be processed: the tasks that they make ready should form a batch.
        """
        if self._home:
            return 0
        with self._reached():
            self._threads = max(1, sum(int(w["nthreads"]) for w in self._workers.usable().values()))
        return _BATCHES_PER_THREAD * self._threads * self._tasks_a_batch

    @property
    def slice_bytes(self) -> int:
        return self._slice_bytes

    def prepare(self, operators: Collection[str]) -> None:
        """Have workers prove that they compute the same bits of these operators in the same cache, late ones as they
        join.

        Those that fail are set aside; a silent one is restarted and asked again. Raise `SigcError` (E402) if there are
        workers and none is usable.
        """
        self._required = requirement(put_mark(Path(self._address.directory)), (), digests(operators))
        with self._reached():
            silent = self._workers.admit(self._name, self._required)
            if silent:
                self._restart(silent)
                for address in self._workers.judge(self._required):
                    self._tell(self._workers.set_aside(address, "does not answer"))
            self._incidents.extend(text for text in self._workers.refusals if text not in self._incidents)
            if self._workers.refusals and not self._workers.usable():
                raise self._workers.nobody()

    def submit(self, tasks: Sequence[Task]) -> None:
        mean_ns = sum(task.cost_ns for task in tasks) // max(1, len(tasks))
        self._tasks_a_batch = max(1, min(_MOST_IN_A_BATCH, round(_WORTH_A_BATCH_NS / max(1, mean_ns))))
        for batch in batches(tasks, self._threads - len(self._batches)):
            self._send(batch)

    def next(self) -> TaskOutcome:
        while not self._home:
            key = self._next_key()
            if key in self._batches:  # otherwise it was cancelled
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
            self._workers.leave(self._name)

    def _send(self, batch: tuple[Task, ...]) -> None:
        """Send a batch to any worker that is not set aside."""
        chosen: dict[str, Any] = {}
        if self._workers.aside:
            with self._reached():
                self._workers.wait(self._tell)
                chosen = {"workers": sorted(self._workers.usable()), "allow_other_workers": False}
        # A key is used once: a batch sent again after a loss must not get its own earlier result.
        key = f"sigc-{batch[0].outputs[0].key[:16]}-{uuid.uuid4().hex[:8]}"
        first = int(_is_chained(batch[0]))  # carry chains are the critical path of a run
        payload = pickle.dumps((batch, self._address), pickle.HIGHEST_PROTOCOL)
        future = self._client.submit(CARRY_OUT, payload, self._required, key=key, pure=False, priority=first, **chosen)
        self._await(future, batch)

    def _await(self, future: Any, batch: tuple[Task, ...]) -> None:
        self._batches[future.key] = (future, batch)
        future.add_done_callback(lambda done: self._arrived.put(done.key))

    def _next_key(self) -> str:
        """Return the key of a batch that arrived. Workers that are silent beyond the deadline are restarted."""
        self._progress_at = time.monotonic()
        while True:
            try:
                key = self._arrived.get(timeout=min(_LOOKS_EVERY_S, self._deadline_s or _LOOKS_EVERY_S))
            except queue.Empty:
                with self._reached():
                    self._look()
                if self._deadline_s and time.monotonic() - self._progress_at >= self._deadline_s:
                    self._overdue()
            else:
                self._hung, self._alone_since = 0, None
                return key

    def _overdue(self) -> None:
        self._hung += 1
        if self._hung > _MOST_HANGS:
            message = f"no block was finished within {self._deadline_s:.0f} s, {self._hung} times in a row"
            hint = "raise cluster.deadline_s, or make blocks smaller with a lower memory_limit"
            raise SigcError(Diagnostic("E300", message, hint=hint))
        self._restart_busy()
        self._progress_at = time.monotonic()

    def _look(self) -> None:
        """Check the workers while no batch arrives: there must be some, and none that holds a batch may be silent."""
        usable, now = self._workers.usable(), time.monotonic()
        if usable:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        elif now - self._alone_since > self._workers.patience_s:
            raise self._workers.nobody()
        for address, told in usable.items():
            # Compare heartbeats by this machine's clock: `last_seen` is by the scheduler's, which may differ.
            seen, since = self._seen.get(address, (None, now))
            self._seen[address] = (seen, since) if seen == told["last_seen"] else (told["last_seen"], now)
        silent = [address for address in usable if now - self._seen[address][1] > self._silent_s]
        if silent:
            self._send_elsewhere(silent)
            self._hung, self._progress_at = 0, time.monotonic()

    @property
    def _silent_s(self) -> float:
        """Return how long a worker may be silent."""
        return min(_SILENT_S, max(_LEAST_SILENT_S, self._deadline_s)) if self._deadline_s else _SILENT_S

    def _send_elsewhere(self, silent: list[str]) -> None:
        """Send the batches of these workers, finished or not, to others; restart those with a nanny."""
        held = [*self._client.processing(silent).values(), *self._client.has_what(silent).values()]
        watched = [address for address, told in self._workers.usable().items() if address in silent and told["nanny"]]
        for address in silent:
            self._tell(self._workers.set_aside(address, f"was silent for {self._silent_s:.0f} s"))
        for key in {key for keys in held for key in keys if key in self._batches}:
            future, batch = self._batches.pop(key)
            self._client.cancel([future], force=True)
            self._send(batch)
        self._restart(watched)

    def _restart_busy(self) -> None:
        """Restart the workers that hold tasks; the scheduler sends their tasks again."""
        self._restart([w for w, keys in self._client.processing().items() if keys])

    def _restart(self, workers: list[str]) -> None:
        """Restart hanging workers. Other clients may end or restart them at the same time."""
        after = f" for {self._deadline_s:.0f} s" if self._deadline_s else ""
        if workers:
            self._incidents.append(f"{counted(len(workers), 'worker')} finished nothing{after}: restarted")
        for worker in workers:
            # Gone already (KeyError), or not back in time (TimeoutError): the deadline covers both.
            with contextlib.suppress(KeyError, TimeoutError, OSError, ValueError):
                self._client.restart_workers([worker], timeout=_RESTARTED_WITHIN_S)

    def _result(self, future: Any, batch: tuple[Task, ...]) -> list[TaskOutcome]:
        try:
            found: list[TaskOutcome] | dict[str, str] | None = self._fetched(future)
        except SigcError:
            raise
        except CancelledError as lost:
            raise EngineLostError(f"the scheduler {self._scheduler} was lost") from lost
        except KilledWorker as killed:
            raise SigcError(_killed(killed, batch)) from killed
        except Exception as failure:
            if self._was_refused():  # by a worker that can't even unpickle it
                self._send(batch)
                return []
            message = f"a worker failed on {_name(batch)}: {type(failure).__name__}: {failure}"
            raise SigcError(Diagnostic("E300", message, batch[0].outputs[0].node.span)) from failure
        if found is None:
            if future.status == "finished":
                self._not_handed_over(future)
                self._send(batch)
            else:
                self._await(future, batch)
            return []
        if isinstance(found, dict):
            self._refused(found["refused"], found["why"])
            self._send(batch)
            return []
        return found

    def _fetched(self, future: Any) -> Any:
        """Return the result of a batch. None: its worker does not hand it over, or was lost, and it is computed
        again.
        """
        until = time.monotonic() + self._silent_s
        while future.status == "finished" and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                return future.result(timeout=min(_LOOKS_EVERY_S, self._silent_s))
        return None if future.status in ("finished", "pending", "lost") else future.result()

    def _not_handed_over(self, future: Any) -> None:
        """Set aside the workers that hold a result and do not send it: they stopped after the work was done."""
        with self._reached():
            holders = self._client.who_has([future]).get(future.key, ())
            self._client.cancel([future], force=True)
            self._send_elsewhere([address for address in holders if address in self._workers.usable()])

    def _refused(self, worker: str, why: str) -> None:
        """Send nothing more to a worker. Raise `SigcError` after too many refusals."""
        if worker not in self._workers.aside:
            self._tell(self._workers.set_aside(worker, why))
        if len(self._workers.refusals) > _MOST_REFUSALS:
            raise self._workers.nobody()

    def _was_refused(self) -> bool:
        """Return True if a check finds a worker that must be refused, and was not set aside yet."""
        known = len(self._workers.refusals)
        with self._reached():
            self._workers.judge(self._required)
        found = self._workers.refusals[known:]
        for text in found:
            self._tell(text)
        return bool(found) and known < _MOST_REFUSALS

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """Turn a timeout or a lost connection into `EngineLostError`."""
        try:
            yield
        except TimeoutError as silent:
            raise EngineLostError(f"the scheduler {self._scheduler} did not answer in time") from silent
        except OSError as lost:
            raise EngineLostError(f"the scheduler {self._scheduler} was lost") from lost

    def _tell(self, text: str) -> None:
        if text not in self._incidents:
            self._incidents.append(text)

    def _hear(self, event: tuple[float, Any]) -> None:
        """Process an event about workers: lost, or refused."""
        _, message = event
        address = message.get("refused")
        if address is None:
            self._tell(str(message["text"]))
        elif message["by"].endswith(self._client.id) or not message["is_ours"]:
            self._workers.heard(address, str(message["why"]), str(message["text"]))
            self._tell(str(message["text"]))
        elif is_same_cache(message, self._address.directory):
            self._tell(str(message["text"]))


def batches(tasks: Sequence[Task], idle: int) -> list[tuple[Task, ...]]:
    """Group tasks into batches that are worth sending, but leave none of the `idle` threads without one.

    A batch ends nearest to the target, below or above: larger batches leave workers waiting for the last one of a run.
    A link of a carry chain goes alone: the next one waits for it.
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
