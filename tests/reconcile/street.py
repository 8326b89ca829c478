"""A broker that trades, not a simulation: an account in memory to which the street does what it likes.

Orders fill at once at the price of the day. A test trades by hand, splits, renames, pays, hides or doubles what is
told; the same object goes on over processes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sigc.clock import Clock
from sigc.store.ledger.records import ZERO, Fill, Side
from sigc_pipelines.brokers.protocol import (
    Account,
    Activities,
    BrokerOrder,
    Capabilities,
    OrderRequest,
    OrderStatus,
    RejectedError,
)


class Street:
    """An account. held: shares by asset; fills: what it tells, in order."""

    def __init__(self, cash: int = 1_000_000) -> None:
        self.cash = Decimal(cash)
        self.held: dict[str, Decimal] = {}
        self.prices: dict[str, Decimal] = {}
        self.fills: list[Fill] = []
        self.book: dict[str, BrokerOrder] = {}
        self.submits: list[OrderRequest] = []
        self.is_telling = True  # False: new fills are kept back
        self.untold: list[Fill] = []
        self.clock: Clock | None = None  # of the process that trades

    def now(self) -> datetime:
        assert self.clock is not None
        return self.clock.now()

    # What a broker does.

    def capabilities(self) -> Capabilities:
        return Capabilities("street", is_live=False)

    def account(self) -> Account:
        worth = sum((q * self.price(asset) for asset, q in self.held.items()), ZERO)
        return Account(self.cash, self.cash + worth, self.cash)

    def positions(self) -> dict[str, Decimal]:
        return {asset: quantity for asset, quantity in sorted(self.held.items()) if quantity}

    def submit(self, request: OrderRequest) -> BrokerOrder:
        self.submits.append(request)
        return self.trade(request)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self.book.get(client_order_id)

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        return tuple(o for o in self.book.values() if o.status.is_open or (o.submitted or since) >= since)

    def cancel(self, client_order_id: str) -> None:
        found = self.book.get(client_order_id)
        if found is None:
            raise RejectedError(f"there is no order {client_order_id}")
        if found.status.is_open:
            self.book[client_order_id] = replace(found, status=OrderStatus.CANCELLED)

    def activities(self, cursor: str) -> Activities:
        return Activities(tuple(self.fills[int(cursor or 0) :]), (), str(len(self.fills)))

    # What the street does.

    def price(self, asset: str) -> Decimal:
        return self.prices.get(asset, Decimal(100))

    def trade(self, request: OrderRequest) -> BrokerOrder:
        """Fill an order at once, whoever sent it."""
        number = len(self.book) + 1
        done = BrokerOrder(request, f"b{number}", OrderStatus.FILLED, request.quantity, self.now())
        self.book[request.client_order_id] = done
        price = self.price(request.asset)
        fill = Fill(
            f"x{number}",
            request.client_order_id,
            request.asset,
            request.side,
            request.quantity,
            price,
            ZERO,
            self.now(),
        )
        self.gets(request.asset, request.side.sign * request.quantity, fill.cash)
        (self.fills if self.is_telling else self.untold).append(fill)
        return done

    def tell(self) -> None:
        """Tell the fills that were not told."""
        self.fills += self.untold
        self.untold.clear()

    def hand(self, asset: str, quantity: int, id: str = "by phone") -> None:
        """Somebody trades past sigc."""
        self.trade(OrderRequest(id, asset, Side.BUY if quantity > 0 else Side.SELL, Decimal(abs(quantity))))

    def gets(self, asset: str, quantity: Decimal | int, cash: Decimal | int = 0) -> None:
        """Shares and cash come, or leave, without a trade."""
        self.held[asset] = self.held.get(asset, ZERO) + quantity
        self.cash += cash

    def split(self, asset: str, new: int, old: int = 1) -> None:
        """Restate a position and its price."""
        self.held[asset] = (self.held[asset] * new / old).to_integral_value("ROUND_DOWN")
        self.prices[asset] = self.price(asset) * old / new

    def renames(self, old: str, new: str) -> None:
        """Put all shares under another name."""
        self.held[new] = self.held.pop(old)
