"""Alerts raised from audit events, in the event's own transaction: both are written, or neither.

An alert is identified by its rule and key. While it is open, a repetition only counts (`repeats`, `latest`); rules with
`is_once` count forever. A notice is resolved from the beginning, without a person.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sigc.alerts.rules import (
    BY_EVENT,
    ENDS_ORDERS,
    FILLED_LESS,
    EventRule,
    EventRun,
    Found,
    OrderCounts,
    Raise,
    RuleEvent,
)
from sigc.alerts.words import explained, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from sigc.store.audit.chain import AuditEvent

ZERO = Decimal(0)
_MOST_TEXT = 4000  # characters: the least that every channel accepts
_MOST_TITLE = 200
_RESOLVER = "sigc"
_IN_FLIGHT = ("planned", "sending", "unknown", "acknowledged", "partially_filled")
_ENDED_SHORT = ("denied", "rejected", "expired", "cancelled")
# State, message, asset, quantity, filled, reference price.
Order = tuple[str, str, str, Decimal, Decimal, Decimal]
log = logging.getLogger("sigc.alerts")


def derive(
    connection: sqlite3.Connection, at: datetime, seq: int, event: AuditEvent, hide: Callable[[str], str], zone: str
) -> None:
    """Raise and resolve the alerts that follow from an event. seq: its number in the audit chain. zone: of times."""
    rules = BY_EVENT.get(event.name)
    if rules is None:
        return
    if event.name in ENDS_ORDERS and not _may_be_short(connection, event.run):
        return
    facts = run_facts(connection, event.run, zone) if event.run and any(one.needs_run for one in rules) else None
    seen = RuleEvent(event.name, event.payload, event.run, event.strategy, event.portfolio, event.who, facts)
    for one in rules:
        for found in _judged(one, seen):
            _write(connection, at, seq, one, seen, found, hide)


def _judged(rule: EventRule, seen: RuleEvent) -> list[Found]:
    """Return the results of a rule. An exception in a rule is an alert itself, and never ends a run."""
    try:
        return list(rule.judge(seen))
    except Exception as mistake:
        log.exception("an alert rule failed", extra={"rule": rule.name, "event": seen.event})
        text = f"The rule failed on {seen.event} of {seen.run or seen.strategy}: {type(mistake).__name__}: {mistake}"
        return [Raise(f"{seen.event} {seen.run}", f"alert rule {rule.name} failed", text)]


def _may_be_short(connection: sqlite3.Connection, run: str) -> bool:
    """Return True if a run is over, no order is in flight, one ended unfilled, and no alert said so yet."""
    row = connection.execute("SELECT outcome FROM runs WHERE id = ?", (run,)).fetchone()
    if row is None or row[0] in ("open", "cancelled"):
        return False
    known = connection.execute("SELECT 1 FROM alerts WHERE rule = ? AND key = ? LIMIT 1", (FILLED_LESS, run))
    if known.fetchone() is not None:
        return False
    flying, short = connection.execute(
        "SELECT max(state IN ('planned', 'sending', 'unknown', 'acknowledged', 'partially_filled')),"
        " max(state IN ('denied', 'rejected', 'expired', 'cancelled')) FROM intents WHERE run = ?",
        (run,),
    ).fetchone()
    return bool(short) and not flying


def _write(
    connection: sqlite3.Connection,
    at: datetime,
    seq: int,
    rule: EventRule,
    seen: RuleEvent,
    found: Found,
    hide: Callable[[str], str],
) -> None:
    if not isinstance(found, Raise):
        for id in _open(connection, rule.name, found.key):
            end(connection, id, at, _RESOLVER, hide(found.text))
        return
    known = connection.execute(
        "SELECT id, state FROM alerts WHERE rule = ? AND key = ? ORDER BY id DESC LIMIT 1", (rule.name, found.key)
    ).fetchone()
    if known is not None and (rule.is_once or known[1] != "resolved"):
        connection.execute(
            "UPDATE alerts SET repeats = repeats + 1, latest = ? WHERE id = ?", (at.isoformat(), known[0])
        )
        return
    connection.execute(
        "INSERT INTO alerts (at, latest, rule, key, severity, strategy, run, title, text, seq, state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(at.isoformat(), at.isoformat(), rule.name, found.key, found.urgency or rule.urgency, seen.strategy),
            *(seen.run, hide(found.title)[:_MOST_TITLE], _text(hide(found.text), rule, found), seq),
            "resolved" if found.is_notice else "open",
        ),
    )


def _text(text: str, rule: EventRule, found: Raise) -> str:
    """Return an alert's text, with its section of the runbook if a person must act."""
    return text[:_MOST_TEXT] if found.is_notice else explained(text, rule.name, _MOST_TEXT)


