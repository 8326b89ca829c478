"""Lists of actions: what is kept, amended, forgotten, told; whose list counts; and from when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sigc.actions import Action
from sigc.store.ledger import action_lists, action_rows
from sigc.store.ledger.action_lists import Listing
from sigc.store.ledger.action_rows import StoredAction
from tests.store.actions_desk import KEY, OTHER, SESSIONS, Desk, action, dividend, due, split


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Two books of which both hold A from the first session on."""
    with Desk(tmp_path, KEY, OTHER) as opened:
        opened.fill("A", 100, 0)
        opened.fill("A", 10, 0, OTHER)
        yield opened


def kept(desk: Desk, asset: str = "A") -> tuple[StoredAction, ...]:
    with desk.ledger.reading() as connection:
        return action_rows.listed(connection, asset)


def sessions(desk: Desk) -> list[int]:
    """Of what is kept of A, the places."""
    return [[str(d) for d in SESSIONS].index(k.due.session) for k in kept(desk)]


def said(desk: Desk, event: str) -> list[Any]:
    with desk.ledger.reading() as connection:
        found = connection.execute("SELECT record FROM audit WHERE event = ? ORDER BY seq", (event,)).fetchall()
    return [json.loads(record)["payload"] for (record,) in found]


def owners(desk: Desk) -> dict[str, tuple[bool, str]]:
    """By strategy that lists A: whether it owns the list, and since when."""
    with desk.ledger.reading() as connection:
        rows = connection.execute("SELECT strategy, is_owner, since FROM action_lists WHERE asset = 'A'")
        return {strategy: (bool(owns), since) for strategy, owns, since in rows}


def test_what_changed_of_a_list_is_told(desk: Desk) -> None:
    desk.lists(dividend("A", 0.5, 1), dividend("A", 0.5, 3))
    desk.lists(dividend("A", 0.5, 1), dividend("A", 0.25, 3), split("A", 2, 4))
    desk.lists(dividend("A", 0.5, 1), dividend("A", 0.25, 3), split("A", 2, 4))  # as it was: nothing
    before = Action(SESSIONS[0].replace(year=2015), "A", split("A", 2, 1).kind)  # the books did not hold it then
    with desk.ledger.transaction("actions") as tx:
        placed = replace(due(before), session="2015-01-05")
        action_lists.take(tx, KEY, {"A": (placed, due(dividend("A", 0.25, 3)))})
    key = list(dividend("A", 0.25, 3).key)
    assert said(desk, "actions.listed") == [
        {"asset": "A", "added": 2, "amended": [], "ignored": 0},
        {"asset": "A", "added": 1, "amended": [key], "ignored": 0},
        {"asset": "A", "added": 0, "amended": [], "ignored": 1},
    ]
    assert sessions(desk) == [3]
    gone = [list(one.key) for one in (dividend("A", 0.5, 1), split("A", 2, 4))]
    assert said(desk, "actions.vanished") == [{"asset": "A", "actions": gone}]


def test_an_amount_that_changes_leaves_the_price_of_that_session(desk: Desk) -> None:
    desk.lists(split("A", 2, 3), price=None)
    with desk.ledger.transaction("actions") as tx:
        action_rows.put_price(tx, split("A", 2, 3).key, Decimal("12.5"))
    desk.lists(split("A", 3, 3), price=None)
    (one,) = kept(desk)
    assert (one.due.action.ratio, one.due.price, one.next) == (Fraction(3), Decimal("12.5"), str(SESSIONS[3]))
    with desk.ledger.transaction("actions") as tx:  # the exchange was closed that day: it acts on the next
        moved = replace(due(split("A", 3, 3), None), session=str(SESSIONS[4]))
        action_lists.take(tx, KEY, {"A": (moved,)})
    (one,) = kept(desk)
    assert (one.due.session, one.due.price, one.next) == (str(SESSIONS[4]), None, str(SESSIONS[4]))


def test_what_vanished_is_forgotten_only_if_it_never_acted(desk: Desk) -> None:
    """Up to the third session all is booked: of what is of the second and third there may be more to book."""
    desk.fill("C", 1, 0)
    desk.lists(dividend("A", 0.5, 2), dividend("A", 0.5, 3, id="x"), dividend("A", 0.5, 4))
    desk.book(3)
    desk.lists()
    assert sessions(desk) == [2, 3]
    assert all(k.vanished for k in kept(desk))
    desk.lists(dividend("C", 0.5, 3))
    assert [k.due.session for k in kept(desk, "C")] == [str(SESSIONS[3])]
    desk.lists()
    assert [bool(k.vanished) for k in kept(desk, "C")] == [True]  # of the very session, and not booked yet
    assert len(said(desk, "actions.vanished")) == 2


def test_what_was_booked_before_its_time_is_not_forgotten(desk: Desk) -> None:
    desk.lists(dividend("A", 0.5, 2))
    desk.book(2)
    with desk.ledger.transaction("actions") as tx:
        action_rows.put_progress(tx, str(SESSIONS[1]), Decimal(1))  # a ledger of a clock that was turned back
    desk.lists()
    assert [bool(k.vanished) for k in kept(desk)] == [True]


def test_what_vanished_and_is_back_is_as_it_was(desk: Desk) -> None:
    desk.lists(dividend("A", 0.5, 1), dividend("A", 0.5, 2))
    desk.book(3)
    for times in (1, 2):
        desk.lists(dividend("A", 0.5, 1))
        assert [bool(k.vanished) for k in kept(desk)] == [False, True]
        assert len(said(desk, "actions.vanished")) == times
        desk.lists(dividend("A", 0.5, 1), dividend("A", 0.5, 2))
        assert [k.vanished for k in kept(desk)] == ["", ""]
        assert desk.book(3) == ()


