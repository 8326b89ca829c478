"""The file of the paper broker's book: made once, raised from earlier versions, whole after whatever fails."""

from __future__ import annotations

import fcntl
import gzip
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc_pipelines.brokers.paper_file import BookFile, instant_text
from sigc_pipelines.brokers.protocol import NotSentError, OutcomeUnknownError, UnreachableError

AT = datetime(2024, 1, 5, 15, tzinfo=UTC)
FIRST = Path(__file__).parents[1] / "store" / "fixtures" / "paper-v1.sqlite.gz"


def opened(path: Path, *, durable: bool = False, timeout_s: float = 30.0) -> BookFile:
    return BookFile(path, AT, durable=durable, timeout_s=timeout_s)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[BookFile]:
    made = opened(tmp_path / "book.sqlite")
    yield made
    made.close()


def pragma(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as other:
        return int(other.execute(f"PRAGMA {name}").fetchone()[0])


def schema(path: Path) -> list[tuple[str, str]]:
    """Of all tables: their columns, in order; and the indices."""
    with closing(sqlite3.connect(path)) as other:
        tables = [name for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(name, row[1]) for name in sorted(tables) for row in other.execute(f"PRAGMA table_info({name})")]
        indices = other.execute("SELECT 'index', name FROM sqlite_master WHERE type = 'index' ORDER BY name")
        return columns + indices.fetchall()


def cash(book: BookFile) -> str:
    with book.reading() as connection:
        return str(connection.execute("SELECT cash FROM account").fetchone()[0])


def test_what_a_new_book_is(book: BookFile) -> None:
    assert (pragma(book.path, "application_id"), pragma(book.path, "user_version")) == (0x51C9A9E2, 4)
    with book.reading() as connection:
        (name, *amounts) = connection.execute("SELECT book, cash, worth, bound FROM account").fetchone()
    assert (name, amounts) == ("06a87487", ["0", "0", "0"])  # sha256 of the instant, as `instant_text` writes it
    with closing(opened(book.path)) as again:  # made once
        assert cash(again) == "0"


def test_a_book_is_for_its_owner_alone(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "in" / "book.sqlite")):
        assert stat.S_IMODE((tmp_path / "in").stat().st_mode) == 0o700


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 0)])
def test_what_was_answered_is_on_the_disk(tmp_path: Path, durable: bool, level: int) -> None:
    with closing(opened(tmp_path / "book.sqlite", durable=durable)) as made, made.reading() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_books_of_earlier_versions_are_raised(tmp_path: Path, book: BookFile) -> None:
    """One before corporate actions, before splits were announced, before orders had messages: then they are as new."""
    first, second, third = (tmp_path / f"{name}.sqlite" for name in ("first", "second", "third"))
    first.write_bytes(gzip.decompress(FIRST.read_bytes()))
    with closing(opened(second)) as made, made.writing() as connection:
        connection.execute("INSERT INTO holdings VALUES ('A', '5', '0', '0', '', NULL, '2')")
    with closing(sqlite3.connect(second)) as other:
        other.execute("ALTER TABLE holdings DROP COLUMN coming")
        other.execute("ALTER TABLE orders DROP COLUMN message")
        other.execute("PRAGMA user_version = 2")
    with closing(opened(third)) as made, made.writing() as connection:
        connection.execute("INSERT INTO holdings VALUES ('A', '5', '0', '0', '', NULL, '1')")
    with closing(sqlite3.connect(third)) as other:
        other.execute("ALTER TABLE orders DROP COLUMN message")
        other.execute("PRAGMA user_version = 3")
    assert [pragma(path, "user_version") for path in (first, second, third)] == [1, 2, 3]
    for path in (first, second, third):
        for _ in range(2):
            with closing(opened(path)) as raised:
                with raised.reading() as connection:
                    found = connection.execute("SELECT DISTINCT coming FROM holdings").fetchall()
                with raised.writing() as connection:
                    connection.execute("UPDATE account SET cash = '7'")
                assert cash(raised) == "7"
            assert found == [("1",)]
            assert (pragma(path, "user_version"), schema(path)) == (4, schema(book.path))


def test_a_book_that_cannot_be_raised_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    path.write_bytes(gzip.decompress(FIRST.read_bytes()))
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE VIEW fills_of_asset AS SELECT 1")  # has the name of an index that is to be made
    before = schema(path)
    with pytest.raises(SigcError, match="fills_of_asset"):
        opened(path)
    assert (pragma(path, "user_version"), schema(path)) == (1, before)


def test_one_process_at_a_time_makes_a_book(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    maker = threading.Thread(target=lambda: opened(tmp_path / "book.sqlite").close())
    maker.start()
    inode = f":{tmp_path.stat().st_ino} "
    while not any("-> FLOCK" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()):
        assert maker.is_alive()
    assert not (tmp_path / "book.sqlite").exists()
    os.close(handle)
    maker.join(30)
    assert pragma(tmp_path / "book.sqlite", "user_version") == 4


def write(book: BookFile, *statements: str) -> None:
    """In one change; '' is a mistake of the program."""
    with book.writing() as connection:
        for statement in statements:
            if not statement:
                raise ZeroDivisionError
            connection.execute(statement)


def test_of_a_change_that_fails_nothing_is_left(book: BookFile) -> None:
    with pytest.raises(ZeroDivisionError):
        write(book, "UPDATE account SET cash = '5'", "")
    assert cash(book) == "0"
    with pytest.raises(NotSentError, match="no such table"):
        write(book, "UPDATE account SET cash = '5'", "UPDATE nowhere SET cash = '5'")
    assert cash(book) == "0"
    write(book, "UPDATE account SET cash = '5'")
    assert cash(book) == "5"


def test_of_a_change_that_was_not_confirmed_nobody_knows(book: BookFile) -> None:
    """Here it was not: a row without its parent, which is looked at last of all."""
    parent = "CREATE TABLE p (id INTEGER PRIMARY KEY)"
    write(book, parent, "CREATE TABLE c (p INTEGER REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)")
    book._connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(OutcomeUnknownError, match="may not be written"):
        write(book, "UPDATE account SET cash = '5'", "INSERT INTO c VALUES (1)")
    assert cash(book) == "0"
    write(book, "UPDATE account SET cash = '6'")
    assert cash(book) == "6"


def test_what_is_read_is_one_state(book: BookFile) -> None:
    with closing(opened(book.path)) as other, book.reading() as connection:
        assert connection.execute("SELECT cash FROM account").fetchone() == ("0",)
        with other.writing() as writer:
            writer.execute("UPDATE account SET cash = '5'")
        assert connection.execute("SELECT cash FROM account").fetchone() == ("0",)
    assert cash(book) == "5"
    with pytest.raises(UnreachableError, match="no such table"), book.reading() as connection:
        connection.execute("SELECT * FROM nowhere")
    with pytest.raises(ZeroDivisionError), book.reading():
        raise ZeroDivisionError
    assert cash(book) == "5"
    book.close()
    book.close()
    with pytest.raises(UnreachableError, match="closed"):
        cash(book)


def test_instants_compare_as_text() -> None:
    east = timezone(timedelta(hours=9))
    assert instant_text(datetime(2024, 1, 6, 0, tzinfo=east)) == "2024-01-05T15:00:00.000000+00:00"
    assert instant_text(AT + timedelta(microseconds=1)) == "2024-01-05T15:00:00.000001+00:00"
