"""Corporate actions of the data, brought to the ledger and to a simulated broker.

    scheduled   an action with its sessions and instants on the calendar
    Acts        what a run does of it: `listed` keeps the lists, `before` tells the broker before each close,
                `booked` books the ledger

The broker acts before the close of each session, the ledger once for all of them: what it books depends on when fills
were made, not on when it learns of them. A process that dies between the two does both again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from sigc.actions import Action, ActionKind
from sigc.calendar import Calendar, Session
from sigc.failpoint import failpoint
from sigc.store import action_lists, action_rows, booking
from sigc.store.action_lists import Listing
from sigc.store.booking import Component
from sigc.store.effects import Due
from sigc.store.ledger import Ledger
from sigc.store.records import BookKey
from sigc_pipelines.brokers.protocol import Broker, Simulated, simulation
from sigc_pipelines.closes import Closes

_TICK = Decimal("0.000001")  # of prices, as the paper broker keeps them
_DAY = timedelta(days=1)
_LOOK_BACK = timedelta(days=30)  # for the last price before an action
_PRICED = frozenset({ActionKind.SPLIT, ActionKind.SPINOFF, ActionKind.MERGE, ActionKind.DELIST})


def scheduled(action: Action, calendar: Calendar) -> Due | None:
    """An action on the session of its ex-date, else the next one; None for one beyond the calendar."""
    ex, pay = action.ex_date, action.pay_date or action.ex_date
    if not calendar.table or not calendar.table[0].day < ex <= calendar.table[-1].day:
        return None
    session = _on_or_after(ex, calendar)
    before = calendar.before_or_on(session.day - _DAY)
    paid = str(_on_or_after(pay, calendar).day) if session.day < pay <= calendar.table[-1].day else str(pay)
    return Due(action, str(session.day), before.close, max(paid, str(session.day)))


@dataclass(slots=True)
class _Last:
    """The newest listing: a replay asks for the same day after day."""

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
class Acts:
    """The actions that are to be looked at when all sessions up to `as_of` have begun."""

    ledger: Ledger
    broker: Broker
    as_of: Session
    components: tuple[Component, ...] = ()
    _told: str = field(default="")

    @property
    def is_due(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.components)

    def listed(
        self, key: BookKey, actions: Sequence[Action], calendar: Calendar, closes_since: Callable[[str], Closes]
    ) -> None:
        """Keep what a book's data list, with the prices that its effects need."""
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

    def _prices(self, calendar: Calendar, closes_since: Callable[[str], Closes]) -> dict[Due, Decimal]:
        """The prices at the close before, of the actions that need one and have none."""
        wanting = [d for c in self.components for d in c.dues if d.price is None and d.action.kind in _PRICED]
        found: dict[Due, Decimal] = {}
        for due in wanting:
            day = calendar.before_or_on(date.fromisoformat(due.session) - _DAY).day
            known = closes_since(str(day - _LOOK_BACK)).last(str(day), {})
            asset = due.action.into if due.action.kind is ActionKind.SPINOFF else due.action.asset
            if asset in known:
                found[due] = known[asset].quantize(_TICK)
        return found

    def before(self, session: Session) -> None:
        """Tell a simulated broker what acts before the close of a session."""
        simulated = simulation(self.broker)
        if simulated is None or not self.components:
            return
        day = str(session.day)
        for one in self.components:
            dues = tuple(d for d in one.dues if d.session <= day)
            if any(self._told < point <= day for d in dues for point in (d.session, d.pay_session)):
                self._tell(simulated, day, session, dues)
        self._told = max(self._told, day)

    def booked(self) -> None:
        """Tell a simulated broker all that is left, then book the ledger."""
        if not self.components:
            return
        simulated = simulation(self.broker)
        if simulated is not None:
            with self.ledger.reading() as connection:
                through, _ = action_rows.progress(connection)
            for one in self.components:
                self._tell(simulated, max(through, str(self.as_of.day)), self.as_of, one.dues)
        step = self.broker.capabilities().quantity_step
        with self.ledger.transaction("actions") as tx:
            booking.book(tx, str(self.as_of.day), step)

    def _tell(self, simulated: Simulated, day: str, session: Session, dues: Sequence[Due]) -> None:
        failpoint("act:before")
        simulated.act(day, session.close, dues)
        failpoint("act:after")

    def of_session(self, day: str) -> tuple[Due, ...]:
        """The actions whose session is that day, of those that are looked at."""
        return tuple(d for c in self.components for d in c.dues if d.session == day)


@dataclass(slots=True)
class Restated:
    """The newest price of each asset, session by session, in the units of that session.

    A price that is older than an action is restated until there is a new one.
    """

    prices: Mapping[str, Decimal]
    _own: dict[str, Decimal] = field(default_factory=dict)

    def at(self, day: str, closes: Closes, dues: Sequence[Due]) -> dict[str, Decimal]:
        """The prices at the close of a session. dues: the actions of that session."""
        found = closes.last(day, self.prices) | self._own
        if dues or self._own:
            fresh = {a: p for a, p in closes.on(day)[0].items() if p is not None and p > 0}
            after = action_rows.restated({**dict(self.prices), **self._own}, dues)
            touched = {n for d in dues for n in (d.action.asset, d.action.into) if n in after}
            self._own |= {asset: after[asset] for asset in touched}
            for asset in fresh:
                self._own.pop(asset, None)
            found |= fresh | self._own
        self.prices = found
        return found
