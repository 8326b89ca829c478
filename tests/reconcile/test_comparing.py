"""What differs between ledger and broker, and how long it is waited for, without a run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from sigc.actions import Action, ActionKind
from sigc.errors import Severity
from sigc.store.ledger import action_rows, orders, runs
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.records import Intent, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import BrokerOrder, OrderRequest, OrderStatus, UnreachableError
from sigc_pipelines.reconcile.differences import (
    CASH,
    BrokerDifference,
    differences,
    glance,
    settled_differences,
)
from tests.reconcile.quiet_account import NOW, Quiet, Stage, at_broker, ordered
from tests.store.actions_desk import KEY, OTHER, Desk, action, close

D = Decimal
OURS = "sigc-" + "0" * 32
SPLIT = action("split", "A", 2, ratio=Fraction(2))
HOUR = timedelta(hours=1)
ASKED = RunKey("one", "main", "2016-01-06")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path, KEY, OTHER) as opened:
        opened.clock.turn(NOW)
        yield opened


def test_what_all_books_hold_is_compared_by_asset(desk: Desk) -> None:
    for asset, quantity, key in (("A", 100, KEY), ("A", 50, OTHER), ("B", 30, KEY), ("C", -20, OTHER)):
        desk.fill(asset, quantity, 0, key)
    street = Quiet(desk.clock, 777, A=150, B=29, D=7)
    found = differences(desk.ledger, street)
    assert found == (
        BrokerDifference("B", D(30), D(29)),
        BrokerDifference("C", D(-20), D(0)),
        BrokerDifference("D", D(0), D(7)),
    )
    assert [one.excess for one in found] == [D(-1), D(20), D(7)]
    assert [one.is_order for one in found] == [False] * 3
    assert str(found[0]) == "B: ledger 30, broker 29"


def test_cash_is_compared_at_a_simulation_alone(desk: Desk) -> None:
    """Two books of 1,000,000, less 10 shares at 10."""
    desk.fill("A", 10, 0)
    assert differences(desk.ledger, Stage(desk.clock, 1_999_900, A=10)) == ()
    assert differences(desk.ledger, Stage(desk.clock, 1_999_901, A=10)) == (
        BrokerDifference(CASH, D(1_999_900), D(1_999_901)),
    )
    assert differences(desk.ledger, Quiet(desk.clock, 5, A=10)) == ()


@pytest.mark.parametrize(("after_close", "held", "is_well"), [(0, 200, True), (0, 100, True), (0, 150, False), (-1, 200, False), (-1, 100, True)])  # fmt: skip
def test_a_broker_that_trades_may_have_applied_an_action_from_the_close_before_it(
    tmp_path: Path, after_close: int, held: int, is_well: bool
) -> None:
    with Desk(tmp_path) as desk:
        desk.fill("A", 100, 0)
        desk.lists(SPLIT)
        desk.clock.turn(close(1) + timedelta(microseconds=after_close))
        wrong = (BrokerDifference("A", D(100), D(held)),)
        assert differences(desk.ledger, Quiet(desk.clock, A=held)) == (() if is_well else wrong)


def test_an_action_that_the_ledger_has_booked_counts_for_both(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    desk.lists(SPLIT)
    desk.book(2)
    assert differences(desk.ledger, Quiet(desk.clock, A=200)) == ()
    assert differences(desk.ledger, Quiet(desk.clock, A=100)) == (BrokerDifference("A", D(200), D(100)),)


def test_a_simulation_is_told_of_actions_and_does_not_go_ahead(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    desk.lists(SPLIT)
    assert differences(desk.ledger, Stage(desk.clock, 1_999_000, A=200)) == (BrokerDifference("A", D(100), D(200)),)


def test_sessions_of_a_week_ahead_are_looked_at(desk: Desk) -> None:
    """After a close of yesterday: of the 13th, the 14th, and of today."""
    days = {"A": 13, "B": 14, "C": 6}
    with desk.ledger.transaction("actions") as tx:
        for asset, day in days.items():
            split = Action(date(2016, 1, day), asset, ActionKind.SPLIT, ratio=Fraction(2))
            action_rows.put_action(tx, DueAction(split, f"2016-01-{day:02}", close(1), f"2016-01-{day:02}"), "")
    for asset in days:
        desk.fill(asset, 10, 0)
    assert differences(desk.ledger, Quiet(desk.clock, A=20, B=20, C=20)) == (BrokerDifference("B", D(10), D(20)),)


def test_an_order_that_works_in_the_ledger_alone_differs_by_what_is_open_of_it(desk: Desk) -> None:
    """Orders of two hours and of half an hour ago; one that is on its way, or not sent, may be missing."""
    ordered(desk, "sigc-old", 10, sent=NOW - 2 * HOUR)
    ordered(desk, "sigc-part", 10, sent=NOW - HOUR / 2, filled=4)
    there = ordered(desk, "sigc-there", sent=NOW)
    run = Run("r", RunKey("one", "main", "2016-01-06"), "", 0, NOW, "ann")
    fresh = [
        Intent(id, "r", run.key, place, "A", Side.BUY, D(1), D(10)) for place, id in enumerate(("sigc-x", "sigc-y"))
    ]
    with desk.ledger.transaction("intents") as tx:
        runs.open_run(tx, run, {})
        orders.plan(tx, fresh)
        orders.sending(tx, fresh[0], NOW - 9 * HOUR)
    street = Quiet(desk.clock)
    at_broker(street, there, 0)
    found = differences(desk.ledger, street)
    assert found == (
        BrokerDifference("sigc-old", D(10), D(0)),
        BrokerDifference("sigc-part", D(6), D(0)),
    )
    assert all(one.is_order for one in found)
    assert street.asked_since == [NOW - 3 * HOUR, NOW]  # an hour of clocks that go wrong


def test_an_open_order_of_ours_that_the_ledger_does_not_know_differs(desk: Desk) -> None:
    street = Quiet(desk.clock)
    for id, filled, status in (
        (OURS, 2, OrderStatus.PARTIALLY_FILLED),
        ("sigc-ended", 2, OrderStatus.CANCELLED),
        ("by phone", 2, OrderStatus.NEW),
    ):
        street.book[id] = BrokerOrder(OrderRequest(id, "A", Side.BUY, D(5)), "b", status, D(filled), NOW)
    at_broker(street, ordered(desk, "sigc-known"), 0)
    assert differences(desk.ledger, street) == (BrokerDifference(OURS, D(0), D(3)),)


@pytest.mark.parametrize(
    ("patience_s", "is_in_flight", "looks"),
    [
        (0.0, False, [0.0]),
        (1.5, False, [0.0, 0.1, 0.3, 0.7, 1.5]),
        (2.0, False, [0.0, 0.1, 0.3, 0.7, 1.5, 3.1]),
        (20.0, False, [0.0, 0.1, 0.3, 0.7, 1.5, 3.1]),  # nothing is on its way: reads lag by two seconds at most
        (1.5, True, [0.0, 0.1, 0.3, 0.7, 1.5]),
        (16.3, True, [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3]),
        (16.4, True, [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3, 21.3]),
    ],
)
def test_what_differs_is_looked_at_again_until_patience_is_over(
    desk: Desk, patience_s: float, is_in_flight: bool, looks: list[float]
) -> None:
    street = Quiet(desk.clock, A=1)
    if is_in_flight:
        at_broker(street, ordered(desk, "sigc-1"), 0)
    found = settled_differences(desk.ledger, street, desk.clock, patience_s)
    assert (found, street.looks) == ((BrokerDifference("A", D(0), D(1)),), looks)


def test_reads_lag_by_two_seconds_at_most(desk: Desk) -> None:
    """Each takes 0.3: the last begins after 2 seconds, and before 3."""
    street = Quiet(desk.clock, A=1)
    street.takes_s = 0.3
    settled_differences(desk.ledger, street, desk.clock, 20.0)
    assert street.looks == [0.0, 0.4, 0.9, 1.6, 2.7]


def test_what_agrees_is_looked_at_once_after_the_fills_that_were_told(desk: Desk) -> None:
    intent = ordered(desk, "sigc-1")
    street = Quiet(desk.clock)
    street.trade(OrderRequest("sigc-1", "A", Side.BUY, intent.quantity))
    assert settled_differences(desk.ledger, street, desk.clock, 20.0) == ()
    assert street.looks == [0.0]


@pytest.mark.parametrize(
    ("silent_s", "patience_s", "looks"),
    [
        (1.0, 20.0, [0.0, 0.1, 0.3, 0.7, 1.5]),
        (5.0, 6.3, [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3]),
        (5.0, 1.5, [0.0, 0.1, 0.3, 0.7, 1.5]),
        (5.0, 3.0, [0.0, 0.1, 0.3, 0.7, 1.5, 3.1]),
    ],
)
def test_a_silent_broker_is_waited_for_as_long_as_patience_lasts(
    desk: Desk, silent_s: float, patience_s: float, looks: list[float]
) -> None:
    street = Quiet(desk.clock)
    street.answers_at = NOW + timedelta(seconds=silent_s)
    if silent_s < patience_s:
        assert settled_differences(desk.ledger, street, desk.clock, patience_s) == ()
    else:
        with pytest.raises(UnreachableError):
            settled_differences(desk.ledger, street, desk.clock, patience_s)
    assert street.looks == looks


def decided(desk: Desk, session: str, strategy: str = "one") -> None:
    """A run of that book has decided to trade for a session."""
    run = Run(f"{strategy} {session}", RunKey(strategy, "main", session), session, 0, NOW, "ann")
    with desk.ledger.transaction("intents") as tx:
        runs.open_run(tx, run, {})
        runs.mark_decided(tx, run)


def told(desk: Desk, street: Quiet, key: RunKey = ASKED) -> list[tuple[str, Severity, str]]:
    return [(one.check, one.severity, one.message) for one in glance(desk.ledger, street, key)]


def test_a_session_that_was_traded_may_be_traded_again_and_one_before_it_not(desk: Desk) -> None:
    decided(desk, "2016-01-06")
    street = Quiet(desk.clock, A=1)
    assert told(desk, street) == [
        ("E602", Severity.WARNING, "ledger and broker differ: A: ledger 0, broker 1, so a trade would fail (E602)")
    ]
    assert told(desk, street, RunKey("one", "main", "2016-01-05")) == []
    assert len(told(desk, street, RunKey("two", "main", "2016-01-05"))) == 1


def test_a_broker_that_agrees_or_is_silent(desk: Desk) -> None:
    street = Quiet(desk.clock)
    at_broker(street, ordered(desk, "sigc-1"), 0)
    assert told(desk, street) == []
    assert street.asked_since == [NOW - HOUR, NOW]  # where nothing differs, fills are not looked for
    street.answers_at = NOW + HOUR
    assert told(desk, street) == [
        ("E601", Severity.WARNING, "the broker does not say what it holds, so a trade would fail: no answer")
    ]
    assert street.looks == [0.0, 0.0]  # it does not wait


def test_fills_that_the_ledger_will_book_are_no_difference(desk: Desk) -> None:
    """Of two orders in A: of the later one the broker has all 10, of which the ledger knows 4. B is another matter."""
    early = ordered(desk, "sigc-1", sent=NOW - 2 * HOUR)
    late = ordered(desk, "sigc-2", sent=NOW - HOUR, filled=4)
    street = Quiet(desk.clock, A=10)
    at_broker(street, early, 0)
    at_broker(street, late, 10, OrderStatus.FILLED)
    assert told(desk, street) == []
    assert street.asked_since == [NOW - 3 * HOUR, NOW, NOW - 3 * HOUR]
    street.held["B"] = D(1)
    ((_, _, text),) = told(desk, street)
    assert text == "ledger and broker differ: B: ledger 0, broker 1, so a trade would fail (E602)"
    del street.held["B"]
    at_broker(street, late, 4)  # it knows of as many: the shares are from elsewhere
    assert len(told(desk, street)) == 1


def test_an_order_that_is_not_sent_yet_explains_nothing(desk: Desk) -> None:
    run = Run("r", ASKED, "", 0, NOW, "ann")
    with desk.ledger.transaction("intents") as tx:
        runs.open_run(tx, run, {})
        orders.plan(tx, [Intent("sigc-1", "r", run.key, 0, "A", Side.BUY, D(1), D(10))])
    street = Quiet(desk.clock, A=1)
    assert len(told(desk, street)) == 1
    assert street.asked_since == [NOW]


@pytest.mark.parametrize(
    ("funded", "is_in_flight", "count"),
    [((), False, 0), (("one",), False, 0), (("one", "two"), False, 1), (("one", "two"), True, 0)],
)
def test_cash_differs_while_orders_are_open_or_a_book_has_not_traded(
    desk: Desk, funded: tuple[str, ...], is_in_flight: bool, count: int
) -> None:
    for strategy in funded:
        decided(desk, "2016-01-05", strategy)
    street = Stage(desk.clock, 5)
    if is_in_flight:
        at_broker(street, ordered(desk, "sigc-1"), 0)
    assert len(told(desk, street)) == count
    street.held["B"] = D(1)  # which is told in any case
    ((_, _, text),) = told(desk, street)
    assert ("B: ledger 0" in text, "(cash)" in text) == (True, bool(count))


@pytest.mark.parametrize(("count", "end"), [(5, "A4: ledger 0, broker 1, so"), (6, "broker 1 and 1 more, so"), (8, "and 3 more, so")])  # fmt: skip
def test_five_differences_are_told_and_how_many_more(desk: Desk, count: int, end: str) -> None:
    ((_, _, text),) = told(desk, Quiet(desk.clock, **{f"A{n}": 1 for n in range(count)}))
    assert end in text
    assert text.count("ledger 0") == 5
