"""Validate: bring the target within its constraints, and check it with the data and the book against every limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Floats
from sigc.store.ledger import runs
from sigc.store.ledger.control import accepted_by_hand
from sigc.store.ledger.records import Finding
from sigc_pipelines.live.decision import Decision, Known, decide
from sigc_pipelines.prices import restated_prices
from sigc_pipelines.records.artifacts import read_weights
from sigc_pipelines.records.recording import record_target
from sigc_pipelines.stages.compute import ComputedTargets
from sigc_pipelines.stages.load import LoadedBook
from sigc_pipelines.stages.run_context import RunContext
from sigc_pipelines.targets import TargetSnapshot


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTargets:
    """The weights to trade to, and the findings. told: prices of the last decision that have been restated since."""

    decision: Decision
    told: restated_prices.Told
    findings: tuple[Finding, ...]


def validate(context: RunContext, loaded: LoadedBook, computed: ComputedTargets) -> JudgedTargets:
    """Judge the weights. Errors are findings of the result; `refuse` raises them. Raises E801 without money."""
    book, snapshot = context.book, computed.snapshot
    is_compared = context.trading.config.safety.max_deviation > 0
    with context.ledger.reading() as connection:
        past = runs.past_turnovers(connection, book.strategy, book.portfolio) if is_compared else ()
        last = runs.last_decided(connection, book.strategy, book.portfolio)
        before = runs.decision_of(connection, last)
        by_hand = accepted_by_hand(connection)
    told = restated_prices.look(context.feed, loaded.data, before.get("shown", {}), by_hand)
    known = Known(past, before.get("coverage", {}), computed.ready, told.those)
    made = decide(
        *(snapshot, loaded.value, context.run.as_of, context.trading.config, known, loaded.data.actions),
        lambda: _last_target(context, snapshot, last),
    )
    if context.is_dry or _errors(made.findings):
        record_target(context.ledger, context.run, snapshot, made, context.feed)
    return JudgedTargets(made, told, tuple(made.findings))


def refuse(judged: JudgedTargets) -> None:
    """Raise E801 with every error that was found."""
    errors = _errors(judged.findings)
    if errors:
        raise SigcError(*(Diagnostic("E801", found.message) for found in errors))


def _errors(findings: tuple[Finding, ...] | list[Finding]) -> list[Finding]:
    return [found for found in findings if found.severity is Severity.ERROR]


def _last_target(context: RunContext, snapshot: TargetSnapshot, last: str) -> tuple[Floats, Finding]:
    """Return the target of the book's last run; an error without one."""
    known = read_weights(context.ledger.directory, last) if last else {}
    told = Finding("use_cache", Severity.WARNING, f"the target is that of the run {last}")
    if not known:
        told = Finding("use_cache", Severity.ERROR, "there is no earlier run whose target could be used")
    return np.array([known[n]["target"] if n in known else 0.0 for n in snapshot.names]), told
