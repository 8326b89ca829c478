"""The tables of a ledger are judged by its own records: whatever is changed beside them is found, and where."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import SystemClock
from sigc.daemon.kill_file_halts import lift
from sigc.errors import SigcError
from sigc.host import kill_file
from sigc.store.audit.verify import verify
from sigc.store.ledger import adjustments, books, control, halting, proof
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.book_rename import rename_strategy
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Charge, Fill, Side
from sigc.store.ledger.replay import OF_BOOKS, OF_CONTROL, replay
from tests.store import proved_book
from tests.trading.script import D1, D2, D3, D4, free, written

D = Decimal
AT = datetime(2016, 1, 8, 12, tzinfo=UTC)
KEY = BookKey("momentum", "main")
SPLIT = "date,asset,kind,ratio,cash,into,value,pay_date,return,id\n2016-01-06,A,split,2:1,,,,,,s1\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of trading with a split and borrow fees; a hand trade adopted, a foreign fill; a halt and a pause; and
    a strategy that has another name since. A work dir.
    """
    folder = tmp_path_factory.mktemp("proof")
    floor = written(
        folder,
        {"A": [0.1, 0.2, 0.1, 0.1], "B": [-0.1, -0.1, 0.1, -0.1]},
        config=free({"borrow_bps": 50}, execution={"order_type": "limit"}),
        actions=SPLIT,
        prices={"A": [100.0, 100.0, 50.0, 50.0, 50.0]},
        name="old",
    )
    for day in (D1, D2, D3, D4):
        floor.day(day, f"run-{day}")
    with floor.open(D4) as trading:
        ledger = trading.ledger
        with ledger.transaction("adopt") as tx:
            key = BookKey("old", "main")
            entry = Adjustment(key, "A", D(5), D(-250), GapCause.TRADE, D(50), D4, AT, "ann", "by phone")
            adjustments.adjust(tx, [entry])
            foreign = Fill("x1", "theirs", "A", Side.BUY, D(1), D(9), D(0), AT)
            interest = Charge("i1", "interest", "", D("1.25"), AT)
            books.take_in(tx, (foreign,), (interest,), books.cursor(tx.connection))
        with ledger.transaction("control") as tx:
            rename_strategy(tx, "old", "momentum", "ann", "")
            control.put(tx, control.PAUSED, "momentum", "by hand", "bob", "lunch")
            halting.halt_by_hand(tx, "momentum", "ann", "odd prices")
    return floor.work_dir


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with every kind of record, written in a moment. A work dir."""
    folder = tmp_path_factory.mktemp("proved")
    proved_book.write(folder)
    return folder


@pytest.fixture
def work(proved: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(proved, tmp_path / "work")
    return tmp_path / "work"


def change(work: Path, statement: str) -> None:
    """Another program than sigc changes the file."""
    with closing(sqlite3.connect(work / FILE)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()


def found(work: Path) -> list[str]:
    with closing(connect_reader(work / FILE)) as connection:
        assert verify(connection).is_whole  # the chain itself is untouched
        return [str(fault) for fault in proof.faults(connection)]


def test_every_kind_of_record_comes_to_what_the_tables_say(work: Path) -> None:
    """In whole, and in what a start reads."""
    assert found(work) == []
    with closing(connect_reader(work / FILE)) as connection:
        assert proof.faults(connection, is_whole=False) == ()
        assert not connection.in_transaction


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM control WHERE name = 'halted'", "halted momentum: set by ann: odd prices, and never lifted"),
        ("DELETE FROM control WHERE name = 'paused'", "paused momentum: set by bob: lunch, and never lifted"),
        ("UPDATE control SET value = 'x' WHERE name = 'halted'", "halted momentum: it says 'x' by ann"),
        ("UPDATE control SET who = 'eve' WHERE name = 'halted'", "halted momentum: it says 'by hand' by eve"),
        ("UPDATE control SET scope = 'other' WHERE name = 'halted'", "halted other: it is in force, and no record"),
        ("UPDATE books SET cash = '1'", "cash of momentum/main: 1, the records come to "),
        ("UPDATE books SET capital = '1'", "capital of momentum/main: 1, the records come to 1000000"),
        ("UPDATE books SET receivables = '7'", "receivables of momentum/main: 7, the records come to 0"),
        ("DELETE FROM books", "book momentum/main: it is gone"),
        (
            "INSERT INTO books (strategy, portfolio, capital, cash, opened) VALUES ('eve', 'main', '1', '1', '2016-01-04T00:00:00+00:00')",
            "book eve/main: no record says that it was opened",
        ),
        ("UPDATE positions SET quantity = '1' WHERE asset = 'A'", "A in momentum/main: 1, the records come to "),
        ("UPDATE positions SET asset = 'C' WHERE asset = 'A'", "C in momentum/main: "),
        ("DELETE FROM positions WHERE asset = 'B'", "B in momentum/main: 0, the records come to "),
        ("UPDATE intents SET quantity = '9' WHERE number = 1", ": quantity is 9, its record says "),
        ("UPDATE intents SET side = 'buy' WHERE number = 1", ": side is buy, its record says sell"),
        ("UPDATE intents SET asset = 'A' WHERE number = 1", ": asset is A, its record says B"),
        ("UPDATE intents SET limit_price = '9' WHERE number = 1", ": limit is 9, its record says "),
        ("UPDATE intents SET reference = '9' WHERE number = 1", ": reference is 9, its record says "),
        ("UPDATE intents SET state = 'denied' WHERE number = 1", ": state is denied, its record says filled"),
        ("UPDATE intents SET filled = '0' WHERE number = 1", ": filled 0, the records come to "),
        ("DELETE FROM intents WHERE number = 1", ": it was planned, and is gone"),
        (
            "INSERT INTO intents SELECT 99, 'new', run, 99, asset, side, quantity, reference, order_type, limit_price,"
            " time_in_force, parent, slice, not_before, state, filled, broker_order_id, sent_at, attempts, message"
            " FROM intents WHERE number = 1",
            "order new: no record says that it was planned",
        ),
        ("UPDATE fills SET price = '1' WHERE number = 1", ": price is 1, its record says 100"),
        ("UPDATE fills SET quantity = '1' WHERE number = 1", ": quantity is 1, its record says "),
        ("UPDATE fills SET side = 'sell' WHERE number = 1", ": side is sell, its record says buy"),
        ("UPDATE fills SET commission = '1' WHERE number = 1", ": commission is 1, its record says "),
        ("UPDATE fills SET at = '2016-01-01T00:00:00+00:00' WHERE number = 1", ": at 2016-01-01T00:00:00+00:00, its"),
        ("DELETE FROM fills WHERE number = 1", ": it was booked, and is gone"),
        ("UPDATE fills SET execution_id = 'y' WHERE execution_id = 'x1'", "fill y: no record of it"),
        ("UPDATE nav SET nav = '1' WHERE session = '2016-01-05'", "NAV of momentum/main at 2016-01-05: nav is 1, its"),
        ("UPDATE nav SET gross = '1' WHERE session = '2016-01-05'", "at 2016-01-05: gross is 1, its record says "),
        (
            "DELETE FROM nav WHERE session = '2016-01-05'",
            "NAV of momentum/main at 2016-01-05: it was told, and is gone",
        ),
        ("UPDATE nav SET session = '2015-01-05' WHERE session = '2016-01-05'", "at 2015-01-05: no record of it"),
        ("UPDATE action_entries SET change = '1'", "action_entries 1: change is 1, its record says "),
        ("DELETE FROM action_entries", "action_entries 1: it was booked, and is gone"),
        ("UPDATE adjustments SET cash = '1'", "adjustments 1: cash is 1, its record says -250"),
        ("UPDATE adjustments SET number = 9", "adjustments 9: no record of it"),
        ("UPDATE charge_shares SET amount = '1' WHERE id = 'i1'", "charge i1: of momentum/main is 1, its record says"),
        ("DELETE FROM charge_shares WHERE id = 'i1'", "charge i1: of momentum/main: it was booked, and is gone"),
    ],
)
def test_a_change_beside_the_records_is_found(work: Path, statement: str, told: str) -> None:
    change(work, statement)
    assert any(told in text for text in found(work)), found(work)


def test_a_start_comes_to_the_books_that_the_whole_chain_comes_to(work: Path) -> None:
    """It reads less of each fill, and the same money and shares."""
    with closing(connect_reader(work / FILE)) as connection:
        short, whole = replay(connection, (*OF_CONTROL, *OF_BOOKS)), replay(connection, None)
    for name in ("control", "capital", "cash", "owed", "held"):
        assert getattr(short, name) == getattr(whole, name) != {}
    assert len(whole.fills) > 0 == len(short.fills)


def test_a_halt_that_vanished_is_a_halt_again(work: Path) -> None:
    change(work, "DELETE FROM control WHERE name IN ('halted', 'paused')")
    with Ledger.open(work, SystemClock()) as ledger:
        with ledger.transaction("control") as tx:
            told = proof.prove(tx)
        assert [(one.name, one.scope, one.who) for one in told.put_back] == [
            ("halted", "momentum", "ann"),
            ("paused", "momentum", "bob"),
        ]
        assert told.faults == ()
        with ledger.reading() as connection:
            held = control.get(connection, control.HALTED, "momentum")
        assert held is not None
        assert held.reason == "odd prices (it had vanished from the ledger)"
    assert found(work) == []


def test_books_that_are_not_what_their_records_come_to_halt_all_until_a_person_accepts_it(work: Path) -> None:
    """And only that: what differs by another amount halts again."""
    change(work, "UPDATE positions SET quantity = quantity + 10 WHERE asset = 'A'")
    seen: list[int] = []
    with Ledger.open(work, SystemClock()) as ledger:
        for _ in range(2):  # a second start finds it again
            with ledger.transaction("control") as tx:
                (fault,) = proof.prove(tx).faults
                sets = tx.connection.execute("SELECT count(*) FROM audit WHERE event = 'control.set'").fetchone()[0]
                seen.append(sets)
        assert seen[0] == seen[1]  # it is halted already
        assert (fault.what, fault.gap) == ("A in momentum/main", "+10")
        with ledger.reading() as connection:
            held = control.get(connection, control.HALTED, "")
        assert held is not None
        assert "A in momentum/main" in held.reason
        with ledger.transaction("control") as tx:
            assert lift(tx, work, "", "ann", "I booked a gift").seen()
        with ledger.transaction("control") as tx:
            assert proof.prove(tx) == proof.Proof()
        with ledger.reading() as connection:
            assert control.get(connection, control.HALTED, "") is None
            assert [(one.scope, one.who, one.reason) for one in proof.accepted(connection)] == [
                ("A in momentum/main +10", "ann", "I booked a gift")
            ]
            assert proof.faults(connection) == ()
    change(work, "UPDATE positions SET quantity = quantity + 1 WHERE asset = 'A'")
    with Ledger.open(work, SystemClock()) as ledger, ledger.transaction("control") as tx:
        assert [fault.gap for fault in proof.prove(tx).faults] == ["+11"]


def test_other_halts_accept_nothing(work: Path) -> None:
    change(work, "UPDATE books SET cash = cash + 1 WHERE strategy = 'momentum'")
    with Ledger.open(work, SystemClock()) as ledger:
        with ledger.transaction("control") as tx:
            assert lift(tx, work, "momentum", "ann", "prices are well").seen()
            assert not kill_file.halts_of(work)
            assert proof.accepted(tx.connection) == ()
        with ledger.reading() as connection:
            assert len(proof.faults(connection)) == 1


def test_what_changed_after_the_halt_named_a_difference_is_not_accepted_with_it(work: Path) -> None:
    """The halt of a person that it stands for since stays in its text."""
    change(work, "UPDATE positions SET quantity = quantity + 10 WHERE asset = 'A'")
    with Ledger.open(work, SystemClock()) as ledger:
        with ledger.transaction("control") as tx:
            halting.halt_by_hand(tx, "", "bob", "the market is odd")
        with ledger.transaction("control") as tx:
            proof.prove(tx)
    change(work, "UPDATE books SET cash = cash - 700 WHERE strategy = 'momentum'")
    with Ledger.open(work, SystemClock()) as ledger:
        with ledger.transaction("control") as tx:
            lifted = lift(tx, work, "", "ann", "I booked a gift")
        with pytest.raises(SigcError, match="something else differs than the halt named") as no:
            lifted.seen()
        for word in ("A in momentum/main", "cash of momentum/main", "(beside the halt by bob: the market is odd)"):
            assert word in str(no.value)
        assert str(no.value).count("beside the halt") == 1  # not beside that of the proof before
        with ledger.transaction("control") as tx:
            assert proof.accepted(tx.connection) == ()
            held = control.get(tx.connection, control.HALTED, "")
            assert held is not None
            assert held.reason == lifted.not_seen
            assert lift(tx, work, "", "ann", "and the fee of the bank").seen()  # which it has named now
            assert len(proof.accepted(tx.connection)) == 2
            assert control.get(tx.connection, control.HALTED, "") is None


def test_a_difference_that_is_gone_when_its_halt_is_lifted_leaves_nothing_to_accept(work: Path) -> None:
    change(work, "UPDATE positions SET quantity = quantity + 10 WHERE asset = 'A'")
    with Ledger.open(work, SystemClock()) as ledger, ledger.transaction("control") as tx:
        proof.prove(tx)
    change(work, "UPDATE positions SET quantity = quantity - 10 WHERE asset = 'A'")
    with Ledger.open(work, SystemClock()) as ledger, ledger.transaction("control") as tx:
        assert lift(tx, work, "", "ann", "a slip").seen()
        assert proof.accepted(tx.connection) == ()
        assert control.get(tx.connection, control.HALTED, "") is None


def test_what_no_run_is_sized_by_halts_nothing_and_is_in_nobody_s_way(work: Path) -> None:
    """A fill and a NAV of the past differ: an audit tells them, a start does not, nor are they to be accepted."""
    change(work, "UPDATE fills SET price = '1' WHERE number = 1")
    change(work, "UPDATE nav SET nav = '1' WHERE session = '2016-01-05' AND strategy = 'two'")
    with Ledger.open(work, SystemClock()) as ledger, ledger.transaction("control") as tx:
        assert proof.prove(tx) == proof.Proof()
    change(work, "UPDATE positions SET quantity = quantity + 10 WHERE asset = 'A'")
    with Ledger.open(work, SystemClock()) as ledger, ledger.transaction("control") as tx:
        assert [one.what for one in proof.prove(tx).faults] == ["A in momentum/main"]
        assert lift(tx, work, "", "ann", "a gift").seen()
        assert [one.scope for one in proof.accepted(tx.connection)] == ["A in momentum/main +10"]
    assert [text.partition(":")[0] for text in found(work)] == ["fill x1", "NAV of two/main at 2016-01-05"]


@pytest.mark.parametrize(("count", "end"), [(4, "b3: x"), (5, "b4: x"), (6, "b4: x and 1 more"), (9, "and 4 more")])
def test_five_faults_are_shown_and_how_many_more(count: int, end: str) -> None:
    text = proof.shown(tuple(proof.LedgerFault(f"b{n}", "x") for n in range(count)))
    assert text.startswith("b0: x; b1: x; ")
    assert text.endswith(end)
    assert text.count("x") == min(count, 5)


def test_a_damaged_file_is_not_traded_on(work: Path) -> None:
    """A page of the positions' tree is zeroed; the file opens, and answers most questions."""
    with closing(sqlite3.connect(work / FILE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'fills_by_time'").fetchone()
    with (work / FILE).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    with (
        Ledger.open(work, SystemClock()) as ledger,
        pytest.raises(SigcError, match="the ledger's file is damaged"),
        ledger.transaction("control") as tx,
    ):
        proof.prove(tx)


def test_what_sigc_wrote_is_whole(whole: Path) -> None:
    with closing(connect_reader(whole / FILE)) as connection:
        tables = ("intents", "fills", "nav", "positions", "action_entries", "adjustments", "charge_shares", "control")
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608
    assert all(counts.values()), counts
    assert found(whole) == []
