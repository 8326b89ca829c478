"""Orders from target weights: quantities to buy or sell, and their intents.

    wanted quantity = weight x money / price, rounded towards zero to the lot
    order           = wanted - held - in flight; sells before buys, then by asset

All arithmetic is decimal: a float weight or price is taken by its shortest text, so that the same weights give the same
orders on any machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from sigc.config.settings import ExecutionSettings
from sigc.store.audit.chain import canonical
from sigc.store.ledger.records import ZERO, Intent, OrderType, Run, Side, TimeInForce

PREFIX = "sigc-"  # of every order's id; `reconcile` tells our orders by it
_BPS = Decimal(10_000)
_TICK, _SMALL_TICK = Decimal("0.01"), Decimal("0.0001")  # of limit prices: at or above 1, below 1 (SEC Rule 612)


@dataclass(frozen=True, slots=True)
class Order:
    """An order before it has an id: side, quantity (> 0), and the price it was sized by."""

    asset: str
    side: Side
    quantity: Decimal
    reference: Decimal

    @property
    def value(self) -> Decimal:
        """Quantity at the reference price."""
        return self.quantity * self.reference


def decimal(value: float) -> Decimal:
    """Return a float as the decimal of its shortest text.

    >>> decimal(0.1)
    Decimal('0.1')
    """
    return Decimal(repr(value))


def lot_of(settings: ExecutionSettings, step: Decimal) -> Decimal:
    """Return the lot of quantities: the configured lot, at least the broker's step."""
    lot = Decimal(settings.lot) if settings.lot else step
    return max(lot, step)


def quantity_of(weight: Decimal, money: Decimal, price: Decimal, lot: Decimal) -> Decimal:
    """Return the quantity that a weight of `money` buys, rounded towards zero to the lot.

    >>> quantity_of(Decimal("-0.1"), Decimal(1000), Decimal(30), Decimal(1))
    Decimal('-3')
    """
    return (weight * money / price / lot).to_integral_value(ROUND_DOWN) * lot


def size(
    weights: Mapping[str, Decimal],
    held: Mapping[str, Decimal],
    in_flight: Mapping[str, Decimal],
    prices: Mapping[str, Decimal],
    money: Decimal,
    lot: Decimal,
    min_value: Decimal = ZERO,
    short_lot: Decimal | None = None,
) -> tuple[Order, ...]:
    """Return the orders that bring `held` to `weights`. in_flight: signed quantities of open orders; short_lot: the lot
    of short positions, where it is not the same.

    Assets without a positive price get no order. An order below `min_value` is left out, unless it closes a position.

    >>> weights, prices = {"A": Decimal("0.5"), "B": Decimal("0")}, {"A": Decimal(7), "B": Decimal(10)}
    >>> [(o.side.value, o.asset, o.quantity) for o in size(
    ...     weights, {"B": Decimal(3)}, {}, prices, Decimal(100), Decimal(1))]
    [('sell', 'B', Decimal('3')), ('buy', 'A', Decimal('7'))]
    """
    orders = []
    for asset, weight in weights.items():
        price = prices.get(asset)
        if price is None or price <= 0:
            continue
        wanted = quantity_of(weight, money, price, lot if weight >= 0 or short_lot is None else short_lot)
        change = wanted - held.get(asset, ZERO) - in_flight.get(asset, ZERO)
        if change == 0 or (abs(change) * price < min_value and wanted != 0):
            continue
        # `change` need not be a multiple of the lot: a split may leave an odd lot to sell.
        orders.append(Order(asset, Side.BUY if change > 0 else Side.SELL, abs(change), price))
    # Sells first: they free cash and exposure for the buys behind them.
    return tuple(sorted(orders, key=lambda o: (o.side is Side.BUY, o.asset)))


def cut(order: Order, held: Decimal, most: Decimal | None, lot: Decimal) -> Order:
    """Cut an order that only reduces a position to at most `most`, in whole lots, so that a large position is closed
    over several sessions. An order that adds, or that would be cut below one lot, is returned as it is.

    >>> sell = Order("A", Side.SELL, Decimal(70), Decimal(10))
    >>> [cut(sell, Decimal(held), Decimal("25.5"), Decimal(1)).quantity for held in (100, 0)]
    [Decimal('25'), Decimal('70')]
    """
    if most is None or order.quantity <= most or held * order.side.sign >= 0 or order.quantity > abs(held):
        return order
    lots = (most / lot).to_integral_value(ROUND_DOWN) * lot
    return replace(order, quantity=lots) if lots > 0 else order


