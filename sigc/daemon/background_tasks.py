"""What the daemon does all along, whatever else happens: each a task of the loop, the slow part of it in a thread.

    lag      how late the loop comes           usage    memory and processor time, and what is done above limits
    checks   health                            alive    the file that tells the next start when we last were
    halts    what a run has halted by itself is known to the status
    mirror   state.json                        dog      systemd's watchdog
    cluster  one of ours rests, one of others is connected to again
    days     calendars are opened again each day, so that they never run out
    books    what `reconcile_loop.py` does for each strategy's book between its runs
    alerts   what `alerting.py` sends to the channels

And the plain pages, answered from what these have found.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from sigc import __version__, metrics
from sigc.daemon import health
from sigc.daemon.activity import ActivitySample
from sigc.daemon.alerting import certificate
from sigc.daemon.alerting.alerting import Alerting
from sigc.daemon.configured.calendars import open_calendars
from sigc.daemon.controller import DID_NOT_RUN, RUN_FAILED, Controller
from sigc.daemon.health_endpoints import EndpointReply, Pages, as_json
from sigc.daemon.lifecycle.boot import NO_CLUSTER, write_alive
from sigc.daemon.lifecycle.phase import Phase
from sigc.daemon.reconcile_loop import NOT_KEPT, ReconcileLoop
from sigc.daemon.status import status_of
from sigc.daemon.timetable import MISSED
from sigc.errors import SigcError
from sigc.host.systemd import watchdog_interval_s
from sigc.host.usage import Sample, machine_memory
from sigc.rpc.schema import encode
from sigc.store.audit.chain import AuditEvent

_LAG_EVERY_S = 0.5
_USAGE_EVERY_S = 2.5
_ALIVE_EVERY_S = 5.0
_HALTS_EVERY_S = 3.0
_CLUSTER_EVERY_S = 2.0
_DAYS_EVERY_S = 600.0
_MIRROR_EVERY_S = 30.0
_MIRROR_REST_S = 1.0  # between two writes, however much happens
_COLLECT_REST_S = 60.0
_FIRST_CHECKS_S = 10.0  # that being ready waits for them at most
_LAST_LOOK_S = 1.0  # that the end waits for checks under way
_SIZED_REST = 100  # times as long as it took: the cache's size is looked at again
_BAD = {"health.degraded": False, "cluster.lost": True}  # whether it is critical
ALERTS = (
    *_BAD.items(),
    (DID_NOT_RUN, True),
    (RUN_FAILED, False),
    (RUN_FAILED, True),
    (NOT_KEPT, True),
    (MISSED, False),
)
_REFUSALS = ("401", "403", "429")
_LEDGER = "ledger"  # a check that has an alert of its own
log = logging.getLogger("sigc.daemon")


class BackgroundTasks:
    """The daemon's own tasks."""

    def __init__(self, daemon: Controller) -> None:
        self._daemon = daemon
        self._tasks: list[asyncio.Task[None]] = []
        self._looking: asyncio.Task[health.Health] | None = None  # the last look of the checks, in a thread
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # the first checks
        self._clock_watch = health.ClockWatch()
        self._told: set[str] = set()  # failed checks that the audit has
        self._tending = ReconcileLoop(daemon)
        daemon.alerting = self._alerting = Alerting(daemon)
        daemon.on_end = self._tending.run_ended
        self._collected_at = -_COLLECT_REST_S
        broker = daemon.start.config.broker.type
        for event, is_critical in ALERTS:  # a counter that is there before its first event shows that event
            severity = "critical" if is_critical else "warning"
            daemon.metrics.add(metrics.ALERTS, 0, event=event, severity=severity)
        for status in _REFUSALS:
            daemon.metrics.add(metrics.RPC_REFUSED, 0, status=status)
        self._sized_next = 0.0
        daemon.metrics.put(metrics.INFO, 1, name=daemon.start.name, version=__version__, broker=broker)

    def begin(self) -> None:
        """Start them all."""
        work: list[Callable[[], Awaitable[None]]] = [self._lag, self._usage, self._checks, self._alive, self._cluster]
        work += [self._days, self._halts, self._books, self._alerts]
        if self._daemon.start.config.daemon.state.persist:
            work.append(self._mirror)
        interval = watchdog_interval_s(os.environ)
        if interval is not None:
            work.append(partial(self._dog, interval))
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._kept(one)) for one in work]

    async def end(self) -> bool:
        """Stop them, and write the mirror a last time; whether nothing is left that a thread is still at."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        is_over = await self._tending.end()
        is_over = await self._alerting.end() and is_over
        if self._looking is not None:
            is_over = bool((await asyncio.wait([self._looking], timeout=_LAST_LOOK_S))[0]) and is_over
        daemon = self._daemon.start.config.daemon
        if daemon.state.persist and daemon.shutdown.save_state:
            await self._write_mirror()
        return is_over

    async def _kept(self, work: Callable[[], Awaitable[None]]) -> None:
        """A chore that fails is told of and begun again: none may stop without a word."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("a chore failed")
                await asyncio.sleep(5.0)

    # Tasks.

    async def _lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            late = max(0.0, loop.time() - due)
            self._daemon.lag_s = max(late, 0.9 * self._daemon.lag_s)
            self._daemon.metrics.observe(metrics.LOOP_LAG, late)

    async def _usage(self) -> None:
        daemon = self._daemon
        while True:
            sample = await asyncio.to_thread(daemon.usage.sample)
            daemon.metrics.put(metrics.MEMORY, sample.memory_bytes)
            daemon.metrics.put(metrics.CPU, sample.cpu_pct / 100)
            daemon.trace.add(self._point(sample, len(await asyncio.to_thread(daemon.workers))))
            threshold = daemon.configured.loaded.config.daemon.limits.gc_threshold_mb
            now = time.monotonic()
            above = threshold is not None and sample.memory_bytes > threshold << 20
            if above and now - self._collected_at > _COLLECT_REST_S:
                self._collected_at = now
                await asyncio.to_thread(daemon.free_memory)
                log.warning("memory is above daemon.limits.gc_threshold_mb: caches in memory were dropped")
            await asyncio.sleep(_USAGE_EVERY_S)

    def _point(self, sample: Sample, workers: int) -> ActivitySample:
        daemon = self._daemon
        counts = [daemon.metrics.total(metric) for metric in (metrics.BLOCKS, metrics.CACHE_HITS)]
        going, now, lag_ms = len(daemon.under_way()), daemon.clock.now(), round(1000 * daemon.lag_s, 2)
        return ActivitySample(now, sample.memory_bytes, sample.cpu_pct, lag_ms, going, workers, *counts)

    async def first_checks(self) -> None:
        """Make the checks for the first time. Those that take too long go on, and are no reason not to be ready."""
        self._first = first = asyncio.get_running_loop().create_task(self._check())
        self._tasks.append(first)
        await asyncio.wait([first], timeout=_FIRST_CHECKS_S)
        wrong = f"the first are not over after {_FIRST_CHECKS_S:g} s" if not first.done() else first.exception()
        if wrong:
            self._daemon.health = health.Health({"checks": str(wrong)})

    async def _checks(self) -> None:
        daemon = self._daemon
        while daemon.phase is Phase.STARTING or not self._first.done():
            await asyncio.sleep(0.2)
        while True:
            if daemon.phase is Phase.RUNNING:
                await asyncio.to_thread(self._measure)
            await asyncio.sleep(daemon.configured.loaded.config.daemon.health.interval_seconds)
            if daemon.phase is Phase.RUNNING:
                await self._check()

    async def _check(self) -> None:
        """Make every check, and tell when one has turned bad."""
        daemon = self._daemon
        self._looking = asyncio.get_running_loop().create_task(asyncio.to_thread(self._examine))
        daemon.health = await asyncio.shield(self._looking)
        for name, text in daemon.health.checks.items():
            daemon.metrics.put(metrics.CHECK, float(text == health.OK), check=name)
        bad = {name: text for name, text in daemon.health.checks.items() if text != health.OK and name != _LEDGER}
        self._told &= bad.keys()
        new = {name: text for name, text in bad.items() if name not in self._told}
        if new and await self._tell("health.degraded", {"checks": new}):
            self._told |= new.keys()

    def _measure(self) -> None:
        """The workers, and the size of the cache. In a thread."""
        daemon = self._daemon
        workers = [worker for worker in daemon.workers() if not worker.refused]
        daemon.metrics.put(metrics.WORKERS, len(workers))
        for worker in workers:
            daemon.metrics.put(metrics.WORKER_MEMORY, worker.memory_bytes, worker=worker.address)
        daemon.metrics.keep_only(metrics.WORKER_MEMORY, "worker", {worker.address for worker in workers})
        cache, began = daemon.configured.loaded.config.daemon.cache, time.monotonic()
        if cache.enabled and began >= self._sized_next:
            from sigc.cache.upkeep import size  # heavy, and loaded by the runner in its thread already

            with contextlib.suppress(OSError):  # no cache yet
                daemon.metrics.put(metrics.CACHE_BYTES, size(Path(cache.directory).expanduser()))
            self._sized_next = time.monotonic() + _SIZED_REST * (time.monotonic() - began)

    def _examine(self) -> health.Health:
        """Every check. In a thread."""
        daemon = self._daemon
        config = daemon.configured.loaded.config
        limit = config.daemon.memory_limit_mb
        paths = [daemon.start.places.work_dir, Path(config.daemon.cache.directory).expanduser()]
        now, turned = daemon.clock.now(), daemon.timetable.turned_at
        checks: dict[str, health.Check] = {
            "memory": lambda: health.memory(daemon.usage.last.memory_bytes, limit << 20 if limit else machine_memory()),
            "disk": lambda: health.disk(paths, config.daemon.health.min_free_mb),
            _LEDGER: lambda: daemon.books.trouble or health.OK,
            "scheduler_lag": lambda: health.lateness((now - turned).total_seconds() if turned else 0.0),
            "clock": self._clock_watch.check,
            "calendar": lambda: health.calendars(daemon.calendars.values(), now),
        }
        served = {"RPC": config.daemon.rpc.tls, "the page": config.daemon.dashboard.tls}
        certificates = {whose: Path(tls.cert) for whose, tls in served.items() if tls is not None}
        if certificates:
            checks["certificate"] = lambda: certificate.check(certificates, now)
        checks |= {name: partial(str, text) for name, text in daemon.in_force.runner.checks().items()}
        if self._alerting.channels:
            checks["alerts"] = self._alerting.check
        if daemon.cluster is not None:
            checks["cluster"] = daemon.cluster.check
        return health.examine(checks)

    async def _cluster(self) -> None:
        """Have one that must be there answer: while it does not, we are not ready. Close one that has rested."""
        daemon = self._daemon
        while True:
            await asyncio.sleep(_CLUSTER_EVERY_S)
            cluster = daemon.cluster
            if cluster is None or daemon.phase is not Phase.RUNNING:
                continue
            if not cluster.is_held:
                await asyncio.to_thread(cluster.rest)
                continue
            try:
                await asyncio.to_thread(cluster.open)
            except SigcError as error:
                lost, daemon.why = not daemon.why, f"{NO_CLUSTER}: {error}"
                if lost:
                    daemon.notifier.status(daemon.why)
                    await self._tell("cluster.lost", {"why": str(error)})
            else:
                if daemon.why.startswith(NO_CLUSTER):
                    daemon.why = ""
                    daemon.notifier.status("ready")
                    await self._tell("cluster.found", {})

    async def _days(self) -> None:
        daemon = self._daemon
        day = daemon.clock.now().date()
        while True:
            await asyncio.sleep(_DAYS_EVERY_S)
            now = daemon.clock.now()
            if now.date() == day or daemon.phase is not Phase.RUNNING:
                continue
            async with daemon.reloading:
                found = await asyncio.to_thread(open_calendars, daemon.configured, daemon.start.places.work_dir, now)
                daemon.calendars, day = found, now.date()
                await daemon.timetable.adopt(daemon.configured.jobs, found, daemon.decided)

    async def _halts(self) -> None:
        daemon = self._daemon
        while True:
            await asyncio.sleep(_HALTS_EVERY_S)
            if daemon.phase is Phase.RUNNING:
                await daemon.read_decisions()

    async def _books(self) -> None:
        while self._daemon.phase is Phase.STARTING:
            await asyncio.sleep(0.2)
        await self._tending.turn()

    async def _alerts(self) -> None:
        while self._daemon.phase is Phase.STARTING:
            await asyncio.sleep(0.2)
        await self._alerting.turn()

    async def _tell(self, event: str, payload: Mapping[str, object]) -> bool:
        """Tell what happened by itself to the log and the audit, and alert of what is bad; whether the audit has it."""
        if event in _BAD:
            self._daemon.alert(event, is_critical=_BAD[event])
        log.warning(event, extra=dict(payload))
        try:
            await self._daemon.books.audit(AuditEvent(event, payload))
        except SigcError:
            return False
        return True

    async def _alive(self) -> None:
        while True:
            if self._daemon.phase is Phase.RUNNING:
                await asyncio.to_thread(write_alive, self._daemon.start.places.work_dir, self._daemon.clock)
            await asyncio.sleep(_ALIVE_EVERY_S)

    async def _mirror(self) -> None:
        changed = self._daemon.changed
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), _MIRROR_EVERY_S)
            changed.clear()
            await self._write_mirror()
            await asyncio.sleep(_MIRROR_REST_S)

    async def _write_mirror(self) -> None:
        daemon = self._daemon
        state = encode(status_of(daemon)) | {"written": daemon.clock.now().isoformat()}
        state |= {"runs": [encode(live.status(with_result=False)) for live in daemon.under_way()]}
        given = daemon.start.config.daemon.state.file
        path = Path(given).expanduser() if given else daemon.start.places.work_dir / "state.json"
        try:
            text = daemon.doors.secrets.hide(json.dumps(state, indent=2, sort_keys=True))
            await asyncio.to_thread(_replace, path, f"{text}\n")
        except OSError as failure:
            log.error("the mirror of the state can't be written: %s", failure, extra={"path": str(path)})

    async def _dog(self, interval_s: float) -> None:
        while True:
            self._daemon.notifier.watchdog()
            await asyncio.sleep(interval_s)

    # Pages.

    def health_pages(self) -> Pages:
        """/health, /live, /ready."""
        return {"/health": self._health, "/live": lambda: as_json(200, {"status": "alive"}), "/ready": self._ready}

    def metrics_pages(self, path: str) -> Pages:
        """The numbers, and where Dask's own are."""
        return {path: self._numbers, "/http_sd": self._targets}

    def _health(self) -> EndpointReply:
        daemon = self._daemon
        is_up = daemon.phase is Phase.RUNNING
        status = daemon.health.status if is_up else str(daemon.phase)
        checks = {name: daemon.doors.secrets.hide(text) for name, text in daemon.health.checks.items()}
        uptime = round(time.monotonic() - daemon.began, 3)
        return as_json(200 if is_up else 503, {"status": status, "checks": checks, "uptime_seconds": uptime})

    def _ready(self) -> EndpointReply:
        is_ready = self._daemon.is_ready
        why = self._daemon.doors.secrets.hide(self._daemon.why)
        return as_json(200 if is_ready else 503, {"ready": is_ready, "reason": why})

    def _numbers(self) -> EndpointReply:
        daemon = self._daemon
        daemon.metrics.put(metrics.UPTIME, time.monotonic() - daemon.began)
        daemon.metrics.put(metrics.READY, float(daemon.is_ready))
        return EndpointReply(200, metrics.CONTENT_TYPE, daemon.metrics.render())

    def _targets(self) -> EndpointReply:
        cluster = self._daemon.cluster
        targets = [] if cluster is None else list(cluster.targets())
        found = [{"targets": targets, "labels": {"job": "dask", "daemon": self._daemon.start.name}}] if targets else []
        return as_json(200, found)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
