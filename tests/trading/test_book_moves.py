"""Shares and money are moved between books by hand: nothing is won or lost by it, and ledger and broker agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.config.settings import Config
from sigc.errors import SigcError
from sigc.failpoint import arm
from sigc.store.history import history, statement
from sigc.store.history.holding import sized_by
from sigc.store.history.lots import book_events, record
from sigc.store.ledger import action_rows, adjustments, books, proof, runs
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.book_moves import BookMove, CashMoved, SharesMoved, WriteOff
from sigc.store.ledger.records import UNASSIGNED, BookKey, Outcome, Run, RunKey
from sigc_pipelines.live.move_books import move_books
from sigc_pipelines.live.roll_forward import fund
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.live.valuing import standing
from sigc_pipelines.reconcile.differences import differences
from tests.trading.script import KilledError
from tests.trading.test_actions import CALENDAR, CAPITAL, DAYS, NAMES, ONE, TWO, Market, split

D = Decimal
RISE = (64.0, 80.0, 100.0, 110.0)


class Desk(Market):
    """Two books. The first buys 100 of A at 80, 100 at 100, and sells 30 of B short; prices rise by the day."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ())
        rise = [*RISE, *[121.0] * (len(DAYS) - len(RISE))]
        self.closes = replace(self.closes, prices=np.array([[price] * len(NAMES) for price in rise]))
        for key in (ONE, TWO):  # under the names that upkeep gives deposits
            self.broker.deposit(f"{self.ledger.id}/{key.strategy}/{key.portfolio}", CAPITAL)
            self.broker.deposit(f"back {key.strategy}", -CAPITAL)
        self.trading = Trading(self.ledger, self.broker, self.clock, CALENDAR, Config())
        self.follow(DAYS[0])
        self.order(ONE, "A", 100)
        self.order(ONE, "B", -30)
        self.follow(DAYS[1])
        self.order(ONE, "A", 100)
        self.follow(DAYS[2])

    def __enter__(self) -> Desk:
        return self

    def moved(self, what: BookMove) -> tuple[Adjustment, ...]:
        return move_books(self.trading, what, "ann", "by hand")

    def totals(self) -> dict[str, Decimal]:
        """What all books have of each asset, and of cash."""
        with self.ledger.reading() as connection:
            found = {"": sum((book.cash for book in books.books(connection)), D(0))}
            for one in books.positions(connection):
                found[one.asset] = found.get(one.asset, D(0)) + one.quantity
        return found

    def returns(self, key: BookKey) -> list[float]:
        with self.ledger.reading() as connection:
            book = books.book(connection, key)
            assert book is not None
            return [day.daily for day in history.track(connection, book).days]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as found:
        yield found


def refused(desk: Desk, what: BookMove) -> str:
    before = desk.totals()
    with pytest.raises(SigcError) as told:
        desk.moved(what)
    assert desk.totals() == before
    (problem,) = told.value.diagnostics
    return f"{problem.code} {problem.message}"


def test_shares_move_at_their_average_cost(desk: Desk) -> None:
    """100 at 80 and 100 at 100 cost 90 each; 50 of them are worth 100 each when they move."""
    before, cash = desk.totals(), desk.has(ONE)[1]
    out, into = desk.moved(SharesMoved(ONE, TWO, "A", D(50)))
    assert [(e.book, e.change, e.cash, e.price, e.worth, e.session) for e in (out, into)] == [
        (ONE, D(-50), D(0), D(90), D(100), str(DAYS[3].day)),
        (TWO, D(50), D(0), D(90), D(100), str(DAYS[3].day)),
    ]
    assert desk.totals() == before
    assert desk.has(ONE) == ({"A": 150, "B": -30}, cash, 0)
    assert desk.has(TWO) == ({"A": 50}, CAPITAL, 0)
    with desk.ledger.reading() as connection:
        assert {p.book: p.average_price for p in books.positions(connection) if p.asset == "A"} == {ONE: 90, TWO: 90}
    desk.agree()


def test_a_move_is_no_return(desk: Desk) -> None:
    """Returns are those of prices alone: 150 x 10 less 30 x 10 of what is left, and 50 x 10 of 1,005,000."""
    before = {key: desk.navs(key)[-1].nav for key in (ONE, TWO)}
    desk.moved(SharesMoved(ONE, TWO, "A", D(50)))
    desk.follow(DAYS[3])
    after = {key: desk.navs(key)[-1].nav for key in (ONE, TWO)}
    assert after[ONE] - before[ONE] == -5_000 + 150 * 10 - 30 * 10
    assert after[TWO] - before[TWO] == 5_000 + 50 * 10
    assert desk.returns(TWO)[-1] == pytest.approx(500 / 1_005_000, abs=1e-9)
    assert desk.returns(ONE)[-1] == pytest.approx(1_200 / float(before[ONE] - 5_000), abs=1e-9)
    with desk.ledger.reading() as connection:
        told = statement.statement(connection, TWO, str(DAYS[3].day), str(DAYS[3].day))
    assert told is not None
    assert [told.realised, told.transfers, told.unrealised] == [0, 50 * 90, 50 * (110 - 90)]