def _open(connection: sqlite3.Connection, rule: str, key: str) -> list[int]:
    """Return the id of the open alert of a rule and key, if there is one."""
    rows = connection.execute("SELECT id FROM alerts WHERE rule = ? AND key = ? AND state <> 'resolved'", (rule, key))
    return [int(id) for (id,) in rows]


def end(connection: sqlite3.Connection, id: int, at: datetime, who: str, reason: str) -> None:
    """Resolve an alert; the daemon informs the channels that got it."""
    connection.execute(
        "UPDATE alerts SET state = 'resolved', who = ?, reason = ?, changed = ?, routed = 0 WHERE id = ?",
        (who, reason[:_MOST_TEXT], at.isoformat(), id),
    )


def run_facts(connection: sqlite3.Connection, run: str, zone: str = "UTC") -> EventRun:
    """Return the facts of a run that rules need: its states, losses and errors. zone: of its cut-off."""
    row = connection.execute("SELECT kind, session, outcome, cut_off FROM runs WHERE id = ?", (run,)).fetchone()
    ordered = connection.execute("SELECT kind, session, job FROM run_orders WHERE id = ?", (run,)).fetchone()
    kind, session, outcome, cut_off = row or (*(ordered or ("", ""))[:2], "", None)
    states: dict[str, int] = {}
    lost, reasons = 0, dict[str, list[str]]()
    at_broker: list[Order] = []
    rows = connection.execute(
        "SELECT state, broker_order_id, message, asset, quantity, filled, reference FROM intents WHERE run = ?", (run,)
    )
    for state, place, message, asset, *numbers in rows:
        states[state] = states.get(state, 0) + 1
        is_lost = state in _ENDED_SHORT and not place
        lost += is_lost
        if is_lost and message:
            reasons.setdefault(message, []).append(asset)
        elif not is_lost:
            quantity, filled, reference = map(Decimal, numbers)
            at_broker.append((state, message, asset, quantity, filled, reference))
    errors = _errors(connection, run)
    job = ordered[2] if ordered else ""
    ends = moment(cut_off, zone)
    return EventRun(kind, session, job, outcome, states, lost, reasons, _placed(at_broker), errors, ends)


def _placed(at_broker: Iterable[Order]) -> OrderCounts:
    """Return the fill counts of orders that are, were or may come into the broker's book."""
    open, short = 0, 0
    ordered, done, value, done_value = ZERO, ZERO, ZERO, ZERO
    reasons: dict[str, list[str]] = {}
    for state, message, asset, quantity, filled, reference in at_broker:
        open += state in _IN_FLIGHT
        ordered, done = ordered + quantity, done + filled
        value, done_value = value + quantity * reference, done_value + filled * reference
        if state in _ENDED_SHORT:
            short += 1
            reasons.setdefault(message, []).append(asset)
    return OrderCounts(open, short, ordered, done, value, done_value, reasons)


def _errors(connection: sqlite3.Connection, run: str) -> tuple[tuple[str, str], ...]:
    """Return (check, message) of the findings that stopped a run."""
    found: list[tuple[str, str]] = []
    for (text,) in connection.execute("SELECT findings FROM stages WHERE run = ?", (run,)):
        listed: list[Mapping[str, str]] = json.loads(text)
        found += [(f["check"], f["message"]) for f in listed if f["weight"] == "error"]
    return tuple(found)
