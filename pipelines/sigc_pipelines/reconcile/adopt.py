"""Adoption: a person takes what the broker holds into the ledger, so that the next run sizes on what is really held.

Each difference becomes adjusting entries of one or several books:

    an action (split, renaming, end)   of every book that holds the asset
    all else                           of the book that the person names; else of the only one; else of `unassigned`

Orders that are open in the ledger alone end there; orders of sigc that are open at the broker alone are cancelled
there first. At a broker that trades, corporate actions up to this day leave an adopted position alone from then on:
what the broker says includes them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sigc.data.being_read import being_read
from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import action_booking as booking
from sigc.store.ledger import adjustments, books, orders, runs
from sigc.store.ledger.accounts import holders, position
from sigc.store.ledger.action_effects import exact, in_steps
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.control import accepted_by_hand
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import UNASSIGNED, ZERO, BookKey, IntentState, RunKind
from sigc_pipelines.brokers.protocol import RejectedError, UnreachableError, simulation
from sigc_pipelines.live.session import Moment, moment
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.reconcile.causes import ExplainedDifference, GapPart, explain
from sigc_pipelines.reconcile.differences import CASH, BrokerDifference, settled_differences
from sigc_pipelines.reconcile.evidence import gathered

_OF_ALL_HOLDERS = frozenset(
    {
        GapCause.SPLIT,
        GapCause.RENAME,
        GapCause.MERGER,
        GapCause.SPIN_OFF,
        GapCause.DELISTING,
        GapCause.ACCOUNT,
    }
)
_SHOWN = 5
_WEEK = timedelta(days=7)
_OVERNIGHT = timedelta(hours=12)  # a broker applies the actions of a session in the night before its open
Holders = Mapping[str, Mapping[BookKey, Decimal]]  # quantity by asset and book


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Ledger and broker compared. found: each difference with its likely cause; adopted: the entries that ended it."""

    found: tuple[ExplainedDifference, ...] = ()
    adopted: tuple[Adjustment, ...] = ()


@dataclass(frozen=True, slots=True)
class Adoption:
    """The person who adopts, and why. book: that the differences belong to; None: not said.

    is_own_only: leave what another book holds a part of. run: the run that asks, which may be open. causes: adopt
    differences of these causes only, and cancel nothing.
    """

    who: str
    reason: str
    book: BookKey | None = None
    is_own_only: bool = False
    run: str = ""
    causes: frozenset[GapCause] = frozenset(GapCause)

    def takes(self, one: ExplainedDifference) -> bool:
        """Return True for a difference of a cause that is adopted."""
        return one.cause in self.causes


def compare(trading: Trading) -> Reconciliation:
    """Take in what the broker tells, and return what differs then. Raises UnreachableError."""
    patience_s = trading.config.execution.lookup_grace_s
    with being_read("the broker's account", trading.config.broker.type):
        found = settled_differences(trading.ledger, trading.broker, trading.clock, patience_s)
        return Reconciliation(_explained(trading, found))


def refusal(trading: Trading, by: Adoption | None = None) -> Diagnostic | None:
    """Return the reason to refuse trading (E601, E602), or None. by: the person who adopts what concerns the run's own
    book first.
    """
    try:
        found = (compare(trading) if by is None else _rest(trading, by)).found
    except UnreachableError as silent:
        return silence(silent)
    if not found:
        return None
    hint = "look at `sigc reconcile`, then adopt it: `sigc reconcile --adopt --reason '...'`"
    return Diagnostic("E602", in_words(found), hint=hint)


def in_words(found: Sequence[ExplainedDifference]) -> str:
    """Return the first differences, each with its likely cause."""
    shown = "; ".join(map(str, found[:_SHOWN])) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    return f"ledger and broker differ: {shown}"


def silence(silent: UnreachableError) -> Diagnostic:
    """Return the error of a broker that does not answer."""
    return Diagnostic("E601", f"the broker does not say what it holds: {silent}", hint="nothing was sent")


def _rest(trading: Trading, by: Adoption) -> Reconciliation:
    """Adopt, and return what differs still."""
    return compare(trading) if adopt(trading, by).found else Reconciliation()