def test_with_value_cash_moves_the_other_way(desk: Desk) -> None:
    """A short position too: who takes 30 shares short at 100 gets 3,000 with them."""
    before, nav = desk.totals(), {key: desk.navs(key)[-1].nav for key in (ONE, TWO)}
    cash = {key: desk.has(key)[1] for key in (ONE, TWO)}
    desk.moved(SharesMoved(ONE, TWO, "A", D(50), is_paid=True))
    assert (desk.has(ONE)[1] - cash[ONE], desk.has(TWO)[1] - cash[TWO]) == (5_000, -5_000)
    desk.moved(SharesMoved(ONE, TWO, "B", is_paid=True))
    assert (desk.has(ONE)[1] - cash[ONE], desk.has(TWO)[1] - cash[TWO]) == (2_000, -2_000)
    assert desk.totals() == before
    assert desk.has(TWO)[0] == {"A": 50, "B": -30}
    desk.follow(DAYS[3])
    assert desk.navs(ONE)[-1].nav - nav[ONE] == 150 * 10
    assert desk.navs(TWO)[-1].nav - nav[TWO] == 50 * 10 - 30 * 10
    assert desk.returns(TWO)[-1] == pytest.approx(200 / 1_000_000, abs=1e-9)
    with desk.ledger.reading() as connection:
        found = record(book_events(connection, ONE))
    assert found.transfers == 0
    assert found.realised == 50 * (100 - 80) - 30 * (100 - 80)  # the oldest were bought, and sold short, at 80


def test_all_of_a_book_goes_to_nobody(desk: Desk) -> None:
    """The book `unassigned` is opened for it, and is worth what came."""
    desk.moved(SharesMoved(ONE, UNASSIGNED, "A"))
    assert desk.has(UNASSIGNED) == ({"A": 200}, 0, 0)
    assert desk.has(ONE)[0] == {"B": -30}
    desk.follow(DAYS[3], ONE, TWO, UNASSIGNED)
    desk.follow(DAYS[4], ONE, TWO, UNASSIGNED)
    assert desk.navs(UNASSIGNED)[-1].nav == 200 * 121
    assert desk.returns(UNASSIGNED)[-1] == pytest.approx(0.1, abs=1e-9)


def test_a_book_without_data_of_the_asset_values_it_as_it_came(desk: Desk) -> None:
    """The last accepted price, not the cost, which would be a loss."""
    desk.moved(SharesMoved(ONE, TWO, "A", D(50)))
    desk.closes = replace(desk.closes, prices=np.where(np.arange(len(NAMES)) == 0, np.nan, desk.closes.prices))
    desk.follow(DAYS[3], TWO)
    assert desk.navs(TWO)[-1].nav == CAPITAL + 50 * 100
    assert desk.returns(TWO)[-1] == 0


def test_an_action_finds_shares_where_they_are_now(desk: Desk) -> None:
    """A split of the session that is next: both books hold twice as many, and what was moved is worth what it was."""
    desk.listed = [split("A", 2, 3)]
    desk.closes = replace(desk.closes, prices=np.full_like(desk.closes.prices, 50.0))
    desk.moved(SharesMoved(ONE, TWO, "A", D(50)))
    desk.follow(DAYS[3])
    assert (desk.has(ONE)[0]["A"], desk.has(TWO)[0]["A"]) == (300, 100)
    assert desk.returns(TWO)[-1] == 0


def test_what_a_broker_has_applied_is_not_applied_in_the_new_book(desk: Desk) -> None:
    """Shares adopted with an action in them take that along, unless the new book has shares without it."""
    with desk.ledger.transaction("adopt") as tx:
        for asset in "AB":
            action_rows.put_watermark(tx, ONE, asset, str(DAYS[3].day), "adopted")
    desk.moved(SharesMoved(ONE, TWO, "A", D(50)))
    with desk.ledger.reading() as connection:
        marks = action_rows.watermarks(connection)
    assert marks[TWO, "A"] == str(DAYS[3].day)
    assert (TWO, "B") not in marks


