"""The verbs of the past: NAV, runs, orders, fills, positions, audit records, signals; and the cache.

Each has bounded cost and size, for pages that ask again and again. SQLite is read in the reading thread of
`ledger_threads.py`, files in a thread of their own, nothing in the loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from sigc.daemon import run_files
from sigc.daemon.book_history import nav_reply
from sigc.daemon.configured.configured import instead_of
from sigc.daemon.controller import Controller
from sigc.daemon.ordering import refusal
from sigc.errors import SigcError
from sigc.rpc.messages.history import (
    AuditReply,
    AuditRequest,
    CacheReply,
    DetailReply,
    DetailRequest,
    FillsReply,
    FillsRequest,
    FindingLine,
    NavReply,
    NavRequest,
    OpenReply,
    OrdersReply,
    OrdersRequest,
    PositionsReply,
    PositionsRequest,
    RunsPageReply,
    RunsPageRequest,
    SignalsReply,
    SignalsRequest,
    StageLine,
)
from sigc.rpc.messages.requests import RunStatus
from sigc.rpc.verb import Nothing, Role, VerbCall, verb
from sigc.store.history import history, holding, recent
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.records import Finding, Nav, Run, RunStage
from sigc.store.ledger.waiting import waiting_of

_MOST_FINDINGS, _MOST_ASSETS, _LONGEST_MESSAGE = 60, 20, 300


@verb("history/nav", "GET", Role.READ)
async def history_nav(call: VerbCall[Controller], request: NavRequest) -> NavReply:
    """Return a book by session: NAV, drawdown, returns, exposure, turnover; its months and figures."""
    found = await call.daemon.books.read(partial(nav_reply, request=request, tracks=call.daemon.tracks))
    return found or NavReply(_known(call.daemon, request.strategy))


@verb("history/runs", "GET", Role.READ)
async def history_runs(call: VerbCall[Controller], request: RunsPageRequest) -> RunsPageReply:
    """Return a page of runs: the daemon's own, and those done without it."""
    daemon = call.daemon
    wanted = history.RunsWanted(request.strategy or "", request.kind, request.outcome, request.before, request.most)
    found = await daemon.books.read(partial(history.runs_page, wanted=wanted, now=daemon.clock.now()))
    listed = []
    for run in found:
        live = daemon.runs.find(run.id)
        listed.append(_status(run) if live is None else replace(live.status(with_result=False), filled=run.filled))
    return RunsPageReply(tuple(listed), history.run_cursor(found[-1]) if len(found) == request.most else "")


@verb("orders/list", "GET", Role.READ)
async def orders_list(call: VerbCall[Controller], request: OrdersRequest) -> OrdersReply:
    """Return a page of orders."""
    wanted = history.OrdersWanted(request.strategy or "", request.state, request.run, request.before, request.most)
    try:
        return OrdersReply(*await call.daemon.books.read(partial(history.orders_page, wanted=wanted)))
    except history.CursorError as wrong:
        raise refusal(str(wrong)) from wrong


@verb("fills/list", "GET", Role.READ)
async def fills_list(call: VerbCall[Controller], request: FillsRequest) -> FillsReply:
    """Return a page of fills."""
    wanted = history.FillsWanted(request.strategy or "", request.run, request.before, request.most)
    try:
        return FillsReply(*await call.daemon.books.read(partial(history.fills_page, wanted=wanted)))
    except history.CursorError as wrong:
        raise refusal(str(wrong)) from wrong


