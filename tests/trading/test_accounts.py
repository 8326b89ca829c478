"""Who holds what: revisions and sessions, ledger beside broker, books that share assets, slots of a session."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc.store.ledger import books
from sigc.store.ledger.records import BookKey, IntentState, Outcome, RunKind, Side
from sigc_pipelines.brokers.faulty import Fault, Faults
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.reconcile.differences import CASH, differences
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, D4, D5, Scene, before_cut_off, free, scene, written

S = IntentState


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, {"A": [0.1, 0.2], "B": [-0.1, 0.0]})


def codes(problem: pytest.ExceptionInfo[SigcError]) -> list[str]:
    return [d.code for d in problem.value.diagnostics]


# The key of a run


def test_a_session_is_traded_once(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        with pytest.raises(SigcError, match="was traded for the session") as refused:
            desk.run("two")
        assert codes(refused) == ["E800"]
        assert desk.run("three", kind=RunKind.DRY).run.outcome is Outcome.DONE  # looking is free
        assert len(desk.booked()) == 2
    with scene(floor, D1) as later, pytest.raises(SigcError, match="was traded for the session"):
        later.run("four")


def test_a_wanted_repeat_is_a_revision(floor: Floor) -> None:
    """Nothing is left to be ordered while the first run's orders are in flight; who and why are in the audit."""
    with scene(floor, D1) as desk:
        assert desk.run("one").run.revision == 0
        again = desk.run("two", is_forced=True, who="ann", reason="to be sure")
        assert (again.run.revision, again.orders) == (1, ())
        assert desk.run("three", is_forced=True, who="bob", reason="me too").run.revision == 2
        told = [(r["who"], r["payload"]["reason"], r["payload"]["revision"]) for r in desk.audit("run.opened")]
        assert told == [("tester", "", 0), ("ann", "to be sure", 1), ("bob", "me too", 2)]


def test_a_revision_orders_what_the_first_did_not_get(floor: Floor) -> None:
    """The same asset, side and quantity again: an order of another name."""
    with scene(floor, D1, at=before_cut_off(floor, D1, 2.0)) as desk:
        desk.broker.fail_next(*[Fault.LOST] * 2)
        first = desk.run("one").orders
        assert {i.state for i in first} == {S.EXPIRED}
    with scene(floor, D2) as desk:  # after the close: for the next session
        ended = desk.run("two", is_forced=True, reason="again")
        assert ended.run.key.session > first[0].key.session
        assert {i.state for i in ended.orders} == {S.ACKNOWLEDGED}
        assert not {i.client_order_id for i in first} & {i.client_order_id for i in ended.orders}


def test_an_earlier_session_is_past(floor: Floor) -> None:
    with scene(floor, D3) as desk:
        desk.run("one")
    with scene(floor, D2) as desk:
        for forced in (False, True):
            with pytest.raises(SigcError, match="is past") as refused:
                desk.run(f"two-{forced}", is_forced=forced, reason="why not")
            assert codes(refused) == ["E800"]


def test_a_refused_run_uses_nothing_up(floor: Floor) -> None:
    strict = replace(floor, config=free(safety={"max_position": 0.05}))
    with scene(strict, D1) as desk:
        ended = desk.run("one")
        assert (ended.run.outcome, ended.orders) == (Outcome.REFUSED, ())
        assert [d.code for d in ended.problems] == ["E801"]
    with scene(floor, D1) as desk:
        assert (desk.run("two").run.outcome, desk.booked() != []) == (Outcome.DONE, True)


def test_slots_of_a_session(floor: Floor) -> None:
    """Each slot once; a later one orders what the market left, counting what is in flight."""
    with scene(floor, D1) as desk:
        assert len(desk.run("one", slot="09:45").orders) == 2
        with pytest.raises(SigcError, match="was traded"):
            desk.run("two", slot="09:45")
        assert desk.run("three", slot="12:00").orders == ()
        assert desk.run("four").run.revision == 0
        assert len(desk.booked()) == 2


def test_a_later_slot_turns_what_is_in_flight(tmp_path: Path) -> None:
    """The target of the session's second slot is the opposite: it is ordered beside what is on its way."""
    floor = written(tmp_path, {"A": 0.1})
    with scene(floor, D1) as desk:
        desk.run("one", slot="1")
    other = written(tmp_path, {"A": -0.1})
    with scene(other, D1) as desk:
        (order,) = desk.run("two", slot="2").orders
        assert (order.side, order.quantity) == (Side.SELL, Decimal(2000))
    with scene(other, D2) as desk:
        desk.run("three")
        assert desk.held() == {"A": Decimal(-1000)}


