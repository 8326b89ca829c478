"""Judgement of circuit breakers: at each close that is valued, and before a run begins.

A breaker that is reached trips in the transaction that writes the NAV: there is no instant at which the loss is known
and orders still leave. Each breaker is judged for the book and, where there are several books, for all together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sigc.config.settings import SafetySettings
from sigc.errors import Diagnostic, Severity
from sigc.store.history.breaker_standing import histories, standing, told
from sigc.store.history.breaker_values import BreakerState, WorthHistory, measured, rules_of
from sigc.store.ledger import breakers
from sigc.store.ledger.breakers import TrippedBreaker
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import BookKey, Finding
from sigc.words import local_time
from sigc_pipelines.live.trading import Trading

_BEFORE = 2  # closes of all books before the newest ones that the last NAV of a book may have completed


def judge_breakers(
    tx: Transaction, safety: SafetySettings, key: BookKey, sessions: Sequence[str] = ()
) -> tuple[TrippedBreaker, ...]:
    """Trip each breaker that is reached for a book, or for all. Return those that tripped now.

    sessions: the closes that are new, in order; () judges the newest one again, by the settings of now.
    """
    rules = rules_of(safety)
    if not rules:
        return ()
    before = {(one.name, one.book): one for one in breakers.tripped(tx.connection)}
    found = []
    for book, history in histories(tx.connection, key):
        new = _new(history, sessions, is_all=book is None)
        for rule in rules:
            known = before.get((rule.name, book))
            if known is not None and not known.is_renewed:
                continue
            later = [day for day in new if known is None or day > known.session]
            seen = history.since(breakers.reset_at(tx.connection, rule.name, book))
            value = next(
                (v for day in later if (v := measured(rule, seen.until(day))).state is BreakerState.REACHED), None
            )
            if value is not None and value.value is not None:
                text = told(rule, value.value, value.session, is_all=book is None)
                found.append(breakers.trip(tx, rule, book, value.value, value.session, text))
    return tuple(found)


def refusal(connection: sqlite3.Connection, trading: Trading, strategy: str) -> Diagnostic | None:
    """Return why a breaker keeps a run of a strategy from beginning, None if none does."""
    stop = next((o for o in breakers.tripped(connection) if o.is_stop and o.strategy in ("", strategy)), None)
    if stop is not None:
        hint = f"sigc safety reset {stop.name} --reason '...' once the cause is known"
        return Diagnostic("E802", f"the breaker {stop.name} has tripped: {stop.text}", hint=hint)
    pause = breakers.pause_of(connection, strategy, trading.clock.now())
    if pause is None or pause.until is None:
        return None
    until = local_time(pause.until, trading.ledger.zone)
    return Diagnostic("E802", f"no run begins until {until}: the breaker {pause.name} has tripped: {pause.text}")


def doubts(connection: sqlite3.Connection, trading: Trading, key: BookKey) -> tuple[Finding, ...]:
    """Return a warning for each breaker of a book, or of all, that is tripped or can't be evaluated."""
    found = [
        Finding("breaker", Severity.WARNING, f"the breaker {one.name} has tripped ({one.action}): {one.text}")
        for one in breakers.tripped(connection)
        if one.strategy in ("", key.strategy)
    ]
    for one in standing(connection, trading.config.safety, key):
        if one.doubt and one.tripped is None:
            text = f"the breaker {one.name} of {one.of} can't be evaluated: {one.doubt}"
            found.append(Finding("breaker", Severity.WARNING, text))
    return tuple(found)


def _new(history: WorthHistory, sessions: Sequence[str], *, is_all: bool) -> list[str]:
    """Return the closes to judge: those that are new; of all books, also those that were complete only now."""
    closes = [close.session for close in history.closes]
    if not sessions:
        return closes[-1:]
    if not is_all:
        return [day for day in closes if day in set(sessions)]
    return closes[-(len(sessions) + _BEFORE) :]
