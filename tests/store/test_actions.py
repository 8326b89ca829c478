"""Corporate actions in the ledger: whatever the order in which fills and actions become known, they come to the same."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigc.actions import Action
from sigc.errors import SigcError
from sigc.store.ledger import action_booking as booking
from sigc.store.ledger import action_lists, action_rows, books, orders, runs
from sigc.store.ledger.action_lists import Listing
from sigc.store.ledger.records import BookKey, Charge, Intent, IntentState, Outcome, Run, RunKey, RunKind, Side
from tests.store.actions_desk import (
    CAPITAL,
    KEY,
    OTHER,
    SESSIONS,
    Desk,
    action,
    arrivals,
    brute,
    close,
    dividend,
    due,
    split,
)

LAST = len(SESSIONS) - 2


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as opened:
        yield opened


# The law.

RATIOS = st.sampled_from([Fraction(2), Fraction(3, 2), Fraction(1, 3), Fraction(7), Fraction(1, 10)])
CASH = st.sampled_from([0.5, 0.125, 0.07, 1.0])


@st.composite
def any_action(draw: st.DrawFn) -> Action:
    kind = draw(st.sampled_from(["split", "split", "dividend", "dividend", "rename", "spinoff", "merge", "delist"]))
    asset, into = draw(st.permutations(["A", "B", "C"]))[:2]
    at = draw(st.integers(1, LAST))
    pay = draw(st.none() | st.integers(at, LAST))
    match kind:
        case "split":
            return split(asset, draw(RATIOS), at)
        case "dividend":
            return dividend(asset, draw(CASH), at, pay=pay, id=draw(st.sampled_from(["", "x"])))
        case "rename":
            return action("rename", asset, at, into=into)
        case "spinoff":
            return action("spinoff", asset, at, into=draw(st.sampled_from([into, ""])), ratio=Fraction(1, 4), cash=0.25)
        case "merge":
            return action("merge", asset, at, into=into, ratio=draw(RATIOS), cash=draw(CASH), pay=pay)
    if draw(st.booleans()):
        return action("delist", asset, at, value=draw(CASH), pay=pay)
    return action("delist", asset, at, total_return=-0.35)


def one_rename_a_session(actions: list[Action]) -> list[Action]:
    """By key, the last of each; an asset gets one name at a time."""
    found: dict[object, Action] = {}
    for one in actions:
        what = ("rename", one.ex_date, one.asset) if one.kind == "rename" else one.key
        found[what] = one
    return list(found.values())


instants = st.builds(
    lambda at, hours: close(at) + timedelta(hours=hours), st.integers(0, LAST), st.sampled_from([-9, -1, 0, 1])
)
fills = st.tuples(st.sampled_from("ABC"), st.integers(-150, 150).filter(bool), instants)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(fills, min_size=1, max_size=6),
    st.lists(any_action(), max_size=7).map(one_rename_a_session),
    st.integers(0, 2**32),
)
def test_any_order_of_arrival_comes_to_the_same(
    made: list[tuple[str, int, datetime]], actions: list[Action], seed: int
) -> None:
    """Late, twice, with an amount that is corrected afterwards, gone and there again."""
    dice = Random(seed)
    coming = list(made)
    dice.shuffle(coming)
    with tempfile.TemporaryDirectory() as folder, Desk(Path(folder)) as desk:
        for through in sorted(dice.sample(range(1, LAST + 1), dice.randint(1, 4))):
            for _ in range(dice.randint(0, 3)):
                if coming:
                    desk.fill(*coming.pop())
            known = [one for one in actions if dice.random() < 0.7]
            desk.lists(*(_wrong(one, dice) for one in known))
            desk.book(through)
            if dice.random() < 0.3:
                assert desk.book(through) == ()
        for one in coming:
            desk.fill(*one)
        desk.lists(*actions)
        desk.book(LAST)
        assert desk.state() == brute(made, actions, LAST)
        desk.lists(*actions)
        assert desk.book(LAST) == ()


def _wrong(one: Action, dice: Random) -> Action:
    """An amount that is corrected later, sometimes."""
    if dice.random() < 0.6 or one.kind == "rename":
        return one
    if one.kind in ("split", "merge"):
        return replace(one, ratio=one.ratio * 2)
    if one.kind == "delist":
        return replace(one, value=3.25)
    return replace(one, cash=one.cash + 0.01)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(fills, st.booleans()), min_size=2, max_size=8), st.lists(any_action(), max_size=5))
def test_two_books_come_to_one_account(
    made: list[tuple[tuple[str, int, datetime], bool]], listed: list[Action]
) -> None:
    """Shares and cash of the books add up to what one holder of everything has: as a broker, who knows no books."""
    actions = one_rename_a_session(listed)
    with tempfile.TemporaryDirectory() as folder, Desk(Path(folder), KEY, OTHER) as desk:
        for fill, is_other in made:
            desk.fill(*fill, key=OTHER if is_other else KEY)
        desk.lists(*actions)
        for through in (3, LAST):
            desk.book(through)
        one, two = desk.state(KEY), desk.state(OTHER)
    whole = brute([f for f, _ in made], actions, LAST)
    names = {*one.held, *two.held}
    held = {n: one.held.get(n, Fraction(0)) + two.held.get(n, Fraction(0)) for n in names}
    assert {n: q for n, q in held.items() if q} == whole.held
    assert one.cash + two.cash - int(CAPITAL) == whole.cash
    assert one.owed + two.owed == whole.owed


# Worked examples.


def numbers(desk: Desk) -> tuple[Any, ...]:
    """What is held, what was paid beside fills of 10 a share, and what is owed."""
    state = desk.state()
    with desk.ledger.reading() as connection:
        spent = sum(f.cash for f in books.fills_of_book(connection, KEY))
        book = books.book(connection, KEY)
    assert book is not None
    return {a: int(q) for a, q in state.held.items()}, book.cash - CAPITAL - spent, book.receivables


def average(desk: Desk, asset: str) -> Decimal:
    found: Decimal = costs(desk)[asset][1]
    return found


def costs(desk: Desk, key: BookKey = KEY) -> dict[str, tuple[Any, Any]]:
    """Quantity and average price of what a book holds."""
    with desk.ledger.reading() as connection:
        return {p.asset: (p.quantity, p.average_price) for p in books.positions(connection, key)}


def test_a_dividend_on_the_day_of_a_split_is_per_new_share(desk: Desk) -> None:
    """100 shares, 2:1 and 0.50: 200 shares, and 100 owed."""
    desk.fill("A", 100, 0)
    desk.lists(dividend("A", 0.5, 1, pay=3), split("A", 2, 1))
    desk.book(1)
    assert numbers(desk) == ({"A": 200}, 0, 100)
    assert average(desk, "A") == 5
    assert desk.book(2) == ()
    assert [e.reason for e in desk.book(3)] == ["payment"]
    assert numbers(desk) == ({"A": 200}, 100, 0)
    assert [(e.kind, e.step, e.session, e.pay_session) for e in desk.entries()] == [
        ("split", "effect", str(SESSIONS[1]), str(SESSIONS[1])),
        ("dividend", "effect", str(SESSIONS[1]), str(SESSIONS[3])),
        ("dividend", "payment", str(SESSIONS[3]), str(SESSIONS[3])),
    ]
    with desk.ledger.reading() as connection:
        assert action_rows.due_until(connection, str(SESSIONS[9])) == ()  # what is paid is over


def test_a_short_owes_even_if_it_was_covered_since(desk: Desk) -> None:
    desk.fill("A", -100, 0)
    desk.fill("A", 100, 1)  # covered on the ex-date
    desk.lists(dividend("A", 0.5, 1, pay=3))
    desk.book(1)
    assert numbers(desk) == ({}, 0, -50)
    desk.book(3)
    assert numbers(desk) == ({}, -50, 0)


def test_who_buys_on_the_ex_date_gets_nothing(desk: Desk) -> None:
    desk.fill("A", 100, 1)
    desk.lists(dividend("A", 0.5, 1), split("A", 2, 1))
    assert desk.book(4) == ()
    assert numbers(desk) == ({"A": 100}, 0, 0)
    desk.fill("A", 1, close(0))  # the auction of the close before does
    assert numbers(desk) == ({"A": 102}, 1, 0)


def test_a_late_fill_corrects_what_was_booked(desk: Desk) -> None:
    """In the transaction that takes it in: of 60 more that were held before, both actions speak."""
    desk.fill("A", 40, 0)
    desk.lists(split("A", 2, 1), dividend("A", 0.5, 3))
    desk.book(4)
    assert numbers(desk) == ({"A": 80}, 40, 0)
    desk.fill("A", 60, 0)
    assert numbers(desk) == ({"A": 200}, 100, 0)
    desk.fill("A", -30, 2)  # after the split, before the dividend
    assert numbers(desk) == ({"A": 170}, 85, 0)
    assert [(e.kind, e.reason, e.corrects) for e in desk.entries()] == [
        ("split", "new", None),
        ("dividend", "new", None),
        ("split", "correction", 1),
        ("dividend", "correction", 2),
        ("dividend", "correction", 4),
    ]
    assert desk.events("action.") == ["action.booked"] * 2 + ["action.corrected"] * 3


def test_a_fraction_is_paid_at_the_close_before_over_the_ratio(desk: Desk) -> None:
    """101 at 12, 1:2: 50 shares of 24, and half a share of 24."""
    desk.fill("A", 101, 0)
    desk.lists(split("A", Fraction(1, 2), 1), price="12")
    desk.book(1)
    assert numbers(desk) == ({"A": 50}, 12, 0)
    assert average(desk, "A") == 20  # the cost of what is left, not of what was paid out


@pytest.mark.parametrize(("price", "cost"), [("9", "3"), (None, "0")])
def test_shares_of_a_split_that_come_when_all_was_sold_cost_the_price_of_then(
    desk: Desk, price: str | None, cost: str
) -> None:
    """100 bought before a split and 100 sold after it, in new shares: 200 are left, at 9 over 3."""
    desk.fill("A", 100, 0)
    desk.fill("A", -100, 2)
    desk.lists(split("A", 3, 1), price=price)
    desk.book(3)
    assert numbers(desk)[0] == {"A": 200}
    assert average(desk, "A") == Decimal(cost)


def test_the_price_of_then_is_exact_to_ten_digits(desk: Desk) -> None:
    desk.fill("A", 99, 0)
    desk.fill("A", -99, 2)
    desk.lists(split("A", Fraction(1, 3), 1), price="7.01")
    desk.book(3)
    assert average(desk, "A") == Decimal("21.03")


def test_a_short_becomes_a_short_of_what_it_is_merged_into(desk: Desk) -> None:
    """101 short at 10: 151 short of B, which cost what half a share more did."""
    desk.fill("A", -101, 0)
    desk.lists(action("merge", "A", 1, into="B", ratio=Fraction(3, 2), cash=1.0))
    desk.book(1)
    assert numbers(desk) == ({"B": -151}, -3 - 101, 0)
    assert average(desk, "B") == Decimal("6.6666666667")


def test_cost_goes_by_the_shares_that_were_due_not_by_those_that_rounding_gave(tmp_path: Path) -> None:
    """Two books of 1 share, 3:2 of B: 3 of them in all; one gets 2 and pays half a share, the other gets 1."""
    with Desk(tmp_path, KEY, OTHER) as desk:
        for key in (KEY, OTHER):
            desk.fill("A", 1, 0, key)
        desk.lists(action("merge", "A", 1, into="B", ratio=Fraction(3, 2)))
        desk.book(1)
        with desk.ledger.reading() as connection:
            found = [books.positions(connection, key) for key in (KEY, OTHER)]
    assert [(p.quantity, p.average_price) for own in found for p in own] == [
        (Decimal(2), Decimal("6.6666666667")),
        (Decimal(1), Decimal("6.6666666667")),
    ]


def test_a_late_fill_of_one_book_may_turn_the_rounding_of_another(tmp_path: Path) -> None:
    """1.5 and 1.5 of B are 2 and 1; 1.5 and 3 are 1 and 3: a share that one got goes back, and its half is paid out."""
    with Desk(tmp_path, KEY, OTHER) as desk:
        for key in (KEY, OTHER):
            desk.fill("A", 1, 0, key)
        desk.lists(action("merge", "A", 1, into="B", ratio=Fraction(3, 2)))
        desk.book(1)
        desk.fill("A", 1, 0, OTHER)
        assert [desk.state(key).held for key in (KEY, OTHER)] == [{"B": 1}, {"B": 3}]
        assert [e.amounts.cash for e in desk.entries(KEY)] == [Decimal("-3.33"), Decimal("6.66")]


def test_what_is_owed_to_one_book_alone_is_paid(tmp_path: Path) -> None:
    """Of 0.004 a share, 1 share gets nothing, 100 get 0.40: two days later."""
    with Desk(tmp_path, KEY, OTHER) as desk:
        desk.fill("A", 1, 0, KEY)
        desk.fill("A", 100, 0, OTHER)
        desk.lists(action("merge", "A", 1, into="B", cash=0.004, pay=3))
        desk.book(1)
        desk.book(3)
        assert [desk.state(key).owed for key in (KEY, OTHER)] == [0, 0]
        assert [len(desk.entries(key)) for key in (KEY, OTHER)] == [1, 2]


def test_an_end_whose_price_is_not_known_yet_is_looked_at_until_it_is(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    desk.lists(action("delist", "A", 1, total_return=-0.25), price=None)
    assert desk.book(1) == ()
    assert desk.book(4) == ()
    with desk.ledger.transaction("actions") as tx:
        (waits,) = action_rows.due_until(tx.connection, str(SESSIONS[5]))
        action_rows.put_price(tx, waits.due.key, Decimal(8))
    desk.book(5)
    assert numbers(desk) == ({}, 600, 0)


def test_broker_steps_bound_the_fraction(tmp_path: Path) -> None:
    with Desk(tmp_path, step="0.001") as desk:
        desk.fill("A", "10.001", 0)
        desk.lists(split("A", Fraction(1, 3), 1), price="9")
        desk.book(1)
        assert desk.state().held == {"A": Fraction("3.333")}
        (entry,) = desk.entries()
        assert entry.amounts.cash == Decimal("0.02")  # 0.000666... of 27: to the cent
        assert entry.amounts.fraction == Decimal("0.0006666667")


def test_an_asset_gets_another_name(desk: Desk) -> None:
    desk.fill("A", 100, 0, price="12")
    desk.lists(action("rename", "A", 1, into="B"), split("B", 2, 1), dividend("B", 0.5, 3))
    desk.book(4)
    assert numbers(desk)[0] == {"B": 200}
    assert average(desk, "B") == 6
    assert desk.state().owed == 0
    assert desk.state().cash == CAPITAL - 1200 + 100


def test_the_cost_goes_with_the_shares_through_all_of_one_session(desk: Desk) -> None:
    """100 at 12, 1:4 and another name on one day, as often; what is merged on the day of its split; and what had the new
    name before it was split."""
    desk.fill("A", 100, 0, price="12")
    desk.fill("C", 100, 0, price="12")
    desk.fill("D", 100, 0, price="6")
    desk.lists(
        *(split("A", Fraction(1, 4), 1), action("rename", "A", 1, into="B"), dividend("A", 1.0, 1)),
        *(split("C", 2, 1), action("merge", "C", 1, into="D"), split("D", 3, 1)),
    )
    desk.book(1)
    assert numbers(desk) == ({"B": 25, "D": 500}, 25, 0)
    assert average(desk, "B") == 48
    assert average(desk, "D") == Decimal("3.6")  # 600 of before for 300, 1200 for the 200 that came


def test_two_assets_change_names_at_once(tmp_path: Path) -> None:
    """Each goes on under the other's name with its own cost, in each book that holds it."""
    with Desk(tmp_path, KEY, OTHER) as desk:
        desk.fill("A", 100, 0, price="12")
        desk.fill("B", -7, 0, price="40")
        desk.fill("A", 30, 0, OTHER, price="15")
        desk.lists(action("rename", "A", 1, into="B"), action("rename", "B", 1, into="A"))
        desk.book(1)
        assert numbers(desk) == ({"A": -7, "B": 100}, 0, 0)
        assert costs(desk) == {"A": (-7, 40), "B": (100, 12)}
        assert costs(desk, OTHER) == {"B": (30, 15)}