def test_what_can_not_move(desk: Desk) -> None:
    assert refused(desk, SharesMoved(ONE, TWO, "A", D(201))) == "E804 one/main holds 200 of A: 201 can't move"
    assert refused(desk, SharesMoved(ONE, TWO, "A", D(0))) == "E804 one/main holds 200 of A: 0 can't move"
    assert refused(desk, SharesMoved(ONE, TWO, "C")) == "E804 one/main holds 0 of C: nothing can't move"
    assert refused(desk, SharesMoved(ONE, ONE, "A")) == "E804 both books are one/main"
    nobody = BookKey("nobody", "main")
    assert refused(desk, SharesMoved(nobody, TWO, "A")) == "E312 there is no book nobody/main"
    assert refused(desk, SharesMoved(ONE, nobody, "A")) == "E312 there is no book nobody/main"
    desk.order(TWO, "A", 5)
    assert refused(desk, SharesMoved(ONE, TWO, "A")) == "E804 the order o4 in A is open"
    desk.moved(SharesMoved(ONE, TWO, "B"))  # another asset
    run = Run("now", RunKey("two", "main", "2016-01-07"), "2016-01-06", 0, desk.clock.now(), "")
    with desk.ledger.transaction("run-open") as tx:
        runs.open_run(tx, run, {})
    assert refused(desk, SharesMoved(TWO, ONE, "B")) == "E804 the run now is under way"
    with desk.ledger.transaction("run-close") as tx:
        runs.close_run(tx, run, desk.clock.now(), Outcome.DONE, "")
    desk.moved(SharesMoved(TWO, ONE, "B"))


def test_a_move_says_who_and_why(desk: Desk) -> None:
    desk.moved(SharesMoved(ONE, TWO, "A", D(50)))
    with desk.ledger.reading() as connection:
        (entry,) = adjustments.of_book(connection, TWO)
        assert (entry.cause, entry.who, entry.reason) == (GapCause.TRANSFER, "ann", "by hand")
        rows = connection.execute("SELECT record FROM audit WHERE event = 'book.adjusted' ORDER BY seq").fetchall()
        told = [json.loads(record) for (record,) in rows]
        assert [(e["who"], e["payload"]["change"]) for e in told] == [("ann", "-50"), ("ann", "50")]
        assert proof.faults(connection) == ()


def test_a_deposit_is_no_return(desk: Desk) -> None:
    """In the ledger and at the paper broker, once; weights are shares of it from then on."""
    (entry,) = desk.moved(CashMoved(TWO, D("250000.50")))
    assert (entry.cause, entry.cash, entry.session) == (GapCause.DEPOSIT, D("250000.50"), str(DAYS[3].day))
    assert desk.has(TWO) == ({}, CAPITAL + D("250000.50"), 0)
    fund(desk.trading)
    desk.agree()
    with desk.ledger.reading() as connection:
        value = standing(connection, TWO, {})
        book = books.book(connection, TWO)
        assert book is not None
        assert (value.capital, sized_by(connection, book, "capital")) == (CAPITAL + D("250000.50"), 1_250_000.5)
    before = desk.navs(ONE)[-1].nav
    desk.moved(CashMoved(ONE, D(-400_000)))
    desk.follow(DAYS[3])
    assert desk.navs(TWO)[-1].nav == CAPITAL + D("250000.50")
    assert desk.navs(ONE)[-1].nav == before - 400_000 + 200 * 10 - 30 * 10
    assert desk.returns(TWO) == [0, 0, 0, 0]
    assert desk.returns(ONE)[-1] == pytest.approx(1_700 / float(before - 400_000), abs=1e-9)
    with desk.ledger.reading() as connection:
        assert record(book_events(connection, ONE)).transfers == -400_000


def test_no_more_is_withdrawn_than_there_is(desk: Desk) -> None:
    cash = desk.has(ONE)[1]
    assert cash == CAPITAL - 100 * 80 + 30 * 80 - 100 * 100
    assert refused(desk, CashMoved(ONE, -cash - D("0.01"))) == (
        "E804 one/main has 984400 of cash: 984400.01 can't be withdrawn"
    )
    assert refused(desk, CashMoved(ONE, D("0.001"))) == "E804 0.001 is no amount of money"
    assert refused(desk, CashMoved(BookKey("x", "main"), D(1))) == "E312 there is no book x/main"
    desk.moved(CashMoved(ONE, -cash))
    assert desk.has(ONE)[1] == 0
    desk.agree()


def test_what_a_crash_left_untold_the_broker_is_told_later(desk: Desk) -> None:
    """The ledger has the deposit, the paper broker not: the next upkeep tells it, once."""

    def die(point: str) -> None:
        if point == "adopt:committed":
            raise KilledError

    arm(die)
    try:
        with pytest.raises(KilledError):
            desk.moved(CashMoved(TWO, D(5_000)))
    finally:
        arm(None)
    assert [d.asset for d in differences(desk.ledger, desk.broker)] == ["(cash)"]
    for _ in range(2):
        fund(desk.trading)
    desk.agree()


