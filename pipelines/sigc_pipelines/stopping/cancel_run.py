"""One run cancelled by a person: its orders before and after, counted for the person who cancels it."""

from __future__ import annotations

from collections.abc import Sequence

from sigc.errors import SigcError
from sigc.rpc.messages.requests import CancelledOrderCounts
from sigc.store.ledger import orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import UNRESOLVED, WORKING, Intent, IntentState
from sigc_pipelines.brokers.protocol import Broker
from sigc_pipelines.live.apply_fills import cancel


class UnknownRunError(SigcError):
    """The error that a run never came to the ledger."""


def cancel_run(ledger: Ledger, broker: Broker, id: str, who: str, reason: str) -> tuple[CancelledOrderCounts, int]:
    """Send no more orders of a run and cancel its open ones. Return what became of all, and how many are left.

    Raise UnknownRunError for a run that never came to the ledger.
    """
    with ledger.reading() as connection:
        try:
            run = runs.find(connection, id)
        except SigcError as no:
            raise UnknownRunError(*no.diagnostics) from no
        before = orders.of_run(connection, id)
    left = cancel(ledger, broker, run, who, reason)
    with ledger.reading() as connection:
        after = orders.of_run(connection, id)
    return counts_of(before, after, left), len(left)


def counts_of(before: Sequence[Intent], after: Sequence[Intent], left: Sequence[Intent]) -> CancelledOrderCounts:
    """Return the orders of a run, counted. left: those that could not be reached, or have no known outcome."""
    was = {one.client_order_id: one for one in before}
    unreached = {one.client_order_id for one in left}
    cancelled = [i for i in after if i.state is IntentState.CANCELLED and i.client_order_id in was]
    taken_back = [i for i in cancelled if was[i.client_order_id].state in WORKING | UNRESOLVED]
    return CancelledOrderCounts(
        sent=sum(one.was_placed or one.state in UNRESOLVED for one in before),
        unsent=sum(was[i.client_order_id].state is IntentState.PLANNED for i in cancelled),
        taken_back=len(taken_back),
        filled=sum(one.state is IntentState.FILLED for one in after),
        partly=sum(one.filled != 0 and one.state is not IntentState.FILLED for one in after),
        open=sum(one.state in WORKING and one.client_order_id not in unreached for one in after),
    )
