"""What a run leaves of its computing for people to look at: its plan, its signals, and how the last ones came out."""

from __future__ import annotations

from pathlib import Path

from sigc.store import runs
from sigc.store.ledger import Ledger
from sigc.store.records import Run, RunKind
from sigc_pipelines.artifacts import folder_of, write_json
from sigc_pipelines.compute import Loaded
from sigc_pipelines.outlook import Outlook, Sight
from sigc_pipelines.plan_record import plan_record
from sigc_pipelines.signal_record import WEIGHTS, write_realised, write_signals
from sigc_pipelines.trading import Feed

PLAN = "plan.json"


def record_computing(ledger: Ledger, run: Run, loaded: Loaded, outlook: Outlook, sight: Sight, feed: Feed) -> None:
    """Write plan and signals of a run, and add to the book's last run on older data what has become of its signals.

    Of a dry run the plan alone. Raises OSError.
    """
    work_dir = ledger.directory
    write_plan(work_dir, run.id, outlook)
    if run.key.kind is not RunKind.TRADE:
        return
    values = {**outlook.signals, WEIGHTS: sight.wanted}
    write_signals(work_dir, run.id, sight.as_of, sight.names, sight.prices, values)
    with ledger.reading() as connection:
        last, as_of = runs.decided_before(connection, run.key.strategy, run.key.portfolio, run.as_of)
    if last:
        write_realised(work_dir, last, feed.closes(loaded, as_of))


def write_plan(work_dir: Path, run: str, outlook: Outlook) -> None:
    """Write what was computed. Raises OSError."""
    write_json(folder_of(work_dir, run) / PLAN, plan_record(outlook.plan, outlook.report))