def adopt(trading: Trading, by: Adoption) -> Reconciliation:
    """Compare, and adopt what differs. Raises UnreachableError, with nothing adopted; SigcError: E804 while a run
    trades, or the ledger moved meanwhile; E312 for a book that is not there.
    """
    _refuse_busy(trading, by)
    found = compare(trading).found
    unknown = [one.difference.asset for one in found if one.cause is GapCause.ORDER_UNKNOWN and by.takes(one)]
    if unknown:
        _cancel(trading, unknown)
        found = compare(trading).found
    with trading.ledger.reading() as connection:
        held = _holders(connection)
        known = [book.key for book in books.books(connection)]
    if by.book is not None and by.book not in known and by.book != UNASSIGNED:
        message = f"there is no book {by.book.strategy}/{by.book.portfolio}"
        raise SigcError(Diagnostic("E312", message, hint="`sigc positions` shows those there are"))
    owner = by.book or (known[0] if len(known) == 1 else UNASSIGNED)
    wanted = [one for one in found if by.takes(one)]
    chosen = [one for one in wanted if not by.is_own_only or _is_own(one, held, owner, known)]
    with trading.ledger.transaction("adopt") as tx:
        _refuse_moved(tx, chosen)
        adopted = _write(tx, trading, chosen, held, owner, by)
    return Reconciliation(found, adopted)


def _explained(trading: Trading, found: Sequence[BrokerDifference]) -> tuple[ExplainedDifference, ...]:
    if not found:
        return ()
    evidence = gathered(trading.ledger, trading.broker, found)
    return explain(found, evidence, is_cash_compared=simulation(trading.broker) is not None)


def _refuse_busy(trading: Trading, by: Adoption) -> None:
    with trading.ledger.reading() as connection:
        going = [r.id for r in runs.left_open(connection) if r.key.kind is RunKind.TRADE and r.id != by.run]
    if going:
        raise SigcError(Diagnostic("E804", f"the run {going[0]} is under way", hint="wait for its end, or cancel it"))


def _cancel(trading: Trading, ids: Iterable[str]) -> None:
    """Cancel orders that the ledger can't follow, and wait until the broker has ended them."""
    for id in ids:
        with suppress(RejectedError):
            trading.broker.cancel(id)
    until = trading.clock.now() + timedelta(seconds=trading.config.execution.lookup_grace_s)
    for id in ids:
        while (order := trading.broker.order(id)) is not None and order.status.is_open:
            if trading.clock.now() >= until:
                raise UnreachableError(f"the broker has not cancelled the order {id}, which the ledger does not know")
            trading.clock.sleep(trading.config.execution.lookup_backoff_s)


def _holders(connection: sqlite3.Connection) -> dict[str, dict[BookKey, Decimal]]:
    held: dict[str, dict[BookKey, Decimal]] = {}
    for one in books.positions(connection):
        held.setdefault(one.asset, {})[one.book] = one.quantity
    return held


def _is_own(one: ExplainedDifference, held: Holders, owner: BookKey, known: Sequence[BookKey]) -> bool:
    """Return True if a difference concerns no other book."""
    if one.difference.asset == CASH:
        return known == [owner]
    concerned = {*held.get(one.difference.asset, {}), *held.get(one.other, {})}
    return concerned <= {owner} and (bool(concerned) or known == [owner])


def _refuse_moved(tx: Transaction, chosen: Iterable[ExplainedDifference]) -> None:
    """Raise E804 if the ledger is not any more what it was when it was compared."""
    now = {CASH: sum((book.cash for book in books.books(tx.connection)), ZERO)}
    for one in books.positions(tx.connection):
        now[one.asset] = now.get(one.asset, ZERO) + one.quantity
    for known in (one.difference for one in chosen):
        if not known.is_order and now.get(known.asset, ZERO) != known.ledger:
            raise SigcError(Diagnostic("E804", f"{known.asset} changed while it was compared", hint="ask again"))


def _write(
    tx: Transaction,
    trading: Trading,
    chosen: Sequence[ExplainedDifference],
    held: Holders,
    owner: BookKey,
    by: Adoption,
) -> tuple[Adjustment, ...]:
    at = moment(trading.calendar, trading.clock.now(), trading.config.execution.cut_off)
    is_simulated = simulation(trading.broker) is not None
    since = at.as_of.close if is_simulated else trading.clock.now()
    step = trading.broker.capabilities().quantity_step
    made: list[Adjustment] = []
    for one in chosen:
        if one.cause is GapCause.SPLIT and one.ratio is not None and not is_simulated:
            # As an action: prices from before it are restated with the position.
            day = _session_of_split(tx, trading, one, at)
            before = trading.calendar.before_or_on(day - timedelta(days=1)).close
            last = str(max(day, _session_of(trading, one, at)))
            booking.book_split(tx, one.difference.asset, one.ratio, (str(day), before, last), step)
            held = {**held, one.difference.asset: holders(tx.connection, one.difference.asset)}
        if one.cause is GapCause.ORDER_GONE:
            _end_order(tx, one.difference.asset, f"the broker does not have it; {by.who}: {by.reason}")
        for book, part in _shares(tx, one, held, owner, step):
            if book == UNASSIGNED:
                books.open_book(tx, UNASSIGNED, ZERO, tx.at, str(at.as_of.day))
            made.append(_entry(tx, trading, one, book, part, since, by, str(at.as_of.day)))
    written = adjustments.adjust(tx, made)
    if not is_simulated:
        until = {one.difference.asset: str(_session_of(trading, one, at)) for one in chosen if one.parts}
        adjustments.put_watermarks(tx, written, until)
    return written


