"""Recovery: give each run that was left open an outcome, and resolve orders without one, of all strategies or of one.

    not decided         interrupted: nothing of it was sent; it may be run again
    decided             completed: unknown orders are looked up, planned ones sent while the session is on
    closed, unresolved  its orders are looked up again; once all are known, the halt they left is lifted

The process that opens the ledger for writing calls it before anything else; the daemon calls it for one strategy after
a run of it failed, while no other run of it trades. Recovery may itself be interrupted at any instruction.
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
    """The outcome of a run that was left open, or that had unresolved orders."""

    run: str
    outcome: Outcome
    message: str


def recover(
    trading: Trading, tell: Callable[[RecoveryVerdict], None] = lambda _: None, strategy: str = ""
) -> tuple[RecoveryVerdict, ...]:
    """Resolve everything that an earlier process left, or a failed run of one strategy.

    strategy: '' for all, when no run is under way; else only no trade of that strategy may be. Raises SigcError E310
    when the ledger fails.
    """
    why = "it failed" if strategy else "the process ended"
    with trading.ledger.reading() as connection:
        left = [r for r in runs.left_open(connection) if not strategy or _is_trade_of(r, strategy)]
        flying = [i for i in orders.in_flight(connection) if strategy in ("", i.key.strategy)]
        doubtful = {i.run for i in flying if i.state in UNRESOLVED} - {r.id for r in left}
        closed = tuple(runs.find(connection, id) for id in sorted(doubtful))
    verdicts = []
    # Open runs first: completing them resolves most orders. Then closed runs whose orders are still unknown.
    for run in left:
        verdicts.append(_end(trading, run, why))
        tell(verdicts[-1])
    for run in closed:
        verdicts.append(_resolve(trading, run))
        tell(verdicts[-1])
    with suppress(UnreachableError):  # fills must be booked before the next run sizes its orders
        settle(trading.ledger, trading.broker)
    # Halts and cancel marks last: a crash before leaves them, which stops trading and is safe.
    _lift_halts(trading)
    _forget_cancels(trading)
    with trading.ledger.reading() as connection:
        known = [book for book in books.books(connection) if strategy in ("", book.key.strategy)]
    for book in known:  # other strategies' runs may write their own files at this moment
        refresh(trading.ledger, book.key, trading.render)
    return tuple(verdicts)


def _is_trade_of(run: Run, strategy: str) -> bool:
    return run.key.strategy == strategy and run.key.kind is RunKind.TRADE  # a dry run may be under way at any time


def _end(trading: Trading, run: Run, why: str) -> RecoveryVerdict:
    with trading.ledger.reading() as connection:
        is_decided = runs.is_decided(connection, run.id)
    # The decision and its intents are one transaction: without a decision there is no order.
    if not is_decided:
        return _close(trading, run, Outcome.INTERRUPTED, f"{why} before anything was decided")
    started = trading.clock.now()
    outcome, message, findings = finish(trading, run)
    seconds = (trading.clock.now() - started).total_seconds()
    with trading.ledger.transaction("stage") as tx:
        runs.add_stage(tx, run, RunStage(run.id, StageName.EXECUTE, started, seconds, "resumed", findings))
    return _close(trading, run, outcome, f"resumed after {why}: {message}")


def _resolve(trading: Trading, run: Run) -> RecoveryVerdict:
    """Look up the orders of a closed run again; its outcome stands."""
    _, message, _ = finish(trading, run)
    write_account(trading.ledger, run.id, trading.render)
    return RecoveryVerdict(run.id, run.outcome, message)


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
    """Drop the cancel marks of runs that have nothing left to send."""
    with trading.ledger.reading() as connection:
        kept = control.every(connection, control.CANCELLED)
        live = {r.id for r in runs.left_open(connection)}
        live |= {i.run for i in orders.in_flight(connection) if i.state in UNRESOLVED or i.state is IntentState.PLANNED}
    for one in kept:
        if one.scope not in live:
            with trading.ledger.transaction("control") as tx:
                control.drop(tx, one.name, one.scope, "sigc", "nothing of it is left to be sent")
