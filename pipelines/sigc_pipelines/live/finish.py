"""Completion of a decided run: send and resolve its orders, and put the outcome into words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sigc.store.ledger import orders, runs
from sigc.store.ledger.records import Finding, Intent, IntentState, Outcome, Run, RunStage, StageName
from sigc.words import counted
from sigc_pipelines.checks.declare import listed
from sigc_pipelines.live.judging import closes_positions, judge_of
from sigc_pipelines.live.order_window import end_of
from sigc_pipelines.live.run_watch import RunWatch
from sigc_pipelines.live.send_orders import Execution
from sigc_pipelines.live.slice_times import SliceTimes
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.records.artifacts import write_account

_MOST_REASONS = 3  # of why orders did not go out, in a run's message


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """The completion of a decided run: its execution, to be driven to the end, then its outcome in words."""

    trading: Trading
    run: Run
    execution: Execution

    def result(self) -> tuple[Outcome, str, tuple[Finding, ...]]:
        """Return the outcome, its text and what was found, once the execution is over."""
        done = self.execution.executed()
        with self.trading.ledger.reading() as connection:
            sent = orders.of_run(connection, self.run.id)
        if done.doubtful:
            return Outcome.UNRESOLVED, f"{counted(len(done.doubtful), 'order')} without a known outcome", done.findings
        return *verdict(sent), done.findings


def completion(trading: Trading, run: Run, watch: RunWatch | None = None) -> Completion:
    """Return what completes a decided run: the run itself uses it, and recovery after a crash."""
    times = SliceTimes(trading.desk, run)
    with trading.ledger.reading() as connection:
        is_closing = closes_positions(connection, run.id)
        due = [i.not_before for i in orders.of_run(connection, run.id) if i.not_before is not None]
        opens = runs.opens_of(connection, run.id)
    # The time to the window's opening is no part of the deadline.
    begins = max(run.started, min(due, default=run.started) if times.window is None else times.window.begins)
    end = end_of(run, begins, trading.config.execution, trading.ledger.zone)
    judge = judge_of(trading.ledger, run, trading.clock, trading.broker)
    return Completion(
        trading, run, Execution(trading.desk, run, judge, end, watch, times, opens, passes_halt=is_closing)
    )


def finish(trading: Trading, run: Run, watch: RunWatch | None = None) -> tuple[Outcome, str, tuple[Finding, ...]]:
    """Complete a decided run."""
    whole = completion(trading, run, watch)
    whole.execution.run()
    return whole.result()


def finish_and_close(trading: Trading, run: Run, what: str) -> tuple[Intent, ...]:
    """Complete and close a decided run whose only stage is execute. Return its orders as they stand.

    what: what the run was for, before its outcome in words.
    """
    started = trading.clock.now()
    outcome, message, findings = finish(trading, run)
    now = trading.clock.now()
    stage = RunStage(run.id, StageName.EXECUTE, started, (now - started).total_seconds(), "done", findings)
    with trading.ledger.transaction("run-close") as tx:
        runs.add_stage(tx, run, stage)
        runs.close_run(tx, run, now, outcome, f"{what}: {message}")
    write_account(trading.ledger, run.id, trading.render)
    with trading.ledger.reading() as connection:
        return orders.of_run(connection, run.id)


def verdict(intents: Sequence[Intent]) -> tuple[Outcome, str]:
    """Return the outcome of a run whose orders are all resolved, with counts and the reasons of orders that were not
    placed.

    >>> verdict([])
    (<Outcome.UNCHANGED: 'unchanged'>, 'nothing had to change')
    """
    if not intents:
        return Outcome.UNCHANGED, "nothing had to change"
    counts = Counter(str(intent.state) for intent in intents)
    text = f"{counted(len(intents), 'order')}: " + ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
    lost = [intent for intent in intents if not intent.was_placed]
    if not lost:
        return Outcome.DONE, text
    reasons: dict[str, list[str]] = {}
    for intent in lost:
        reasons.setdefault(intent.message or str(intent.state), []).append(intent.asset)
    text += "".join(f"; {listed(assets, 3)}: {why}" for why, assets in [*reasons.items()][:_MOST_REASONS])
    text += f"; and {len(reasons) - _MOST_REASONS} more reasons" if len(reasons) > _MOST_REASONS else ""
    if len(lost) < len(intents):
        return Outcome.PARTIAL, text
    is_taken_back = all(intent.state is IntentState.CANCELLED for intent in lost)
    return (Outcome.CANCELLED if is_taken_back else Outcome.NOTHING_TRADED), text
