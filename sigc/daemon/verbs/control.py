"""The verbs of the daemon as a whole: status, pause, resume, reload, restart, stop."""

from __future__ import annotations

import asyncio
import os
from functools import partial

from sigc.daemon import four_eyes
from sigc.daemon.configured.configured import instead_of
from sigc.daemon.controller import Controller
from sigc.daemon.lifecycle.phase import Ending
from sigc.daemon.lifecycle.reload import RaisedLimitsError, plan, reload
from sigc.daemon.ordering import refusal
from sigc.daemon.status import details_of, look, missed_of, status_of
from sigc.host.identity import started
from sigc.rpc.messages.page import TraceReply, TraceRequest, WhoReply
from sigc.rpc.messages.requests import (
    HoldReply,
    HoldRequest,
    ReloadReply,
    ReloadRequest,
    StatusReply,
    StatusRequest,
    StopReply,
    StopRequest,
)
from sigc.rpc.verb import Nothing, Role, VerbCall, verb

OLDEST_S = 3.0  # greatest age of the memory and processor figures in a status

RAISES = "a reload that raises "


@verb("status", "GET", Role.READ)
async def status(call: VerbCall[Controller], request: StatusRequest) -> StatusReply:
    """Return the status of the daemon and its strategies."""
    daemon = call.daemon
    if daemon.usage.age_s > OLDEST_S:  # the background task is late
        await asyncio.to_thread(daemon.usage.no_older_than, OLDEST_S)
    if not request.is_detailed:
        return status_of(daemon)
    missed: tuple[str, ...] = ()
    names = tuple(daemon.job_states())
    if names and not daemon.books.trouble:
        zone = daemon.configured.loaded.config.schedule.timezone
        missed = await daemon.books.read(partial(missed_of, names=names, zone=zone))
    return status_of(daemon, details_of(daemon, await asyncio.to_thread(look, daemon), missed))


@verb("status/trace", "GET", Role.READ)
def status_trace(call: VerbCall[Controller], request: TraceRequest) -> TraceReply:
    """Return the last hour of the daemon's own figures."""
    return call.daemon.trace.reply(request.most)


@verb("whoami", "GET", Role.READ)
def whoami(call: VerbCall[Controller], request: Nothing) -> WhoReply:  # noqa: ARG001
    """Return the name of the caller's token and its role."""
    return WhoReply(call.token, str(call.role), call.daemon.start.name)


@verb("pause", "POST", Role.OPERATE, is_urgent=True)
async def pause(call: VerbCall[Controller], request: HoldRequest) -> HoldReply:
    """Start no more runs of one strategy, or of any, and hold the orders of those under way."""
    return await _hold(call, request, True)


@verb("resume", "POST", Role.OPERATE)
async def resume(call: VerbCall[Controller], request: HoldRequest) -> HoldReply:
    """Take a pause back: held slices are spread over what is left of their window. A halt stays."""
    return await _hold(call, request, False)


@verb("reload", "POST", Role.OPERATE, timeout_s=60.0)
async def reload_(call: VerbCall[Controller], request: ReloadRequest) -> ReloadReply:
    """Read the configuration again: all of it is checked, then in force at once; on any error nothing changes."""
    if request.is_plan:
        return await plan(call.daemon)
    try:
        return await reload(call.daemon, who_of(call))
    except RaisedLimitsError as raised:
        raise await four_eyes.ask(call, request, f"{RAISES}{raised}", "") from None


@verb("stop", "POST", Role.OPERATE, is_urgent=True)
async def stop(call: VerbCall[Controller], request: StopRequest) -> StopReply:
    """End the daemon: nothing new begins, what runs may finish within the time."""
    return _end(call, request, False)


@verb("restart", "POST", Role.OPERATE, timeout_s=60.0)
async def restart(call: VerbCall[Controller], request: StopRequest) -> StopReply:
    """Stop, and start again as the same process with the same arguments; not with a configuration that has errors."""
    if not request.is_forced:
        await plan(call.daemon)
    return _end(call, request, True)


def who_of(call: VerbCall[Controller]) -> str:
    """Return the caller for the record: the proven token, then the caller's own claim."""
    return f"{call.token} ({call.who or call.peer})"


async def _hold(call: VerbCall[Controller], request: HoldRequest, is_held: bool) -> HoldReply:
    daemon = call.daemon
    name = request.strategy or ""
    known = [strategy.name for strategy in daemon.configured.strategies]
    # A strategy that is no longer configured can still be resumed.
    if name and name not in known and not (not is_held and name in daemon.decided.held):
        raise refusal(f"there is no strategy '{name}'", instead_of(name, known, daemon.configured.jobs))
    is_changed = await daemon.hold(name, is_held, who_of(call), request.reason)
    return HoldReply(is_changed, tuple(sorted(daemon.decided.held)))


def _end(call: VerbCall[Controller], request: StopRequest, is_restart: bool) -> StopReply:
    daemon = call.daemon
    asked, usual = request.timeout_seconds, daemon.configured.loaded.config.daemon.shutdown.timeout_seconds
    timeout_s = 0.0 if request.is_forced else usual if asked is None else asked
    # After this reply: the loop must send it before it ends.
    asyncio.get_running_loop().call_later(0.05, daemon.stop, Ending(timeout_s, request.is_forced, is_restart))
    return StopReply(os.getpid(), started(os.getpid()) or "", timeout_s, len(daemon.under_way()))
