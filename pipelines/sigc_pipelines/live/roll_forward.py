"""Book maintenance, before each run and between runs: apply broker fills and actions, then value each closed session.

    fund      tell a simulated broker each book's capital, and what people put in or took out since
    followed  apply fills until ledger and broker agree, value each session; the newest prices
    keep      the same without a run: after a session's end, so that fills of day orders, NAV, the run's files and the
              audit's mirror and anchor do not wait for the next run

All are idempotent. A book whose newest run was carried out as of a past date stays in that past: `keep` does not move
it on to the present.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sigc.actions import Action
from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import adjustments, books, control, runs
from sigc.store.ledger.adjustments import GapCause
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Finding
from sigc_pipelines.brokers.protocol import RejectedError, UnreachableError, simulation
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.publish import publish
from sigc_pipelines.live.session import Moment, moment
from sigc_pipelines.live.trading import TargetFeed, Trading
from sigc_pipelines.live.tripping import judge_breakers
from sigc_pipelines.live.valuing import ClosesSince, follow
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.reconcile.adopt import Adoption, refusal, silence
from sigc_pipelines.reconcile.differences import CASH, differences
from sigc_pipelines.records.artifacts import refresh


@dataclass(frozen=True, slots=True)
class KeptBook:
    """The state of a book after maintenance. valued: the last session with a NAV, '' for none. findings: audit output
    that could not be written.

    is_current: that is the last complete session, or the book needs no maintenance.
    """

    valued: str
    is_current: bool
    findings: tuple[Finding, ...] = ()


def keep(trading: Trading, feed: TargetFeed, key: BookKey) -> KeptBook:
    """Bring a book up to the last complete session. Raises SigcError: E600, E601, E602, of data, of the ledger.

    Call it only while no run of that book is under way. The audit is published whatever else fails.
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
    """Return True if the book is open and its newest run was carried out on its own day."""
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
    accepted: Adoption | None = None,
    actions: Sequence[Action] = (),
    *,
    waits: bool = True,
) -> dict[str, Decimal]:
    """Take in everything up to the as-of session. Return the newest prices.

    accepted: the person who adopts the differences between ledger and broker. actions: corporate actions, as the data
    list them. waits: until ledger and broker agree; False applies what is there. Raises E600, E601, E602.
    """

    def agree() -> None:
        if not waits:
            settle(trading.ledger, trading.broker)
            return
        no = refusal(trading, accepted)
        if no is not None:
            raise SigcError(no)

    try:
        if accepted is None:
            refuse_foreign(trading)
        fund(trading)
        return follow(
            *(trading.ledger, trading.broker, trading.calendar, key, at.as_of, closes_since, agree, actions),
            on_valued=lambda tx, sessions: judge_breakers(tx, trading.config.safety, key, sessions),
        )
    except UnreachableError as silent:
        raise SigcError(Diagnostic("E601", str(silent), hint="nothing was sent; run again")) from silent
    except RejectedError as no:
        raise SigcError(Diagnostic("E600", str(no))) from no


def refuse_foreign(trading: Trading) -> None:
    """Raise E602 where the account has positions or orders, and the ledger never traded: it is new, or another's.

    Raise E601 if the broker does not say.
    """
    with trading.ledger.reading() as connection:
        if runs.is_any_decided(connection) or books.positions(connection):
            return
    try:
        found = [d for d in differences(trading.ledger, trading.broker) if d.asset != CASH]
    except UnreachableError as silent:
        raise SigcError(silence(silent)) from silent
    if found:
        shown = "; ".join(map(str, found[:5])) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        message = f"the account is in use, and this ledger has not traded yet: {shown}"
        hint = "bring the ledger back that traded it, or take it in: sigc reconcile --adopt --reason '...'"
        raise SigcError(Diagnostic("E602", message, hint=hint))


def fund(trading: Trading) -> None:
    """Tell a simulated broker the capital of each book, and what people put in, took out or wrote off since.

    Each has an id and is done once.
    """
    broker, ledger = simulation(trading.broker), trading.ledger
    if broker is None:
        return
    with ledger.reading() as connection:
        known = books.books(connection)
        entries = [entry for book in known for entry in adjustments.of_book(connection, book.key)]
    for book in (one for one in known if one.capital):
        broker.deposit(f"{ledger.id}/{book.funded}", book.capital)
    for entry in sorted(entries, key=lambda one: one.number):
        id = f"{ledger.id}/entry {entry.number} at {entry.at}"
        if entry.cause in adjustments.PAID:
            broker.deposit(id, entry.cash)
        elif entry.cause is GapCause.WRITE_OFF:
            broker.write_off(id, entry.asset, entry.change)
