"""The contract of a broker, first part: orders in its book, and the account."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from sigc.store.ledger.records import ZERO, Charge, Fill, OrderType, Side, TimeInForce
from sigc_pipelines.brokers.contract_stand import PRICE, Bench, Contract, Customer, close, held
from sigc_pipelines.brokers.protocol import OrderRequest, OrderStatus, RejectedError


class BookContract(Contract):
    """Contract of the order book."""

    # Orders come in, once.

    def test_an_order_is_in_the_book(self, bench: Bench, customer: Customer) -> None:
        since = bench.now()
        request = customer.request(bench.assets[0])
        placed = customer.place(request)
        assert placed.request == request
        assert placed.status is OrderStatus.NEW
        assert placed.filled == ZERO
        assert placed.broker_order_id
        assert customer.known(request) == placed
        assert placed in customer.ask(lambda broker: broker.orders(since))

    def test_submitted_twice_is_once(self, bench: Bench, customer: Customer) -> None:
        request = customer.request(bench.assets[0])
        first = customer.place(request)
        assert customer.place(request) == first
        close(bench)
        again = customer.place(request)
        assert (again.broker_order_id, again.status) == (first.broker_order_id, OrderStatus.FILLED)
        close(bench)
        assert customer.ask(lambda broker: broker.positions()) == {bench.assets[0]: request.quantity}
        assert len(customer.activities().fills) == 1

    def test_an_id_belongs_to_one_order(self, bench: Bench, customer: Customer) -> None:
        request = customer.request(bench.assets[0])
        first = customer.place(request)
        others = (
            replace(request, quantity=request.quantity * 2),
            replace(request, side=Side.SELL),
            replace(request, asset=bench.assets[1]),
        )
        for other in others:
            with pytest.raises(RejectedError):
                customer.place(other)
        assert customer.known(request) == first

    def test_equal_orders_under_two_ids_are_two(self, bench: Bench, customer: Customer) -> None:
        requests = [customer.request(bench.assets[0]) for _ in range(2)]
        placed = [customer.place(request) for request in requests]
        assert placed[0].broker_order_id != placed[1].broker_order_id
        close(bench)
        assert customer.ask(lambda broker: broker.positions()) == {bench.assets[0]: Decimal(20)}

    def test_orders_are_listed_in_the_order_they_came(self, bench: Bench, customer: Customer) -> None:
        older = customer.request(bench.assets[0])
        customer.place(older)
        bench.settle()
        since = bench.now()
        younger = [customer.request(asset) for asset in bench.assets[:2]]
        for request in younger:
            customer.place(request)
        bench.settle()
        ids = [order.request.client_order_id for order in customer.ask(lambda broker: broker.orders(since))]
        assert ids == [request.client_order_id for request in (older, *younger)], "open ones are listed, however old"

    # What is refused.

    @pytest.mark.parametrize("quantity", ["0", "-10", "NaN", "Infinity"])
    def test_a_quantity_that_is_none_is_rejected(self, bench: Bench, customer: Customer, quantity: str) -> None:
        self._rejected(customer, replace(customer.request(bench.assets[0]), quantity=Decimal(quantity)))

    def test_steps_are_honoured(self, bench: Bench, customer: Customer) -> None:
        step = customer.bench.broker.capabilities().quantity_step
        self._rejected(customer, customer.request(bench.assets[0], quantity=10 * step + step / 2))
        assert customer.place(customer.request(bench.assets[0], quantity=step)).request.quantity == step

    def test_an_unknown_asset_is_rejected(self, bench: Bench, customer: Customer) -> None:
        self._rejected(customer, customer.request(bench.nowhere))

    def test_more_than_can_be_paid_is_rejected(self, bench: Bench, customer: Customer) -> None:
        power = customer.ask(lambda broker: broker.account()).buying_power
        step = bench.broker.capabilities().quantity_step
        self._rejected(customer, customer.request(bench.assets[0], quantity=(2 * power / PRICE) // step * step))

    def test_limits_belong_to_limit_orders(self, bench: Bench, customer: Customer) -> None:
        market = customer.request(bench.assets[0])
        self._rejected(customer, replace(market, limit=PRICE))
        self._rejected(customer, replace(market, order_type=OrderType.LIMIT))
        self._rejected(customer, customer.request(bench.assets[0], limit=Decimal(-1)))

    def test_short_sales_are_as_the_capabilities_say(self, bench: Bench, customer: Customer) -> None:
        short = customer.request(bench.assets[0], Side.SELL)
        if not bench.broker.capabilities().shorting:
            self._rejected(customer, short)
            return
        customer.place(short)
        close(bench)
        assert customer.ask(lambda broker: broker.positions()) == {bench.assets[0]: Decimal(-10)}

    def test_crossing_zero_is_as_the_capabilities_say(self, bench: Bench, customer: Customer) -> None:
        can = bench.broker.capabilities()
        customer.place(customer.request(bench.assets[0]))
        close(bench)
        over = customer.request(bench.assets[0], Side.SELL, 15)
        if not (can.crosses_zero and can.shorting):
            self._rejected(customer, over)
            customer.place(customer.request(bench.assets[0], Side.SELL, 10))
            close(bench)
        if can.shorting:
            customer.place(over if can.crosses_zero else customer.request(bench.assets[0], Side.SELL, 5))
            close(bench)
        left = {bench.assets[0]: Decimal(-5)} if can.shorting else {}
        assert customer.ask(lambda broker: broker.positions()) == left

    def test_what_is_held_may_be_sold(self, bench: Bench, customer: Customer) -> None:
        customer.place(customer.request(bench.assets[0]))
        close(bench)
        customer.place(customer.request(bench.assets[0], Side.SELL))
        close(bench)
        assert customer.ask(lambda broker: broker.positions()) == {}

    def test_what_the_capabilities_leave_out_is_rejected(self, bench: Bench, customer: Customer) -> None:
        can = bench.broker.capabilities()
        assert OrderType.MARKET in can.order_types
        assert TimeInForce.DAY in can.times_in_force
        for order_type in OrderType:
            for time_in_force in TimeInForce:
                limit = PRICE if order_type is OrderType.LIMIT else None
                request = customer.request(bench.assets[0], limit=limit, time_in_force=time_in_force)
                if order_type in can.order_types and time_in_force in can.times_in_force:
                    assert customer.place(request).request == request
                else:
                    self._rejected(customer, request)

    def _rejected(self, customer: Customer, request: OrderRequest) -> None:
        """Assert that the broker rejects the order and does not keep it in its book."""
        with pytest.raises(RejectedError) as told:
            customer.place(request)
        assert str(told.value), "a rejection says why"
        found = customer.find(request)
        assert found is None or found.status is OrderStatus.REJECTED
        opened = customer.ask(lambda broker: broker.orders(customer.bench.now()))
        assert request.client_order_id not in {order.request.client_order_id for order in opened}

    # What becomes of orders.

    @pytest.mark.parametrize("side", list(Side))
    def test_a_market_order_is_filled(self, bench: Bench, customer: Customer, side: Side) -> None:
        customer.place(customer.request(bench.assets[0], quantity=20))
        close(bench)
        cursor = customer.activities().cursor
        request = customer.request(bench.assets[0], side)
        customer.place(request)
        close(bench)
        order = customer.known(request)
        assert (order.status, order.filled) == (OrderStatus.FILLED, request.quantity)
        (fill,) = customer.activities(cursor).fills
        assert (fill.client_order_id, fill.asset, fill.side) == (request.client_order_id, bench.assets[0], side)
        assert fill.quantity == request.quantity
        assert side.sign * (fill.price - PRICE) >= ZERO, "slippage is never for us"
        assert abs(fill.price / PRICE - 1) < Decimal("0.05")
        assert fill.commission >= ZERO

    def test_a_limit_is_never_passed(self, bench: Bench, customer: Customer) -> None:
        if OrderType.LIMIT not in bench.broker.capabilities().order_types:
            return
        near = customer.request(bench.assets[0], limit=Decimal(105))
        far = customer.request(bench.assets[1], limit=Decimal(95))
        customer.place(near)
        customer.place(far)
        close(bench)
        assert customer.known(near).status is OrderStatus.FILLED
        assert (customer.known(far).status.is_open, customer.known(far).filled) == (False, ZERO)
        assert all(fill.price <= 105 for fill in customer.activities().fills)

    def test_parts_add_up(self, bench: Bench, customer: Customer) -> None:
        step = bench.broker.capabilities().quantity_step
        requests = [customer.request(bench.assets[0], quantity=quantity) for quantity in (300, 500, 700)]
        for request in requests:
            customer.place(request)
        close(bench, volume=Decimal(999))
        fills = customer.activities().fills
        for request in requests:
            order = customer.known(request)
            parts = sum((f.quantity for f in fills if f.client_order_id == request.client_order_id), ZERO)
            assert order.filled == parts
            assert ZERO < parts < request.quantity, "each order has its share"
            assert parts % step == ZERO
            assert not order.status.is_open, "a day order ends with its day"
            assert order.status is not OrderStatus.FILLED
        assert sum((fill.quantity for fill in fills), ZERO) <= 999
        close(bench)
        assert customer.activities().fills == fills
        assert customer.ask(lambda broker: broker.positions()) == held(fills)

    @pytest.mark.parametrize("time_in_force", list(TimeInForce))
    def test_nothing_outlives_its_day(self, bench: Bench, customer: Customer, time_in_force: TimeInForce) -> None:
        if time_in_force not in bench.broker.capabilities().times_in_force:
            return
        request = customer.request(bench.assets[0], time_in_force=time_in_force)
        customer.place(request)
        close(bench, price=None)
        order = customer.known(request)
        assert order.status in (OrderStatus.EXPIRED, OrderStatus.CANCELLED)
        close(bench)
        assert customer.known(request) == order
        assert customer.ask(lambda broker: broker.positions()) == {}

    def test_what_has_ended_stays(self, bench: Bench, customer: Customer) -> None:
        request = customer.request(bench.assets[0])
        customer.place(request)
        close(bench)
        order = customer.known(request)
        customer.cancel(request.client_order_id)
        close(bench)
        bench.restart()
        assert customer.known(request) == order
        assert order.status is OrderStatus.FILLED

    def test_a_cancelled_order_is_not_filled(self, bench: Bench, customer: Customer) -> None:
        request, other = (customer.request(asset) for asset in bench.assets[:2])
        customer.place(request)
        customer.place(other)
        customer.cancel(request.client_order_id)
        customer.cancel(request.client_order_id)
        close(bench)
        order = customer.known(request)
        assert (order.status, order.filled) == (OrderStatus.CANCELLED, ZERO)
        assert customer.ask(lambda broker: broker.positions()) == {bench.assets[1]: Decimal(10)}
        assert customer.place(request) == order, "the id stays taken"

    def test_the_id_of_a_cancelled_order_stays_taken(self, bench: Bench, customer: Customer) -> None:
        request = customer.request(bench.assets[0])
        customer.place(request)
        customer.cancel(request.client_order_id)
        bench.settle()
        for other in (replace(request, quantity=request.quantity * 2), replace(request, asset=bench.assets[1])):
            with pytest.raises(RejectedError):
                customer.place(other)
        close(bench)
        bench.restart()
        assert customer.place(request).status is OrderStatus.CANCELLED
        close(bench)
        assert customer.ask(lambda broker: broker.positions()) == {}
        assert customer.activities().fills == ()

    def test_a_cancel_gives_the_buying_power_back(self, bench: Bench, customer: Customer) -> None:
        before = customer.ask(lambda broker: broker.account())
        request = customer.request(bench.assets[0])
        customer.place(request)
        assert customer.ask(lambda broker: broker.account()).buying_power < before.buying_power
        customer.cancel(request.client_order_id)
        bench.settle()
        assert customer.ask(lambda broker: broker.account()) == before

    def test_what_is_not_there_cannot_be_cancelled(self, customer: Customer) -> None:
        with pytest.raises(RejectedError):
            customer.cancel("contract-none")
        assert customer.look("contract-none") is None

    # The account of it.

    def test_any_split_of_reads_gives_the_same(self, bench: Bench, customer: Customer) -> None:
        cursor = ""
        fills: list[Fill] = []
        charges: list[Charge] = []
        for number in range(6):
            for asset in bench.assets[:2]:
                customer.place(customer.request(asset, quantity=number + 1))
            if number % 2:
                read = customer.read(cursor)
                cursor = read.cursor
                fills += read.fills
                charges += read.charges
            close(bench)
        read = customer.activities(cursor)
        fills += read.fills
        charges += read.charges
        whole = customer.activities()
        assert {fill.execution_id: fill for fill in fills} == {fill.execution_id: fill for fill in whole.fills}
        assert {each.id: each for each in charges} == {each.id: each for each in whole.charges}
        assert len({fill.execution_id for fill in whole.fills}) == len(whole.fills) == 12
        assert [fill.at for fill in whole.fills] == sorted(fill.at for fill in whole.fills)
        last = customer.activities(whole.cursor)
        assert (last.fills, last.charges) == ((), ())

    def test_positions_and_cash_follow_from_the_fills(self, bench: Bench, customer: Customer) -> None:
        start = customer.ask(lambda broker: broker.account())
        assert start.equity == start.cash
        for quantity, price in ((30, 100), (70, 110), (20, 90), (50, 105)):
            sides = (Side.BUY, Side.BUY if quantity > 40 else Side.SELL)
            before = customer.ask(lambda broker: broker.positions())
            for asset, side in zip(bench.assets, sides, strict=False):
                if side is Side.SELL and not bench.broker.capabilities().shorting:
                    continue
                opposite = -side.sign * before.get(asset, ZERO)
                is_cut = opposite > 0 and not bench.broker.capabilities().crosses_zero
                ordered = min(opposite, Decimal(quantity)) if is_cut else Decimal(quantity)
                customer.place(customer.request(asset, side, ordered))
            close(bench, Decimal(price), Decimal(45))
            done = customer.activities()
            account = customer.ask(lambda broker: broker.account())
            positions = customer.ask(lambda broker: broker.positions())
            flows = [fill.cash for fill in done.fills] + [charge.amount for charge in done.charges]
            assert positions == held(done.fills)
            assert account.cash == start.cash + sum(flows, ZERO)
            assert account.equity == account.cash + sum((q * price for q in positions.values()), ZERO)

    # Restarts in the middle.

    def test_a_restart_changes_nothing(self, bench: Bench, customer: Customer) -> None:
        request = customer.request(bench.assets[0])
        placed = customer.place(request)
        bench.restart()
        assert customer.known(request) == placed
        assert customer.place(request) == placed
        close(bench)
        read = customer.activities()
        account = customer.ask(lambda broker: broker.account())
        bench.restart()
        assert customer.ask(lambda broker: broker.account()) == account
        assert customer.ask(lambda broker: broker.positions()) == {bench.assets[0]: request.quantity}
        assert customer.activities() == read
        assert customer.activities(read.cursor).fills == (), "a cursor stays good"
