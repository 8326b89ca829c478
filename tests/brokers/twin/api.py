"""The routes of the twin: what each path answers, from the account."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.brokers.twin.book import Answer, TwinAccount, TwinOrder, stamp

_SPACE = uuid.UUID("b0b6dd9d-8b9b-48a9-ba46-b9d54906e415")
Query = Mapping[str, str]


def answer(account: TwinAccount, method: str, path: str, query: Query, body: Mapping[str, Any]) -> Answer:
    """The answer to a request."""
    with account.turn:
        account.catch_up()
        found = re.fullmatch(r"/v2/orders/([0-9a-f-]{36})", path)
        match method, path:
            case "GET", "/v2/account":
                return 200, _account(account)
            case "GET", "/v2/positions":
                return 200, [_position(account, symbol, qty) for symbol, qty in account.positions.items()]
            case "POST", "/v2/orders":
                return account.submit(body)
            case "GET", "/v2/orders":
                return _orders(account, query)
            case "GET", "/v2/orders:by_client_order_id":
                return _one(account, account.orders.get(query.get("client_order_id", "")))
            case "GET", _ if found:
                return _one(account, next((o for o in account.orders.values() if o.id == found[1]), None))
            case "DELETE", _ if found:
                return account.cancel(found[1])
            case "GET", "/v2/clock":
                at = account.now()
                opens, closes = at + timedelta(hours=1), at + timedelta(hours=7)
                said = {"timestamp": stamp(at), "is_open": account.is_open}
                return 200, said | {"next_open": stamp(opens), "next_close": stamp(closes)}
            case "GET", "/v2/calendar":
                day = account.now().date().isoformat()
                said = {"date": day, "open": "09:30", "close": "16:00"}
                return 200, [said | {"session_open": "0700", "session_close": "1900"}]
            case "GET", "/v2/stocks/quotes/latest":  # of the market data API; here so that one server does
                asked = query.get("symbols", "").split(",")
                quotes = {
                    s: {"t": stamp(account.now()), "ap": str(p), "bp": str(p)}
                    for s, p in account.prices.items()
                    if s in asked
                }
                return 200, {"quotes": quotes}
            case "GET", _ if path.startswith("/v2/account/activities"):
                return _activities(account, path.removeprefix("/v2/account/activities").lstrip("/"), query)
    return 404, {"code": 40410000, "message": "endpoint not found."}


def _account(account: TwinAccount) -> dict[str, Any]:
    held = {s: q * account.prices[s] for s, q in account.positions.items()}
    long = sum((v for v in held.values() if v > 0), Decimal(0))
    short = sum((v for v in held.values() if v < 0), Decimal(0))
    return {
        "id": str(uuid.uuid5(_SPACE, "account")),
        "account_number": "010203ABCD",
        "status": account.status,
        "currency": "USD",
        "cash": str(account.cash),
        "equity": str(account.equity()),
        "last_equity": str(account.equity()),
        "portfolio_value": str(account.equity()),
        "buying_power": str(account.buying_power()),
        "multiplier": str(account.multiplier),
        "long_market_value": str(long),
        "short_market_value": str(short),
        "shorting_enabled": account.shorting_enabled,
        "trading_blocked": account.trading_blocked,
        "account_blocked": False,
        "transfers_blocked": False,
        "trade_suspended_by_user": False,
        "pattern_day_trader": False,
        "daytrade_count": 0,
    }


def _position(account: TwinAccount, symbol: str, qty: Decimal) -> dict[str, Any]:
    price = account.prices[symbol]
    value, zero = str(qty * price), "0"
    return {
        "asset_id": str(uuid.uuid5(_SPACE, symbol)),
        "symbol": symbol,
        "exchange": "NASDAQ",
        "asset_class": "us_equity",
        "asset_marginable": True,
        "avg_entry_price": str(price),
        "qty": str(qty),
        "qty_available": str(qty),
        "side": "long" if qty > 0 else "short",
        "market_value": value,
        "cost_basis": value,
        "unrealized_pl": zero,
        "unrealized_plpc": zero,
        "unrealized_intraday_pl": zero,
        "unrealized_intraday_plpc": zero,
        "current_price": str(price),
        "lastday_price": str(price),
        "change_today": zero,
    }


def _one(account: TwinAccount, order: TwinOrder | None) -> Answer:
    if order is None or order.visible > account.now():
        return 404, {"code": 40410000, "message": "order not found"}
    return 200, account.shown(order)


def _orders(account: TwinAccount, query: Query) -> Answer:
    limit = int(query.get("limit", "50"))
    if not 0 < limit <= 500:
        return 422, {"code": 40010001, "message": "limit must be at most 500"}
    wanted, found = query.get("status", "open"), []
    for order in sorted(account.orders.values(), key=lambda o: o.submitted):
        is_open = order.open > 0
        if order.visible > account.now() or (wanted != "all" and (wanted == "open") is not is_open):
            continue
        if "after" in query and order.submitted <= datetime.fromisoformat(query["after"]):
            continue
        if "until" in query and order.submitted >= datetime.fromisoformat(query["until"]):
            continue
        found.append(account.shown(order))
    return 200, (found if query.get("direction") == "asc" else found[::-1])[:limit]


def _activities(account: TwinAccount, kind: str, query: Query) -> Answer:
    kinds = [kind] if kind else [k for k in query.get("activity_types", "").split(",") if k]
    size, token = int(query.get("page_size", "100")), query.get("page_token", "")
    if size > 100:
        return 422, {"code": 40010001, "message": "page_size must be at most 100"}
    shown = [said for visible, said in account.activities if visible <= account.now()]
    shown = [said for said in shown if not kinds or said["activity_type"] in kinds]
    if "after" in query:
        shown = [s for s in shown if (s.get("date") or s["transaction_time"][:10]) > query["after"][:10]]
    shown.sort(key=lambda said: said["id"], reverse=query.get("direction", "desc") == "desc")
    if token:
        is_up = query.get("direction") == "asc"
        shown = [s for s in shown if (s["id"] > token if is_up else s["id"] < token)]
    return 200, shown[:size]
