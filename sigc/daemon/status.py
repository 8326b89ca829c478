"""The daemon's status as it goes over the wire and into state.json: from memory, except `look`."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from sigc import __version__
from sigc import metrics as m
from sigc.alerts.urgency import Urgency
from sigc.daemon.controller import Controller
from sigc.daemon.lifecycle.phase import LastRun
from sigc.daemon.lifecycle.start import DASHBOARD
from sigc.daemon.live_run import reads_told
from sigc.data.being_read import OF_PROCESS
from sigc.host.cgroup import described
from sigc.host.identity import started
from sigc.host.usage import machine_memory, usable_cpus
from sigc.rpc.address import address_text, as_reached
from sigc.rpc.messages.requests import Details, JobStatus, StatusReply, StrategyStatus, WorkerStatus
from sigc.rpc.messages.status import told_as
from sigc.schedule.job import Fire
from sigc.schedule.triggers import trigger_text
from sigc.store.ledger import jobs
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc.why.words import when

_CACHE_EVERY_S = 1.0
_OF_THE_CACHE = ("directory", "entries", "bytes", "hits", "misses")


def status_of(daemon: Controller, details: Details | None = None) -> StatusReply:
    """Return the whole status."""
    config, sample = daemon.configured.loaded.config, daemon.usage.last
    limit = config.daemon.memory_limit_mb
    return StatusReply(
        name=daemon.start.name,
        status=str(daemon.phase),
        pid=os.getpid(),
        identity=started(os.getpid()) or "",
        version=__version__,
        uptime_seconds=round(time.monotonic() - daemon.began, 3),
        memory_bytes=sample.memory_bytes,
        memory_limit_bytes=limit << 20 if limit else machine_memory(),
        cpu_pct=sample.cpu_pct,
        zone=config.schedule.timezone,
        is_ready=daemon.is_ready,
        is_paused="" in daemon.decided.held,
        life=daemon.life,
        reason=daemon.why,
        broker=config.broker.label,
        is_halted="" in daemon.decided.halted,
        page=page_of(daemon),
        strategies=tuple(strategy_of(daemon, entry.name, entry.enabled) for entry in daemon.configured.strategies),
        detailed=details,
        breakers=tuple(sorted(daemon.decided.tripped)),
        reads=reads_told(OF_PROCESS),
        alerts={str(u): int(n) for u in Urgency if (n := daemon.metrics.value(m.ALERTS_OPEN, severity=str(u)))},
    )


def strategy_of(daemon: Controller, name: str, is_enabled: bool) -> StrategyStatus:
    """Return the status of one strategy."""
    state = _state(daemon, name, is_enabled)
    fires = [
        one
        for job, held in daemon.job_states().items()
        if held.job.strategy == name and held.enabled and (one := daemon.next_fire(job)) is not None
    ]
    last = daemon.last.get(name)
    waiting = None if last is None else waiting_of(daemon, last)
    word = "never run" if last is None else told_as(last.status, waiting)
    return StrategyStatus(
        name,
        state,
        None if last is None else last.at,
        min((one.at for one in fires), default=None) if state == "active" else None,
        word,
        "" if last is None else last.id,
        "" if last is None else last.filled or "",
        waiting,
        edited.text if (edited := daemon.edited.get(name)) else "",
    )


def waiting_of(daemon: Controller, last: LastRun) -> WaitingOrders | None:
    """Return the orders of a strategy's newest run that wait for the open now."""
    live = next((one for one in daemon.under_way() if one.order.id == last.id), None)
    found = last.waiting if live is None else live.waiting
    return found if found is not None and daemon.clock.now() < found.at else None


def page_of(daemon: Controller) -> str:
    """Return the address of the status page for a browser on this machine, '' without a page."""
    number, settings = daemon.ports.get(DASHBOARD), daemon.start.config.daemon.dashboard
    if number is None:
        return ""
    scheme = "http" if settings.tls is None else "https"
    return f"{scheme}://{address_text(as_reached(settings.host), number)}/"


