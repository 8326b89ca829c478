"""The verbs of the schedule: jobs, their next fires and history; enable, disable, run now."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import partial

from sigc.daemon.configured.configured import instead_of_job
from sigc.daemon.controller import Controller
from sigc.daemon.ordering import refusal, status_text
from sigc.daemon.status import job_of
from sigc.daemon.verbs.control import who_of
from sigc.rpc.messages.requests import (
    HistoryEntry,
    HistoryReply,
    HistoryRequest,
    JobRequest,
    JobRunReply,
    JobRunRequest,
    JobsReply,
    NextReply,
    NextRequest,
    SwitchReply,
    Upcoming,
)
from sigc.rpc.verb import Nothing, Role, VerbCall, verb
from sigc.schedule.dependencies import needed
from sigc.schedule.job import TRADING, Fire, Job
from sigc.schedule.state import JobState, Running
from sigc.store.ledger import jobs
from sigc.why.words import when


@verb("schedule/list", "GET", Role.READ)
async def schedule_list(call: VerbCall[Controller], request: Nothing) -> JobsReply:  # noqa: ARG001
    """Return every job: its next fire, its state, its last run."""
    daemon, listed = call.daemon, []
    for name in sorted(daemon.timetable.states):
        found = await daemon.books.read(partial(jobs.last_of_job, job=name))
        last = (None, "", "") if found is None else (found.asked, status_text(found.outcome), found.id)
        listed.append(job_of(daemon, name, last))
    return JobsReply(tuple(listed), daemon.configured.loaded.config.schedule.timezone)


@verb("schedule/next", "GET", Role.READ)
async def schedule_next(call: VerbCall[Controller], request: NextRequest) -> NextReply:
    """Return the next fires of all jobs, in order."""
    daemon = call.daemon
    found = await asyncio.to_thread(daemon.timetable.next_fires, request.most)
    fires = tuple(Upcoming(job.name, job.strategy, one.planned, one.at) for job, one in found)
    return NextReply(fires, daemon.configured.loaded.config.schedule.timezone)


@verb("schedule/enable", "POST", Role.OPERATE)
async def schedule_enable(call: VerbCall[Controller], request: JobRequest) -> SwitchReply:
    """Enable a job."""
    return await _switch(call, request, True)


@verb("schedule/disable", "POST", Role.OPERATE)
async def schedule_disable(call: VerbCall[Controller], request: JobRequest) -> SwitchReply:
    """Disable a job until it is enabled again."""
    return await _switch(call, request, False)


@verb("schedule/run", "POST", Role.TRADE)
async def schedule_run(call: VerbCall[Controller], request: JobRunRequest) -> JobRunReply:
    """Run a job now. Its overlap rule applies; jobs that it depends on are not waited for.

    A dry run is not the schedule's: it waits for nothing, delays nothing, and no other job counts on it.
    """
    daemon = call.daemon
    job = _state(daemon, request.job).job
    if not daemon.is_ready:
        raise refusal(f"the daemon is {daemon.phase}: {daemon.why}")
    if request.is_forced and job.kind in TRADING and not request.is_dry and not request.reason:
        raise refusal("a forced run needs a reason", "give one by --reason '...'")
    now = daemon.clock.now()
    one = Fire(now, now, job.name, by_hand=True)
    order = replace(daemon.order_of(job, one), is_forced=request.is_forced, reason=request.reason, who=who_of(call))
    # Only a warning: a run by hand does not wait for dependencies.
    warning = await _unmet(daemon, job, now)
    if request.is_dry:
        if daemon.configured.strategy(job.strategy) is None:
            raise refusal(f"job '{job.name}' ({job.kind}) has no strategy, so no dry run either", "leave --dry-run out")
        live = await daemon.order(replace(order, kind="dry"))
        return JobRunReply(live.order.id, warning)
    if await daemon.order_of_job(order, one):
        return JobRunReply(order.id, warning)
    if any(pending.fire == one for pending in _state(daemon, job.name).queue):
        return JobRunReply("", "; ".join(part for part in ("it waits behind the run that goes on", warning) if part))
    raise refusal(_why_not(_state(daemon, job.name), request.is_forced), "`sigc schedule history` has the record")


@verb("schedule/history", "GET", Role.READ)
async def schedule_history(call: VerbCall[Controller], request: HistoryRequest) -> HistoryReply:
    """Return the newest fires of a job: those that ran and those that did not."""
    daemon, name = call.daemon, request.job
    ran = await daemon.books.read(partial(jobs.recent, most=request.most, job=name))
    missed = await daemon.books.read(partial(jobs.misses, job=name, most=request.most))
    if not ran and not missed:
        _state(daemon, name)
    entries = [HistoryEntry(o.asked, o.fire, status_text(o.outcome), o.id, o.message, o.kind) for o in ran]
    entries += [HistoryEntry(miss.at, miss.planned, "missed", "", miss.reason) for miss in missed]
    newest = sorted(entries, key=lambda entry: entry.at, reverse=True)[: request.most]
    return HistoryReply(tuple(newest), daemon.configured.loaded.config.schedule.timezone)


async def _unmet(daemon: Controller, job: Job, now: datetime) -> str:
    """Return which jobs that it depends on have not finished, '' if all have: the newest fire of each counts."""
    zone, states = daemon.configured.loaded.config.schedule.timezone, daemon.timetable.states
    by_name = {name: state.job for name, state in states.items()}
    due = dict(await asyncio.to_thread(needed, job, now, by_name, daemon.calendars))
    known = {name: states[job.name].result(name) for name in due}
    told = []
    for name, planned in sorted(due.items()):
        result = known[name]
        if result is None or result.planned < planned or not result.ok:
            last = await daemon.books.read(partial(jobs.last_of_job, job=name))
            how = f", its last run {last.id} {status_text(last.outcome)}" if last is not None else ", it never ran"
            told.append(f"'{name}' (due {when(planned, zone)}{how})")
    return f"job '{job.name}' runs although a job it depends on did not finish: {', '.join(told)}" if told else ""


def _why_not(state: JobState, is_forced: bool) -> str:
    if state.paused and not is_forced:
        return f"job '{state.job.name}' is paused: `sigc resume`, or run it with --force --reason '...'"
    going = state.phase.run if isinstance(state.phase, Running) else next(iter(sorted(state.others)), "")
    return f"job '{state.job.name}' did not run" + (f": {going} is under way" if going else "")


async def _switch(call: VerbCall[Controller], request: JobRequest, is_enabled: bool) -> SwitchReply:
    daemon = call.daemon
    state = _state(daemon, request.job)
    if is_enabled and not state.job.enabled:
        hint = "set enabled: true there, and reload"
        raise refusal(f"job '{request.job}' is disabled by the configuration", hint)
    is_changed = await daemon.switch(request.job, is_enabled, who_of(call), request.reason)
    return SwitchReply(is_changed, is_enabled)


def _state(daemon: Controller, name: str) -> JobState:
    state = daemon.timetable.states.get(name)
    if state is None:
        raise refusal(f"there is no job '{name}'", instead_of_job(name, daemon.configured.jobs))
    return state
