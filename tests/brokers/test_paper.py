"""The paper broker by worked numbers: costs, borrow, limits of the account, sessions, and the state of its file."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.errors import SigcError
from sigc.store.ledger.records import OrderType, Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.paper_match import Terms, known, match, reaches, shares
from sigc_pipelines.brokers.protocol import (
    NotSentError,
    OrderRequest,
    OrderStatus,
    RejectedError,
    UnreachableError,
    simulation,
)
from tests.brokers.story import read, tell

START = datetime(2024, 1, 5, 15, tzinfo=UTC)  # a Friday
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
Opening = Callable[..., PaperBroker]


@pytest.fixture
def clock() -> HandClock:
    return HandClock(START)


@pytest.fixture
def opened(tmp_path: Path, clock: HandClock) -> Iterator[Opening]:
    """Opens the broker of this test; closes all of them at its end."""
    brokers: list[PaperBroker] = []

    def open_one(capital: int = 10_000, timeout_s: float = 30.0, **settings: object) -> PaperBroker:
        terms = PaperSettings.model_validate(settings)
        broker = PaperBroker(tmp_path / "paper.sqlite", terms, clock, durable=False, timeout_s=timeout_s)
        brokers.append(broker)
        if capital:
            broker.deposit("start", Decimal(capital))
            close(broker, -1, "100")
        return broker

    yield open_one
    for broker in brokers:
        broker.close()


def close(broker: PaperBroker, day: int, price: str | None, volume: str | None = None, asset: str = "A") -> None:
    at = (START + timedelta(days=day)).replace(hour=21)
    known = None if price is None else Decimal(price)
    broker.mark(at.date().isoformat(), at, {asset: known}, {asset: None if volume is None else Decimal(volume)})


def buy(id: str, quantity: str, limit: str | None = None, side: Side = Side.BUY) -> OrderRequest:
    order_type = OrderType.MARKET if limit is None else OrderType.LIMIT
    return OrderRequest(id, "A", side, Decimal(quantity), order_type, None if limit is None else Decimal(limit))


def sell(id: str, quantity: str, limit: str | None = None) -> OrderRequest:
    return buy(id, quantity, limit, Side.SELL)


# Prices, commissions, fees.


def test_slippage_and_commission_by_hand(opened: Opening) -> None:
    broker = opened(slippage_bps=10, commission_bps=1, commission_per_share=0.01, min_commission=1)
    broker.submit(buy("b", "30"))
    broker.submit(sell("s", "200"))
    close(broker, 0, "50.1234567")  # kept as 50.123457
    bought, sold = broker.activities("").fills
    assert (bought.price, sold.price) == (Decimal("50.173581"), Decimal("50.073333"))  # 50.1735804.., 50.0733335..
    assert (bought.commission, sold.commission) == (Decimal("1.00"), Decimal("3.00"))  # 0.45 below the least, 3.0014..
    assert broker.account().cash == 10_000 - 30 * Decimal("50.173581") - 1 + 200 * Decimal("50.073333") - 3


def test_borrow_is_charged_for_calendar_days(opened: Opening) -> None:
    broker = opened(borrow_bps=365)
    broker.submit(sell("s", "100"))
    close(broker, 0, "80")  # Friday: filled
    assert broker.activities("").charges == ()
    close(broker, 3, "90")  # Monday: three days of 100 x 80 x 3.65 % / 365
    close(broker, 4, None)  # Tuesday without a price: a day of 100 x 90
    charges = broker.activities("").charges
    assert [charge.amount for charge in charges] == [Decimal("-2.40"), Decimal("-0.90")]
    assert [charge.asset for charge in charges] == ["A", "A"]
    assert broker.account().cash == 10_000 + 8_000 - Decimal("3.30")


def test_a_fee_below_half_a_cent_is_none(opened: Opening) -> None:
    broker = opened(borrow_bps=365)
    broker.submit(sell("s", "1"))
    close(broker, 0, "40")
    close(broker, 1, "60")  # a day of 40: 0.4 of a cent
    assert broker.activities("").charges == ()
    close(broker, 2, "60")  # of 60: 0.6
    assert [charge.amount for charge in broker.activities("").charges] == [Decimal("-0.01")]


def test_a_limit_counts_slippage(opened: Opening) -> None:
    broker = opened(slippage_bps=10)
    for id, limit in (("reached", "100.10"), ("missed", "100.09")):
        broker.submit(buy(id, "1", limit))
    for id, limit in (("reached-s", "99.90"), ("missed-s", "99.91")):
        broker.submit(sell(id, "1", limit))
    close(broker, 0, "100")
    found = {order.request.client_order_id: order.status for order in broker.orders(EPOCH)}
    assert {id for id, status in found.items() if status is OrderStatus.FILLED} == {"reached", "reached-s"}


def test_an_order_without_reach_takes_no_share(opened: Opening) -> None:
    broker = opened(max_volume_pct=0.1)
    broker.submit(buy("far", "50", "90"))
    broker.submit(buy("one", "10"))
    broker.submit(sell("two", "30"))
    close(broker, 0, "100", volume="209")  # 20 shares of 209 may be ours: a quarter, and three quarters
    filled = {order.request.client_order_id: order.filled for order in broker.orders(EPOCH)}
    assert filled == {"far": 0, "one": 5, "two": 15}


@pytest.mark.parametrize(
    ("wanted", "available", "step", "given"),
    [
        (["1", "1", "1"], "2", "1", ["1", "1", "0"]),
        (["1", "2"], "2", "1", ["1", "1"]),  # two thirds go before one third
        (["5", "5"], "0.9", "1", ["0", "0"]),
        (["0.5", "1.5"], "1.2", "0.5", ["0.5", "0.5"]),
        (["3", "4"], None, "1", ["3", "4"]),
        (["3", "4"], "7", "1", ["3", "4"]),
        (["3", "4"], "-1", "1", ["0", "0"]),
    ],
)
def test_shares_by_hand(wanted: list[str], available: str | None, step: str, given: list[str]) -> None:
    supply = None if available is None else Decimal(available)
    assert shares([Decimal(w) for w in wanted], supply, Decimal(step)) == tuple(Decimal(g) for g in given)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 200), st.sampled_from(["1", "0.5", "0.001"])
)
def test_shares_are_by_the_largest_remainders(units: list[int], supply: int, step: str) -> None:
    """Hare's method, in fractions: all get their quota rounded down, the largest remainders one step more."""
    wanted, one = [Decimal(step) * n for n in units], Decimal(step)
    left = min(supply, sum(units))
    quotas = [Fraction(left * n, sum(units)) for n in units]
    given = [int(q) for q in quotas]
    for _, at in sorted((int(q) - q, at) for at, q in enumerate(quotas))[: left - sum(given)]:
        given[at] += 1
    assert shares(wanted, one * supply + one / 2, one) == tuple(one * n for n in given)


