"""Books by worked numbers: positions that are added to, reduced and turned; who bears a charge; slippage; NAV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sigc.actions import Action, ActionKind
from sigc.clock import HandClock
from sigc.store.ledger import action_rows, book_counts, books, orders, price_marks, runs
from sigc.store.ledger.accounts import add_cash, rescaled
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.price_marks import Mark, Priced
from sigc.store.ledger.records import ZERO, BookKey, Charge, Fill, Intent, Nav, Run, RunKey, Side

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)
ONE, TWO = BookKey("one", "main"), BookKey("two", "main")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Two books of 1,000 and 2,000."""
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as opened:
        with opened.transaction("control") as tx:
            books.open_book(tx, ONE, Decimal(1_000), AT)
            books.open_book(tx, TWO, Decimal(2_000), AT)
        yield opened


def ordered(
    ledger: Ledger,
    id: str,
    side: str,
    quantity: str,
    key: BookKey = ONE,
    session: str = "2024-01-02",
    reference: int = 50,
) -> None:
    """An order of a run of its own."""
    run = Run(f"run-{id}", RunKey(key.strategy, key.portfolio, session, slot=id), session, 0, AT, "ann")
    with ledger.transaction("plan") as tx:
        runs.open_run(tx, run, {})
        orders.plan(tx, [Intent(id, run.id, run.key, 0, "A", Side(side), Decimal(quantity), Decimal(reference))])


def fill(id: str, side: str, quantity: str, price: str, commission: str = "0", at: datetime = AT) -> Fill:
    """An execution of an order, named by it and by its time."""
    name = f"{id}@{at.isoformat()}"
    return Fill(name, id, "A", Side(side), Decimal(quantity), Decimal(price), Decimal(commission), at)


def take_in(ledger: Ledger, *fills: Fill, charges: tuple[Charge, ...] = (), to: str = "1") -> tuple[Fill, ...]:
    with ledger.transaction("fills") as tx:
        return books.take_in(tx, fills, charges, to)


def cash(ledger: Ledger, key: BookKey = ONE) -> Decimal:
    with ledger.reading() as connection:
        found = books.book(connection, key)
    assert found is not None
    return found.cash


def told(ledger: Ledger, event: str) -> list[dict[str, Any]]:
    """The payloads of an event's audit records."""
    with ledger.reading() as connection:
        rows = connection.execute("SELECT record FROM audit WHERE event = ? ORDER BY seq", (event,)).fetchall()
    return [json.loads(record)["payload"] for (record,) in rows]


@pytest.mark.parametrize(
    ("held", "average", "side", "quantity", "price", "expected"),
    [
        ("0", "0", "buy", "10", "30", ("10", "30")),
        ("0", "0", "sell", "10", "30", ("-10", "30")),
        ("10", "20", "buy", "30", "40", ("40", "35")),  # (200 + 1,200) / 40
        ("-10", "20", "sell", "30", "40", ("-40", "35")),
        ("10", "20", "buy", "5", "21", ("15", "20.3333333333")),
        ("0.5", "20", "buy", "0.5", "40", ("1", "30")),
        ("10", "20", "buy", "0", "30", ("10", "20")),
        ("10", "20", "sell", "4", "99", ("6", "20")),  # what is left was bought as before
        ("-10", "20", "buy", "4", "1", ("-6", "20")),
        ("10", "20", "sell", "10", "99", ("0", "0")),
        ("10", "20", "sell", "13", "30", ("-3", "30")),  # turned: all of it at the new price
        ("-10", "20", "buy", "11", "30", ("1", "30")),
        ("0.5", "20", "sell", "0.25", "30", ("0.25", "20")),  # parts of a share are no less held
        ("-0.5", "20", "buy", "0.25", "30", ("-0.25", "20")),
    ],
)
def test_a_position_after_a_fill(
    held: str, average: str, side: str, quantity: str, price: str, expected: tuple[str, str]
) -> None:
    moved = books.moved_position(Decimal(held), Decimal(average), fill("o", side, quantity, price))
    assert moved == tuple(map(Decimal, expected))


