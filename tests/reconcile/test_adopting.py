"""Whose a difference is, in what parts, from when it counts, and what is refused: without a run, at hand-written books."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from sigc.calendar.sessions import Calendar, Session
from sigc.config.settings import Config
from sigc.errors import SigcError
from sigc.store.ledger import action_rows, books, control, orders, proof, runs
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.records import UNASSIGNED, BookKey, IntentState, Nav, Run, RunKey, RunKind, Side
from sigc_pipelines.brokers.protocol import BrokerOrder, OrderRequest, OrderStatus, UnreachableError
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.reconcile.adopt import Adoption, adopt, compare, in_words, refusal
from sigc_pipelines.reconcile.causes import ExplainedDifference
from sigc_pipelines.reconcile.differences import CASH, BrokerDifference
from tests.reconcile.quiet_account import NOW, Quiet, Stage, at_broker, ordered
from tests.store.actions_desk import KEY, OTHER, Desk, action, close

D = Decimal
OURS = "sigc-" + "0" * 32
LAST = BookKey("zz", "main")
BY = Adoption("ann", "seen")
CONFIG = Config.model_validate({"execution": {"lookup_grace_s": 2.0, "lookup_backoff_s": 0.5}})


def calendar() -> Calendar:
    """Weekdays from 14:30 to 21:00, from the middle of December 2015 to the end of January 2016."""
    days = [date(2015, 12, 14) + timedelta(days=n) for n in range(49)]
    table = tuple(
        Session(
            day,
            datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC),
            datetime(day.year, day.month, day.day, 21, tzinfo=UTC),
        )
        for day in days
        if day.weekday() < 5
    )
    return Calendar("weekdays", "UTC", table, days[0], days[-1])


def beside(desk: Desk, street: Quiet) -> Trading:
    return Trading(desk.ledger, street, desk.clock, calendar(), CONFIG)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Two books, at noon of Wednesday, the 6th: as of the 5th."""
    with Desk(tmp_path, KEY, OTHER) as opened:
        opened.clock.turn(NOW)
        yield opened


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as opened:
        opened.clock.turn(NOW)
        yield opened


def held(desk: Desk, asset: str) -> dict[BookKey, Decimal]:
    with desk.ledger.reading() as connection:
        assert proof.faults(connection) == ()
        return {one.book: one.quantity for one in books.positions(connection) if one.asset == asset}


def parts(entries: Sequence[Adjustment]) -> list[tuple[BookKey, str, Decimal, Decimal, Decimal | None]]:
    return [(e.book, e.asset, e.change, e.cash, e.price) for e in entries]


def watermarks(desk: Desk) -> dict[tuple[BookKey, str], str]:
    """Of assets; a book has one of all assets from its begin."""
    with desk.ledger.reading() as connection:
        return {key: session for key, session in action_rows.watermarks(connection).items() if key[1]}


# Refused, or not.


def test_what_differs_is_refused_until_it_is_adopted(desk: Desk) -> None:
    street = Quiet(desk.clock, A=1)
    trading = beside(desk, street)
    told = refusal(trading)
    assert told is not None
    assert (told.code, told.message) == (
        "E602",
        "ledger and broker differ: A: ledger 0, broker 1: no trade and no action explains it: a transfer, or a correction",
    )
    assert refusal(trading, BY) is None
    assert refusal(trading) is None
    assert held(desk, "A") == {UNASSIGNED: D(1)}
    assert refusal(trading, BY) is None


def test_what_is_not_the_own_book_s_is_refused_after_an_adoption_too(desk: Desk) -> None:
    desk.fill("A", 5, 0, OTHER)
    told = refusal(beside(desk, Quiet(desk.clock, A=6)), replace(BY, book=KEY, is_own_only=True))
    assert told is not None
    assert told.code == "E602"
    assert held(desk, "A") == {OTHER: D(5)}


def test_a_silent_broker_is_waited_for_and_refused(desk: Desk) -> None:
    street = Quiet(desk.clock)
    street.answers_at = NOW + timedelta(seconds=9)
    told = refusal(beside(desk, street))
    assert told is not None
    assert (told.code, told.message) == ("E601", "the broker does not say what it holds: no answer")
    assert street.looks == [0.0, 0.1, 0.3, 0.7, 1.5, 3.1]  # two seconds of patience


