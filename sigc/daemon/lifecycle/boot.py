"""The boot: every step from the first answer to ready. `why` names the step under way.

    1 the ledger, and with it the decisions of people; what the kill file halts is halted before anything is recovered
    2 the runner, and every strategy file
    3 recovery: each run that a crash left open gets its verdict, before anything new is scheduled; one whose slices are
      due later, or that is paused, goes on beside the daemon. Halt, pause, cancel and status answer from here on
    4 the cluster, if it is remote
    5 calendars and the schedule
    6 the first health checks, so that whoever is told that the daemon is ready sees its health

An error ends the start, except a remote cluster that does not answer yet: the boot waits for it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import platform
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from sigc import __version__
from sigc.clock import Clock
from sigc.config.settings import Config
from sigc.daemon.cluster import DaskCluster, WorkerBounds
from sigc.daemon.configured.calendars import open_calendars
from sigc.daemon.configured.configured import Configured
from sigc.daemon.controller import Controller, InForce
from sigc.daemon.kill_file_halts import take_in
from sigc.daemon.ledger_threads import LedgerThreads
from sigc.daemon.lifecycle.phase import LastRun, Phase
from sigc.daemon.ordering import status_text
from sigc.daemon.reconcile_loop import UnwatchedRun, write_verdict
from sigc.daemon.runs import LiveRun
from sigc.errors import SigcError
from sigc.host.cgroup import ControlGroup, worker_threads
from sigc.host.systemd import is_manager
from sigc.host.usage import usable_cpus
from sigc.store.ledger import jobs, meta, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.proof import prove

NO_CLUSTER = "the cluster does not answer"
_EXTENDED_S = 60.0  # by which systemd's start timeout is extended at a time
_ANSWERS_S = 30.0  # longest delay of readiness by orders whose outcome the broker does not tell, beyond their grace
_TAKEN_S = 2.0  # from one look at a work dir that is in use to the next
ALIVE = "alive"  # the file with the time at which the daemon was last alive
log = logging.getLogger("sigc.daemon")
T = TypeVar("T")


async def boot(daemon: Controller, first_checks: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Do all the steps. Return the schedule's task when the daemon is ready. Raise every error that ends the start."""
    start, work_dir = daemon.start, daemon.start.places.work_dir
    with _no_collections():
        _step(daemon, "the ledger is opened")
        opening = partial(daemon.parts.open_ledger, start.config, work_dir, daemon.clock)
        daemon.has_books(await _opened(daemon, opening))
        # Read before the background task writes it again: it dates the end of the life before.
        alive = await asyncio.to_thread(read_alive, work_dir)
        zone = start.config.schedule.timezone
        # True if the life before has no recorded end.
        was_cut_off = await daemon.books.write(lambda tx: meta.begin(tx, alive.isoformat() if alive else "", zone))
        if was_cut_off:
            log.warning("the daemon before was cut off", extra={"alive": str(alive)})
        for scope in await daemon.books.write(partial(take_in, work_dir=work_dir)):
            log.warning("halted by the kill file", extra={"scope": scope or "everything"})
        _step(daemon, "the ledger is compared with its audit")
        proof = await daemon.books.write(prove)
        for stop in proof.put_back:
            log.error("a stop had vanished from the ledger", extra={"stop": stop.name, "scope": stop.scope})
        for fault in proof.faults:
            log.error("the ledger is not what its audit comes to", extra={"of": fault.what, "found": fault.text})
        await daemon.read_decisions()
        daemon.quota = await asyncio.to_thread(limit_processors, start.config, daemon.quota)
        daemon.cluster = cluster_of(start.config, has_quota=daemon.quota is not None)
        _step(daemon, "strategies are checked")
        new = await make_in_force(daemon, start.configured, goes_on=was_cut_off)
        try:
            await asyncio.to_thread(new.runner.put_in_force)
        except SigcError as failure:
            log.error("%s", failure)
        daemon.put_in_force(new)
        daemon.versions = await asyncio.to_thread(versions)
    _step(daemon, "runs that were left open get their verdicts")
    # Before the schedule: a trade left open must be resolved before its strategy can trade again.
    await _recover(daemon)
    await _read_last_runs(daemon)
    await _await_cluster(daemon)
    _step(daemon, "the schedule is read")
    daemon.calendars = await asyncio.to_thread(open_calendars, daemon.configured, work_dir, daemon.clock.now())
    await daemon.timetable.restore(daemon.configured.jobs, daemon.calendars, alive, daemon.decided)
    for live in daemon.under_way():
        if not live.order.job:
            daemon.timetable.began(live.order.id, live.order.strategy)
    _step(daemon, "the first checks are made")
    await first_checks()
    daemon.why, daemon.phase = "", Phase.RUNNING
    return asyncio.get_running_loop().create_task(daemon.timetable.run())


