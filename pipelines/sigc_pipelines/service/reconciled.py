"""Ledger and broker compared, and differences adopted, as values that go over the wire."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from sigc.daemon.runner import Adopting, RunEnd
from sigc.errors import Diagnostic, SigcError
from sigc.rpc.messages.books import DifferenceTold, ReconcileReply, told_adjustment
from sigc.store.ledger import halting, orders, runs
from sigc.store.ledger.adjustments import GapCause
from sigc.store.ledger.records import IntentState, Outcome, Run
from sigc.words import counted
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.reconcile.adopt import Adoption, adopt, compare, in_words
from sigc_pipelines.reconcile.causes import ExplainedDifference

_UNDISPUTED = frozenset({GapCause.DIVIDEND, GapCause.FEE})


def reconciled(trading: Trading, adopting: Adopting | None = None) -> ReconcileReply:
    """Compare, and adopt if somebody asks for it. Raises SigcError: E601 for a silent broker, E804, E312."""
    try:
        if adopting is None:
            return ReconcileReply(_told(compare(trading).found))
        done = adopt(trading, Adoption(adopting.who, adopting.reason, adopting.book))
    except UnreachableError as silent:
        hint = "nothing was adopted; orders that the ledger does not know may be cancelled at the broker"
        raise SigcError(Diagnostic("E601", str(silent), hint="" if adopting is None else hint)) from silent
    try:
        left = compare(trading).found
    except UnreachableError as silent:
        hint = f"{counted(len(done.adopted), 'entry', 'entries')} written; look again: `sigc reconcile`"
        raise SigcError(Diagnostic("E601", str(silent), hint=hint)) from silent
    return ReconcileReply(_told(done.found), tuple(map(told_adjustment, done.adopted)), _told(left))


def reconcile_job(trading: Trading, job: str, on_mismatch: Literal["alert", "halt", "adopt"]) -> RunEnd:
    """Compare, as a job of the schedule: `refused` if something differs, which is told. Raise SigcError E601.

    on_mismatch: alert alone; halt everything too; or adopt dividends and fees, which nobody has to judge, first.
    """
    begins = trading.clock.now() + timedelta(seconds=trading.config.execution.lookup_grace_s)
    with trading.ledger.reading() as connection:
        going = runs.open_trades(connection)
        busy = next((run for run in going if not _only_waits(connection, run, begins)), None)
    if busy is not None:  # which compares by itself, and whose orders are on their way
        return RunEnd(Outcome.UNCHANGED, f"not compared: the run {busy.id} is under way", is_before_trading=True)
    said = [f"the run {run.id} waits: nothing is adopted" for run in going[:1] if on_mismatch == "adopt"]
    try:
        found = compare(trading).found
        if on_mismatch == "adopt" and not going and any(one.cause in _UNDISPUTED for one in found):
            done = adopt(trading, Adoption(job, "on_mismatch: adopt", causes=_UNDISPUTED))
            said += [f"adopted: {one.cause} of {_amount(one.cash)} in {one.book.strategy}" for one in done.adopted]
            found = compare(trading).found
    except UnreachableError as silent:
        raise SigcError(Diagnostic("E601", str(silent))) from silent
    if not found:
        return RunEnd(Outcome.DONE, "; ".join([*said, "ledger and broker agree"]), is_before_trading=True)
    told = in_words(found)
    if on_mismatch == "halt":
        with trading.ledger.transaction("control") as tx:
            halting.halt_by_hand(tx, "", job, told)
    result = {"differences": [str(one) for one in found]}
    return RunEnd(Outcome.REFUSED, "; ".join([*said, told]), is_before_trading=True, result=result)


def _only_waits(connection: sqlite3.Connection, run: Run, begins: datetime) -> bool:
    """Return True for a run with nothing at the broker, and nothing due before an instant."""
    open = [one for one in orders.in_flight(connection) if one.run == run.id]
    return bool(open) and all(
        one.state is IntentState.PLANNED and one.not_before is not None and one.not_before > begins for one in open
    )


def _amount(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _told(found: Iterable[ExplainedDifference]) -> tuple[DifferenceTold, ...]:
    return tuple(
        DifferenceTold(d.asset, _amount(d.ledger), _amount(d.broker), str(one.cause), one.text)
        for one, d in ((one, one.difference) for one in found)
    )