@verb("positions/list", "GET", Role.READ)
async def positions_list(call: VerbCall[Controller], request: PositionsRequest) -> PositionsReply:
    """Return the largest positions of a book: target and held weight, drift, price, value, unrealised profit."""
    daemon, strategy = call.daemon, request.strategy
    book = await daemon.books.read(partial(history.book_of, strategy=strategy, portfolio=request.portfolio))
    if book is None:
        return PositionsReply(_known(daemon, strategy))
    key = book.key
    run = await daemon.books.read(partial(_last_decided, strategy=strategy, portfolio=key.portfolio))
    targets = await asyncio.to_thread(run_files.targets_of, _work_dir(daemon), run.id) if run else {}
    sizing = daemon.configured.loaded.config.execution.sizing

    def read(connection: sqlite3.Connection) -> tuple[Nav | None, float, tuple[holding.Holding, ...], int]:
        money = holding.sized_by(connection, book, sizing)
        held, total = holding.holdings(connection, key, targets, request.most, money)
        return books.last_nav(connection, key), money, held, total

    nav, money, held, total = await daemon.books.read(read)
    return PositionsReply(
        strategy,
        key.portfolio,
        None if nav is None else float(nav.nav),
        round(float(book.cash), 2),
        nav.session if nav is not None else run.as_of if run else "",
        run.id if run else "",
        total,
        held,
        money,
        round(float(book.receivables), 2),
    )


@verb("audit/recent", "GET", Role.READ)
async def audit_recent(call: VerbCall[Controller], request: AuditRequest) -> AuditReply:
    """Return a page of audit records."""
    wanted = recent.RecordsWanted(request.event, request.strategy or "", request.run, request.before, request.most)
    found = await call.daemon.books.read(partial(recent.records_page, wanted=wanted))
    return AuditReply(found, found[-1].seq if len(found) == request.most else 0)


@verb("orders/open", "GET", Role.READ)
async def orders_open(call: VerbCall[Controller], request: Nothing) -> OpenReply:  # noqa: ARG001
    """Return the number of orders that may still be filled, by strategy and state."""
    return OpenReply(await call.daemon.books.read(history.open_orders))


@verb("cache/status", "GET", Role.READ)
async def cache_status(call: VerbCall[Controller], request: Nothing) -> CacheReply:  # noqa: ARG001
    """Return the cache of blocks: size and limit, hits and misses, largest entries."""
    settings = call.daemon.configured.loaded.config.daemon.cache
    if not settings.enabled:
        return CacheReply(False)
    limit, directory = int(settings.max_size_gb * 1e9), Path(settings.directory).expanduser()
    return await asyncio.to_thread(call.daemon.cache_look.look, directory, limit)


@verb("runs/detail", "GET", Role.READ)
async def runs_detail(call: VerbCall[Controller], request: DetailRequest) -> DetailReply:
    """Return one run: its stages with their findings, order totals, files, the plan with the time of each node."""
    daemon, id = call.daemon, request.id
    status = await daemon.runs.known(id)
    filled = await daemon.books.read(partial(orders.filled_of, runs=[id]))
    told = await daemon.books.read(partial(_told, id=id))
    if status is None:
        if told is None:
            raise refusal(f"there is no run {id}")
        status = _alone(told.run)
    waiting = await daemon.books.read(partial(waiting_of, ids=[id], now=daemon.clock.now()))
    status = replace(status, filled=filled.get(id, ""), waiting=waiting.get(id))
    work_dir = _work_dir(daemon)
    plan = await asyncio.to_thread(run_files.plan_of, work_dir, id)
    files = await asyncio.to_thread(run_files.artifacts, work_dir, id)
    if told is None:
        return DetailReply(status, stages=_stages((), status), artifacts=files, plan=plan)
    run = told.run
    stages = _stages(told.stages, status)
    about = (run.key.portfolio, run.broker, run.revision, run.digests)
    return DetailReply(status, *about, stages, told.totals, told.orders, files, plan)


@verb("signals/history", "GET", Role.READ)
async def signals_history(call: VerbCall[Controller], request: SignalsRequest) -> SignalsReply:
    """Return the signals of a strategy's runs: their spread, and how well they ranked the returns that followed."""
    daemon = call.daemon

    wanted = history.TradesWanted(request.strategy, request.portfolio, request.before, request.most)

    def read(connection: sqlite3.Connection) -> tuple[list[tuple[history.PastRun, history.OrderTotals]], int]:
        page, before = history.trades_page(connection, wanted)
        return [(run, history.totals_of(connection, run.id)) for run in page], before

    page, before = await daemon.books.read(read)
    if not page:
        _known(daemon, request.strategy)
    days, fifths = await asyncio.to_thread(run_files.signals_of, _work_dir(daemon), page)
    return SignalsReply(days, fifths, before)


