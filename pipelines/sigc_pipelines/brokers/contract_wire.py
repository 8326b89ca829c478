"""The contract of a broker, second part: the effects of a failed request."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sigc_pipelines.brokers.contract_stand import Bench, Contract, Customer, close
from sigc_pipelines.brokers.faulty import Fault
from sigc_pipelines.brokers.protocol import (
    Broker,
    NotSentError,
    OrderStatus,
    OutcomeUnknownError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)

_READS: dict[str, Callable[[Broker], object]] = {
    "account": lambda broker: broker.account(),
    "positions": lambda broker: broker.positions(),
    "order": lambda broker: broker.order("contract-1"),
    "activities": lambda broker: broker.activities(""),
}


class WireContract(Contract):
    """Contract of failed requests: their effects, and the effects that they must not have."""

    @pytest.fixture
    def customer(self, bench: Bench, request: pytest.FixtureRequest) -> Customer:
        """The customer of the bench; skips a test whose fault the bench can't produce."""
        wanted = request.node.callspec.params.get("fault") if hasattr(request.node, "callspec") else None
        if wanted is not None and wanted not in bench.faults:
            pytest.skip(f"this bench has no fault '{wanted}'")
        return Customer(bench)

    @pytest.mark.parametrize("restarted", [False, True])
    @pytest.mark.parametrize("fault", [Fault.UNKNOWN, Fault.LOST, Fault.LATE])
    def test_without_an_answer_the_same_id_is_safe(
        self, bench: Bench, customer: Customer, fault: Fault, restarted: bool
    ) -> None:
        request = customer.request(bench.assets[0])
        bench.fail_next(fault)
        with pytest.raises(OutcomeUnknownError):
            bench.broker.submit(request)
        if restarted:
            bench.restart()
        customer.place(request)
        bench.settle()
        close(bench)
        order = customer.known(request)
        assert (order.status, order.filled) == (OrderStatus.FILLED, request.quantity)
        assert customer.ask(lambda broker: broker.positions()) == {bench.assets[0]: request.quantity}
        assert [fill.client_order_id for fill in customer.activities().fills] == [request.client_order_id]

    @pytest.mark.parametrize("fault", [Fault.UNKNOWN, Fault.LOST, Fault.LATE])
    def test_without_an_answer_a_look_tells(self, bench: Bench, customer: Customer, fault: Fault) -> None:
        request = customer.request(bench.assets[0])
        bench.fail_next(fault)
        with pytest.raises(OutcomeUnknownError):
            bench.broker.submit(request)
        found = customer.find(request)
        if fault is Fault.LOST:
            assert found is None
        else:
            assert found is not None
            assert found.request == request

    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.REFUSED])
    def test_not_sent_is_not_there(self, bench: Bench, customer: Customer, fault: Fault) -> None:
        request = customer.request(bench.assets[0])
        bench.fail_next(fault)
        with pytest.raises(NotSentError) as told:
            bench.broker.submit(request)
        assert isinstance(told.value, ThrottledError) == (fault is Fault.THROTTLED)
        assert told.value.retry_after_s > 0
        assert customer.find(request) is None
        assert customer.place(request).request == request

    @pytest.mark.parametrize("fault", [Fault.BLOCKED])
    def test_an_account_that_may_not_trade_rejects(self, bench: Bench, customer: Customer, fault: Fault) -> None:
        request, other = (customer.request(asset) for asset in bench.assets[:2])
        bench.fail_next(fault)
        with pytest.raises(RejectedError) as told:
            bench.broker.submit(request)
        assert str(told.value), "a rejection says why"
        found = customer.find(request)
        assert found is None or found.status is OrderStatus.REJECTED
        assert customer.place(other).request == other, "the next one finds the account as it is then"
        close(bench)
        assert customer.ask(lambda broker: broker.positions()) == {other.asset: other.quantity}

    @pytest.mark.parametrize("fault", [Fault.THROTTLED])
    def test_throttled_again_and_again_is_still_once(self, bench: Bench, customer: Customer, fault: Fault) -> None:
        request = customer.request(bench.assets[0])
        for _ in range(3):
            bench.fail_next(fault)
            with pytest.raises(ThrottledError):
                bench.broker.submit(request)
            bench.settle()
        placed = customer.place(request)
        assert customer.place(request) == placed
        close(bench)
        assert customer.ask(lambda broker: broker.positions()) == {request.asset: request.quantity}

    @pytest.mark.parametrize("read", list(_READS))
    @pytest.mark.parametrize("fault", [Fault.UNREACHABLE])
    def test_a_read_without_an_answer_says_so(self, bench: Bench, customer: Customer, fault: Fault, read: str) -> None:
        customer.place(customer.request(bench.assets[0]))
        bench.settle()
        bench.fail_next(fault)
        with pytest.raises(UnreachableError):
            _READS[read](bench.broker)
        assert customer.ask(_READS[read]) is not None

    @pytest.mark.parametrize("fault", [Fault.UNREACHABLE])
    def test_a_cancel_without_an_answer_may_be_repeated(self, bench: Bench, customer: Customer, fault: Fault) -> None:
        request = customer.request(bench.assets[0])
        customer.place(request)
        bench.fail_next(fault)
        with pytest.raises(UnreachableError):
            bench.broker.cancel(request.client_order_id)
        customer.cancel(request.client_order_id)
        close(bench)
        assert customer.known(request).status is OrderStatus.CANCELLED
        assert customer.ask(lambda broker: broker.positions()) == {}

    def test_late_reads_lose_nothing(self, bench: Bench, customer: Customer) -> None:
        """Activities that are not shown yet are shown to a reader who continues from his cursor, at the latest once the
        bench is settled.
        """
        cursor = ""
        seen: set[str] = set()
        requests = []
        for number in range(5):
            request = customer.request(bench.assets[number % 2], quantity=number + 1)
            placed = customer.place(request)
            early = customer.look(request.client_order_id)
            assert early is None or early == placed
            requests.append(request)
            close(bench)
            read = customer.read(cursor)
            cursor = read.cursor
            seen |= {fill.client_order_id for fill in read.fills}
        seen |= {fill.client_order_id for fill in customer.activities(cursor).fills}
        assert seen == {request.client_order_id for request in requests}
        assert all(customer.known(request).status is OrderStatus.FILLED for request in requests)