@pytest.mark.parametrize(("count", "end"), [(5, "A4: ledger 0, broker 1: moved"), (6, "and 1 more"), (8, "and 3 more")])
def test_five_differences_are_told_and_how_many_more(count: int, end: str) -> None:
    found = [
        ExplainedDifference(BrokerDifference(f"A{n}", D(0), D(1)), GapCause.TRANSFER, "moved") for n in range(count)
    ]
    text = in_words(found)
    assert text.startswith("ledger and broker differ: A0: ledger 0, broker 1: moved; A1: ")
    assert text.endswith(end)
    assert text.count("ledger 0") == 5


def opened(desk: Desk, kind: RunKind) -> Run:
    run = Run("going", RunKey("one", "main", "2016-01-06", kind), "", 0, NOW, "ann")
    with desk.ledger.transaction("intents") as tx:
        runs.open_run(tx, run, {})
    return run


def test_nothing_is_adopted_while_another_run_trades(desk: Desk) -> None:
    opened(desk, RunKind.TRADE)
    trading = beside(desk, Quiet(desk.clock, A=1))
    with pytest.raises(SigcError, match="the run going is under way"):
        adopt(trading, BY)
    assert held(desk, "A") == {}
    adopt(trading, replace(BY, run="going"))
    assert held(desk, "A") == {UNASSIGNED: D(1)}


def test_a_dry_run_is_in_nobody_s_way(desk: Desk) -> None:
    opened(desk, RunKind.DRY)
    adopt(beside(desk, Quiet(desk.clock, A=1)), BY)
    assert held(desk, "A") == {UNASSIGNED: D(1)}


class Moving(Quiet):
    """Its account is asked for once all is compared: a fill is booked then."""

    def __init__(self, desk: Desk, **held: int) -> None:
        super().__init__(desk.clock, **held)
        self.desk = desk
        self.moves: list[str] = []

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        if since < NOW - timedelta(days=6):  # asked for evidence
            while self.moves:
                self.desk.fill(self.moves.pop(), 1, 0, OTHER)
        return super().orders(since)


def test_what_moved_while_it_was_compared_is_not_adopted(desk: Desk) -> None:
    desk.fill("A", 5, 0, KEY)
    desk.fill("A", 4, 0, OTHER)
    street = Moving(desk, A=10)
    street.moves = ["A"]
    with pytest.raises(SigcError, match="A changed while it was compared"):
        adopt(beside(desk, street), replace(BY, book=KEY))
    assert held(desk, "A") == {KEY: D(5), OTHER: D(5)}  # which agrees now


def test_what_moved_beside_it_does_not_matter(desk: Desk) -> None:
    desk.fill("A", 5, 0, KEY)
    street = Moving(desk, A=10)
    street.moves = ["B"]
    adopt(beside(desk, street), replace(BY, book=KEY))
    assert held(desk, "A") == {KEY: D(10)}


# Orders that one of them does not know.


def test_orders_of_ours_that_the_ledger_does_not_know_are_cancelled_and_waited_for(desk: Desk) -> None:
    """One is gone at once, one after a second; of shares that differ, as they were bought, the rest is adopted."""
    street = Quiet(desk.clock, A=2)
    for id in (OURS, "sigc-2"):
        request = OrderRequest(id, "A", Side.BUY, D(5))
        street.book[id] = BrokerOrder(request, "b", OrderStatus.PARTIALLY_FILLED, D(1), NOW)
    street.cancels_after = {OURS: 3.0, "sigc-2": 4.0}
    trading = beside(desk, street)
    found = adopt(trading, replace(BY, causes=frozenset({GapCause.TRANSFER})))
    assert [one.cause for one in found.found] == [GapCause.TRANSFER, GapCause.ORDER_UNKNOWN, GapCause.ORDER_UNKNOWN]
    assert (street.cancelled_at, held(desk, "A")) == ({}, {UNASSIGNED: D(2)})  # what is not adopted is left alone
    street.gets("A", 1)
    begun = desk.clock.now() + timedelta(seconds=3.1)  # a first comparison takes that long
    street.cancels_after = {OURS: 0.5, "sigc-2": 1.0}
    found = adopt(trading, BY)
    assert street.cancelled_at == {OURS: begun + timedelta(seconds=0.5), "sigc-2": begun + timedelta(seconds=1)}
    assert [one.cause for one in found.found] == [GapCause.TRANSFER]
    assert held(desk, "A") == {UNASSIGNED: D(3)}


