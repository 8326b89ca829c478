"""Declaration of event rules: what an audit event has to say to an operator.

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


Reasons = Mapping[str, Sequence[str]]  # the assets of orders, by the message that they ended with


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """The orders of a run that were in the broker's book, by what was filled of them.

    open: number in flight (those not sent yet too). short: number that ended before they were filled. ordered, filled:
    in shares, over all assets. value, filled_value: the same at the prices that the orders were sized by. reasons: of
    those that are short.
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
        """Part of the ordered value that was filled, 1 where nothing of a value was ordered."""
        return self.filled_value / self.value if self.value else Decimal(1)


@dataclass(frozen=True, slots=True)
class EventRun:
    """A run as the ledger has it when the event is written.

    kind: trade, dry, compute, or another kind of job. outcome: of the trading run, '' where it never began. orders:
    their number by state. lost: those that certainly never came to the broker's book (denied, rejected, given up before
    they were sent). reasons: of the lost. placed: those that came there. errors: check and message of each finding that
    stopped the run.
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

    @property
    def wanted(self) -> int:
        """Number of orders of the run."""
        return sum(self.orders.values())


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """An audit event as rules see it: plain values, and the facts of its run (None where it is of no run)."""

    event: str
    payload: Mapping[str, Any]
    run: str = ""
    strategy: str = ""
    portfolio: str = ""
    who: str = ""
    facts: EventRun | None = None

    def said(self, name: str) -> str:
        """Return a field of the payload as text, '' where it is not there."""
        value = self.payload.get(name)
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Raise:
    """An alert that is to be raised. key: what it is about, among alerts of its rule; urgency: None for the rule's.

    is_notice: it is told, and then over: nobody has to look after it, and no resolution follows.
    """

    key: str
    title: str
    text: str
    urgency: Urgency | None = None
    is_notice: bool = False


@dataclass(frozen=True, slots=True)
class Resolve:
    """The open alert of that key is over, for the reason `text`."""

    key: str
    text: str


Found = Raise | Resolve
Judge = Callable[[RuleEvent], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class EventRule:
    """One declared rule. events: those it looks at. is_once: its keys name single happenings, raised once for ever;
    otherwise they name conditions, which may come again after they were resolved. needs_run: it reads `facts`.
    """

    name: str
    events: tuple[str, ...]
    urgency: Urgency
    judge: Judge
    is_once: bool
    needs_run: bool

    @property
    def summary(self) -> str:
        """First line of the rule's docstring."""
        return (self.judge.__doc__ or "").partition("\n")[0]


RULES: dict[str, EventRule] = {}
BY_EVENT: dict[str, list[EventRule]] = {}


def rule(
    name: str, *, on: tuple[str, ...], urgency: Urgency, is_once: bool = False, needs_run: bool = False
) -> Callable[[Judge], Judge]:
    """Declare a rule under a name of its own. Raises ValueError for a name that is taken, or without a docstring."""

    def declare(judge: Judge) -> Judge:
        if name in RULES or not judge.__doc__:
            raise ValueError(f"rule {name}: needs a name of its own and a docstring")
        RULES[name] = made = EventRule(name, on, urgency, judge, is_once, needs_run)
        for event in on:
            BY_EVENT.setdefault(event, []).append(made)
        return judge

    return declare
