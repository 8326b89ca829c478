"""Alpaca's client and broker answer by answer: each status, header and body by hand, over a real connection."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sigc.clock import HandClock
from sigc.config.broker_settings import AlpacaSettings
from sigc.errors import SigcError
from sigc.store.ledger.records import OrderType, Side, TimeInForce
from sigc_pipelines.brokers.alpaca import client as module
from sigc_pipelines.brokers.alpaca import listing
from sigc_pipelines.brokers.alpaca.broker import AlpacaBroker
from sigc_pipelines.brokers.alpaca.client import AlpacaClient, AnsweredNoError
from sigc_pipelines.brokers.alpaca.opening import open_alpaca
from sigc_pipelines.brokers.protocol import (
    BrokerError,
    OrderRequest,
    OrderStatus,
    OutcomeUnknownError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from tests.brokers.scripted_server import Said, ScriptedServer

D = Decimal
NOW = datetime(2024, 1, 2, 15, tzinfo=UTC)
BUY = OrderRequest("one", "ALPHA", Side.BUY, D(10))
KEYS = {"key_id": "key", "secret_key": "secret"}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    made = ScriptedServer()
    yield made
    made.close()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[AlpacaClient]:
    made = AlpacaClient(server.url, "key", "secret", timeout_s=5.0, per_minute=1_000_000)
    yield made
    made.close()


@pytest.fixture
def broker(server: ScriptedServer) -> Iterator[AlpacaBroker]:
    made = opened(server.url)
    yield made
    made.close()


def opened(url: str = "", **given: Any) -> AlpacaBroker:
    settings = AlpacaSettings.model_validate({**KEYS, "requests_per_minute": 1_000_000, "base_url": url, **given})
    return open_alpaca(settings, HandClock(NOW), timeout_s=5.0, connections=2)


def raw(id: str = "one", status: str = "new", **more: object) -> dict[str, object]:
    """An order as the broker tells it: a purchase of 10 ALPHA."""
    said = {"id": f"b-{id}", "client_order_id": id, "symbol": "ALPHA", "side": "buy", "qty": "10", "filled_qty": "0"}
    said |= {"type": "market", "time_in_force": "day", "submitted_at": "2024-01-02T14:00:00Z"}
    return {**said, "status": status, **more}


# What leaves.


def test_an_order_and_a_read_as_they_leave(server: ScriptedServer, client: AlpacaClient) -> None:
    server.says(Said({"qty": 0.1, "n": 3}), Said([]))
    assert client.post("/v2/orders", {"symbol": "A"}) == {"qty": D("0.1"), "n": D(3)}
    assert client.get("/v2/orders", {"status": "open"}) == []
    sent, read = server.asked
    assert (sent.method, sent.path, json.loads(sent.body)) == ("POST", "/v2/orders", {"symbol": "A"})
    assert (read.method, read.path, read.params, read.body) == ("GET", "/v2/orders", {"status": "open"}, b"")
    assert (sent.headers["content-type"], "content-type" in read.headers) == ("application/json", False)
    for headers in (sent.headers, read.headers):
        assert (headers["apca-api-key-id"], headers["apca-api-secret-key"]) == ("key", "secret")
        assert headers["accept"] == "application/json"


def test_a_read_that_has_nothing_to_say(server: ScriptedServer, client: AlpacaClient) -> None:
    server.says(Said(b"", 204), Said(b"", 200))
    client.delete("/v2/orders/1")
    assert client.get("/v2/clock") is None
    assert [(one.method, one.path) for one in server.asked] == [("DELETE", "/v2/orders/1"), ("GET", "/v2/clock")]


def test_requests_are_not_logged(server: ScriptedServer) -> None:
    logging.getLogger("httpx").setLevel(logging.INFO)
    made = AlpacaClient(server.url, "key", "secret", timeout_s=5.0, per_minute=100)
    made.close()
    assert logging.getLogger("httpx").level == logging.WARNING


def test_a_proxy_is_not_between_us_and_ourselves(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is asked for any other address."""
    proxy = ScriptedServer()
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    try:
        server.says(Said({"n": 1}))
        near = AlpacaClient(server.url, "key", "secret", timeout_s=5.0, per_minute=100)
        assert near.get("/v2/clock") == {"n": 1}
        proxy.says(Said({"n": 2}))
        far = AlpacaClient("http://far.example", "key", "secret", timeout_s=5.0, per_minute=100)
        assert far.get("/v2/clock") == {"n": 2}
        near.close()
        far.close()
    finally:
        proxy.close()