@pytest.mark.parametrize(("after_s", "ends"), [(2.0, True), (2.1, False), (2.5, False)])
def test_a_cancel_is_waited_for_as_long_as_a_lookup(desk: Desk, after_s: float, ends: bool) -> None:
    """Looked at each half second from 0 to 2."""
    street = Quiet(desk.clock)
    street.book[OURS] = BrokerOrder(OrderRequest(OURS, "A", Side.BUY, D(5)), "b", OrderStatus.NEW, D(0), NOW)
    street.cancels_after = {OURS: after_s}
    if ends:
        assert adopt(beside(desk, street), BY).found == ()
    else:
        with pytest.raises(UnreachableError, match=f"has not cancelled the order {OURS}"):
            adopt(beside(desk, street), BY)
    assert desk.clock.now() == NOW + timedelta(seconds=3.1 + 2)  # a first comparison takes 3.1


class Forgetful(Quiet):
    """Its list has an order that it knows nothing of."""

    def cancel(self, client_order_id: str) -> None:
        found = self.book.pop(client_order_id)
        super().cancel(found.request.client_order_id)


def test_an_order_that_is_gone_as_it_is_cancelled_is_no_matter(desk: Desk) -> None:
    street = Forgetful(desk.clock)
    street.book[OURS] = BrokerOrder(OrderRequest(OURS, "A", Side.BUY, D(5)), "b", OrderStatus.NEW, D(0), NOW)
    assert adopt(beside(desk, street), BY).found == ()


def test_an_order_that_the_broker_does_not_have_ends(desk: Desk) -> None:
    ordered(desk, "sigc-1", 10, filled=4)
    there = ordered(desk, "sigc-2")
    street = Quiet(desk.clock)
    at_broker(street, there, 0)
    found = adopt(beside(desk, street), BY)
    assert [(one.difference.asset, one.cause) for one in found.found] == [("sigc-1", GapCause.ORDER_GONE)]
    assert found.adopted == ()
    with desk.ledger.reading() as connection:
        ended, other = orders.get(connection, "sigc-1"), orders.get(connection, "sigc-2")
    assert ended is not None
    assert (ended.state, ended.message) == (IntentState.CANCELLED, "the broker does not have it; ann: seen")
    assert other is not None
    assert other.state is IntentState.ACKNOWLEDGED
    assert watermarks(desk) == {}


# Whose it is.


def test_a_difference_is_of_the_book_that_is_named_or_of_the_only_one(desk: Desk) -> None:
    trading = beside(desk, Quiet(desk.clock, A=3))
    with pytest.raises(SigcError, match="there is no book three/main"):
        adopt(trading, replace(BY, book=BookKey("three", "main")))
    (entry,) = adopt(trading, replace(BY, book=OTHER)).adopted
    assert parts([entry]) == [(OTHER, "A", D(3), D(0), None)]
    assert (entry.cause, entry.who, entry.reason) == (GapCause.TRANSFER, "ann", "seen")


def test_the_only_book_is_whose_it_is(alone: Desk) -> None:
    (entry,) = adopt(beside(alone, Quiet(alone.clock, A=3)), BY).adopted
    assert parts([entry]) == [(KEY, "A", D(3), D(0), None)]


def test_what_nobody_claims_is_of_a_book_that_begins_with_it(desk: Desk) -> None:
    for book in (None, UNASSIGNED):  # named or not
        street = Quiet(desk.clock, A=3 if book is None else 5)
        adopt(beside(desk, street), replace(BY, book=book))
    assert held(desk, "A") == {UNASSIGNED: D(5)}
    with desk.ledger.reading() as connection:
        made = books.book(connection, UNASSIGNED)
        other = books.book(connection, KEY)
    assert made is not None
    assert (made.capital, made.cash, made.opened, made.anchor) == (
        D(0),
        D(0),
        NOW + timedelta(seconds=3.1),
        "2016-01-05",
    )
    assert other is not None
    assert other.cash == D(1_000_000)


