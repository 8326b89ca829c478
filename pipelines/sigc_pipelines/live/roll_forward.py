"""A book between its runs, and what every run does first: brought up to what the broker did and the market closed at.

    fund      a simulated account holds what its books were given
    followed  fills taken in until ledger and broker agree, each session valued; the newest prices
    keep      the same with no run at all: after a session's end, so that fills of day orders, NAV, the run's files and
              the audit's mirror and anchor do not wait for the next run

Again: nothing new. A book whose newest run was carried out as of an earlier date than its own lives in that past: it
is not moved on to the present by `keep`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sigc.actions import Action
from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import books, control, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Finding
from sigc_pipelines.brokers.protocol import RejectedError, UnreachableError, simulation
from sigc_pipelines.live import broker_diff as compare
from sigc_pipelines.live.publish import publish
from sigc_pipelines.live.session import Moment, moment
from sigc_pipelines.live.trading import TargetFeed, Trading
from sigc_pipelines.live.valuing import ClosesSince, follow
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.records.artifacts import refresh


@dataclass(frozen=True, slots=True)
class KeptBook:
    """valued: the last session with a NAV, '' for none. findings: what of the audit could not be written.

    is_current: whether that is the last session that is complete, or the book needs none.
    """

    valued: str
    is_current: bool
    findings: tuple[Finding, ...] = ()


def keep(trading: Trading, feed: TargetFeed, key: BookKey) -> KeptBook:
    """Bring a book up to the last session that is complete. Raises SigcError: E600, E601, E602, of data, of the ledger.

    Not while a run of that book is under way. What the audit has is published whatever else fails.
    """
    at = moment(trading.calendar, trading.clock.now(), trading.config.execution.cut_off)
    try:
        is_current = not _is_of_the_present(trading.ledger, key) or _brought_up(trading, feed, key, at)
    finally:
        findings = publish(trading.ledger, trading.config.audit)
    with trading.ledger.reading() as connection:
        last = books.last_nav(connection, key)
    return KeptBook("" if last is None else last.session, is_current, findings)


def _is_of_the_present(ledger: Ledger, key: BookKey) -> bool:
    """Whether the book is open, and its newest run was of the day it was carried out."""
    with ledger.reading() as connection:
        last = runs.last_decided(connection, key.strategy, key.portfolio)
        return books.book(connection, key) is not None and not (last and runs.is_of_the_past(connection, last))


def _brought_up(trading: Trading, feed: TargetFeed, key: BookKey, at: Moment) -> bool:
    with trading.ledger.reading() as connection:
        feed = feed.accepting(control.accepted_by_hand(connection))
    loaded = feed.load(str(at.as_of.day))

    def closes_since(day: str) -> Closes:
        return feed.closes(loaded, day)

    followed(trading, key, at, closes_since, actions=loaded.actions)
    refresh(trading.ledger, key, trading.render)
    with trading.ledger.reading() as connection:
        last = books.last_nav(connection, key)
    return last is not None and last.session >= str(at.as_of.day)


def followed(
    trading: Trading,
    key: BookKey,
    at: Moment,
    closes_since: ClosesSince,
    accepted: tuple[str, str] | None = None,
    actions: Sequence[Action] = (),
) -> dict[str, Decimal]:
    """The newest prices, when everything up to the as-of session is taken in.

    accepted: who accepts what differs between ledger and broker, and why. actions: corporate actions, as the data list
    them. Raises E600, E601, E602.
    """

    def agree() -> None:
        patience_s = trading.config.execution.lookup_grace_s
        no = compare.refusal(trading.ledger, trading.broker, trading.clock, patience_s, accepted)
        if no is not None:
            raise SigcError(no)

    try:
        fund(trading)
        return follow(trading.ledger, trading.broker, trading.calendar, key, at.as_of, closes_since, agree, actions)
    except UnreachableError as silent:
        raise SigcError(Diagnostic("E601", str(silent), hint="nothing was sent; run again")) from silent
    except RejectedError as no:
        raise SigcError(Diagnostic("E600", str(no))) from no


def fund(trading: Trading) -> None:
    """A simulated account holds what its books were given; each deposit has an id, and is made once."""
    broker = simulation(trading.broker)
    if broker is None:
        return
    with trading.ledger.reading() as connection:
        for book in books.books(connection):
            broker.deposit(f"{trading.ledger.id}/{book.key.strategy}/{book.key.portfolio}", book.capital)
