"""Halts in the ledger: setting one ends the orders that it holds back, in the same transaction.

An order that is planned when its strategy is halted is denied and stays so: lifting the halt a moment later revives
nothing. The wording is the same wherever a halt stops an order (`reason_of`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sigc.store.ledger import control, orders
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import Intent, IntentState
from sigc.words import local_time

BY_PERSON = "by hand"
BY_FILE = "kill file"  # the value of a halt that was taken from the kill file
RULE = "sigc"  # the author of a halt that a rule has set


def reason_of(scope: str, who: str, reason: str) -> str:
    """Return why an order is not sent.

    >>> reason_of("", "ann", "enough")
    'everything is halted by ann: enough'
    """
    return f"{scope or 'everything'} is halted by {who}" + (f": {reason}" if reason else "")


def halt(tx: Transaction, scope: str, value: str, who: str, reason: str) -> tuple[Intent, ...]:
    """Halt a strategy, or '' for everything, and deny its planned orders. Return these. value: how it was halted."""
    control.put(tx, control.HALTED, scope, value, who, reason)
    return end_planned(tx, scope, reason_of(scope, who, reason or value))


def end_planned(tx: Transaction, scope: str, why: str) -> tuple[Intent, ...]:
    """Deny the planned orders of a strategy, or '' for all. Return these."""
    flying = orders.in_flight(tx.connection)
    found = tuple(i for i in flying if i.state is IntentState.PLANNED and scope in ("", i.key.strategy))
    for intent in found:
        orders.moved(tx, intent, IntentState.DENIED, why)
    return found


def halt_by_hand(tx: Transaction, scope: str, who: str, reason: str) -> bool:
    """Halt as a person wants it. Return False if a person has halted that scope already.

    It replaces a rule's halt: a person's decision must outlast the rule's cause.
    """
    before = control.get(tx.connection, control.HALTED, scope)
    if before is not None and before.who != RULE:
        end_planned(tx, scope, reason_of(scope, before.who, before.reason or before.value))
        return False
    halt(tx, scope, BY_PERSON, who, reason)
    return True


def take_in(tx: Transaction, halts: Iterable[tuple[str, str, str, datetime]]) -> tuple[str, ...]:
    """Take the halts of a kill file (scope, who, reason, at) into the ledger. Return the scopes that are new there."""
    new = []
    for scope, who, reason, at in halts:
        before = control.get(tx.connection, control.HALTED, scope)
        if before is None or before.who == RULE:
            said = f"{reason} (kill file of {local_time(at, tx.zone)})".strip()
            halt(tx, scope, BY_FILE, who, said)
            new.append(scope)
    return tuple(new)