@pytest.mark.parametrize(
    ("asset", "broker", "is_taken"),
    [
        ("mine", 6, True),
        ("both", 11, False),
        ("theirs", 6, False),
        ("none", 1, False),  # nobody's, where there is another book
    ],
)
def test_a_run_takes_what_no_other_book_has_a_part_of(desk: Desk, asset: str, broker: int, is_taken: bool) -> None:
    for name, key in (("mine", KEY), ("both", KEY), ("both", OTHER), ("theirs", OTHER)):
        desk.fill(name, 5, 0, key)
    street = Quiet(desk.clock, mine=5, both=10, theirs=5)
    street.held[asset] = D(broker)
    done = adopt(beside(desk, street), replace(BY, book=KEY, is_own_only=True))
    assert [one.difference.asset for one in done.found] == [asset]
    assert [(e.book, e.asset, e.change) for e in done.adopted] == ([(KEY, asset, D(1))] if is_taken else [])


def test_a_name_that_another_book_had_is_not_taken_alone(desk: Desk) -> None:
    """A of both is E now: neither of the two lines is of one book alone."""
    desk.fill("A", 5, 0, KEY)
    desk.fill("A", 5, 0, OTHER)
    assert adopt(beside(desk, Quiet(desk.clock, E=10)), replace(BY, book=KEY, is_own_only=True)).adopted == ()


@pytest.mark.parametrize("asset", ["new", CASH])
def test_a_run_takes_what_is_nobody_s_where_it_is_the_only_book(alone: Desk, asset: str) -> None:
    street = Stage(alone.clock, 1_000_000 + 7 * (asset == CASH), **({} if asset == CASH else {"new": 7}))
    (entry,) = adopt(beside(alone, street), replace(BY, book=KEY, is_own_only=True)).adopted
    assert parts([entry]) == [(KEY, "new", D(7), D(0), None) if asset == "new" else (KEY, "", D(0), D(7), None)]


def test_cash_of_two_books_is_nobody_s_to_take(desk: Desk) -> None:
    street = Stage(desk.clock, 2_000_007)
    assert adopt(beside(desk, street), replace(BY, book=KEY, is_own_only=True)).adopted == ()
    (entry,) = adopt(beside(desk, street), replace(BY, book=KEY)).adopted
    assert parts([entry]) == [(KEY, "", D(0), D(7), None)]


# In what parts.


def test_a_split_is_booked_as_an_action_and_what_it_leaves_over_goes_to_the_largest(desk: Desk) -> None:
    """1 for 4 of 9 and 6: 2.25 and 1.5 are two shares and one; the broker has rounded up to four."""
    desk.fill("A", 9, 0, KEY)
    desk.fill("A", 6, 0, OTHER)
    done = adopt(beside(desk, Quiet(desk.clock, A=4)), BY)
    assert [(one.cause, one.ratio) for one in done.found] == [(GapCause.SPLIT, Fraction(1, 4))]
    assert held(desk, "A") == {KEY: D(3), OTHER: D(1)}
    assert parts(done.adopted) == [(KEY, "A", D(1), D(0), None)]


def test_a_split_of_short_positions_leaves_its_rest_to_the_largest_of_them(desk: Desk) -> None:
    """1 for 4 of -6 and -9: one share and two; the broker has -4."""
    desk.fill("A", -6, 0, KEY)
    desk.fill("A", -9, 0, OTHER)
    adopt(beside(desk, Quiet(desk.clock, A=-4)), BY)
    assert held(desk, "A") == {KEY: D(-1), OTHER: D(-3)}


def test_at_a_simulation_a_split_is_an_entry_of_each_holder(desk: Desk) -> None:
    """Three for one of 2 and 5: they keep their cost, 10 a share."""
    desk.fill("A", 2, 0, KEY)
    desk.fill("A", 5, 0, OTHER)
    done = adopt(beside(desk, Stage(desk.clock, 2_000_000 - 70, A=21)), BY)
    assert parts(done.adopted) == [(KEY, "A", D(4), D(0), None), (OTHER, "A", D(10), D(0), None)]
    assert held(desk, "A") == {KEY: D(6), OTHER: D(15)}
    assert {entry.since for entry in done.adopted} == {close(1)}
    assert watermarks(desk) == {}
    with desk.ledger.reading() as connection:
        assert action_rows.between(connection, "", "2017-01-01") == ()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_part_of_a_share_that_a_simulation_has_goes_to_the_largest(desk: Desk, sign: int) -> None:
    """Three for two of 2 and 5: 3 and 7.5, where all else is in whole shares."""
    desk.fill("A", 2 * sign, 0, KEY)
    desk.fill("A", 5 * sign, 0, OTHER)
    desk.lists(action("split", "A", 3, ratio=Fraction(3, 2)))
    street = Stage(desk.clock, 2_000_000 - 70 * sign)
    street.held["A"] = D("10.5") * sign
    done = adopt(beside(desk, street), BY)
    assert parts(done.adopted) == [
        (KEY, "A", D(1) * sign, D(0), None),
        (OTHER, "A", D("2.5") * sign, D(0), None),
    ]


