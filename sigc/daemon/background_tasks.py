"""The daemon's background tasks: each is a task of the event loop with its slow part in a thread.

    lag      measure the delay of the loop     usage    sample memory and processor time, free memory above the limit
    checks   check health                      alive    write the file that tells the next start when this one was alive
    halts    read halts that a run has set, so that status shows them; take those of the kill file into the ledger
    mirror   write state.json                  dog      feed systemd's watchdog
    cluster  close an idle local cluster, reconnect to a remote one
    days     reopen the calendars each day, so that they never run out
    books    reconcile each strategy's book between its runs (`reconcile_loop.py`)
    alerts   deliver alerts to the channels (`alerting.py`)

The plain HTTP pages answer from the results, so they never block.
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
from sigc.daemon import breaker_view, health
from sigc.daemon.activity import ActivitySample
from sigc.daemon.alerting import certificate
from sigc.daemon.alerting.alerting import Alerting
from sigc.daemon.configured.calendars import open_calendars
from sigc.daemon.controller import DID_NOT_RUN, RUN_FAILED, Controller
from sigc.daemon.health_endpoints import EndpointReply, Pages, as_json
from sigc.daemon.kill_file_halts import take_in
from sigc.daemon.lifecycle.boot import NO_CLUSTER, write_alive
from sigc.daemon.lifecycle.phase import Phase
from sigc.daemon.reconcile_loop import NOT_KEPT, ReconcileLoop
from sigc.daemon.status import status_of
from sigc.daemon.timetable import MISSED
from sigc.errors import SigcError
from sigc.host import kill_file
from sigc.host.systemd import watchdog_interval_s
from sigc.host.usage import Sample, machine_memory
from sigc.rpc.schema import encode
from sigc.store.audit.chain import AuditEvent

_LAG_EVERY_S = 0.5
_USAGE_EVERY_S = 2.5
_ALIVE_EVERY_S = 5.0
_HALTS_EVERY_S = 3.0
_KILL_FILE_EVERY_S = 0.5
_CLUSTER_EVERY_S = 2.0
_DAYS_EVERY_S = 600.0
_MIRROR_EVERY_S = 30.0
_MIRROR_REST_S = 1.0  # at least, between two writes
_COLLECT_REST_S = 60.0
_FIRST_CHECKS_S = 10.0  # longest delay of readiness
_LAST_LOOK_S = 1.0  # longest wait for checks under way at the end
_SIZED_REST = 100  # rest before the cache is sized again, as a multiple of the time it took: at most 1 % of a thread
_BAD = {"health.degraded": False, "cluster.lost": True}  # True: critical
ALERTS = (
    *_BAD.items(),
    (DID_NOT_RUN, True),
    (RUN_FAILED, False),
    (RUN_FAILED, True),
    (NOT_KEPT, True),
    (MISSED, False),
)
_REFUSALS = ("401", "403", "429")
_LEDGER = "ledger"  # this check has an alert of its own (`ledger_alert.py`)
log = logging.getLogger("sigc.daemon")


class BackgroundTasks:
    """The background tasks of one daemon."""

    def __init__(self, daemon: Controller) -> None:
        self._daemon = daemon
        self._tasks: list[asyncio.Task[None]] = []
        self._looking: asyncio.Task[health.Health] | None = None  # the newest round of checks, in a thread
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # the first checks
        self._clock_watch = health.ClockWatch()
        settings = daemon.start.config.daemon
        served = {"RPC": settings.rpc.tls, "the page": settings.dashboard.tls}
        files = {whose: Path(tls.cert) for whose, tls in served.items() if tls is not None}
        self._certificates = certificate.ServedCertificates(files) if files else None
        self._told: set[str] = set()  # failed checks that the audit has
        self._tending = ReconcileLoop(daemon)
        daemon.alerting = self._alerting = Alerting(daemon)
        daemon.on_end = self._tending.run_ended
        self._collected_at = -_COLLECT_REST_S
        broker = daemon.start.config.broker.label
        for event, is_critical in ALERTS:  # Prometheus sees the first event only if the counter was there at 0 before
            severity = "critical" if is_critical else "warning"
            daemon.metrics.add(metrics.ALERTS, 0, event=event, severity=severity)
        for status in _REFUSALS:
            daemon.metrics.add(metrics.RPC_REFUSED, 0, status=status)
        self._sized_next = 0.0
        daemon.metrics.put(metrics.INFO, 1, name=daemon.start.name, version=__version__, broker=broker)

    def begin(self) -> None:
        """Start the tasks."""
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
        """Stop the tasks and write the mirror a last time. Return True if no thread is still at work."""
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
        """Run a task for ever; log a failure and start the task again."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("a background task failed; it starts again")
                await asyncio.sleep(5.0)

    # Tasks.

    async def _lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            late = max(0.0, loop.time() - due)
            # A peak decays over some seconds, so that a status call between two samples still sees it.
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
            # Not again within a minute: a collection takes time, and may free nothing.
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
        """Make the checks for the first time. Checks that take too long go on and do not delay readiness further."""
        self._first = first = asyncio.get_running_loop().create_task(self._check())
        self._tasks.append(first)
        await asyncio.wait([first], timeout=_FIRST_CHECKS_S)
        wrong = f"the first checks take longer than {_FIRST_CHECKS_S:g} s" if not first.done() else first.exception()
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
        """Make every check and audit each one that has turned bad."""
        daemon = self._daemon
        self._looking = asyncio.get_running_loop().create_task(asyncio.to_thread(self._examine))
        # Shielded: a cancelled task must not cancel the thread, which `end` waits for.
        daemon.health = await asyncio.shield(self._looking)
        for name, text in daemon.health.checks.items():
            daemon.metrics.put(metrics.CHECK, float(text == health.OK), check=name)
        bad = {name: text for name, text in daemon.health.checks.items() if text != health.OK and name != _LEDGER}
        # A check that is well again is forgotten, so that its next failure is audited again.
        self._told &= bad.keys()
        new = {name: text for name, text in bad.items() if name not in self._told}
        if new and await self._tell("health.degraded", {"checks": new}):
            self._told |= new.keys()

    def _measure(self) -> None:
        """Measure the workers and the size of the cache. Blocks: call it in a thread."""
        daemon = self._daemon
        workers = [worker for worker in daemon.workers() if not worker.refused]
        daemon.metrics.put(metrics.WORKERS, len(workers))
        for worker in workers:
            daemon.metrics.put(metrics.WORKER_MEMORY, worker.memory_bytes, worker=worker.address)
        # Else the series of workers that are gone would stay at their last value.
        daemon.metrics.keep_only(metrics.WORKER_MEMORY, "worker", {worker.address for worker in workers})
        cache, began = daemon.configured.loaded.config.daemon.cache, time.monotonic()
        if cache.enabled and began >= self._sized_next:
            from sigc.cache.upkeep import size  # heavy, and loaded by the runner in its thread already

            with contextlib.suppress(OSError):  # no cache yet
                daemon.metrics.put(metrics.CACHE_BYTES, size(Path(cache.directory).expanduser()))
            self._sized_next = time.monotonic() + _SIZED_REST * (time.monotonic() - began)

    def _examine(self) -> health.Health:
        """Make every check. Blocks: call it in a thread."""
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
        checks["breakers"] = partial(breaker_view.watch, daemon.books.ledger, config.safety, daemon.metrics)
        if self._certificates is not None:
            checks["certificate"] = partial(self._certificates.check, now)
        runner = daemon.in_force.runner
        checks |= {name: partial(str, text) for name, text in runner.checks().items()}
        found = runner.edited()
        checks["strategy_files"] = partial(health.strategy_files, found)
        if runner is daemon.in_force.runner:  # else a reload has loaded them meanwhile
            daemon.edited = found
        if self._alerting.channels:
            checks["alerts"] = self._alerting.check
        if daemon.cluster is not None:
            checks["cluster"] = daemon.cluster.check
        return health.examine(checks)

    async def _cluster(self) -> None:
        """Keep a remote cluster connected (without it the daemon is not ready) and close an idle local one."""
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
                # `why` is empty at the first failure only, so the loss is reported once.
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
            # Under the lock of reloads: a reload that opens its own calendars must not be overwritten with older ones.
            async with daemon.reloading:
                found = await asyncio.to_thread(open_calendars, daemon.configured, daemon.start.places.work_dir, now)
                daemon.calendars, day = found, now.date()
                await daemon.timetable.adopt(daemon.configured.jobs, found, daemon.decided)

    async def _halts(self) -> None:
        daemon, work_dir = self._daemon, self._daemon.start.places.work_dir
        seen: kill_file.Stamp | None = None  # of the kill file that the ledger has
        read_at = time.monotonic()
        while True:
            await asyncio.sleep(_KILL_FILE_EVERY_S)
            if not daemon.has_ledger:
                continue
            there = await asyncio.to_thread(kill_file.stamp_of, work_dir)
            if there not in (None, seen):
                for scope in await daemon.books.write(partial(take_in, work_dir=work_dir)):
                    log.warning("halted by the kill file", extra={"scope": scope or "everything"})
                    read_at = -_HALTS_EVERY_S
                    daemon.changed.set()
            seen = there
            if daemon.phase is Phase.RUNNING and time.monotonic() - read_at >= _HALTS_EVERY_S:
                read_at = time.monotonic()
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
        """Log and audit an event, and count an alert if it is bad. Return True if the audit has it."""
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
            # Cleared before the write: a change during it triggers another one.
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
        """Return the pages /health, /live and /ready."""
        return {"/health": self._health, "/live": lambda: as_json(200, {"status": "alive"}), "/ready": self._ready}

    def metrics_pages(self, path: str) -> Pages:
        """Return the page of the metrics and the one that names Dask's own metrics endpoints."""
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
    # Renamed into place: a reader sees the old file or the new one, never half of one.
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