def write_down(
    orders: Sequence[Order], run: Run, ledger: str, settings: ExecutionSettings, step: Decimal, now: datetime
) -> tuple[Intent, ...]:
    """Return the intents of a run, in sending order; slices of a twap by due time."""
    intents = [
        intent
        for order in orders
        for intent in (
            _sliced(order, run, ledger, settings, step, now)
            if settings.style == "twap"
            else (_intent(order, run, ledger, settings),)
        )
    ]
    if settings.style == "twap":
        intents.sort(key=lambda i: i.slice)  # a stable sort: sells stay before buys within a slice
    return tuple(replace(intent, place=place) for place, intent in enumerate(intents))


def window_end(run: Run, settings: ExecutionSettings, begins: datetime) -> datetime:
    """Return the end of a twap's window: so many minutes after it begins, or the cut-off if that is earlier."""
    end = begins + timedelta(minutes=settings.window_minutes)
    return end if run.cut_off is None else min(end, run.cut_off)


def client_order_id(ledger: str, run: Run, order: Order, slice: int = 0) -> str:
    """Return the order's id: a digest of everything that identifies it. An order is sent under one id only."""
    # No price and no time: a run repeated after a crash gives the same id, and the broker takes it once. The revision
    # makes a repeat on purpose another order. Changing this digest makes orders in flight unknown.
    key = run.key
    content = {"ledger": ledger, "strategy": key.strategy, "portfolio": key.portfolio, "session": key.session}
    content |= {"slot": key.slot, "asset": order.asset, "side": order.side, "quantity": _plain(order.quantity)}
    content |= {"slice": str(slice), "revision": str(run.revision)}
    return f"{PREFIX}{hashlib.sha256(canonical(content).encode()).hexdigest()[:32]}"


def limit_of(order: Order, offset_bps: float) -> Decimal:
    """Return the limit of an order: the reference price plus (buy) or minus (sell) the offset, on the grid of ticks.

    >>> limit_of(Order("A", Side.SELL, Decimal(1), Decimal("50")), 10.0)
    Decimal('49.95')
    """
    price = order.reference * (1 + order.side.sign * decimal(offset_bps) / _BPS)
    return price.quantize(_TICK if price >= 1 else _SMALL_TICK, ROUND_HALF_EVEN)


def _intent(order: Order, run: Run, ledger: str, settings: ExecutionSettings, slice: int = 0) -> Intent:
    kind = OrderType(settings.order_type)
    return Intent(
        client_order_id=client_order_id(ledger, run, order, slice),
        run=run.id,
        key=run.key,
        place=0,
        asset=order.asset,
        side=order.side,
        quantity=order.quantity,
        reference=order.reference,
        order_type=kind,
        limit=limit_of(order, settings.limit_offset_bps) if kind is OrderType.LIMIT else None,
        time_in_force=TimeInForce(settings.time_in_force),
        slice=slice,
    )


def _sliced(
    order: Order, run: Run, ledger: str, settings: ExecutionSettings, step: Decimal, now: datetime
) -> tuple[Intent, ...]:
    """Return equal slices over the window. Extra lots go to the first ones."""
    end = window_end(run, settings, now)
    lot = lot_of(settings, step)
    lots = int((order.quantity / lot).to_integral_value(ROUND_DOWN))
    rest = order.quantity - lots * lot  # above 0 for a position that is not a multiple of the lot
    count = min(settings.slices, lots) or 1
    parent = client_order_id(ledger, run, order)
    intents = []
    for at in range(count):
        # Invariant: the slices add up to the order's quantity exactly.
        quantity = (lots // count + (at < lots % count)) * lot + (rest if at == 0 else ZERO)
        part = replace(order, quantity=quantity)
        due = now + (end - now) * at / count
        intents.append(replace(_intent(part, run, ledger, settings, at + 1), parent=parent, not_before=due))
    return tuple(intents)


def _plain(quantity: Decimal) -> str:
    """Return a quantity as canonical text, without trailing zeros."""
    return format(quantity.normalize(), "f")