def test_weights_that_wait_change_names_at_once_too(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    desk.fill("B", 50, 0)
    desk.wants({"A": 0.1, "B": 0.2})
    desk.lists(
        action("rename", "A", 1, into="B"), action("rename", "B", 1, into="A"), action("rename", "B", 3, into="C")
    )
    desk.book(3)
    with desk.ledger.reading() as connection:
        assert runs.pending(connection, KEY.strategy, KEY.portfolio) == {"A": 0.2, "C": 0.1}


@pytest.mark.parametrize("names", [*permutations("ABC")][1:], ids="".join)
def test_names_change_in_any_way_and_costs_stay_with_their_shares(desk: Desk, names: tuple[str, ...]) -> None:
    of = {"A": (100, 12), "B": (50, 40), "C": (20, 7)}
    for asset, (quantity, price) in of.items():
        desk.fill(asset, quantity, 0, price=str(price))
    desk.lists(*(action("rename", old, 1, into=new) for old, new in zip("ABC", names, strict=True) if old != new))
    desk.book(1)
    assert costs(desk) == {new: of[old] for old, new in zip("ABC", names, strict=True)}


def test_what_is_delivered_does_not_mix_with_what_ends_on_that_day(desk: Desk) -> None:
    """A becomes two of B each while what was B becomes C; D spins off what was E, which ends at 2.00 a share."""
    for asset, quantity, price in (("A", 10, "6"), ("B", 30, "11"), ("D", 10, "8"), ("E", 5, "9")):
        desk.fill(asset, quantity, 0, price=price)
    desk.lists(
        *(action("merge", "A", 1, into="B", ratio=Fraction(2)), action("merge", "B", 1, into="C")),
        *(action("spinoff", "D", 1, into="E"), action("delist", "E", 1, value=2.0)),
    )
    desk.book(1)
    assert numbers(desk) == ({"B": 20, "C": 30, "D": 10, "E": 10}, 10, 0)
    assert costs(desk) == {"B": (20, 3), "C": (30, 11), "D": (10, 8), "E": (10, 0)}


def test_a_delisting_closes_at_its_value_or_its_return(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    desk.fill("B", 100, 0)
    desk.fill("C", 100, 0)
    desk.lists(action("delist", "A", 1, value=2.5), action("delist", "B", 1, total_return=-0.25))
    desk.lists(
        action("delist", "A", 1, value=2.5),
        action("delist", "B", 1, total_return=-0.25),
        action("delist", "C", 1),  # of no known value: kept, and looked at again
    )
    desk.book(2)
    assert numbers(desk) == ({"C": 100}, 250 + 750, 0)
    desk.lists(
        action("delist", "A", 1, value=2.5),
        action("delist", "B", 1, total_return=-0.25),
        action("delist", "C", 1, value=0.0),
    )
    desk.book(2)
    assert numbers(desk) == ({}, 250 + 750, 0)


def test_a_merger_gives_shares_and_cash(desk: Desk) -> None:
    """Three of B for two of A, and 1.00 a share: of 101 at 10, 151 of B, and half a share of B at (10 - 1) / 1.5."""
    desk.fill("A", 101, 0)
    desk.lists(action("merge", "A", 1, into="B", ratio=Fraction(3, 2), cash=1.0, pay=2))
    desk.book(1)
    assert numbers(desk) == ({"B": 151}, 3, 101)
    assert round(average(desk, "B"), 6) == round(Decimal(1010) / Decimal("151.5"), 6)
    desk.book(2)
    assert numbers(desk) == ({"B": 151}, 104, 0)


def test_a_spin_off_delivers_shares_or_is_cash(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    desk.fill("C", 10, 0)
    desk.lists(
        action("spinoff", "A", 1, into="B", ratio=Fraction(1, 8)),
        action("spinoff", "C", 1, ratio=Fraction(1, 8), cash=1.5),
    )
    desk.book(1)
    assert numbers(desk) == ({"A": 100, "B": 12, "C": 10}, 5 + 15, 0)  # half a share of B at 10
    assert [average(desk, name) for name in "AB"] == [10, 0]  # its cost stays with the parent


def test_actions_up_to_the_watermark_do_nothing(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    with desk.ledger.transaction("control") as tx:
        action_rows.put_watermark(tx, KEY, "A", str(SESSIONS[3]), "adopted")
    desk.lists(split("A", 2, 3), split("A", 3, 4))
    desk.book(5)
    assert numbers(desk)[0] == {"A": 300}


def test_an_announcement_that_vanishes_is_forgotten_and_what_was_booked_is_not(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    desk.lists(dividend("A", 0.5, 1), dividend("A", 1.0, 5))
    desk.book(1)
    for _ in range(2):
        desk.lists()
    desk.book(6)
    assert numbers(desk) == ({"A": 100}, 50, 0)
    assert desk.events("actions.vanished") == ["actions.vanished"]  # both, once
    desk.fill("A", 20, 0)  # what was booked is still corrected by a late fill
    assert numbers(desk) == ({"A": 120}, 60, 0)


def test_two_lists_of_one_asset_pay_once(tmp_path: Path) -> None:
    """Another vendor calls the dividend by another id: it is told, not paid again; and that list counts later."""
    with Desk(tmp_path, KEY, OTHER) as desk:
        desk.fill("A", 100, 0)
        desk.fill("A", 10, 0, OTHER)
        for _ in range(2):
            desk.lists(dividend("A", 0.5, 1))
            desk.lists(dividend("A", 0.5, 1, id="x"), key=OTHER)
            desk.book(1)
        assert [e.amounts.cash for e in (*desk.entries(KEY), *desk.entries(OTHER))] == [50, 5]
        assert desk.events("actions.disagree") == ["actions.disagree"]
        desk.fill("A", -100, 2)
        desk.lists(dividend("A", 0.5, 1, id="x"), dividend("A", 1.0, 5, id="x"), key=OTHER)
        desk.book(5)
        assert [e.amounts.cash for e in desk.entries(OTHER)] == [5, 10]
        assert len(desk.entries(KEY)) == 1


def test_an_asset_that_nobody_trades_costs_nothing(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    before = desk.events("")
    desk.lists(*(dividend(f"X{n}", 0.5, 1) for n in range(50)))
    assert desk.book(3) == ()
    assert desk.events("") == before


def test_a_dividend_that_a_broker_reports_is_not_counted_twice(desk: Desk) -> None:
    """One of which an entry is near, and what a simulated broker books for actions; another is as any charge."""
    desk.fill("A", 100, 0)
    desk.fill("B", 100, 0)
    desk.lists(dividend("A", 0.5, 1, pay=3))
    desk.book(3)
    at = close(4)
    charges = (
        Charge("1", "dividend", "A", Decimal(50), at),
        Charge("2", "action delist", "A", Decimal(7), at),
        Charge("3", "dividend", "B", Decimal(3), at),
        Charge("4", "dividend", "A", Decimal(4), at + timedelta(days=40)),
    )
    with desk.ledger.transaction("fills") as tx:
        books.take_in(tx, (), charges, "c")
    assert numbers(desk)[1] == 50 + 3 + 4
    assert desk.events("charge.of") == ["charge.of_action"] * 2


# The five ways to arrive.


def test_an_action_may_arrive_in_any_way(tmp_path: Path) -> None:
    day = SESSIONS[1]
    assert arrivals(tmp_path) == {
        "today": [f"A split {day}: +100 new"],
        "three days late": [f"A split {day}: +100 late"],
        "years late": [f"A split {day}: +100 late"],
        "twice": [f"A split {day}: +100 new"],
        "corrected": [f"A split {day}: +100 new", f"A split {day}: +100 correction of 1"],
        "renamed": [f"A rename {day}: -100 B new", f"B split {SESSIONS[3]}: +100 new"],
        "late before a rename": [
            f"A rename {SESSIONS[3]}: -100 B new",
            f"A split {day}: +100 late",
            f"A rename {SESSIONS[3]}: -100 B correction of 1",
        ],
    }


# By hand.


def test_a_name_is_changed_by_hand(desk: Desk) -> None:
    desk.fill("1", 100, 0)
    with desk.ledger.transaction("control") as tx:
        action_rows.put_watermark(tx, KEY, "1", str(SESSIONS[0]), "adopted")
    desk.wants({"1": 0.25, "2": 0.5})
    desk.clock.turn(close(1))
    with desk.ledger.transaction("control") as tx:
        planned = booking.plan_rename(tx, KEY, "1", "000001", "ann", "names are kept as written now")
        entries = booking.book(tx, planned.session, desk.step)
    (one,) = entries
    assert f"{one.asset} -> {one.into} {one.amounts.into_change} {one.reason}" == "1 -> 000001 100 by hand"
    assert numbers(desk) == ({"000001": 100}, 0, 0)
    with desk.ledger.reading() as connection:
        assert action_rows.watermarks(connection)[KEY, "000001"] == str(SESSIONS[0])
        assert runs.pending(connection, KEY.strategy, KEY.portfolio) == {"000001": 0.25, "2": 0.5}
    desk.fill("1", 5, 0)  # a fill under the old name that became known now
    assert numbers(desk)[0] == {"000001": 105}
    desk.lists(split("000001", 2, 4))  # no list takes the renaming back
    desk.book(4)
    assert numbers(desk)[0] == {"000001": 210}
    assert desk.events("book.rename") == ["book.rename_asset"]
    assert planned.before == close(1)
    assert planned.session == str(SESSIONS[2])  # the day after all that was valued


def test_a_name_is_not_changed_under_an_order_or_a_run(desk: Desk) -> None:
    desk.fill("A", 1, 0)

    def tried() -> None:
        with desk.ledger.transaction("control") as tx:
            booking.plan_rename(tx, KEY, "A", "B", "ann", "")

    run = Run("r", RunKey("one", "main", "2016-01-05"), "2016-01-04", 0, close(0), "ann")
    with desk.ledger.transaction("intents") as tx:
        runs.open_run(tx, run, {})
        of_b = Intent("of B", "r", run.key, 0, "B", Side.BUY, Decimal(1), Decimal(1))
        orders.plan(tx, [of_b])
    with pytest.raises(SigcError, match="an order in 'A' or 'B' is open: of B"):
        tried()
    with desk.ledger.transaction("intents") as tx:
        orders.moved(tx, of_b, IntentState.DENIED)
        orders.plan(tx, [Intent("of C", "r", run.key, 1, "C", Side.BUY, Decimal(1), Decimal(1))])
    with pytest.raises(SigcError, match="the run r is under way"):
        tried()
    with desk.ledger.transaction("intents") as tx:
        runs.close_run(tx, run, close(0), Outcome.DONE, "")
        dry = replace(run, id="d", key=replace(run.key, kind=RunKind.DRY))
        runs.open_run(tx, dry, {})
    tried()


def test_a_name_that_cannot_be_changed(desk: Desk) -> None:
    desk.fill("A", 1, 0)
    desk.fill("B", 1, 0)
    for old, new, why in (("X", "Y", "does not hold 'X'"), ("A", "B", "held already"), ("A", "A", "does not hold")):
        with pytest.raises(SigcError, match=why), desk.ledger.transaction("control") as tx:
            booking.plan_rename(tx, KEY, old, new, "ann", "")
    assert numbers(desk)[0] == {"A": 1, "B": 1}


def test_the_same_asset_is_looked_at_only_when_something_changed(desk: Desk) -> None:
    """No due action is left behind, and a list that is as it was is no change."""
    desk.fill("A", 100, 0)
    listed = (split("A", 2, 1), dividend("A", 0.5, 2, pay=4), dividend("A", 0.5, 8))
    desk.lists(*listed)
    desk.book(5)
    with desk.ledger.reading() as connection:
        assert action_rows.due_until(connection, str(SESSIONS[7])) == ()
        assert [k.due.session for k in action_rows.due_until(connection, "9999")] == [str(SESSIONS[8])]
        assert action_lists.changed(connection, KEY, Listing(listed, due)) == {}
    desk.fill("A", 1, 6)  # after what acted: nothing is looked at again
    with desk.ledger.reading() as connection:
        assert action_rows.due_until(connection, str(SESSIONS[7])) == ()
