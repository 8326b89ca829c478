"""The twin against the OpenAPI text of Alpaca's trading API: routes, fields, words, and the rules of its pages.

The table was written down by hand from that text (schemas Account, Order, Position, Clock, Calendar, activities) and is
no part of it. A change there that a client can see must be made here, and in the twin.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sigc.clock import HandClock
from tests.brokers.alpaca_bench import START
from tests.brokers.twin.book import TwinAccount
from tests.brokers.twin.server import KEYS, TwinServer

# Of each route: the fields that an answer must have; where the schema names none as required, those that we read.
FIELDS = {
    "/v2/account": {"id", "status", "cash", "equity", "buying_power", "trading_blocked", "account_blocked"}
    | {"trade_suspended_by_user", "shorting_enabled", "multiplier", "currency", "long_market_value"},
    "/v2/orders": {"id", "client_order_id", "created_at", "submitted_at", "filled_at", "expired_at", "canceled_at"}
    | {"replaced_by", "asset_id", "symbol", "asset_class", "notional", "qty", "filled_qty", "filled_avg_price", "type"}
    | {"order_class", "side", "time_in_force", "limit_price", "stop_price", "status", "extended_hours", "legs"},
    "/v2/positions": {"asset_id", "symbol", "exchange", "asset_class", "avg_entry_price", "qty", "side", "market_value"}
    | {"cost_basis", "unrealized_pl", "unrealized_plpc", "unrealized_intraday_pl", "unrealized_intraday_plpc"}
    | {"current_price", "lastday_price", "change_today", "asset_marginable"},
    "/v2/account/activities/FILL": {"activity_type", "id", "cum_qty", "leaves_qty", "price", "qty", "side", "symbol"}
    | {"transaction_time", "order_id", "type"},
    "/v2/account/activities?activity_types=DIV": {"activity_type", "id", "date", "net_amount", "symbol"},
    "/v2/clock": {"timestamp", "is_open", "next_open", "next_close"},
    "/v2/calendar": {"date", "open", "close", "session_open", "session_close"},
}
WORDS = {
    "status": {"new", "partially_filled", "filled", "done_for_day", "canceled", "expired", "replaced", "pending_cancel"}
    | {"pending_replace", "accepted", "pending_new", "accepted_for_bidding", "stopped", "rejected", "suspended"}
    | {"calculated"},
    "type": {"market", "limit", "stop", "stop_limit", "trailing_stop"},
    "side": {"buy", "sell"},
    "time_in_force": {"day", "gtc", "opg", "cls", "ioc", "fok"},
    "order_class": {"simple", "bracket", "oco", "oto", ""},
}
NUMBERS = {"cash", "equity", "buying_power", "qty", "filled_qty", "price", "cum_qty", "leaves_qty", "net_amount"}


class Twin:
    """The twin, and a plain client that knows nothing of sigc."""

    def __init__(self) -> None:
        self.clock = HandClock(START)
        self.account = TwinAccount(self.clock.now, {"A": Decimal(100), "B": Decimal(50), "W": Decimal(10)})
        self.account.whole_only = frozenset({"W"})
        self.server = TwinServer(self.account)
        names = ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY")
        self.http = httpx.Client(base_url=self.server.url, headers=dict(zip(names, KEYS, strict=True)), trust_env=False)

    def order(self, symbol: str, side: str, qty: str, id: str, **more: str) -> httpx.Response:
        body = {"symbol": symbol, "side": side, "qty": qty, "type": "market", "time_in_force": "day"}
        return self.http.post("/v2/orders", json=body | {"client_order_id": id} | more)

    def trade(self) -> None:
        self.account.trade(dict(self.account.prices), {})
        self.clock.sleep(1)

    def get(self, path: str) -> Any:
        found = self.http.get(path)
        assert found.status_code == 200, found.text
        return found.json()


@pytest.fixture
def twin() -> Iterator[Twin]:
    twin = Twin()
    yield twin
    twin.http.close()
    twin.server.hang_up()


def refused(answer: httpx.Response, status: int, word: str) -> None:
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert isinstance(said["code"], int)
    assert word in said["message"]


def test_answers_have_the_fields_and_words_of_the_text(twin: Twin) -> None:
    assert twin.order("A", "buy", "10", "one").status_code == 200
    assert twin.order("B", "sell", "5", "two", type="limit", limit_price="50.01").status_code == 200
    twin.trade()
    twin.account.pay("DIV", Decimal("1.5"), "A")
    for path, fields in FIELDS.items():
        found = twin.get("/v2/orders?status=all" if path == "/v2/orders" else path)
        rows = found if isinstance(found, list) else [found]
        assert rows, path
        for row in rows:
            assert fields <= row.keys(), path
            for name in NUMBERS & row.keys():
                assert row[name] is None or isinstance(row[name], str), f"{path}: numbers are text: {name}"
            if path == "/v2/orders":
                assert all(row[name] in words for name, words in WORDS.items())
    assert {row["type"] for row in twin.get("/v2/account/activities/FILL")} <= {"fill", "partial_fill"}
    quotes = twin.get("/v2/stocks/quotes/latest?symbols=A,B")["quotes"]
    assert quotes.keys() == {"A", "B"}


def test_an_order_is_found_by_both_ids_and_a_cancel_is_204(twin: Twin) -> None:
    placed = twin.order("A", "buy", "10", "one").json()
    assert placed["status"] == "accepted", "outside of the session it waits"
    assert twin.get(f"/v2/orders/{placed['id']}") == placed
    assert twin.get("/v2/orders:by_client_order_id?client_order_id=one") == placed
    assert twin.http.get("/v2/orders:by_client_order_id?client_order_id=none").status_code == 404
    assert twin.http.delete(f"/v2/orders/{placed['id']}").status_code == 204
    assert twin.http.delete(f"/v2/orders/{placed['id']}").status_code == 422
    assert twin.get("/v2/orders") == []
    assert twin.get("/v2/orders?status=closed")[0]["status"] == "canceled"
    refused(twin.order("A", "buy", "10", "one"), 422, "client_order_id must be unique")


def test_an_order_does_not_cross_zero(twin: Twin) -> None:
    twin.order("A", "buy", "10", "one")
    twin.trade()
    refused(twin.order("A", "sell", "11", "two"), 403, "insufficient qty available")
    assert twin.order("A", "sell", "6", "three").status_code == 200
    refused(twin.order("A", "sell", "5", "four"), 403, "available: 4")
    twin.trade()
    assert twin.order("A", "sell", "4", "five").status_code == 200
    twin.trade()
    assert twin.order("A", "sell", "3", "six").status_code == 200
    twin.trade()
    assert twin.get("/v2/positions")[0]["qty"] == "-3"
    refused(twin.order("A", "buy", "4", "seven"), 403, "insufficient qty available")


def test_opposite_orders_are_a_wash(twin: Twin) -> None:
    twin.order("A", "buy", "10", "one")
    refused(twin.order("A", "sell", "1", "two"), 403, "wash trade")


def test_sales_give_buying_power_back_when_they_fill(twin: Twin) -> None:
    def power() -> Decimal:
        return Decimal(twin.get("/v2/account")["buying_power"])

    whole = power()
    assert whole == 2_000_000
    twin.order("A", "buy", "1000", "one")
    assert power() == whole - 103_000
    twin.trade()
    assert power() == whole - 100_000
    twin.order("A", "sell", "1000", "two")
    assert power() == whole - 100_000
    twin.trade()
    assert power() == whole
    refused(twin.order("A", "buy", "19418", "three"), 403, "insufficient buying power")  # 19,418 x 103 > 2,000,000
    assert twin.order("A", "buy", "19417", "four").status_code == 200


def test_fractions_keep_to_their_rules(twin: Twin) -> None:
    assert twin.order("A", "buy", "1.5", "one").status_code == 200
    refused(twin.order("A", "buy", "1.5", "two", time_in_force="gtc"), 422, "DAY")
    refused(twin.order("B", "sell", "1.5", "three"), 403, "short")
    refused(twin.order("W", "buy", "1.5", "four"), 403, "not fractionable")
    refused(twin.order("A", "buy", "0.001", "five"), 403, "minimal amount")
    refused(twin.order("A", "buy", "1", "six", type="limit", limit_price="100.001"), 422, "sub-penny")
    refused(twin.order("NONE", "buy", "1", "seven"), 422, "not found")


def test_a_day_ends(twin: Twin) -> None:
    twin.order("A", "buy", "10", "one", type="limit", limit_price="90")
    twin.trade()
    twin.account.end_day()
    assert twin.get("/v2/orders?status=all")[0]["status"] == "expired"


def test_requests_are_counted_and_keys_asked_for(twin: Twin) -> None:
    wrong = twin.http.get("/v2/account", headers={"APCA-API-SECRET-KEY": "other"})
    assert (wrong.status_code, wrong.json()["message"]) == (401, "unauthorized.")
    twin.server.per_minute = 3
    codes = [twin.http.get("/v2/clock") for _ in range(5)]
    assert [one.status_code for one in codes] == [200, 200, 200, 429, 429]
    assert codes[-1].headers["X-RateLimit-Remaining"] == "0"
    assert int(codes[-1].headers["X-RateLimit-Reset"]) > 0


def test_a_blocked_account_takes_no_order(twin: Twin) -> None:
    twin.account.trading_blocked = True
    refused(twin.order("A", "buy", "1", "one"), 403, "not authorized")
    twin.account.trading_blocked, twin.account.status = False, "ACCOUNT_CLOSED"
    refused(twin.order("A", "buy", "1", "two"), 403, "not authorized")


def test_lists_come_in_pages(twin: Twin) -> None:
    for number in range(4):
        twin.order("A", "buy", str(number + 1), f"o{number}")
        twin.trade()
    up = twin.get("/v2/account/activities/FILL?direction=asc&page_size=3")
    assert [row["qty"] for row in up] == ["1", "2", "3"]
    rest = twin.get(f"/v2/account/activities/FILL?direction=asc&page_size=3&page_token={up[-1]['id']}")
    assert [row["qty"] for row in rest] == ["4"]
    assert [row["qty"] for row in twin.get("/v2/account/activities/FILL?page_size=2")] == ["4", "3"]
    after = (START + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    listed = twin.get(f"/v2/orders?status=all&direction=asc&after={after}")
    assert [row["client_order_id"] for row in listed] == ["o2", "o3"]
    assert twin.http.get("/v2/orders?limit=501").status_code == 422
