"""A broker in front of any other that fails as real ones do, repeatably: for test campaigns and for authors of brokers.

    broker = FaultyBroker(PaperBroker(...), Faults(unknown=0.2, lost=0.1, lag_s=2.0), clock, seed=7, memory=path)

The seed, the subject of a request and the number of the attempt decide if it fails, so a campaign is repeatable. The
file `memory` keeps the attempts and the orders under way: a process that is killed and restarted meets the same faults
as without the kill. One process at a time may use that file.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from sigc.clock import Clock
from sigc.store.ledger.action_effects import DueAction
from sigc_pipelines.brokers.faulty_memory import Memory
from sigc_pipelines.brokers.protocol import (
    Account,
    Activities,
    Broker,
    BrokerOrder,
    Capabilities,
    Copied,
    NotSentError,
    OrderRequest,
    OutcomeUnknownError,
    RejectedError,
    Simulated,
    ThrottledError,
    UnreachableError,
)


class Fault(StrEnum):
    """A way in which a request fails."""

    UNKNOWN = "unknown"  # the order is taken, and no answer comes
    LOST = "lost"  # no answer comes, and the order never arrived
    LATE = "late"  # no answer comes, and the order arrives later
    THROTTLED = "throttled"  # the broker asks to slow down: not taken
    REFUSED = "refused"  # no connection: not taken
    BLOCKED = "blocked"  # the account is closed, or may not trade: the broker rejects the order
    UNREACHABLE = "unreachable"  # a read, or a cancel, has no answer (half of the cancels are done all the same)


OF_SUBMIT = (Fault.UNKNOWN, Fault.LOST, Fault.LATE, Fault.THROTTLED, Fault.REFUSED, Fault.BLOCKED)
_SILENCES = ("the gateway answered 504", "the request timed out", "the connection was reset")


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates of failure. Of a submit each its own share, together at most 1; unreachable: of a read or cancel.

    late_s: delay of a late order. retry_after_s: the wait that the broker asks for. lag_s: the longest delay (s) until
    reads show an order, a fill or a charge; each has its own.
    """

    unknown: float = 0.0
    lost: float = 0.0
    late: float = 0.0
    throttled: float = 0.0
    refused: float = 0.0
    unreachable: float = 0.0
    late_s: float = 5.0
    retry_after_s: float = 1.0
    lag_s: float = 0.0
    blocked: float = 0.0

    def of_submit(self, draw: float) -> Fault | None:
        """Return the fault of a submit for a number in [0, 1).

        >>> Faults(unknown=0.2, lost=0.1).of_submit(0.25)
        <Fault.LOST: 'lost'>
        """
        for fault in OF_SUBMIT:
            draw -= float(getattr(self, fault.value))
            if draw < 0:
                return fault
        return None


