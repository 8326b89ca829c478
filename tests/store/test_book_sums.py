"""Books by worked numbers, over several of them: names of deposits, sums, shares of charges, and the newest of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from sigc.actions import Action, ActionKind
from sigc.store.ledger import action_rows, book_rename, books
from sigc.store.ledger.action_effects import Amounts, DueAction
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.adjustments import Adjustment, GapCause, adjust
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, Charge, Nav
from tests.store.test_books import AT, ONE, TWO, cash, fill, hold, ledger, ordered, take_in, told  # noqa: F401

DAY = timedelta(days=1)


def test_a_deposit_has_a_name_of_its_own_though_a_renamed_book_had_the_first(ledger: Ledger) -> None:  # noqa: F811
    """`one` is renamed to `three`, and keeps its deposit: a new `one` has another, named by its instant."""
    with ledger.transaction("control") as tx:
        assert books.book(tx.connection, ONE) == books.Book(
            ONE, Decimal(1000), Decimal(1000), AT, "2024-01-02", funded="one/main"
        )
        book_rename.rename_strategy(tx, "one", "three", "ann", "a better name")
        again = books.open_book(tx, ONE, Decimal(5), AT + DAY)
        assert again.funded == "one/main/2024-01-03T15:00:00+00:00"
        assert {b.key.strategy: b.funded for b in books.books(tx.connection)} == {
            "one": "one/main/2024-01-03T15:00:00+00:00",
            "two": "two/main",
            "three": "one/main",
        }


def test_positions_of_all_books_add_up(ledger: Ledger) -> None:  # noqa: F811
    hold(ledger, "30", "-12")
    with ledger.reading() as connection:
        assert books.quantity_of_all(connection, "A") == Decimal(18)
        assert books.quantity_of_all(connection, "B") == ZERO


@pytest.mark.parametrize(("side", "worse"), [("buy", 200.0), ("sell", -200.0)])
def test_slippage_is_of_the_side(ledger: Ledger, side: str, worse: float) -> None:  # noqa: F811
    """51 where 50 was expected: 2 % worse for who buys, as much better for who sells."""
    ordered(ledger, "o", side, "10")
    take_in(ledger, fill("o", side, "10", "51"))
    assert [r["slippage_bps"] for r in told(ledger, "fill")] == [worse]


@pytest.mark.parametrize(
    ("kind", "days", "is_of_action"),
    [
        ("dividend", -10, True),
        ("dividend", 10, True),
        ("dividend", -11, False),
        ("dividend", 11, False),
        ("fee", 0, False),
    ],
)
def test_a_dividend_that_an_entry_has_booked_within_ten_days_is_not_paid_twice(
    ledger: Ledger,  # noqa: F811
    kind: str,
    days: int,
    is_of_action: bool,
) -> None:
    """The entry is of 2 January, ex-date and payment; the broker's charge comes so many days after it."""
    hold(ledger, "10", "0")
    nothing = Amounts(cash=Decimal(5))
    entry = ActionEntry(
        ONE, "A", "dividend", "2024-01-02", "", "effect", "", nothing, "2024-01-02", "2024-01-02", AT, "x"
    )
    with ledger.transaction("actions") as tx:
        action_rows.put_entry(tx, entry)
    before = cash(ledger)
    take_in(ledger, charges=(Charge("c", kind, "A", Decimal(5), AT + days * DAY),))
    assert len(told(ledger, "charge.of_action")) == is_of_action
    assert cash(ledger) - before == (0 if is_of_action else 5)


def test_a_charge_goes_to_books_that_are_short_alone_each_by_its_size(ledger: Ledger) -> None:  # noqa: F811
    """One is short 30, two 10: of 8 they bear 6 and 2. Once two has none, one bears all."""
    hold(ledger, "-30", "-10")
    take_in(ledger, charges=(Charge("c", "borrow", "A", Decimal(-8), AT),))
    assert [int(cash(ledger, key)) for key in (ONE, TWO)] == [994, 1998]
    ordered(ledger, "back", "buy", "10", TWO)
    take_in(ledger, fill("back", "buy", "10", "0"))
    take_in(ledger, charges=(Charge("d", "borrow", "A", Decimal(-4), AT),))
    assert [int(cash(ledger, key)) for key in (ONE, TWO)] == [990, 1998]


