"""The declaration of event rules: each turns an audit event into an alert for an operator.

    @rule("halted", on=("control.set",), urgency=Urgency.CRITICAL)
    def halted(seen: Happening) -> Iterator[Found]: ...

A rule is a pure function of one happening. It yields `Raise`, `Resolve`, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sigc.alerts.urgency import Urgency

ZERO = Decimal(0)


Reasons = Mapping[str, Sequence[str]]  # assets of orders, by the message with which the orders ended


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """The orders of a run that reached the broker's book, by how much was filled.

    open: number in flight (those not sent yet too). short: number that ended before they were filled. ordered, filled:
    in shares, over all assets. value, filled_value: the same at the prices by which the orders were sized. reasons: of
    the short ones.
    """

    open: int = 0
    short: int = 0
    ordered: Decimal = ZERO
    filled: Decimal = ZERO
    value: Decimal = ZERO
    filled_value: Decimal = ZERO
    reasons: Reasons = field(default_factory=dict)

    @property
    def share(self) -> Decimal:
        """Return the filled part of the ordered value, 1 if nothing of value was ordered."""
        return self.filled_value / self.value if self.value else Decimal(1)


@dataclass(frozen=True, slots=True)
class EventRun:
    """The run of an event, as the ledger has it when the event is written.

    kind: trade, dry, compute, or another kind of job. outcome: of the trading run, '' where it never began. orders:
    their number by state. lost: number that certainly never reached the broker's book (denied, rejected, given up
    before they were sent). reasons: of the lost ones. placed: those that reached it. errors: check and message of each
    finding that stopped the run. cut_off: after which none of its orders is sent, as text.
    """

    kind: str = ""
    session: str = ""
    job: str = ""
    outcome: str = ""
    orders: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    reasons: Reasons = field(default_factory=dict)
    placed: OrderCounts = OrderCounts()
    errors: tuple[tuple[str, str], ...] = ()
    cut_off: str = ""

    @property
    def wanted(self) -> int:
        """Return the number of orders of the run."""
        return sum(self.orders.values())


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """An audit event as rules see it: plain values, and the facts of its run (None without a run)."""

    event: str
    payload: Mapping[str, Any]
    run: str = ""
    strategy: str = ""
    portfolio: str = ""
    who: str = ""
    facts: EventRun | None = None

    def said(self, name: str) -> str:
        """Return a field of the payload as text, '' if it is missing."""
        value = self.payload.get(name)
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Raise:
    """An alert to raise. key: its subject, among alerts of its rule; urgency: None for the rule's.

    is_notice: it is sent and then over: nobody has to act, and no resolution follows.
    """

    key: str
    title: str
    text: str
    urgency: Urgency | None = None
    is_notice: bool = False


@dataclass(frozen=True, slots=True)
class Resolve:
    """The end of the open alert of that key. text: the reason."""

    key: str
    text: str


Found = Raise | Resolve
Judge = Callable[[RuleEvent], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class EventRule:
    """One declared rule. events: those it handles. needs_run: it reads `facts`.

    is_once: its keys name single events, raised once for ever; otherwise they name conditions, which may come again
    after
    they were resolved.
    """

    name: str
    events: tuple[str, ...]
    urgency: Urgency
    judge: Judge
    is_once: bool
    needs_run: bool

    @property
    def summary(self) -> str:
        """Return the first line of the rule's docstring."""
        return (self.judge.__doc__ or "").partition("\n")[0]


RULES: dict[str, EventRule] = {}
BY_EVENT: dict[str, list[EventRule]] = {}


def rule(
    name: str, *, on: tuple[str, ...], urgency: Urgency, is_once: bool = False, needs_run: bool = False
) -> Callable[[Judge], Judge]:
    """Declare a rule under a unique name. Raise ValueError for a name that already exists, or without a docstring."""

    def declare(judge: Judge) -> Judge:
        if name in RULES or not judge.__doc__:
            raise ValueError(f"rule {name}: needs a name of its own and a docstring")
        RULES[name] = made = EventRule(name, on, urgency, judge, is_once, needs_run)
        for event in on:
            BY_EVENT.setdefault(event, []).append(made)
        return judge

    return declare
