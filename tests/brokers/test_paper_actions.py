"""Corporate actions in the paper broker's book by worked numbers: 100 shares of A, bought at 64, of 10,000."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sigc.actions import Action, ActionKind
from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.records import Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import OrderRequest, OrderStatus, RejectedError

DAYS = tuple(date(2024, 1, d) for d in (3, 4, 5, 8, 9, 10, 11, 12))
FREE = {"slippage_bps": 0, "commission_bps": 0, "commission_per_share": 0, "min_commission": 0, "borrow_bps": 0}


def close(at: int) -> datetime:
    day = DAYS[at]
    return datetime(day.year, day.month, day.day, 21, tzinfo=UTC)


class Book:
    """A paper broker whose sessions are told by hand."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.clock = HandClock(close(0) - timedelta(hours=5))
        terms = PaperSettings.model_validate({**FREE, **settings})
        self.broker = PaperBroker(folder / "paper.sqlite", terms, self.clock, durable=False)
        self.broker.deposit("start", Decimal(10_000))
        self.mark(0, A="64", B="10")
        self.order("first", 100)
        self.mark(1, A="64", B="10")

    def mark(self, at: int, **prices: str) -> None:
        self.clock.turn(close(at) + timedelta(minutes=1))
        self.broker.mark(str(DAYS[at]), close(at), {n: Decimal(p) for n, p in prices.items()}, {})

    def order(self, id: str, quantity: int, asset: str = "A") -> None:
        side = Side.BUY if quantity > 0 else Side.SELL
        self.broker.submit(OrderRequest(id, asset, side, Decimal(abs(quantity))))

    def act(self, at: int, *dues: DueAction) -> None:
        self.broker.act(str(DAYS[at]), close(at), dues)

    @property
    def positions(self) -> Any:
        return self.broker.positions()

    @property
    def charges(self) -> Any:
        return [f"{c.kind} {c.asset} {c.amount}" for c in self.broker.activities("").charges]

    @property
    def money(self) -> Any:
        """Cash and equity."""
        account = self.broker.account()
        return account.cash, account.equity

    def status(self, id: str) -> OrderStatus | None:
        found = self.broker.order(id)
        return None if found is None else found.status


def due(kind: str, asset: str, at: int, *, pay: int | None = None, price: str | None = "64", **said: Any) -> DueAction:
    """An action on the session at a place; price: at the close before."""
    action = Action(DAYS[at], asset, ActionKind(kind), pay_date=None if pay is None else DAYS[pay], **said)
    paid = str(DAYS[at if pay is None else pay])
    return DueAction(action, str(DAYS[at]), close(at - 1), paid, None if price is None else Decimal(price))


def split(at: int, ratio: int | Fraction, asset: str = "A") -> DueAction:
    return due("split", asset, at, ratio=Fraction(ratio))


def dividend(at: int, cash: float, pay: int | None = None, asset: str = "A") -> DueAction:
    return due("dividend", asset, at, pay=pay, cash=cash)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path)
    assert (made.positions, made.money) == ({"A": 100}, (3_600, 10_000))
    yield made
    made.broker.close()


def test_a_split_changes_quantity_and_price_and_no_money(book: Book) -> None:
    for _ in range(2):  # again: nothing
        book.act(2, split(2, 4))
        assert (book.positions, book.money, book.charges) == ({"A": 400}, (3_600, 10_000), [])
    assert book.broker.account().buying_power == 4 * 10_000 - 6_400
    book.mark(2, A="17")
    assert book.money == (3_600, 3_600 + 6_800)


def test_a_split_is_in_the_units_of_open_orders_before_it_acts(book: Book) -> None:
    """400 may be sold on its eve and 401 not; an order of 40 at 16 takes as much as one of 10 at 64."""
    book.broker.announce([split(2, 4), split(2, 2, "C"), dividend(2, 1.0, asset="B")])
    assert (book.positions, book.money) == ({"A": 100}, (3_600, 10_000))
    assert book.broker.account().buying_power == 40_000 - 6_400
    book.order("more", 40)
    assert book.broker.account().buying_power == 40_000 - 6_400 - 640
    book.act(2, split(2, 4))
    assert book.broker.account().buying_power == 40_000 - 440 * 16
    book.mark(2, A="16")
    assert (book.positions, book.money) == ({"A": 440}, (3_600 - 640, 10_000))
    book.order("later", 1)  # in the units that are now
    assert book.broker.account().buying_power == 40_000 - 441 * 16
    book.broker.announce([split(2, 4)])  # of a session that has been: nothing
    assert book.broker.account().buying_power == 40_000 - 441 * 16


@pytest.mark.parametrize(("ratio", "count"), [(Fraction(3, 2), 150), (Fraction(2), 200), (Fraction(1, 2), 50)])
def test_all_may_be_sold_on_the_eve_of_a_split(tmp_path: Path, ratio: Fraction, count: int) -> None:
    book = Book(tmp_path, shorting=False)
    book.broker.announce([split(2, ratio)])
    assert round(book.broker.account().buying_power, 6) == 40_000 - 6_400
    with pytest.raises(RejectedError, match="shorting"):
        book.order("beyond", -count - 1)
    book.order("all", -count)
    assert round(book.broker.account().buying_power, 6) == 40_000 - 6_400
    book.act(2, split(2, ratio))
    book.mark(2, A="40")
    assert (book.positions, book.money) == ({}, (3_600 + 40 * count, 3_600 + 40 * count))
    book.broker.close()


