"""Circuit breakers as they are shown: in replies, as metrics, as a check of health; and trials of one.

A trial trips the breaker in a transaction that is rolled back: what it tells is what the real one does.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing

from sigc import metrics as m
from sigc.alerts.words import moment
from sigc.config.breaker_settings import BreakerSettings
from sigc.config.settings import SafetySettings
from sigc.metrics import DaemonMetrics
from sigc.rpc.messages.breakers import BreakerStatus, BreakerTrial
from sigc.store.history.breaker_standing import StandingBreaker, chosen, standing
from sigc.store.history.breaker_values import sessions_of
from sigc.store.ledger import books, breakers, orders
from sigc.store.ledger.connection import connect_reader
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import BookKey, IntentState
from sigc.words import counted

_SHOWN = 5
_OK = "ok"


class _UndoneError(Exception):
    """The end of a trial: its transaction is rolled back."""


def statuses(connection: sqlite3.Connection, limits: SafetySettings) -> tuple[BreakerStatus, ...]:
    """Return every breaker as it stands, tripped ones first."""
    found = sorted(map(status_of, standing(connection, limits)), key=lambda one: (one.since is None, one.name))
    return tuple(found)


def status_of(one: StandingBreaker) -> BreakerStatus:
    """Return a breaker as a message."""
    held, rule = one.tripped, one.rule
    state, why = ("tripped", held.text) if held is not None else (str(one.found.state), one.found.why)
    if held is None and one.doubt:
        state, why = "can't be evaluated", one.doubt
    return BreakerStatus(
        name=one.name,
        type=held.type if rule is None and held is not None else "" if rule is None else rule.type,
        strategy="" if one.book is None else one.book.strategy,
        portfolio="" if one.book is None else one.book.portfolio,
        action=held.action if held is not None else "" if rule is None else rule.action,
        threshold=held.threshold if held is not None else 0.0 if rule is None else rule.threshold,
        window=0 if rule is None else sessions_of(rule),
        state=state,
        value=one.found.value,
        session=one.found.session,
        why=why,
        since=None if held is None else held.at,
        until=None if held is None else held.until,
        is_configured=rule is not None,
    )


def watch(ledger: Ledger, limits: SafetySettings, metrics: DaemonMetrics) -> str:
    """Set the metrics of all breakers. Return `ok`, or which are tripped or can't be evaluated. Raise SigcError."""
    with closing(connect_reader(ledger.path)) as connection:
        found = standing(connection, limits)
    for one in found:
        of = {"strategy": "" if one.book is None else one.book.strategy, "breaker": one.name}
        metrics.put(m.BREAKER_TRIPPED, float(one.tripped is not None), **of)
        metrics.put(m.BREAKER_VALUE, math.nan if one.found.value is None else one.found.value, **of)
    for metric in (m.BREAKER_TRIPPED, m.BREAKER_VALUE):
        metrics.keep_only(metric, "breaker", {one.name for one in found})
    told = [f"{one.name} of {one.of} has tripped ({one.tripped.action})" for one in found if one.tripped is not None]
    doubted = (one for one in found if one.doubt and one.tripped is None)
    told += [f"{one.name} of {one.of} can't be evaluated: {one.doubt}" for one in doubted]
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more or _OK


def trials(ledger: Ledger, limits: SafetySettings, name: str, strategy: str) -> tuple[BreakerTrial, ...]:
    """Return what each breaker of a name would do if it tripped now. Raise E901 if there is none. Changes nothing."""
    with ledger.reading() as connection:
        found = chosen(connection, limits, name, strategy)
    return tuple(BreakerTrial(status_of(one), _effects(ledger, one, one.rule)) for one in found if one.rule is not None)


def _effects(ledger: Ledger, one: StandingBreaker, rule: BreakerSettings) -> tuple[str, ...]:
    effects: list[str] = []
    try:
        with ledger.transaction("control") as tx:
            effects += _tripped_in(tx, one, rule)
            raise _UndoneError
    except _UndoneError:
        return tuple(effects)


def _denied(count: int) -> str:
    return f"{counted(count, 'order')} that {'waits is' if count == 1 else 'wait are'} denied"


def _tripped_in(tx: Transaction, one: StandingBreaker, rule: BreakerSettings) -> list[str]:
    before = {i.client_order_id for i in orders.in_flight(tx.connection) if i.state is IntentState.PLANNED}
    text = f"a trial of the breaker {one.name}"
    made = breakers.trip(tx, rule, one.book, one.found.value or 0.0, one.found.session, text)
    after = {i.client_order_id for i in orders.in_flight(tx.connection) if i.state is IntentState.PLANNED}
    whose = one.of
    known = [book.key for book in books.books(tx.connection)]
    match made.action:
        case "halt_trading" | "flatten":
            found = [f"nothing more of {whose} is sent, until `sigc safety reset {one.name} --reason '...'`"]
            found += [_denied(len(before - after))]
        case "pause_30min":
            found = [f"no run of {whose} begins until {moment(made.until, tx.zone)}"]
        case "reduce_exposure":
            found = [f"of {whose} only orders that take a position nearer to zero are sent, until it is reset"]
        case _:
            found = ["nothing is held back"]
    if made.action == "flatten":
        found += _closed(tx, [key for key in known if made.book in (None, key)])
    return [*found, "the alert breaker_tripped is raised"]


def _closed(tx: Transaction, keys: list[BookKey]) -> list[str]:
    held = [(key, q) for key in keys if (q := books.quantities(tx.connection, key))]
    lines = []
    for key, quantities in held:
        shown = ", ".join(f"{quantity:f} {asset}" for asset, quantity in [*quantities.items()][:_SHOWN])
        more = f" and {len(quantities) - _SHOWN} more" if len(quantities) > _SHOWN else ""
        lines.append(f"open orders of {key.strategy} are cancelled, and its positions closed: {shown}{more}")
    return lines or ["there is no position to close"]
