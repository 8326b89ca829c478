"""The verbs of runs: begin, follow, cancel, list."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from sigc.daemon.configured.configured import instead_of, name_of
from sigc.daemon.controller import Controller
from sigc.daemon.ordering import refusal
from sigc.daemon.runner import RunOrder, StrategyEntry
from sigc.daemon.runs import past_status
from sigc.daemon.verbs.control import who_of
from sigc.host.log_lines import last_lines
from sigc.rpc.messages.requests import (
    CancelReply,
    CancelRequest,
    LogsReply,
    LogsRequest,
    OneRun,
    RunRequest,
    RunsReply,
    RunsRequest,
    RunStatus,
)
from sigc.rpc.verb import Role, VerbCall, verb
from sigc.store.ledger import jobs
from sigc.store.ledger.records import RunKind
from sigc.store.ledger.waiting import waiting_of


@verb("run", "POST", Role.TRADE)
async def run(call: VerbCall[Controller], request: RunRequest) -> RunStatus:
    """Run a strategy now, and trade what it wants; the reply comes at once, with the run's id."""
    return await _run(call, request, "dry" if request.is_dry else "trade")


@verb("run/dry", "POST", Role.OPERATE)
async def run_dry(call: VerbCall[Controller], request: RunRequest) -> RunStatus:
    """Run a strategy now, and trade nothing."""
    return await _run(call, request, "dry")


@verb("runs/list", "GET", Role.READ)
async def runs_list(call: VerbCall[Controller], request: RunsRequest) -> RunsReply:
    """Return the newest runs, those under way included."""
    daemon = call.daemon
    found = await daemon.books.read(partial(jobs.recent, most=request.most, strategy=request.strategy or ""))
    now = daemon.clock.now()
    early = tuple(order.id for order in found if order.kind == RunKind.TRADE and order.session >= f"{now:%Y-%m-%d}")
    waiting = await daemon.books.read(partial(waiting_of, ids=early, now=now))
    listed = []
    for order in found:
        live = daemon.runs.find(order.id)
        past = replace(past_status(order), waiting=waiting.get(order.id))
        listed.append(past if live is None else live.status(with_result=False))
    return RunsReply(tuple(listed))


@verb("runs/show", "GET", Role.READ)
async def runs_show(call: VerbCall[Controller], request: OneRun) -> RunStatus:
    """Return one run: its progress or its end."""
    found = await call.daemon.runs.known(request.id)
    if found is None:
        raise refusal(f"there is no run {request.id}")
    return found


@verb("runs/events", "GET", Role.READ)
async def runs_events(call: VerbCall[Controller], request: OneRun) -> AsyncIterator[RunStatus]:
    """Yield one run's status at each change; the last event is its end."""
    live = call.daemon.runs.find(request.id)
    if live is None:
        yield await runs_show.run(call, request)
        return
    async for status in live.follow():
        yield status


@verb("runs/cancel", "POST", Role.OPERATE, is_urgent=True)
async def runs_cancel(call: VerbCall[Controller], request: CancelRequest) -> CancelReply:
    """End a run as soon as it can, and cancel its open orders at the broker."""
    daemon = call.daemon
    found = await daemon.runs.known(request.id)
    if found is None:
        raise refusal(f"there is no run {request.id}")
    reply = CancelReply(daemon.runs.cancel(request.id), 0, found.strategy, found.kind, found.stage, found.outcome)
    if found.kind != RunKind.TRADE:
        return reply
    cancel = daemon.in_force.runner.cancel
    orders, left = await asyncio.to_thread(cancel, request.id, who_of(call), request.reason)
    return replace(reply, left=left, orders=orders)


@verb("runs/logs", "GET", Role.READ)
async def runs_logs(call: VerbCall[Controller], request: LogsRequest) -> LogsReply:
    """Return the last log lines of a run."""
    path = call.daemon.start.log.path
    if path is None:
        raise refusal("the log goes to stderr, which can't be read back", "set daemon.log_file, or ask the journal")
    return LogsReply(await asyncio.to_thread(last_lines, path, request.id, request.most))