@pytest.mark.parametrize(
    ("number", "is_known"),
    [
        ("1e15", True),
        ("-1e15", True),
        ("1.0000001e15", False),
        ("-1.0000001e15", False),
        ("0", True),
        ("NaN", False),
        ("-Infinity", False),
    ],
)
def test_a_number_beyond_reason_is_none(number: str, is_known: bool) -> None:
    assert known(Decimal(number)) == (Decimal(number) if is_known else None)
    assert known(None) is None


def test_what_gets_nothing_is_no_execution() -> None:
    """Neither what has no share, nor a sale at a price that slippage rounds to nothing."""
    terms = Terms.of(PaperSettings(slippage_bps=10, max_volume_pct=0.1, min_commission=1))
    orders = {buy("b", "9"): Decimal(9), buy("c", "1"): Decimal(1)}
    found = match(orders, Decimal(100), Decimal(10), terms)
    assert {request.client_order_id: got.quantity for request, got in found.items()} == {"b": 1}
    assert match({sell("s", "9"): Decimal(9)}, Decimal("0.000001"), None, terms) == {}
    assert not reaches(sell("s", "9"), Decimal(0))
    assert reaches(sell("s", "9"), Decimal("0.000001"))


# What the account bears.


@pytest.mark.parametrize(("quantity", "is_borne"), [("199", True), ("200", True), ("201", False)])
@pytest.mark.parametrize("side", list(Side))
def test_buying_power_ends_where_it_says(opened: Opening, side: Side, quantity: str, is_borne: bool) -> None:
    broker = opened(leverage=2)
    assert broker.account().buying_power == 20_000
    if is_borne:
        broker.submit(buy("b", quantity, side=side))
        assert broker.account().buying_power == 20_000 - 100 * int(quantity)
    else:
        with pytest.raises(RejectedError, match="buying power"):
            broker.submit(buy("b", quantity, side=side))
        assert broker.account().buying_power == 20_000