def test_the_newest_fill_and_those_of_others(ledger: Ledger) -> None:  # noqa: F811
    with ledger.reading() as connection:
        assert (books.newest_fill(connection), books.foreign_fills(connection)) == (None, ())
    ordered(ledger, "o", "buy", "10")
    late, early = fill("o", "buy", "5", "1", at=AT + DAY), fill("o", "buy", "5", "1")
    others = fill("theirs", "sell", "3", "7"), replace(fill("theirs", "sell", "4", "8"), execution_id="z")
    take_in(ledger, late, early, *others)
    with ledger.reading() as connection:
        assert books.newest_fill(connection) == AT + DAY
        assert books.foreign_fills(connection) == others


def test_the_newest_and_the_highest_worth_of_a_book(ledger: Ledger) -> None:  # noqa: F811
    with ledger.transaction("nav") as tx:
        assert (books.highest_nav(tx.connection, ONE), books.last_nav(tx.connection, ONE)) == (None, None)
        assert books.declared_until(tx.connection, ONE) == ""
        for day, nav in (("2024-01-03", "900"), ("2024-01-04", "1200.5"), ("2024-01-05", "1100")):
            books.put_nav(tx, Nav(ONE, day, Decimal(nav), Decimal(1), Decimal(2), Decimal(3)))
        assert books.highest_nav(tx.connection, ONE) == Decimal("1200.5")
        assert [n.session for n in books.last_navs(tx.connection, ONE, 2)] == ["2024-01-04", "2024-01-05"]
        assert [n.session for n in books.last_navs(tx.connection, ONE, 3)] == ["2024-01-03", "2024-01-04", "2024-01-05"]
        last = books.last_nav(tx.connection, ONE)
        assert last is not None
        assert last.session == "2024-01-05"
        tx.connection.execute("UPDATE nav SET basis = 'declared' WHERE session < '2024-01-05'")
        assert books.declared_until(tx.connection, ONE) == "2024-01-04"
        assert books.declared_until(tx.connection, TWO) == ""


def test_a_fill_that_was_adopted_before_it_was_told_counts_once(ledger: Ledger) -> None:  # noqa: F811
    """Ten at 50 were adopted in its place; the fill itself says 51."""
    ordered(ledger, "o", "buy", "10")
    entry = Adjustment(
        ONE, "A", Decimal(10), Decimal(-500), GapCause.FILL_MISSING, Decimal(50), "2024-01-02", AT, "ann", "x", "o"
    )
    with ledger.transaction("adopt") as tx:
        adjust(tx, (entry,))
        assert books.quantities(tx.connection, ONE) == {"A": Decimal(10)}
    take_in(ledger, fill("o", "buy", "10", "51"))
    with ledger.reading() as connection:
        assert books.quantities(connection, ONE) == {"A": Decimal(10)}
    assert cash(ledger) == 490


def test_the_actions_of_an_asset_are_due_again_once_an_earlier_fill_comes(ledger: Ledger) -> None:  # noqa: F811
    """A dividend of the 5th, entitled by what is held at the close of the 4th: a fill of the 2nd concerns it."""
    ordered(ledger, "o", "buy", "10")
    paid = Action(date(2024, 1, 5), "A", ActionKind.DIVIDEND, cash=0.5)
    with ledger.transaction("actions") as tx:
        action_rows.put_action(tx, DueAction(paid, "2024-01-05", AT + 2 * DAY, "2024-01-05", Decimal(50)), "")
        action_rows.put_progress(tx, "2024-01-05", Decimal(1))
    take_in(ledger, fill("o", "buy", "10", "50"))
    assert cash(ledger) == 505
