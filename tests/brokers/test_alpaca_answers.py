"""Alpaca's JSON as our records, the place in its activities, and the pace of requests: figures by hand, no server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from sigc.store.ledger.records import ZERO, OrderType, Side, TimeInForce
from sigc_pipelines.brokers.alpaca import listing
from sigc_pipelines.brokers.alpaca.answers import (
    account_of,
    body_of,
    charge_of,
    day_of,
    fill_of,
    health_of,
    instant,
    number,
    order_of,
    positions_of,
    text,
    trouble_of,
)
from sigc_pipelines.brokers.alpaca.client import AlpacaClient
from sigc_pipelines.brokers.alpaca.pace import Pace
from sigc_pipelines.brokers.alpaca.reports import ReportCursor, Reports
from sigc_pipelines.brokers.protocol import OrderRequest, UnreachableError

D = Decimal
NOW = datetime(2024, 1, 20, 15, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
ORDER = {
    "id": "i",
    "client_order_id": "c",
    "symbol": "A",
    "side": "buy",
    "qty": "2",
    "filled_qty": "0",
    "type": "market",
    "time_in_force": "day",
    "status": "new",
}


def test_an_order_as_the_body_of_its_post() -> None:
    plain = body_of(OrderRequest("c", "A", Side.SELL, D("1E+2")))
    assert plain == {
        "symbol": "A",
        "qty": "100",
        "side": "sell",
        "type": "market",
        "time_in_force": "day",
        "client_order_id": "c",
    }
    limited = body_of(OrderRequest("c", "A", Side.BUY, D("0.50"), OrderType.LIMIT, D("9.10")))
    assert (limited["type"], limited["limit_price"], limited["qty"]) == ("limit", "9.1", "0.5")


def test_an_order_with_what_it_has_and_what_it_lacks() -> None:
    one = order_of({**ORDER, "created_at": "2024-01-02T10:00:00Z"})
    assert (one.request, one.broker_order_id, one.message) == (OrderRequest("c", "A", Side.BUY, D(2)), "i", "")
    assert one.submitted == datetime(2024, 1, 2, 10, tzinfo=UTC)
    assert order_of({**ORDER, "submitted_at": None}).submitted is None
    both = order_of({**ORDER, "submitted_at": "2024-01-02T11:00:00Z", "created_at": "2024-01-02T10:00:00Z"})
    assert both.submitted == datetime(2024, 1, 2, 11, tzinfo=UTC)
    other = order_of({**ORDER, "status": "replaced", "replaced_by": "j", "time_in_force": "ioc", "limit_price": "3"})
    assert other.message == "replaced by j at the broker"
    assert (other.request.time_in_force, other.request.order_type) == (TimeInForce.IOC, OrderType.LIMIT)


def test_an_account_and_a_clock() -> None:
    told = account_of({"buying_power": "3.5", "cash": "-1", "equity": "2"})
    assert (told.cash, told.equity, told.buying_power) == (D(-1), D(2), D("3.5"))
    clock = {
        "timestamp": "2024-01-02T09:30:00-05:00",
        "is_open": True,
        "next_open": "2024-01-03T09:30:00-05:00",
        "next_close": "2024-01-02T16:00:00-05:00",
    }
    health = health_of(clock, {"status": "ACTIVE"})
    assert (health.at, health.is_open, health.next_open, health.next_close, health.troubles) == (
        datetime(2024, 1, 2, 14, 30, tzinfo=UTC),
        True,
        datetime(2024, 1, 3, 14, 30, tzinfo=UTC),
        datetime(2024, 1, 2, 21, tzinfo=UTC),
        (),
    )
    for unclear in (False, "true", None):
        assert not health_of({**clock, "is_open": unclear}, {"status": "ACTIVE"}).is_open
    assert trouble_of({"trading_blocked": "yes", "trade_suspended_by_user": True}) == (
        "status without a status",
        "trade_suspended_by_user",
    )


def test_a_short_position_is_negative_whichever_sign_it_came_with() -> None:
    rows = [
        {"symbol": symbol, "qty": qty, "side": side}
        for symbol, qty, side in (("D", "2", "short"), ("C", "-2", "short"), ("B", "-2", "long"), ("A", "0.5", "long"))
    ]
    assert list(positions_of([*rows, {"symbol": "E", "qty": "0", "side": "short"}]).items()) == [
        *(("A", D("0.5")), ("B", D(-2)), ("C", D(-2)), ("D", D(-2))),
    ]


@pytest.mark.parametrize(("side", "meant"), [("buy", Side.BUY), ("sell", Side.SELL), ("sell_short", Side.SELL)])
def test_a_fill(side: str, meant: Side) -> None:
    one = fill_of(fill("f", NOW, side=side, qty="0.25", price="9.125"), "c")
    assert (one.execution_id, one.client_order_id, one.asset, one.side) == ("f", "c", "A", meant)
    assert (one.quantity, one.price, one.commission, one.at) == (D("0.25"), D("9.125"), ZERO, NOW)


def test_what_is_a_charge_and_what_is_not() -> None:
    fee = {"id": "m", "activity_type": "FEE", "net_amount": "-0.02", "date": "2024-01-02", "symbol": None}
    one = charge_of(fee)
    assert one is not None
    assert (one.kind, one.asset, one.amount, one.at) == ("fee", "", D("-0.02"), datetime(2024, 1, 2, tzinfo=UTC))
    for kind, meant in (("DIV", "dividend"), ("DIVNRA", "tax"), ("INT", "interest"), ("PTC", "fee")):
        told = charge_of({**fee, "activity_type": kind, "symbol": "A"})
        assert told is not None
        assert (told.kind, told.asset) == (meant, "A")
    for other in (
        *({"activity_type": "CSD"}, {"activity_type": "SPLIT"}, {"status": "canceled"}),
        *({"net_amount": None}, {"net_amount": "0.00"}),
    ):
        assert charge_of({**fee, **other}) is None
    assert charge_of({**fee, "status": "executed"}) is not None


@pytest.mark.parametrize("wrong", [None, "", "x", "NaN", "Infinity", [], {}])
def test_a_field_that_is_no_number_makes_no_answer(wrong: Any) -> None:
    with pytest.raises(UnreachableError, match="no number 'qty'"):
        number({"qty": wrong}, "qty")
    with pytest.raises(UnreachableError, match="no number 'qty'"):
        number({}, "qty")
    if wrong not in ("x", "NaN", "Infinity"):
        with pytest.raises(UnreachableError, match="no text 'qty'"):
            text({"qty": wrong}, "qty")
    assert number({"qty": "-1.50"}, "qty") == D("-1.5")


def test_times_and_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # whatever the machine's own zone is
    time.tzset()
    try:
        assert instant("2024-01-02T10:00:00") == datetime(2024, 1, 2, 10, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert instant("2024-01-02T10:00:00-05:00") == datetime(2024, 1, 2, 15, tzinfo=UTC)
    assert instant("2024-01-02T10:00:00") == datetime(2024, 1, 2, 10, tzinfo=UTC)  # without a zone: theirs is UTC
    assert instant("2024-01-02T10:00:00-05:00").utcoffset() == timedelta(0)
    assert day_of("2024-01-02") == day_of("2024-01-02T23:00:00Z") == datetime(2024, 1, 2, tzinfo=UTC)
    for wrong in ("", "today", "2024-13-01"):
        with pytest.raises(UnreachableError):
            instant(wrong)
        with pytest.raises(UnreachableError):
            day_of(wrong)


# What came after a cursor.


def fill(id: str, at: datetime, order: str = "o1", **more: str) -> dict[str, str]:
    said = {"id": id, "order_id": order, "symbol": "A", "side": "buy", "qty": "1", "price": "10"}
    return {**said, "activity_type": "FILL", "transaction_time": at.isoformat(), **more}


def money(id: str, day: str, amount: str = "-1") -> dict[str, str]:
    return {"id": id, "activity_type": "FEE", "net_amount": amount, "date": day}


class Shelf:
    """An account's activities and orders behind the two calls of a client that readers make."""

    def __init__(self) -> None:
        self.fills: list[dict[str, str]] = []
        self.money: list[dict[str, str]] = []
        self.orders: dict[str, dict[str, str]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def get(self, path: str, params: Mapping[str, str]) -> Any:
        self.asked.append((path, dict(params)))
        if path == "/v2/orders":
            return list(self.orders.values())
        rows = self.fills if path.endswith("/FILL") else self.money
        rows = [one for one in rows if one.get("date", "9") >= params.get("after", "")]
        ids = [one["id"] for one in rows]
        begin = ids.index(params["page_token"]) + 1 if "page_token" in params else 0
        return rows[begin : begin + int(params["page_size"])]

    def find(self, path: str) -> Any:
        self.asked.append((path, {}))
        return self.orders.get(path.rpartition("/")[2])

    def order(self, id: str, at: datetime = NOW) -> None:
        self.orders[id] = {"id": id, "client_order_id": f"sigc-{id}", "submitted_at": at.isoformat()}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def reports(shelf: Shelf) -> Reports:
    return Reports(cast(AlpacaClient, shelf))


def test_each_activity_is_told_once_however_late_it_is_shown(shelf: Shelf) -> None:
    """Fills of the last hour may still be joined by older ones; money of the last ten days too."""
    shelf.order("o1")
    reader = reports(shelf)
    shelf.fills = [
        fill("1:aaaaaaaaaaaaaa", NOW - HOUR),  # settled: an hour old
        fill("3:cccccccccccccc", NOW - HOUR + SECOND),
    ]
    shelf.money = [money("1:mmmmmmmmmmmmmm", "2024-01-09"), money("2:nnnnnnnnnnnnnn", "2024-01-10")]
    first = reader.after("", NOW)
    assert [(one.execution_id[:1], one.client_order_id) for one in first.fills] == [("1", "sigc-o1"), ("3", "sigc-o1")]
    assert len(first.charges) == 2
    place = ReportCursor.of(first.cursor)
    assert place == ReportCursor("1:aaaaaaaaaaaaaa", "2024-01-10", frozenset({"cccccccccccc", "nnnnnnnnnnnn"}))
    assert ReportCursor.of(str(place)) == place
    again = reader.after(first.cursor, NOW)
    assert (again.fills, again.charges, again.cursor) == ((), (), first.cursor)
    # An older one is shown after it, and a fee of an earlier day, which is in the ten days.
    shelf.fills.insert(1, fill("2:bbbbbbbbbbbbbb", NOW - HOUR + SECOND / 2))
    shelf.money.append(money("3:pppppppppppppp", "2024-01-11"))
    later = reader.after(first.cursor, NOW)
    assert [one.execution_id[:1] for one in later.fills] == ["2"]
    assert len(later.charges) == 1
    # A day later all of it is settled: the place is the newest fill, and only money is remembered.
    end = reader.after(later.cursor, NOW + timedelta(days=1))
    assert (end.fills, end.charges) == ((), ())
    assert ReportCursor.of(end.cursor) == ReportCursor("3:cccccccccccccc", "2024-01-11", frozenset({"pppppppppppp"}))


def test_fills_are_told_by_time_and_a_quiet_account_has_no_place(shelf: Shelf) -> None:
    shelf.order("o1")
    nothing = reports(shelf).after("", NOW)
    assert (nothing.fills, nothing.charges, ReportCursor.of(nothing.cursor)) == ((), (), ReportCursor())
    assert not any("after" in params or "page_token" in params for _, params in shelf.asked)
    shelf.fills = [fill("1:a", NOW - HOUR), fill("2:b", NOW - 2 * HOUR), fill("3:c", NOW)]
    told = reports(shelf).after("", NOW)
    assert [one.execution_id for one in told.fills] == ["2:b", "1:a", "3:c"]
    # A place that was beyond the ten days does not go back.
    assert ReportCursor.of(reports(shelf).after('["2:b", "2024-01-15"]', NOW).cursor).day == "2024-01-15"


@pytest.mark.parametrize(("count", "is_list"), [(3, False), (4, True)])
def test_a_few_orders_are_looked_up_one_by_one_and_more_by_their_list(shelf: Shelf, count: int, is_list: bool) -> None:
    for n in range(count):
        shelf.order(f"o{n}", NOW - timedelta(days=2))
        shelf.fills.append(fill(f"{n}:x", NOW - timedelta(minutes=count - n), f"o{n}"))
    reader = reports(shelf)
    told = reader.after("", NOW)
    assert [one.client_order_id for one in told.fills] == [f"sigc-o{n}" for n in range(count)]
    lists = [params for path, params in shelf.asked if path == "/v2/orders"]
    assert len(lists) == is_list
    if lists:  # a week before the first fill
        first = NOW - timedelta(minutes=count)
        assert instant(lists[0]["after"]) == first - timedelta(days=7) - timedelta(microseconds=1)
    assert sum("/v2/orders/" in path for path, _ in shelf.asked) == (0 if is_list else count)
    shelf.asked.clear()
    reader.after("", NOW)  # they are known by now
    assert not any("/v2/orders" in path for path, _ in shelf.asked)


def test_a_fill_of_an_order_that_is_not_there_is_waited_for_an_hour(shelf: Shelf) -> None:
    shelf.fills = [fill("1:a", NOW - HOUR + SECOND, "transfer")]
    with pytest.raises(UnreachableError, match="has no such order yet"):
        reports(shelf).after("", NOW)
    (one,) = reports(shelf).after("", NOW + SECOND).fills
    assert one.client_order_id == "transfer"
    shelf.fills.append(fill("2:b", NOW, "transfer"))  # nor is it settled while another part of it is new
    with pytest.raises(UnreachableError, match="has no such order yet"):
        reports(shelf).after("", NOW + SECOND)
    reader = reports(shelf)
    reader.know({"id": "transfer", "client_order_id": "sigc-7"})
    assert reader.after("", NOW).fills[0].client_order_id == "sigc-7"


def test_pages_are_followed_to_the_last(shelf: Shelf) -> None:
    shelf.order("o1")
    shelf.fills = [fill(f"{n:03}", NOW) for n in range(200)]
    assert [one.execution_id for one in reports(shelf).after("", NOW).fills] == [f"{n:03}" for n in range(200)]
    tokens = [params.get("page_token") for path, params in shelf.asked if path.endswith("/FILL")]
    assert tokens == [None, "099", "199"]
    assert {params["direction"] for path, params in shelf.asked if "activities" in path} == {"asc"}


class Orders:
    """Orders by submission, in pages of 500 after an instant."""

    def __init__(self, at: list[datetime]) -> None:
        self.rows = [{"id": str(n), "submitted_at": one.isoformat()} for n, one in enumerate(at)]
        self.asked: list[Mapping[str, str]] = []

    def get(self, path: str, params: Mapping[str, str]) -> Any:
        assert path == "/v2/orders"
        self.asked.append(dict(params))
        after = instant(params["after"]) if "after" in params else datetime.min.replace(tzinfo=UTC)
        return [one for one in self.rows if instant(one["submitted_at"]) > after][: int(params["limit"])]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1001])