@pytest.mark.parametrize(
    ("before", "after", "average"),
    [
        ("10", "20", "10"),  # a split of 2:1 halves what a share has cost
        ("-10", "-30", "6.6666666667"),
        ("0.5", "1", "10"),
        ("0.5", "0.25", "40"),
        ("10", "0", "20"),
        ("0", "5", "20"),
        ("10", "-5", "20"),
    ],
)
def test_the_cost_of_shares_that_become_others_stays(before: str, after: str, average: str) -> None:
    assert rescaled(Decimal(20), Decimal(before), Decimal(after)) == Decimal(average)


def test_what_is_owed_adds_up_beside_cash(ledger: Ledger) -> None:
    with ledger.transaction("test") as tx:
        add_cash(tx, ONE, Decimal(5), Decimal("2.5"))
        add_cash(tx, ONE, Decimal(-1), Decimal("-0.5"))
        add_cash(tx, ONE, Decimal(1))
    with ledger.reading() as connection:
        found = books.book(connection, ONE)
    assert found is not None
    assert (found.cash, found.receivables) == (Decimal(1005), Decimal(2))


def test_fills_move_cash_and_position_once(ledger: Ledger) -> None:
    ordered(ledger, "b", "buy", "10")
    first, second = fill("b", "buy", "4", "50.5", "1.5"), fill("b", "buy", "6", "49", "0", AT + timedelta(seconds=1))
    assert take_in(ledger, first, to="1") == (first,)
    assert take_in(ledger, first, second, to="2") == (second,)  # the sweep began where the last one did
    assert cash(ledger) == Decimal("502.5")  # 1,000 - 4 x 50.5 - 1.5 - 6 x 49
    assert cash(ledger, TWO) == 2_000
    with ledger.reading() as connection:
        assert [b.capital for b in books.books(connection)] == [1_000, 2_000]  # cash moves, capital does not
        assert books.book(connection, ONE) == books.books(connection)[0]
        (position,) = books.positions(connection)
        assert (position.book, position.quantity, position.average_price) == (ONE, Decimal(10), Decimal("49.6"))
        assert books.positions(connection, TWO) == ()
        assert books.cursor(connection) == "2"
        assert book_counts.fills(connection, ONE) == books.count_fills(connection, "run-b") == 2
    # Half a point above the reference of 50, then a point below; what is held after each.
    assert [(r["slippage_bps"], r["position"]) for r in told(ledger, "fill")] == [(100.0, "4"), (-200.0, "10")]


def test_a_sale_slips_downwards(ledger: Ledger) -> None:
    ordered(ledger, "s", "sell", "10")
    take_in(ledger, fill("s", "sell", "4", "49.5"), fill("s", "sell", "6", "51", "2", AT + timedelta(seconds=1)))
    assert [(r["slippage_bps"], r["position"]) for r in told(ledger, "fill")] == [(100.0, "-4"), (-200.0, "-10")]
    assert cash(ledger) == 1_000 + 4 * Decimal("49.5") + 6 * 51 - 2


@pytest.mark.parametrize(("reference", "slippage"), [(50, 24.6913), (0, 0.0)])
def test_slippage_is_told_to_four_digits(ledger: Ledger, reference: int, slippage: float) -> None:
    ordered(ledger, "b", "buy", "1", reference=reference)
    take_in(ledger, fill("b", "buy", "1", "50.1234567"))  # 24.69134 above 50; of what was sized by nothing, nothing
    assert [r["slippage_bps"] for r in told(ledger, "fill")] == [slippage]


def test_a_position_that_is_closed_is_none(ledger: Ledger) -> None:
    ordered(ledger, "b", "buy", "10")
    ordered(ledger, "s", "sell", "10")
    take_in(ledger, fill("b", "buy", "10", "50"), fill("s", "sell", "10", "51"))
    with ledger.reading() as connection:
        assert books.positions(connection) == ()
    assert cash(ledger) == 1_010


