"""Compute: the wanted weights of the as-of row, and the decision if that row is traded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sigc.errors import Severity
from sigc.lang.semantics.rebalance import EVERY_ROW
from sigc.store.ledger import runs
from sigc.store.ledger.records import Finding
from sigc_pipelines.backtest.backtest import pick
from sigc_pipelines.live import waiting
from sigc_pipelines.live.decision import finite
from sigc_pipelines.portfolio.rebalance_turn import RebalanceTurn, turn_of
from sigc_pipelines.records.recording import record_computing, source_changes
from sigc_pipelines.stages.load import LoadedBook
from sigc_pipelines.stages.run_context import RunContext
from sigc_pipelines.targets import Targets, TargetSnapshot


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """The computed weights: all rows, and the as-of row."""

    targets: Targets
    snapshot: TargetSnapshot


@dataclass(frozen=True, slots=True, eq=False)
class ComputedTargets:
    """The wanted weights of a run.

    turn: whether the as-of row is a rebalance row of the book. is_idle: nothing is traded. waiting: weights that the
    last decision wanted, of assets without a price then; ready: those of them that this run makes up for, and trades
    alone.
    """

    snapshot: TargetSnapshot
    turn: RebalanceTurn
    is_idle: bool
    waiting: Mapping[str, float]
    ready: Mapping[str, float]


def look(context: RunContext, loaded: LoadedBook) -> Looked:
    """Compute the weights. Raises SigcError E2xx, E7xx."""
    targets = context.feed.look(loaded.data, context.request.portfolio)
    return Looked(targets, targets.at(context.run.as_of, context.at.session.day))


def compute(context: RunContext, loaded: LoadedBook, looked: Looked, findings: list[Finding]) -> ComputedTargets:
    """Judge the weights as numbers, record what was computed, and find out whether it is traded. Raises E801."""
    snapshot = looked.snapshot
    finite(snapshot)
    changed = source_changes(context.ledger, context.run, loaded.data, context.feed)
    digests = {"weights": snapshot.digest} | {f"data:{n}": d for n, d in looked.targets.digests.items()} | changed
    with context.ledger.transaction("stage") as tx:
        runs.add_digests(tx, context.run.id, digests)
    findings += record_computing(context.ledger, context.run, loaded.data, looked.targets, snapshot, context.feed)
    turn = _turn(context, loaded, looked.targets)
    waited: Mapping[str, float] = {}
    ready: Mapping[str, float] = {}
    if context.request.is_scheduled and not context.is_dry and not turn.due:
        with context.ledger.reading() as connection:
            waited = runs.pending(connection, context.book.strategy, context.book.portfolio)
        ready = waiting.ready(waited, snapshot)
    # A scheduled run has nothing to trade without a rebalance and without a change that waited.
    is_idle = context.request.is_scheduled and not context.is_dry and not turn.due and not ready
    if is_idle and snapshot.as_of < context.run.as_of:
        findings.append(Finding("fresh", Severity.WARNING, f"the newest row is of {snapshot.as_of}"))
    return ComputedTargets(snapshot, turn, is_idle, waited, ready)


def _turn(context: RunContext, loaded: LoadedBook, targets: Targets) -> RebalanceTurn:
    settings = pick(loaded.data, context.request.portfolio).backtest
    rebalance = EVERY_ROW if settings is None else settings.rebalance
    with context.ledger.reading() as connection:
        return turn_of(connection, context.book, rebalance, targets.row_days, context.run.as_of)