def test_a_fraction_is_paid_in_cash(book: Book) -> None:
    """A third of 100 is 33 and a third: of a share that is 192 then."""
    book.act(2, split(2, Fraction(1, 3)))
    assert (book.positions, book.money) == ({"A": 33}, (3_664, 10_000))
    assert book.charges == ["action split A 64.00"]


def test_a_dividend_is_paid_on_its_pay_date(book: Book) -> None:
    """The price is without it once, though the asset has no close since."""
    paid = dividend(2, 0.5, pay=4)
    book.act(2, paid)
    assert (book.money, book.charges) == ((3_600, 10_000 - 50), [])
    book.act(3, paid)
    assert book.charges == []
    for _ in range(2):
        book.act(4, paid)
        assert (book.money, book.charges) == ((3_650, 10_000), ["action dividend A 50.00"])
    (charge,) = book.broker.activities("").charges
    assert (charge.at, charge.id.partition(":")[2]) == (close(4), "action:2")


def test_what_is_bought_on_the_ex_date_gets_nothing_whenever_it_is_told(book: Book) -> None:
    """Told two sessions late: 30 were sold on the day before, and 50 bought on the ex-date."""
    book.order("out", -30)
    book.mark(2, A="64")
    book.order("in", 50)
    book.mark(3, A="63")
    before = book.money
    book.act(4, dividend(3, 1.0))
    assert book.charges == ["action dividend A 70.00"]
    assert book.positions == {"A": 120}
    assert book.money == (before[0] + 70, before[1] + 70)  # the price of the ex-date was without it already


def test_an_amount_that_is_corrected_is_booked_as_the_difference(book: Book) -> None:
    book.act(2, dividend(2, 0.5))
    book.act(3, dividend(2, 0.75))
    book.act(4, dividend(2, 0.25))
    assert book.charges == ["action dividend A 50.00", "action dividend A 25.00", "action dividend A -50.00"]
    assert book.money[0] == 3_600 + 25
    book.act(3, dividend(2, 9.0))  # of a session before what is booked: the later call has done it
    assert book.money[0] == 3_600 + 25


def test_a_split_that_is_corrected_does_not_restate_the_price_again(book: Book) -> None:
    book.act(2, split(2, 2))
    book.act(2, split(2, 4))
    assert (book.positions, book.money) == ({"A": 400}, (3_600, 3_600 + 400 * 32))
    book.mark(2, A="16")
    assert book.money == (3_600, 10_000)


