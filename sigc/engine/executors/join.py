"""The part of sigc that stays on a scheduler while a client exists, and checks every worker that joins.

These classes and functions travel as code, not by name (`workers.py`), so that they run on schedulers and workers
without sigc, or with another version: nothing here may import sigc, except inside of `judged` and `carry_out`.

    hang(...)     on the scheduler: `Join` checks workers that join from now on
    carry_out     on a worker: run a batch of tasks if the process has proved the requirement
    Join          on a worker, before its first task: prove the requirement, or leave with the reason in the log
    Keeper        on the scheduler: report lost workers, and remove a client's plugins when it is gone
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

EVENTS = "sigc-workers"  # the topic of events about workers
_LEAVES_WITHIN_S = 10


async def judged(required: str, folder: str, niceness: int) -> tuple[str, bool]:
    """Return (differences of this process to a requirement, '' for none; True if it has sigc).

    folder: of compiled kernels, '' if it is set already.
    """
    try:
        import pathlib

        from sigc.ops import jit

        if folder:  # before the first await, so that concurrent checks find it set
            jit.prepare(pathlib.Path(folder))
        from sigc.engine.executors.nice import give_way
        from sigc.engine.executors.proof import unmet

        give_way(niceness)
        return await asyncio.to_thread(unmet, required), True
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "sigc":
            return f"has no sigc, or another version ({missing})", missing.name != "sigc"
        return f"can't load sigc: {missing}", True
    except Exception as failure:
        return f"can't prove what it computes: {type(failure).__name__}: {failure}", True


def carry_out(payload: bytes, required: str) -> Any:
    """Run a batch of tasks on a worker if this process proves the requirement; else return the refusal and its reason.

    payload: pickled, so that a scheduler or worker without sigc need not read it.
    """
    where = str(distributed.get_worker().address)
    try:
        from sigc.engine.executors.proof import unmet

        if why := unmet(required):
            return {"refused": where, "why": why}
        from sigc.engine.executors.batch import run_batch
    except ImportError as missing:
        return {"refused": where, "why": f"has no sigc, or another version ({missing})"}
    tasks, address = pickle.loads(payload)  # noqa: S301  # Dask itself sends tasks as pickles
    return run_batch(tasks, address)


class ByValue:
    """A function of this module that is pickled as code."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function, self._code = function, cloudpickle.dumps(function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes]]:
        return pickle.loads, (self._code,)


class Join(WorkerPlugin):
    """A plugin that checks a worker when it joins. required, folder, niceness: see `judged`."""

    def __init__(self, name: str, required: str, folder: str, niceness: int) -> None:
        self.name, self.required, self.folder, self.niceness = name, required, folder, niceness

    async def setup(self, worker: Any) -> None:
        """Make a worker leave if it fails the check. One without sigc belongs to another team: it stays."""
        why, has_sigc = await judged(self.required, self.folder, self.niceness)
        if not why:
            return
        text = f"worker {worker.address} does not compute: it {why}"
        logging.getLogger("distributed.worker").error("sigc: %s", text)
        worker.log_event(EVENTS, told(str(worker.address), why, text, self.required, self.name, is_ours=has_sigc))
        if has_sigc:
            worker.status = distributed.Status.paused  # no task starts before it is gone
            self.leaving = asyncio.create_task(_leave(worker, text))


def told(address: str, why: str, text: str, required: str, by: str, *, is_ours: bool) -> dict[str, Any]:
    """Return the event of a refused worker. is_ours: it has sigc; else no sigc client can use it."""
    mark = json.loads(required)["mark"]
    cache = mark.rpartition("/")[0]
    return {"refused": address, "why": why, "text": text, "by": by, "cache": cache, "is_ours": is_ours}


async def _leave(worker: Any, why: str) -> None:
    """Retire the worker properly, so that its tasks move elsewhere and are not blamed for its end."""
    with contextlib.suppress(Exception):
        retired = worker.scheduler.retire_workers(
            workers=[worker.address], close_workers=True, remove=True, stimulus_id="retire-refused-by-sigc"
        )
        await asyncio.wait_for(retired, _LEAVES_WITHIN_S)
    await worker.close(reason=why)


class Keeper(SchedulerPlugin):
    """A scheduler plugin that reports lost workers and cleans up. client: the ID of the client that it serves."""

    def __init__(self, client: str) -> None:
        self.client, self.name = client, f"sigc-keeper-{client}"

    def remove_worker(self, scheduler: Any, worker: str, *, stimulus_id: str, **_: Any) -> None:
        """Report a lost worker: once, for any number of clients."""
        first = next(name for name in scheduler.plugins if name.startswith("sigc-keeper-"))
        is_lost = scheduler.status == distributed.Status.running and "retire" not in stimulus_id
        if is_lost and first == self.name:
            scheduler.log_event(EVENTS, {"text": f"worker {worker} was lost; its blocks were recomputed"})

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Remove everything of a client that is gone, properly closed or not."""
        if client == self.client:
            take_down(client, dask_scheduler=scheduler)


def hang(name: str, plugin: bytes, client: str, dask_scheduler: Any = None) -> None:
    """Install the check of workers that join from now on."""
    dask_scheduler.worker_plugins[f"{name}-{client}"] = plugin
    keeper = Keeper(client)
    if keeper.name not in dask_scheduler.plugins:
        dask_scheduler.add_plugin(keeper, name=keeper.name)


def take_down(client: str, name: str = "", dask_scheduler: Any = None) -> None:
    """Remove everything that `hang` installed for a client, or under one name."""
    for found in [n for n in dask_scheduler.worker_plugins if n.startswith(name or "sigc-") and n.endswith(client)]:
        del dask_scheduler.worker_plugins[found]
    if not name:
        dask_scheduler.plugins.pop(f"sigc-keeper-{client}", None)


def answers() -> bool:
    """Return True: the worker answers."""
    return True
