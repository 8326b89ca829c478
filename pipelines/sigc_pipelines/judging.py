"""Each order judged before it is sent, by what the ledger says at that moment.

Kill decisions are read in the transaction that marks the order. The exposure of the book is built from the ledger once
and kept up by what this run does; whatever else changed the ledger since (a sweep, another run) has it built anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Decimal

from sigc.clock import Clock
from sigc.config import SafetySettings
from sigc.store import books, control, orders, runs
from sigc.store.ledger import Ledger, Transaction
from sigc.store.records import ZERO, BookKey, Finding, Intent, Run, Weight
from sigc_pipelines.checks.exposure import Exposure
from sigc_pipelines.checks.orders import judge
from sigc_pipelines.valuing import standing


def judge_of(ledger: Ledger, run: Run, clock: Clock) -> Callable[[Transaction, Intent], tuple[Finding, ...]]:
    """The judge of a run's orders: by the limits and prices that the run decided with."""
    with ledger.reading() as connection:
        limits = SafetySettings.model_validate(runs.limits_of(connection, run.id))
    known: list[tuple[tuple[int, int], Exposure]] = []

    def judged(tx: Transaction, intent: Intent) -> tuple[Finding, ...]:
        halt = control.holds(tx.connection, control.HALTED, run.key.strategy)
        if halt is not None:
            why = f"{halt.scope or 'everything'} is halted by {halt.who}: {halt.reason or halt.value}"
            return (Finding("halted", Weight.DENIAL, why, (intent.asset,)),)
        changes = orders.changes(tx.connection)
        if not known or known[0][0] != changes:
            known[:] = [(changes, exposure(tx.connection, run))]
        at = known[0][1]
        found = judge(intent, at, limits, clock.now(), run.cut_off)
        if found:
            at.withdraw(intent.client_order_id)
        return found

    return judged


def exposure(connection: sqlite3.Connection, run: Run) -> Exposure:
    """What the book may come to, with all that is in flight, at the prices of the run."""
    key = BookKey(run.key.strategy, run.key.portfolio)
    marks = books.marks_of(connection, run.id)
    now = standing(connection, key, {a: m.price for a, m in marks.items() if m.price is not None})
    session = orders.of_session(connection, run.key)
    others = [i for i in orders.in_flight(connection, key) if i.key.session != run.key.session]
    parents: dict[str, Decimal] = {}
    for intent in session:
        if intent.parent:
            parents[intent.parent] = parents.get(intent.parent, ZERO) + intent.quantity
    return Exposure.of(
        now.worth,
        now.book.cash,
        now.positions,
        marks,
        intents=(*session, *others),
        fills=books.fills_of_session(connection, run.key),
        parents=parents,
    )