def test_shares_of_a_merger_go_to_who_held_the_old_ones_whoever_held_the_new(desk: Desk) -> None:
    """One of E for two of C: of 6 of E, 1 was there."""
    desk.fill("E", 1, 0, KEY)
    desk.fill("C", 10, 0, OTHER)
    desk.lists(action("merge", "C", 3, ratio=Fraction(1, 2), into="E"))
    adopt(beside(desk, Quiet(desk.clock, E=6)), BY)
    assert (held(desk, "C"), held(desk, "E")) == ({}, {KEY: D(1), OTHER: D(5)})


def test_what_an_end_paid_is_shared_by_what_was_held_to_the_cent(desk: Desk) -> None:
    """C ends at 1.001: 10.01 for 10 shares; half of it is rounded to even, and the last takes the rest."""
    desk.fill("C", 5, 0, KEY)
    desk.fill("C", 5, 0, OTHER)
    desk.lists(action("delist", "C", 3, value=1.001))
    done = adopt(beside(desk, Quiet(desk.clock)), BY)
    assert [one.cause for one in done.found] == [GapCause.DELISTING]
    assert parts(done.adopted) == [
        (KEY, "C", D(-5), D("5.00"), D(0)),  # 5.005
        (OTHER, "C", D(-5), D("5.01"), D(0)),
    ]
    assert held(desk, "C") == {}


def test_a_new_name_takes_the_cost_of_each_holder_along(desk: Desk) -> None:
    desk.fill("A", 4, 0, KEY, "10")
    desk.fill("A", -1, 0, OTHER, "16")
    done = adopt(beside(desk, Quiet(desk.clock, E=3)), BY)
    assert parts(done.adopted) == [
        (KEY, "A", D(-4), D(0), D(0)),
        (OTHER, "A", D(1), D(0), D(0)),
        (KEY, "E", D(4), D(0), D(10)),
        (OTHER, "E", D(-1), D(0), D(16)),
    ]


def test_shares_of_a_merger_have_the_cost_of_the_old_ones(desk: Desk) -> None:
    """Three of E for two of C, and 2 in cash a share: 4 at 12 and 2 at 15 become 6 at 8 and 3 at 10."""
    desk.fill("C", 4, 0, KEY, "12")
    desk.fill("C", 2, 0, OTHER, "15")
    desk.lists(action("merge", "C", 3, ratio=Fraction(3, 2), cash=2.0, into="E"))
    done = adopt(beside(desk, Quiet(desk.clock, E=9)), BY)
    assert parts(done.adopted) == [
        (KEY, "C", D(-4), D("8.00"), D(0)),
        (OTHER, "C", D(-2), D("4.00"), D(0)),
        (KEY, "E", D(6), D(0), D(8)),
        (OTHER, "E", D(3), D(0), D(10)),
    ]


def test_shares_of_a_spin_off_cost_nothing_and_go_to_whole_shares(desk: Desk) -> None:
    """One of E for two of A: 7 and 2 of A have 3.5 and 1, of which the account has four."""
    desk.fill("A", 7, 0, KEY)
    desk.fill("A", 2, 0, OTHER)
    desk.lists(action("spinoff", "A", 3, ratio=Fraction(1, 2), into="E"))
    done = adopt(beside(desk, Quiet(desk.clock, A=9, E=4)), BY)
    assert [one.cause for one in done.found] == [GapCause.SPIN_OFF]
    assert parts(done.adopted) == [(KEY, "E", D(3), D(0), D(0)), (OTHER, "E", D(1), D(0), D(0))]


def test_a_trade_has_its_price_and_its_order_and_is_of_one_book(desk: Desk) -> None:
    desk.fill("A", 5, 0, KEY)
    street = Quiet(desk.clock, A=5)
    street.prices["A"] = D(12)
    street.hand("A", -2)
    (entry,) = adopt(beside(desk, street), replace(BY, book=OTHER)).adopted
    assert parts([entry]) == [(OTHER, "A", D(-2), D(24), D(12))]
    assert entry.client_order_id == "by phone"