def test_orders_of_one_instant_are_not_lost_between_pages(count: int) -> None:
    """Three a second: a page ends amid those of an instant."""
    client = Orders([NOW + SECOND * (n // 3) for n in range(count)])
    found = listing.orders(cast(AlpacaClient, client), "all", NOW)
    assert [one["id"] for one in found] == [str(n) for n in range(count)]
    every = listing.orders(cast(AlpacaClient, client), "open", None)
    assert len(every) == count
    assert "after" not in client.asked[-1] or count >= 500
    assert {one["direction"] for one in client.asked} == {"asc"}


def test_more_orders_of_one_instant_than_a_page_are_told() -> None:
    client = Orders([NOW] * 501)
    with pytest.raises(UnreachableError, match="one instant"):
        listing.orders(cast(AlpacaClient, client), "all", NOW)


# The pace: 200 a minute are a burst of 50, then 150 over the minute, 2.5 a second.


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, and what was slept."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_a_burst_then_two_and_a_half_a_second(clock: list[float]) -> None:
    pace = Pace(200)
    assert [pace.order() for _ in range(50)] == [0.0] * 50
    assert [pace.order() for _ in range(2)] == pytest.approx([0.4, 0.4])  # a refused one takes nothing
    clock[0] += 0.2
    assert pace.order() == pytest.approx(0.2)
    clock[0] += 0.2 + 1e-9
    assert pace.order() == 0.0
    clock[0] += 3_600.0  # an hour of rest gives no more than the burst
    assert [pace.order() for _ in range(51)].count(0.0) == 50


def test_reads_leave_ten_to_orders_and_wait_no_longer_than_they_may(clock: list[float]) -> None:
    pace = Pace(200)
    assert [pace.read(0.0) for _ in range(41)] == [True] * 40 + [False]
    assert clock[0] == 100.0
    assert pace.read(0.39) is False
    assert pace.read(0.4 + 1e-9) is True  # it waits for its turn
    assert clock[0] == pytest.approx(100.4)
    assert pace.read(0.0) is False
    assert [pace.order() for _ in range(11)].count(0.0) == 10


def test_a_broker_that_allows_few_requests(clock: list[float]) -> None:
    """Four a minute: one at once, then three; reads leave half of one. One a minute: one, and then one."""
    few, one = Pace(4), Pace(1)
    assert [few.order(), few.order()] == pytest.approx([0.0, 20.0])
    assert [one.order(), one.order()] == pytest.approx([0.0, 60.0])
    fresh = Pace(40)  # ten at once, of which reads leave five
    assert [fresh.read(0.0) for _ in range(6)] == [True] * 5 + [False]