def test_a_short_one_pays(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.order("short", -300)
    book.mark(2, A="64")
    book.act(3, dividend(3, 0.5), split(3, 2))
    assert (book.positions, book.charges) == ({"A": -400}, ["action dividend A -200.00"])
    assert book.money == (3_600 + 19_200 - 200, 10_000 + 200 - 200)  # 400 at 31.50, and 200 paid
    book.broker.close()


def test_a_dividend_on_the_day_of_a_split_is_per_new_share(book: Book) -> None:
    book.act(2, dividend(2, 0.5), split(2, 2))
    assert (book.positions, book.charges) == ({"A": 200}, ["action dividend A 100.00"])
    assert book.money == (3_700, 3_700 + 200 * Decimal("31.5"))


def test_a_name_is_taken_with_its_price(book: Book) -> None:
    renamed = due("rename", "A", 2, into="Z")
    book.act(2, renamed)
    book.act(2, renamed)
    assert (book.positions, book.money, book.charges) == ({"Z": 100}, (3_600, 10_000), [])
    book.mark(2, A="1", Z="65")
    assert book.money == (3_600, 10_100)
    book.order("new", 1, "Z")


def test_a_spin_off_delivers_whole_shares(book: Book) -> None:
    """12 and a half of B at 10, which is held already: half a share is paid."""
    book.act(2, due("spinoff", "A", 2, into="B", ratio=Fraction(1, 8), price="10"))
    assert (book.positions, book.charges) == ({"A": 100, "B": 12}, ["action spinoff A 5.00"])
    assert book.money == (3_605, 3_605 + 6_400 + 120)


def test_what_a_short_one_owes_of_a_new_asset_is_borrowed_from_then_on(tmp_path: Path) -> None:
    """A is short 100 from 2024-01-05; N comes on 2024-01-08 without a price, and is 12 on the next day."""
    book = Book(tmp_path, borrow_bps=365)
    book.order("short", -200)
    book.mark(2, A="64")
    book.act(3, due("spinoff", "A", 3, into="N", ratio=Fraction(1), price=None))
    assert book.positions == {"A": -100, "N": -100}
    book.mark(3, A="50", N="12")
    book.mark(4, A="50", N="12")
    charged = [c for c in book.broker.activities("").charges if c.asset == "N"]
    assert [(c.kind, str(c.amount), c.at) for c in charged] == [("borrow", "-0.12", close(4))]
    book.broker.close()


def test_a_merger_gives_shares_and_cash(book: Book) -> None:
    merged = due("merge", "A", 2, into="B", ratio=Fraction(3, 2), cash=1.0, pay=3)
    book.act(2, merged)
    assert (book.positions, book.charges) == ({"B": 150}, [])
    book.act(3, merged)
    assert book.charges == ["action merge A 100.00"]
    assert book.money == (3_700, 3_700 + 1_500)


def test_a_delisting_pays_its_value(book: Book) -> None:
    book.act(2, due("delist", "A", 2, value=2.5))
    assert (book.positions, book.charges) == ({}, ["action delist A 250.00"])
    assert book.money == (3_850, 3_850)


@pytest.mark.parametrize(
    ("kind", "said", "status"),
    [
        ("split", {"ratio": Fraction(2)}, OrderStatus.EXPIRED),
        ("rename", {"into": "Z"}, OrderStatus.EXPIRED),
        ("delist", {"value": 1.0}, OrderStatus.EXPIRED),
        ("merge", {"into": "B"}, OrderStatus.EXPIRED),
        ("dividend", {"cash": 1.0}, OrderStatus.NEW),
        ("spinoff", {"into": "B"}, OrderStatus.NEW),
    ],
)
def test_orders_in_units_that_are_no_more_expire(book: Book, kind: str, said: Any, status: OrderStatus) -> None:
    """Sent before the close before, whose mark the asset was not in; one of after that waits for the session."""
    book.order("early", 10)
    book.order("sold", -5)
    book.order("other", 10, "B")
    book.clock.turn(close(2) + timedelta(minutes=1))
    book.order("late", 1)
    before = book.broker.account().buying_power
    book.act(3, due(kind, "A", 3, **said), split(3, 2, "C"))
    assert (book.status("early"), book.status("sold")) == (status, status)
    found = {order.request.client_order_id: order.message for order in book.broker.orders(close(0))}
    ended = f"A had a {kind} on {close(3).date()}, which ends open orders" if status is OrderStatus.EXPIRED else ""
    assert found == {"first": "", "early": ended, "sold": ended, "late": "", "other": ""}
    assert (book.status("late"), book.status("other")) == (OrderStatus.NEW, OrderStatus.NEW)
    if kind == "split":  # of 111 at 64 that were open there are 201 at 32 left
        assert before == 40_000 - 111 * 64 - 100
        assert book.broker.account().buying_power == 40_000 - 201 * 32 - 100


def test_prices_are_restated_but_once(book: Book) -> None:
    """Not where the session's own close is known: that is in its units."""
    book.mark(2, A="32")
    book.act(2, split(2, 2))
    assert (book.positions, book.money) == ({"A": 200}, (3_600, 10_000))
    book.act(3, dividend(3, 0.5))
    assert book.money == (3_700, 3_700 + 200 * Decimal("31.5"))


def test_each_action_acts_on_what_was_held_then(book: Book) -> None:
    """Told at once: 100 on the first ex-date, and 150 on the second."""
    book.order("more", 50)
    book.mark(2, A="64")
    book.act(4, dividend(2, 1.0), dividend(4, 0.5))
    assert book.charges == ["action dividend A 100.00", "action dividend A 75.00"]


def test_what_was_delivered_gets_its_own_dividends(book: Book) -> None:
    spun = due("spinoff", "A", 2, into="B", ratio=Fraction(1, 4), price="10")
    book.act(2, spun)
    book.act(3, spun, dividend(3, 1.0, asset="B"))
    assert (book.positions, book.charges) == ({"A": 100, "B": 25}, ["action dividend B 25.00"])
    assert book.money == (3_625, 3_625 + 6_400 + 225)


def test_an_asset_without_a_price_is_split(book: Book) -> None:
    book.act(2, due("spinoff", "A", 2, into="N", ratio=Fraction(1), price=None))
    book.act(3, split(3, 2, "N"))
    assert (book.positions, book.money) == ({"A": 100, "N": 200}, (3_600, 10_000))


def test_what_is_given_back_is_in_the_units_before_an_announced_split(tmp_path: Path) -> None:
    """A is delisted, by mistake, and there again on the eve of its split: 400 may be sold."""
    book = Book(tmp_path, shorting=False)
    book.act(2, due("delist", "A", 2, value=1.0))
    assert (book.positions, book.money) == ({}, (3_700, 3_700))
    book.broker.announce([split(3, 4)])
    book.act(2, due("delist", "A", 2))  # of no known value
    assert (book.positions, book.money) == ({"A": 100}, (3_600, 10_000))
    book.order("all", -400)
    with pytest.raises(RejectedError, match="shorting"):
        book.order("more", -1)
    book.broker.close()


def test_nothing_is_done_without_actions_or_of_what_is_not_held(book: Book) -> None:
    book.act(2)
    book.act(2, split(2, 2, "X"), dividend(2, 1.0, asset="Y"), due("rename", "V", 2, into="W"))
    assert (book.positions, book.money, book.charges) == ({"A": 100}, (3_600, 10_000), [])
