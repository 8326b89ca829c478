"""Corporate actions of the data, booked in the ledger and at a simulated broker.

    scheduled   an action with its sessions and instants on the calendar
    DueActions  the steps of a run: `listed` stores the lists, `before` has the broker act before each close,
                `booked` books the ledger

The broker acts before the close of each session, the ledger once for all of them: its entries depend on when fills were
made, not on when it learns of them. A process that dies between the two does both again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from sigc.actions import Action, ActionKind, between
from sigc.calendar.sessions import Calendar, Session
from sigc.failpoint import failpoint
from sigc.store.ledger import action_booking as booking
from sigc.store.ledger import action_lists, action_rows
from sigc.store.ledger.action_booking import Component
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.action_lists import Listing
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey
from sigc_pipelines.brokers.protocol import Broker, Simulated, simulation
from sigc_pipelines.prices.closes import Closes

_TICK = Decimal("0.000001")  # of prices, as the paper broker keeps them
_DAY = timedelta(days=1)
_LOOK_BACK = timedelta(days=30)  # for the last price before an action
_PRICED = frozenset({ActionKind.SPLIT, ActionKind.SPINOFF, ActionKind.MERGE, ActionKind.DELIST})


def scheduled(action: Action, calendar: Calendar) -> DueAction | None:
    """Return an action at the session of its ex-date, else the next one; None for an action beyond the calendar."""
    ex, pay = action.ex_date, action.pay_date or action.ex_date
    if not calendar.table or not calendar.table[0].day < ex <= calendar.table[-1].day:
        return None
    session = _on_or_after(ex, calendar)
    before = calendar.before_or_on(session.day - _DAY)
    paid = str(_on_or_after(pay, calendar).day) if session.day < pay <= calendar.table[-1].day else str(pay)
    return DueAction(action, str(session.day), before.close, max(paid, str(session.day)))


@dataclass(slots=True)
class _Last:
    """The newest listing, cached: a replay asks for the same one day after day."""

    actions: Sequence[Action] = ()
    calendar: Calendar | None = None
    listing: Listing = field(default_factory=lambda: Listing((), lambda _: None))


_last = _Last()


def _listing(actions: Sequence[Action], calendar: Calendar) -> Listing:
    global _last
    last = _last
    if last.actions is not actions or last.calendar is not calendar:
        last = _last = _Last(actions, calendar, Listing(actions, lambda action: scheduled(action, calendar)))
    return last.listing


def _on_or_after(day: date, calendar: Calendar) -> Session:
    return calendar.session_on(day) or calendar.after(day)


@dataclass(slots=True, eq=False)
class DueActions:
    """The actions to consider once all sessions up to `as_of` have begun."""

    ledger: Ledger
    broker: Broker
    as_of: Session
    components: tuple[Component, ...] = ()
    _told: str = field(default="")

    @property
    def is_due(self) -> bool:
        """True when any action is to be booked."""
        return bool(self.components)

    def listed(
        self, key: BookKey, actions: Sequence[Action], calendar: Calendar, closes_since: Callable[[str], Closes]
    ) -> None:
        """Store the actions that a book's data list, with the prices that their effects need."""
        with self.ledger.reading() as connection:
            lists = action_lists.changed(connection, key, _listing(actions, calendar))
        if lists:
            with self.ledger.transaction("actions") as tx:
                action_lists.take(tx, key, lists)
        with self.ledger.reading() as connection:
            self.components = booking.components(connection, str(self.as_of.day))
        prices = self._prices(calendar, closes_since)
        if prices:
            with self.ledger.transaction("actions") as tx:
                for due, price in prices.items():
                    action_rows.put_price(tx, due.key, price)
            with self.ledger.reading() as connection:
                self.components = booking.components(connection, str(self.as_of.day))

    def _prices(self, calendar: Calendar, closes_since: Callable[[str], Closes]) -> dict[DueAction, Decimal]:
        """Return the prices at the close before, for actions that need a price and have none."""
        wanting = {
            due: calendar.before_or_on(date.fromisoformat(due.session) - _DAY).day
            for one in self.components
            for due in one.dues
            if due.price is None and due.action.kind in _PRICED
        }
        if not wanting:
            return {}
        closes = closes_since(str(min(wanting.values()) - _LOOK_BACK))
        found: dict[DueAction, Decimal] = {}
        for due, day in wanting.items():
            known = closes.last(str(day), {})
            # A spin-off is priced by the new asset; all other kinds by the asset that they act on.
            asset = due.action.into if due.action.kind is ActionKind.SPINOFF else due.action.asset
            if asset in known:
                found[due] = known[asset].quantize(_TICK)
        return found

    def before(self, session: Session) -> None:
        """Have a simulated broker book what is due before the close of a session."""
        simulated = simulation(self.broker)
        if simulated is None or not self.components:
            return
        day = str(session.day)
        # Read anew for each session: another strategy's run may have booked some of them since `listed`.
        with self.ledger.reading() as connection:
            for one in booking.components(connection, str(self.as_of.day)):
                dues = tuple(d for d in one.dues if d.session <= day)
                # Only where an ex or pay session lies between the last call and this one; others change nothing.
                if any(self._told < point <= day for d in dues for point in (d.session, d.pay_session)):
                    tell(simulated, day, session.close, dues)
        self._told = max(self._told, day)

    def announced(self, actions: Sequence[Action], calendar: Calendar) -> None:
        """Announce the actions of the next session to a simulated broker: orders from now on are in its units."""
        simulated, next = simulation(self.broker), calendar.after(self.as_of.day)
        placed = (scheduled(action, calendar) for action in between(actions, self.as_of.day, next.day))
        dues = [due for due in placed if due is not None]
        if simulated is not None and dues:
            simulated.announce(dues)

    def booked(self) -> None:
        """Tell a simulated broker all that is left, then book the ledger."""
        if self.components:
            book(self.ledger, self.broker, str(self.as_of.day), self.as_of.close)


