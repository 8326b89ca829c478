"""From decided to done: the orders of a run sent and resolved, and what came of it in words."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from sigc.store import orders
from sigc.store.records import Finding, Outcome, Run
from sigc_pipelines.execute import Execution
from sigc_pipelines.judging import judge_of
from sigc_pipelines.trading import Trading


def finish(trading: Trading, run: Run, stop: threading.Event | None = None) -> tuple[Outcome, str, tuple[Finding, ...]]:
    """Bring a run that has decided to its end: first by itself, or again after a crash."""
    done = Execution(trading.desk, run, judge_of(trading.ledger, run, trading.clock), _ends(trading, run), stop).run()
    with trading.ledger.reading() as connection:
        sent = orders.of_run(connection, run.id)
    if done.doubtful:
        return Outcome.UNRESOLVED, f"{len(done.doubtful)} order(s) without a known outcome", done.findings
    if not sent:
        return Outcome.UNCHANGED, "nothing had to change", done.findings
    counts: dict[str, int] = {}
    for intent in sent:
        counts[intent.state] = counts.get(intent.state, 0) + 1
    text = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
    return Outcome.DONE, f"{len(sent)} orders: {text}", done.findings


def _ends(trading: Trading, run: Run) -> datetime:
    """When nothing is sent any more: the cut-off, or the deadline, which runs from the first order's time on."""
    with trading.ledger.reading() as connection:
        due = [i.not_before for i in orders.of_run(connection, run.id) if i.not_before is not None]
    begins = max(run.started, min(due, default=run.started))
    late = begins + timedelta(seconds=trading.config.execution.execute_deadline_s)
    return late if run.cut_off is None else min(run.cut_off, late)