# From when it counts.


def test_an_entry_counts_from_the_session_after_the_newest_nav(desk: Desk) -> None:
    """Of a book without one, from the as-of session."""
    desk.fill("A", 5, 0, KEY)
    street = Quiet(desk.clock, A=6)
    (entry,) = adopt(beside(desk, street), replace(BY, book=KEY)).adopted
    assert entry.session == "2016-01-05"
    assert entry.since == NOW + timedelta(seconds=3.1)  # as a broker that trades says it now
    for session in ("2016-01-04", "2016-01-08"):
        with desk.ledger.transaction("fills") as tx:
            books.put_nav(tx, Nav(KEY, session, D(1), D(1), D(0), D(0)))
    street.held["A"] = D(8)
    (entry,) = adopt(beside(desk, street), replace(BY, book=KEY)).adopted
    assert entry.session == "2016-01-11"  # over the weekend


@pytest.mark.parametrize(
    ("at", "session"),
    [
        (datetime(2016, 1, 6, 2, 29, 50, tzinfo=UTC), "2016-01-05"),
        (datetime(2016, 1, 6, 2, 29, 56, 900000, tzinfo=UTC), "2016-01-06"),  # 02:30 once it is compared
        (datetime(2016, 1, 6, 20, tzinfo=UTC), "2016-01-06"),
        (datetime(2016, 1, 6, 21, tzinfo=UTC), "2016-01-06"),
    ],
)
def test_a_broker_applies_actions_of_a_session_in_the_night_before_its_open(
    tmp_path: Path, at: datetime, session: str
) -> None:
    """Twelve hours before 14:30."""
    with Desk(tmp_path) as desk:
        desk.clock.turn(at)
        adopt(beside(desk, Quiet(desk.clock, A=3)), BY)
        assert watermarks(desk) == {(KEY, "A"): session}


@pytest.mark.parametrize(
    ("listed", "session"),
    [
        (date(2016, 1, 7), "2016-01-07"),  # it has been applied early
        (date(2016, 1, 9), "2016-01-11"),  # a Saturday
        (date(2016, 1, 4), "2016-01-06"),
    ],
)
def test_what_a_listed_action_brought_includes_that_action(desk: Desk, listed: date, session: str) -> None:
    desk.fill("A", 10, 0)
    if listed.day == 9:
        desk.clock.turn(NOW + timedelta(days=1))
    at = 3 if listed.day == 7 else 5 if listed.day == 9 else 0
    desk.lists(replace(action("spinoff", "A", at, ratio=Fraction(1, 2), into="E"), ex_date=listed))
    done = adopt(beside(desk, Quiet(desk.clock, A=10, E=5)), BY)
    assert [one.cause for one in done.found] == [GapCause.SPIN_OFF]
    assert watermarks(desk) == {(KEY, "E"): session}


@pytest.mark.parametrize(
    ("accepted", "asset", "session"),
    [
        (None, "A", "2016-01-06"),
        ("2015-12-29", "A", "2016-01-05"),  # a week before the 5th
        ("2015-12-28", "A", "2016-01-06"),
        ("2016-01-05", "A", "2016-01-05"),
        ("2016-01-05", "B", "2016-01-06"),
    ],
)
def test_a_split_that_nobody_lists_is_of_the_next_session_unless_a_price_in_its_units_was_accepted(
    desk: Desk, accepted: str | None, asset: str, session: str
) -> None:
    desk.fill("A", 10, 0)
    if accepted is not None:
        with desk.ledger.transaction("control") as tx:
            control.accept_price(tx, asset, accepted, "ann", "a split")
    adopt(beside(desk, Quiet(desk.clock, A=30)), BY)
    with desk.ledger.reading() as connection:
        (due,) = action_rows.between(connection, "", "2017-01-01")
    before = {"2016-01-05": close(0), "2016-01-06": close(1)}[session]
    assert (due.session, due.before, due.action.ratio) == (session, before, Fraction(3))
    assert watermarks(desk) == {(KEY, "A"): "2016-01-06"}
    assert held(desk, "A") == {KEY: D(30)}


def test_a_comparison_adopts_nothing(desk: Desk) -> None:
    found = compare(beside(desk, Quiet(desk.clock, A=1)))
    assert ([one.cause for one in found.found], found.adopted) == ([GapCause.TRANSFER], ())
    assert held(desk, "A") == {}
