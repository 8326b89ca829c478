"""Alpaca's JSON as our records, and our orders as its JSON.

Fields, statuses and activity types are those of the OpenAPI text of the trading API (schemas Account, Order, Position,
TradingActivities, NonTradeActivities) and of the pages on orders and account activities.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from sigc.store.ledger.records import ZERO, Charge, Fill, OrderType, Side, TimeInForce
from sigc_pipelines.brokers.protocol import (
    Account,
    BrokerHealth,
    BrokerOrder,
    OrderRequest,
    OrderStatus,
    UnreachableError,
)

_ENDED = {
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    "replaced": OrderStatus.CANCELLED,
}
# Activity types that are money of the account's business. Deposits, withdrawals and journals are not, and what changes
# positions (splits, mergers, names, spin-offs, cash for fractions) is left to the actions of the data, or shows as a
# difference between ledger and broker.
CHARGES = {
    **dict.fromkeys(("DIV", "DIVCGL", "DIVCGS", "DIVROC", "DIVTXEX"), "dividend"),
    **dict.fromkeys(("DIVFT", "DIVNRA", "DIVTW", "DIVWH", "WH", "INTNRA", "INTTW"), "tax"),
    **dict.fromkeys(("INT",), "interest"),
    **dict.fromkeys(("FEE", "DIVFEE", "PTC", "PTR"), "fee"),
}
Raw = Mapping[str, Any]


def body_of(request: OrderRequest) -> dict[str, str]:
    """Return an order as the body of its POST; numbers are text, as the documentation recommends."""
    body = {
        "symbol": request.asset,
        "qty": plain(request.quantity),
        "side": request.side.value,
        "type": request.order_type.value,
        "time_in_force": request.time_in_force.value,
        "client_order_id": request.client_order_id,
    }
    return body if request.limit is None else body | {"limit_price": plain(request.limit)}


def account_of(raw: Raw) -> Account:
    """Return the account. Raises UnreachableError for an answer that lacks a number."""
    return Account(*(number(raw, name) for name in ("cash", "equity", "buying_power")))


def health_of(clock: Raw, account: Raw) -> BrokerHealth:
    """Return clock and account as the broker's health. Raises UnreachableError."""
    at, opens, closes = (instant(text(clock, name)) for name in ("timestamp", "next_open", "next_close"))
    return BrokerHealth(at, clock.get("is_open") is True, opens, closes, trouble_of(account))


def trouble_of(raw: Raw) -> tuple[str, ...]:
    """Return the reasons why an account can't trade; none if it can.

    >>> trouble_of({"status": "ACTIVE", "trading_blocked": True})
    ('trading_blocked',)
    """
    flags = ("trading_blocked", "account_blocked", "trade_suspended_by_user")
    status = str(raw.get("status", "without a status"))
    return (*(() if status == "ACTIVE" else (f"status {status}",)), *(flag for flag in flags if raw.get(flag) is True))


def positions_of(raw: Any) -> dict[str, Decimal]:
    """Return the quantity by asset. Short ones are negative, whichever sign they were sent with."""
    found = {}
    for each in raw:
        size = abs(number(each, "qty"))
        quantity = -size if each.get("side") == "short" or number(each, "qty") < 0 else size
        if quantity:
            found[text(each, "symbol")] = quantity
    return dict(sorted(found.items()))


def order_of(raw: Raw) -> BrokerOrder:
    """Return an order. What sigc can't send (a stop, an amount of money) is shown as the nearest that it can."""
    filled = number(raw, "filled_qty")
    limit = number(raw, "limit_price") if raw.get("limit_price") is not None else None
    request = OrderRequest(
        client_order_id=text(raw, "client_order_id"),
        asset=text(raw, "symbol"),
        side=Side(text(raw, "side")),
        quantity=number(raw, "qty") if raw.get("qty") is not None else filled,
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit=limit,
        time_in_force=TimeInForce.IOC if raw.get("time_in_force") == "ioc" else TimeInForce.DAY,
    )
    status = text(raw, "status")
    # A status that is not known is no end: an order must not be given up because of a new word.
    is_open = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.NEW
    message = f"replaced by {raw.get('replaced_by')} at the broker" if status == "replaced" else ""
    submitted = raw.get("submitted_at") or raw.get("created_at")
    return BrokerOrder(
        request=request,
        broker_order_id=text(raw, "id"),
        status=_ENDED.get(status, is_open),
        filled=filled,
        submitted=None if submitted is None else instant(str(submitted)),
        message=message,
    )


def fill_of(raw: Raw, client_order_id: str) -> Fill:
    """Return an activity FILL. Alpaca charges no commission on it; fees come as activities of their own."""
    return Fill(
        execution_id=text(raw, "id"),
        client_order_id=client_order_id,
        asset=text(raw, "symbol"),
        side=Side.BUY if text(raw, "side") == "buy" else Side.SELL,  # a short sale may be told as 'sell_short'
        quantity=number(raw, "qty"),
        price=number(raw, "price"),
        commission=ZERO,
        at=instant(text(raw, "transaction_time")),
    )


def charge_of(raw: Raw) -> Charge | None:
    """Return an activity that is money, None for one that was cancelled, is of no amount, or is of another kind."""
    kind = CHARGES.get(text(raw, "activity_type"))
    if kind is None or raw.get("status") == "canceled" or raw.get("net_amount") is None:
        return None
    amount = number(raw, "net_amount")
    at = day_of(text(raw, "date"))
    return Charge(text(raw, "id"), kind, str(raw.get("symbol") or ""), amount, at) if amount else None


def plain(value: Decimal) -> str:
    """Return a number as text without an exponent.

    >>> plain(Decimal("1E+2")), plain(Decimal("0.500"))
    ('100', '0.5')
    """
    return format(value.normalize(), "f")


def number(raw: Raw, name: str) -> Decimal:
    """Return a field that must be a finite number. Raises UnreachableError: the answer can't be used."""
    with suppress(InvalidOperation, TypeError, ValueError):
        found = Decimal(raw[name]) if name in raw else None
        if found is not None and found.is_finite():
            return found
    raise UnreachableError(f"the broker's answer has no number '{name}': {raw.get(name)!r}")


def text(raw: Raw, name: str) -> str:
    """Return a field that must be text. Raises UnreachableError."""
    found = raw.get(name)
    if not isinstance(found, str) or not found:
        raise UnreachableError(f"the broker's answer has no text '{name}': {found!r}")
    return found


def instant(said: str) -> datetime:
    """Return an instant in UTC. Raises UnreachableError.

    >>> instant("2024-01-02T10:00:00.123456789-05:00")
    datetime.datetime(2024, 1, 2, 15, 0, 0, 123456, tzinfo=datetime.timezone.utc)
    """
    try:
        found = datetime.fromisoformat(said)
    except ValueError as wrong:
        raise UnreachableError(f"the broker's answer has a malformed time: {said!r}") from wrong
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def day_of(said: str) -> datetime:
    """Return the beginning of a day, in UTC. Raises UnreachableError."""
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(said[:10]), time(), UTC)
    raise UnreachableError(f"the broker's answer has a malformed date: {said!r}")