# The ledger beside the broker


def by_hand(desk: Scene, asset: str, quantity: int, id: str) -> None:
    """Somebody trades the account past us."""
    side = Side.BUY if quantity > 0 else Side.SELL
    desk.paper.submit(OrderRequest(id, asset, side, Decimal(abs(quantity))))


def accepted(desk: Scene, id: str) -> Outcome:
    how = {"accepts_differences": True, "who": "ann", "reason": "I bought them"}
    return desk.run(id, **how).run.outcome


def test_what_differs_is_refused_until_a_person_accepts_it(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        by_hand(desk, "A", 10, "mine")
    with scene(floor, D2) as desk:
        ended = desk.run("two")
        assert (ended.run.outcome, [d.code for d in ended.problems]) == (Outcome.FAILED, ["E602"])
        assert "A: ledger 1000, broker 1010" in ended.problems[0].message
        assert "orders that sigc did not send (mine)" in ended.problems[0].message
        assert ended.orders == ()
        assert accepted(desk, "three") is Outcome.DONE
        told = [(r["who"], r["payload"]["asset"], r["payload"]["reason"]) for r in desk.audit("book.adjusted")]
        assert told == [("ann", "A", "I bought them")]
        assert differences(desk.trading.ledger, desk.broker) == ()


def test_what_was_adopted_is_traded_back_to_the_target(floor: Floor) -> None:
    """Ten shares that somebody bought are the book's own from then on: its next target sells them."""
    with scene(floor, D1) as desk:
        desk.run("one")
        by_hand(desk, "A", 10, "mine")
    with scene(floor, D2) as desk:
        assert accepted(desk, "two") is Outcome.DONE
        assert desk.intents("two")["A"].quantity == Decimal(990)  # 2,000 wanted, 1,010 held
    with scene(floor, D3) as desk:
        assert desk.run("three").run.outcome is Outcome.UNCHANGED
        assert desk.held() == desk.paper.positions() == {"A": Decimal(2000)}
        by_hand(desk, "A", 1, "one more")
    with scene(floor, D4) as desk:  # another one
        assert [d.code for d in desk.run("four").problems] == ["E602"]
        assert accepted(desk, "five") is Outcome.DONE
        by_hand(desk, "A", -11, "some of them")
    with scene(floor, D5) as desk:
        assert [d.code for d in desk.run("six").problems] == ["E602"]
        assert {d.asset for d in differences(desk.trading.ledger, desk.broker)} == {"A", CASH}
        assert accepted(desk, "seven") is Outcome.DONE
        assert differences(desk.trading.ledger, desk.broker) == ()


def test_orders_that_the_book_does_not_have(floor: Floor) -> None:
    """Its file was put away: what works in the ledger is nowhere. A person says so, and it is ordered anew."""
    with scene(floor, D1) as desk:
        desk.run("one")
    (floor.work_dir / "paper.sqlite").unlink()
    with scene(floor, D1) as desk:
        ended = desk.run("two", slot="2")
        assert [d.code for d in ended.problems] == ["E602"]
        assert "sigc-" in ended.problems[0].message
    with scene(floor, D2) as desk:
        assert accepted(desk, "four") is Outcome.DONE
        assert set(desk.states("one").values()) == {S.CANCELLED}
        assert len(desk.intents("four")) == 1  # A twice as much; B was never sold, and is wanted no more


def test_orders_that_the_ledger_does_not_have(floor: Floor, tmp_path: Path) -> None:
    """An old copy of the ledger was put back: our orders are open in the book, and it does not know them."""
    with scene(floor, D1):
        pass
    for name in ("ledger.sqlite", "ledger.sqlite-wal"):
        if (floor.work_dir / name).exists():
            (tmp_path / name).write_bytes((floor.work_dir / name).read_bytes())
    with scene(floor, D1) as desk:
        desk.run("one")
    for path in floor.work_dir.glob("ledger.sqlite*"):
        path.unlink()
    for name in ("ledger.sqlite", "ledger.sqlite-wal"):
        if (tmp_path / name).exists():
            (floor.work_dir / name).write_bytes((tmp_path / name).read_bytes())
    with scene(floor, D1) as desk:
        ended = desk.run("two")
        assert [d.code for d in ended.problems] == ["E602"]
        assert "ledger 0, broker 1000" in ended.problems[0].message
        assert len(desk.booked()) == 2


def test_a_silent_broker_is_no_broker_that_agrees(floor: Floor) -> None:
    with scene(floor, D1, is_silent=True) as desk:
        ended = desk.run("one")
        assert [d.code for d in ended.problems] == ["E601"]
        assert ended.run.outcome is Outcome.FAILED
        assert desk.booked() == []
    with scene(floor, D1) as desk:
        assert desk.run("two").run.outcome is Outcome.DONE


def test_fills_that_are_on_their_way_are_waited_for(floor: Floor) -> None:
    """A broker that shows fills up to a second late: the grace of two is enough, and nobody is asked."""
    with scene(floor, D1) as desk:
        desk.run("one")
    with scene(floor, D2, rates=Faults(lag_s=1.0)) as desk:
        assert desk.run("two").run.outcome is Outcome.DONE


# Books


def test_two_strategies_share_an_asset(tmp_path: Path) -> None:
    """One long, one short: each has its own book, their sum is the broker's, and each bears its part of the fee."""
    config = free({"borrow_bps": 365.0, "commission_per_share": 0.01})
    one = written(tmp_path, {"A": -0.1, "B": 0.1}, config=config, name="one")
    two = written(tmp_path, {"A": -0.3, "B": -0.1}, config=config, name="two")
    for day in (D1, D2, D3):
        with scene(one, day) as desk:
            assert desk.run(f"one-{day}").run.outcome.is_success
            assert two.run(desk.trading, f"two-{day}").run.outcome.is_success
    with scene(one, D3) as desk:
        first, second = BookKey("one", "main"), BookKey("two", "main")
        assert desk.held(first) == {"A": Decimal(-1000), "B": Decimal(1000)}
        assert desk.held(second) == {"A": Decimal(-3000), "B": Decimal(-1000)}
        assert desk.paper.positions() == {"A": Decimal(-4000)}
        assert differences(desk.trading.ledger, desk.broker) == ()
        with desk.trading.ledger.reading() as connection:
            shares = [books.charges_by_day(connection, key) for key in (first, second)]
            funds = {b.key: b.cash for b in books.books(connection)}
        # 400,000 short at 3.65 % are 40 a day: 10 and 30.
        assert [sum(by_day.values()) for by_day in shares] == [Decimal("-10.00"), Decimal("-30.00")]
        assert sum(funds.values()) == desk.paper.account().cash
        assert funds[first] == Decimal(1_000_000) - 20 - 10  # bought and sold for 100,000, 2,000 shares at a cent


def test_each_book_is_funded_once(tmp_path: Path) -> None:
    one = written(tmp_path, {"A": 0.1}, name="one")
    two = written(tmp_path, {"A": 0.1}, name="two")
    with scene(one, D1) as desk:
        desk.run("1")
        two.run(desk.trading, "2")
        one.run(desk.trading, "3", is_forced=True, reason="again")
        assert desk.paper.account().cash == Decimal(2_000_000)


def test_sales_go_before_purchases(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": [0.5, 0.0], "B": [0.0, 0.5], "C": [0.2, 0.3], "D": [0.2, 0.1]})
    with scene(floor, D1) as desk:
        desk.run("one")
    with scene(floor, D2) as desk:
        assert [(i.side.value, i.asset) for i in desk.run("two").orders] == [
            ("sell", "A"),
            ("sell", "D"),
            ("buy", "B"),
            ("buy", "C"),
        ]


def test_a_broker_whose_book_cannot_be_written_is_no_mistake_of_ours(tmp_path: Path) -> None:
    """Another process holds the paper broker's file: the run fails with an error of the broker, and may be repeated."""
    floor = written(tmp_path, {"A": 0.1})
    with scene(floor, D1):
        pass
    taken = sqlite3.connect(floor.work_dir / "paper.sqlite", isolation_level=None)
    taken.execute("BEGIN IMMEDIATE")
    try:
        with scene(floor, D1, patience_s=0.05) as desk:
            ended = desk.run("one")
            assert (ended.run.outcome, [d.code for d in ended.problems]) == (Outcome.FAILED, ["E601"])
    finally:
        taken.close()
    with scene(floor, D1) as desk:
        assert desk.run("two").run.outcome is Outcome.DONE
