"""What stays on a scheduler while a client of ours is there, and judges every worker that joins.

These classes and functions travel as code, not by name (`workers.py` sees to that), so that they run on schedulers and
workers without sigc, or with another: nothing here may name sigc but inside of `judged`.

    hang(...)     on the scheduler: workers that join from now on are judged by `Join`
    carry_out     on a worker: a batch of tasks, where the process has proved what is required
    Join          on a worker, before its first task: it proves what is required, or leaves with the reason in its log
    Keeper        on the scheduler: tells of lost workers, and takes away what a client hung there when that is gone
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle
import distributed
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

EVENTS = "sigc-workers"  # the topic on which is told of workers that come and go
_LEAVES_WITHIN_S = 10


async def judged(required: str, folder: str, niceness: int) -> tuple[str, bool]:
    """What this process lacks of a requirement ('' for nothing), and whether it has sigc at all.

    folder: where compiled kernels are kept, '' where that is known already.
    """
    try:
        import pathlib

        from sigc.ops import jit

        if folder:  # before the first await, so that what is judged beside it finds them too
            jit.prepare(pathlib.Path(folder))
        from sigc.engine.executors.nice import give_way
        from sigc.engine.executors.proof import unmet

        give_way(niceness)
        return await asyncio.to_thread(unmet, required), True
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "sigc":
            return f"has no sigc, or another ({missing})", missing.name != "sigc"
        return f"can't load sigc: {missing}", True
    except Exception as failure:
        return f"can't prove what it computes: {type(failure).__name__}: {failure}", True


def carry_out(payload: bytes, required: str) -> Any:
    """On a worker: compute a batch of tasks, if this process proves what is required; else say who refuses and why.

    payload: pickled, so that neither a scheduler nor a worker without sigc has to read it.
    """
    where = str(distributed.get_worker().address)
    try:
        from sigc.engine.executors.proof import unmet

        if why := unmet(required):
            return {"refused": where, "why": why}
        from sigc.engine.executors.batch import run_batch
    except ImportError as missing:
        return {"refused": where, "why": f"has no sigc, or another ({missing})"}
    tasks, address = pickle.loads(payload)  # noqa: S301  # Dask's own way of sending tasks is no other
    return run_batch(tasks, address)


class ByValue:
    """A function of this module that arrives as its code, wherever it is sent."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function, self._code = function, cloudpickle.dumps(function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes]]:
        return pickle.loads, (self._code,)


class Join(WorkerPlugin):
    """Judges a worker when it joins. required, folder, niceness: see `judged`."""

    def __init__(self, name: str, required: str, folder: str, niceness: int) -> None:
        self.name, self.required, self.folder, self.niceness = name, required, folder, niceness

    async def setup(self, worker: Any) -> None:
        """Have a worker leave that lacks what is required. One without sigc is another team's: it stays."""
        why, has_sigc = await judged(self.required, self.folder, self.niceness)
        if not why:
            return
        text = f"worker {worker.address} does not compute: it {why}"
        logging.getLogger("distributed.worker").error("sigc: %s", text)
        worker.log_event(EVENTS, told(str(worker.address), why, text, self.required, self.name, is_ours=has_sigc))
        if has_sigc:
            worker.status = distributed.Status.paused  # no task begins until it is gone
            self.leaving = asyncio.create_task(_leave(worker, text))


def told(address: str, why: str, text: str, required: str, by: str, *, is_ours: bool) -> dict[str, Any]:
    """An event: a worker was refused, for which cache and by whom. is_ours: it has sigc; else no client can use it."""
    mark = json.loads(required)["mark"]
    cache = mark.rpartition("/")[0]
    return {"refused": address, "why": why, "text": text, "by": by, "cache": cache, "is_ours": is_ours}


async def _leave(worker: Any, why: str) -> None:
    """In good order, so that its tasks go elsewhere and are not suspected of having ended it."""
    with contextlib.suppress(Exception):
        retired = worker.scheduler.retire_workers(
            workers=[worker.address], close_workers=True, remove=True, stimulus_id="retire-refused-by-sigc"
        )
        await asyncio.wait_for(retired, _LEAVES_WITHIN_S)
    await worker.close(reason=why)


class Keeper(SchedulerPlugin):
    """client: the ID of the client whose plugins these are."""

    def __init__(self, client: str) -> None:
        self.client, self.name = client, f"sigc-keeper-{client}"

    def remove_worker(self, scheduler: Any, worker: str, *, stimulus_id: str, **_: Any) -> None:
        """Tell of a worker that was lost: once, however many clients are there."""
        first = next(name for name in scheduler.plugins if name.startswith("sigc-keeper-"))
        is_lost = scheduler.status == distributed.Status.running and "retire" not in stimulus_id
        if is_lost and first == self.name:
            scheduler.log_event(EVENTS, {"text": f"worker {worker} was lost; its blocks were computed again"})

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Leave nothing of a client that is gone, in good order or not."""
        if client == self.client:
            take_down(client, dask_scheduler=scheduler)


def hang(name: str, plugin: bytes, client: str, dask_scheduler: Any = None) -> None:
    """Judge workers that join from now on."""
    dask_scheduler.worker_plugins[f"{name}-{client}"] = plugin
    keeper = Keeper(client)
    if keeper.name not in dask_scheduler.plugins:
        dask_scheduler.add_plugin(keeper, name=keeper.name)


def take_down(client: str, name: str = "", dask_scheduler: Any = None) -> None:
    """Whatever `hang` has hung for a client, or what it has hung under one name."""
    for found in [n for n in dask_scheduler.worker_plugins if n.startswith(name or "sigc-") and n.endswith(client)]:
        del dask_scheduler.worker_plugins[found]
    if not name:
        dask_scheduler.plugins.pop(f"sigc-keeper-{client}", None)


def answers() -> bool:
    """On a worker: that it answers."""
    return True
