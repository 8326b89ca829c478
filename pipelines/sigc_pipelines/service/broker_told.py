"""Answers of a broker about itself and the account, by reads alone: `sigc broker check`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sigc.clock import Clock
from sigc.errors import Diagnostic, SigcError
from sigc.words import local_time
from sigc_pipelines.brokers.pooled import PooledBroker
from sigc_pipelines.brokers.protocol import (
    Account,
    Broker,
    BrokerHealth,
    Capabilities,
    Healthy,
    UnreachableError,
)

_LARGEST_SKEW_S = 5.0


@dataclass(frozen=True, slots=True)
class BrokerTold:
    """The answers of a broker, and what is wrong with them. health: None of a broker that tells none."""

    can: Capabilities
    account: Account
    positions: Mapping[str, Decimal]
    health: BrokerHealth | None
    open_orders: int
    problems: tuple[str, ...]


def told_by(broker: Broker, clock: Clock) -> BrokerTold:
    """Return what a broker says, by reads alone. Raise SigcError E601 if it does not answer."""
    try:
        health = broker.health() if isinstance(broker, PooledBroker | Healthy) else None
        asked = clock.now()
        account, positions = broker.account(), broker.positions()
        is_open = [order.status.is_open for order in broker.orders(asked)]
    except UnreachableError as silent:
        hint = "look at broker in the configuration, and at the network"
        raise SigcError(Diagnostic("E601", f"the broker does not answer: {silent}", hint=hint)) from silent
    problems = () if health is None else tuple(_problems(health, asked))
    return BrokerTold(broker.capabilities(), account, positions, health, sum(is_open), problems)


def _problems(health: BrokerHealth, now: datetime) -> Iterator[str]:
    yield from (f"the account can't trade: {trouble}" for trouble in health.troubles)
    skew = abs((health.at - now).total_seconds())
    if skew > _LARGEST_SKEW_S:
        yield f"this machine's clock and the broker's differ by {skew:.0f} s: sessions and cut-offs would be missed"


def rows_of(told: BrokerTold) -> Iterator[tuple[str, str]]:
    """Yield what was told as names and texts, for people."""
    can, account = told.can, told.account
    yield "broker", f"{can.name}: {'LIVE, real money' if can.is_live else 'PAPER, no real money'}"
    yield "account", f"cash {account.cash}, equity {account.equity}, buying power {account.buying_power}"
    if told.health is not None:
        state = "open" if told.health.is_open else "closed"
        at, until = told.health.at, told.health.next_close if told.health.is_open else told.health.next_open
        yield "clock", f"{local_time(at, 'UTC')}, the market is {state} until {local_time(until, 'UTC')}"
    shown = ", ".join(f"{asset} {quantity}" for asset, quantity in told.positions.items())
    yield "positions", f"{len(told.positions)}" + (f": {shown}" if shown else "")
    yield "open orders", f"{told.open_orders}"
    yield "orders", ", ".join(_taken(can))


def plain_of(told: BrokerTold) -> dict[str, object]:
    """Return what was told as plain data; money and quantities are text."""
    account = told.account
    return {
        "broker": told.can.name,
        "is_live": told.can.is_live,
        "cash": str(account.cash),
        "equity": str(account.equity),
        "buying_power": str(account.buying_power),
        "positions": {asset: str(quantity) for asset, quantity in told.positions.items()},
        "open_orders": told.open_orders,
        "health": told.health,
        "takes": list(_taken(told.can)),
        "problems": list(told.problems),
    }


def _taken(can: Capabilities) -> Iterator[str]:
    yield " or ".join(sorted(map(str, can.order_types)))
    yield " or ".join(sorted(map(str, can.times_in_force)))
    yield f"in steps of {can.quantity_step}"
    short = can.short_step or can.quantity_step
    yield f"short sales in steps of {short}" if can.shorting else "no short sales"
    if not can.crosses_zero:
        yield "a reversal is two orders"
    if can.frees_on_fill:
        yield "buys wait for the sales that pay for them"
    yield "queued while the market is closed" if can.queues else "only while the market is open"
    if can.orders_per_minute is not None:
        yield f"{can.orders_per_minute} a minute"
