"""Makes any broker fail as real ones do, the same way each time: a twin for campaigns and for who writes a broker.

    broker = FaultyBroker(PaperBroker(...), Faults(unknown=0.2, lost=0.1, lag_s=2.0), clock, seed=7, memory=path)

Whether a request fails is decided by the seed, what it is about and which attempt at it this is, so a campaign may be
repeated. The attempts, and orders that are still under way, are kept in the file `memory`: a process that is killed
and started again meets the faults it would have met. One process at a time has that file.
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
    NotSentError,
    OrderRequest,
    OutcomeUnknownError,
    RejectedError,
    Simulated,
    ThrottledError,
    UnreachableError,
)


class Fault(StrEnum):
    """One way in which a request fails."""

    UNKNOWN = "unknown"  # the order is taken, and no answer comes
    LOST = "lost"  # no answer comes, and the order never arrived
    LATE = "late"  # no answer comes, and the order arrives later
    THROTTLED = "throttled"  # the broker asks to slow down: not taken
    REFUSED = "refused"  # no connection: not taken
    UNREACHABLE = "unreachable"  # a read, or a cancel, has no answer (half of the cancels are done all the same)


OF_SUBMIT = (Fault.UNKNOWN, Fault.LOST, Fault.LATE, Fault.THROTTLED, Fault.REFUSED)
_SILENCES = ("the gateway answered 504", "the request timed out", "the connection was reset")


@dataclass(frozen=True, slots=True)
class Faults:
    """How often requests fail: of a submit each its own share, together at most 1; unreachable: of a read or cancel.

    late_s: how long a late order is under way. retry_after_s: how long the broker asks to wait. lag_s: reads don't show
    an order, a fill or a charge before up to so many seconds have passed, each a time of its own.
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

    def of_submit(self, draw: float) -> Fault | None:
        """The fault of a submit, for a number in [0, 1).

        >>> Faults(unknown=0.2, lost=0.1).of_submit(0.25)
        <Fault.LOST: 'lost'>
        """
        for fault in OF_SUBMIT:
            draw -= float(getattr(self, fault.value))
            if draw < 0:
                return fault
        return None


class FaultyBroker:
    """A broker in front of another. Of a simulation it is one too: `mark` and `deposit` go through, without faults."""

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
        """Let the memory go; the inner broker is its owner's."""
        self._memory.close()

    def fail_next(self, *faults: Fault) -> None:
        """Let the next requests of the kind that a fault is for meet it, whatever the rates are."""
        self._next.extend(faults)

    def deliver(self) -> None:
        """What was under way and is due by now arrives; each request does this first."""
        with self._turn:
            for request in self._memory.due(self._clock.now()):
                self._take(request)
                self._memory.arrived(request)

    def capabilities(self) -> Capabilities:
        """Of the inner broker."""
        return self.inner.capabilities()

    def account(self) -> Account:
        """Of the inner broker."""
        self._reach("account")
        return self.inner.account()

    def positions(self) -> dict[str, Decimal]:
        """Of the inner broker."""
        self._reach("positions")
        return self.inner.positions()

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Hand the order on, or not, and answer, or not."""
        id = request.client_order_id
        with self._turn:
            self.deliver()
            attempt = self._memory.attempt("submit", id)
            fault = self._planned(of_submit=True) or self.faults.of_submit(self._draw("submit", id, attempt))
            match fault:
                case None:
                    return self.inner.submit(request)
                case Fault.THROTTLED:
                    raise ThrottledError("429: too many requests", self.faults.retry_after_s)
                case Fault.REFUSED:
                    raise NotSentError("connection refused", self.faults.retry_after_s)
                case Fault.LATE:
                    self._memory.send(request, self._clock.now() + timedelta(seconds=self.faults.late_s))
                case Fault.UNKNOWN:
                    self._take(request)
            raise OutcomeUnknownError(_SILENCES[int(self._draw("silence", id, attempt) * len(_SILENCES))])

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Not before its lag."""
        self._reach("order", client_order_id)
        found = self.inner.order(client_order_id)
        return found if found is not None and self._shows("order", client_order_id, found.submitted) else None

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        """Each not before its lag."""
        self._reach("orders")
        return tuple(
            order
            for order in self.inner.orders(since)
            if self._shows("orders", order.request.client_order_id, order.submitted)
        )

    def cancel(self, client_order_id: str) -> None:
        """Hand the cancel on, or not, and answer, or not."""
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
        """Each not before its lag; while one is missing the cursor stays, so that it comes in its time."""
        self._reach("activities", cursor)
        found = self.inner.activities(cursor)
        fills = tuple(f for f in found.fills if self._shows("fill", f.execution_id, f.at))
        charges = tuple(c for c in found.charges if self._shows("charge", c.id, c.at))
        whole = len(fills) == len(found.fills) and len(charges) == len(found.charges)
        return Activities(fills, charges, found.cursor if whole else cursor)

    def mark(
        self, session: str, at: datetime, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]
    ) -> None:
        """To the inner broker, after what arrives late."""
        with self._turn:
            self.deliver()
            self._market().mark(session, at, prices, volumes)

    def act(self, session: str, at: datetime, dues: Sequence[DueAction]) -> None:
        """To the inner broker, after what arrives late."""
        with self._turn:
            self.deliver()
            self._market().act(session, at, dues)

    def announce(self, dues: Sequence[DueAction]) -> None:
        """To the inner broker."""
        self._market().announce(dues)

    def deposit(self, id: str, amount: Decimal) -> None:
        """To the inner broker."""
        self._market().deposit(id, amount)

    def _market(self) -> Simulated:
        if not isinstance(self.inner, Simulated):
            raise TypeError(f"{self.inner.capabilities().name} is no simulation")
        return self.inner

    def _take(self, request: OrderRequest) -> None:
        """The broker decides, and no one is told."""
        with suppress(RejectedError):
            self.inner.submit(request)

    def _reach(self, operation: str, key: str = "") -> None:
        """Raises UnreachableError when this read is to fail."""
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
        """A number in [0, 1) that depends on nothing else."""
        digest = hashlib.sha256(f"{self._seed}\0{operation}\0{key}\0{attempt}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64