def test_a_cancelled_order_gives_back_what_it_took(opened: Opening) -> None:
    broker = opened(leverage=2)
    for side in Side:
        broker.submit(buy(f"{side}", "200", side=side))
        assert broker.account().buying_power == 0
        for _ in range(2):  # again: the same
            broker.cancel(f"{side}")
            order = broker.order(f"{side}")
            assert order is not None
            assert order.status is OrderStatus.CANCELLED
            assert broker.account().buying_power == 20_000
    with pytest.raises(RejectedError, match="no order other"):
        broker.cancel("other")
    close(broker, 0, "100")
    assert broker.activities("").fills == ()
    broker.submit(buy("b", "1"))
    close(broker, 3, "100")
    broker.cancel("b")  # filled: it stays so
    assert broker.positions() == {"A": 1}
    assert [o.status for o in broker.orders(EPOCH) if o.request.client_order_id == "b"] == [OrderStatus.FILLED]


def test_what_the_account_is_worth(opened: Opening) -> None:
    broker = opened(slippage_bps=0, commission_bps=0, commission_per_share=0, min_commission=0, borrow_bps=0)
    close(broker, -1, "20", asset="B")
    broker.submit(buy("b", "10"))
    broker.submit(OrderRequest("s", "B", Side.SELL, Decimal(30)))
    close(broker, 0, "50")
    close(broker, 0, "20", asset="B")
    assert broker.positions() == {"A": 10, "B": -30}
    assert broker.account().cash == 10_000 - 500 + 600
    close(broker, 3, "60")
    close(broker, 3, "21", asset="B")
    assert broker.account().equity == 10_100 + 600 - 630
    broker.submit(sell("gone", "10"))
    close(broker, 4, "60")
    assert broker.positions() == {"B": -30}


def test_an_id_is_of_one_order(opened: Opening) -> None:
    broker = opened()
    first = broker.submit(buy("b", "10"))
    assert broker.submit(buy("b", "10")) == first
    for other in (buy("b", "11"), sell("b", "10"), buy("b", "10", "90")):
        with pytest.raises(RejectedError, match="taken by a different order"):
            broker.submit(other)
    assert broker.orders(EPOCH) == (first,)
    assert broker.account().buying_power == 4 * 10_000 - 1_000


def test_a_book_under_water_may_be_reduced_and_not_grown(opened: Opening) -> None:
    broker = opened(leverage=2)
    broker.submit(buy("b", "200"))
    close(broker, 0, "100")
    close(broker, 3, "60")  # equity 2,000, gross 12,000
    assert broker.account().buying_power == 0
    broker.submit(sell("less", "200"))
    broker.submit(sell("turned", "200"))  # as far short as it is long now
    with pytest.raises(RejectedError):
        broker.submit(sell("further", "1"))
    with pytest.raises(RejectedError):
        broker.submit(buy("more", "1"))


def test_open_sales_count_without_shorting(opened: Opening) -> None:
    broker = opened(shorting=False)
    broker.submit(buy("b", "10"))
    with pytest.raises(RejectedError, match="shorting"):
        broker.submit(sell("early", "1"))  # what is only ordered may not be sold
    close(broker, 0, "100")
    broker.submit(sell("s", "6"))
    with pytest.raises(RejectedError, match="shorting"):
        broker.submit(sell("t", "5"))
    broker.submit(sell("u", "4"))


@pytest.mark.parametrize("amount", ["0", "-0.001", "NaN", "Infinity", "1.001", "1e30", "-1e30"])
def test_a_deposit_is_an_amount_of_money(opened: Opening, amount: str) -> None:
    broker = opened()
    with pytest.raises(RejectedError):
        broker.deposit("odd", Decimal(amount))
    assert broker.account().cash == 10_000


def test_a_deposit_is_made_once(opened: Opening) -> None:
    broker = opened()
    broker.deposit("start", Decimal("10000.00"))
    with pytest.raises(RejectedError):
        broker.deposit("start", Decimal(20_000))
    broker.deposit("second", Decimal("0.01"))
    assert broker.account().cash == Decimal("10000.01")


def test_no_more_leaves_the_account_than_it_has(opened: Opening) -> None:
    broker = opened()
    cash = broker.account().cash
    with pytest.raises(RejectedError, match="can't be withdrawn"):
        broker.deposit("out", -cash - Decimal("0.01"))
    for _ in range(2):
        broker.deposit("out", -cash)
        assert broker.account().cash == 0


