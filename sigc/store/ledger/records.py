"""The rows of the ledger as values: runs, stages, intents, fills, charges, books, NAV.

Quantities, prices and money are exact decimals, as agreed with the broker. Instants are aware and in UTC; a session is
its ISO date.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sigc.errors import Severity

ZERO = Decimal(0)


class Side(StrEnum):
    """The side of an order. A sale beyond the position is a short sale."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """Return +1 to buy, -1 to sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """The type of an order: at any price, or at a limit."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """The lifetime of an order at the broker: to the end of its session, or immediate (any unfilled rest is
    cancelled).
    """

    DAY = "day"
    IOC = "ioc"


class IntentState(StrEnum):
    """The state of an order.

    planned -> sending -> acknowledged | rejected | denied | unknown -> partially_filled -> filled | cancelled | expired
    """

    PLANNED = "planned"  # stored, certainly not sent
    SENDING = "sending"  # marked before the request; after a crash: unknown
    UNKNOWN = "unknown"  # sent or not: look it up at the broker
    ACKNOWLEDGED = "acknowledged"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # by the broker at the end of the day, or by sigc: not sent before the cut-off
    REJECTED = "rejected"  # by the broker
    DENIED = "denied"  # by sigc, before it was sent


# States from which an order may still be filled.
IN_FLIGHT = frozenset(
    {
        IntentState.PLANNED,
        IntentState.SENDING,
        IntentState.UNKNOWN,
        IntentState.ACKNOWLEDGED,
        IntentState.PARTIALLY_FILLED,
    }
)
# States that only a look-up at the broker can resolve.
UNRESOLVED = frozenset({IntentState.SENDING, IntentState.UNKNOWN})
# States of an order that is open at the broker.
WORKING = frozenset({IntentState.ACKNOWLEDGED, IntentState.PARTIALLY_FILLED})


class RunKind(StrEnum):
    """The purpose of a run. Only a trade sends orders."""

    TRADE = "trade"
    DRY = "dry"


class Outcome(StrEnum):
    """The final outcome of a run, or open while it runs. It says what happened to the orders, not only if the run
    failed.
    """

    OPEN = "open"
    DONE = "done"  # the broker has every wanted order
    UNCHANGED = "unchanged"  # nothing had to change, or its row was no rebalance row
    PARTIAL = "partial"  # the broker has some orders; others were denied, rejected, or not sent
    NOTHING_TRADED = "nothing_traded"  # the broker has none of the orders
    REFUSED = "refused"  # a check failed: nothing was sent
    FAILED = "failed"  # before anything was sent
    INTERRUPTED = "interrupted"  # the process died before anything was decided
    CANCELLED = "cancelled"  # by a person, before anything was sent
    UNRESOLVED = "unresolved"  # an order's outcome is not known: the strategy is halted

    @property
    def is_success(self) -> bool:
        """Return True if everything wanted was ordered."""
        return self in (Outcome.DONE, Outcome.UNCHANGED)


class Filled(StrEnum):
    """The fill state of the orders of a run that the broker took; it is settled after the outcome, which is final."""

    OPEN = "open"  # an order may still be filled, or has yet to be sent
    ALL = "all"
    PART = "part"
    NONE = "none"  # all orders expired, were cancelled or rejected


class StageName(StrEnum):
    """The stages of a run, in order."""

    LOAD = "load"
    COMPUTE = "compute"
    VALIDATE = "validate"
    EXECUTE = "execute"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of a check: its name, the measured value against its limit, and the assets concerned."""

    check: str
    severity: Severity
    message: str
    assets: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """The key of a run, which may trade once. slot: the scheduled fire of an intraday job, '' for a daily one."""

    strategy: str
    portfolio: str
    session: str
    kind: RunKind = RunKind.TRADE
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass through the stages.

    as_of: ISO date of the last row read. revision: 0, or the number of a repeat on request. digests: of config,
    strategy, data, code, weights, by name. cut_off: no order is sent after it.
    """

    id: str
    key: RunKey
    as_of: str
    revision: int
    started: datetime
    who: str
    reason: str = ""
    broker: str = ""
    cut_off: datetime | None = None
    finished: datetime | None = None
    outcome: Outcome = Outcome.OPEN
    message: str = ""
    digests: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunStage:
    """The result of a stage of a run. outcome: done, failed, late (its deadline passed), or resumed."""

    run: str
    name: StageName
    started: datetime
    seconds: float
    outcome: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """One order, to be sent exactly once, and its state.

    place: its position in the run's sequence. reference: the price it was sized by. slice: the number of the part of a
    sliced order, under `parent`. not_before: the instant at which a slice is due.
    """

    client_order_id: str
    run: str
    key: RunKey
    place: int
    asset: str
    side: Side
    quantity: Decimal
    reference: Decimal
    order_type: OrderType = OrderType.MARKET
    limit: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    parent: str = ""
    slice: int = 0
    not_before: datetime | None = None
    state: IntentState = IntentState.PLANNED
    filled: Decimal = ZERO
    broker_order_id: str = ""
    sent_at: datetime | None = None
    attempts: int = 0
    message: str = ""

    @property
    def was_placed(self) -> bool:
        """Return True if the order is known to have reached the broker's book, whatever happened to it there."""
        return bool(self.broker_order_id) or self.state in WORKING or self.state is IntentState.FILLED

    @property
    def remaining(self) -> Decimal:
        """Return the quantity that may still be filled."""
        return self.quantity - self.filled if self.state in IN_FLIGHT else ZERO


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, by the broker's own id. price: per share; commission: money, never negative."""

    execution_id: str
    client_order_id: str
    asset: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    at: datetime

    @property
    def cash(self) -> Decimal:
        """Return the change of cash: negative for a purchase."""
        return -self.side.sign * self.quantity * self.price - self.commission


@dataclass(frozen=True, slots=True)
class Charge:
    """Money charged or paid by the broker outside any order: borrow fees, interest. amount: the change of cash."""

    id: str
    kind: str
    asset: str
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, order=True)
class BookKey:
    """A book: the positions and cash of one portfolio of one strategy."""

    strategy: str
    portfolio: str


UNASSIGNED = BookKey("unassigned", "main")  # of what a broker holds and nobody claims


@dataclass(frozen=True, slots=True)
class Position:
    """A book's position in an asset. quantity: negative when short. average_price: cost per share."""

    book: BookKey
    asset: str
    quantity: Decimal
    average_price: Decimal


@dataclass(frozen=True, slots=True)
class Nav:
    """The value of a book at the close of a session: cash, receivables and net. gross, net: exposure in money.

    receivables: dividends and other payments of corporate actions owed to it, less those that it owes. basis: 'traded'
    prices, or 'declared' for prices that an older sigc took as the strategy declared them, some of them adjusted.
    """

    book: BookKey
    session: str
    nav: Decimal
    cash: Decimal
    gross: Decimal
    net: Decimal
    receivables: Decimal = ZERO
    basis: str = "traded"