def test_more_than_was_ordered_is_told_and_counts(ledger: Ledger) -> None:
    ordered(ledger, "b", "buy", "10")
    take_in(ledger, fill("b", "buy", "10", "50"), fill("b", "buy", "1", "50", at=AT + timedelta(seconds=1)))
    assert (len(told(ledger, "fill")), len(told(ledger, "fill.excess"))) == (1, 1)
    with ledger.reading() as connection:
        assert books.quantities(connection, ONE) == {"A": 11}


def test_a_fill_of_an_order_of_others_is_told_and_moves_nothing(ledger: Ledger) -> None:
    foreign = fill("theirs", "buy", "10", "50")
    assert take_in(ledger, foreign) == (foreign,)
    assert take_in(ledger, foreign) == ()
    assert [r["client_order_id"] for r in told(ledger, "fill.foreign")] == ["theirs"]
    assert cash(ledger) == 1_000
    assert cash(ledger, TWO) == 2_000


def hold(ledger: Ledger, one: str, two: str) -> None:
    """Positions of A of the two books at no price, so that cash stays as it is."""
    for key, quantity in ((ONE, one), (TWO, two)):
        if Decimal(quantity):
            side = "buy" if Decimal(quantity) > 0 else "sell"
            ordered(ledger, key.strategy, side, "100", key)
            take_in(ledger, fill(key.strategy, side, str(abs(Decimal(quantity))), "0"))


@pytest.mark.parametrize(
    ("one", "two", "amount", "shares"),
    [
        ("-1", "-2", "-10.00", ("-3.33", "-6.67")),  # the last bears what rounding leaves
        ("-2", "-1", "-10.00", ("-6.67", "-3.33")),
        ("-1", "-1", "-0.05", ("-0.02", "-0.03")),
        ("-1", "3", "-10.00", ("-10.00", "0")),  # who is short borrows, whatever others hold
        ("-0.5", "0.5", "-10.00", ("-10.00", "0")),
        ("1", "3", "10.00", ("2.50", "7.50")),  # a dividend to those who hold it
        ("0", "0", "-9.00", ("-3.00", "-6.00")),  # nobody does: by capital
    ],
)
def test_who_bears_a_charge(ledger: Ledger, one: str, two: str, amount: str, shares: tuple[str, str]) -> None:
    hold(ledger, one, two)
    charge = Charge("c1", "borrow", "A", Decimal(amount), AT)
    for _ in range(2):  # reported again, it is charged once
        take_in(ledger, charges=(charge,))
    assert (cash(ledger), cash(ledger, TWO)) == (1_000 + Decimal(shares[0]), 2_000 + Decimal(shares[1]))
    assert [Decimal(r["share"]) for r in told(ledger, "charge")] == [Decimal(s) for s in shares if Decimal(s)]
    with ledger.reading() as connection:
        assert books.charged(connection, ONE) == Decimal(shares[0])
        assert books.charged(connection, ONE, after=AT - timedelta(seconds=1)) == Decimal(shares[0])
        assert books.charged(connection, ONE, after=AT) == 0
        day = {"2024-01-02": Decimal(shares[0])} if Decimal(shares[0]) else {}
        assert books.charges_by_day(connection, ONE) == day


def test_charges_of_a_day_add_up(ledger: Ledger) -> None:
    times = (AT, AT + timedelta(hours=8, minutes=59), AT + timedelta(hours=9))  # midnight UTC ends the day
    ids = ("c1", "c2", "c3")
    take_in(ledger, charges=tuple(Charge(id, "fee", "", Decimal(-3), at) for id, at in zip(ids, times, strict=True)))
    with ledger.reading() as connection:
        assert books.charges_by_day(connection, ONE) == {"2024-01-02": -2, "2024-01-03": -1}
        assert books.charged(connection, TWO) == -6


