"""The end of a trade or dry run, as the daemon is told it."""

from __future__ import annotations

from collections.abc import Mapping

from sigc.daemon.runner import RunEnd
from sigc.store.ledger.records import Outcome
from sigc_pipelines.assembly.parts import Compiled
from sigc_pipelines.live.trading import Ended


def run_end(ended: Ended, compiled: Compiled, result: Mapping[str, object], *, is_before_trading: bool) -> RunEnd:
    """Return the end of a run of that strategy. result: plain data for who waits for it."""
    run = ended.run
    outcome, message = run.outcome, run.message
    if outcome is Outcome.OPEN:
        outcome, message = Outcome.UNRESOLVED, "orders may be out: they are being resolved"
    return RunEnd(
        outcome,
        message,
        {str(stage.name): stage.seconds for stage in ended.stages},
        run.key.session,
        run.as_of,
        is_before_trading,
        (*compiled.warnings, *ended.problems),
        dict(result),
        ended.waiting,
        bool(ended.scratch),
    )