def _session_of_split(tx: Transaction, trading: Trading, one: ExplainedDifference, at: Moment) -> date:
    """Return the first session in the new units: the next one, unless a person has accepted a price in them already."""
    since = str(at.as_of.day - _WEEK)
    is_priced = any(a == one.difference.asset and day >= since for a, day in accepted_by_hand(tx.connection))
    return at.as_of.day if is_priced else trading.calendar.after(at.as_of.day).day


def _session_of(trading: Trading, one: ExplainedDifference, at: Moment) -> date:
    """Return the session that the broker's state is of: of a listed action its own, else the newest that has begun."""
    coming = trading.calendar.after(at.as_of.day)
    begun = coming.day if coming.open - _OVERNIGHT <= trading.clock.now() else at.as_of.day
    if one.action is None:
        return begun
    own = trading.calendar.session_on(one.action.ex_date) or trading.calendar.after(one.action.ex_date)
    return max(begun, own.day)


def _entry(
    tx: Transaction,
    trading: Trading,
    one: ExplainedDifference,
    book: BookKey,
    part: GapPart,
    since: datetime,
    by: Adoption,
    as_of: str,
) -> Adjustment:
    """Return the entry; it counts from the first session of which the book has no NAV yet."""
    last = books.last_nav(tx.connection, book)
    session = as_of if last is None else str(trading.calendar.after(date.fromisoformat(last.session)).day)
    asset = "" if one.difference.asset == CASH else one.difference.asset
    return Adjustment(
        book, asset, part.change, part.cash, one.cause, part.price, session, since, by.who, by.reason,
        part.client_order_id,
    )  # fmt: skip


def _end_order(tx: Transaction, id: str, why: str) -> None:
    intent = orders.get(tx.connection, id)
    if intent is not None:
        orders.moved(tx, intent, IntentState.CANCELLED, why)


def _shares(
    tx: Transaction, one: ExplainedDifference, held: Holders, owner: BookKey, step: Decimal
) -> list[tuple[BookKey, GapPart]]:
    """Return the part of each book in a difference, without zeros; they add up to it."""
    own, old = held.get(one.difference.asset, {}), held.get(one.other, {})
    if one.cause not in _OF_ALL_HOLDERS or not (own or old):
        return [(owner, part) for part in one.parts]
    if one.cause is GapCause.SPLIT and one.ratio is not None:
        total = sum(own.values(), ZERO)
        # What a booked split left over, or at a simulation the split itself.
        ratio = Fraction(one.difference.broker) / Fraction(total)
        wanted = {book: Fraction(quantity) * ratio for book, quantity in own.items()}
        changes = _rounded(wanted, own, one.difference.broker, step)
        return [(book, GapPart(change)) for book, change in changes.items() if change]
    if one.difference.broker == 0 and own:
        total = sum(own.values(), ZERO)
        cash = sum((part.cash for part in one.parts), ZERO)
        money = _split_money(cash, own, total)
        return [(book, GapPart(-quantity, money[book], ZERO)) for book, quantity in own.items()]
    # Shares that came for those of another asset: to its holders, with its cost where they replace it.
    base = old or own
    total = sum(base.values(), ZERO)
    wanted = {
        book: Fraction(quantity) / Fraction(total) * Fraction(one.difference.excess) for book, quantity in base.items()
    }
    changes = {book: exact(units) for book, units in in_steps(wanted, Fraction(step)).items()}
    found = []
    for book, change in changes.items():
        price = ZERO
        if one.cause in (GapCause.RENAME, GapCause.MERGER) and change:
            quantity, average = position(tx, book, one.other)
            price = abs(average * quantity / change)
        found.append((book, GapPart(change, ZERO, price)))
    return found


def _rounded(
    wanted: Mapping[BookKey, Fraction], own: Mapping[BookKey, Decimal], total: Decimal, step: Decimal
) -> dict[BookKey, Decimal]:
    """Return the change of each book, so that all of them hold the broker's total: the largest takes the rest."""
    after = {book: exact(units) for book, units in in_steps(wanted, Fraction(step)).items()}
    largest = max(after, key=lambda book: abs(after[book]))
    after[largest] += total - sum(after.values(), ZERO)
    return {book: after[book] - quantity for book, quantity in own.items()}


def _split_money(cash: Decimal, own: Mapping[BookKey, Decimal], total: Decimal) -> dict[BookKey, Decimal]:
    found = {book: (cash * quantity / total).quantize(Decimal("0.01")) for book, quantity in own.items()}
    last = max(own)
    found[last] += cash - sum(found.values(), ZERO)
    return found
