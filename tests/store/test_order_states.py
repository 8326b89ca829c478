"""Orders as the ledger has them: every step that may follow every other, each with its record, and which are found."""

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
from sigc.store.ledger import orders, runs
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.orders import ImpossibleError
from sigc.store.ledger.records import BookKey, Intent, IntentState, OrderType, Run, RunKey, Side, TimeInForce
from sigc.store.ledger.records import IntentState as S

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Transaction]:
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as opened, opened.transaction("plan") as made:
        yield made


def run(id: str = "run-1", strategy: str = "one", session: str = "2024-01-02") -> Run:
    return Run(id, RunKey(strategy, "main", session, slot=id), session, 0, AT, "ann")


def planned(tx: Transaction, *ids: str, of: Run | None = None, **more: Any) -> tuple[Intent, ...]:
    """Orders of a run, in their turn."""
    of = of or run()
    runs.open_run(tx, of, {})
    made = [
        Intent(id, of.id, of.key, place, f"A{place}", Side.SELL, Decimal(10), Decimal("50.5"), **more)
        for place, id in enumerate(ids)
    ]
    orders.plan(tx, made)
    return tuple(made)


def now(tx: Transaction, id: str) -> Intent:
    found = orders.get(tx.connection, id)
    assert found is not None
    return found


