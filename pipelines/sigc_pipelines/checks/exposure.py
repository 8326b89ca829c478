"""Exposure: the range of a book over every possible fill of its orders in flight.

An asset has a held quantity (q), a quantity that may still be bought (b) and one that may still be sold (s): the
position will lie in [q - s, q + b], and can reach any point of it. The worst cases follow:

    gross in flight    sum of max(|q + b|, |q - s|) x price     every order that adds is filled and none that reduces
    net in flight      [sum of (q - s) x price, sum of (q + b) x price]                       of the book, and by sector
    cash in flight     cash - b x price                         every buy is filled and no sell

Adding an order or a fill takes O(1), and gives the same digits as a rebuild from the session's orders and fills
(`Exposure.of`). Positions are valued at marks, orders at the price they were sized by, or at their limit if that is
worse; slippage of market orders and commissions are not included.

Neighbour: `orders.py` computes the effect of one more order on it.
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
    """One asset of a book. buying, selling: quantities that may still be filled; changed: the net quantity of the
    session's fills.
    """

    price: Decimal | None
    sector: str
    quantity: Decimal = ZERO
    buying: Decimal = ZERO
    selling: Decimal = ZERO
    changed: Decimal = ZERO

    @property
    def highest(self) -> Decimal:
        """The position when all buys are filled and no sells."""
        return self.quantity + self.buying

    @property
    def lowest(self) -> Decimal:
        """The position when all sells are filled and no buys."""
        return self.quantity - self.selling

    @property
    def reach(self) -> Decimal:
        """The largest possible absolute position."""
        return max(abs(self.highest), abs(self.lowest))

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to value."""
        return not (self.quantity or self.buying or self.selling)

    def open(self, side: Side, quantity: Decimal) -> ExposureLine:
        """Return the line with more (or less, when negative) in open orders."""
        buying, selling = (quantity, ZERO) if side is Side.BUY else (ZERO, quantity)
        return ExposureLine(
            self.price, self.sector, self.quantity, self.buying + buying, self.selling + selling, self.changed
        )

    def filled(self, side: Side, quantity: Decimal) -> ExposureLine:
        """Return the line with more bought or sold."""
        moved = side.sign * quantity
        return ExposureLine(
            self.price, self.sector, self.quantity + moved, self.buying, self.selling, self.changed + moved
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """The measures of an order in an asset, in money. None: not known.

    wanted: the wanted change, at the price that sized it. lot: the value of one lot. high: the higher of the last two
    accepted prices. volume: the mean value traded in a session.
    """

    wanted: Decimal
    lot: Decimal
    high: Decimal | None = None
    volume: Decimal | None = None


@dataclass(slots=True)
class MoneyRange:
    """A sum of positions in money: its current value, its least and its highest possible value."""

    now: Decimal = ZERO
    lowest: Decimal = ZERO
    highest: Decimal = ZERO

    def add(self, line: ExposureLine, price: Decimal, sign: int) -> None:
        """Add a line (+1) or remove it (-1)."""
        self.now += sign * line.quantity * price
        self.lowest += sign * line.lowest * price
        self.highest += sign * line.highest * price


@dataclass(frozen=True, slots=True)
class ExposureTotals:
    """All sums of an exposure, for comparing and printing. In money, except the counts."""

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
    """An order that was counted at any time, and the quantity of its parent that it has taken."""

    run: str
    parent: str
    kept: Decimal = ZERO


@dataclass(slots=True, eq=False)
class Exposure:
    """The book of a session, updated by `add`, `fill` and `close`. Not thread-safe.

    nav: the book's worth when the session's weights were decided. turnover: value of the session's fills. orders,
    orders_of_run: orders of the session; denied ones do not count. parents: the whole quantity of each sliced order;
    sliced: the quantity of it that slices have taken and not given back. bounds: by asset, of the orders of the run.
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
    buying: Decimal = ZERO  # highest cost of all open buys
    selling: Decimal = ZERO  # highest value of all open sells
    proceeds: Decimal = ZERO  # least proceeds of all open sells if filled
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
        """Build the exposure from the book as it is now, the intents and fills of its session, and earlier orders in
        flight.

        marks: of all held or ordered assets.
        """
        # `positions` include the session's fills already, so these only count as change and turnover here.
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
        """Return an asset's line, an empty one for a new asset."""
        found = self._lines.get(asset)
        return found if found is not None else ExposureLine(*_valued(self.marks, asset))

    def in_flight(self, client_order_id: str) -> Decimal:
        """Return the open quantity of an order, as counted here."""
        flight = self._flights.get(client_order_id)
        return ZERO if flight is None else flight.remaining

    def is_counted(self, client_order_id: str) -> bool:
        """Return True if an order is counted in this session, in flight or not."""
        return client_order_id in self._known

    def rivals(self, order: Intent) -> tuple[str, ...]:
        """Return other orders (or parents of slices) in flight on the same side of the same asset as `order`."""
        groups = self._groups.get((order.asset, order.side))
        return tuple(sorted(g for g in groups or () if g != _group(order)))

    def add(self, order: Intent) -> None:
        """Count an order that is to be sent at its full open quantity. Idempotent."""
        with localcontext(EXACT):
            self._count(order)

    def fill(self, fill: Fill) -> None:
        """Count a new execution, of an order in flight or of one thought closed."""
        with localcontext(EXACT):
            flight = self._flights.get(fill.client_order_id)
            taken = ZERO if flight is None else min(flight.remaining, fill.quantity)
            if flight is not None:
                self._shrink(flight, taken)
            # More than was open: a fill of an order thought closed, or an overfill.
            self._keep(fill.client_order_id, fill.quantity - taken)
            self._put(fill.asset, self.line(fill.asset).filled(fill.side, fill.quantity))
            self.cash += fill.cash
            self.turnover += fill.quantity * fill.price

    def close(self, client_order_id: str) -> None:
        """Count an order as ended: cancelled, expired, rejected."""
        with localcontext(EXACT):
            flight = self._flights.get(client_order_id)
            if flight is not None:
                self._keep(client_order_id, -flight.remaining)
                self._shrink(flight, flight.remaining)

    def withdraw(self, client_order_id: str) -> None:
        """Remove an order that was denied and never sent; it does not count as an order of the session."""
        self.close(client_order_id)
        known = self._known.pop(client_order_id, None)
        if known is not None:
            self.orders -= 1
            self.orders_of_run[known.run] -= 1

    def totals(self) -> ExposureTotals:
        """Return all sums as one value."""
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
        # Take the order out first: counting it again at its new remainder is then idempotent.
        flight = self._flights.get(order.client_order_id)
        if flight is not None:
            self._shrink(flight, flight.remaining)
        # A slice in flight takes its whole quantity from the parent; an ended one only its fills.
        kept = order.quantity if order.state in IN_FLIGHT else order.filled
        self._keep(order.client_order_id, kept - self._known[order.client_order_id].kept)
        if order.remaining > 0:
            flight = _Flight(order, ZERO)
            self._flights[order.client_order_id] = flight
            self._groups.setdefault((order.asset, order.side), Counter())[_group(order)] += 1
            self._shrink(flight, -order.remaining)

    def _keep(self, client_order_id: str, more: Decimal) -> None:
        """Add to the quantity of a sliced order that this slice has taken."""
        known = self._known.get(client_order_id)
        if known is not None and known.parent:
            known.kept += more
            self.sliced[known.parent] = self.sliced.get(known.parent, ZERO) + more

    def _shrink(self, flight: _Flight, by: Decimal) -> None:
        """Reduce the open quantity of an order; at 0 it is not in flight any more."""
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
        # All sums change by the difference of the lines. Exact decimals: no drift, whatever the order of updates.
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
    """Return the price that a share counts at: the order's reference price, or its limit if that is higher."""
    return order.reference if order.limit is None else max(order.reference, order.limit)


def least_price(order: Intent) -> Decimal:
    """Return the least price of a sold share: the order's reference price, or its limit if that is lower."""
    return order.reference if order.limit is None else min(order.reference, order.limit)


def _group(order: Intent) -> str:
    return order.parent or order.client_order_id


def _valued(marks: Mapping[str, Mark], asset: str) -> tuple[Decimal | None, str]:
    """Return price and sector of an asset; None for an invalid price."""
    mark = marks.get(asset)
    if mark is None:
        return None, ""
    price = mark.price
    return (price if price is not None and price.is_finite() and price > 0 else None), mark.sector


def _triple(range: MoneyRange) -> tuple[Decimal, Decimal, Decimal]:
    return range.now, range.lowest, range.highest
