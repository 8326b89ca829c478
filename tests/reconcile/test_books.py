"""Whose a difference is, where several books share an account; and what is told only after it was adopted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.daemon.runner import Adopting
from sigc.errors import SigcError
from sigc.store.ledger import adjustments, books, orders, proof
from sigc.store.ledger.book_rename import rename_strategy
from sigc.store.ledger.records import UNASSIGNED, BookKey, Charge, Outcome
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import Account, BrokerOrder, UnreachableError
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.reconcile.adopt import Adoption, adopt, compare
from sigc_pipelines.service.reconciled import reconcile_job, reconciled
from tests.reconcile.street import Street
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, written

D = Decimal
ONE, TWO = BookKey("one", "main"), BookKey("two", "main")


class Desk:
    """Two strategies in one account: one holds 1,000 of A and 500 of B, the other 500 of A."""

    def __init__(self, folder: Path, street: Street) -> None:
        self.street = street
        self.one = written(folder, {"A": 0.1, "B": 0.05, "E": 0.0}, name="one")
        self.two = replace(written(folder, {"A": 0.05, "B": 0.0, "E": 0.0}, name="two"), work_dir=self.one.work_dir)

    @contextmanager
    def open(self, day: str) -> Iterator[Trading]:
        clock = HandClock(instant_of(self.one.calendar, day))
        self.street.clock = clock
        with self.one.open(day, self.street, clock) as trading:
            yield trading

    def both(self, trading: Trading, day: str) -> list[Outcome]:
        return [floor.run(trading, f"{floor.strategy.name}-{day}").run.outcome for floor in self.floors]

    @property
    def floors(self) -> tuple[Floor, Floor]:
        return self.one, self.two

    def held(self, trading: Trading, key: BookKey) -> dict[str, Decimal]:
        with trading.ledger.reading() as connection:
            assert proof.faults(connection) == ()
            return books.quantities(connection, key)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path, Street(3_000_000))
    with found.open(D1) as trading:
        assert found.both(trading, D1) == [Outcome.DONE] * 2
        assert found.held(trading, ONE) == {"A": D(1000), "B": D(500)}
        assert found.held(trading, TWO) == {"A": D(500)}
    return found


def test_a_split_is_of_every_holder(desk: Desk) -> None:
    with desk.open(D2) as trading:
        desk.street.split("A", 3)
        adopt(trading, Adoption("ann", "3:1"))
        assert desk.held(trading, ONE) == {"A": D(3000), "B": D(500)}
        assert desk.held(trading, TWO) == {"A": D(1500)}
        assert compare(trading).found == ()


def test_a_reverse_split_leaves_no_share_too_many(desk: Desk) -> None:
    """1,500 at 7:1 are 214 for the account: 143 and 71."""
    with desk.open(D2) as trading:
        desk.street.split("A", 1, 7)
        adopt(trading, Adoption("ann", "1:7"))
        parts = desk.held(trading, ONE)["A"], desk.held(trading, TWO)["A"]
        assert sum(parts) == desk.street.held["A"] == 214
        assert all(abs(part - D(whole) / 7) < 1 for part, whole in zip(parts, (1000, 500), strict=True))


def test_a_renaming_takes_the_cost_of_each_holder_along(desk: Desk) -> None:
    with desk.open(D2) as trading:
        desk.street.renames("A", "E")
        adopt(trading, Adoption("ann", "renamed"))
        assert (desk.held(trading, ONE), desk.held(trading, TWO)) == ({"B": D(500), "E": D(1000)}, {"E": D(500)})
        with trading.ledger.reading() as connection:
            assert {p.average_price for p in books.positions(connection) if p.asset == "E"} == {D(100)}


def test_a_hand_trade_is_of_the_book_that_is_named(desk: Desk) -> None:
    with desk.open(D2) as trading:
        desk.street.prices["B"] = D(90)
        desk.street.hand("B", -100)
        adopt(trading, Adoption("ann", "sold by phone", TWO))
        assert desk.held(trading, TWO) == {"A": D(500), "B": D(-100)}
        with trading.ledger.reading() as connection:
            (entry,) = adjustments.of_book(connection, TWO)
        assert (entry.change, entry.cash, entry.price) == (D(-100), D(9000), D(90))
        assert entry.client_order_id == "by phone"
        with pytest.raises(SigcError, match="there is no book nobody/main"):
            adopt(trading, Adoption("ann", "x", BookKey("nobody", "main")))


def test_what_nobody_claims_is_unassigned(desk: Desk) -> None:
    with desk.open(D2) as trading:
        desk.street.hand("E", 40)
        adopt(trading, Adoption("ann", "whose is it?"))
        assert desk.held(trading, UNASSIGNED) == {"E": D(40)}
        assert compare(trading).found == ()
        assert desk.both(trading, D2) == [Outcome.UNCHANGED] * 2  # it is none of theirs


def test_a_run_adopts_for_its_own_book_alone(desk: Desk) -> None:
    """B is held by the first book only; A by both, so it is for a person to say."""
    with desk.open(D2) as trading:
        desk.street.hand("B", 10)
        mine = {"accepts_differences": True, "who": "ann", "reason": "mine"}
        ended = desk.two.run(trading, "two-again", **mine)
        assert [d.code for d in ended.problems] == ["E602"]
        assert desk.held(trading, TWO) == {"A": D(500)}
        ended = desk.one.run(trading, "one-again", **mine)
        assert [(o.asset, o.side.sign * o.quantity) for o in ended.orders] == [("B", D(-10))]
        desk.street.hand("A", 10, "again")
        ended = desk.one.run(trading, "one-slot", slot="2", **mine)
        assert [d.code for d in ended.problems] == ["E602"]


def test_a_strategy_under_a_new_name_buys_nothing_again(desk: Desk, tmp_path: Path) -> None:
    """Refused beside the old book; after the renaming it goes on with what is held, and its history."""
    renamed = replace(written(tmp_path, {"A": 0.1, "B": 0.05, "E": 0.0}, name="neo"), work_dir=desk.one.work_dir)
    known = {"configured": frozenset({"neo", "two"})}
    with desk.open(D2) as trading:
        sent = len(desk.street.submits)
        with pytest.raises(SigcError, match="beside that of 'one', which has 2 positions and no strategy"):
            renamed.run(trading, "first", **known)
        with trading.ledger.transaction("control") as tx:
            assert rename_strategy(tx, "one", "neo", "ann", "a better name") == (BookKey("neo", "main"),)
        assert desk.held(trading, BookKey("neo", "main")) == {"A": D(1000), "B": D(500)}
        ended = renamed.run(trading, "second", **known)
        assert (ended.run.outcome, ended.orders) == (Outcome.UNCHANGED, ())
        assert len(desk.street.submits) == sent
        with trading.ledger.reading() as connection:
            assert [n.book.strategy for n in books.navs(connection, BookKey("neo", "main"))] == ["neo"] * 2
            (said,) = connection.execute("SELECT record FROM audit WHERE event = 'book.renamed'").fetchone()
        assert '"old":"one"' in said
        with pytest.raises(SigcError, match="there is no book of 'one'"), trading.ledger.transaction("control") as tx:
            rename_strategy(tx, "one", "x", "ann", "")
        with pytest.raises(SigcError, match="'two' has a book already"), trading.ledger.transaction("control") as tx:
            rename_strategy(tx, "neo", "two", "ann", "")


def test_a_book_may_be_opened_beside_another_on_purpose(desk: Desk) -> None:
    with desk.open(D2) as trading:
        ended = desk.two.run(trading, "own", configured=frozenset({"two"}))  # its book is there already
        assert ended.run.outcome is Outcome.UNCHANGED
    fresh = replace(written(desk.one.work_dir.parent, {"A": 0.01}, name="three"), work_dir=desk.one.work_dir)
    with desk.open(D2) as trading:
        how = {"configured": frozenset({"three"}), "is_forced": True, "reason": "they are apart"}
        assert fresh.run(trading, "forced", **how).run.outcome is Outcome.DONE


def test_a_new_ledger_does_not_trade_in_an_account_that_is_in_use(tmp_path: Path) -> None:
    """It was put away: nothing is bought again before a person has taken in what is there."""
    street = Street()
    floor = written(tmp_path, {"A": 0.1})
    clock = HandClock(instant_of(floor.calendar, D1))
    street.clock = clock
    with floor.open(D1, street, clock) as trading:
        floor.run(trading, "one")
    for path in floor.work_dir.glob("ledger.sqlite*"):
        path.unlink()
    with floor.open(D1, street, clock) as trading:
        ended = floor.run(trading, "again")
        assert [d.code for d in ended.problems] == ["E602"]
        assert (
            "the account is in use, and this ledger has not traded yet: A: ledger 0, broker 1000" in ended.run.message
        )
        assert len(street.submits) == 1
        adopt(trading, Adoption("ann", "the ledger is lost"))
        assert floor.run(trading, "adopted").run.outcome is Outcome.UNCHANGED
        assert street.positions() == {"A": D(1000)}


def test_a_paper_deposit_is_made_once_whatever_the_name(tmp_path: Path) -> None:
    """A renamed book keeps its capital; a new one of the old name gets its own."""
    floor = written(tmp_path, {"A": 0.1}, name="one")
    floor.day(D1, "one")
    with floor.open(D1) as trading, trading.ledger.transaction("control") as tx:
        rename_strategy(tx, "one", "neo", "ann", "")
    neo = replace(written(tmp_path, {"A": 0.1}, name="neo"), work_dir=floor.work_dir)
    neo.day(D2, "two")
    with floor.open(D2) as trading:
        assert trading.broker.account().cash == 1_000_000 - 100_000
        floor.run(trading, "three", slot="2")
        assert compare(trading).found == ()
        assert trading.broker.account().cash == 2_000_000 - 100_000


def test_a_fill_that_is_told_after_it_was_adopted_counts_once(tmp_path: Path) -> None:
    """The broker has 1,000 more and does not tell why; when it does, at 101, cost and cash are those of the fill."""
    street = Street()
    floor = written(tmp_path, {"A": 0.1})
    clock = HandClock(instant_of(floor.calendar, D1))
    street.clock, street.is_telling, street.prices["A"] = clock, False, D(101)
    key = BookKey("scripted", "main")
    with floor.open(D1, street, clock) as trading:
        floor.run(trading, "one")
        adopt(trading, Adoption("ann", "the fill is missing"))
        with trading.ledger.reading() as connection:
            assert books.quantities(connection, key) == {"A": D(1000)}
        street.tell()
        assert compare(trading).found == ()
        with trading.ledger.reading() as connection:
            (position,), book = books.positions(connection, key), books.book(connection, key)
            entries = adjustments.of_book(connection, key)
            assert proof.faults(connection) == ()
        assert book is not None
        assert (position.quantity, position.average_price, book.cash) == (D(1000), D(101), D(899_000))
        assert [(e.change, e.who) for e in entries] == [(D(1000), "ann"), (D(-1000), "sigc")]
    with floor.open(D3, street, clock) as trading:
        assert compare(trading).found == ()


class _Interrupted(PaperBroker):
    """A paper broker. between: called once, at the end of a comparison, as the evidence of its causes is asked for."""

    def __init__(self, floor: Floor, clock: HandClock, between: Callable[[], None]) -> None:
        super().__init__(floor.work_dir / "paper.sqlite", PaperSettings(), clock, durable=False)
        self._clock, self._between = clock, between
        self.is_asked_why, self.is_silent = False, False

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        self.is_asked_why = self.is_asked_why or since < self._clock.now() - timedelta(days=6)
        return super().orders(since)

    def account(self) -> Account:
        if self.is_silent:
            raise UnreachableError("no answer")
        told = super().account()
        if self.is_asked_why:
            self.is_asked_why = False
            self._between()
        return told


def test_cash_that_moves_while_it_is_compared_is_not_adopted_twice(tmp_path: Path) -> None:
    """Interest of 30 that the ledger books by itself, while somebody adopts the 30 that differ."""
    floor = written(tmp_path, {"A": 0.1}, name="one")
    floor.day(D1, "one")
    clock = HandClock(instant_of(floor.calendar, D2))
    made: list[Trading] = []

    def charged() -> None:
        with made[0].ledger.transaction("settle") as tx:
            books.take_in(tx, (), (Charge("i-1", "interest", "", D(30), clock.now()),), "")

    with closing(_Interrupted(floor, clock, charged)) as broker, floor.open(D2, broker, clock) as trading:
        made.append(trading)
        compare(trading)
        broker.deposit("interest", D(30))
        with pytest.raises(SigcError, match=r"\(cash\) changed while it was compared"):
            adopt(trading, Adoption("ann", "what is it?", ONE))
        with trading.ledger.reading() as connection:
            book = books.book(connection, ONE)
            assert proof.faults(connection) == ()
        assert book is not None
        assert book.cash == 1_000_030  # its order waits for the open


def test_a_broker_that_falls_silent_after_an_adoption_does_not_hide_it(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1}, name="one")
    floor.day(D1, "one")
    clock = HandClock(instant_of(floor.calendar, D2))

    def silenced() -> None:
        broker.is_silent = True

    with closing(_Interrupted(floor, clock, silenced)) as broker, floor.open(D2, broker, clock) as trading:
        compare(trading)
        broker.deposit("a wire", D(500))
        with pytest.raises(SigcError) as told:
            reconciled(trading, Adopting("ann", "a wire", ONE))
        (problem,) = told.value.diagnostics
        assert (problem.code, problem.hint) == ("E601", "1 entry written; look again: `sigc reconcile`")
        broker.is_silent = False
        assert compare(trading).found == ()
        broker.is_silent = True
        with pytest.raises(SigcError) as told:
            reconciled(trading, Adopting("ann", "a wire", ONE))
        assert str(told.value.diagnostics[0].hint).startswith("nothing was adopted")


def test_only_what_nobody_has_to_judge_is_adopted_by_a_job(tmp_path: Path) -> None:
    """A fee of 30 at a broker whose cash is compared; what came by wire is for a person to say."""
    floor = written(tmp_path, {"A": 0.1}, name="one")
    for day in (D1, D2):
        floor.day(day, day)
    clock = HandClock(instant_of(floor.calendar, D3))
    with floor.open(D3, clock=clock) as trading:
        with trading.ledger.reading() as connection:
            open = [i.client_order_id for i in orders.in_flight(connection)]
        for id in open:
            trading.broker.cancel(id)
        assert reconcile_job(trading, "job compare", "adopt").outcome is Outcome.DONE
        with closing(sqlite3.connect(floor.work_dir / "paper.sqlite")) as book:
            (cash,) = book.execute("SELECT cash FROM account").fetchone()
            book.execute("UPDATE account SET cash = ?", (str(D(cash) - 30),))
            book.commit()
        assert reconcile_job(trading, "job compare", "alert").outcome is Outcome.REFUSED
        done = reconcile_job(trading, "job compare", "adopt")
        assert (done.outcome, done.message) == (Outcome.DONE, "adopted: fee of -30 in one; ledger and broker agree")
        with trading.ledger.reading() as connection:
            (entry,) = adjustments.of_book(connection, ONE)
            assert (entry.who, entry.cause, entry.cash) == ("job compare", "fee", D(-30))
        trading.broker.deposit("by wire", D(500))  # type: ignore[attr-defined]
        told = reconcile_job(trading, "job compare", "adopt")
        assert (told.outcome, len(told.result["differences"])) == (Outcome.REFUSED, 1)
        with trading.ledger.reading() as connection:
            assert len(adjustments.of_book(connection, ONE)) == 1
            assert proof.faults(connection) == ()
