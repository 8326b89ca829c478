"""The rows of the ledger as values: runs, stages, intents, fills, charges, books, NAV.

Quantities, prices and money are decimals: what was agreed with a broker is kept to the digit. Instants are aware and
in UTC; a session is the ISO date it is called by.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)


class Side(StrEnum):
    """Which way an order goes. A sale beyond what is held is a short sale."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 to buy, -1 to sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """At any price, or at a limit."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long a broker keeps an order: to the end of its session, or only at once (what can't be filled goes)."""

    DAY = "day"
    IOC = "ioc"


class IntentState(StrEnum):
    """Where an order stands.

    planned -> sending -> acknowledged | rejected | denied | unknown -> partially_filled -> filled | cancelled | expired
    """

    PLANNED = "planned"  # written, certainly not sent
    SENDING = "sending"  # marked before the request; after a crash: unknown
    UNKNOWN = "unknown"  # sent, or not: to be looked up
    ACKNOWLEDGED = "acknowledged"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # by the broker at day's end, or by us: never sent before the cut-off
    REJECTED = "rejected"  # by the broker
    DENIED = "denied"  # by us, before it was sent


# May still be filled: counted as in flight.
IN_FLIGHT = frozenset(
    {
        IntentState.PLANNED,
        IntentState.SENDING,
        IntentState.UNKNOWN,
        IntentState.ACKNOWLEDGED,
        IntentState.PARTIALLY_FILLED,
    }
)
# What only a look at the broker can tell.
UNRESOLVED = frozenset({IntentState.SENDING, IntentState.UNKNOWN})
# At the broker, and open there.
WORKING = frozenset({IntentState.ACKNOWLEDGED, IntentState.PARTIALLY_FILLED})


class RunKind(StrEnum):
    """What a run is for. Only a trade sends orders."""

    TRADE = "trade"
    DRY = "dry"


class Outcome(StrEnum):
    """How a run ended, final; open while it goes on. It says what happened to the orders, not only whether it broke."""

    OPEN = "open"
    DONE = "done"  # every order that was wanted came into the broker's book
    UNCHANGED = "unchanged"  # nothing had to change, or its row was no rebalance row
    PARTIAL = "partial"  # some orders came there; others were denied, rejected, or not sent
    NOTHING_TRADED = "nothing_traded"  # none did
    REFUSED = "refused"  # a check said no: nothing was sent
    FAILED = "failed"  # before anything was sent
    INTERRUPTED = "interrupted"  # the process died before anything was decided
    CANCELLED = "cancelled"  # by a person, before anything was sent
    UNRESOLVED = "unresolved"  # an order's outcome is not known: the strategy is halted

    @property
    def is_success(self) -> bool:
        """True where all that was wanted came to be."""
        return self in (Outcome.DONE, Outcome.UNCHANGED)


class Filled(StrEnum):
    """How much was filled of the orders that the broker took of a run: settled after its outcome, which is final."""

    OPEN = "open"  # an order may still be filled, or has yet to be sent
    ALL = "all"
    PART = "part"
    NONE = "none"  # all of it expired, was cancelled or rejected


class StageName(StrEnum):
    """The stages of a run, in order."""

    LOAD = "load"
    COMPUTE = "compute"
    VALIDATE = "validate"
    EXECUTE = "execute"
    AUDIT = "audit"


class Weight(StrEnum):
    """How much a finding weighs: an error stops the run, a denial one order."""

    INFO = "info"
    WARNING = "warning"
    DENIAL = "denial"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: its name, what was measured against which limit, and the assets it is about."""

    check: str
    weight: Weight
    message: str
    assets: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """What may be traded once. slot: the scheduled fire of an intraday job, '' for a daily one."""

    strategy: str
    portfolio: str
    session: str
    kind: RunKind = RunKind.TRADE
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass through the stages.

    as_of: ISO date of the last row that was read. revision: 0, or which wanted repeat. digests: of config, strategy,
    data, code, weights, by name. cut_off: after it nothing is sent.
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
    """How a stage of a run went. outcome: done, failed, late (its deadline passed), or resumed."""

    run: str
    name: StageName
    started: datetime
    seconds: float
    outcome: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """One order that is to be sent exactly once, and where it stands.

    place: its turn within the run. reference: the price it was sized by. slice: which of a sliced order's parts, under
    `parent`. not_before: when a slice is due.
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
        """True where it is known to have come into the broker's book, whatever became of it there."""
        return bool(self.broker_order_id) or self.state in WORKING or self.state is IntentState.FILLED

    @property
    def remaining(self) -> Decimal:
        """What may still be filled."""
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
        """What it does to the cash."""
        return -self.side.sign * self.quantity * self.price - self.commission


@dataclass(frozen=True, slots=True)
class Charge:
    """Money the broker took or gave that belongs to no order: borrow fees, interest. amount: what it does to cash."""

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


@dataclass(frozen=True, slots=True)
class Position:
    """What a book holds of an asset. quantity: negative when short. average_price: of what is held."""

    book: BookKey
    asset: str
    quantity: Decimal
    average_price: Decimal


@dataclass(frozen=True, slots=True)
class Nav:
    """What a book was worth at the close of a session: cash, receivables and net. gross, net: exposure in money.

    receivables: dividends and other payments of corporate actions that are owed to it, less those that it owes.
    basis: of its prices: 'traded', or 'declared' for those that an older sigc took as the strategy declared them,
    adjusted ones among them.
    """

    book: BookKey
    session: str
    nav: Decimal
    cash: Decimal
    gross: Decimal
    net: Decimal
    receivables: Decimal = ZERO
    basis: str = "traded"
