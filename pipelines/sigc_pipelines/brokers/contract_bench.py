"""Test bench of the broker contract, and a careful customer who talks to the broker.

This module does not import pytest; `contract_stand.py` and its users do.
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
_PATIENCE = 60  # attempts before a broker counts as down


class Bench(Protocol):
    """A broker under test with an account of its own: funded, nothing held, nothing ordered, prices known."""

    @property
    def assets(self) -> tuple[str, ...]:
        """At least two tradable assets; their price is 100, and 1000 of each are affordable."""
        ...

    @property
    def nowhere(self) -> str:
        """An asset that the broker does not know."""
        ...

    @property
    def faults(self) -> frozenset[Fault]:
        """The faults that `fail_next` can produce."""
        ...

    @property
    def broker(self) -> Broker:
        """The broker as a customer has it; `restart` may replace it."""
        ...

    def now(self) -> datetime:
        """Return the present, by the clock of the broker's time stamps."""
        ...

    def settle(self) -> None:
        """Let the time pass that reads may lag and late orders may take."""
        ...

    def close(self, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]) -> None:
        """End the next session at these prices; None: the asset was not traded. A volume bounds the fills."""
        ...

    def restart(self) -> None:
        """Kill and restart the customer's side; of an embedded broker: all of it."""
        ...

    def fail_next(self, fault: Fault) -> None:
        """Make the next request of the fault's kind fail with it."""
        ...


class Customer:
    """A correct client of a broker: reads again, and never sends an order under a second id."""

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
        """Return an order under a new id."""
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
        """Put an order into the book, with as many attempts as it takes. Raises RejectedError."""
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
        """Return the broker's order of that id, once its reads are up to date."""
        self.bench.settle()
        return self.look(request.client_order_id)

    def known(self, request: OrderRequest) -> BrokerOrder:
        """Return the broker's order of that id. It must exist."""
        found = self.find(request)
        assert found is not None, f"the broker does not know {request.client_order_id}"
        return found

    def cancel(self, client_order_id: str) -> None:
        """Cancel until it is answered. Raises RejectedError."""
        self.ask(lambda broker: broker.cancel(client_order_id))

    def activities(self, cursor: str = "") -> Activities:
        """Return all activities after a cursor, once reads are up to date."""
        self.bench.settle()
        return self.read(cursor)

    def look(self, client_order_id: str) -> BrokerOrder | None:
        """Return the broker's order of that id as it reads now."""
        return self.ask(lambda broker: broker.order(client_order_id))

    def read(self, cursor: str) -> Activities:
        """Return the broker's activities after a cursor as they read now."""
        return self.ask(lambda broker: broker.activities(cursor))

    def ask(self, question: Callable[[Broker], Answer]) -> Answer:
        """Repeat a read until it is answered."""
        for _ in range(_PATIENCE):
            try:
                return question(self.bench.broker)
            except UnreachableError:
                self.bench.settle()
        raise AssertionError(f"no answer in {_PATIENCE} attempts")
