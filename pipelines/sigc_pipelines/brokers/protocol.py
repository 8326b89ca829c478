"""The broker protocol: eight requests, and five ways to fail.

Reads may be retried. A failed `submit` must not simply be repeated: the error says what is known of the order.

    Rejected        it is not in the book, and will not be
    NotSent         it is not in the book: nothing reached the broker (Throttled: it asked us to wait)
    OutcomeUnknown  it may or may not be in the book: look it up by its client order id, never send another
    Unreachable     a read got no answer

Neighbours: `contract.py` is the test suite of every broker; `paper.py` the embedded one; `faulty.py` makes any of them
fail as real ones do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.records import ZERO, Charge, Fill, OrderType, Side, TimeInForce


class BrokerError(Exception):
    """Base of the errors of a broker or of the connection to it."""


class RejectedError(BrokerError):
    """The broker refused the order or the cancel: it is not in the book and will not be."""


class NotSentError(BrokerError):
    """The request did not reach the book. retry_after_s: the wait before it may be sent again."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message, retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


class ThrottledError(NotSentError):
    """The broker asks us to send fewer requests."""


class OutcomeUnknownError(BrokerError):
    """The request was sent and not answered: the order may or may not be in the book."""


class UnreachableError(BrokerError):
    """A read was not answered."""


class OrderStatus(StrEnum):
    """Status of an order in the broker's book."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        """True if the order may still be filled."""
        return self in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as it is sent. quantity > 0; limit: of limit orders only."""

    client_order_id: str
    asset: str
    side: Side
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    limit: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker has it."""

    request: OrderRequest
    broker_order_id: str
    status: OrderStatus
    filled: Decimal = ZERO
    submitted: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capabilities of a broker. name: of its kind; is_live: trades real money.

    quantity_step: quantities are multiples of it (1: whole shares). shorting: takes orders that sell more than is
    held; short_step: of these and of what adds to a short position, quantities are multiples of it (None:
    quantity_step). order_types, times_in_force: the allowed settings of `execution`. simulated: must be told the
    market, see `Simulated`. crosses_zero: one order may turn a long position into a short one, or back. frees_on_fill:
    sales give buying power back only when they are filled. queues: takes orders for a session from the close before it
    on, else from its open only. orders_per_minute: the most orders that it takes in a minute, None without such a
    limit.
    """

    name: str
    is_live: bool
    quantity_step: Decimal = Decimal(1)
    shorting: bool = True
    order_types: frozenset[OrderType] = frozenset(OrderType)
    times_in_force: frozenset[TimeInForce] = frozenset(TimeInForce)
    simulated: bool = False
    crosses_zero: bool = True
    frees_on_fill: bool = False
    queues: bool = True
    orders_per_minute: int | None = None
    short_step: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """The account's money. equity: cash and positions at the broker's marks. buying_power: amount that may be
    bought.
    """

    cash: Decimal
    equity: Decimal
    buying_power: Decimal


@dataclass(frozen=True, slots=True)
class Activities:
    """Fills and charges after a cursor, oldest first, and the cursor to go on from."""

    fills: tuple[Fill, ...]
    charges: tuple[Charge, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class BrokerHealth:
    """A broker's own word on itself. at: its clock; troubles: reasons why the account can't trade, none if it can."""

    at: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime
    troubles: tuple[str, ...] = ()


@runtime_checkable
class Healthy(Protocol):
    """A broker that tells its health."""

    def health(self) -> BrokerHealth:
        """Return the broker's clock, and the state of the account. Raises UnreachableError."""
        ...


class Broker(Protocol):
    """A broker. Every call has a timeout of its own; none retries."""

    def capabilities(self) -> Capabilities:
        """Return the capabilities; needs no connection."""
        ...

    def account(self) -> Account:
        """Return the account. Raises UnreachableError."""
        ...

    def positions(self) -> dict[str, Decimal]:
        """Return the quantity by asset, without zeros. Raises UnreachableError."""
        ...

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Put an order into the book. A known client order id returns that order and adds no other.

        Raises RejectedError, NotSentError (ThrottledError), OutcomeUnknownError.
        """
        ...

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order of that id, None without one; a fresh order may be missing. Raises UnreachableError."""
        ...

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        """Return every order submitted at or after `since`, and every open one, by submission. Raises
        UnreachableError.
        """
        ...

    def cancel(self, client_order_id: str) -> None:
        """Ask for an order to be taken from the book; no effect when it is not open any more.

        Raises RejectedError when there is no such order, UnreachableError.
        """
        ...

    def activities(self, cursor: str) -> Activities:
        """Return fills and charges after `cursor` ('' for all); some may come twice. Raises UnreachableError."""
        ...


@runtime_checkable
class Simulated(Protocol):
    """A simulated broker, which must be told the market, corporate actions and deposits."""

    def mark(
        self, session: str, at: datetime, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]
    ) -> None:
        """Close a session (instant `at`) at these prices; None for an asset that had no price.

        Sessions come in order, and count once for an asset: a repeat or an earlier one changes nothing. Open orders for
        these assets submitted before `at` are filled as far as volume allows; the rest of day orders expires.
        """
        ...

    def act(self, session: str, at: datetime, dues: Sequence[DueAction]) -> None:
        """Apply corporate actions to positions, cash and open orders, before the `mark` of that session.

        dues: all known actions of connected assets, from the first new or changed one up to the session. The difference
        between their due and their booked effects is booked, so calls may be repeated, late, or corrected.
        """
        ...

    def announce(self, dues: Sequence[DueAction]) -> None:
        """Announce the actions of the next session: orders from now on are in its units, before positions are.

        A repeat changes nothing, nor does a session that was marked already.
        """
        ...

    def deposit(self, id: str, amount: Decimal) -> None:
        """Put cash into the account, or (negative) take it out, once per id. Raises RejectedError for more than its
        cash.
        """
        ...

    def write_off(self, id: str, asset: str, change: Decimal) -> None:
        """Change a position by worthless shares, for no cash, once per id."""
        ...


@runtime_checkable
class Copied(Protocol):
    """A simulated broker whose book can be copied, so that a dry run takes in fills without changing it."""

    def copied(self, directory: Path) -> Broker:
        """Return a broker with a copy of the book, in a folder; its caller closes it. Raises UnreachableError."""
        ...


def simulation(broker: Broker) -> Simulated | None:
    """Return the broker as a simulation, None for one that trades."""
    return broker if broker.capabilities().simulated and isinstance(broker, Simulated) else None
