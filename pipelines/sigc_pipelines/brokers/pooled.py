"""A limit on concurrent requests to a broker, shared by all strategies that trade on it.

A request that waits too long for its turn is not sent, and fails as such: UnreachableError for a read, NotSentError for
an order.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from sigc.store.ledger.action_effects import DueAction
from sigc_pipelines.brokers.protocol import (
    Account,
    Activities,
    Broker,
    BrokerHealth,
    BrokerOrder,
    Capabilities,
    Copied,
    Healthy,
    NotSentError,
    OrderRequest,
    Simulated,
    UnreachableError,
)


class PooledBroker:
    """A broker in front of another; a simulation stays one. most: concurrent requests; timeout_s: longest wait for a
    turn.
    """

    def __init__(self, inner: Broker, most: int, timeout_s: float) -> None:
        self.inner = inner
        self._most, self._timeout_s = most, timeout_s
        self._free = threading.BoundedSemaphore(most)

    def close(self) -> None:
        """Close the inner broker."""
        close = getattr(self.inner, "close", None)
        if close is not None:
            close()

    def capabilities(self) -> Capabilities:
        """Return the inner broker's; makes no request."""
        return self.inner.capabilities()

    def account(self) -> Account:
        """Return the inner broker's."""
        with self._turn(UnreachableError):
            return self.inner.account()

    def health(self) -> BrokerHealth | None:
        """Return the inner broker's; None if it tells none."""
        if not isinstance(self.inner, Healthy):
            return None
        with self._turn(UnreachableError):
            return self.inner.health()

    def positions(self) -> dict[str, Decimal]:
        """Return the inner broker's."""
        with self._turn(UnreachableError):
            return self.inner.positions()

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Submit to the inner broker."""
        with self._turn(NotSentError):
            return self.inner.submit(request)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Return the inner broker's."""
        with self._turn(UnreachableError):
            return self.inner.order(client_order_id)

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        """Return the inner broker's."""
        with self._turn(UnreachableError):
            return self.inner.orders(since)

    def cancel(self, client_order_id: str) -> None:
        """Cancel at the inner broker."""
        with self._turn(UnreachableError):
            self.inner.cancel(client_order_id)

    def activities(self, cursor: str) -> Activities:
        """Return the inner broker's."""
        with self._turn(UnreachableError):
            return self.inner.activities(cursor)

    def mark(
        self, session: str, at: datetime, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]
    ) -> None:
        """Pass the market to an inner broker that is a simulation."""
        with self._turn(UnreachableError):
            self._simulated().mark(session, at, prices, volumes)

    def act(self, session: str, at: datetime, dues: Sequence[DueAction]) -> None:
        """Pass corporate actions to an inner broker that is a simulation."""
        with self._turn(UnreachableError):
            self._simulated().act(session, at, dues)

    def announce(self, dues: Sequence[DueAction]) -> None:
        """Pass the next session's corporate actions to an inner broker that is a simulation."""
        with self._turn(UnreachableError):
            self._simulated().announce(dues)

    def deposit(self, id: str, amount: Decimal) -> None:
        """Pass cash to an inner broker that is a simulation."""
        with self._turn(UnreachableError):
            self._simulated().deposit(id, amount)

    def write_off(self, id: str, asset: str, change: Decimal) -> None:
        """Pass worthless shares to an inner broker that is a simulation."""
        with self._turn(UnreachableError):
            self._simulated().write_off(id, asset, change)

    def copied(self, directory: Path) -> Broker:
        """Return a copy of an inner broker that can be copied. Raises UnreachableError."""
        if not isinstance(self.inner, Copied):
            raise UnreachableError(f"the book of {self.capabilities().name} can't be copied")
        with self._turn(UnreachableError):
            return self.inner.copied(directory)

    def _simulated(self) -> Simulated:
        if not isinstance(self.inner, Simulated):
            raise TypeError(f"{type(self.inner).__name__} is not a simulation")
        return self.inner

    @contextmanager
    def _turn(self, refusal: type[UnreachableError | NotSentError]) -> Iterator[None]:
        if not self._free.acquire(timeout=self._timeout_s):
            raise refusal(f"no turn within {self._timeout_s:g} s: {self._most} requests to the broker were under way")
        try:
            yield
        finally:
            self._free.release()