def last(tx: Transaction) -> tuple[str, dict[str, Any]]:
    """The newest record: its event and payload."""
    (record,) = tx.connection.execute("SELECT record FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    told = json.loads(record)
    return told["event"], told["payload"]


def test_an_order_is_read_as_it_was_written(tx: Transaction) -> None:
    slice = {"parent": "p", "slice": 2, "not_before": AT + DAY}
    (plain,) = planned(tx, "plain")
    (full,) = planned(
        tx,
        "full",
        of=run("run-2"),
        order_type=OrderType.LIMIT,
        limit=Decimal("49.25"),
        time_in_force=TimeInForce.IOC,
        **slice,
    )
    assert (now(tx, "plain"), now(tx, "full")) == (plain, full)
    event, said = last(tx)
    assert (event, said["limit"], said["parent"], said["slice"]) == ("order.planned", "49.25", "p", 2)
    assert orders.get(tx.connection, "other") is None


# From each state, those that may follow by `moved`; a line for each, by hand.
MAY_FOLLOW: dict[IntentState, set[IntentState]] = {
    S.PLANNED: {S.SENDING, S.ACKNOWLEDGED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.DENIED},
    S.SENDING: {
        *(S.PLANNED, S.UNKNOWN, S.ACKNOWLEDGED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED),
    },
    S.UNKNOWN: {S.PLANNED, S.ACKNOWLEDGED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED},
    S.ACKNOWLEDGED: {S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED},
    S.PARTIALLY_FILLED: {S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED},
    S.CANCELLED: {S.FILLED},
    S.EXPIRED: {S.FILLED},
    S.REJECTED: {S.FILLED},
    S.DENIED: {S.FILLED},
    S.FILLED: set(),
}


@pytest.mark.parametrize("state", S)
def test_what_may_follow_what(tx: Transaction, state: IntentState) -> None:
    for to in S:
        id = f"{state}-{to}"
        planned(tx, id, of=run(id))
        tx.connection.execute("UPDATE intents SET state = ?, message = 'old' WHERE client_order_id = ?", (state, id))
        if to not in MAY_FOLLOW[state]:
            with pytest.raises(ImpossibleError, match=f"is {state}, it can't become {to}"):
                orders.moved(tx, now(tx, id), to, "new")
            assert (now(tx, id).state, now(tx, id).message) == (state, "old")
            continue
        orders.moved(tx, now(tx, id), to, "new")
        assert (now(tx, id).state, now(tx, id).message) == (to, "new")
        event, said = last(tx)
        assert event == ("order.absent" if to is S.PLANNED else f"order.{to}")
        assert (said["was"], said["message"], said["client_order_id"]) == (state, "new", id)


def test_each_attempt_is_counted(tx: Transaction) -> None:
    planned(tx, "x")
    for attempt in (1, 2):
        orders.sending(tx, now(tx, "x"), AT + attempt * DAY)
        assert last(tx)[1]["attempt"] == attempt
        sent = now(tx, "x")
        assert (sent.state, sent.attempts, sent.sent_at) == (S.SENDING, attempt, AT + attempt * DAY)
        orders.moved(tx, sent, S.PLANNED)


@pytest.mark.parametrize(
    ("state", "quantities", "after"),
    [
        (S.ACKNOWLEDGED, ("4",), (S.PARTIALLY_FILLED, "4")),
        (S.ACKNOWLEDGED, ("4", "6"), (S.FILLED, "10")),
        (S.ACKNOWLEDGED, ("9.999",), (S.PARTIALLY_FILLED, "9.999")),
        (S.ACKNOWLEDGED, ("10.001",), (S.FILLED, "10.001")),
        (S.PLANNED, ("4",), (S.PARTIALLY_FILLED, "4")),  # found absent, and it was there
        (S.UNKNOWN, ("4",), (S.PARTIALLY_FILLED, "4")),
        (S.CANCELLED, ("4",), (S.CANCELLED, "4")),  # late
        (S.CANCELLED, ("4", "6"), (S.FILLED, "10")),
    ],
)
def test_fills_move_an_order(
    tx: Transaction, state: IntentState, quantities: tuple[str, ...], after: tuple[IntentState, str]
) -> None:
    planned(tx, "x")
    tx.connection.execute("UPDATE intents SET state = ?", (state,))
    for quantity in quantities:
        orders.filled(tx, now(tx, "x"), Decimal(quantity))
    assert (now(tx, "x").state, now(tx, "x").filled) == (after[0], Decimal(after[1]))


@pytest.mark.parametrize(("state", "is_told"), [(S.SENDING, True), (S.UNKNOWN, True), (S.FILLED, False)])
def test_an_answer_leaves_what_fills_have_done(tx: Transaction, state: IntentState, is_told: bool) -> None:
    planned(tx, "x")
    tx.connection.execute("UPDATE intents SET state = ?", (state,))
    orders.acknowledged(tx, now(tx, "x"), "b-1")
    assert now(tx, "x").broker_order_id == "b-1"
    assert now(tx, "x").state is (S.ACKNOWLEDGED if is_told else state)
    assert (last(tx)[0] == "order.acknowledged") is is_told


def ids(found: tuple[Intent, ...]) -> list[str]:
    return [i.client_order_id for i in found]


@pytest.fixture
def books(tx: Transaction) -> Transaction:
    """Orders of two books; of the first over two sessions."""
    planned(tx, "a", "b", of=run("r1"))
    planned(tx, "c", of=run("r2", strategy="two"))
    planned(tx, "d", of=run("r3", session="2024-01-03"))
    tx.connection.execute("UPDATE intents SET state = 'filled' WHERE client_order_id = 'a'")
    return tx


def test_orders_are_found_by_run_book_session_and_state(books: Transaction) -> None:
    connection = books.connection
    assert ids(orders.of_run(connection, "r1")) == ["a", "b"]
    assert ids(orders.in_flight(connection)) == ["b", "c", "d"]
    assert ids(orders.in_flight(connection, BookKey("one", "main"))) == ["b", "d"]
    assert ids(orders.of_session(connection, replace(run().key, slot="any"))) == ["a", "b"]
    assert ids(orders.recent(connection)) == ["d", "c", "b", "a"]
    assert ids(orders.recent(connection, 2)) == ["d", "c"]
    assert ids(orders.recent(connection, 2, "one")) == []  # of runs that have decided
    for id in ("r1", "r3"):
        runs.mark_decided(books, runs.find(connection, id))
    assert ids(orders.recent(connection, 2, "one")) == ["d", "b"]
    assert ids(orders.recent(connection, 9, is_open=True)) == ["d", "c", "b"]
    assert ids(orders.recent(connection, 1, "one", is_open=True)) == ["d"]
    assert orders.states_of(connection, "r1") == {"filled": 1, "planned": 1}
    assert orders.counts(connection, BookKey("one", "main")) == {"filled": 1, "planned": 2}


@pytest.mark.parametrize(
    ("states", "filled"),
    [
        ({}, None),
        ({"a": "filled", "b": "filled"}, "all"),
        ({"a": "filled", "b": "expired"}, "part"),
        ({"a": "half, expired", "b": "expired"}, "part"),
        ({"a": "cancelled", "b": "expired"}, "none"),
        ({"a": "filled", "b": "acknowledged"}, "open"),
        ({"a": "filled", "b": "planned"}, "open"),
        ({"a": "half", "b": "expired"}, "open"),
        ({"a": "filled", "b": "denied"}, "all"),  # of what the broker took: the outcome tells of the rest
        ({"a": "denied", "b": "denied"}, None),
        ({"a": "denied", "b": "unsent"}, None),
    ],
)
def test_how_much_of_what_the_broker_took_was_filled(
    tx: Transaction, states: dict[str, str], filled: str | None
) -> None:
    planned(tx, "other", of=run("r2", strategy="two"))
    planned(tx, *states)
    for id, words in states.items():
        if words in ("planned", "denied", "unsent"):
            end = {"denied": S.DENIED, "unsent": S.CANCELLED}.get(words)
            orders.moved(tx, now(tx, id), end) if end else None
            continue
        orders.sending(tx, now(tx, id), AT)
        orders.acknowledged(tx, now(tx, id), f"broker-{id}")
        if words.startswith("half"):
            orders.filled(tx, now(tx, id), Decimal(5))
        if words == "filled":
            orders.filled(tx, now(tx, id), Decimal(10))
        elif words.split(", ")[-1] in ("expired", "cancelled"):
            orders.moved(tx, now(tx, id), S(words.split(", ")[-1]))
    assert orders.filled_of(tx.connection, ["run-1", "nobody"]) == ({} if filled is None else {"run-1": filled})
    assert orders.filled_of(tx.connection, ["r2"]) == {"r2": "open"}


def test_a_hundred_orders_are_recent_enough(tx: Transaction) -> None:
    planned(tx, *(str(number) for number in range(101)))
    assert ids(orders.recent(tx.connection)) == [str(number) for number in range(100, 0, -1)]


def test_what_was_given_up_is_found_from_an_instant_on(books: Transaction) -> None:
    for id, days in (("b", 1), ("d", 2)):
        orders.sending(books, now(books, id), AT + days * DAY)
        orders.moved(books, now(books, id), S.EXPIRED)
    orders.moved(books, now(books, "c"), S.EXPIRED)  # never sent
    assert ids(orders.given_up(books.connection, AT + DAY)) == ["b", "d"]
    assert ids(orders.given_up(books.connection, AT + DAY + timedelta(microseconds=1))) == ["d"]
    orders.arrived(books, now(books, "d"), "b-d")
    assert last(books)[0] == "order.arrived"
    assert last(books)[1]["was"] == "expired"
    assert (now(books, "d").state, now(books, "d").broker_order_id) == (S.ACKNOWLEDGED, "b-d")
    assert ids(orders.given_up(books.connection, AT)) == ["b"]


def test_an_order_of_an_asset_is_in_flight_whichever_book_it_is_of(books: Transaction) -> None:
    assert ids(orders.in_flight_of(books.connection, "A0")) == ["c", "d"]  # of `a`, all is filled
    assert ids(orders.in_flight_of(books.connection, "A1")) == ["b"]
    assert ids(orders.in_flight_of(books.connection, "Z")) == []


def test_a_slice_gets_another_time_and_the_audit_has_both(tx: Transaction) -> None:
    (one,) = planned(tx, "a", slice=1, parent="p", not_before=AT + DAY)
    assert last(tx)[1]["not_before"] == (AT + DAY).isoformat()
    orders.rescheduled(tx, one, AT + 2 * DAY)
    assert now(tx, "a").not_before == AT + 2 * DAY
    event, said = last(tx)
    assert (event, said["was"], said["not_before"]) == (
        *("order.rescheduled", (AT + DAY).isoformat(), (AT + 2 * DAY).isoformat()),
    )
    planned(tx, "b", of=run("run-2"))
    assert "not_before" not in last(tx)[1]


def test_requests_are_counted_from_an_instant_on_and_up_to_a_number(tx: Transaction) -> None:
    for one in planned(tx, "a", "b", "c"):
        orders.sending(tx, one, AT)
    before = AT - timedelta(seconds=1)
    assert [orders.sent_since(tx.connection, before, most) for most in (2, 3, 9)] == [2, 3, 3]
    assert orders.sent_since(tx.connection, AT, 9) == 0  # after it, not at it
