"""An account as Alpaca keeps one: orders, fills, cash, positions, and the rules by which orders are refused.

Written from the OpenAPI text and the pages on orders, fractional trading, short sales and user protections; it knows
nothing of sigc's client. Each answer is a status of HTTP and what is to be its JSON. Fills happen when a test says so
(`trade`), or at once while the market is open.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

ZERO = Decimal(0)
ENDED = ("filled", "canceled", "expired", "rejected", "replaced")
_FORBIDDEN, _UNPROCESSABLE = 40310000, 40010001
_SPACE = uuid.UUID("904837e3-3b76-47ec-b432-046db621571b")
_COLLAR, _DUST = Decimal("1.03"), Decimal("1E-9")
Answer = tuple[int, Any]


@dataclass(slots=True)
class TwinOrder:
    """One order. visible: when reads begin to show it."""

    id: str
    client_id: str
    symbol: str
    side: str
    qty: Decimal
    type: str
    tif: str
    limit: Decimal | None
    submitted: datetime
    visible: datetime
    status: str = "accepted"
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    ended: datetime | None = None
    leaves: datetime | None = None  # a cancel that is under way

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    @property
    def open(self) -> Decimal:
        """What may still be filled."""
        return ZERO if self.status in ENDED else self.qty - self.filled


@dataclass(slots=True)
class TwinAccount:
    """An account. lag_s: until reads show what happened; fee: of a share sold; parts: executions of a fill."""

    now: Callable[[], datetime]
    prices: dict[str, Decimal]
    cash: Decimal = Decimal(1_000_000)
    lag_s: float = 0.0
    fee: Decimal = ZERO
    parts: int = 1
    multiplier: int = 2
    is_open: bool = False
    status: str = "ACTIVE"
    trading_blocked: bool = False
    shorting_enabled: bool = True
    whole_only: frozenset[str] = frozenset()
    fills_after_s: float | None = None  # while the market is open: seconds until a market order is filled
    orders: dict[str, TwinOrder] = field(default_factory=dict)  # by client id; an id is never free again
    positions: dict[str, Decimal] = field(default_factory=dict)
    activities: list[tuple[datetime, dict[str, str]]] = field(default_factory=list)  # visible from, and what it says
    turn: threading.RLock = field(default_factory=threading.RLock)

    # What the account is worth.

    def equity(self) -> Decimal:
        return self.cash + sum((q * self.prices[s] for s, q in self.positions.items()), ZERO)

    def buying_power(self) -> Decimal:
        """Of a margin account: excess of equity over half the gross value, times the multiplier, less open orders."""
        gross = sum((abs(q) * self.prices[s] for s, q in self.positions.items()), ZERO)
        excess = max(self.equity() - gross / self.multiplier, ZERO) * self.multiplier
        return excess - sum((self._opening(order) for order in self.orders.values()), ZERO)

    def _opening(self, order: TwinOrder) -> Decimal:
        """The value of what an open order adds to a position; what reduces one gives nothing back before its fill."""
        held = self.positions.get(order.symbol, ZERO) * order.sign
        return order.open * self._worth(order) if held >= 0 else ZERO

    def _worth(self, order: TwinOrder) -> Decimal:
        price = self.prices[order.symbol]
        if order.side == "sell":
            return max(order.limit or ZERO, price * _COLLAR)
        return order.limit if order.limit is not None else price * _COLLAR

    # Orders.

    def submit(self, body: Mapping[str, Any]) -> Answer:
        """POST /v2/orders"""
        with self.turn:
            self.catch_up()
            try:
                order = self._read(body)
            except (KeyError, InvalidOperation, ValueError) as wrong:
                return _no(422, _UNPROCESSABLE, f"request body format is invalid: {wrong}")
            refusal = self._refusal(order)
            if refusal is not None:
                return refusal
            self.orders[order.client_id] = order
            if self.is_open:
                order.status = "new"
            self.catch_up()
            return 200, self.shown(order)

    def _read(self, body: Mapping[str, Any]) -> TwinOrder:
        limit = Decimal(body["limit_price"]) if body.get("limit_price") is not None else None
        client_id = body.get("client_order_id") or str(uuid.uuid4())
        if len(client_id) > 48:
            raise ValueError("client_order_id is too long")
        qty = Decimal(body["qty"])
        if not qty.is_finite() or qty <= 0 or (limit is not None and not (limit.is_finite() and limit > 0)):
            raise ValueError("qty and limit_price must be > 0")
        if body["side"] not in ("buy", "sell") or body["type"] not in ("market", "limit"):
            raise ValueError("invalid side or type")
        if (body["type"] == "limit") != (limit is not None) or body["time_in_force"] not in ("day", "gtc", "ioc"):
            raise ValueError("invalid limit_price or time_in_force")
        at = self.now()
        return TwinOrder(
            id=str(uuid.uuid5(_SPACE, client_id)),
            client_id=client_id,
            symbol=body["symbol"],
            side=body["side"],
            qty=qty,
            type=body["type"],
            tif=body["time_in_force"],
            limit=limit,
            submitted=at,
            visible=at + timedelta(seconds=self.lag_s),
        )

    def _refusal(self, order: TwinOrder) -> Answer | None:
        if order.client_id in self.orders:
            return _no(422, _UNPROCESSABLE, "client_order_id must be unique")
        if order.symbol not in self.prices:
            return _no(422, _UNPROCESSABLE, f'asset "{order.symbol}" not found')
        if self.status != "ACTIVE" or self.trading_blocked:
            return _no(403, _FORBIDDEN, "account is not authorized to trade")
        if order.limit is not None and order.limit % (Decimal("0.01") if order.limit >= 1 else Decimal("0.0001")):
            said = "sub-penny increment does not fulfill minimum pricing criteria"
            return _no(422, 42210000, f"invalid limit_price {order.limit}. {said}")
        return self._fraction(order) or self._of_position(order)

    def _fraction(self, order: TwinOrder) -> Answer | None:
        if order.qty % 1 == 0:
            return None
        if order.qty % _DUST:
            return _no(422, _UNPROCESSABLE, "qty can take up to 9 decimal points")
        if order.tif != "day":
            return _no(422, 42210000, "fractional orders must be DAY orders")
        if order.symbol in self.whole_only:
            return _no(403, _FORBIDDEN, f'asset "{order.symbol}" is not fractionable')
        if order.side == "sell" and self.positions.get(order.symbol, ZERO) <= 0:
            return _no(403, _FORBIDDEN, "fractional orders cannot be sold short")
        if order.qty * self.prices[order.symbol] < 1:
            return _no(403, _FORBIDDEN, "cost basis must be >= minimal amount of order 1")
        return None

    def _of_position(self, order: TwinOrder) -> Answer | None:
        others = [one for one in self.orders.values() if one.symbol == order.symbol and one.open]
        if any(one.side != order.side for one in others):
            return _no(403, _FORBIDDEN, "potential wash trade detected. use complex orders")
        held = self.positions.get(order.symbol, ZERO) * order.sign
        if held < 0:
            free = -held - sum((one.open for one in others), ZERO)
            if order.qty > free:
                said = f"insufficient qty available for order (requested: {order.qty}, available: {free})"
                return _no(403, _FORBIDDEN, said)
            return None
        if order.side == "sell" and not self.shorting_enabled:
            return _no(403, _FORBIDDEN, "account is not allowed to short")
        if order.qty * self._worth(order) > self.buying_power():
            return _no(403, _FORBIDDEN, "insufficient buying power")
        return None

    def cancel(self, id: str) -> Answer:
        """DELETE /v2/orders/{order_id}"""
        with self.turn:
            self.catch_up()
            order = next((one for one in self.orders.values() if one.id == id), None)
            if order is None:
                return _no(404, 40410000, f"order not found for {id}")
            if order.status in ENDED or order.leaves is not None:
                return _no(422, 42210000, f'order is already in "{order.status}" state')
            order.status, order.leaves = "pending_cancel", self.now() + timedelta(seconds=self.lag_s)
            self.catch_up()
            return 204, None

    def catch_up(self) -> None:
        """End the cancels that are due, and fill what is."""
        if self.fills_after_s is not None:
            due = self.now() - timedelta(seconds=self.fills_after_s)
            for order in list(self.orders.values()):
                if self._meets(order, order.symbol, self.prices[order.symbol]) and order.submitted <= due:
                    self._fill(order, order.open, self.prices[order.symbol])
        for order in self.orders.values():
            if order.leaves is not None and order.leaves <= self.now() and order.status not in ENDED:
                order.status, order.ended = "canceled", self.now()

    # What the market does.

    def trade(self, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]) -> None:
        """Fill what can be filled at these prices; a volume is shared by size."""
        with self.turn:
            self.catch_up()
            self.prices |= {s: p for s, p in prices.items() if p is not None}
            for symbol, price in prices.items():
                ready = [] if price is None else [o for o in self.orders.values() if self._meets(o, symbol, price)]
                total, volume = sum((o.open for o in ready), ZERO), volumes.get(symbol)
                shares = [(o, o.open if volume is None else o.open * min(volume / total, Decimal(1))) for o in ready]
                for order, share in shares:
                    step = Decimal(1) if order.qty % 1 == 0 else _DUST
                    self._fill(order, (share / step).to_integral_value(ROUND_DOWN) * step, price or ZERO)

    def _meets(self, order: TwinOrder, symbol: str, price: Decimal) -> bool:
        is_met = order.limit is None or (order.limit - price) * order.sign >= 0
        return order.symbol == symbol and order.open > 0 and is_met and order.leaves is None

    def _fill(self, order: TwinOrder, quantity: Decimal, price: Decimal) -> None:
        first = (quantity / self.parts).to_integral_value(ROUND_DOWN)
        sizes = [first] * (self.parts - 1) + [quantity - first * (self.parts - 1)]
        for size in sizes:
            if size > 0:
                self._execute(order, size, price)

    def _execute(self, order: TwinOrder, size: Decimal, price: Decimal) -> None:
        order.filled += size
        order.paid += size * price
        self.cash -= order.sign * size * price
        held = self.positions.pop(order.symbol, ZERO) + order.sign * size
        if held:
            self.positions[order.symbol] = held
        order.status = "filled" if order.filled == order.qty else "partially_filled"
        order.ended = self.now() if order.status == "filled" else None
        said = {"type": "fill" if order.status == "filled" else "partial_fill", "price": str(price), "qty": str(size)}
        said |= {"side": order.side, "symbol": order.symbol, "leaves_qty": str(order.qty - order.filled)}
        said |= {"order_id": order.id, "cum_qty": str(order.filled), "order_status": order.status}
        self.tell("FILL", said | {"transaction_time": stamp(self.now())})
        if order.side == "sell" and self.fee:
            self.pay("FEE", -self.fee * size)

    def pay(self, kind: str, amount: Decimal, symbol: str = "", *, day: str = "") -> None:
        """Money comes or goes without a trade."""
        with self.turn:
            self.cash += amount
            said = {"date": day or self.now().date().isoformat(), "net_amount": str(amount), "status": "executed"}
            self.tell(kind, said | ({"symbol": symbol} if symbol else {}))

    def tell(self, kind: str, said: Mapping[str, str]) -> None:
        """An activity; its id begins with its time, so that ids sort as they were made."""
        at = self.now()
        number = len(self.activities)
        head = at.strftime("%Y%m%d%H%M%S") + f"{at.microsecond // 1000:03d}"
        id = f"{head}::{uuid.UUID(int=(number << 64) + uuid.uuid5(_SPACE, str(number)).int % (1 << 64))}"
        visible = at + timedelta(seconds=self.lag_s)
        self.activities.append((visible, {"activity_type": kind, "id": id} | dict(said)))

    def end_day(self) -> None:
        """Expire the day orders."""
        with self.turn:
            self.catch_up()
            for order in self.orders.values():
                if order.open:
                    order.status = "canceled" if order.leaves is not None else "expired"
                    order.ended = self.now()

    # What is shown.

    def shown(self, order: TwinOrder) -> dict[str, Any]:
        """An order as the schema Order has it."""
        mean = str((order.paid / order.filled).quantize(Decimal("0.0001"))) if order.filled else None
        at, ended = stamp(order.submitted), None if order.ended is None else stamp(order.ended)
        times = {f"{name}_at": ended if order.status == name else None for name in ("filled", "expired", "canceled")}
        return times | {
            "id": order.id,
            "client_order_id": order.client_id,
            "created_at": at,
            "updated_at": at,
            "submitted_at": at,
            "failed_at": None,
            "replaced_at": None,
            "replaced_by": None,
            "replaces": None,
            "asset_id": str(uuid.uuid5(_SPACE, order.symbol)),
            "symbol": order.symbol,
            "asset_class": "us_equity",
            "notional": None,
            "qty": str(order.qty),
            "filled_qty": str(order.filled),
            "filled_avg_price": mean,
            "order_class": "",
            "order_type": order.type,
            "type": order.type,
            "side": order.side,
            "time_in_force": order.tif,
            "limit_price": None if order.limit is None else str(order.limit),
            "stop_price": None,
            "status": order.status,
            "extended_hours": False,
            "legs": None,
        }


def stamp(at: datetime) -> str:
    """An instant as the API writes it, with nanoseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond:06d}000Z"


def _no(status: int, code: int, message: str) -> Answer:
    return status, {"code": code, "message": message}
