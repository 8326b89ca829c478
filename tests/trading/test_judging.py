"""The judge of a run's orders: what it counts, what it counts anew, and what a person's halt does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sigc.actions import Action, ActionKind
from sigc.clock import HandClock
from sigc.config.breaker_settings import BreakerSettings
from sigc.store.ledger import action_booking as booking
from sigc.store.ledger import action_rows, books, breakers, control, orders, price_marks, runs
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, BookKey, Charge, Fill, Intent, IntentState, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import Account, Capabilities
from sigc_pipelines.checks.exposure import Bound
from sigc_pipelines.live.account_judge import whole_exposure
from sigc_pipelines.live.judging import (
    BY_BOUNDS,
    CLOSES,
    bounds_of,
    bounds_record,
    closes_positions,
    exposure,
    judge_of,
)
from tests.checks.orders import WIDE

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)


def run(id: str, session: str, slot: str = "") -> Run:
    key = RunKey("one", "main", session, slot=slot)
    return Run(id, key, "2023-12-29", 0, AT, "ann", cut_off=AT + timedelta(hours=5))


TODAY, EARLIER, BEFORE = run("now", "2024-01-02"), run("slot", "2024-01-02", "9"), run("old", "2024-01-01")


def one(of: Run, id: str, side: str, quantity: int, asset: str = "A", **more: Any) -> Intent:
    return Intent(id, of.id, of.key, int(id), asset, Side(side), Decimal(quantity), Decimal(10), **more)


def planned(ledger: Ledger, of: Run, *intents: Intent, **limits: Any) -> None:
    with ledger.transaction("plan") as tx:
        runs.open_run(tx, of, WIDE | limits)
        orders.plan(tx, intents)
        price_marks.put_marks(
            tx,
            of.id,
            {"A": price_marks.Mark(Decimal(12), "x"), "B": price_marks.Mark(Decimal(20)), "C": price_marks.Mark(None)},
        )


def state(ledger: Ledger, id: str, to: IntentState) -> None:
    with ledger.transaction("send") as tx:
        tx.connection.execute("UPDATE intents SET state = ? WHERE client_order_id = ?", (to, id))


def fill(ledger: Ledger, id: str, side: str, quantity: int, at: datetime = AT) -> None:
    done = Fill(f"{id}@{at}", id, "A", Side(side), Decimal(quantity), Decimal(10), ZERO, at)
    with ledger.transaction("fills") as tx:
        books.take_in(tx, (done,), (), "1")


def denials(ledger: Ledger, judge: Any, intent: Intent) -> list[str]:
    with ledger.transaction("send") as tx:
        return [f.check for f in judge(tx, intent)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A book of 1,000."""
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as opened:
        with opened.transaction("control") as tx:
            books.open_book(tx, BookKey("one", "main"), Decimal(1_000), AT)
        yield opened


def test_what_is_counted(ledger: Ledger) -> None:
    """All orders of the session, of its other slots too; of earlier sessions those that may still be filled."""
    planned(ledger, BEFORE, one(BEFORE, "1", "buy", 30), one(BEFORE, "2", "sell", 7, "B"), one(BEFORE, "3", "buy", 9))
    planned(ledger, EARLIER, one(EARLIER, "4", "buy", 5), one(EARLIER, "5", "sell", 6))
    planned(ledger, TODAY, *(one(TODAY, str(n), "buy", n, parent="p", slice=n - 5) for n in (6, 7)))
    fill(ledger, "1", "buy", 30)
    state(ledger, "3", IntentState.EXPIRED)
    fill(ledger, "4", "buy", 2)
    state(ledger, "5", IntentState.CANCELLED)
    with ledger.reading() as connection:
        at = exposure(connection, TODAY)
    assert at.cash == 680
    assert at.nav == 1_064  # 32 shares at the mark of 12, not at what they cost
    assert {id: at.in_flight(id) for id in "1234567"} == {"1": 0, "2": 7, "3": 0, "4": 3, "5": 0, "6": 6, "7": 7}
    assert at.orders == 5  # 4 to 7, and 2 that is still in flight
    assert at.turnover == 20  # two shares of the session, none of those before
    assert at.line("A").quantity == 32
    assert at.line("A").changed == 2
    assert at.parents == at.sliced == {"p": Decimal(13)}
    assert at.buying == 160  # 3 + 6 + 7 at ten
    assert at.marks["A"].sector == "x"
    assert at.line("B").price == 20
    assert at.line("C").price is None


