"""Adjusting entries: what they do to a book, how they are read back, and how a fill that comes late takes them back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.store.ledger import action_rows, adjustments, books
from sigc.store.ledger.accounts import position
from sigc.store.ledger.adjustments import Adjustment, GapCause, adjust, put_watermarks, take_back
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import ZERO, BookKey, Fill, Side

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
BOOK, OTHER = BookKey("one", "main"), BookKey("two", "main")
D = Decimal


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Transaction]:
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as opened, opened.transaction("adopt") as made:
        for key in (BOOK, OTHER):
            books.open_book(made, key, D(10_000), AT)
        yield made


def entry(asset: str = "A", change: str = "0", cash: str = "0", price: str | None = None, **more: Any) -> Adjustment:
    said = {"cause": GapCause.TRADE, "session": "2024-01-02", "since": AT - DAY, "who": "ann", "reason": "the desk"}
    return Adjustment(
        **{
            "book": BOOK,
            "asset": asset,
            "change": D(change),
            "cash": D(cash),
            "price": None if price is None else D(price),
            **said,
            **more,
        }
    )


def cash(tx: Transaction, key: BookKey = BOOK) -> Decimal:
    found = books.book(tx.connection, key)
    assert found is not None
    return found.cash


def fill(side: str, quantity: str, order: str = "o1", asset: str = "A") -> Fill:
    return Fill("e1", order, asset, Side(side), D(quantity), D(100), ZERO, AT)


def test_an_entry_is_read_back_as_it_was_written(tx: Transaction) -> None:
    full = entry("A", "10", "-1000", "100", client_order_id="o1", worth=D(105))
    bare = entry("", "0", "-2.50", cause=GapCause.FEE)
    first, second = adjust(tx, [full, bare])
    assert (first, second) == (replace(full, number=1, at=AT), replace(bare, number=2, at=AT))
    assert adjustments.of_book(tx.connection, BOOK) == (first, second)
    assert adjustments.of_book(tx.connection, OTHER) == ()
    (said, plain) = (
        json.loads(record)
        for (record,) in tx.connection.execute("SELECT record FROM audit WHERE event = 'book.adjusted' ORDER BY seq")
    )
    assert (said["who"], said["payload"]["number"], said["payload"]["worth"]) == ("ann", 1, "105")
    assert "worth" not in plain["payload"]


def test_shares_come_at_their_price_and_a_split_keeps_the_cost(tx: Transaction) -> None:
    adjust(tx, [entry("A", "10", "-1000", "100"), entry("A", "30", "-4200", "140")])
    assert (cash(tx), position(tx, BOOK, "A")) == (D(4_800), (D(40), D(130)))  # 5,200 of cost for 40
    adjust(tx, [entry("A", "40")])  # two for one: twice the shares at half the cost
    assert (cash(tx), position(tx, BOOK, "A")) == (D(4_800), (D(80), D(65)))
    adjust(tx, [entry("A", "0", "12.34", "7"), entry("", "5", "1", "7")])  # cash of an asset, and of none: no shares
    assert (cash(tx), position(tx, BOOK, "A")) == (D("4813.34"), (D(80), D(65)))
    assert position(tx, BOOK, "") == (ZERO, ZERO)
    adjust(tx, [entry("A", "-80", "0", "50")])
    assert position(tx, BOOK, "A")[0] == 0


@pytest.mark.parametrize(
    ("change", "money", "side", "told", "kept", "left"),
    [
        ("10", "-1000", "buy", "10", "0", "0"),  # all of it was told after all
        ("10", "-1000", "buy", "4", "6", "-600"),  # a part, with its share of the cash
        ("10", "-1000", "buy", "25", "0", "0"),  # more: no more is taken back than was adopted
        ("3", "-100", "buy", "1", "2", "-66.67"),  # in whole cents
        ("10", "-1000.005", "buy", "10", "0", "0"),  # all of it, parts of a cent too
        ("0.5", "-50", "buy", "0.5", "0", "0"),  # of shares in fractions
        ("-10", "1000", "sell", "4", "-6", "600"),
        ("10", "-1000", "sell", "4", "10", "-1000"),  # a fill of the other side explains nothing
        ("-10", "1000", "buy", "4", "-10", "1000"),
    ],
)
def test_a_fill_that_is_told_late_takes_back_what_was_adopted_for_it(
    tx: Transaction, change: str, money: str, side: str, told: str, kept: str, left: str
) -> None:
    adjust(tx, [entry("A", change, money, "100", client_order_id="o1")])
    take_back(tx, BOOK, fill(side, told))
    assert (position(tx, BOOK, "A")[0], cash(tx)) == (D(kept), 10_000 + D(left))
    found = adjustments.of_order(tx.connection, "o1")
    assert sum(one.change for one in found) == D(kept)
    if len(found) == 2:
        assert (found[1].who, found[1].reason) == ("sigc", "the fill e1 was told")


def test_two_fills_take_back_two_entries_and_not_a_cent_more(tx: Transaction) -> None:
    """10 for 1,000 and 5 for 505 were adopted; fills of 6, 9 and 3 are told: the third is new."""
    adjust(tx, [entry("A", c, m, "100", client_order_id="o1") for c, m in (("10", "-1000"), ("5", "-505"))])
    take_back(tx, BOOK, fill("buy", "6"))
    assert (position(tx, BOOK, "A")[0], cash(tx)) == (D(9), D(10_000) - D(903))  # 9 of 15 of 1,505
    for _ in range(2):
        take_back(tx, BOOK, fill("buy", "9"))
        assert (position(tx, BOOK, "A")[0], cash(tx)) == (D(0), D(10_000))
    assert len(adjustments.of_order(tx.connection, "o1")) == 4


def test_only_entries_of_that_order_book_and_asset_are_taken_back(tx: Transaction) -> None:
    adjust(
        tx,
        [
            entry("A", "10", "-1000", "100", client_order_id="o2"),
            entry("B", "10", "-1000", "100", client_order_id="o1"),
            entry("A", "10", "-1000", "100", client_order_id="o1", book=OTHER),
            entry("A", "10", "-1000", "100"),  # of no order
        ],
    )
    for order in ("o1", ""):
        take_back(tx, BOOK, fill("buy", "10", order))
    held = {(key, asset): position(tx, key, asset)[0] for key in (BOOK, OTHER) for asset in "AB"}
    assert held == {(BOOK, "A"): 20, (BOOK, "B"): 10, (OTHER, "A"): 10, (OTHER, "B"): 0}
    assert adjustments.of_order(tx.connection, "") == ()


def test_entries_are_found_by_session_by_asset_and_by_what_was_paid(tx: Transaction) -> None:
    later: dict[str, Any] = {"session": "2024-01-03", "since": AT + DAY}
    made = adjust(
        tx,
        [
            entry("A", "1", "0", "5", **later),
            entry("A", "1", "0", "5", book=OTHER),
            entry("", "0", "100", cause=GapCause.DEPOSIT),
            entry("", "0", "-30", cause=GapCause.WITHDRAWAL, **later),
            entry("", "0", "999", cause=GapCause.TRANSFER),
        ],
    )
    assert [one.number for one in adjustments.of_book(tx.connection, BOOK)] == [3, 5, 1, 4]
    assert [one.number for one in adjustments.of_book(tx.connection, BOOK, "2024-01-02")] == [1, 4]
    assert adjustments.of_asset(tx.connection, "A", AT - 2 * DAY) == (made[1], made[0])
    assert adjustments.of_asset(tx.connection, "A", AT - DAY) == (made[0],)  # after the instant, not at it
    assert (adjustments.paid_in(tx.connection, BOOK), adjustments.paid_in(tx.connection, OTHER)) == (D(70), ZERO)


def test_actions_leave_adopted_shares_alone_up_to_a_session_that_never_moves_back(tx: Transaction) -> None:
    action_rows.put_watermark(tx, BOOK, "A", "2024-01-09", "adopted")
    action_rows.put_watermark(tx, BOOK, "B", "2024-01-01", "adopted")
    moved = [entry("A", "1"), entry("B", "1"), entry("C", "0", "5"), entry("", "0", "5"), entry("B", "1", book=OTHER)]
    put_watermarks(tx, moved, {"A": "2024-01-05", "B": "2024-01-05", "C": "2024-01-05"})
    found = action_rows.watermarks(tx.connection)
    assert {key: session for key, session in found.items() if key[1]} == {
        (BOOK, "A"): "2024-01-09",
        (BOOK, "B"): "2024-01-05",
        (OTHER, "B"): "2024-01-05",
    }
