"""What a copy of a work dir holds, and what its way back puts where: with a bare ledger and files written by hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.errors import SigcError
from sigc.store import backup as module
from sigc.store.audit.chain import ledger_id
from sigc.store.backup import MANIFEST, Backup, Restored, backup, read_backup, restore
from sigc.store.ledger import books, control
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey

NOW = datetime(2016, 1, 6, 12, 0, 30, tzinfo=UTC)
TEXTS = {
    "audit/audit.jsonl": "one\n",
    "audit/old/audit-1.jsonl": "zero\n",
    "runs/run-1/weights.json": "{}",
    "reports/run-1.html": "<p>",
}
ALL = {FILE, "paper.sqlite", *TEXTS}


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def write_paper(work: Path, word: str) -> None:
    with closing(sqlite3.connect(work / "paper.sqlite")) as book:
        book.execute("CREATE TABLE IF NOT EXISTS said (word TEXT)")
        book.execute("DELETE FROM said")
        book.execute("INSERT INTO said VALUES (?)", (word,))
        book.commit()


def paper_of(work: Path) -> str:
    with closing(sqlite3.connect(work / "paper.sqlite")) as book:
        (word,) = book.execute("SELECT word FROM said").fetchone()
        return str(word)


def said(work: Path, *words: str) -> None:
    """Records of the ledger: a pause each, of that name."""
    with Ledger.open(work, HandClock(NOW), durable=False) as ledger:
        for word in words:
            with ledger.transaction("control") as tx:
                control.put(tx, control.PAUSED, word, "by hand", "bob", word)


def pauses(work: Path) -> list[str]:
    with closing(connect_reader(work / FILE)) as connection:
        return [one.scope for one in control.every(connection, control.PAUSED)]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work dir with a ledger, a paper book, and files in folders; and what is not worth a copy."""
    made = tmp_path / "work"
    with Ledger.open(made, HandClock(NOW), durable=False) as ledger, ledger.transaction("control") as tx:
        books.open_book(tx, BookKey("one", "main"), Decimal(1000), NOW)
    said(made, "a")
    write_paper(made, "first")
    for name, text in TEXTS.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    for name in ("reports/half.html.part", f"runs/{MANIFEST}", "token"):
        (made / name).write_text("x")
    return made


@pytest.fixture
def copy(work: Path, tmp_path: Path) -> Path:
    backup(work, tmp_path / "copy", NOW)
    return tmp_path / "copy"


def brought(copy: Path, work: Path, *, after_s: int = 0, keeps_paper: bool = False) -> Restored:
    clock = HandClock(NOW + timedelta(seconds=after_s))
    return restore(copy, work, clock, who="ann", reason="the disk died", keeps_paper=keeps_paper)


