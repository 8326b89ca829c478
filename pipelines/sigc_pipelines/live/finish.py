"""Completion of a decided run: send and resolve its orders, and put the outcome into words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sigc.store.ledger import orders
from sigc.store.ledger.records import Finding, Intent, IntentState, Outcome, Run
from sigc_pipelines.checks.declare import listed
from sigc_pipelines.live.judging import closes_positions, judge_of
from sigc_pipelines.live.send_orders import Execution
from sigc_pipelines.live.slice_times import SliceTimes, Window
from sigc_pipelines.live.trading import RunWatch, Trading

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
            return Outcome.UNRESOLVED, f"{len(done.doubtful)} order(s) without a known outcome", done.findings
        return *verdict(sent), done.findings


def completion(trading: Trading, run: Run, watch: RunWatch | None = None) -> Completion:
    """Return what completes a decided run: the run itself uses it, and recovery after a crash."""
    watch, times = watch or RunWatch(), SliceTimes(trading.desk, run)
    with trading.ledger.reading() as connection:
        is_closing = closes_positions(connection, run.id)
    judge, ends = judge_of(trading.ledger, run, trading.clock, trading.broker), _ends(trading, run, times.window)
    execution = Execution(trading.desk, run, judge, ends, watch.stop, times, watch.waiting, passes_halt=is_closing)
    return Completion(trading, run, execution)


def finish(trading: Trading, run: Run, watch: RunWatch | None = None) -> tuple[Outcome, str, tuple[Finding, ...]]:
    """Complete a decided run."""
    whole = completion(trading, run, watch)
    whole.execution.run()
    return whole.result()


def verdict(intents: Sequence[Intent]) -> tuple[Outcome, str]:
    """Return the outcome of a run whose orders are all resolved, with counts and the reasons of orders that were not
    placed.

    >>> verdict([])
    (<Outcome.UNCHANGED: 'unchanged'>, 'nothing had to change')
    """
    if not intents:
        return Outcome.UNCHANGED, "nothing had to change"
    counts = Counter(str(intent.state) for intent in intents)
    text = f"{len(intents)} orders: " + ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
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


def _ends(trading: Trading, run: Run, window: Window | None) -> datetime:
    """Return the earlier of the cut-off and the deadline (s after the first order is due): nothing is sent after it."""
    begins = run.started if window is None else max(run.started, window.begins)
    late = begins + timedelta(seconds=trading.config.execution.execute_deadline_s)
    return late if run.cut_off is None else min(run.cut_off, late)