def test_what_is_held_is_in_the_units_of_the_session(ledger: Ledger) -> None:
    """30 shares before a 2:1 and a dividend of 0.50 are 60 and 30.00 owed; 10 of the new ones were sold already."""
    planned(ledger, BEFORE, one(BEFORE, "1", "buy", 30))
    planned(ledger, TODAY, one(TODAY, "2", "sell", 10), one(TODAY, "3", "sell", 50), allow_short=False)
    fill(ledger, "1", "buy", 30, AT - timedelta(days=4))
    day, close = date(2024, 1, 2), AT - timedelta(days=4)
    with ledger.transaction("actions") as tx:
        action_rows.put_watermark(tx, BookKey("one", "main"), "", "2023-12-01", "opened")
        for action in (
            Action(day, "A", ActionKind.SPLIT, Fraction(2)),
            Action(day, "A", ActionKind.DIVIDEND, cash=0.5, pay_date=date(2024, 2, 1)),
        ):
            due = DueAction(action, str(day), close, str(action.pay_date or day))
            action_rows.put_action(tx, due, due.session)
    fill(ledger, "2", "sell", 10)
    with ledger.reading() as connection:
        at = exposure(connection, TODAY)
    assert at.line("A").quantity == 50
    assert at.nav == 800 + 50 * 12 + 30
    judge = judge_of(ledger, TODAY, ledger.clock)
    assert denials(ledger, judge, one(TODAY, "3", "sell", 50)) == []
    with ledger.transaction("actions") as tx:
        booking.book(tx, str(day), Decimal(1))  # once the ledger has them, nothing is done twice
    with ledger.reading() as connection:
        at = exposure(connection, TODAY)
    assert at.line("A").quantity == 50
    assert at.nav == 800 + 50 * 12 + 30


def test_what_is_denied_takes_no_room(ledger: Ledger) -> None:
    first, second, third = one(TODAY, "1", "buy", 60), one(TODAY, "2", "buy", 50, "B"), one(TODAY, "3", "buy", 40)
    planned(ledger, TODAY, first, second, third, min_cash_in_flight=0.0)
    state(ledger, "3", IntentState.DENIED)
    judge = judge_of(ledger, TODAY, ledger.clock)
    # 600 and 500 are more than the 1,000 there are: each is judged as if the other were filled.
    assert denials(ledger, judge, first) == ["cash_in_flight"]
    assert denials(ledger, judge, second) == []


def test_what_changes_beside_the_run_is_counted_anew(ledger: Ledger) -> None:
    asked = one(TODAY, "2", "buy", 60)
    planned(ledger, BEFORE, one(BEFORE, "1", "sell", 50))
    planned(ledger, TODAY, asked, min_cash_in_flight=0.5)
    judge = judge_of(ledger, TODAY, ledger.clock)
    assert denials(ledger, judge, asked) == ["cash_in_flight"]
    fill(ledger, "1", "sell", 50)  # 500 more, of a book that is worth 900 now
    assert denials(ledger, judge, asked) == []


def test_the_clock_is_read_at_each_order(ledger: Ledger) -> None:
    asked = one(TODAY, "1", "buy", 1)
    planned(ledger, TODAY, asked)
    judge = judge_of(ledger, TODAY, ledger.clock)
    assert denials(ledger, judge, asked) == []
    assert isinstance(ledger.clock, HandClock)
    assert TODAY.cut_off is not None
    ledger.clock.turn(TODAY.cut_off)
    assert denials(ledger, judge, asked) == ["cut_off"]


@pytest.mark.parametrize(
    ("scope", "reason", "said"),
    [
        ("", "enough", "everything is halted by ann: enough"),
        ("one", "", "one is halted by ann: by hand"),
        ("two", "enough", ""),
    ],
)
def test_a_halt_is_read_at_each_order(ledger: Ledger, scope: str, reason: str, said: str) -> None:
    asked = one(TODAY, "1", "buy", 1)
    planned(ledger, TODAY, asked)
    judge = judge_of(ledger, TODAY, ledger.clock)
    assert denials(ledger, judge, asked) == []
    with ledger.transaction("control") as tx:
        control.put(tx, control.HALTED, scope, "by hand", "ann", reason)
        found = judge(tx, asked)
    assert [(f.check, f.message, f.assets) for f in found] == ([("halted", said, ("A",))] if said else [])