def test_a_client_that_is_closed_sends_nothing(server: ScriptedServer) -> None:
    broker = opened(server.url)
    broker.close()
    with pytest.raises(RuntimeError, match="closed"):
        broker.account()
    assert server.asked == []


# What each status means.


@pytest.mark.parametrize(
    ("status", "read", "order"),
    [
        (200, None, None),
        (299, None, None),
        (300, UnreachableError, OutcomeUnknownError),
        (302, UnreachableError, OutcomeUnknownError),
        (400, AnsweredNoError, AnsweredNoError),
        (401, UnreachableError, RejectedError),
        (402, AnsweredNoError, AnsweredNoError),
        (404, AnsweredNoError, AnsweredNoError),
        (429, UnreachableError, ThrottledError),
        (430, AnsweredNoError, AnsweredNoError),
        (499, AnsweredNoError, AnsweredNoError),
        (500, UnreachableError, OutcomeUnknownError),
        (504, UnreachableError, OutcomeUnknownError),
    ],
)
def test_a_status(
    server: ScriptedServer, client: AlpacaClient, status: int, read: type | None, order: type | None
) -> None:
    server.says(*[Said({"message": "well"}, status, {"Location": "/v2/elsewhere"})] * 2)
    asks: tuple[tuple[type | None, Callable[[], Any]], ...] = (
        (read, lambda: client.get("/v2/x")),
        (order, lambda: client.post("/v2/x", {})),
    )
    for kind, ask in asks:
        if kind is None:
            assert ask() == {"message": "well"}
            continue
        with pytest.raises(BrokerError) as told:
            ask()
        assert type(told.value) is kind
        assert f"well ({status})" in str(told.value)
        if isinstance(told.value, AnsweredNoError):
            assert (told.value.status, told.value.message) == (status, "well")
    assert [one.path for one in server.asked] == ["/v2/x"] * 2  # and no other address is followed


def test_what_is_not_there_is_none_and_any_other_no_is_one(server: ScriptedServer, client: AlpacaClient) -> None:
    server.says(Said({}, 404), Said({}, 403), Said({"n": 1}))
    assert client.find("/v2/x") is None
    with pytest.raises(AnsweredNoError):
        client.find("/v2/x")
    assert client.find("/v2/x", {"a": "b"}) == {"n": 1}
    assert server.asked[-1].params == {"a": "b"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"message": "no shares"}', "no shares (403)"),
        (b'{"message": 7}', '{"message": 7} (403)'),
        (b'["message"]', '["message"] (403)'),
        (b"  gate way\n", "gate way (403)"),
        (b"x" * 201, "x" * 200 + " (403)"),
        (b"\xff", "\N{REPLACEMENT CHARACTER} (403)"),
        (b"", "no message (403)"),
    ],
)
def test_the_words_of_a_refusal(server: ScriptedServer, client: AlpacaClient, body: bytes, text: str) -> None:
    server.says(Said(body, 403))
    with pytest.raises(AnsweredNoError) as told:
        client.get("/v2/x")
    assert str(told.value) == text


def test_wrong_keys(server: ScriptedServer, client: AlpacaClient) -> None:
    server.says(Said({"message": "forbidden"}, 401))
    with pytest.raises(UnreachableError) as told:
        client.get("/v2/x")
    assert str(told.value) == (
        "forbidden (401): broker.alpaca.key_id and secret_key are not accepted: paper and live accounts have keys of"
        " their own"
    )


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry-After": "7"}, 7.0, 7.0),
        ({"Retry-After": "0"}, 0.1, 0.1),
        ({"Retry-After": "900"}, 60.0, 60.0),
        ({"Retry-After": "soon"}, 1.0, 1.0),
        ({"Retry-After": "+20 s"}, 15.0, 20.0),
        ({"X-RateLimit-Reset": "+20"}, 15.0, 20.0),
        ({"X-RateLimit-Reset": "-20"}, 0.1, 0.1),
        ({"Retry-After": "7", "X-RateLimit-Reset": "+20"}, 7.0, 7.0),
        ({"X-RateLimit-Reset": "later"}, 1.0, 1.0),
        ({}, 1.0, 1.0),
    ],
)
def test_how_long_a_refusal_asks_to_wait(
    server: ScriptedServer, client: AlpacaClient, headers: dict[str, str], low: float, high: float
) -> None:
    """`+20` is an instant in 20 seconds, as each header tells one."""
    now = time.time()
    said = {}
    for name, text in headers.items():
        if text.startswith(("+", "-")):
            at = now + float(text.removesuffix(" s"))
            text = f"{at:.3f}" if name == "X-RateLimit-Reset" else format_datetime(datetime.fromtimestamp(at, UTC))
        said[name] = text
    server.says(Said({}, 429, said))
    with pytest.raises(ThrottledError) as told:
        client.post("/v2/orders", {})
    assert low <= told.value.retry_after_s <= high