@pytest.mark.parametrize("quantity", ["1e40", "1e400", "sNaN", "0.1"])
def test_absurd_orders_are_rejected(opened: Opening, quantity: str) -> None:
    broker = opened()
    with pytest.raises(RejectedError):
        broker.submit(buy("b", quantity))
    assert broker.orders(EPOCH) == ()


LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET


@pytest.mark.parametrize(
    ("id", "asset", "order_type", "limit"),
    [
        ("", "A", MARKET, None),
        ("b", "", MARKET, None),
        ("b", "A", MARKET, "100"),
        ("b", "A", LIMIT, None),
        *(("b", "A", LIMIT, limit) for limit in ("0", "-1", "1e16", "Infinity", "NaN", "sNaN")),
    ],
)
def test_malformed_orders_are_rejected(
    opened: Opening, id: str, asset: str, order_type: OrderType, limit: str | None
) -> None:
    broker = opened()
    malformed = OrderRequest(id, asset, Side.BUY, Decimal(1), order_type, None if limit is None else Decimal(limit))
    with pytest.raises(RejectedError):
        broker.submit(malformed)
    assert broker.orders(EPOCH) == ()


@pytest.mark.parametrize("price", ["NaN", "-5", "0", "Infinity", "1e-9", "1e20", None])
def test_a_price_that_is_none_fills_nothing(opened: Opening, price: str | None) -> None:
    broker = opened()
    broker.submit(buy("b", "10"))
    close(broker, 0, price)
    order = broker.order("b")
    assert order is not None
    assert order.status is OrderStatus.EXPIRED
    assert broker.account().equity == 10_000
    broker.submit(buy("c", "10"))
    close(broker, 3, "50")
    worth = broker.account().equity
    close(broker, 4, price)
    assert broker.account().equity == worth  # at the last price that was one
    broker.submit(sell("d", "10"))
    close(broker, 5, price)
    assert broker.positions() == {"A": 10}


# Sessions.


def test_a_session_is_marked_once_for_an_asset(opened: Opening) -> None:
    broker = opened()
    broker.submit(buy("a", "10"))
    close(broker, 0, "50")
    before = read(broker)
    close(broker, 0, "60")
    close(broker, -1, "70")
    assert read(broker) == before
    close(broker, 0, "30", asset="B")
    broker.submit(OrderRequest("b", "B", Side.BUY, Decimal(1)))
    assert broker.account().buying_power == 4 * 10_000 - 10 * 50 - 30


def test_an_order_waits_for_a_close_after_it(opened: Opening, clock: HandClock) -> None:
    broker = opened()
    clock.turn(START.replace(hour=21))
    broker.submit(buy("late", "10"))
    close(broker, 0, "50")  # at the very instant of its submission
    order = broker.order("late")
    assert order is not None
    assert order.status is OrderStatus.NEW
    close(broker, 3, "60")
    assert [fill.price for fill in broker.activities("").fills] == [Decimal(60)]


# The file.


def test_equal_histories_give_equal_books(tmp_path: Path) -> None:
    assert tell(tmp_path / "one.sqlite", sessions=8) == tell(tmp_path / "two.sqlite", sessions=8)
    assert tell(tmp_path / "one.sqlite", sessions=8) != tell(tmp_path / "three.sqlite", sessions=8, seed=1)


def test_a_cursor_of_another_book_is_as_none(opened: Opening, clock: HandClock, tmp_path: Path) -> None:
    broker = opened()
    broker.submit(buy("b", "10"))
    close(broker, 0, "50")
    cursor = broker.activities("").cursor
    assert broker.activities(cursor).fills == ()
    clock.turn(START + timedelta(days=1))
    another = PaperBroker(tmp_path / "another.sqlite", PaperSettings(), clock)
    another.deposit("start", Decimal(1_000))
    close(another, 1, "50")
    another.submit(buy("c", "10"))
    close(another, 3, "50")
    assert [fill.client_order_id for fill in another.activities(cursor).fills] == ["c"]
    another.close()


