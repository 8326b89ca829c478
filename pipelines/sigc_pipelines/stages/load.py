"""Load: data up to the as-of date, and the book as ledger and broker agree on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sigc.actions import Action, in_order
from sigc.errors import Severity, SigcError
from sigc.store.ledger import action_rows, books
from sigc.store.ledger.records import Finding
from sigc_pipelines.compute import Loaded
from sigc_pipelines.live import tripping
from sigc_pipelines.live.roll_forward import followed
from sigc_pipelines.live.sizing import decimal
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.live.valuing import BookValue, ClosesSince, newest_prices, standing
from sigc_pipelines.prices.as_traded import refuse_adjusted, told_of_actions
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.prices.units import in_session
from sigc_pipelines.reconcile.adopt import Adoption
from sigc_pipelines.reconcile.differences import glance
from sigc_pipelines.stages.run_context import RunContext


@dataclass(frozen=True, slots=True, eq=False)
class LoadedBook:
    """The data of a run, and its book. value: in the units of the session to be traded. doubts: differences between
    ledger and broker that would keep a trade from going on, where the run is dry."""

    data: Loaded
    value: BookValue
    doubts: tuple[Finding, ...] = ()


def load(context: RunContext, findings: list[Finding]) -> LoadedBook:
    """Load the sources and value the book. Raises SigcError: E2xx for data, E80x for a book that must not be traded."""
    data = context.feed.load(context.run.as_of)
    findings += [Finding(d.code, Severity.WARNING, d.message) for d in data.findings]
    findings += told_of_actions(data)
    if context.feed.is_kept and not context.is_dry:
        refuse_adjusted(data)
    value = _valued(context, data)
    with context.account.reading() as connection:
        findings += tripping.doubts(connection, context.trading, context.book)
        tripped = tripping.refusal(connection, context.trading, context.book.strategy)
    if not context.is_dry:
        if tripped is not None:  # by the NAV of a close that was valued just now
            raise SigcError(tripped)
        return LoadedBook(data, value)
    if tripped is not None and not context.rehearsal.refused:
        context.rehearsal.refused = tripped.message
    doubts = glance(context.ledger, context.trading.broker, context.run.key)
    findings += doubts
    return LoadedBook(data, value, doubts)


def _valued(context: RunContext, data: Loaded) -> BookValue:
    """Value the book as of the last complete session, in the units of the one that is traded.

    A trade takes the broker's fills in first; a dry run does so in a copy, and changes nothing.
    """
    trading, at, book = context.trading, context.at, context.book
    capital = decimal(trading.config.execution.capital)

    def closes_since(day: str) -> Closes:
        return context.feed.closes(data, day)

    if context.is_dry:
        prices = _rehearsed(context, data, closes_since)
    else:
        request = context.request
        by = Adoption(request.who, request.reason, book, is_own_only=True, run=context.run.id)
        accepted = by if request.accepts_differences else None
        prices = followed(trading, book, at, closes_since, accepted, data.actions)
    with context.account.reading() as connection:
        if books.book(connection, book) is None:
            fresh = books.Book(book, capital, capital, context.run.started, context.run.as_of)
            now, known = BookValue(fresh, capital, {}, prices), str(at.as_of.day)
        else:
            now, valued = standing(connection, book, prices), books.last_nav(connection, book)
            known = str(at.as_of.day) if valued is None else valued.session
            if not context.is_dry or context.rehearsal.trading is not None:
                known = max(known, str(at.as_of.day))  # the ledger has booked up to there, valued or not
        listed = _not_booked(connection, data.actions, known, str(at.as_of.day))
        adopted = action_rows.by_hand(connection, str(at.as_of.day), str(at.session.day))
        fills = books.fills_of_session(connection, context.run.key)
    step, actions = trading.broker.capabilities().quantity_step, in_order([*listed, *adopted])
    days = (known, str(at.as_of.day), str(at.session.day))
    return in_session(now, actions, trading.calendar, days, step, fills)


def _not_booked(
    connection: sqlite3.Connection, actions: Sequence[Action], valued: str, as_of: str
) -> tuple[Action, ...]:
    """Return the actions without those that a run of another book has booked since this one was valued."""
    through, _ = action_rows.progress(connection)
    booked = {due.key for due in action_rows.between(connection, valued, min(through, as_of))}
    return tuple(action for action in actions if action.key not in booked)


def _rehearsed(context: RunContext, data: Loaded, closes_since: ClosesSince) -> dict[str, Decimal]:
    """Take the broker's fills into the copies of a dry run. Return the newest prices."""
    trading, at, book = context.trading, context.at, context.book
    newest: dict[str, Decimal] = {}

    def take_in(copies: Trading) -> None:
        newest.update(followed(copies, book, at, closes_since, None, data.actions, waits=False))

    context.rehearsal.begin(trading, context.request, context.run, at, take_in)
    if context.rehearsal.trading is None:
        return newest_prices(context.ledger, trading.calendar, book, at.as_of, closes_since, data.actions)
    return newest
