"""One writer, by a lock that dies with it; versions of the schema; files that are none of ours."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.errors import SigcError, exit_code
from sigc.store.audit.verify import verify
from sigc.store.ledger.connection import FILE, LOCK, connect_reader, connect_writer
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.schema import MIGRATIONS
from tests.daemon.processes import Script
from tests.store.chains import SECOND, START, add, reading, write

_HOLD = """
import sys
from pathlib import Path
from sigc.clock import HandClock
from sigc.store.ledger.ledger import Ledger
from tests.store.chains import START, add

ledger = Ledger.open(Path(sys.argv[1]), HandClock(START))
add(ledger, 1)
print("held")
sys.stdin.read()
"""


def test_a_second_process_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with Script(_HOLD, str(tmp_path)) as holder:
        assert holder.line() == "held"
        for _ in range(2):
            with pytest.raises(SigcError, match=f"PID {holder.process.pid}") as told:
                Ledger.open(tmp_path, HandClock(START))
            assert told.value.diagnostics[0].code == "E311"
            assert exit_code(told.value.diagnostics) == 12
        with reading(tmp_path / FILE) as connection:  # whoever only reads is let in
            assert verify(connection).records == 1
        holder.process.kill()
        holder.process.wait()
        with Ledger.open(tmp_path, HandClock(START)) as ledger:
            assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
            add(ledger, 2)
        assert verify_records(tmp_path) == 2


def test_the_lock_goes_with_the_ledger(tmp_path: Path) -> None:
    first = Ledger.open(tmp_path, HandClock(START))
    with pytest.raises(SigcError, match=f"PID {os.getpid()}"):
        Ledger.open(tmp_path, HandClock(START))
    first.close()
    Ledger.open(tmp_path, HandClock(START)).close()
    # A ledger that can't be opened lets go of the folder.
    (tmp_path / FILE).write_text("no database at all" * 100)
    with pytest.raises(SigcError, match="E310"):
        Ledger.open(tmp_path, HandClock(START))
    (tmp_path / FILE).unlink()
    Ledger.open(tmp_path, HandClock(START)).close()


def verify_records(folder: Path) -> int:
    with reading(folder / FILE) as connection:
        verdict = verify(connection)
    assert verdict.is_whole
    return verdict.records


def test_a_migration_keeps_a_copy(tmp_path: Path) -> None:
    path = write(tmp_path, 10)
    with reading(path) as connection:
        before = connection.execute("SELECT seq, record, digest FROM audit").fetchall()
    for _ in range(2):  # the second time there is nothing to do
        with closing(connect_writer(path, "FULL", (*MIGRATIONS, SECOND))) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
            assert connection.execute("SELECT seq, record, digest FROM audit").fetchall() == before
            assert connection.execute("SELECT count(*) FROM copied").fetchone() == (10,)
            assert verify(connection).records == 10
    copy = path.with_name(f"{FILE}.v{len(MIGRATIONS)}")
    with closing(connect_reader(copy)) as connection:
        assert connection.execute("SELECT seq, record, digest FROM audit").fetchall() == before
    # What knows the first version alone takes the copy, and refuses what is newer.
    for opened in (connect_reader, connect_writer):
        with pytest.raises(SigcError, match=f"has version {len(MIGRATIONS) + 1}") as told:
            opened(path)
        assert told.value.diagnostics[0].code == "E310"
    with pytest.raises(SigcError, match="has version"):
        Ledger.open(tmp_path, HandClock(START))
    assert verify_copy(copy) == 10


def verify_copy(copy: Path) -> int:
    with closing(connect_reader(copy)) as connection:
        return verify(connection).records


def test_a_migration_that_is_wrong_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, 10)
    wrong = f"{SECOND}\nCREATE TABLE copied (twice TEXT);\n"
    with pytest.raises(SigcError, match="E310"):
        connect_writer(path, "FULL", (*MIGRATIONS, wrong))
    assert verify_records(tmp_path) == 10
    with reading(path) as connection:
        tables = {n for (n,) in connection.execute("SELECT name FROM sqlite_master")}
        assert "copied" not in tables
        assert "note" not in {row[1] for row in connection.execute("PRAGMA table_info(control)")}
    with Ledger.open(tmp_path, HandClock(START)) as ledger:
        add(ledger, 11)


def test_an_old_ledger_is_not_read_as_if_it_were_new(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(SigcError, match="old version 0"):
        connect_reader(path)


@pytest.mark.parametrize("content", ["sqlite", "text", "short"])
def test_a_file_of_others_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / FILE
    match content:
        case "sqlite":
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("CREATE TABLE bookmarks (url TEXT)")
                connection.commit()
        case "text":
            path.write_text("a diary, and a long one. " * 500)
        case _:
            path.write_text("x")
    before = path.read_bytes()
    for opened in (connect_writer, connect_reader):
        with pytest.raises(SigcError) as told:
            opened(path)
        assert told.value.diagnostics[0].code == "E310"
        assert str(path) in told.value.diagnostics[0].message
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [FILE]


def test_a_ledger_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = set()
    for folder in ("one", "two"):
        with Ledger.open(tmp_path / folder, HandClock(START)) as ledger:
            names.add(ledger.id)
        with Ledger.open(tmp_path / folder, HandClock(START)) as ledger:
            names.add(ledger.id)
    assert len(names) == 2


def _break_in_the_middle(ledger: Ledger) -> None:
    with ledger.transaction("control") as tx:
        tx.connection.execute("INSERT INTO meta VALUES ('half', '')")
        raise ZeroDivisionError


def test_all_of_a_transaction_or_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, HandClock(START)) as ledger:
        add(ledger, 1)
        with pytest.raises(ZeroDivisionError):
            _break_in_the_middle(ledger)
        with ledger.reading() as connection:
            assert connection.execute("SELECT count(*) FROM meta WHERE key = 'half'").fetchone() == (0,)
        add(ledger, 2)
        with closing(ledger.reader()) as reader:
            numbers = [json.loads(r)["payload"]["number"] for (r,) in reader.execute("SELECT record FROM audit")]
            assert numbers == [1, 2]
            with pytest.raises(sqlite3.OperationalError):
                reader.execute("DELETE FROM audit")


def test_a_book_of_an_earlier_version_is_anchored_where_it_began(tmp_path: Path) -> None:
    """At the first run that traded; a book that never did, at the day it was opened."""
    path = tmp_path / FILE
    with closing(connect_writer(path, "OFF", MIGRATIONS[:5])) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for strategy in ("traded", "idle"):
            connection.execute(
                "INSERT INTO books VALUES (?, 'main', '1', '1', '2024-01-05T21:01:00+00:00')", (strategy,)
            )
        for number, (as_of, traded) in enumerate([("2024-01-05", 0), ("2024-01-08", 1), ("2024-01-09", 1)]):
            connection.execute(
                "INSERT INTO runs (id, strategy, portfolio, session, kind, slot, as_of, revision, started, who, reason,"
                " broker, outcome, traded) VALUES (?, 'traded', 'main', ?, 'trade', '', ?, 0, '', '', '', '', 'done', ?)",
                (f"r{number}", as_of, as_of, traded),
            )
        connection.execute("COMMIT")
    with closing(connect_writer(path, "OFF")) as connection:
        found = dict(connection.execute("SELECT strategy, anchor FROM books").fetchall())
    assert found == {"traded": "2024-01-08", "idle": "2024-01-05"}
