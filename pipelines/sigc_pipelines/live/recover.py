"""Recovery: give each run that was left open an outcome, and resolve orders without one, of all strategies or of one.

    not decided         interrupted: nothing of it was sent; it may be run again
    decided             completed: unknown orders are looked up, planned ones sent while the session is on
    closed, unresolved  its orders are looked up again; once all are known, the halt they left is lifted

Runs are completed side by side: none waits for the slices of another. Two ways:

    recover             everything, to its end, in one thread that goes from run to run: a process without a daemon
    recover_at_start    what needs no waiting; then `complete` in a thread of its own for each run that decided: the
                        daemon, which answers meanwhile

The process that opens the ledger for writing calls one of them before anything else; the daemon calls `recover` for one
strategy after a run of it failed, while no other run of it trades. Recovery may itself be interrupted at any
instruction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import heappop, heappush

from sigc.host.hung import BROKER
from sigc.store.ledger import books, control, orders, runs
from sigc.store.ledger.fenced import Fence, FencedLedger
from sigc.store.ledger.records import UNRESOLVED, IntentState, Outcome, Run, RunKind, RunStage, StageName
from sigc.store.ledger.waiting import waiting_of
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.finish import completion
from sigc_pipelines.live.revoked import revoke
from sigc_pipelines.live.run_watch import RunWatch
from sigc_pipelines.live.stage_thread import StageWork, to_end
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.live.unresolved import UNRESOLVED_HALT
from sigc_pipelines.records.artifacts import refresh, write_account

_ENDED = "the process ended"


@dataclass(frozen=True, slots=True)
class RecoveryVerdict:
    """The outcome of a run that was left open, or that had unresolved orders."""

    run: str
    outcome: Outcome
    message: str


def recover(
    trading: Trading,
    tell: Callable[[RecoveryVerdict], None] = lambda _: None,
    strategy: str = "",
    watch: RunWatch | None = None,
    *,
    leaves_waiting: bool = False,
) -> tuple[RecoveryVerdict, ...]:
    """Resolve everything that an earlier process left, or a failed run of one strategy. Return when all is over.

    strategy: '' for all, when no run is under way; else only no trade of that strategy may be. watch: told what orders
    wait for. leaves_waiting: runs whose orders wait for the open are left to a later process. Raises SigcError E310
    when the ledger fails.
    """
    why = "it failed" if strategy else _ENDED
    verdicts = [*_interrupted(trading, why, tell, strategy)]
    with trading.ledger.reading() as connection:
        left = runs.open_trades(connection, strategy)
        waiting = waiting_of(connection, [run.id for run in left], trading.clock.now())
        closed = _doubtful(connection, strategy)
    left = tuple(run for run in left if not leaves_waiting or run.id not in waiting)
    # Open runs first: completing them resolves most orders. Then closed runs whose orders are still unknown.
    for done in _side_by_side(
        [_Completing(trading, r, why, watch) for r in left] + [_Resolving(trading, r) for r in closed]
    ):
        verdicts.append(done.end())
        tell(verdicts[-1])
    _afterwards(trading, strategy)
    return tuple(verdicts)


def recover_at_start(
    trading: Trading, tell: Callable[[RecoveryVerdict], None] = lambda _: None
) -> tuple[RecoveryVerdict, ...]:
    """Resolve what needs no waiting: all but the runs that decided and are open, which `complete` brings to their end.

    These may be under way already. No other run may be. Raises SigcError E310 when the ledger fails.
    """
    verdicts = [*_interrupted(trading, _ENDED, tell)]
    with trading.ledger.reading() as connection:
        closed = _doubtful(connection)
    for done in _side_by_side([_Resolving(trading, run) for run in closed]):
        verdicts.append(done.end())
        tell(verdicts[-1])
    _afterwards(trading)
    return tuple(verdicts)


def complete(trading: Trading, run: Run, watch: RunWatch | None = None, why: str = _ENDED) -> RecoveryVerdict:
    """Bring a run that decided and was left open to its end. Blocks as long as its slices last.

    why: it was left open. No other trade of its strategy may begin meanwhile. Raises SigcError: E310 when the ledger
    fails, E803 when it hangs after its end of sending.
    """
    watch, fence = watch or RunWatch(), Fence()
    inner = replace(trading, ledger=FencedLedger(trading.ledger, fence))
    what = f"the stage {StageName.EXECUTE} of {run.key.strategy}"

    def work() -> RecoveryVerdict:
        whole = _Completing(inner, run, why, watch)
        whole.execution.run()
        return whole.end()

    watch.pulse.beat()
    stage = StageWork(what, lambda: BROKER, work, fence, trading.ledger, trading.clock, watch.stop)
    verdict = to_end(stage, watch.pulse, lambda why: revoke(trading.ledger, run, why))
    _afterwards(trading, run.key.strategy)
    return verdict


class _Completing:
    """A decided run on the way to its end."""

    def __init__(self, trading: Trading, run: Run, why: str, watch: RunWatch | None = None) -> None:
        self._trading, self._run, self._why = trading, run, why
        self._started, self._whole = trading.clock.now(), completion(trading, run, watch)
        self.execution = self._whole.execution

    def end(self) -> RecoveryVerdict:
        """Close the run, once its execution is over."""
        trading, run = self._trading, self._run
        outcome, message, findings = self._whole.result()
        seconds = (trading.clock.now() - self._started).total_seconds()
        with trading.ledger.transaction("stage") as tx:
            runs.add_stage(tx, run, RunStage(run.id, StageName.EXECUTE, self._started, seconds, "resumed", findings))
        return _close(trading, run, outcome, f"resumed after {self._why}: {message}")


class _Resolving:
    """A closed run whose orders are looked up again; its outcome stands."""

    def __init__(self, trading: Trading, run: Run) -> None:
        self._trading, self._run = trading, run
        self._whole = completion(trading, run)
        self.execution = self._whole.execution

    def end(self) -> RecoveryVerdict:
        """Write the run's files again, once its execution is over."""
        _, message, _ = self._whole.result()
        write_account(self._trading.ledger, self._run.id, self._trading.render)
        return RecoveryVerdict(self._run.id, self._run.outcome, message)