def test_charges_are_taken_off(ledger: Ledger) -> None:
    planned(ledger, TODAY, one(TODAY, "1", "buy", 1))
    with ledger.transaction("fills") as tx:
        books.take_in(tx, (), (Charge("c", "borrow", "", Decimal(-3), AT),), "1")
    with ledger.reading() as connection:
        at = exposure(connection, TODAY)
    assert at.cash == at.nav == 997


def decided(ledger: Ledger, of: Run, said: dict[str, object]) -> None:
    with ledger.transaction("intents") as tx:
        runs.mark_decided(tx, of)
        tx.audit(runs.event("run.decided", of, said))


def test_the_measures_of_a_decision_are_read_as_they_were_written_down(ledger: Ledger) -> None:
    planned(ledger, TODAY)
    with ledger.reading() as connection:
        assert bounds_of(connection, TODAY.id) == ({}, BY_BOUNDS)
    exact = Bound(Decimal("-0.1"), Decimal("12.50"), Decimal("1e-9"), Decimal(10) ** 12)
    bounds = {"B": Bound(Decimal(7), Decimal(1)), "A": exact}
    decided(ledger, TODAY, bounds_record(bounds, {"max_order_pct", "max_adv_pct"}))
    with ledger.reading() as connection:
        assert bounds_of(connection, TODAY.id) == (bounds, ("max_adv_pct", "max_order_pct"))


class Poor:
    """A broker that trades, without a cent of buying power."""

    asked = 0

    def capabilities(self) -> Capabilities:
        return Capabilities("b", True, simulated=False)

    def account(self) -> Account:
        self.asked += 1
        return Account(Decimal(0), Decimal(0), Decimal(0))


@pytest.mark.parametrize("closes", [True, False, None])
def test_what_closes_positions_passes_halts_and_the_account_but_never_zero(ledger: Ledger, closes: bool | None) -> None:
    planned(ledger, BEFORE, one(BEFORE, "1", "sell", 30))
    fill(ledger, "1", "sell", 30)  # 30 short
    close, adds = one(TODAY, "2", "buy", 30), one(TODAY, "3", "buy", 1, "B")
    planned(ledger, TODAY, close, adds, account={"max_buying_power": 1.0})
    beyond = replace(close, quantity=Decimal(31))
    if closes is not None:
        decided(ledger, TODAY, {CLOSES: closes})
    with ledger.reading() as connection:
        assert closes_positions(connection, TODAY.id) is (closes is True)
    judge = judge_of(ledger, TODAY, ledger.clock, Poor())  # type: ignore[arg-type]
    assert denials(ledger, judge, adds) == (["reduce_only"] if closes else ["account_power"])
    with ledger.transaction("control") as tx:
        control.put(tx, control.HALTED, "", "by hand", "ann", "enough")
    assert denials(ledger, judge, close) == ([] if closes else ["halted"])
    assert denials(ledger, judge, beyond) == (["reduce_only"] if closes else ["halted"])


def test_a_breaker_that_lets_reductions_pass_says_so_and_binds_no_closing_run(ledger: Ledger) -> None:
    planned(ledger, BEFORE, one(BEFORE, "1", "sell", 30))
    fill(ledger, "1", "sell", 30)
    less, more = one(TODAY, "2", "buy", 30), one(TODAY, "3", "sell", 1)
    planned(ledger, TODAY, less)
    judge = judge_of(ledger, TODAY, ledger.clock)
    assert denials(ledger, judge, more) == []
    rule = BreakerSettings(type="drawdown", threshold=0.1, action="reduce_exposure", name="deep")
    with ledger.transaction("control") as tx:
        breakers.trip(tx, rule, None, 0.2, "2024-01-01", "a fifth is lost")
    assert denials(ledger, judge, less) == []
    with ledger.transaction("send") as tx:
        (found,) = judge(tx, more)
    assert found.check == "reduce_only"
    assert found.message == "only orders that reduce are sent: the breaker deep has tripped: a fifth is lost"
    with ledger.transaction("send") as tx:  # what is wrong with the order itself is said first
        wrong = judge(tx, replace(more, quantity=Decimal(10**12)))
    assert "reduce_only" not in [f.check for f in wrong]
    assert wrong
    decided(ledger, TODAY, {CLOSES: True})
    judge = judge_of(ledger, TODAY, ledger.clock)
    with ledger.transaction("send") as tx:
        (found,) = judge(tx, replace(less, quantity=Decimal(31)))
    assert found.message == "the order may take A beyond zero"


OTHER = Run("theirs", RunKey("two", "main", "2024-01-02"), "2023-12-29", 0, AT, "ann")


