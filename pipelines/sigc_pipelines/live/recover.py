"""Every run that was left open gets a verdict, every order without an outcome is resolved: of all, or one strategy.

    not decided         interrupted: nothing of it was sent; it may be run again
    decided             brought to its end: unknown orders looked up, planned ones sent while the session is on
    closed, unresolved  its orders are looked up again; once all are known, the halt they left is lifted

Called by whoever opens the ledger to write, before anything else is begun; and later for one strategy, after a run of
it failed, while no other trades. It may itself be interrupted anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sigc.store.ledger import books, control, orders, runs
from sigc.store.ledger.records import UNRESOLVED, IntentState, Outcome, Run, RunKind, RunStage, StageName
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.finish import finish
from sigc_pipelines.live.send_orders import UNRESOLVED_HALT
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.records.artifacts import refresh, write_account


@dataclass(frozen=True, slots=True)
class RecoveryVerdict:
    """What became of a run that was left open, or of one whose orders were."""

    run: str
    outcome: Outcome
    message: str


def recover(
    trading: Trading, tell: Callable[[RecoveryVerdict], None] = lambda _: None, strategy: str = ""
) -> tuple[RecoveryVerdict, ...]:
    """Resolve everything that an earlier process left, or a run of one strategy that failed.

    strategy: '' when nothing is under way at all; else no trade of that strategy is. Raises SigcError E310 when the
    ledger fails.
    """
    why = "it failed" if strategy else "the process ended"
    with trading.ledger.reading() as connection:
        left = [r for r in runs.left_open(connection) if not strategy or _is_trade_of(r, strategy)]
        flying = [i for i in orders.in_flight(connection) if strategy in ("", i.key.strategy)]
        doubtful = {i.run for i in flying if i.state in UNRESOLVED} - {r.id for r in left}
        closed = tuple(runs.find(connection, id) for id in sorted(doubtful))
    verdicts = []
    for run in left:
        verdicts.append(_end(trading, run, why))
        tell(verdicts[-1])
    for run in closed:
        verdicts.append(_resolve(trading, run))
        tell(verdicts[-1])
    with suppress(UnreachableError):  # fills are taken in before anything is traded on them
        settle(trading.ledger, trading.broker)
    _lift_halts(trading)
    _forget_cancels(trading)
    with trading.ledger.reading() as connection:
        known = [book for book in books.books(connection) if strategy in ("", book.key.strategy)]
    for book in known:  # others are looked after by themselves, maybe at this moment
        refresh(trading.ledger, book.key, trading.render)
    return tuple(verdicts)


def _is_trade_of(run: Run, strategy: str) -> bool:
    return run.key.strategy == strategy and run.key.kind is RunKind.TRADE  # dry ones may be under way all the time


def _end(trading: Trading, run: Run, why: str) -> RecoveryVerdict:
    with trading.ledger.reading() as connection:
        is_decided = runs.is_decided(connection, run.id)
    if not is_decided:
        return _close(trading, run, Outcome.INTERRUPTED, f"{why} before anything was decided")
    started = trading.clock.now()
    outcome, message, findings = finish(trading, run)
    seconds = (trading.clock.now() - started).total_seconds()
    with trading.ledger.transaction("stage") as tx:
        runs.add_stage(tx, run, RunStage(run.id, StageName.EXECUTE, started, seconds, "resumed", findings))
    return _close(trading, run, outcome, f"resumed after {why}: {message}")


def _resolve(trading: Trading, run: Run) -> RecoveryVerdict:
    """The verdict stands; its orders are looked up again."""
    _, message, _ = finish(trading, run)
    write_account(trading.ledger, run.id, trading.render)
    return RecoveryVerdict(run.id, run.outcome, message)


def _close(trading: Trading, run: Run, outcome: Outcome, message: str) -> RecoveryVerdict:
    with trading.ledger.transaction("run-close") as tx:
        runs.close_run(tx, run, trading.clock.now(), outcome, message)
    write_account(trading.ledger, run.id, trading.render)
    return RecoveryVerdict(run.id, outcome, message)


def _lift_halts(trading: Trading) -> None:
    """A halt that an order without an outcome left ends with the doubt; a person's stays."""
    with trading.ledger.reading() as connection:
        held = [c for c in control.every(connection, control.HALTED) if c.value == UNRESOLVED_HALT]
        doubtful = {i.key.strategy for i in orders.in_flight(connection) if i.state in UNRESOLVED}
    for one in held:
        if one.scope not in doubtful:
            with trading.ledger.transaction("control") as tx:
                control.drop(tx, one.name, one.scope, "sigc", "every order's outcome is known")


def _forget_cancels(trading: Trading) -> None:
    """That a run was cancelled need not be known when nothing of it can be sent any more."""
    with trading.ledger.reading() as connection:
        kept = control.every(connection, control.CANCELLED)
        live = {r.id for r in runs.left_open(connection)}
        live |= {i.run for i in orders.in_flight(connection) if i.state in UNRESOLVED or i.state is IntentState.PLANNED}
    for one in kept:
        if one.scope not in live:
            with trading.ledger.transaction("control") as tx:
                control.drop(tx, one.name, one.scope, "sigc", "nothing of it is left to be sent")