def _side_by_side(all_: Sequence[_Completing | _Resolving]) -> Iterator[_Completing | _Resolving]:
    """Drive executions in turn, each at the instant at which it has something to do. Yield each when it is over."""
    # One thread: so a clock that is turned by waiting (a replay's) shows every run the same time.
    steps = [one.execution.steps() for one in all_]
    due: list[tuple[datetime, int]] = []
    waiting = list(range(len(all_)))  # has something to do now
    while waiting or due:
        if not waiting:
            until, place = heappop(due)
            all_[place].execution.sleep(until)
            waiting.append(place)
        place = waiting.pop(0)
        until_next = next(steps[place], None)
        if until_next is None:
            yield all_[place]
        else:
            heappush(due, (until_next, place))


def _interrupted(
    trading: Trading, why: str, tell: Callable[[RecoveryVerdict], None], strategy: str = ""
) -> Iterator[RecoveryVerdict]:
    """Close the runs that ended before their decision, and yield the verdicts."""
    with trading.ledger.reading() as connection:
        left = [r for r in runs.left_open(connection) if not strategy or _is_trade_of(r, strategy)]
        # The decision and its intents are one transaction: without a decision there is no order.
        left = [r for r in left if not runs.is_decided(connection, r.id)]
    for run in left:
        verdict = _close(trading, run, Outcome.INTERRUPTED, f"{why} before anything was decided")
        tell(verdict)
        yield verdict


def _doubtful(connection: sqlite3.Connection, strategy: str = "") -> tuple[Run, ...]:
    """Return the closed runs that have orders without a known outcome."""
    flying = [i for i in orders.in_flight(connection) if strategy in ("", i.key.strategy)]
    found = [runs.find(connection, id) for id in sorted({i.run for i in flying if i.state in UNRESOLVED})]
    return tuple(run for run in found if run.outcome is not Outcome.OPEN)


def _afterwards(trading: Trading, strategy: str = "") -> None:
    """Book fills, lift what is over, and write the files of books without an open run again."""
    with suppress(UnreachableError):  # fills must be booked before the next run sizes its orders
        settle(trading.ledger, trading.broker)
    # Halts and cancel marks last: a crash before leaves them, which stops trading and is safe.
    _lift_halts(trading)
    _forget_cancels(trading)
    with trading.ledger.reading() as connection:
        going = {(r.key.strategy, r.key.portfolio) for r in runs.open_trades(connection)}
        known = [book.key for book in books.books(connection) if strategy in ("", book.key.strategy)]
    for key in known:  # runs under way, and those of other strategies, write their own files
        if (key.strategy, key.portfolio) not in going:
            refresh(trading.ledger, key, trading.render)


def _is_trade_of(run: Run, strategy: str) -> bool:
    return run.key.strategy == strategy and run.key.kind is RunKind.TRADE  # a dry run may be under way at any time


def _close(trading: Trading, run: Run, outcome: Outcome, message: str) -> RecoveryVerdict:
    with trading.ledger.transaction("run-close") as tx:
        runs.close_run(tx, run, trading.clock.now(), outcome, message)
    write_account(trading.ledger, run.id, trading.render)
    return RecoveryVerdict(run.id, outcome, message)


def _lift_halts(trading: Trading) -> None:
    """Lift the halts that orders without an outcome left, once these are known. A person's halt stays."""
    with trading.ledger.reading() as connection:
        held = [c for c in control.every(connection, control.HALTED) if c.value == UNRESOLVED_HALT]
        doubtful = {i.key.strategy for i in orders.in_flight(connection) if i.state in UNRESOLVED}
    for one in held:
        if one.scope not in doubtful:
            with trading.ledger.transaction("control") as tx:
                control.drop(tx, one.name, one.scope, "sigc", "every order's outcome is known")


def _forget_cancels(trading: Trading) -> None:
    """Drop the marks of runs that were cancelled or revoked and have nothing left to send."""
    with trading.ledger.reading() as connection:
        kept = [*control.every(connection, control.CANCELLED), *control.every(connection, control.REVOKED)]
        live = {r.id for r in runs.left_open(connection)}
        live |= {i.run for i in orders.in_flight(connection) if i.state in UNRESOLVED or i.state is IntentState.PLANNED}
    for one in kept:
        if one.scope not in live:
            with trading.ledger.transaction("control") as tx:
                control.drop(tx, one.name, one.scope, "sigc", "nothing of it is left to be sent")