def _state(daemon: Controller, name: str, is_enabled: bool) -> str:
    if not is_enabled:
        return "disabled"
    if daemon.decided.halts(name):
        return "halted"
    return "paused" if daemon.decided.holds(name) else "active"


def look(daemon: Controller) -> tuple[Mapping[str, object], tuple[WorkerStatus, ...], str]:
    """Return what takes a while to find out: the cache, the workers, Dask's page. Blocks: call it in a thread."""
    from sigc.cache import upkeep  # heavy, and loaded by the runner in its thread already

    cluster = daemon.cluster
    workers, link = ((), "") if cluster is None else (cluster.workers(), cluster.link())
    settings = daemon.configured.loaded.config.daemon.cache
    now = time.monotonic()
    if settings.enabled and now >= daemon.look_again_at:
        # It reads one file a block. The wait grows with the time it took, so that frequent callers cost at most 5 %.
        found = asdict(upkeep.status(Path(settings.directory).expanduser()))
        daemon.cache_seen = {k: v for k, v in found.items() if k in _OF_THE_CACHE}
        ended = time.monotonic()
        daemon.look_again_at = ended + max(_CACHE_EVERY_S, 20 * (ended - now))
    return daemon.cache_seen, workers, link


def missed_of(connection: sqlite3.Connection, names: Iterable[str], zone: str) -> tuple[str, ...]:
    """Return the newest missed fire of each job that has not run since it was due."""
    found = []
    for name in sorted(names):
        miss = next(iter(jobs.misses(connection, name, 1)), None)
        last = jobs.last_of_job(connection, name)
        if miss is not None and (last is None or last.asked < miss.planned):
            found.append(f"{name}, due {when(miss.planned, zone)}: {miss.reason}")
    return tuple(found)


def details_of(
    daemon: Controller,
    looked: tuple[Mapping[str, object], tuple[WorkerStatus, ...], str],
    missed: tuple[str, ...] = (),
) -> Details:
    """Return what `--detailed` adds. looked: from `look`; missed: from `missed_of`."""
    cache, workers, link = looked
    config = daemon.configured.loaded.config
    checks = daemon.health.checks
    places = daemon.start.places
    log_file = daemon.start.log.path
    return Details(
        cluster=config.cluster.type,
        cluster_dashboard=link,
        workers=workers,
        cache=cache,
        queue=tuple(live.status(with_result=False) for live in daemon.under_way()),
        connections={name: text for name, text in checks.items() if name.endswith("_connection")},
        checks=checks,
        versions=daemon.versions,
        ports=daemon.ports,
        places={
            "configuration": str(daemon.configured.loaded.path or ""),
            "work_dir": str(places.work_dir),
            "pid_file": str(places.pid_file),
            "log": str(log_file or "stderr"),
        },
        loop_lag_ms=round(1000 * daemon.lag_s, 2),
        jobs=len(daemon.job_states()),
        limits_off={one.strategy: "; ".join(one.off) for one in daemon.checked if one.off},
        missed=missed,
        cpu_limit=described(config.daemon.cpu_limit_pct, usable_cpus(), daemon.quota),
    )


def job_of(daemon: Controller, name: str, last: tuple[datetime | None, str, str]) -> JobStatus:
    """Return the status of one job. last: when its newest run began, its outcome, its id."""
    state = daemon.timetable.states[name]
    job, one = state.job, daemon.next_fire(name)
    return JobStatus(
        name,
        str(job.kind),
        trigger_text(job.trigger),
        job.zone,
        job.strategy,
        state.enabled,
        state.paused,
        "idle" if state.phase is None else type(state.phase).__name__.lower(),
        _at(one) if state.enabled else None,
        last[0],
        last[1],
        job.depends_on,
        last[2],
    )


def _at(one: Fire | None) -> datetime | None:
    return None if one is None else one.at
