"""Any history of a paper broker against a model that knows nothing of it: its own sums, in fractions."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.store.ledger.records import OrderType, Side, TimeInForce
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import OrderRequest, OrderStatus, RejectedError

START = datetime(2024, 1, 5, 15, tzinfo=UTC)  # a Friday: sessions follow each other in one and in three days
CAPITAL = 100_000
SLIPPAGE, RATE, LEAST, VOLUME, LEVERAGE, BORROW = 30, 5, "0.5", "0.25", 2, 900
SETTINGS = PaperSettings(
    slippage_bps=SLIPPAGE,
    commission_bps=RATE,
    min_commission=float(LEAST),
    max_volume_pct=float(VOLUME),
    leverage=LEVERAGE,
    borrow_bps=BORROW,
)
ASSETS = ("A", "B", "C")
PRICES = st.one_of(st.none(), st.decimals("0.5", "400", places=4))


def cents(money: Fraction) -> Fraction:
    return Fraction(round(money * 100), 100)  # Python rounds fractions half to even


@dataclass
class Model:
    """What an account should be."""

    cash: Fraction = Fraction(CAPITAL)
    held: dict[str, Fraction] = field(default_factory=lambda: dict.fromkeys(ASSETS, Fraction(0)))
    prices: dict[str, Fraction] = field(default_factory=dict)
    open: dict[str, OrderRequest] = field(default_factory=dict)  # by id, in the order of submission
    ended: dict[str, tuple[OrderStatus, Fraction]] = field(default_factory=dict)

    def equity(self) -> Fraction:
        return self.cash + sum(self.held[asset] * self.prices.get(asset, Fraction(0)) for asset in ASSETS)

    def worst(self, more: OrderRequest | None = None) -> Fraction:
        """The gross value, when of each asset all buys are filled or all sales, whichever leads further."""
        orders = [*self.open.values(), *([more] if more is not None else [])]
        total = Fraction(0)
        for asset in ASSETS:
            ways = [
                abs(
                    self.held[asset]
                    + side.sign * sum(Fraction(o.quantity) for o in orders if (o.asset, o.side) == (asset, side))
                )
                for side in Side
            ]
            total += max(ways) * self.prices.get(asset, Fraction(0))
        return total

    def bears(self, order: OrderRequest) -> bool:
        added = self.worst(order) - self.worst()
        return order.asset in self.prices and added <= max(LEVERAGE * self.equity() - self.worst(), Fraction(0))


class Histories(RuleBasedStateMachine):
    """Orders, cancels, closes and restarts in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = HandClock(START)
        self.model = Model()
        self.number = 0
        self.session = START
        self.broker = self.open()
        self.requests: dict[str, OrderRequest] = {}
        self.marked: dict[str, date] = {}

    def open(self) -> PaperBroker:
        return PaperBroker(Path(self.folder.name) / "paper.sqlite", SETTINGS, self.clock, durable=False)

    def teardown(self) -> None:
        self.broker.close()
        self.folder.cleanup()

    @initialize()
    def fund(self) -> None:
        self.broker.deposit("capital", Decimal(CAPITAL))
        self.close({asset: Decimal(50) for asset in ASSETS[:2]}, {})

    @rule(
        asset=st.sampled_from(ASSETS),
        side=st.sampled_from(list(Side)),
        quantity=st.integers(1, 3000),
        limit=st.one_of(st.none(), st.decimals("0.5", "400", places=2)),
        time_in_force=st.sampled_from(list(TimeInForce)),
    )
    def submit(self, asset: str, side: Side, quantity: int, limit: Decimal | None, time_in_force: TimeInForce) -> None:
        self.number += 1
        order_type = OrderType.MARKET if limit is None else OrderType.LIMIT
        id = f"order-{self.number}"
        order = OrderRequest(id, asset, side, Decimal(quantity), order_type, limit, time_in_force)
        try:
            placed = self.broker.submit(order)
        except RejectedError:
            assert not self.model.bears(order)
            assert self.broker.order(id) is None
        else:
            assert self.model.bears(order)
            assert placed.status is OrderStatus.NEW
            self.model.open[id] = order
            self.requests[id] = order

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def submit_again(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.requests)))
        assert self.broker.submit(self.requests[id]) == self.broker.order(id)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.requests)))
        self.broker.cancel(id)
        if self.model.open.pop(id, None) is not None:
            self.model.ended[id] = (OrderStatus.CANCELLED, Fraction(0))

    @rule(
        prices=st.fixed_dictionaries({}, optional=dict.fromkeys(ASSETS, PRICES)),
        volumes=st.fixed_dictionaries({}, optional=dict.fromkeys(ASSETS, st.decimals(0, 6000, places=0))),
    )
    def close(self, prices: dict[str, Decimal | None], volumes: dict[str, Decimal | None]) -> None:
        self.session += timedelta(days=3 if self.session.weekday() == 4 else 1)
        at = self.session.replace(hour=21)
        self.clock.turn(at)
        self.charge(prices)
        self.broker.mark(at.date().isoformat(), at, prices, volumes)
        before = self.read()
        self.broker.mark(at.date().isoformat(), at, {asset: Decimal(1) for asset in prices}, {})
        self.broker.mark("2023-12-29", at, {asset: Decimal(1) for asset in prices}, {})
        assert self.read() == before, "a session is marked once"
        for asset, price in prices.items():
            self.settle(asset, price, volumes.get(asset))

    def charge(self, prices: dict[str, Decimal | None]) -> None:
        """Borrow fees: the days since the session before, of what was short at its price."""
        for asset in prices:
            if self.model.held[asset] < 0:
                days = (self.session.date() - self.marked[asset]).days
                value = -self.model.held[asset] * self.model.prices[asset]
                self.model.cash -= cents(value * BORROW / 10_000 * days / 365)
            self.marked[asset] = self.session.date()

    def settle(self, asset: str, price: Decimal | None, volume: Decimal | None) -> None:
        """Each order's fill is judged by what it may be, and then booked at the model's own price."""
        wanted: list[tuple[OrderRequest, Fraction]] = []
        for order in [order for order in self.model.open.values() if order.asset == asset]:
            del self.model.open[order.client_order_id]
            at = None if price is None else self.price_of(order, Fraction(price))
            reached = at is not None and (order.limit is None or order.side.sign * (Fraction(order.limit) - at) >= 0)
            found = self.broker.order(order.client_order_id)
            assert found is not None
            got = Fraction(found.filled)
            whole = got == order.quantity
            assert found.status is (OrderStatus.FILLED if whole else OrderStatus.EXPIRED)
            self.model.ended[order.client_order_id] = (found.status, got)
            if reached and at is not None:
                wanted.append((order, got))
                commission = max(cents(got * at * RATE / 10_000), Fraction(LEAST)) if got else Fraction(0)
                self.model.cash -= order.side.sign * got * at + commission
                self.model.held[asset] += order.side.sign * got
            else:
                assert got == 0
        self.shared_fairly(wanted, volume)
        if price is not None:
            self.model.prices[asset] = Fraction(price)

    def shared_fairly(self, wanted: list[tuple[OrderRequest, Fraction]], volume: Decimal | None) -> None:
        total = sum(Fraction(order.quantity) for order, _ in wanted)
        cap = total if volume is None else min(total, Fraction(math.floor(Fraction(volume) * Fraction(VOLUME))))
        assert sum(got for _, got in wanted) == cap
        for order, got in wanted:
            assert abs(got - cap * Fraction(order.quantity) / total) < 1

    def price_of(self, order: OrderRequest, mark: Fraction) -> Fraction:
        """Rounded to six decimals, against us."""
        exact = mark * (1 + Fraction(order.side.sign * SLIPPAGE, 10_000)) * 10**6
        return Fraction(math.ceil(exact) if order.side is Side.BUY else math.floor(exact), 10**6)

    @rule()
    def restart(self) -> None:
        before = self.read()
        self.broker.close()
        self.broker = self.open()
        assert self.read() == before

    def read(self) -> str:
        return repr(
            (self.broker.account(), self.broker.positions(), self.broker.activities(""), self.broker.orders(START))
        )

    @invariant()
    def the_account_is_the_models(self) -> None:
        account = self.broker.account()
        if not self.model.prices:
            return  # before the deposit
        assert Fraction(account.cash) == self.model.cash
        assert Fraction(account.equity) == self.model.equity()
        assert Fraction(account.buying_power) == max(LEVERAGE * self.model.equity() - self.model.worst(), 0)
        held = {asset: quantity for asset, quantity in self.model.held.items() if quantity}
        assert {asset: Fraction(q) for asset, q in self.broker.positions().items()} == held

    @invariant()
    def the_orders_are_the_models(self) -> None:
        found = {order.request.client_order_id: order for order in self.broker.orders(datetime(2000, 1, 1, tzinfo=UTC))}
        assert list(found) == list(self.requests)
        for id, order in found.items():
            if id in self.model.open:
                assert order.status is OrderStatus.NEW
            else:
                assert (order.status, Fraction(order.filled)) == self.model.ended[id]


Histories.TestCase.settings = settings(max_examples=40, stateful_step_count=25, suppress_health_check=list(HealthCheck))
TestHistories = Histories.TestCase
