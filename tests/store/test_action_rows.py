"""Actions and entries as rows: what is written is read, and old prices are told in later units, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sigc.actions import Action, ActionKind
from sigc.clock import HandClock
from sigc.store.ledger import action_rows as rows
from sigc.store.ledger.action_effects import Amounts, DueAction
from sigc.store.ledger.action_rows import ActionEntry, StoredAction
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey

AT = datetime(2024, 1, 2, 21, tzinfo=UTC)
ONE, TWO = BookKey("one", "main"), BookKey("two", "main")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as opened:
        yield opened


def due(kind: str, asset: str, day: int, **said: Any) -> DueAction:
    """On a day of January 2024, after a close at 21:00 on the day before."""
    action = Action(date(2024, 1, day), asset, ActionKind(kind), **said)
    return DueAction(action, f"2024-01-{day:02}", datetime(2024, 1, day - 1, 21, tzinfo=UTC), f"2024-01-{day + 1:02}")


FULL = replace(
    due("merge", "A", 5, ratio=Fraction(3, 7), cash=0.1, into="B", pay_date=date(2024, 1, 9), id="x"),
    price=Decimal("12.50"),
)


def test_an_action_is_read_as_it_was_written(ledger: Ledger) -> None:
    ended = due("delist", "A", 6, value=2.5)
    returned = due("delist", "A", 7, total_return=-0.3)
    with ledger.transaction("actions") as tx:
        for one, next, gone in ((FULL, "2024-01-05", ""), (ended, "", "2024-01-03T00:00"), (returned, "", "")):
            rows.put_action(tx, one, next, gone)
        kept = (
            StoredAction(FULL, "2024-01-05"),
            StoredAction(ended, "", "2024-01-03T00:00"),
            StoredAction(returned, ""),
        )
        assert rows.listed(tx.connection, "A") == kept
        assert rows.listed(tx.connection, "B") == ()
        assert [rows.due_until(tx.connection, day) for day in ("2024-01-04", "2024-01-05")] == [(), kept[:1]]
        rows.put_price(tx, ended.key, Decimal("7.25"))
        rows.put_next(tx, ended.key, "2024-01-06")
        priced = replace(ended, price=Decimal("7.25"))
        assert rows.due_until(tx.connection, "2024-01-06") == (
            kept[0],
            StoredAction(priced, "2024-01-06", "2024-01-03T00:00"),
        )
        rows.drop_action(tx, FULL.key)
        assert [k.due for k in rows.listed(tx.connection, "A")] == [priced, returned]
        rows.put_action(tx, returned, "2024-01-07")  # in place of the one of that key
        assert [k.next for k in rows.listed(tx.connection, "A")] == ["2024-01-06", "2024-01-07"]


def test_actions_of_sessions_after_one_up_to_another(ledger: Ledger) -> None:
    made = [due("split", "A", day, ratio=Fraction(2)) for day in (7, 5, 6)]
    with ledger.transaction("actions") as tx:
        for one in made:
            rows.put_action(tx, one, "")
        found = [rows.between(tx.connection, *days) for days in (("2024-01-05", "2024-01-07"), ("2024-01-07", ""))]
    assert found == [(made[2], made[0]), ()]


def test_a_fill_has_the_actions_looked_at_that_act_on_it(ledger: Ledger) -> None:
    with ledger.transaction("actions") as tx:
        for asset in "AB":
            for day in (5, 6):
                rows.put_action(tx, due("split", asset, day), "")
        rows.fill_came(tx, "A", datetime(2024, 1, 5, 21, tzinfo=UTC))  # at the close before the sixth
        assert [k.due.key[:3] for k in rows.due_until(tx.connection, "9999")] == [("A", "split", "2024-01-06")]


def test_actions_hang_together_over_names(ledger: Ledger) -> None:
    """A becomes B, B becomes C; D delivers B. Those that act before, or after the session, are left out."""
    linked = [
        due("rename", "A", 5, into="B"),
        due("rename", "B", 6, into="C"),
        due("spinoff", "D", 6, into="B"),
        due("split", "C", 7),
    ]
    others = [due("split", "A", 4), due("split", "C", 8), due("split", "X", 5), due("spinoff", "Y", 5)]
    with ledger.transaction("actions") as tx:
        for one in (*linked, *others):
            rows.put_action(tx, one, "")
        since = datetime(2024, 1, 4, 21, tzinfo=UTC)
        for name in "ABCD":
            found = rows.hang_together(tx.connection, name, since, "2024-01-07")
            assert sorted(k.due.key for k in found) == sorted(d.key for d in linked)
        assert [k.due for k in rows.hang_together(tx.connection, "Y", since, "2024-01-07")] == [others[3]]
        assert rows.hang_together(tx.connection, "Z", since, "2024-01-07") == ()


def entry(book: BookKey, session: str, reason: str, corrects: int | None = None) -> ActionEntry:
    amounts = Amounts(Decimal(1), Decimal(2), Decimal("3.01"), Decimal("4.02"), Decimal("0.5"))
    head = (book, *FULL.key, "effect", "B", amounts, session, "2024-01-09", AT, reason, corrects)
    return ActionEntry(*head)


def test_entries_are_read_as_they_were_booked(ledger: Ledger) -> None:
    made = [
        entry(ONE, "2024-01-05", "new"),
        entry(TWO, "2024-01-05", "new"),
        entry(ONE, "2024-01-04", "late"),
        entry(ONE, "2024-01-05", "correction", 1),
    ]
    with ledger.transaction("actions") as tx:
        numbers = [rows.put_entry(tx, one) for one in made]
        assert numbers == [1, 2, 3, 4]
        one, two, three, four = (replace(e, number=n) for e, n in zip(made, numbers, strict=True))
        assert rows.entries_of(tx.connection, FULL.key) == (one, two, three, four)
        assert rows.entries_of(tx.connection, (*FULL.key[:3], "y")) == ()
        assert rows.entries_of_book(tx.connection, ONE) == (four, one, three)
        assert rows.entries_of_book(tx.connection, ONE, "2024-01-04") == (four, one)
        assert rows.entries_of_book(tx.connection, ONE, most=1) == (four,)
        assert one.key == FULL.key


@pytest.mark.parametrize(
    ("asset", "since", "until", "found"),
    [
        ("A", "2024-01-05", "2024-01-05", True),
        ("A", "2024-01-09", "2024-01-31", True),  # its pay date
        ("A", "2024-01-10", "2024-01-31", False),
        ("A", "2024-01-01", "2024-01-04", False),
        ("B", "2024-01-01", "2024-01-31", False),
    ],
)
def test_whether_one_was_booked_about_then(ledger: Ledger, asset: str, since: str, until: str, found: bool) -> None:
    with ledger.transaction("actions") as tx:
        rows.put_entry(tx, entry(ONE, "2024-01-05", "new"))
        assert rows.was_booked(tx.connection, asset, "merge", since, until) is found
        assert not rows.was_booked(tx.connection, asset, "split", since, until)


def test_progress_is_none_before_the_first(ledger: Ledger) -> None:
    with ledger.transaction("actions") as tx:
        assert rows.progress(tx.connection) == ("", Decimal(1))
        rows.put_progress(tx, "2024-01-05", Decimal("0.001"))
        rows.put_progress(tx, "2024-01-08", Decimal("0.01"))
        assert rows.progress(tx.connection) == ("2024-01-08", Decimal("0.01"))
        rows.put_watermark(tx, ONE, "", "2024-01-05", "opened")
        rows.put_watermark(tx, ONE, "", "2024-01-08", "again")
        rows.put_watermark(tx, TWO, "A", "2024-01-05", "adopted")
        assert rows.watermarks(tx.connection) == {(ONE, ""): "2024-01-08", (TWO, "A"): "2024-01-05"}


def restated(*dues: DueAction, **prices: str) -> dict[str, str]:
    found = rows.restated({name: Decimal(price) for name, price in prices.items()}, dues)
    return {name: f"{price.normalize():f}" for name, price in found.items()}


def test_old_prices_in_later_units() -> None:
    assert restated(due("split", "A", 5, ratio=Fraction(3, 2)), A="60", B="7") == {"A": "40", "B": "7"}
    assert restated(due("dividend", "A", 5, cash=0.1), A="60.3") == {"A": "60.2"}  # not 60.19999...
    assert restated(due("rename", "A", 5, into="Z"), A="60") == {"A": "60", "Z": "60"}
    assert restated(due("rename", "A", 5, into="Z"), A="60", Z="3") == {"A": "60", "Z": "3"}  # known by its own
    for kind in ("spinoff", "merge", "delist"):
        assert restated(due(kind, "A", 5, ratio=Fraction(2), cash=1.0, into="B"), A="60") == {"A": "60"}
    assert restated(due("split", "B", 5, ratio=Fraction(2)), due("dividend", "A", 6, cash=1.0), A="9") == {"A": "8"}


@pytest.mark.parametrize(("cash", "left"), [(5.5, "0.5"), (6.0, "6"), (7.0, "6")])
def test_cash_that_leaves_nothing_leaves_the_price(cash: float, left: str) -> None:
    assert restated(due("dividend", "A", 5, cash=cash), A="6") == {"A": left}


def test_of_one_session_splits_come_first_and_names_last() -> None:
    """60 is 30 after the split, 29 after a dividend per new share, and then it is called Z, of which 2 are one A."""
    acts = (
        due("split", "Z", 6, ratio=Fraction(2)),
        due("rename", "A", 5, into="Z"),
        due("dividend", "A", 5, cash=1.0),
        due("split", "A", 5, ratio=Fraction(2)),
    )
    assert restated(*acts, A="60") == {"A": "29", "Z": "14.5"}


@pytest.mark.parametrize(
    ("names", "before", "after"),
    [
        ("AB BA", {"A": "10", "B": "40"}, {"A": "40", "B": "10"}),  # they swap
        ("BA AB", {"A": "10", "B": "40"}, {"A": "40", "B": "10"}),
        ("AB BC", {"A": "10", "B": "40"}, {"A": "10", "B": "10", "C": "40"}),  # nobody is called A any more
        ("BC AB", {"A": "10", "B": "40", "C": "7"}, {"A": "10", "B": "10", "C": "7"}),
        ("AB BC", {"B": "40"}, {"C": "40"}),  # what is called B now had no price
        ("AB BC CA", {"A": "1", "B": "2", "C": "3"}, {"A": "3", "B": "1", "C": "2"}),
    ],
)
def test_names_that_change_in_one_session_change_at_once(
    names: str, before: dict[str, str], after: dict[str, str]
) -> None:
    pairs = {pair[0]: pair[1] for pair in names.split()}
    prices = {name: Decimal(price) for name, price in before.items()}
    assert rows.renamed(prices, pairs) == {name: Decimal(price) for name, price in after.items()}
    assert restated(*(due("rename", old, 5, into=new) for old, new in pairs.items()), **before) == after
