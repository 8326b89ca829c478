"""Alpaca as a `Broker`.

From the documentation of orders, of short sales and of user protections: a client order id stays taken, also after a
cancel (422); an order may not turn a long position into a short one (403); opposite orders in one asset are refused as
wash trades (403); sales give buying power back when they fill; orders sent after the close are queued for the next
session; fractions of shares are for day orders, and never for short sales.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

from sigc.clock import Clock
from sigc.store.ledger.records import OrderType, TimeInForce
from sigc_pipelines.brokers.alpaca import listing
from sigc_pipelines.brokers.alpaca.answers import account_of, body_of, health_of, order_of, positions_of
from sigc_pipelines.brokers.alpaca.client import AlpacaClient, AnsweredNoError
from sigc_pipelines.brokers.alpaca.pace import ORDER_SHARE
from sigc_pipelines.brokers.alpaca.reports import Reports
from sigc_pipelines.brokers.protocol import (
    Account,
    Activities,
    BrokerHealth,
    BrokerOrder,
    Capabilities,
    OrderRequest,
    OutcomeUnknownError,
    RejectedError,
    UnreachableError,
)

_LONGEST_ID = 48
_TIMES_IN_FORCE = frozenset({TimeInForce.DAY})  # what an immediate order does while it is queued is not documented


class AlpacaBroker:
    """One account at Alpaca. Safe to use from several threads."""

    def __init__(self, client: AlpacaClient, clock: Clock, *, is_live: bool, step: Decimal, per_minute: int) -> None:
        self._client, self._clock = client, clock
        self._reports = Reports(client)
        self._ids: dict[str, str] = {}  # by client order id: the broker's own
        self._can = Capabilities(
            name="alpaca live" if is_live else "alpaca paper",
            is_live=is_live,
            quantity_step=step,
            short_step=Decimal(1),
            times_in_force=_TIMES_IN_FORCE,
            crosses_zero=False,
            frees_on_fill=True,
            orders_per_minute=max(1, int(per_minute * ORDER_SHARE)),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def capabilities(self) -> Capabilities:
        """Return the capabilities; makes no request."""
        return self._can

    def account(self) -> Account:
        """Return the account."""
        return account_of(self._get("/v2/account"))

    def positions(self) -> dict[str, Decimal]:
        """Return the quantity by asset."""
        return positions_of(self._get("/v2/positions"))

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Send an order, once. An order that is refused is looked up first: it may be in the book already."""
        self._check(request)
        try:
            raw = self._client.post("/v2/orders", body_of(request))
        except AnsweredNoError as no:
            return self._known_or_rejected(request, no)
        try:
            return self._known(raw)
        except UnreachableError as broken:
            raise OutcomeUnknownError(f"the order was taken, but its answer can't be read: {broken}") from broken

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order of that id."""
        raw = self._find(client_order_id)
        return None if raw is None else self._known(raw)

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        """Return the orders submitted since then, and every open one."""
        found = {}
        for raw in [*listing.orders(self._client, "open", None), *listing.orders(self._client, "all", since)]:
            order = self._known(raw)
            found[order.broker_order_id] = order
        return tuple(sorted(found.values(), key=lambda order: order.submitted or since))

    def cancel(self, client_order_id: str) -> None:
        """Ask for an order to be cancelled."""
        # An order of our own is known before the broker's reads show it.
        id = self._ids.get(client_order_id)
        if id is None:
            found = self.order(client_order_id)
            if found is None:
                raise RejectedError(f"there is no order {client_order_id}")
            if not found.status.is_open:
                return
            id = found.broker_order_id
        try:
            self._client.delete(f"/v2/orders/{id}")
        except AnsweredNoError as no:
            # 422: it is not open any more, or can't be cancelled in the state that it is in.
            raw = self._find(client_order_id)
            if raw is None:
                raise UnreachableError(f"{no}, and its order is not shown yet") from no
            if raw.get("status") != "pending_cancel" and self._known(raw).status.is_open:
                raise RejectedError(str(no)) from no

    def activities(self, cursor: str) -> Activities:
        """Return fills and charges after a cursor."""
        return self._reports.after(cursor, self._clock.now())

    def health(self) -> BrokerHealth:
        """Return the broker's clock, and the state of the account. Raises UnreachableError."""
        return health_of(self._get("/v2/clock"), self._get("/v2/account"))

    def _known_or_rejected(self, request: OrderRequest, no: AnsweredNoError) -> BrokerOrder:
        # An order that was taken without an answer and is sent again is refused, for its id or because the first one
        # has used the buying power. That is no rejection.
        try:
            found = self.order(request.client_order_id)
        except UnreachableError as silent:
            raise OutcomeUnknownError(f"refused ({no}), and the look for an earlier one failed: {silent}") from silent
        if found is None and "client_order_id" in no.message:
            raise OutcomeUnknownError(f"its id is taken ({no}), and its order is not shown yet")
        if found is None:
            raise RejectedError(str(no)) from no
        if found.request != request:
            raise RejectedError(f"{request.client_order_id} is another order at the broker")
        return found

    def _check(self, request: OrderRequest) -> None:
        """Raise RejectedError for an order that the broker would refuse, or would take as another one."""
        wrong = next((reason for is_wrong, reason in _faults(request, self._can) if is_wrong), None)
        if wrong is not None:
            raise RejectedError(wrong)

    def _known(self, raw: Any) -> BrokerOrder:
        order = order_of(raw)
        self._reports.know(raw)
        self._ids[order.request.client_order_id] = order.broker_order_id
        return order

    def _find(self, client_order_id: str) -> Any:
        try:
            return self._client.find("/v2/orders:by_client_order_id", {"client_order_id": client_order_id})
        except AnsweredNoError as no:
            raise UnreachableError(f"the lookup of {client_order_id} was refused: {no}") from no

    def _get(self, path: str) -> Any:
        try:
            return self._client.get(path)
        except AnsweredNoError as no:
            raise UnreachableError(f"{path}: {no}") from no


def _faults(request: OrderRequest, can: Capabilities) -> Sequence[tuple[bool, str]]:
    """Return what can be wrong with an order, in the order of its checks."""
    quantity, limit, step = request.quantity, request.limit, can.quantity_step
    is_limit = request.order_type is OrderType.LIMIT
    is_quantity = quantity.is_finite() and quantity > 0
    is_price = limit is None or (limit.is_finite() and limit > 0)
    is_step = False
    with suppress(ArithmeticError):
        is_step = is_quantity and quantity % step == 0
    return (
        (not is_quantity, f"the quantity {quantity} is none"),
        (not is_step, f"the quantity {quantity} is no multiple of {step}"),
        (is_limit != (limit is not None), "a limit order has a limit price, and no other order has one"),
        (not is_price, f"the limit {limit} is no price"),
        (request.time_in_force not in can.times_in_force, f"orders of '{request.time_in_force}' are not taken"),
        (not 0 < len(request.client_order_id) <= _LONGEST_ID, f"a client order id has up to {_LONGEST_ID} characters"),
    )