def test_the_first_list_counts_and_another_is_told_once(desk: Desk) -> None:
    desk.lists(dividend("A", 0.5, 2))
    desk.lists(dividend("A", 0.5, 2), key=OTHER)  # it says the same
    assert said(desk, "actions.disagree") == []
    for _ in range(2):
        desk.lists(dividend("A", 0.6, 2), key=OTHER)
    assert said(desk, "actions.disagree") == [{"asset": "A", "owner": "one"}]
    assert owners(desk) == {"one": (True, ""), "two": (False, "")}
    assert [k.due.action.cash for k in kept(desk)] == [0.5]


def test_a_list_changes_hands_from_then_on(desk: Desk) -> None:
    """When its owner holds nothing more. What it says of sessions before does nothing, then or later."""
    desk.lists(dividend("A", 0.5, 1), dividend("A", 0.5, 2))
    desk.lists(dividend("A", 0.5, 1, id="x"), key=OTHER)
    desk.book(2)
    desk.fill("A", -100, 2)
    desk.lists(dividend("A", 0.5, 1, id="x"), dividend("A", 0.5, 2, id="x"), dividend("A", 0.5, 3, id="x"), key=OTHER)
    assert owners(desk) == {"one": (False, ""), "two": (True, str(SESSIONS[2]))}
    assert sessions(desk) == [1, 2, 3]
    desk.book(4)
    desk.lists(dividend("A", 0.5, 2, id="y"), dividend("A", 0.5, 3, id="x"), dividend("A", 0.5, 5), key=OTHER)
    assert owners(desk)["two"] == (True, str(SESSIONS[2]))
    assert sessions(desk) == [1, 2, 3, 5]
    assert not any(k.vanished for k in kept(desk))  # the first two are the other book's
    desk.lists(dividend("A", 0.75, 5))
    assert said(desk, "actions.disagree")[-1] == {"asset": "A", "owner": "two"}
    assert sessions(desk) == [1, 2, 3, 5]


@pytest.mark.parametrize(("one", "two"), [(-100, -10), (0, -10), (0, 0)])
def test_a_list_stays_with_its_owner(desk: Desk, one: int, two: int) -> None:
    """As long as it holds the asset, or nobody does."""
    for key, quantity in ((KEY, one), (OTHER, two)):
        if quantity:
            desk.fill("A", quantity, 1, key)
    desk.lists(dividend("A", 0.5, 4))
    desk.lists(dividend("A", 0.5, 4, id="x"), key=OTHER)
    assert owners(desk) == {"one": (True, ""), "two": (False, "")}


def test_an_action_counts_where_one_book_is_not_past_it(desk: Desk) -> None:
    with desk.ledger.transaction("control") as tx:
        action_rows.put_watermark(tx, OTHER, "A", str(SESSIONS[3]), "adopted")
        action_rows.put_watermark(tx, KEY, "B", str(SESSIONS[9]), "adopted")
    desk.lists(*(dividend("A", 0.5, at) for at in (2, 3, 4)))
    assert sessions(desk) == [2, 3, 4]
    desk.book(4)
    assert [[e.ex_date for e in desk.entries(key)] for key in (KEY, OTHER)] == [
        [str(SESSIONS[at]) for at in (2, 3, 4)],
        [str(SESSIONS[4])],
    ]
    with desk.ledger.transaction("control") as tx:
        action_rows.put_watermark(tx, KEY, "", str(SESSIONS[5]), "adopted")
        action_rows.put_watermark(tx, OTHER, "A", str(SESSIONS[6]), "adopted")
    desk.lists(*(dividend("A", 0.5, at) for at in (2, 3, 4, 5, 6)))
    assert sessions(desk) == [2, 3, 4, 6]  # of the fifth nobody asks


def test_only_what_is_touched_is_looked_at(desk: Desk) -> None:
    """What is held, was traded, is ordered; and what those become, over any number of names."""
    desk.fill("G", 5, 0)
    desk.fill("G", -5, 1)
    asked: list[str] = []

    def placed(one: Action) -> Any:
        asked.append(one.asset)
        return None if one.asset == "N" else due(one)

    chain = [action("rename", a, 2, into=b) for a, b in ("AB", "BC", "CA", "XY")]
    listed = (*chain, split("G", 2, 3), split("N", 2, 3), action("spinoff", "G", 4, into="N"))
    listing = Listing(listed, placed)
    assert listing.is_any
    assert not Listing((), placed).is_any
    with desk.ledger.reading() as connection:
        assert action_lists.touched(connection) == {"A", "G"}
        found = action_lists.changed(connection, KEY, listing)
        assert action_lists.changed(connection, KEY, Listing((), placed)) == {}
        assert {asset: len(dues) for asset, dues in found.items()} == {"A": 1, "B": 1, "C": 1, "G": 2}
        again = action_lists.changed(connection, KEY, listing)
    assert again == found
    assert sorted(asked) == ["A", "B", "C", "G", "G", "N"]  # once each, and X not at all
    assert listing.of("X")[0] == (due(chain[3]),)
    assert listing.of("Q") == ((), "")


def test_an_asset_that_is_ordered_only_is_touched(desk: Desk) -> None:
    with desk.ledger.transaction("control") as tx:
        tx.connection.execute("UPDATE intents SET asset = 'O', state = 'planned' WHERE client_order_id = 'o1'")
        assert action_lists.touched(tx.connection) == {"A", "O"}
        tx.connection.execute("UPDATE intents SET state = 'denied' WHERE client_order_id = 'o1'")
        assert action_lists.touched(tx.connection) == {"A"}
