"""Load: data up to the as-of date, and the book as ledger and broker agree on it."""

from __future__ import annotations

from dataclasses import dataclass

from sigc.actions import in_order
from sigc.errors import Severity, SigcError
from sigc.store.ledger import action_rows, books
from sigc.store.ledger.records import BookKey, Finding
from sigc_pipelines.compute import Loaded
from sigc_pipelines.live import tripping
from sigc_pipelines.live.rehearsal import ForeseenOrder, foreseen, with_orders
from sigc_pipelines.live.roll_forward import followed
from sigc_pipelines.live.sizing import decimal
from sigc_pipelines.live.valuing import BookValue, newest_prices, standing
from sigc_pipelines.prices.as_traded import refuse_adjusted, told_of_actions
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.prices.units import in_session
from sigc_pipelines.reconcile.adopt import Adoption
from sigc_pipelines.reconcile.differences import glance
from sigc_pipelines.stages.run_context import RunContext


@dataclass(frozen=True, slots=True, eq=False)
class LoadedBook:
    """The data of a run, and its book. value: in the units of the session to be traded. doubts: differences between
    ledger and broker that would keep a trade from going on, where the run is dry. at_close: then, the book as of the
    last complete session; ended: the orders whose fills it foresees."""

    data: Loaded
    value: BookValue
    doubts: tuple[Finding, ...] = ()
    at_close: BookValue | None = None
    ended: tuple[ForeseenOrder, ...] = ()


def load(context: RunContext, findings: list[Finding]) -> LoadedBook:
    """Load the sources and value the book. Raises SigcError: E2xx for data, E80x for a book that must not be traded."""
    data = context.feed.load(context.run.as_of)
    findings += [Finding(d.code, Severity.WARNING, d.message) for d in data.findings]
    findings += told_of_actions(data)
    if context.feed.is_kept and not context.is_dry:
        refuse_adjusted(data)
    value, at_close, ended = _valued(context, data)
    with context.ledger.reading() as connection:
        findings += tripping.doubts(connection, context.trading, context.book)
        tripped = None if context.is_dry else tripping.refusal(connection, context.trading, context.book.strategy)
    if tripped is not None:  # by the NAV of a close that was valued just now
        raise SigcError(tripped)
    if not context.is_dry:
        return LoadedBook(data, value)
    doubts = glance(context.ledger, context.trading.broker, context.run.key)
    findings += doubts
    return LoadedBook(data, value, doubts, at_close, ended)


def _valued(context: RunContext, data: Loaded) -> tuple[BookValue, BookValue, tuple[ForeseenOrder, ...]]:
    """Value the book as of the last complete session, in the units of the one that is traded; and in those of the last
    complete one, with the orders that are foreseen to be filled in it.

    A trade takes the broker's fills in first; a dry run foresees them, and changes nothing.
    """
    trading, at, book = context.trading, context.at, context.book
    capital = decimal(trading.config.execution.capital)

    def closes_since(day: str) -> Closes:
        return context.feed.closes(data, day)

    if context.is_dry:
        prices = newest_prices(context.ledger, trading.calendar, book, at.as_of, closes_since, data.actions)
    else:
        request = context.request
        by = Adoption(request.who, request.reason, book, is_own_only=True, run=context.run.id)
        accepted = by if request.accepts_differences else None
        prices = followed(trading, book, at, closes_since, accepted, data.actions)
    with context.ledger.reading() as connection:
        if books.book(connection, book) is None:
            fresh = books.Book(book, capital, capital, context.run.started, context.run.as_of)
            now, known = BookValue(fresh, capital, {}, prices), str(at.as_of.day)
        else:
            now, valued = standing(connection, book, prices), books.last_nav(connection, book)
            known = str(at.as_of.day) if valued is None else valued.session
        adopted = action_rows.by_hand(connection, str(at.as_of.day), str(at.session.day))
        fills = books.fills_of_session(connection, context.run.key)
    step, actions = trading.broker.capabilities().quantity_step, in_order([*data.actions, *adopted])
    as_of, session = str(at.as_of.day), str(at.session.day)
    ended: tuple[ForeseenOrder, ...] = ()
    if context.is_dry:
        with context.ledger.reading() as connection:
            ended = foreseen(connection, trading.broker, session)
        for day in sorted({as_of, *(one.order.key.session for one in ended)}):  # in the units of their sessions
            now = in_session(now, actions, trading.calendar, (known, as_of, day), step)
            own = [one for one in ended if one.order.key.session == day and _book_of(one) == book]
            now, known = with_orders(now, own), max(known, day)
    return in_session(now, actions, trading.calendar, (known, as_of, session), step, fills), now, ended


def _book_of(one: ForeseenOrder) -> BookKey:
    return BookKey(one.order.key.strategy, one.order.key.portfolio)
