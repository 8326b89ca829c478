"""A few sessions at a paper broker that may be told again from the start: what was done already changes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.store.ledger.records import ZERO, OrderType, Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import Broker, OrderRequest

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
START = datetime(2024, 1, 2, 15, tzinfo=UTC)
ASSETS = ("A", "B", "C", "D")
SETTINGS = PaperSettings(slippage_bps=5, commission_bps=2, min_commission=0.35, max_volume_pct=0.1, borrow_bps=300)
DEPOSIT = Decimal(1_000_000)


def request(number: int, draw: random.Random) -> OrderRequest:
    """An order that the account bears."""
    limit = Decimal(draw.randint(98, 102)) if draw.random() < 0.3 else None
    return OrderRequest(
        client_order_id=f"story-{number}",
        asset=draw.choice(ASSETS),
        side=draw.choice(list(Side)),
        quantity=Decimal(draw.randint(1, 300)),
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit=limit,
    )


def steps(broker: PaperBroker, clock: HandClock, sessions: int, seed: int = 0) -> Iterator[Callable[[], object]]:
    """What happens, one request at a time."""
    draw = random.Random(seed)  # a story, no secret
    yield lambda: broker.deposit("story", DEPOSIT)
    for session in range(sessions):
        day = START + timedelta(days=session)
        clock.turn(day)
        if session:
            for number in range(4):
                order = request(4 * session + number, draw)
                yield lambda order=order: broker.submit(order)  # type: ignore[misc]
            if session % 2:
                yield lambda order=order: broker.cancel(order.client_order_id)  # type: ignore[misc]
        prices: dict[str, Decimal | None] = {asset: Decimal(draw.randint(9_700, 10_300)) / 100 for asset in ASSETS}
        volumes: dict[str, Decimal | None] = {asset: Decimal(draw.randint(0, 4_000)) for asset in ASSETS}
        if session % 5 == 3:
            prices[ASSETS[0]] = None
        at = day.replace(hour=21)
        clock.turn(at)
        yield lambda at=at, p=prices, v=volumes: broker.mark(at.date().isoformat(), at, p, v)  # type: ignore[misc]


def tell(path: Path, sessions: int, seed: int = 0, heard: Callable[[], object] = lambda: None) -> str:
    """The whole story, and what is read from the book at its end. heard: called after each step."""
    clock = HandClock(START)
    broker = PaperBroker(path, SETTINGS, clock)
    try:
        for step in steps(broker, clock, sessions, seed):
            step()
            heard()
        return read(broker)
    finally:
        broker.close()


def read(broker: Broker) -> str:
    """All that can be read."""
    return repr((broker.account(), broker.positions(), broker.orders(EPOCH), broker.activities("")))


def check_laws(broker: Broker) -> None:
    """What holds of the story's book at any moment."""
    account, done = broker.account(), broker.activities("")
    orders = {order.request.client_order_id: order for order in broker.orders(EPOCH)}
    flows = [fill.cash for fill in done.fills] + [charge.amount for charge in done.charges]
    assert account.cash in (ZERO, DEPOSIT + sum(flows, ZERO))
    positions: dict[str, Decimal] = {}
    filled = dict.fromkeys(orders, ZERO)
    for fill in done.fills:
        positions[fill.asset] = positions.get(fill.asset, ZERO) + fill.side.sign * fill.quantity
        filled[fill.client_order_id] += fill.quantity
    assert broker.positions() == {asset: quantity for asset, quantity in sorted(positions.items()) if quantity}
    assert len({fill.execution_id for fill in done.fills}) == len(done.fills)
    for id, order in orders.items():
        assert order.filled == filled[id] <= order.request.quantity