async def _opened(daemon: Controller, opening: Callable[[], Ledger]) -> LedgerThreads:
    """Open the ledger. Under systemd wait while another process, such as a `sigc run`, has the work dir."""
    while True:
        try:
            return await LedgerThreads.open(opening)
        except SigcError as taken:
            if taken.diagnostics[0].code != "E311" or not is_manager(os.environ):
                raise
            if daemon.why != taken.diagnostics[0].message:
                log.warning("%s; waiting for it", taken)
            daemon.why = taken.diagnostics[0].message
            daemon.notifier.extend_timeout(_EXTENDED_S)
            await asyncio.sleep(_TAKEN_S)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Disable garbage collection while the libraries are loaded: a full collection holds the loop for 40 to 100 ms.

    The loaded objects are frozen, so that later collections do not scan them either.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _step(daemon: Controller, name: str) -> None:
    daemon.why = name
    log.debug("%s", name)


async def make_in_force(daemon: Controller, found: Configured, *, goes_on: bool = False) -> InForce:
    """Return a runner of the configuration with every strategy checked. Raise all errors of the strategies.

    goes_on: with the texts of strategies that were in force when the daemon was cut off.
    """
    config, services = found.loaded.config, daemon.services()
    runner = await asyncio.to_thread(daemon.parts.make_runner, config, found.strategies, services)
    try:
        checked = await asyncio.to_thread(partial(runner.check, goes_on=goes_on))
        problems = [d for one in checked for d in one.problems if d.severity == "error"]
        if problems:
            raise SigcError(*problems)
    except BaseException:
        await asyncio.to_thread(runner.close)
        raise
    for warning in (*found.loaded.findings, *(d for one in checked for d in one.problems)):
        log.warning("%s", warning.message, extra={"code": warning.code})
    return InForce(found, runner, checked)


async def _recover(daemon: Controller) -> None:
    """Give verdicts to what an earlier life left. Runs that wait for a later time go on when this returns."""
    left = [await daemon.complete(run, "the process ended") for run in await daemon.books.read(runs.open_trades)]
    keeping = asyncio.to_thread(daemon.in_force.runner.keep, "", UnwatchedRun())
    for found in (await _patiently(daemon, keeping)).verdicts:
        log.warning("recovered: %s: %s, %s", found.run, found.outcome, found.message)
    if left:
        await _patiently(daemon, _until_they_wait(daemon, left))
    for live in left:
        if live.end is None:
            log.warning("still being completed: %s: %s", live.order.id, live.text)
    for order in await daemon.books.read(jobs.left_open):
        if daemon.runs.find(order.id) is None:
            await daemon.books.write(partial(write_verdict, order))


async def _until_they_wait(daemon: Controller, left: Sequence[LiveRun]) -> None:
    """Wait until each run is over or waits for a later time; for answers of the broker not for ever."""
    execution = daemon.configured.loaded.config.execution
    tasks = [asyncio.ensure_future(live.until_it_waits()) for live in left]
    try:
        await asyncio.wait(tasks, timeout=execution.lookup_grace_s + _ANSWERS_S)
    finally:
        for task in tasks:
            task.cancel()


