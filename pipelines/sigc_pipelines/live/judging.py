"""Pre-send check of each order, against the ledger's state at that moment.

Halts are read in the transaction that marks the order. The exposure of the book is built from the ledger once and
updated by this run's own orders; after any other change of the ledger (a sweep, another run) it is built again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal

from sigc.clock import Clock
from sigc.config.settings import SafetySettings
from sigc.errors import Severity
from sigc.store.ledger import books, breakers, orders, price_marks, runs
from sigc.store.ledger.halting import reason_of
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import ZERO, BookKey, Finding, Intent, Run
from sigc.words import zone_of
from sigc_pipelines.brokers.protocol import Broker
from sigc_pipelines.checks import account as account_checks
from sigc_pipelines.checks.account import is_later
from sigc_pipelines.checks.exposure import Bound, Exposure
from sigc_pipelines.checks.orders import CHECKS, judge, only_reduces
from sigc_pipelines.live.account_judge import AccountJudge
from sigc_pipelines.live.session_units import in_session
from sigc_pipelines.live.valuing import standing

CLOSES = "closes"  # in the record of a decision: its orders close positions, and pass a halt
BY_BOUNDS = ("max_order_pct", "max_adv_pct")  # limits that need a `Bound` of the order's asset


def judge_of(
    ledger: Ledger, run: Run, clock: Clock, broker: Broker | None = None, *, honours_halts: bool = True
) -> Callable[[Transaction, Intent], tuple[Finding, ...]]:
    """Return the judge of a run's orders, which uses the limits and prices of the run's decision.

    broker: asked for its buying power, once, where that is limited. honours_halts: False where halts are told apart.
    """
    with ledger.reading() as connection:
        limits = SafetySettings.model_validate(runs.limits_of(connection, run.id))
        bounds, off = bounds_of(connection, run.id)
        is_closing = closes_positions(connection, run.id)
    limits = limits.model_copy(update=dict.fromkeys(off, 0.0))  # 0 turns a limit off
    # On the clocks of the zone in which reasons are told.
    cut_off = None if run.cut_off is None else run.cut_off.astimezone(zone_of(ledger.zone))
    known: list[tuple[tuple[int, int], Exposure]] = []
    account = AccountJudge(run, limits, clock, None if is_closing else broker)

    def judged(tx: Transaction, intent: Intent) -> tuple[Finding, ...]:
        halt = None if is_closing or not honours_halts else breakers.halt_of(tx.connection, run.key.strategy)
        if halt is not None:
            why = reason_of(halt.scope, halt.who, halt.reason or halt.value)
            return (Finding("halted", Severity.DENIAL, why, (intent.asset,)),)
        # Planned and sent orders count alike (both are in flight), so a mark changes nothing; fills and ends do.
        changes = orders.changes(tx.connection)
        if not known or known[0][0] != changes:
            known[:] = [(changes, exposure(tx.connection, run, bounds))]
        at = known[0][1]
        found = judge(intent, at, limits, clock.now(), cut_off)
        reduced = None if is_closing else breakers.reduces_only(tx.connection, run.key.strategy)
        if (is_closing or reduced is not None) and not found and not only_reduces(intent, at):
            why = f"the order may take {intent.asset} beyond zero"
            if reduced is not None:
                why = f"only orders that reduce are sent: the breaker {reduced.name} has tripped: {reduced.text}"
            found = (Finding("reduce_only", Severity.DENIAL, why, (intent.asset,)),)
        if not found:
            found = account.findings(tx.connection, intent, at)
            if is_later(found):
                return found
        if found:  # denied: it frees its share of the limits for the orders behind it
            at.withdraw(intent.client_order_id)
            account.withdraw(intent.client_order_id)
        return found

    return judged


def setting_of(check: str) -> str:
    """Return the setting that is the limit of a check of orders, with its section; '' for a check without one.

    >>> setting_of("order_value"), setting_of("halted")
    ('safety.max_order_value', '')
    """
    found = next((c.setting for c in (*CHECKS, *account_checks.CHECKS) if c.name == check), "")
    return f"safety.{found}" if found else ""


def denial(found: Sequence[Finding]) -> str:
    """Return the reason of an order that is denied: each finding with the setting to look at.

    >>> denial([Finding("order_value", Severity.DENIAL, "the order's value is 9; the limit is 1", ("A",))])
    "the order's value is 9; the limit is 1 (safety.max_order_value)"
    """
    return "; ".join(with_setting(one) for one in found)


def with_setting(denied: Finding) -> str:
    """Return a finding's message with the setting that is its limit, if it has one."""
    setting = setting_of(denied.check)
    return denied.message + (f" ({setting})" if setting else "")


def exposure(connection: sqlite3.Connection, run: Run, bounds: Mapping[str, Bound] | None = None) -> Exposure:
    """Return the exposure of the book, with all orders in flight, at the prices of the run."""
    key = BookKey(run.key.strategy, run.key.portfolio)
    marks = price_marks.marks_of(connection, run.id)
    fills = books.fills_of_session(connection, run.key)
    now = in_session(connection, run, fills, standing(connection, key, _prices(marks)))
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
        fills=fills,
        parents=parents,
        bounds=bounds,
    )


def _prices(marks: Mapping[str, price_marks.Mark]) -> dict[str, Decimal]:
    return {asset: mark.price for asset, mark in marks.items() if mark.price is not None}


def closes_positions(connection: sqlite3.Connection, run: str) -> bool:
    """Return True if a run closes positions under a halt, by its decision."""
    return runs.decision_of(connection, run).get(CLOSES) is True


def bounds_record(bounds: Mapping[str, Bound], off: Collection[str]) -> dict[str, object]:
    """Return the audit record of a decision's bounds, read by `bounds_of`. off: limits without data to measure by."""
    texts = {
        asset: [None if v is None else str(v) for v in (b.wanted, b.lot, b.high, b.volume)]
        for asset, b in sorted(bounds.items())
    }
    return {"bounds": texts, "off": sorted(off)}


def bounds_of(connection: sqlite3.Connection, run: str) -> tuple[dict[str, Bound], tuple[str, ...]]:
    """Return the bounds of a run's decision, and the limits that are off. A run of an older sigc has no bounds."""
    said = runs.decision_of(connection, run)
    if "bounds" not in said:
        return {}, BY_BOUNDS
    read = {
        asset: Bound(*(None if v is None else Decimal(v) for v in values))  # type: ignore[arg-type]
        for asset, values in said["bounds"].items()
    }
    return read, tuple(said["off"])
