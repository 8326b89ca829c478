"""Recording of a run's computation: its plan, its signals, and the realised returns of earlier signals."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path

import numpy as np

from sigc.errors import Severity, SigcError
from sigc.panel import Floats
from sigc.store.ledger import runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Finding, Intent, Run, RunKind
from sigc_pipelines.compute import Loaded
from sigc_pipelines.live.decision import Decision
from sigc_pipelines.live.trading import TargetFeed
from sigc_pipelines.live.valuing import BookValue
from sigc_pipelines.records.artifacts import folder_of, write_json
from sigc_pipelines.records.decision_record import Sized, write_data, write_decision, write_target
from sigc_pipelines.records.plan_record import plan_record
from sigc_pipelines.records.signal_record import WEIGHTS, write_realised, write_signals
from sigc_pipelines.records.source_record import changes, write_sources
from sigc_pipelines.targets import Targets, TargetSnapshot

PLAN = "plan.json"


def record_computing(
    ledger: Ledger, run: Run, loaded: Loaded, outlook: Targets, sight: TargetSnapshot, feed: TargetFeed
) -> tuple[Finding, ...]:
    """Write plan and signals of a run, and add realised returns to the record of the book's last run on older data.

    A dry run records nothing that later runs are compared with; a replay records nothing. A failed write is a finding
    and stops no run.
    """
    if not feed.is_kept:
        return ()
    try:
        write_plan(ledger.directory, run.id, outlook)
        write_data(ledger.directory, run.id, loaded, outlook, sight, run.as_of)
        values = {**outlook.signals, WEIGHTS: sight.wanted}
        write_signals(ledger.directory, run.id, sight.as_of, sight.names, sight.prices, values)
        if run.key.kind is RunKind.TRADE:
            _record_realised(ledger, run, loaded, feed)
            write_sources(ledger.directory, run.id, loaded.catalog.sources)
    except OSError as failure:
        return (Finding("record", Severity.WARNING, f"plan and signals can't be written down: {failure.strerror}"),)
    return ()


def source_changes(ledger: Ledger, run: Run, loaded: Loaded, feed: TargetFeed) -> dict[str, str]:
    """Return the changes of each source since the book's last run that traded, as `changed:NAME`; empty for a
    replay.
    """
    if not feed.is_kept or run.key.kind is not RunKind.TRADE:
        return {}
    with ledger.reading() as connection:
        last = runs.last_decided(connection, run.key.strategy, run.key.portfolio)
    try:
        found = changes(ledger.directory, last, loaded.catalog.sources) if last else {}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # a damaged record has no changes to report
        return {}
    return {f"changed:{name}": text for name, text in found.items()}


def _record_realised(ledger: Ledger, run: Run, loaded: Loaded, feed: TargetFeed) -> None:
    with ledger.reading() as connection:
        last, as_of = runs.decided_before(connection, run.key.strategy, run.key.portfolio, run.as_of)
    if last:
        write_realised(ledger.directory, last, feed.closes(loaded, as_of))


def write_plan(work_dir: Path, run: str, outlook: Targets) -> None:
    """Write the plan record. Raises OSError."""
    write_json(folder_of(work_dir, run) / PLAN, plan_record(outlook.plan, outlook.report))


def record_target(ledger: Ledger, run: Run, sight: TargetSnapshot, made: Decision, feed: TargetFeed) -> None:
    """Keep the weights of a refused or dry run; nothing for a replay."""
    if feed.is_kept:
        with contextlib.suppress(SigcError):
            write_target(ledger.directory, run.id, sight, made)


def record_decision(
    ledger: Ledger, run: Run, sight: TargetSnapshot, made: Decision, now: BookValue, sized: Sized, feed: TargetFeed
) -> None:
    """Keep the sizing of each asset; nothing for a replay."""
    if feed.is_kept:
        with contextlib.suppress(OSError):
            write_decision(ledger.directory, run.id, sight, made, now, sized)


def decided_record(sight: TargetSnapshot, target: Floats, intents: tuple[Intent, ...]) -> dict[str, object]:
    """Return the audit record of the signals: their number, their exposure, the digest of the weights."""
    return {
        "weights": sight.digest,
        "wanted": int(np.count_nonzero(np.nan_to_num(sight.wanted))),
        "gross": round(float(np.abs(target).sum()), 12),
        "net": round(float(target.sum()), 12),
        "orders": len(intents),
    }