@dataclass(frozen=True, slots=True)
class _Told:
    """The ledger's record of a run that trades or might have."""

    run: Run
    stages: tuple[RunStage, ...]
    totals: history.OrderTotals
    orders: Mapping[str, int]


def _told(connection: sqlite3.Connection, id: str) -> _Told | None:
    try:
        run = runs.find(connection, id)
    except SigcError:
        return None
    if run.id != id:  # `find` also accepts the beginning of an id
        return None
    totals, states = history.totals_of(connection, id), orders.states_of(connection, id)
    return _Told(run, runs.stages_of(connection, id), totals, states)


def _stages(told: tuple[RunStage, ...], status: RunStatus) -> tuple[StageLine, ...]:
    """Return the stages in the ledger, then those known only from the run itself; the last may be under way.

    A stage without a record is taken to have begun when the one before it ended.
    """
    lines = [_stage(stage) for stage in told]
    known = {line.name for line in lines}
    at = max((line.started + timedelta(seconds=line.seconds) for line in lines if line.started), default=status.asked)
    for name, seconds in status.stages.items():
        if name not in known:
            lines.append(StageLine(name, seconds, "done", at))
            at += timedelta(seconds=seconds)
    if status.state == "running" and status.stage and status.stage not in {line.name for line in lines}:
        lines.append(StageLine(status.stage, 0.0, "running", at))
    return tuple(lines)


def _stage(stage: RunStage) -> StageLine:
    findings = tuple(_finding(one) for one in stage.findings[:_MOST_FINDINGS])
    return StageLine(str(stage.name), stage.seconds, stage.outcome, stage.started, findings)


def _finding(found: Finding) -> FindingLine:
    assets, more = found.assets[:_MOST_ASSETS], max(0, len(found.assets) - _MOST_ASSETS)
    # JSON has no infinity.
    numbers = (n if n is not None and abs(n) < float("inf") else None for n in (found.value, found.limit))
    return FindingLine(found.check, str(found.severity), found.message[:_LONGEST_MESSAGE], assets, more, *numbers)


def _status(run: history.PastRun) -> RunStatus:
    """Return the status of a run that ended or was cut off."""
    state = "ended" if run.finished is not None else "interrupted"
    return RunStatus(
        *(run.id, run.strategy, run.kind, state, run.at),
        finished=run.finished,
        outcome=run.outcome,
        filled=run.filled,
        waiting=run.waiting,
        message=run.message[:_LONGEST_MESSAGE],
        session=run.session,
        as_of=run.as_of,
        who=run.who,
        job=run.job,
        reason=run.reason,
    )


def _alone(run: Run) -> RunStatus:
    """Return the status of a run done without the daemon."""
    key, end = run.key, (run.finished, str(run.outcome), run.message)
    past = history.PastRun(
        *(run.id, key.strategy, key.portfolio, str(key.kind), run.started, *end),
        *(key.session, run.as_of, "", run.who, run.reason),
    )
    return _status(past)


def _last_decided(connection: sqlite3.Connection, strategy: str, portfolio: str) -> Run | None:
    id = runs.last_decided(connection, strategy, portfolio)
    return runs.find(connection, id) if id else None


def _known(daemon: Controller, strategy: str) -> str:
    """Return the name of a configured strategy. Raise E901."""
    known = [entry.name for entry in daemon.configured.strategies]
    if strategy not in known:
        raise refusal(f"there is no strategy '{strategy}'", instead_of(strategy, known, daemon.configured.jobs))
    return strategy


def _work_dir(daemon: Controller) -> Path:
    return daemon.start.places.work_dir