def book(ledger: Ledger, broker: Broker, through: str, at: datetime) -> tuple[ActionEntry, ...]:
    """Have a simulated broker act on what is due up to a session, then book it in the ledger, in one ledger
    transaction.

    at: the instant of the broker's entries. A process that dies between the two does both again.
    """
    # The ledger's write lock is held over the broker's calls: no other run books between the two.
    simulated, step = simulation(broker), broker.capabilities().quantity_step
    with ledger.transaction("actions") as tx:
        known, _ = action_rows.progress(tx.connection)
        if simulated is not None:
            for one in booking.components(tx.connection, through):
                tell(simulated, max(known, through), at, one.dues)
        return booking.book(tx, through, step)


def tell(simulated: Simulated, session: str, at: datetime, dues: Sequence[DueAction]) -> None:
    """Have a simulated broker act."""
    failpoint("act:before")
    simulated.act(session, at, dues)
    failpoint("act:after")


@dataclass(slots=True)
class SessionPrices:
    """The newest price of each asset, session by session, in the units of that session.

    A price from before an action is restated until there is a new one.
    """

    prices: Mapping[str, Decimal]
    _own: dict[str, Decimal] = field(default_factory=dict)  # restated prices, until the asset has a close again

    def at(self, day: str, closes: Closes, dues: Sequence[DueAction]) -> dict[str, Decimal]:
        """Return the prices at the close of a session. dues: the actions of that session."""
        found = closes.last(day, self.prices) | self._own
        if dues or self._own:
            fresh = {a: p for a, p in closes.on(day)[0].items() if p is not None}
            after = action_rows.restated({**dict(self.prices), **self._own}, dues)
            touched = {n for d in dues for n in (d.action.asset, d.action.into) if n in after}
            self._own |= {asset: after[asset] for asset in touched}
            for asset in fresh:
                self._own.pop(asset, None)
            found |= fresh | self._own
        self.prices = found
        return found