async def _patiently(daemon: Controller, work: Awaitable[T]) -> T:
    """Await it, and tell systemd again and again that the start takes longer."""
    task = asyncio.ensure_future(work)
    try:
        while True:
            daemon.notifier.extend_timeout(_EXTENDED_S)
            done, _ = await asyncio.wait([task], timeout=_EXTENDED_S / 4)
            if done:
                return task.result()
    finally:
        task.cancel()


def limit_processors(config: Config, quota: ControlGroup | None) -> ControlGroup | None:
    """Set the kernel's quota to the allowed share if a control group is ours. Return it, None without one."""
    share = config.daemon.cpu_limit_pct
    found = quota or (None if share is None else ControlGroup.find())
    if found is None:
        return None
    try:
        found.set(share, usable_cpus())
    except OSError as failure:
        log.warning("can't set the processor quota: %s", failure, extra={"cgroup": str(found.folder)})
        return None
    return found


def cluster_of(config: Config, *, has_quota: bool = False) -> DaskCluster | None:
    """Return the cluster that the settings name. A local one needs the cache on disk, which its workers share."""
    cache, held = config.daemon.cache, config.cluster.type in ("address", "class")
    if config.cluster.type == "none" or not (cache.enabled or held):
        return None
    data = Path(config.data.directory).expanduser()
    roots = (data.absolute(),) if data.is_dir() else ()
    place = Path(cache.directory).expanduser()
    share = config.daemon.cpu_limit_pct
    threads = None if share is None or has_quota else worker_threads(share, usable_cpus())
    bounds = WorkerBounds(config.daemon.memory_limit_mb, threads)
    return DaskCluster(config.cluster, place, cache.max_size_gb, roots, bounds, is_trusted=cache.trusted)


async def _await_cluster(daemon: Controller) -> None:
    """Wait until a remote cluster answers: it may start after the daemon."""
    cluster, wait_s = daemon.cluster, 1.0
    # The server answers meanwhile, with `why` as the reason; a stop cancels this task.
    while cluster is not None and cluster.is_held:
        daemon.why = daemon.why if daemon.why.startswith(NO_CLUSTER) else "the cluster is connected to"
        try:
            await asyncio.to_thread(cluster.open)
        except SigcError as error:
            daemon.why = f"{NO_CLUSTER}: {error}"
            log.warning("%s", daemon.why)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, 30.0)
        else:
            return


async def _read_last_runs(daemon: Controller) -> None:
    for strategy in daemon.configured.strategies:
        found = await daemon.books.read(partial(jobs.last_of, strategy=strategy.name))
        if found is not None and daemon.runs.find(found.id) is None:
            at = found.finished or found.asked
            daemon.last[strategy.name] = LastRun(found.id, at, status_text(found.outcome))


def versions() -> Mapping[str, str]:
    """Return the versions of everything that decides results."""
    packages = ("numpy", "numba", "pyarrow", "dask", "exchange_calendars", "tornado")
    return {"sigc": __version__, "python": platform.python_version(), **{name: version(name) for name in packages}}


def read_alive(work_dir: Path) -> datetime | None:
    """Return when the daemon of this work dir was last alive, None if unknown."""
    try:
        return datetime.fromisoformat((work_dir / ALIVE).read_text(encoding="ascii").strip()).astimezone(UTC)
    except (OSError, ValueError):
        return None


def write_alive(work_dir: Path, clock: Clock) -> None:
    """Record that the daemon is alive now, so that the next start knows how long it was down."""
    temporary = work_dir / f".{ALIVE}"
    temporary.write_text(clock.now().isoformat() + "\n", encoding="ascii")
    temporary.replace(work_dir / ALIVE)