class FaultyBroker:
    """A broker in front of another. A simulation stays one: `mark` and `deposit` go through without faults."""

    def __init__(
        self, inner: Broker, faults: Faults, clock: Clock, *, seed: int = 0, memory: Path | None = None
    ) -> None:
        self.inner = inner
        self.faults = faults
        self._clock = clock
        self._seed = seed
        self._memory = Memory(memory)
        self._turn = threading.RLock()
        self._next: deque[Fault] = deque()

    def close(self) -> None:
        """Close the memory file; the inner broker belongs to its owner."""
        self._memory.close()

    def fail_next(self, *faults: Fault) -> None:
        """Make the next requests of a fault's kind fail with it, whatever the rates are."""
        self._next.extend(faults)

    def deliver(self) -> None:
        """Deliver late orders that are due by now. Each request does this first."""
        with self._turn:
            for request in self._memory.due(self._clock.now()):
                self._take(request)
                self._memory.arrived(request)

    def capabilities(self) -> Capabilities:
        """Return the inner broker's."""
        return self.inner.capabilities()

    def account(self) -> Account:
        """Return the inner broker's. Raises UnreachableError."""
        self._reach("account")
        return self.inner.account()

    def positions(self) -> dict[str, Decimal]:
        """Return the inner broker's. Raises UnreachableError."""
        self._reach("positions")
        return self.inner.positions()

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Pass the order on, or not, and answer, or not."""
        id = request.client_order_id
        with self._turn:
            self.deliver()
            attempt = self._memory.attempt("submit", id)  # recorded before the draw: a kill does not repeat it
            fault = self._planned(of_submit=True) or self.faults.of_submit(self._draw("submit", id, attempt))
            match fault:
                case None:
                    return self.inner.submit(request)
                case Fault.THROTTLED:
                    raise ThrottledError("429: too many requests", self.faults.retry_after_s)
                case Fault.REFUSED:
                    raise NotSentError("connection refused", self.faults.retry_after_s)
                case Fault.BLOCKED:
                    raise RejectedError("the account may not trade")
                case Fault.LATE:
                    self._memory.send(request, self._clock.now() + timedelta(seconds=self.faults.late_s))
                case Fault.UNKNOWN:
                    self._take(request)
            raise OutcomeUnknownError(_SILENCES[int(self._draw("silence", id, attempt) * len(_SILENCES))])

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order, once its lag has passed."""
        self._reach("order", client_order_id)
        found = self.inner.order(client_order_id)
        return found if found is not None and self._shows("order", client_order_id, found.submitted) else None

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        """Return the orders whose lag has passed."""
        self._reach("orders")
        return tuple(
            order
            for order in self.inner.orders(since)
            if self._shows("orders", order.request.client_order_id, order.submitted)
        )

    def cancel(self, client_order_id: str) -> None:
        """Pass the cancel on, or not, and answer, or not."""
        with self._turn:
            self.deliver()
            attempt = self._memory.attempt("cancel", client_order_id)
            planned = self._planned(of_submit=False)
            draw = self._draw("cancel", client_order_id, attempt)
            if planned is None and draw >= self.faults.unreachable:
                self.inner.cancel(client_order_id)
                return
            if self._draw("cancelled", client_order_id, attempt) < 0.5:
                self.inner.cancel(client_order_id)
            raise UnreachableError("the cancel had no answer")

    def activities(self, cursor: str) -> Activities:
        """Return the activities whose lag has passed. While one is missing the cursor stays, so that it is read
        later.
        """
        self._reach("activities", cursor)
        found = self.inner.activities(cursor)
        fills = tuple(f for f in found.fills if self._shows("fill", f.execution_id, f.at))
        charges = tuple(c for c in found.charges if self._shows("charge", c.id, c.at))
        # Moving the cursor past a hidden fill would lose it.
        whole = len(fills) == len(found.fills) and len(charges) == len(found.charges)
        return Activities(fills, charges, found.cursor if whole else cursor)

    def mark(
        self, session: str, at: datetime, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]
    ) -> None:
        """Pass it to the inner broker, after late orders."""
        with self._turn:
            self.deliver()
            self._market().mark(session, at, prices, volumes)

    def act(self, session: str, at: datetime, dues: Sequence[DueAction]) -> None:
        """Pass it to the inner broker, after late orders."""
        with self._turn:
            self.deliver()
            self._market().act(session, at, dues)

    def announce(self, dues: Sequence[DueAction]) -> None:
        """Pass it to the inner broker."""
        self._market().announce(dues)

    def deposit(self, id: str, amount: Decimal) -> None:
        """Pass it to the inner broker."""
        self._market().deposit(id, amount)

    def write_off(self, id: str, asset: str, change: Decimal) -> None:
        """Pass it to the inner broker."""
        self._market().write_off(id, asset, change)

    def copied(self, directory: Path) -> Broker:
        """Return a copy of the inner broker, without faults. Raises UnreachableError."""
        self._reach("copied")
        if not isinstance(self.inner, Copied):
            raise UnreachableError(f"the book of {self.capabilities().name} can't be copied")
        return self.inner.copied(directory)

    def _market(self) -> Simulated:
        if not isinstance(self.inner, Simulated):
            raise TypeError(f"{self.inner.capabilities().name} is not a simulation")
        return self.inner

    def _take(self, request: OrderRequest) -> None:
        """Submit to the inner broker, and hide its answer."""
        with suppress(RejectedError):
            self.inner.submit(request)

    def _reach(self, operation: str, key: str = "") -> None:
        """Raise UnreachableError if this read is to fail."""
        with self._turn:
            self.deliver()
            attempt = self._memory.attempt(operation, key)
            planned = self._planned(of_submit=False)
            if planned is not None or self._draw(operation, key, attempt) < self.faults.unreachable:
                raise UnreachableError(f"{operation} had no answer")

    def _planned(self, *, of_submit: bool) -> Fault | None:
        for fault in self._next:
            if (fault in OF_SUBMIT) is of_submit:
                self._next.remove(fault)
                return fault
        return None

    def _shows(self, operation: str, key: str, at: datetime | None) -> bool:
        lag_s = self.faults.lag_s * self._draw(f"lag of {operation}", key, 0)
        return at is None or self._clock.now() >= at + timedelta(seconds=lag_s)

    def _draw(self, operation: str, key: str, attempt: int) -> float:
        """Return a number in [0, 1) that depends on the seed and the arguments only."""
        digest = hashlib.sha256(f"{self._seed}\0{operation}\0{key}\0{attempt}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64