def test_threads_share_a_broker(opened: Opening) -> None:
    broker = opened()
    requests = [buy(f"b{number}", "1") for number in range(40)]
    threads = [threading.Thread(target=lambda: [broker.submit(each) for each in requests]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(broker.orders(EPOCH)) == 40
    close(broker, 0, "50")
    assert broker.positions() == {"A": 40}


def test_a_book_that_another_process_writes_is_waited_for(opened: Opening, tmp_path: Path) -> None:
    broker = opened(timeout_s=0.05)
    other = sqlite3.connect(tmp_path / "paper.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotSentError, match="locked"):
        broker.submit(buy("b", "1"))
    with pytest.raises(UnreachableError, match="locked"):
        broker.cancel("b")
    with pytest.raises(UnreachableError, match="locked"):
        close(broker, 0, "50")
    assert broker.account().cash == 10_000, "readers don't wait"
    other.execute("ROLLBACK")
    other.close()
    assert broker.order("b") is None
    assert broker.submit(buy("b", "1")).status is OrderStatus.NEW


@pytest.mark.parametrize(
    ("statement", "message"),
    [("PRAGMA user_version = 99", "version 99"), ("PRAGMA application_id = 7", "another kind of SQLite file")],
)
def test_a_file_that_is_not_ours_is_left_alone(opened: Opening, tmp_path: Path, statement: str, message: str) -> None:
    opened().close()
    connection = sqlite3.connect(tmp_path / "paper.sqlite")
    connection.execute(statement)
    connection.close()
    with pytest.raises(SigcError, match=message) as told:
        opened()
    assert told.value.diagnostics[0].code == "E310"


def test_a_closed_book_is_let_go(opened: Opening, tmp_path: Path) -> None:
    def is_open() -> bool:
        files = [fd.resolve() for fd in Path("/proc/self/fd").iterdir()]
        return tmp_path / "paper.sqlite" in files

    broker = opened()
    assert is_open()
    broker.close()
    assert not is_open()


def test_a_file_that_is_no_database_is_told(opened: Opening, tmp_path: Path) -> None:
    (tmp_path / "paper.sqlite").write_bytes(b"no database, and longer than the header of one would be" * 40)
    with pytest.raises(SigcError, match="paper.sqlite"):
        opened()


def test_a_copy_of_the_book_is_a_book(opened: Opening, clock: HandClock, tmp_path: Path) -> None:
    broker = opened()
    broker.submit(buy("b", "10"))
    before = read(broker)
    for name in ("paper.sqlite", "paper.sqlite-wal"):  # as a crash would leave them
        shutil.copy(tmp_path / name, tmp_path / name.replace("paper", "copy"))
    copy = PaperBroker(tmp_path / "copy.sqlite", PaperSettings(), clock)
    assert read(copy) == before
    copy.close()


def test_paper_is_a_simulation(opened: Opening) -> None:
    broker = opened()
    assert simulation(broker) is broker
    assert not broker.capabilities().is_live


@pytest.mark.parametrize(
    ("request_", "price", "volume", "why"),
    [
        (buy("b", "10"), None, "900", "A had no price"),
        (buy("b", "10", "99.90"), "100", "900", "the price 100.1 did not reach the limit 99.9"),
        (sell("b", "10", "99.91"), "100", None, "the price 99.9 did not reach the limit 99.91"),
        (buy("b", "10"), "100", "0", "orders get at most max_volume_pct 0.01 of the volume 0"),
        (buy("b", "10"), "100", "900.5", "orders get at most max_volume_pct 0.01 of the volume 900.5"),
    ],
)
def test_an_order_that_is_not_filled_says_why(
    opened: Opening, request_: OrderRequest, price: str | None, volume: str | None, why: str
) -> None:
    broker = opened(slippage_bps=10, max_volume_pct=0.01)
    broker.submit(request_)
    close(broker, 0, price, volume)
    order = broker.order("b")
    assert order is not None
    assert (order.status, order.message) == (OrderStatus.EXPIRED, f"the day ended (2024-01-05): {why}")
    assert broker.orders(EPOCH) == (order,)


def test_orders_that_share_a_volume_say_so_and_a_filled_one_says_nothing(opened: Opening) -> None:
    broker = opened(max_volume_pct=0.5)
    for id in "bc":
        broker.submit(buy(id, "10"))
    close(broker, 0, "100", "19")
    broker.submit(buy("d", "10"))
    close(broker, 3, "100", "20")
    said = {order.request.client_order_id: order.message for order in broker.orders(EPOCH)}
    shared = "the day ended (2024-01-05): orders get at most max_volume_pct 0.5 of the volume 19, shared by 2 orders"
    assert said == {"b": shared, "c": shared, "d": ""}