def test_a_charge_without_books_is_told(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as empty:
        with empty.reading() as connection:
            assert books.cursor(connection) == ""
        take_in(empty, charges=(Charge("c1", "fee", "", Decimal(-3), AT),))
        assert [r["id"] for r in told(empty, "charge.foreign")] == ["c1"]
        with empty.reading() as connection:
            assert books.cursor(connection) == "1"
            assert books.book(connection, ONE) is None
            assert books.last_nav(connection, ONE) is None


def test_fills_are_found_by_run_session_and_time(ledger: Ledger) -> None:
    ordered(ledger, "b", "buy", "10")
    ordered(ledger, "s", "sell", "10", session="2024-01-03")
    ordered(ledger, "t", "buy", "10", TWO)
    early, late = fill("b", "buy", "1", "50"), fill("s", "sell", "1", "50", at=AT + timedelta(days=1))
    take_in(ledger, early, late, fill("t", "buy", "1", "50"))
    with ledger.reading() as connection:
        assert books.fills_of(connection, "run-b") == (early,)
        assert books.fills_of_session(connection, RunKey("one", "main", "2024-01-03")) == (late,)
        assert books.fills_of_book(connection, ONE) == (early, late)
        assert books.fills_of_book(connection, ONE, after=AT) == (late,)
        assert books.fills_of_book(connection, ONE, after=AT - timedelta(seconds=1)) == (early, late)
        assert book_counts.fills(connection, ONE) == 2


def test_a_book_is_opened_once(ledger: Ledger) -> None:
    with ledger.transaction("control") as tx:
        again = books.open_book(tx, ONE, Decimal(9_999), AT + timedelta(days=1))
        assert again.capital == again.cash == 1_000
        assert again.opened == AT
        new = books.open_book(tx, BookKey("three", "main"), Decimal(3_000), AT)
        assert new == books.book(tx.connection, new.key)
        assert [b.capital for b in books.books(tx.connection)] == [1_000, 3_000, 2_000]  # by name
    assert [r["capital"] for r in told(ledger, "book.opened")] == ["1000", "2000", "3000"]


def test_a_session_is_valued_once(ledger: Ledger) -> None:
    navs = [
        Nav(ONE, f"2024-01-0{d}", Decimal(10 * d), Decimal(9 * d), Decimal(8 * d), Decimal(7 * d)) for d in (2, 4, 3)
    ]
    with ledger.transaction("fills") as tx:
        for nav in navs:
            books.put_nav(tx, nav)
            books.put_nav(tx, replace(nav, nav=ZERO))  # what is known stays
    with ledger.reading() as connection:
        assert books.navs(connection, ONE) == (navs[0], navs[2], navs[1])
        assert books.navs(connection, ONE, after="2024-01-03") == (navs[1],)
        assert books.last_nav(connection, ONE) == navs[1]
        assert books.navs(connection, TWO) == ()
    assert len(told(ledger, "nav")) == 3


def test_marks_of_the_run_that_decided_last(ledger: Ledger) -> None:
    marks = {"A": Mark(Decimal("50.25"), "x"), "B": Mark(None, "y"), "C": Mark(Decimal(1))}
    ordered(ledger, "b", "buy", "10")
    with ledger.transaction("plan") as tx:
        price_marks.put_marks(tx, "run-b", marks)
        assert price_marks.marks_of(tx.connection, "run-b") == marks
        assert price_marks.last_prices(tx.connection, ONE) == {}  # nothing is decided yet
        runs.mark_decided(tx, runs.find(tx.connection, "run-b"))
        assert price_marks.last_prices(tx.connection, ONE) == {"A": Decimal("50.25"), "C": 1}
        assert price_marks.last_prices(tx.connection, TWO) == {}


def test_marks_in_the_units_of_a_later_session(ledger: Ledger) -> None:
    """Of 2024-01-02; A splits 3:1 on the fourth, and C pays 0.25 on the fifth, up to which actions are booked."""
    ordered(ledger, "b", "buy", "10")
    split = Action(date(2024, 1, 4), "A", ActionKind.SPLIT, Fraction(3))
    paid = Action(date(2024, 1, 5), "C", ActionKind.DIVIDEND, cash=0.25)
    with ledger.transaction("plan") as tx:
        price_marks.put_marks(tx, "run-b", {"A": Mark(Decimal("50.25")), "C": Mark(Decimal(1))})
        runs.mark_decided(tx, runs.find(tx.connection, "run-b"))
        for one in (split, paid):
            action_rows.put_action(tx, DueAction(one, str(one.ex_date), AT, str(one.ex_date)), "")
        found = [price_marks.last_prices(tx.connection, ONE, f"2024-01-0{day}") for day in (1, 2, 3, 4, 5)]
        assert [p["A"] for p in found] == [Decimal(x) for x in ("50.25", "50.25", "50.25", "16.75", "16.75")]
        assert [p["C"] for p in found] == [Decimal(x) for x in ("1", "1", "1", "1", "0.75")]
        assert price_marks.last_prices(tx.connection, ONE) == found[0]  # nothing is booked yet
        action_rows.put_progress(tx, "2024-01-04", Decimal(1))
        assert price_marks.last_prices(tx.connection, ONE) == found[3]


def test_what_positions_are_valued_at(ledger: Ledger) -> None:
    """As the newest NAV wrote it down, else what the newest run was judged by, of its as-of day."""
    ordered(ledger, "b", "buy", "10", session="2024-01-03")
    with ledger.transaction("plan") as tx:
        price_marks.put_marks(tx, "run-b", {"A": Mark(Decimal("50.25")), "B": Mark(None)})
        runs.mark_decided(tx, runs.find(tx.connection, "run-b"))
        assert price_marks.valued_at(tx.connection, ONE) is None
        assert price_marks.prices_of(tx.connection, ONE) == {"A": Priced(Decimal("50.25"), "2024-01-03")}
        assert price_marks.prices_of(tx.connection, TWO) == {}
        for day in ("2024-01-04", "2024-01-05"):
            price_marks.put_prices(tx, ONE, {"A": Priced(Decimal("0.1"), day), "C": Priced(Decimal(7), "2024-01-02")})
        written = {"A": Priced(Decimal("0.1"), "2024-01-05"), "C": Priced(Decimal(7), "2024-01-02")}
        assert price_marks.valued_at(tx.connection, ONE) == price_marks.prices_of(tx.connection, ONE) == written
        price_marks.put_prices(tx, ONE, {})
        assert price_marks.prices_of(tx.connection, ONE) == {}  # nothing is held, whatever was judged before
        assert price_marks.prices_of(tx.connection, TWO) == {}


def test_a_new_book_is_left_alone_by_actions_up_to_its_anchor(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as opened, opened.transaction("control") as tx:
        books.open_book(tx, ONE, Decimal(1_000), AT, "2023-12-29")
        books.open_book(tx, TWO, Decimal(1_000), AT)
        assert action_rows.watermarks(tx.connection) == {(ONE, ""): "2023-12-29", (TWO, ""): "2024-01-02"}


def test_what_a_simulated_broker_charges_for_an_action_is_in_no_cash(ledger: Ledger) -> None:
    hold(ledger, "1", "3")
    take_in(ledger, charges=(Charge("c1", "action dividend", "A", Decimal(10), AT),))
    assert (cash(ledger), cash(ledger, TWO)) == (Decimal(1_000), Decimal(2_000))
    assert [r["id"] for r in told(ledger, "charge.of_action")] == ["c1"]


def test_money_that_is_owed_to_a_book_is_in_the_record_of_its_worth(ledger: Ledger) -> None:
    with ledger.transaction("fills") as tx:
        for session, owed in (("2024-01-02", "0"), ("2024-01-03", "12.5")):
            books.put_nav(tx, Nav(ONE, session, Decimal(9), Decimal(9), ZERO, ZERO, receivables=Decimal(owed)))
        assert [nav.receivables for nav in books.navs(tx.connection, ONE)] == [ZERO, Decimal("12.5")]
    assert [r.get("receivables") for r in told(ledger, "nav")] == [None, "12.5"]


def test_an_asset_has_traded_once_it_has_a_fill(ledger: Ledger) -> None:
    ordered(ledger, "o1", "buy", "5")
    with ledger.reading() as connection:
        assert books.has_traded(connection, "A") is False
    take_in(ledger, fill("o1", "buy", "5", "50"))
    with ledger.reading() as connection:
        assert (books.has_traded(connection, "A"), books.has_traded(connection, "B")) == (True, False)
