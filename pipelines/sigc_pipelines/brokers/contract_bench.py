"""What the contract needs to put a broker to the test: a bench, and how a careful customer speaks to a broker.

Nothing here knows pytest; `contract_stand.py` and what stands on it do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from sigc.store.ledger.records import OrderType, Side, TimeInForce
from sigc_pipelines.brokers.faulty import Fault
from sigc_pipelines.brokers.protocol import (
    Activities,
    Broker,
    BrokerOrder,
    NotSentError,
    OrderRequest,
    OutcomeUnknownError,
    RejectedError,
    UnreachableError,
)

Answer = TypeVar("Answer")
_PATIENCE = 60  # attempts, before a broker is held to be down


class Bench(Protocol):
    """A broker under test with an account of its own: funded, nothing held, nothing ordered, prices known."""

    @property
    def assets(self) -> tuple[str, ...]:
        """At least two that may be traded; their price is 100, and 1000 of each are affordable."""
        ...

    @property
    def nowhere(self) -> str:
        """An asset that the broker does not know."""
        ...

    @property
    def faults(self) -> frozenset[Fault]:
        """The ways to fail that `fail_next` can bring about."""
        ...

    @property
    def broker(self) -> Broker:
        """As a customer has it; after `restart` another one may be it."""
        ...

    def now(self) -> datetime:
        """The present, by the clock that the broker stamps orders with."""
        ...

    def settle(self) -> None:
        """Let pass what the broker's reads may lag, and what may be under way."""
        ...

    def close(self, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]) -> None:
        """The next session ends at these prices; no price: the asset was not traded. A volume bounds what is filled."""
        ...

    def restart(self) -> None:
        """The customer's side dies without a word and is there again; of an embedded broker: all of it."""
        ...

    def fail_next(self, fault: Fault) -> None:
        """Let the next request of the kind that the fault is for meet it."""
        ...


class Customer:
    """Speaks to the broker of a bench as one should: reads again, and never sends an order under a second id."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._placed = 0

    def request(
        self,
        asset: str,
        side: Side = Side.BUY,
        quantity: Decimal | int = 10,
        *,
        limit: Decimal | None = None,
        time_in_force: TimeInForce = TimeInForce.DAY,
    ) -> OrderRequest:
        """An order under an id of its own."""
        self._placed += 1
        return OrderRequest(
            client_order_id=f"contract-{self._placed}",
            asset=asset,
            side=side,
            quantity=Decimal(quantity),
            order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            limit=limit,
            time_in_force=time_in_force,
        )

    def place(self, request: OrderRequest) -> BrokerOrder:
        """Put an order into the book, whatever it takes. Raises RejectedError."""
        for _ in range(_PATIENCE):
            try:
                return self.bench.broker.submit(request)
            except OutcomeUnknownError:
                self.bench.settle()
                found = self.find(request)
                if found is not None and found.request != request:
                    raise RejectedError(f"{request.client_order_id} is another order") from None
                if found is not None:
                    return found
            except NotSentError:
                self.bench.settle()
        raise AssertionError(f"{request} could not be placed in {_PATIENCE} attempts")

    def find(self, request: OrderRequest) -> BrokerOrder | None:
        """What the broker has under that id, once its reads are up to date."""
        self.bench.settle()
        return self.look(request.client_order_id)

    def known(self, request: OrderRequest) -> BrokerOrder:
        """The same, of an order that must be there."""
        found = self.find(request)
        assert found is not None, f"the broker does not know {request.client_order_id}"
        return found

    def cancel(self, client_order_id: str) -> None:
        """Cancel until it is answered. Raises RejectedError."""
        self.ask(lambda broker: broker.cancel(client_order_id))

    def activities(self, cursor: str = "") -> Activities:
        """All after a cursor, once reads are up to date."""
        self.bench.settle()
        return self.read(cursor)

    def look(self, client_order_id: str) -> BrokerOrder | None:
        """What the broker shows under that id now."""
        return self.ask(lambda broker: broker.order(client_order_id))

    def read(self, cursor: str) -> Activities:
        """What the broker shows after a cursor now."""
        return self.ask(lambda broker: broker.activities(cursor))

    def ask(self, question: Callable[[Broker], Answer]) -> Answer:
        """Ask until there is an answer."""
        for _ in range(_PATIENCE):
            try:
                return question(self.bench.broker)
            except UnreachableError:
                self.bench.settle()
        raise AssertionError(f"no answer in {_PATIENCE} attempts")