async def _run(call: VerbCall[Controller], request: RunRequest, kind: str) -> RunStatus:
    daemon = call.daemon
    entry = await asyncio.to_thread(_entry, daemon, request)
    is_known = daemon.configured.strategy(entry.name) is not None
    # A file that is not configured must not reach a live broker.
    if kind == "trade" and not is_known and daemon.configured.loaded.config.broker.type != "paper":
        hint = "add it under strategies: of the configuration, or run it with --dry-run"
        raise refusal(f"{entry.file} is no configured strategy, so it may run dry or on paper only", hint)
    if request.accepts_differences and call.daemon.configured.loaded.config.safety.four_eyes:
        hint = "sigc reconcile --adopt --reason '...', which another token confirms; then run it"
        raise refusal("two must want what the broker holds to be adopted (safety.four_eyes)", hint)
    if (request.is_forced or request.accepts_differences) and not request.reason:
        raise refusal("a run that is forced, or accepts differences, needs a reason", "give one by --reason '...'")
    ids = _ids(call)
    for id in ids:
        before = await daemon.runs.known(id)
        if before is not None:
            return before  # idempotent: this key was used already, maybe before a restart
    if kind == "trade" and is_known:
        await _refuse_edited(daemon, entry.name)
    order = RunOrder(
        ids[0] if ids else daemon.new_id(),
        entry.name,
        entry.file,
        request.portfolio or entry.portfolio,
        kind,
        request.date.isoformat() if request.date else "",
        {**entry.params, **request.params},
        slot=request.slot,
        is_forced=request.is_forced,
        accepts_differences=request.accepts_differences,
        reason=request.reason,
        who=who_of(call),
        capital=entry.capital,
        takes_file=request.file != "",
    )
    return (await daemon.order(order)).status()


async def _refuse_edited(daemon: Controller, strategy: str) -> None:
    """Raise E901 if a strategy's file is edited: whoever trades it by hand may mean either text."""
    found = (await asyncio.to_thread(daemon.in_force.runner.edited)).get(strategy)
    if found is None:
        return
    shown = f"`sigc reload` loads it; `sigc run {found.file} --dry-run` shows what it would trade"
    hint = f"{shown if found.problem is None else 'mend it, then `sigc reload`'}; jobs trade the loaded text"
    raise refusal(f"edited, not loaded: {found.text}", hint)


def _ids(call: VerbCall[Controller]) -> tuple[str, ...]:
    """Return the run id that the caller's key stands for: today's, and yesterday's for a key used before midnight."""
    if not call.key:
        return ()
    digest = hashlib.sha256(f"{call.token}\n{call.verb}\n{call.key}".encode()).hexdigest()[:16]
    today = call.daemon.clock.now()
    return tuple(f"r{day:%Y%m%d}-{digest}" for day in (today, today - timedelta(days=1)))


def _entry(daemon: Controller, request: RunRequest) -> StrategyEntry:
    """Return the strategy meant: by name, or by a file inside the roots. Raise E901. Blocks: call it in a thread."""
    found = daemon.configured
    if (request.strategy is None) == (request.file == ""):
        raise refusal("give either a strategy or a file")
    if request.strategy is not None:
        entry = found.strategy(request.strategy)
        if entry is None:
            known = [strategy.name for strategy in found.strategies]
            raise refusal(f"there is no strategy '{request.strategy}'", instead_of(request.strategy, known, found.jobs))
        return entry
    path = Path(request.file)
    # Links are followed before the check: a link inside a root may point anywhere.
    resolved = path.resolve()
    known_entry = next((s for s in found.strategies if s.file.resolve() == resolved), None)
    if known_entry is not None:
        return known_entry
    if not path.is_absolute() or not any(resolved.is_relative_to(root) for root in found.roots):
        hint = "add its folder to daemon.strategy_roots"
        raise refusal(f"{path} is outside the folders that strategies may be run from", hint)
    if not resolved.is_file():
        raise refusal(f"there is no file {path}")
    name = name_of(path)
    if found.strategy(name) is not None:
        hint = f"run it by its name, or rename {path.name}"
        raise refusal(f"strategy '{name}' is configured with another file than {path}", hint)
    return StrategyEntry(name, resolved)
