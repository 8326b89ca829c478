"""A broker that is sent so many requests at a time, however many strategies trade on it.

Who waits too long for his turn has sent nothing, and is told so: a read was not answered, an order was not sent.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal

from sigc.store.ledger.action_effects import DueAction
from sigc_pipelines.brokers.protocol import (
    Account,
    Activities,
    Broker,
    BrokerOrder,
    Capabilities,
    NotSentError,
    OrderRequest,
    Simulated,
    UnreachableError,
)


class PooledBroker:
    """A broker in front of another. Of a simulation it is one too. most: requests at a time; timeout_s: for a turn."""

    def __init__(self, inner: Broker, most: int, timeout_s: float) -> None:
        self.inner = inner
        self._most, self._timeout_s = most, timeout_s
        self._free = threading.BoundedSemaphore(most)

    def close(self) -> None:
        """Let go of the inner broker."""
        close = getattr(self.inner, "close", None)
        if close is not None:
            close()

    def capabilities(self) -> Capabilities:
        """Of the inner broker; no request is made for it."""
        return self.inner.capabilities()

    def account(self) -> Account:
        """Of the inner broker."""
        with self._turn(UnreachableError):
            return self.inner.account()

    def positions(self) -> dict[str, Decimal]:
        """Of the inner broker."""
        with self._turn(UnreachableError):
            return self.inner.positions()

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """To the inner broker."""
        with self._turn(NotSentError):
            return self.inner.submit(request)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Of the inner broker."""
        with self._turn(UnreachableError):
            return self.inner.order(client_order_id)

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        """Of the inner broker."""
        with self._turn(UnreachableError):
            return self.inner.orders(since)

    def cancel(self, client_order_id: str) -> None:
        """At the inner broker."""
        with self._turn(UnreachableError):
            self.inner.cancel(client_order_id)

    def activities(self, cursor: str) -> Activities:
        """Of the inner broker."""
        with self._turn(UnreachableError):
            return self.inner.activities(cursor)

    def mark(
        self, session: str, at: datetime, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]
    ) -> None:
        """The market, to an inner broker that is a simulation."""
        with self._turn(UnreachableError):
            self._simulated().mark(session, at, prices, volumes)

    def act(self, session: str, at: datetime, dues: Sequence[DueAction]) -> None:
        """Corporate actions, to an inner broker that is a simulation."""
        with self._turn(UnreachableError):
            self._simulated().act(session, at, dues)

    def announce(self, dues: Sequence[DueAction]) -> None:
        """Corporate actions of the next session, to an inner broker that is a simulation."""
        with self._turn(UnreachableError):
            self._simulated().announce(dues)

    def deposit(self, id: str, amount: Decimal) -> None:
        """Cash, to an inner broker that is a simulation."""
        with self._turn(UnreachableError):
            self._simulated().deposit(id, amount)

    def _simulated(self) -> Simulated:
        if not isinstance(self.inner, Simulated):
            raise TypeError(f"{type(self.inner).__name__} is no simulation")
        return self.inner

    @contextmanager
    def _turn(self, refusal: type[UnreachableError | NotSentError]) -> Iterator[None]:
        if not self._free.acquire(timeout=self._timeout_s):
            raise refusal(f"{self._most} requests to the broker were under way for {self._timeout_s:g} s")
        try:
            yield
        finally:
            self._free.release()