def test_a_copy_has_the_books_and_the_folders_and_its_manifest_says_of_what(work: Path, tmp_path: Path) -> None:
    to = tmp_path / "there" / "copy"
    made = backup(work, to, NOW)
    with closing(connect_reader(work / FILE)) as connection:
        seq, digest = connection.execute("SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        id = ledger_id(connection)
    sums = {name: hashlib.sha256((to / name).read_bytes()).hexdigest() for name in ALL}
    assert made == Backup(id, seq, digest, "2016-01-06T12:00:30+00:00", sums)
    assert files(to) == {*ALL, MANIFEST}
    assert {name: (to / name).read_text() for name in TEXTS} == TEXTS
    assert (pauses(to), paper_of(to)) == (["a"], "first")
    assert (to / MANIFEST).read_text().startswith('{\n  "ledger": "')
    assert read_backup(to) == made


def test_nobody_else_reads_a_copy(copy: Path) -> None:
    for path in (copy, *copy.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_work_dir_without_paper_or_folders_has_a_copy_too(tmp_path: Path) -> None:
    said(tmp_path / "bare", "a")
    (tmp_path / "copy").mkdir()  # an empty folder will do
    for name in ("copy", "new"):
        assert set(backup(tmp_path / "bare", tmp_path / name, NOW).files) == {FILE}


def test_a_copy_is_written_over_nothing(work: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    for name in ("file", "full"):
        with pytest.raises(SigcError, match=f"E200: .*{name} is not empty"):
            backup(work, tmp_path / name, NOW)
    assert ((tmp_path / "file").read_text(), files(tmp_path / "full")) == ("mine", {"mine"})


def test_a_copy_that_lost_or_changed_a_file_is_refused(copy: Path) -> None:
    weights = copy / "runs" / "run-1" / "weights.json"
    weights.write_text("{1}")
    with pytest.raises(SigcError, match=r"weights\.json has changed since it was copied"):
        read_backup(copy)
    weights.unlink()
    with pytest.raises(SigcError, match=r"weights\.json is gone"):
        read_backup(copy)
    for text in ("{", '{"ledger": 1}', "[]"):
        (copy / MANIFEST).write_text(text)
        with pytest.raises(SigcError, match="E200: can't read"):
            read_backup(copy)


def test_a_restore_into_an_empty_folder_puts_all_in_place_halted(copy: Path, tmp_path: Path) -> None:
    work = tmp_path / "other"
    done = brought(copy, work)
    assert done == Restored(read_backup(copy), None, 0)
    assert files(work) - {"lock"} == ALL
    assert {path.name for path in work.iterdir()} - {"lock"} == {FILE, "paper.sqlite", "audit", "runs", "reports"}
    assert (pauses(work), paper_of(work)) == (["a"], "first")
    with closing(connect_reader(work / FILE)) as connection:
        halt = control.get(connection, control.HALTED, "")
        (text,) = connection.execute("SELECT record FROM audit WHERE event = 'ledger.restored'").fetchone()
    assert halt is not None
    assert (halt.value, halt.who) == ("restore", "ann")
    assert halt.reason == "restored from a copy of 2016-01-06 12:00:30 UTC: the disk died"
    record = json.loads(text)
    assert record["who"] == "ann"
    assert record["payload"] == {
        "taken": "2016-01-06T12:00:30+00:00",
        "seq": done.backup.seq,
        "lost": 0,
        "aside": "",
        "reason": "the disk died",
    }


def test_what_was_there_is_aside_and_what_is_lost_is_counted(work: Path, copy: Path) -> None:
    """Three pauses since the copy, another paper book, a report more."""
    said(work, "b", "c", "d")
    write_paper(work, "second")
    (work / "reports" / "run-2.html").write_text("<b>")
    done = brought(copy, work)
    aside = work / "before-restore-20160106T120030Z"
    assert (done.aside, done.lost) == (aside, 3)
    assert (pauses(aside), paper_of(aside)) == (["a", "b", "c", "d"], "second")
    assert files(aside) >= {*ALL, "reports/run-2.html"}
    assert aside.stat().st_mode & 0o777 == 0o700
    assert (pauses(work), paper_of(work)) == (["a"], "first")
    assert not (work / "reports" / "run-2.html").exists()
    assert not (work / "restore.part").exists()
    with closing(connect_reader(work / FILE)) as connection:
        (text,) = connection.execute("SELECT record FROM audit WHERE event = 'ledger.restored'").fetchone()
    assert (json.loads(text)["payload"]["lost"], json.loads(text)["payload"]["aside"]) == (3, str(aside))


def test_the_paper_book_is_brought_back_unless_it_is_kept(work: Path, copy: Path) -> None:
    write_paper(work, "second")
    restore(copy, work, HandClock(NOW), who="ann", reason="the disk died")
    assert paper_of(work) == "first"


def test_repeats_within_a_second_have_folders_of_their_own(work: Path, copy: Path) -> None:
    names = ["before-restore-20160106T120030Z" + end for end in ("", "-2", "-3")]
    assert [done.aside.name for done in (brought(copy, work) for _ in range(3)) if done.aside is not None] == names
    assert all((work / name / FILE).is_file() for name in names)


def test_a_copy_that_is_newer_than_what_is_there_loses_nothing(work: Path, copy: Path, tmp_path: Path) -> None:
    said(work, *"bcdefgh")
    backup(work, tmp_path / "newer", NOW)
    assert brought(copy, work).lost == 7
    assert brought(tmp_path / "newer", work, after_s=1).lost == 0
    assert pauses(work) == [*"abcdefgh"]


def test_the_paper_book_stays_where_it_is_asked_for(work: Path, copy: Path) -> None:
    write_paper(work, "second")
    done = brought(copy, work, keeps_paper=True)
    assert done.aside is not None
    assert paper_of(work) == "second"
    assert not (done.aside / "paper.sqlite").exists()


def test_what_the_copy_does_not_have_is_aside_and_not_left_in_place(work: Path, copy: Path, tmp_path: Path) -> None:
    """A copy from before there was a paper book, and reports."""
    bare = tmp_path / "bare"
    work_before = tmp_path / "before"
    shutil.copytree(work, work_before)
    (work_before / "paper.sqlite").unlink()
    shutil.rmtree(work_before / "reports")
    backup(work_before, bare, NOW)
    done = brought(bare, work)
    assert done.aside is not None
    assert files(done.aside) >= {"paper.sqlite", "reports/run-1.html", FILE}
    assert paper_of(done.aside) == "first"
    assert not (work / "paper.sqlite").exists()
    assert not (work / "reports").exists()


def test_what_an_earlier_restore_left_half_done_is_not_taken(work: Path, copy: Path) -> None:
    left = work / "restore.part" / "reports" / "stale.html"
    left.parent.mkdir(parents=True)
    left.write_text("stale")
    brought(copy, work)
    assert not (work / "reports" / "stale.html").exists()


def killed(work: Path, to: Path, *words: str) -> None:
    """A work dir as a process that was killed leaves it: its newest records stand in the log beside the ledger."""
    with Ledger.open(work, HandClock(NOW), durable=False) as ledger:
        for word in words:
            with ledger.transaction("control") as tx:
                control.put(tx, control.PAUSED, word, "by hand", "bob", word)
        shutil.copytree(work, to)


def test_a_log_beside_the_old_ledger_is_part_of_what_is_aside(work: Path, copy: Path, tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    killed(work, dead, "b", "c")
    assert (dead / f"{FILE}-wal").stat().st_size > 0
    done = brought(copy, dead)
    assert done.aside is not None
    assert (done.lost, pauses(done.aside), pauses(dead)) == (2, ["a", "b", "c"], ["a"])


def test_a_log_beside_a_ledger_that_can_not_be_read_is_not_taken_for_the_new_one_s(work: Path, copy: Path) -> None:
    (work / FILE).write_bytes(b"noise" * 2000)
    for end in ("-wal", "-shm"):
        (work / f"{FILE}{end}").write_bytes(b"noise" * 1000)
    done = brought(copy, work)
    assert done.aside is not None
    assert (done.lost, (done.aside / FILE).read_bytes()[:10]) == (0, b"noisenoise")
    assert not (work / f"{FILE}-wal").exists()
    assert pauses(work) == ["a"]


def test_another_ledger_s_copy_is_refused(copy: Path, tmp_path: Path) -> None:
    said(tmp_path / "other", "x")
    with pytest.raises(SigcError, match="E312: .* has another ledger"):
        brought(copy, tmp_path / "other")
    said(tmp_path / "other", "y")  # it is not locked any more
    assert pauses(tmp_path / "other") == ["x", "y"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE books SET cash = '7'", "E812: the copy is not what its audit comes to: cash of one/main: 7, "),
        ("UPDATE audit SET digest = 'x' WHERE seq = 2", "E810: the copy is not whole: record 2 is bad"),
    ],
)
def test_a_copy_that_does_not_prove_itself_is_not_put_in_place(work: Path, copy: Path, change: str, told: str) -> None:
    """Its manifest is right, as of a ledger that was wrong already."""
    with closing(sqlite3.connect(copy / FILE)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(change).rowcount == 1
        connection.commit()
    made = json.loads((copy / MANIFEST).read_text())
    made["files"][FILE] = hashlib.sha256((copy / FILE).read_bytes()).hexdigest()
    (copy / MANIFEST).write_text(json.dumps(made))
    said(work, "b")
    with pytest.raises(SigcError, match=told):
        brought(copy, work)
    assert pauses(work) == ["a", "b"]


def test_the_work_dir_and_what_is_aside_are_written_through(
    work: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a power cut leaves either ledger."""
    synced: list[Path] = []
    monkeypatch.setattr(module, "sync_directory", synced.append)
    done = brought(copy, work)
    assert synced == [work, done.aside]
    synced.clear()
    brought(copy, tmp_path / "other")
    assert synced == [tmp_path / "other"]