def beside(ledger: Ledger, *intents: Intent) -> None:
    """A second book, of 500, and a run of it that knows E at 40."""
    with ledger.transaction("plan") as tx:
        books.open_book(tx, BookKey("two", "main"), Decimal(500), AT)
        runs.open_run(tx, OTHER, WIDE)
        runs.mark_decided(tx, OTHER)
        orders.plan(tx, intents)
        price_marks.put_marks(tx, OTHER.id, {"E": price_marks.Mark(Decimal(40)), "A": price_marks.Mark(Decimal(9))})


def test_the_account_is_all_books_at_the_prices_of_the_run(ledger: Ledger) -> None:
    """30 of A at 10 here, 5 there: 35 at this run's 12. Two of E are known to the other book alone, as is D."""
    planned(ledger, BEFORE, one(BEFORE, "1", "buy", 30))
    beside(ledger, one(OTHER, "2", "buy", 5), one(OTHER, "3", "buy", 2, "E"), one(OTHER, "4", "sell", 6, "D"))
    planned(ledger, TODAY)
    fill(ledger, "1", "buy", 30)
    fill(ledger, "2", "buy", 5)
    done = Fill("f3", "3", "E", Side.BUY, Decimal(2), Decimal(10), ZERO, AT)
    with ledger.transaction("fills") as tx:
        books.take_in(tx, (done,), (), "2")
    with ledger.reading() as connection:
        whole = whole_exposure(connection, TODAY)
    assert whole.cash == 1_500 - 350 - 20
    assert whole.line("A").quantity == 35
    assert [whole.line(asset).price for asset in "ADE"] == [12, 10, 40]
    assert whole.line("D").selling == 6
    assert whole.nav == whole.cash + 35 * 12 + 2 * 40


@pytest.mark.parametrize(("simulated", "holds"), [(False, True), (True, False)])
def test_an_opposite_order_of_another_book_holds_one_up_once_it_is_open(
    ledger: Ledger, simulated: bool, holds: bool
) -> None:
    mine, theirs = one(TODAY, "1", "buy", 5), one(OTHER, "2", "sell", 5)
    beside(ledger, theirs)
    planned(ledger, TODAY, mine, account={"max_gross": 100.0})
    broker = Simulating() if simulated else Poor()
    judge = judge_of(ledger, TODAY, ledger.clock, broker)  # type: ignore[arg-type]
    assert denials(ledger, judge, mine) == []  # planned, it may never leave
    state(ledger, "2", IntentState.SENDING)
    assert bool(denials(ledger, judge, mine)) is holds
    assert broker.asked == 0  # no limit needs its buying power


def test_what_closes_positions_waits_for_no_other_book(ledger: Ledger) -> None:
    planned(ledger, BEFORE, one(BEFORE, "1", "sell", 30))
    fill(ledger, "1", "sell", 30)
    close = one(TODAY, "2", "buy", 30)
    beside(ledger, one(OTHER, "3", "sell", 5))
    state(ledger, "3", IntentState.SENDING)
    planned(ledger, TODAY, close)
    assert denials(ledger, judge_of(ledger, TODAY, ledger.clock, Poor()), close) != []  # type: ignore[arg-type]
    decided(ledger, TODAY, {CLOSES: True})
    assert denials(ledger, judge_of(ledger, TODAY, ledger.clock, Poor()), close) == []  # type: ignore[arg-type]


class Simulating(Poor):
    """One that is told the market."""

    def capabilities(self) -> Capabilities:
        return Capabilities("paper", False, simulated=True)

    def mark(self, *market: object) -> None: ...

    def deposit(self, *paid: object) -> None: ...

    def write_off(self, *lost: object) -> None: ...

    def act(self, *actions: object) -> None: ...

    def announce(self, *actions: object) -> None: ...


def test_the_account_is_counted_anew_when_another_book_has_changed(ledger: Ledger) -> None:
    """Ten per cent of both books, 1,500, are 150: ten of A at 12 are too many beside their five that are open."""
    mine, theirs = one(TODAY, "1", "buy", 10), one(OTHER, "2", "buy", 5)
    beside(ledger, theirs)
    planned(ledger, TODAY, mine, account={"max_position": 0.1})
    judge = judge_of(ledger, TODAY, ledger.clock, Poor())  # type: ignore[arg-type]
    assert denials(ledger, judge, mine) == ["account_position"]
    with ledger.transaction("cancel") as tx:
        orders.moved(tx, theirs, IntentState.CANCELLED)
    assert denials(ledger, judge, mine) == []