def test_a_worthless_position_leaves_as_a_loss_of_its_cost(desk: Desk) -> None:
    """100 at 80 and 100 at 100 cost 18,000; who was short keeps what it got, 2,400."""
    before, cash = desk.navs(ONE)[-1].nav, desk.has(ONE)[1]
    (entry,) = desk.moved(WriteOff(ONE, "A"))
    assert (entry.change, entry.cash, entry.cause) == (D(-200), D(0), GapCause.WRITE_OFF)
    desk.moved(WriteOff(ONE, "B"))
    assert desk.has(ONE) == ({}, cash, 0)
    assert desk.broker.positions() == {}
    desk.agree()
    desk.follow(DAYS[3])
    assert desk.navs(ONE)[-1].nav == before - 200 * 100 + 30 * 100 == cash
    assert desk.returns(ONE)[-1] == pytest.approx(float(cash / before - 1), abs=1e-9)
    with desk.ledger.reading() as connection:
        found = record(book_events(connection, ONE))
        assert [found.realised, found.transfers] == [-18_000 + 2_400, 0]
    assert refused(desk, WriteOff(ONE, "A")) == "E804 one/main does not hold A"


MOVES = st.tuples(st.sampled_from("AB"), st.booleans(), st.integers(1, 220), st.booleans())


@settings(max_examples=15, deadline=None)
@given(moves=st.lists(MOVES, max_size=8))
def test_no_move_wins_or_loses_anything(
    moves: list[tuple[str, bool, int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of each asset and of cash there is as much as before, in all books and in what their lots come to."""
    with Desk(tmp_path_factory.mktemp("moves")) as desk:
        before = desk.totals()
        for asset, is_back, quantity, is_paid in moves:
            source, to = (TWO, ONE) if is_back else (ONE, TWO)
            with suppress(SigcError):  # more than there is
                desk.moved(SharesMoved(source, to, asset, D(quantity), is_paid))
        assert desk.totals() == before
        with desk.ledger.reading() as connection:
            for key in (ONE, TWO):
                book, found = books.book(connection, key), record(book_events(connection, key))
                assert book is not None
                earned = found.realised + found.commissions + found.dividends + sum(found.charges.values(), Fraction(0))
                assert Fraction(book.cash) == Fraction(book.capital) + earned + found.transfers - found.open_cost
                for name, held in books.quantities(connection, key).items():
                    assert found.held(name) == held
        desk.follow(DAYS[3])
        navs = [desk.navs(key)[-1].nav for key in (ONE, TWO)]
        assert sum(navs, D(0)) == 2 * CAPITAL + 100 * (110 - 80) + 100 * (110 - 100) - 30 * (110 - 80)


def test_the_paper_broker_pays_out_what_it_has_and_no_more(desk: Desk) -> None:
    """Its account was emptied by itself, but for 1,000: the books have two million."""
    desk.broker.deposit("taken", 1_000 - desk.broker.account().cash)
    assert "the paper broker has 1000.000000 of cash, less than 1001" in refused(desk, CashMoved(TWO, D(-1_001)))
    desk.moved(CashMoved(TWO, D(-1_000)))
    assert desk.broker.account().cash == 0
    desk.moved(CashMoved(TWO, D(5)))  # a deposit asks for no cash
    assert desk.broker.account().cash == 5


def test_at_a_real_broker_a_position_is_written_off_when_it_has_left_the_account(desk: Desk) -> None:
    """200 are held, 50 of them by the other book: the broker must have come down to these."""
    desk.moved(SharesMoved(ONE, TWO, "A", D(50)))
    can, held = replace(desk.broker.capabilities(), simulated=False), desk.broker.positions()
    desk.broker.capabilities = lambda: can  # type: ignore[method-assign]
    desk.broker.deposit("gone", -desk.broker.account().cash)
    desk.moved(CashMoved(TWO, D(-10)))  # who withdraws has taken it out of the account by himself
    without = "and without this position the ledger would hold 50"
    assert refused(desk, WriteOff(ONE, "A")) == f"E804 the broker holds 200 of A, {without}"
    assert refused(desk, WriteOff(ONE, "C")) == "E804 one/main does not hold C"
    desk.broker.positions = lambda: {**held, "A": D(50), "C": D(7)}  # type: ignore[method-assign]
    assert refused(desk, WriteOff(ONE, "C")) == "E804 one/main does not hold C"
    desk.moved(WriteOff(ONE, "A"))
    assert (desk.has(ONE)[0], desk.has(TWO)[0]) == ({"B": -30}, {"A": 50})


def test_what_was_filled_meanwhile_is_taken_in_before_a_move(desk: Desk) -> None:
    """Ten more of A, ordered before the close of the third session and filled by it."""
    desk.order(ONE, "A", 10)
    session = DAYS[3]
    desk.clock.turn(session.close + timedelta(minutes=1))
    desk.broker.mark(str(session.day), session.close, *desk.closes.on(str(session.day)))
    desk.moved(SharesMoved(ONE, TWO, "A"))
    assert desk.has(TWO)[0] == {"A": 210}
