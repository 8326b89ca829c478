"""Exposure: what a book may come to, whatever part of its orders in flight is filled.

Of an asset it is known what is held (q), what may still be bought (b) and what may still be sold (s): the position will
lie in [q - s, q + b], and any point of it can be reached. From that follow the worst cases:

    gross in flight    sum of max(|q + b|, |q - s|) x price     every order that adds is filled and none that reduces
    net in flight      [sum of (q - s) x price, sum of (q + b) x price]                       of the book, and by sector
    cash in flight     cash - b x price                         every purchase is filled and no sale

Adding an order or a fill costs the same for a book of any size, and gives what a rebuild from the session's orders and
fills (`Exposure.of`) gives, to the digit. Positions are valued at marks, orders at the price they were sized by, or at
their limit where that is worse; what a market order slips, and commissions, are not in it.

Neighbour: `orders.py` asks what one more order would make of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext

from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import IN_FLIGHT, ZERO, Fill, Intent, IntentState, Side

# Enough digits for sums and products of prices and quantities to be exact, so that their order does not matter.
EXACT = Context(prec=100)


@dataclass(frozen=True, slots=True)
class ExposureLine:
    """One asset of a book. buying, selling: what may still be filled; changed: what the session's fills came to."""

    price: Decimal | None
    sector: str
    quantity: Decimal = ZERO
    buying: Decimal = ZERO
    selling: Decimal = ZERO
    changed: Decimal = ZERO

    @property
    def highest(self) -> Decimal:
        """The position when all that is bought is filled and nothing that is sold."""
        return self.quantity + self.buying

    @property
    def lowest(self) -> Decimal:
        """The position when all that is sold is filled and nothing that is bought."""
        return self.quantity - self.selling

    @property
    def reach(self) -> Decimal:
        """The largest absolute position that may come."""
        return max(abs(self.highest), abs(self.lowest))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to value."""
        return not (self.quantity or self.buying or self.selling)

    def open(self, side: Side, quantity: Decimal) -> ExposureLine:
        """With so much more (or less) that may still be filled."""
        buying, selling = (quantity, ZERO) if side is Side.BUY else (ZERO, quantity)
        return ExposureLine(
            self.price, self.sector, self.quantity, self.buying + buying, self.selling + selling, self.changed
        )

    def filled(self, side: Side, quantity: Decimal) -> ExposureLine:
        """With so much more bought or sold."""
        moved = side.sign * quantity
        return ExposureLine(
            self.price, self.sector, self.quantity + moved, self.buying, self.selling, self.changed + moved
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """What an order in an asset is measured by, in money. None: not known.

    wanted: the change that was wanted, at the price that sized it. lot: what one lot is worth. high: the higher of the
    last two accepted prices. volume: the mean value that is traded in a session.
    """

    wanted: Decimal
    lot: Decimal
    high: Decimal | None = None
    volume: Decimal | None = None


@dataclass(slots=True)
class MoneyRange:
    """A sum of positions in money: as it is, and the least and most it may come to."""

    now: Decimal = ZERO
    lowest: Decimal = ZERO
    highest: Decimal = ZERO

    def add(self, line: ExposureLine, price: Decimal, sign: int) -> None:
        """Count a line in (+1) or out (-1)."""
        self.now += sign * line.quantity * price
        self.lowest += sign * line.lowest * price
        self.highest += sign * line.highest * price


@dataclass(frozen=True, slots=True)
class ExposureTotals:
    """All sums of an exposure, for comparing and printing. Money, but for the counts."""

    cash: Decimal
    gross_in_flight: Decimal
    net: tuple[Decimal, Decimal, Decimal]
    sectors: dict[str, tuple[Decimal, Decimal, Decimal]]
    buying: Decimal
    selling: Decimal
    proceeds: Decimal
    turnover: Decimal
    orders: int
    orders_of_run: dict[str, int]
    sliced: dict[str, Decimal]
    unpriced: frozenset[str]
    lines: dict[str, ExposureLine]


@dataclass(slots=True)
class _Flight:
    order: Intent
    remaining: Decimal


@dataclass(slots=True)
class _Known:
    """An order that was ever counted, and how much of its parent it has taken."""

    run: str
    parent: str
    kept: Decimal = ZERO


@dataclass(slots=True, eq=False)
class Exposure:
    """The book of a session, kept up by `add`, `fill` and `close`. Not for several threads at once.

    nav: what the book was worth when the session's weights were decided. turnover: value of the session's fills.
    orders, orders_of_run: orders of the session; denied ones do not count. parents: the whole quantity of each sliced
    order; sliced: how much of it slices have taken and not given back. bounds: by asset, of the orders of the run.
    """

    nav: Decimal
    cash: Decimal
    marks: Mapping[str, Mark]
    parents: Mapping[str, Decimal] = field(default_factory=dict)
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    turnover: Decimal = ZERO
    orders: int = 0
    orders_of_run: Counter[str] = field(default_factory=Counter)
    sliced: dict[str, Decimal] = field(default_factory=dict)
    gross_in_flight: Decimal = ZERO
    net: MoneyRange = field(default_factory=MoneyRange)
    sectors: dict[str, MoneyRange] = field(default_factory=dict)
    buying: Decimal = ZERO  # what open purchases may cost
    selling: Decimal = ZERO  # what open sales are worth
    proceeds: Decimal = ZERO  # the least that open sales bring if they are filled
    unpriced: set[str] = field(default_factory=set)
    _lines: dict[str, ExposureLine] = field(default_factory=dict)
    _flights: dict[str, _Flight] = field(default_factory=dict)
    _groups: dict[tuple[str, Side], Counter[str]] = field(default_factory=dict)
    _known: dict[str, _Known] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        nav: Decimal,
        cash: Decimal,
        positions: Mapping[str, Decimal],
        marks: Mapping[str, Mark],
        *,
        intents: Iterable[Intent] = (),
        fills: Iterable[Fill] = (),
        parents: Mapping[str, Decimal] | None = None,
        bounds: Mapping[str, Bound] | None = None,
    ) -> Exposure:
        """From the book as it is now, the intents and fills of its session, and what is in flight from before it.

        marks: of all that is held or ordered.
        """
        with localcontext(EXACT):
            at = cls(nav, cash, marks, parents or {}, bounds or {})
            for asset, quantity in positions.items():
                at._put(asset, ExposureLine(*_valued(marks, asset), quantity))
            for fill in fills:
                line = at.line(fill.asset)
                moved = line.changed + fill.side.sign * fill.quantity
                at._put(
                    fill.asset, ExposureLine(line.price, line.sector, line.quantity, line.buying, line.selling, moved)
                )
                at.turnover += fill.quantity * fill.price
            for order in intents:
                at._count(order)
            return at

    def line(self, asset: str) -> ExposureLine:
        """What there is of an asset."""
        found = self._lines.get(asset)
        return found if found is not None else ExposureLine(*_valued(self.marks, asset))

    def in_flight(self, client_order_id: str) -> Decimal:
        """How much of an order may still be filled, as counted here."""
        flight = self._flights.get(client_order_id)
        return ZERO if flight is None else flight.remaining

    def is_counted(self, client_order_id: str) -> bool:
        """Whether an order is among those of the session, in flight or not."""
        return client_order_id in self._known

    def rivals(self, order: Intent) -> tuple[str, ...]:
        """Orders (or parents of slices) in flight on the same side of the same asset that `order` has no part in."""
        groups = self._groups.get((order.asset, order.side))
        return tuple(sorted(g for g in groups or () if g != _group(order)))

    def add(self, order: Intent) -> None:
        """An order that is to be sent, counted at all that may still be filled. Again: the same, not twice."""
        with localcontext(EXACT):
            self._count(order)

    def fill(self, fill: Fill) -> None:
        """An execution that is not counted yet, of an order in flight or of one thought closed."""
        with localcontext(EXACT):
            flight = self._flights.get(fill.client_order_id)
            taken = ZERO if flight is None else min(flight.remaining, fill.quantity)
            if flight is not None:
                self._shrink(flight, taken)
            # More than was open: of an order thought closed, or more than was asked for.
            self._keep(fill.client_order_id, fill.quantity - taken)
            self._put(fill.asset, self.line(fill.asset).filled(fill.side, fill.quantity))
            self.cash += fill.cash
            self.turnover += fill.quantity * fill.price

    def close(self, client_order_id: str) -> None:
        """An order that will not be filled any further: cancelled, expired, rejected."""
        with localcontext(EXACT):
            flight = self._flights.get(client_order_id)
            if flight is not None:
                self._keep(client_order_id, -flight.remaining)
                self._shrink(flight, flight.remaining)

    def withdraw(self, client_order_id: str) -> None:
        """An order that was never sent, as it was denied: it is none of the session's any more."""
        self.close(client_order_id)
        known = self._known.pop(client_order_id, None)
        if known is not None:
            self.orders -= 1
            self.orders_of_run[known.run] -= 1

    def totals(self) -> ExposureTotals:
        """All sums as one value."""
        return ExposureTotals(
            self.cash,
            self.gross_in_flight,
            _triple(self.net),
            {s: _triple(r) for s, r in sorted(self.sectors.items()) if any(_triple(r))},
            self.buying,
            self.selling,
            self.proceeds,
            self.turnover,
            self.orders,
            {run: n for run, n in self.orders_of_run.items() if n},
            {parent: taken for parent, taken in self.sliced.items() if taken},
            frozenset(self.unpriced),
            {a: line for a, line in sorted(self._lines.items()) if not line.is_empty or line.changed},
        )

    def _count(self, order: Intent) -> None:
        if order.state is IntentState.DENIED:
            return
        if order.client_order_id not in self._known:
            self.orders += 1
            self.orders_of_run[order.run] += 1
            self._known[order.client_order_id] = _Known(order.run, order.parent)
        flight = self._flights.get(order.client_order_id)
        if flight is not None:
            self._shrink(flight, flight.remaining)
        kept = order.quantity if order.state in IN_FLIGHT else order.filled
        self._keep(order.client_order_id, kept - self._known[order.client_order_id].kept)
        if order.remaining > 0:
            flight = _Flight(order, ZERO)
            self._flights[order.client_order_id] = flight
            self._groups.setdefault((order.asset, order.side), Counter())[_group(order)] += 1
            self._shrink(flight, -order.remaining)

    def _keep(self, client_order_id: str, more: Decimal) -> None:
        """More (or less) of a sliced order is taken by this slice."""
        known = self._known.get(client_order_id)
        if known is not None and known.parent:
            known.kept += more
            self.sliced[known.parent] = self.sliced.get(known.parent, ZERO) + more

    def _shrink(self, flight: _Flight, by: Decimal) -> None:
        """Less of an order may be filled; nothing: it is not in flight any more."""
        order = flight.order
        flight.remaining -= by
        self._put(order.asset, self.line(order.asset).open(order.side, -by))
        if order.side is Side.BUY:
            self.buying -= by * worst_price(order)
        else:
            self.selling -= by * worst_price(order)
            self.proceeds -= by * least_price(order)
        if flight.remaining == 0:
            del self._flights[order.client_order_id]
            groups = self._groups[order.asset, order.side]
            groups[_group(order)] -= 1
            if groups[_group(order)] == 0:
                del groups[_group(order)]

    def _put(self, asset: str, line: ExposureLine) -> None:
        for one, sign in ((self._lines.get(asset), -1), (line, +1)):
            if one is None:
                continue
            if one.price is None:
                (self.unpriced.discard if sign < 0 or one.is_empty else self.unpriced.add)(asset)
                continue
            self.gross_in_flight += sign * one.reach * one.price
            self.net.add(one, one.price, sign)
            self.sectors.setdefault(one.sector, MoneyRange()).add(one, one.price, sign)
        self._lines[asset] = line


def worst_price(order: Intent) -> Decimal:
    """What a share is counted at: the price the order was sized by, or its limit where that is more."""
    return order.reference if order.limit is None else max(order.reference, order.limit)


def least_price(order: Intent) -> Decimal:
    """What a sold share brings at least: the price the order was sized by, or its limit where that is less."""
    return order.reference if order.limit is None else min(order.reference, order.limit)


def _group(order: Intent) -> str:
    return order.parent or order.client_order_id


def _valued(marks: Mapping[str, Mark], asset: str) -> tuple[Decimal | None, str]:
    """Price and sector of an asset; a price that is none is not known."""
    mark = marks.get(asset)
    if mark is None:
        return None, ""
    price = mark.price
    return (price if price is not None and price.is_finite() and price > 0 else None), mark.sector


def _triple(range: MoneyRange) -> tuple[Decimal, Decimal, Decimal]:
    return range.now, range.lowest, range.highest
