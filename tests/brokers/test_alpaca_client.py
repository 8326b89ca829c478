"""What Alpaca's client makes of answers and of their absence: errors, pages, cursors, money, keys."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.config.broker_settings import AlpacaSettings
from sigc.config.settings import BrokerSettings
from sigc.errors import SigcError
from sigc.store.ledger.records import OrderType, Side, TimeInForce
from sigc_pipelines.brokers.alpaca.answers import charge_of, order_of, positions_of, trouble_of
from sigc_pipelines.brokers.alpaca.broker import AlpacaBroker
from sigc_pipelines.brokers.alpaca.opening import open_alpaca
from sigc_pipelines.brokers.alpaca.pace import Pace
from sigc_pipelines.brokers.alpaca.reports import ReportCursor
from sigc_pipelines.brokers.faulty import Fault
from sigc_pipelines.brokers.protocol import (
    NotSentError,
    OrderRequest,
    OrderStatus,
    OutcomeUnknownError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from sigc_pipelines.brokers.registry import close_broker, open_broker
from tests.brokers.alpaca_bench import START, AlpacaBench, Kind, settings

D = Decimal
BUY = OrderRequest("one", "ALPHA", Side.BUY, D(10))


@pytest.fixture
def bench() -> Iterator[AlpacaBench]:
    bench = AlpacaBench(Kind())
    yield bench
    bench.end()


def opened(bench: AlpacaBench, **given: Any) -> AlpacaBroker:
    timeout_s = given.pop("timeout_s", 5.0)
    return open_alpaca(settings(bench.server.url, **given), bench.clock, timeout_s=timeout_s, connections=2)


# Failures.


@pytest.mark.parametrize(
    ("fault", "kind", "taken"),
    [
        (Fault.UNKNOWN, OutcomeUnknownError, True),
        (Fault.LOST, OutcomeUnknownError, False),
        (Fault.THROTTLED, ThrottledError, False),
        (Fault.REFUSED, NotSentError, False),
        (Fault.BLOCKED, RejectedError, False),
    ],
)
def test_a_failed_order_says_what_is_known(bench: AlpacaBench, fault: Fault, kind: type, taken: bool) -> None:
    bench.fail_next(fault)
    with pytest.raises(kind) as told:
        bench.broker.submit(BUY)
    assert type(told.value) is kind
    assert ("one" in bench.account.orders) is taken
    assert bench.server.seen.count(("POST", "/v2/orders")) == (0 if fault is Fault.REFUSED else 1), "never repeated"


def test_a_server_that_says_nothing_is_given_up(bench: AlpacaBench) -> None:
    broker, began = opened(bench, timeout_s=0.2), time.monotonic()
    with bench.account.turn:  # the server waits for this lock
        with pytest.raises(OutcomeUnknownError):
            broker.submit(BUY)
        with pytest.raises(UnreachableError):
            broker.account()
    assert time.monotonic() - began < 3
    broker.close()


def test_a_refusal_of_an_order_that_was_taken_is_no_rejection(bench: AlpacaBench) -> None:
    """The first request used the buying power, so that the second is refused for it: the order is in the book."""
    big = OrderRequest("one", "ALPHA", Side.BUY, D(15_000))
    bench.fail_next(Fault.UNKNOWN)
    with pytest.raises(OutcomeUnknownError):
        bench.broker.submit(big)
    assert bench.broker.submit(big).status is OrderStatus.NEW
    with pytest.raises(RejectedError, match="insufficient buying power"):
        bench.broker.submit(OrderRequest("two", "ALPHA", Side.BUY, D(15_000)))
    with pytest.raises(RejectedError, match="another order"):
        bench.broker.submit(OrderRequest("one", "ALPHA", Side.BUY, D(5)))


def test_wrong_keys_are_told_as_that(bench: AlpacaBench) -> None:
    broker = opened(bench, key_id="wrong")
    with pytest.raises(UnreachableError, match="secret_key are not accepted"):
        broker.account()
    with pytest.raises(RejectedError, match="secret_key are not accepted") as told:
        broker.submit(BUY)
    assert "wrong" not in str(told.value)
    broker.close()


def test_the_broker_s_limit_is_told_with_its_wait(bench: AlpacaBench) -> None:
    bench.server.per_minute = 0
    with pytest.raises(ThrottledError) as told:
        bench.broker.submit(BUY)
    assert 0 < told.value.retry_after_s <= 3
    with pytest.raises(UnreachableError, match="429"):
        bench.broker.positions()


def test_our_own_limit_comes_first(bench: AlpacaBench) -> None:
    broker = opened(bench, requests_per_minute=60, timeout_s=0.05)  # 15 at once, then 45 over the minute
    results = []
    for number in range(20):
        try:
            broker.submit(OrderRequest(f"o{number}", "ALPHA", Side.BUY, D(1)))
        except ThrottledError as later:
            results.append(later.retry_after_s)
    assert len(bench.account.orders) == 15
    assert len(results) == 5
    assert all(0 < wait <= 60 / 45 for wait in results)
    with pytest.raises(UnreachableError, match="our own limit"):
        broker.account()
    broker.close()


def test_a_pace_never_passes_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted by brute force: in no window of a minute are there more than 200 of 2,000 attempts."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace, taken = Pace(200), []
    for number in range(2_000):
        now[0] = number * 0.1
        if pace.order() == 0:
            taken.append(now[0])
    assert max(sum(at <= one < at + 60 for one in taken) for at in taken) <= 200
    assert len(taken) >= 480


# What is never sent.


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (OrderRequest("a" * 49, "ALPHA", Side.BUY, D(1)), "48 characters"),
        (OrderRequest("one", "ALPHA", Side.BUY, D("1.5")), "no multiple of 1"),
        (OrderRequest("one", "ALPHA", Side.BUY, D(1), time_in_force=TimeInForce.IOC), "'ioc'"),
        (OrderRequest("one", "ALPHA", Side.BUY, D(1), limit=D(1)), "limit"),
        (OrderRequest("one", "ALPHA", Side.BUY, D(1), OrderType.LIMIT, D("NaN")), "no price"),
        (OrderRequest("one", "ALPHA", Side.BUY, D("1E+400000")), "no multiple"),
    ],
)
def test_a_wrong_order_does_not_leave(bench: AlpacaBench, request_: OrderRequest, why: str) -> None:
    with pytest.raises(RejectedError, match=why):
        bench.broker.submit(request_)
    assert bench.server.seen == []


# Lists and reports.


def test_more_orders_than_a_page_are_all_listed(bench: AlpacaBench) -> None:
    began = bench.now()
    for number in range(1_203):
        bench.account.submit(body(f"o{number}"))
        if number % 7 == 0:
            bench.clock.sleep(0.001)
    found = [order.request.client_order_id for order in bench.broker.orders(began)]
    assert found == [f"o{number}" for number in range(1_203)]
    assert bench.server.seen.count(("GET", "/v2/orders")) == 6  # three pages each of what is open, and of all
    half = bench.account.orders["o700"].submitted
    bench.account.end_day()
    assert len(bench.broker.orders(half)) == sum(o.submitted >= half for o in bench.account.orders.values())


def test_fills_beyond_a_page_have_the_ids_of_their_orders(bench: AlpacaBench) -> None:
    for number in range(250):
        bench.account.submit(body(f"o{number}"))
    bench.account.trade({"ALPHA": D(100)}, {})
    read = bench.broker.activities("")
    assert sorted(f.client_order_id for f in read.fills) == sorted(f"o{number}" for number in range(250))
    assert bench.broker.activities(read.cursor).fills == ()
    looked = [path for _, path in bench.server.seen if path.startswith("/v2/orders/")]
    assert len(looked) <= 3, "not one by one"


def test_a_fill_that_is_shown_late_is_not_lost(bench: AlpacaBench) -> None:
    """Ten fills a minute apart; each is shown at a time of its own, up to half an hour late, out of order."""
    account, lags = bench.account, [30, 1, 12, 0, 25, 3, 29, 7, 0, 18]
    seen: list[str] = []
    cursor = ""
    for number, lag in enumerate(lags):
        account.lag_s = 60.0 * lag
        account.submit(body(f"o{number}"))
        account.orders[f"o{number}"].visible = bench.now()
        account.trade({"ALPHA": D(100)}, {})
        bench.clock.sleep(60)
        read = bench.broker.activities(cursor)
        seen, cursor = seen + [f.client_order_id for f in read.fills], read.cursor
    bench.clock.sleep(3_600)
    read = bench.broker.activities(cursor)
    seen += [f.client_order_id for f in read.fills]
    assert sorted(seen) == [f"o{number}" for number in range(10)], "each once"
    bench.clock.sleep(7_200)
    read = bench.broker.activities(read.cursor)
    assert (read.fills, len(ReportCursor.of(read.cursor).seen)) == ((), 0), "the cursor does not grow"


def test_money_is_a_charge_and_positions_are_left_alone(bench: AlpacaBench) -> None:
    account = bench.account
    account.pay("DIV", D("12.34"), "ALPHA")
    account.pay("DIVNRA", D("-1.23"), "ALPHA")
    account.pay("FEE", D("-0.02"))
    account.pay("INT", D("-3.5"))
    account.pay("CSD", D(1000))  # a deposit is not earned
    account.pay("JNLC", D(5))
    account.tell("SPLIT", {"date": "2024-01-02", "symbol": "ALPHA", "qty": "10"})
    account.tell("FEE", {"date": "2024-01-02", "net_amount": "-9", "status": "canceled"})
    read = bench.broker.activities("")
    told = [(c.kind, c.asset, c.amount) for c in read.charges]
    assert told == [
        ("dividend", "ALPHA", D("12.34")),
        ("tax", "ALPHA", D("-1.23")),
        ("fee", "", D("-0.02")),
        ("interest", "", D("-3.5")),
    ]
    assert {c.at for c in read.charges} == {datetime(2024, 1, 2, tzinfo=UTC)}
    assert bench.broker.activities(read.cursor).charges == ()


def test_a_fee_that_is_posted_days_after_its_day_is_read(bench: AlpacaBench) -> None:
    bench.account.pay("FEE", D(-1))
    cursor = bench.broker.activities("").cursor
    bench.clock.sleep(4 * 86_400)
    cursor = bench.broker.activities(cursor).cursor
    bench.account.pay("FEE", D(-2), day="2024-01-03")
    read = bench.broker.activities(cursor)
    assert [c.amount for c in read.charges] == [-2]
    bench.clock.sleep(30 * 86_400)
    read = bench.broker.activities(read.cursor)
    assert (read.charges, ReportCursor.of(read.cursor).seen) == ((), frozenset())


def test_the_cursor_of_another_broker_is_refused(bench: AlpacaBench) -> None:
    with pytest.raises(UnreachableError, match="not of Alpaca"):
        bench.broker.activities("1234|paper")


def body(id: str, side: str = "buy", qty: str = "1") -> dict[str, str]:
    wanted = {"symbol": "ALPHA", "side": side, "qty": qty, "type": "market", "time_in_force": "day"}
    return wanted | {"client_order_id": id}


# Answers.

ORDER = {"id": "i", "client_order_id": "c", "symbol": "A", "side": "buy", "qty": "2", "filled_qty": "0"}
ORDER |= {"type": "market", "time_in_force": "day", "submitted_at": "2024-01-02T10:00:00Z"}


@pytest.mark.parametrize(
    ("status", "filled", "meant"),
    [
        ("new", "0", OrderStatus.NEW),
        ("accepted", "0", OrderStatus.NEW),
        ("pending_new", "0", OrderStatus.NEW),
        ("pending_cancel", "1", OrderStatus.PARTIALLY_FILLED),
        ("done_for_day", "1", OrderStatus.PARTIALLY_FILLED),
        ("a word of next year", "0", OrderStatus.NEW),
        ("filled", "2", OrderStatus.FILLED),
        ("canceled", "1", OrderStatus.CANCELLED),
        ("expired", "0", OrderStatus.EXPIRED),
        ("rejected", "0", OrderStatus.REJECTED),
        ("replaced", "0", OrderStatus.CANCELLED),
    ],
)
def test_statuses(status: str, filled: str, meant: OrderStatus) -> None:
    assert order_of({**ORDER, "status": status, "filled_qty": filled}).status is meant


def test_orders_that_sigc_can_not_send_are_shown_all_the_same() -> None:
    stop = order_of({**ORDER, "status": "new", "type": "stop_limit", "limit_price": "9.5", "time_in_force": "gtc"})
    assert (stop.request.order_type, stop.request.limit) == (OrderType.LIMIT, D("9.5"))
    money = order_of({**ORDER, "status": "filled", "qty": None, "notional": "500", "filled_qty": "1.25"})
    assert money.request.quantity == D("1.25")


@pytest.mark.parametrize("field", ["id", "symbol", "filled_qty", "status", "client_order_id"])
def test_an_answer_without_a_field_is_no_answer(field: str) -> None:
    raw: dict[str, Any] = {**ORDER, "status": "new"}
    del raw[field]
    with pytest.raises(UnreachableError, match=field):
        order_of(raw)


def test_positions_and_troubles() -> None:
    rows = [{"symbol": "B", "qty": "3", "side": "short"}, {"symbol": "A", "qty": "-1.5"}, {"symbol": "C", "qty": "0"}]
    assert positions_of([*rows, {"symbol": "D", "qty": "7", "side": "long"}]) == {"A": D("-1.5"), "B": D(-3), "D": D(7)}
    assert trouble_of({"status": "ACTIVE"}) == ()
    assert trouble_of({"status": "ACCOUNT_CLOSED", "account_blocked": True}) == (
        "status ACCOUNT_CLOSED",
        "account_blocked",
    )
    assert charge_of({"activity_type": "SPLIT", "id": "1", "date": "2024-01-02"}) is None


# Settings.


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "broker.alpaca.key_id is not set"),
        ({"key_id": "k"}, "broker.alpaca.secret_key is not set"),
        ({"key_id": "k", "secret_key": "file:/nowhere/at/all"}, "can't be read"),
        ({"key_id": "k\n", "secret_key": "s"}, "characters that no header may have"),
        ({"key_id": "k", "secret_key": "s", "base_url": "https://api.alpaca.markets"}, "address of live accounts"),
        ({"key_id": "k", "secret_key": "s", "base_url": "http://far.example"}, "unencrypted"),
    ],
)
def test_settings_that_can_not_work_are_told(given: dict[str, str], said: str, tmp_path: Path) -> None:
    broker = BrokerSettings(type="alpaca", alpaca=AlpacaSettings.model_validate(given))
    with pytest.raises(SigcError) as told:
        open_broker(broker, tmp_path, HandClock(START))
    (found,) = told.value.diagnostics
    assert found.code == "E402"
    assert said in found.message


def test_live_and_paper_have_addresses_and_names_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    for account, is_live in (("paper", False), ("live", True)):
        given = {"account": account, "key_id": "k", "secret_key": f"file:{secret}"}
        broker = open_broker(
            BrokerSettings(type="alpaca", alpaca=AlpacaSettings.model_validate(given)), tmp_path, HandClock(START)
        )
        can = broker.capabilities()
        assert (can.name, can.is_live, can.crosses_zero) == (f"alpaca {account}", is_live, False)
        close_broker(broker)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    for name in [n for n in sys.modules if n.startswith("sigc_pipelines.brokers.alpaca.")]:
        monkeypatch.delitem(sys.modules, name)
    given = AlpacaSettings.model_validate({"key_id": "k", "secret_key": "s"})
    with pytest.raises(SigcError) as told:
        open_broker(BrokerSettings(type="alpaca", alpaca=given), tmp_path, HandClock(START))
    assert told.value.diagnostics[0].hint == 'pip install "sigc-daemon[alpaca]"'


def test_keys_are_in_no_text() -> None:
    given = AlpacaSettings.model_validate({"key_id": "PKABC", "secret_key": "hunter22"})
    assert "hunter22" not in str(given) + repr(given) + json.dumps(given.model_dump(mode="json"))


def test_a_fraction_is_exact(bench: AlpacaBench) -> None:
    """A tenth three times is three tenths; by floats it is not."""
    broker = opened(bench, quantity_step="0.1")
    for number in range(3):
        broker.submit(OrderRequest(f"f{number}", "ALPHA", Side.BUY, D("0.1")))
    bench.account.trade({"ALPHA": D("33.33")}, {})
    assert broker.positions() == {"ALPHA": D("0.3")}
    assert broker.account().cash == 1_000_000 - D("9.999")
    broker.close()
