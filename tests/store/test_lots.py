"""Lots against single shares in a queue, worked examples by hand, and the ledger's own cash and positions."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.actions import Action
from sigc.store.history.lots import BookCharge, BookEvent, BookRecord, SessionFill, book_events, record
from sigc.store.ledger import books
from sigc.store.ledger.action_effects import EFFECT, PAYMENT, Amounts
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.records import BookKey, Fill, Side
from tests.store import actions_desk
from tests.store.test_proof import whole as whole  # a work dir with every kind of event

D = Decimal
KEY = BookKey("momentum", "main")
AT = datetime(2024, 1, 2, 15, tzinfo=UTC)


def fill(
    change: int | str, price: str, asset: str = "A", session: str = "2024-01-02", commission: str = "0"
) -> SessionFill:
    size = D(change)
    side = Side.BUY if size > 0 else Side.SELL
    return SessionFill(session, Fill(f"{session} {change}", "o", asset, side, abs(size), D(price), D(commission), AT))


def action(kind: str, into: str = "", **amounts: object) -> ActionEntry:
    given = Amounts(**{name: D(str(value)) for name, value in amounts.items()})
    return ActionEntry(KEY, "A", kind, "2024-01-03", "", EFFECT, into, given, "2024-01-03", "2024-01-03", AT, "new")


def lots(found: BookRecord, asset: str = "A") -> list[tuple[object, ...]]:
    return [(lot.session, lot.quantity, lot.cost) for lot in found.lots.get(asset, ())]


def test_the_oldest_shares_are_sold_first() -> None:
    """100 at 10, 100 at 20; 150 sold at 30: (30 - 10) x 100 + (30 - 20) x 50 = 2,500, and 50 at 20 are left."""
    found = record([fill(100, "10"), fill(100, "20", session="2024-01-03"), fill(-150, "30", commission="1.5")])
    assert found.realised == 2500
    assert found.commissions == Fraction(-3, 2)
    assert lots(found) == [("2024-01-03", 50, 1000)]


def test_a_short_position_gains_when_it_is_bought_back_lower() -> None:
    """Sold 100 at 50, bought 60 at 40 and 60 at 45: 600 and 200, and 20 long at 45."""
    found = record([fill(-100, "50"), fill(60, "40"), fill(60, "45")])
    assert found.realised == 800
    assert lots(found) == [("2024-01-02", 20, 900)]


def test_parts_of_a_share_are_lots_too() -> None:
    """Twice half a share; and a share sold short at 10, half of which is bought back at 8."""
    assert lots(record([fill("0.5", "10"), fill("0.5", "12")])) == [
        ("2024-01-02", D("0.5"), 5),
        ("2024-01-02", D("0.5"), 6),
    ]
    found = record([fill(-1, "10"), fill("0.5", "8")])
    assert found.realised == 1
    assert lots(found) == [("2024-01-02", D("-0.5"), -5)]


@pytest.mark.parametrize(
    ("entry", "held", "realised", "dividends"),
    [
        # 100 at 10 and 1 at 12 become 303 at 3:1; the cost stays.
        (action("split", change=202), {"A": [300, 3]}, 0, 0),
        # A reverse split leaves 67 of 101: each lot keeps its part of the shares.
        (action("split", change=-34), {"A": [Fraction(6700, 101), Fraction(67, 101)]}, 0, 0),
        (action("dividend", receivable="50.5"), {"A": [100, 1]}, 0, Fraction(101, 2)),
        (action("rename", "B", change=-101, into_change=101), {"B": [100, 1]}, 0, 0),
        # At its end it is worth 8: 808 less 1,012 of cost.
        (action("delist", change=-101, cash=808), {}, -204, 0),
        # One of B for two: 50 and the half brings 30; of the cost of 1,012 the half share had 10, the oldest.
        (action("merge", "B", change=-101, into_change=50, fraction="0.5", cash=30), {"B": [Fraction(99, 2), Fraction(1, 2)]}, 20, 0),
        (action("spinoff", "B", into_change=10), {"A": [100, 1], "B": [10]}, 0, 0),
        # Three for two: 151, and the half brings 4; it is of the first lot, of 150 for 1,000.
        (action("split", change=50, fraction="0.5", cash=4), {"A": [Fraction(299, 2), Fraction(3, 2)]}, 4 - Fraction(10, 3), 0),
        # All of it for cash alone beside no share of B; and for nothing.
        (action("merge", "B", change=-101, cash=1050), {}, 38, 0),
        (action("merge", "B", change=-101), {}, -1012, 0),
        # No fraction, and cash beside the shares.
        (action("merge", "B", change=-101, into_change=50, cash=30), {"B": [Fraction(5000, 101), Fraction(50, 101)]}, 30, 0),
        # A later word on what an end was worth; a split that leaves nothing.
        (action("delist", cash=5), {"A": [100, 1]}, 5, 0),
        (action("split", change=-101), {}, -1012, 0),
        (action("spinoff", "B", cash="7"), {"A": [100, 1]}, 0, 7),
    ],
)  # fmt: skip
def test_corporate_actions_move_lots(
    entry: ActionEntry, held: dict[str, list[Fraction]], realised: object, dividends: object
) -> None:
    found = record([fill(100, "10"), fill(1, "12"), entry])
    assert {asset: [lot.quantity for lot in own] for asset, own in found.lots.items()} == held
    assert (found.realised, found.dividends) == (realised, dividends)
    assert_balanced(found, [fill(100, "10"), fill(1, "12"), entry])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_part_of_a_position_leaves_out_of_its_oldest_lots(sign: int) -> None:
    """100 at 10 and 50 at 20: of 120 under a new name 20 are at 20, and so are the 30 that stay."""
    bought = [fill(100 * sign, "10"), fill(50 * sign, "20", session="2024-01-04")]
    found = record([*bought, action("rename", "B", change=-120 * sign, into_change=120 * sign)])
    assert lots(found, "B") == [("2024-01-02", 100 * sign, 1000 * sign), ("2024-01-04", 20 * sign, 400 * sign)]
    assert lots(found) == [("2024-01-04", 30 * sign, 600 * sign)]
    # What moves the other way takes nothing along.
    back = record([fill("0.5", "10"), action("rename", "B", change="0.5", into_change="0.5")])
    assert (lots(back), lots(back, "B")) == ([("2024-01-02", D("0.5"), 5)], [("2024-01-03", D("0.5"), 0)])


def test_a_split_of_nothing_brings_shares_without_cost() -> None:
    assert lots(record([action("split", change=5)])) == [("2024-01-03", 5, 0)]


@pytest.mark.parametrize(
    ("listed", "held", "realised"),
    [
        (actions_desk.action("rename", "A", 3, into="E"), {"E": [(51, 510)]}, 0),
        # 25.5 of E, of which the half brings 9, and 51 in cash; it had cost 10.
        (
            actions_desk.action("merge", "A", 3, into="E", ratio=Fraction(1, 2), cash=1.0),
            {"E": [(25, 500)]},
            50,
        ),
        (actions_desk.action("spinoff", "A", 3, into="E", ratio=Fraction(1, 2)), {"A": [(51, 510)], "E": [(25, 0)]}, 5),
        (actions_desk.action("delist", "A", 3, value=5.0), {}, -255),
    ],
)
def test_a_sale_that_is_told_after_an_action_is_in_the_lots_before_it(
    tmp_path: Path, listed: Action, held: dict[str, list[tuple[int, int]]], realised: int
) -> None:
    """101 at 10, and 50 sold at 10 the next day, of which nobody knew when the action was booked."""
    with actions_desk.Desk(tmp_path) as desk:
        desk.fill("A", 101, 0)
        desk.lists(listed)
        desk.book(5)
        desk.fill("A", -50, 1)
        with desk.ledger.reading() as connection:
            found = record(book_events(connection, actions_desk.KEY))
            kept = books.quantities(connection, actions_desk.KEY)
    shown = {asset: [(int(lot.quantity), int(lot.cost)) for lot in own] for asset, own in found.lots.items()}
    assert shown == held
    assert kept == {asset: sum(quantity for quantity, _ in own) for asset, own in held.items()}
    assert found.realised == realised


def test_what_was_owed_is_a_dividend_once() -> None:
    """At the ex-date, not again at the payment."""
    owed = action("dividend", receivable=50)
    paid = ActionEntry(
        KEY, "A", "dividend", "2024-01-03", "", PAYMENT, "", Amounts(cash=D(50), receivable=D(-50)), "2024-02-01",
        "2024-02-01", AT, "payment",
    )  # fmt: skip
    assert record([fill(100, "10"), owed, paid]).dividends == 50


def test_adjustments_are_trades_transfers_and_fees() -> None:
    def entry(asset: str, change: int, cash: str, price: str | None, cause: GapCause) -> Adjustment:
        given = None if price is None else D(price)
        return Adjustment(KEY, asset, D(change), D(cash), cause, given, "2024-01-04", AT, "ann", "")

    events: list[BookEvent] = [
        fill(100, "10"),
        entry("A", -40, "480", "12", GapCause.TRADE),
        entry("A", 60, "0", None, GapCause.SPLIT),
        entry("", 0, "-5", None, GapCause.FEE),
        entry("", 0, "3", None, GapCause.DIVIDEND),
        entry("", 0, "1000", None, GapCause.TRANSFER),
        entry("B", 10, "0", "7", GapCause.TRANSFER),
        entry("C", 10, "0", "0", GapCause.SPIN_OFF),
    ]
    found = record(events)
    assert [*map(int, (found.realised, found.dividends, found.transfers))] == [80, 3, 1000 + 70]
    assert [*found.charges.items()] == [("fee", Fraction(-5))]
    assert lots(found) == [("2024-01-02", 120, 600)]
    assert (lots(found, "B"), lots(found, "C")) == ([("2024-01-04", 10, 70)], [("2024-01-04", 10, 0)])
    assert_balanced(found, events)


shares = st.integers(-9, 9).filter(bool)
prices = st.integers(1, 50).map(lambda cents: str(D(cents) / 4))


@given(st.lists(st.tuples(shares, prices), min_size=1, max_size=40))
def test_lots_are_single_shares_in_a_queue(trades: list[tuple[int, str]]) -> None:
    """Each share of its own, the price it came for; the first that came is the first that goes."""
    queue: deque[tuple[int, Fraction]] = deque()
    realised = Fraction(0)
    for change, price in trades:
        for _ in range(abs(change)):
            sign, paid = (1 if change > 0 else -1), Fraction(D(price))
            if queue and queue[0][0] != sign:
                was, cost = queue.popleft()
                realised += was * (paid - cost)
            else:
                queue.append((sign, paid))
    found = record(
        fill(change, price, session=str((AT + timedelta(days=day)).date()))
        for day, (change, price) in enumerate(trades)
    )
    assert found.realised == realised == sum(found.realised_of.values())
    assert found.held("A") == sum(sign for sign, _ in queue)
    assert found.open_cost == sum(sign * paid for sign, paid in queue)


@given(st.lists(st.tuples(shares, prices, st.integers(0, 3)), max_size=30))
def test_cash_is_what_was_earned_less_what_is_held(events: list[tuple[int, str, int]]) -> None:
    made: list[BookEvent] = []
    for number, (change, price, kind) in enumerate(events):
        entry = (
            action("dividend", receivable=change),
            action("split", change=change, fraction="0.25", cash=price),
            action("delist", change=change, cash=price),
        )
        made.append(fill(change, price, commission="0.25") if kind == 0 else entry[kind - 1])
        if number % 3 == 0:
            made.append(BookCharge("2024-01-05", "borrow", "A", D("-0.35")))
    assert_balanced(record(made), made)


def assert_balanced(found: BookRecord, events: list[BookEvent]) -> None:
    """Cash and receivables by the events themselves, against what the record tells of them."""
    cash = Fraction(0)
    for event in events:
        match event:
            case SessionFill():
                cash += Fraction(event.fill.cash)
            case ActionEntry():
                cash += Fraction(event.amounts.cash) + Fraction(event.amounts.receivable)
            case Adjustment():
                cash += Fraction(event.cash)
            case BookCharge():
                cash += Fraction(event.amount)
    charges = sum(found.charges.values(), Fraction(0))
    told = found.realised + found.commissions + found.dividends + charges + found.transfers
    assert cash == told - found.open_cost


def test_a_ledger_s_cash_and_positions_are_those_of_its_lots(whole: Path) -> None:
    with closing(connect_reader(whole / FILE)) as connection:
        events = book_events(connection, KEY)
        found = record(events)
        book = books.book(connection, KEY)
        held = books.quantities(connection, KEY)
    assert book is not None
    assert {type(event) for event in events} == {SessionFill, ActionEntry, Adjustment, BookCharge}
    assert {asset: Fraction(quantity) for asset, quantity in held.items()} == {
        asset: found.held(asset) for asset in found.lots
    }
    charges = sum(found.charges.values(), Fraction(0))
    told = found.realised + found.commissions + found.dividends + charges + found.transfers
    assert Fraction(book.cash + book.receivables - book.capital) == told - found.open_cost