# Answers that are none.


def test_an_answer_that_is_not_json_or_breaks_off(server: ScriptedServer, client: AlpacaClient) -> None:
    server.says(Said(b"{"), Said(b"{"), Said(b"{}", promised=50), Said(b"{}", promised=50))
    for told_of in ("/v2/x: the answer is not JSON", "the answer is not JSON"):
        with pytest.raises(UnreachableError if told_of[0] == "/" else OutcomeUnknownError, match=told_of):
            client.get("/v2/x") if told_of[0] == "/" else client.post("/v2/x", {})
    with pytest.raises(UnreachableError, match="^/v2/x: RemoteProtocolError: "):
        client.get("/v2/x")
    with pytest.raises(OutcomeUnknownError, match="^no answer: RemoteProtocolError: "):
        client.post("/v2/x", {})


def test_a_failure_without_words_has_its_name() -> None:
    """As a wait for a connection that none was free for."""
    assert module._said(httpx.PoolTimeout("")) == "PoolTimeout"
    assert module._said(httpx.ConnectError("refused")) == "ConnectError: refused"


def test_an_answer_that_is_too_long_is_given_up(
    server: ScriptedServer, client: AlpacaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a most that is smaller here: 100 bytes pass, 101 do not."""
    assert module._MOST_BYTES == 67_108_864
    monkeypatch.setattr(module, "_MOST_BYTES", 100)
    server.says(Said(b'"' + b"x" * 98 + b'"'), Said(b'"' + b"x" * 99 + b'"'))
    assert client.get("/v2/x") == "x" * 98
    with pytest.raises(UnreachableError, match="the answer took longer than 5 s, or is too long"):
        client.get("/v2/x")


def test_our_own_limit_keeps_a_read_and_an_order_here(server: ScriptedServer) -> None:
    few = AlpacaClient(server.url, "key", "secret", timeout_s=5.0, per_minute=4)
    server.says(Said({}))
    few.post("/v2/orders", {})
    with pytest.raises(ThrottledError, match="our own limit") as told:
        few.post("/v2/orders", {})
    assert 10 < told.value.retry_after_s <= 20  # one at once, three over the minute
    with pytest.raises(UnreachableError, match="our own limit"):
        few.get("/v2/account")
    assert len(server.asked) == 1
    few.close()


# The broker.


def test_an_order_that_is_taken(server: ScriptedServer, broker: AlpacaBroker) -> None:
    server.says(Said(raw()))
    order = broker.submit(BUY)
    assert (order.request, order.broker_order_id, order.status) == (BUY, "b-one", OrderStatus.NEW)
    server.says(Said({"id": "b-two"}))
    with pytest.raises(OutcomeUnknownError, match="the order was taken, but its answer can't be read"):
        broker.submit(OrderRequest("two", "ALPHA", Side.BUY, D(10)))


def test_an_order_that_is_refused_is_looked_up(server: ScriptedServer, broker: AlpacaBroker) -> None:
    no, taken = Said({"message": "no shares"}, 403), Said({"message": "client_order_id must be unique"}, 422)
    for answers, kind, text in (
        ((no, Said({}, 404)), RejectedError, "no shares (403)"),
        ((taken, Said({}, 404)), OutcomeUnknownError, "its id is taken"),
        ((no, Said({}, 500)), OutcomeUnknownError, "the look for an earlier one failed"),
        ((no, Said({}, 403)), OutcomeUnknownError, "the look for an earlier one failed"),
        ((no, Said(raw(qty="9"))), RejectedError, "one is another order at the broker"),
        ((taken, Said(raw(qty="9"))), RejectedError, "one is another order at the broker"),
    ):
        server.says(*answers)
        with pytest.raises(BrokerError) as told:
            broker.submit(BUY)
        assert type(told.value) is kind
        assert text in str(told.value)
    server.says(taken, Said(raw()))
    assert broker.submit(BUY).broker_order_id == "b-one"
    assert (server.asked[-1].path, server.asked[-1].params) == (
        "/v2/orders:by_client_order_id",
        {"client_order_id": "one"},
    )


def test_an_order_is_found_or_not(server: ScriptedServer, broker: AlpacaBroker) -> None:
    server.says(Said(raw(status="filled", filled_qty="10")), Said({}, 404))
    found = broker.order("one")
    assert found is not None
    assert (found.status, found.filled) == (OrderStatus.FILLED, D(10))
    assert broker.order("two") is None


def test_money_positions_and_health(server: ScriptedServer, broker: AlpacaBroker) -> None:
    account = {"cash": "1", "equity": "2", "buying_power": "3", "status": "ACTIVE"}
    server.says(Said(account), Said([{"symbol": "A", "qty": "5", "side": "long"}]))
    assert broker.account().equity == 2
    assert broker.positions() == {"A": D(5)}
    clock = {"timestamp": "2024-01-02T15:00:00Z", "is_open": True}
    clock |= {"next_open": "2024-01-03T14:30:00Z", "next_close": "2024-01-02T21:00:00Z"}
    server.says(Said(clock), Said(account))
    assert broker.health().at == NOW
    server.says(Said({"message": "no"}, 403))
    with pytest.raises(UnreachableError, match=r"/v2/account: no \(403\)"):
        broker.account()
    assert [one.path for one in server.asked] == [
        *("/v2/account", "/v2/positions", "/v2/clock", "/v2/account", "/v2/account"),
    ]


def test_orders_are_those_that_are_open_and_those_since(server: ScriptedServer, broker: AlpacaBroker) -> None:
    """By submission; each once, as it was told last. One without an instant is as of the begin."""
    old, new = raw("old", submitted_at="2023-12-01T10:00:00Z"), raw("new", submitted_at="2024-01-02T14:30:00Z")
    bare = raw("bare", submitted_at=None)
    server.says(Said([new, bare, old]), Said([{**new, "status": "canceled"}]))
    found = broker.orders(NOW - timedelta(hours=1))
    assert [(o.request.client_order_id, o.status) for o in found] == [
        ("old", OrderStatus.NEW),
        ("bare", OrderStatus.NEW),
        ("new", OrderStatus.CANCELLED),
    ]
    asked = {"limit": "500", "direction": "asc", "nested": "false"}
    assert [one.params for one in server.asked] == [
        {**asked, "status": "open"},
        {**asked, "status": "all", "after": "2024-01-02T13:59:59.999999Z"},
    ]


def paths(server: ScriptedServer) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in server.asked]


LOOK, CANCEL = ("GET", "/v2/orders:by_client_order_id"), ("DELETE", "/v2/orders/b-one")


def test_a_cancel_of_an_order_of_ours_needs_no_look(server: ScriptedServer, broker: AlpacaBroker) -> None:
    server.says(Said(raw()), Said(b"", 204))
    broker.submit(BUY)
    broker.cancel("one")
    assert paths(server) == [("POST", "/v2/orders"), CANCEL]


@pytest.mark.parametrize(
    ("answers", "error", "asked"),
    [
        ([Said({}, 404)], (RejectedError, "there is no order one"), [LOOK]),
        ([Said(raw(status="filled", filled_qty="10"))], None, [LOOK]),
        ([Said(raw()), Said(b"", 204)], None, [LOOK, CANCEL]),
        # Refused: not open any more; about to be cancelled; open all the same; gone from sight.
        ([Said(raw()), Said({}, 422), Said(raw(status="canceled"))], None, [LOOK, CANCEL, LOOK]),
        ([Said(raw()), Said({}, 422), Said(raw(status="pending_cancel"))], None, [LOOK, CANCEL, LOOK]),
        ([Said(raw()), Said({"message": "no"}, 422), Said(raw())], (RejectedError, "no (422)"), [LOOK, CANCEL, LOOK]),
        ([Said(raw()), Said({}, 422), Said({}, 404)], (UnreachableError, "is not shown yet"), [LOOK, CANCEL, LOOK]),
    ],
)
def test_a_cancel(
    server: ScriptedServer,
    broker: AlpacaBroker,
    answers: list[Said],
    error: tuple[type[Exception], str] | None,
    asked: list[tuple[str, str]],
) -> None:
    server.says(*answers)
    if error is None:
        broker.cancel("one")
    else:
        with pytest.raises(BrokerError) as told:
            broker.cancel("one")
        assert type(told.value) is error[0]
        assert error[1] in str(told.value)
    assert paths(server) == asked


def test_a_fill_needs_no_look_for_an_order_that_was_seen(server: ScriptedServer, broker: AlpacaBroker) -> None:
    server.says(Said(raw()))
    broker.submit(BUY)
    fill = {"id": "20240102::1", "activity_type": "FILL", "order_id": "b-one", "symbol": "ALPHA", "side": "buy"}
    fill |= {"qty": "10", "price": "9.5", "transaction_time": "2024-01-02T14:01:00Z"}
    server.says(Said([fill]), Said([]))
    (one,) = broker.activities("").fills
    assert (one.client_order_id, one.price) == ("one", D("9.5"))
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"quantity": D(0)}, "the quantity 0 is none"),
        ({"quantity": D(-1)}, "the quantity -1 is none"),
        ({"quantity": D("NaN")}, "the quantity NaN is none"),
        ({"quantity": D("Infinity")}, "the quantity Infinity is none"),
        ({"quantity": D("1.5")}, "the quantity 1.5 is no multiple of 1"),
        ({"quantity": D("1E+400000")}, "the quantity 1E+400000 is no multiple of 1"),  # not to be divided
        ({"limit": D(5)}, "a limit order has a limit price, and no other order has one"),
        ({"order_type": OrderType.LIMIT}, "a limit order has a limit price, and no other order has one"),
        ({"order_type": OrderType.LIMIT, "limit": D(0)}, "the limit 0 is no price"),
        ({"order_type": OrderType.LIMIT, "limit": D("Infinity")}, "the limit Infinity is no price"),
        ({"time_in_force": TimeInForce.IOC}, "orders of 'ioc' are not taken"),
        ({"client_order_id": ""}, "a client order id has up to 48 characters"),
        ({"client_order_id": "x" * 49}, "a client order id has up to 48 characters"),
    ],
)
def test_a_wrong_order_does_not_leave(
    server: ScriptedServer, broker: AlpacaBroker, changed: dict[str, Any], text: str
) -> None:
    fields = {"client_order_id": "one", "asset": "ALPHA", "side": Side.BUY, "quantity": D(10), **changed}
    with pytest.raises(RejectedError) as told:
        broker.submit(OrderRequest(**fields))
    assert (str(told.value), server.asked) == (text, [])


@pytest.mark.parametrize(
    "changed",
    [
        {"client_order_id": "x"},
        {"client_order_id": "x" * 48},
        {"order_type": OrderType.LIMIT, "limit": D("0.0001")},
        {"quantity": D("0.5")},
    ],
)
def test_an_order_at_the_edge_of_what_is_taken_leaves(server: ScriptedServer, changed: dict[str, Any]) -> None:
    broker = opened(server.url, quantity_step="0.5")
    fields: dict[str, Any] = {
        "client_order_id": "one",
        "asset": "ALPHA",
        "side": Side.BUY,
        "quantity": D(10),
        **changed,
    }
    said = raw(fields["client_order_id"], qty=str(fields["quantity"]))
    if "limit" in fields:
        said |= {"type": "limit", "limit_price": "0.0001"}
    server.says(Said(said))
    assert broker.submit(OrderRequest(**fields)).request == OrderRequest(**fields)
    broker.close()


@pytest.mark.parametrize(("per_minute", "orders"), [(200, 150), (5, 3), (4, 3), (1, 1)])
def test_what_the_broker_can(client: AlpacaClient, per_minute: int, orders: int) -> None:
    """Three in four requests are for orders, one at least."""
    broker = AlpacaBroker(client, HandClock(NOW), is_live=False, step=D("0.01"), per_minute=per_minute)
    can = broker.capabilities()
    assert (can.name, can.is_live, can.quantity_step, can.short_step) == ("alpaca paper", False, D("0.01"), D(1))
    assert can.times_in_force == {TimeInForce.DAY}
    assert (can.crosses_zero, can.frees_on_fill) == (False, True)
    assert (can.orders_per_minute, can.queues, can.shorting, can.simulated) == (orders, True, True, False)


# Lists.


def test_orders_come_in_pages_from_the_instant_of_the_last(server: ScriptedServer, client: AlpacaClient) -> None:
    """500, of which the last is of 14:30; then from a microsecond before: that one again, and one more."""
    first = [raw(f"o{n}") for n in range(499)] + [raw("last", submitted_at="2024-01-02T14:30:00Z")]
    server.says(Said(first), Said([first[-1], raw("more")]))
    found = listing.orders(client, "all", NOW - timedelta(hours=5))
    assert [one["client_order_id"] for one in found] == [*(f"o{n}" for n in range(499)), "last", "more"]
    assert [one.params["after"] for one in server.asked] == [
        "2024-01-02T09:59:59.999999Z",
        "2024-01-02T14:29:59.999999Z",
    ]


def test_a_full_page_of_what_is_known_is_an_end_without_one(server: ScriptedServer, client: AlpacaClient) -> None:
    page = Said([raw(f"o{n}") for n in range(500)])
    server.says(page, page)
    with pytest.raises(UnreachableError, match="more than 500 orders of one instant can't be listed"):
        listing.orders(client, "open", None)
    assert [one.params.get("after") for one in server.asked] == [None, "2024-01-02T13:59:59.999999Z"]


def test_activities_come_in_pages_from_the_last_id(server: ScriptedServer, client: AlpacaClient) -> None:
    server.says(Said([{"id": f"a{n}"} for n in range(100)]), Said([{"id": "b"}]))
    found = list(listing.activities(client, "/v2/account/activities/FILL", {"after": "x"}))
    assert [one["id"] for one in found] == [*(f"a{n}" for n in range(100)), "b"]
    asked = {"after": "x", "direction": "asc", "page_size": "100"}
    assert [one.params for one in server.asked] == [asked, {**asked, "page_token": "a99"}]


def test_a_page_that_is_none(server: ScriptedServer, client: AlpacaClient) -> None:
    server.says(Said({}), Said({"message": "no"}, 403))
    for text in ("/v2/orders: the broker's answer is no list", r"/v2/orders: no \(403\)"):
        with pytest.raises(UnreachableError, match=text):
            listing.orders(client, "open", None)


def test_an_instant_is_told_in_utc() -> None:
    assert listing.stamp(datetime.fromisoformat("2024-01-02T10:00:00-05:00")) == "2024-01-02T15:00:00Z"


# Settings.


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"key_id": None}, "broker.alpaca.key_id is not set"),
        ({"secret_key": None}, "broker.alpaca.secret_key is not set"),
        ({"key_id": "k\u00e9y"}, "broker.alpaca.key_id is not a key"),
        ({"key_id": "k\ty"}, "broker.alpaca.key_id is not a key"),
        ({"base_url": "https://api.alpaca.markets/"}, "is the address of live accounts, and the account is paper"),
        ({"base_url": "https://paper-api.alpaca.markets", "account": "live"}, "of paper accounts"),
        ({"base_url": "http://far.example"}, "http://far.example would send the keys unencrypted"),
    ],
)
def test_settings_that_can_not_be_right(given: dict[str, Any], text: str) -> None:
    with pytest.raises(SigcError) as told:
        opened(**given)
    (found,) = told.value.diagnostics
    assert (found.code, text in found.message) == ("E402", True)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"account": "live"}, "alpaca live"),
        ({"account": "paper"}, "alpaca paper"),
        ({"account": "live", "base_url": "https://api.alpaca.markets"}, "alpaca live"),
        ({"base_url": "https://mirror.example"}, "alpaca paper"),
        ({"base_url": "http://localhost:9"}, "alpaca paper"),
        ({"base_url": "https://127.0.0.1:9"}, "alpaca paper"),
    ],
)
def test_settings_that_can(given: dict[str, Any], name: str) -> None:
    broker = opened(**given)
    assert (broker.capabilities().name, broker.capabilities().is_live) == (name, name == "alpaca live")
    broker.close()


def test_a_slash_at_the_end_of_the_address_is_one(server: ScriptedServer) -> None:
    broker = opened(f"{server.url}/")
    server.says(Said({"cash": "1", "equity": "2", "buying_power": "3"}))
    broker.account()
    assert server.asked[0].path == "/v2/account"
    broker.close()


def test_keys_may_be_in_a_credential_of_the_service(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "alpaca").write_text("from there")
    (tmp_path / "alpaca").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    broker = opened(server.url, secret_key="credential:alpaca")  # noqa: S106  # its name
    server.says(Said({"cash": "1", "equity": "2", "buying_power": "3"}))
    broker.account()
    assert server.asked[0].headers["apca-api-secret-key"] == "from there"
    broker.close()
